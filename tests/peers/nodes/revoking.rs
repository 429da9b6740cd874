//! A revocation on one node holds on all of them.

use std::time::{Duration, Instant};

use super::super::processes::until;
use super::cluster::{Cluster, Session};
use super::load::Load;
use super::timing;

/// The promise for the time until every node refuses a revoked session.
const PROMISED: Duration = Duration::from_secs(1);

/// The limit for the end of streams and WebSockets, with time for a busy machine.
const STREAMS_END_WITHIN: Duration = Duration::from_secs(5);

async fn sign_in_often(cluster: &Cluster, count: usize) -> Vec<Session> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(cluster.sign_in("zhangsan").await);
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_revoked_on_one_node_is_refused_on_all_within_a_second() {
    let mut cluster = Cluster::start(&[true, true, true], "5m").await;
    let others = [
        cluster.sign_in("lisi").await,
        cluster.sign_in("wangfang").await,
    ];
    let load = Load::start(&cluster.front, 3, &others);
    let sessions = sign_in_often(&cluster, 10).await;
    let delays = timing::measure(&cluster, &sessions).await;
    timing::report("revoked with NOTIFY, three nodes", &delays, PROMISED);
    let seen = load.stop().await;
    assert_eq!(seen.refused + seen.unavailable, 0, "{seen:?}");
    cluster.assert_alive();
}

/// The node that revokes announces nothing, as behind a pooler in transaction mode.
#[tokio::test(flavor = "multi_thread")]
async fn without_notify_a_revocation_arrives_within_the_poll_interval() {
    let cluster = Cluster::start(&[false, true], "5m").await;
    let sessions = sign_in_often(&cluster, 5).await;
    let delays = timing::measure(&cluster, &sessions).await;
    timing::report("revoked without NOTIFY, two nodes", &delays, PROMISED);
    assert!(
        delays
            .iter()
            .any(|delay| *delay > Duration::from_millis(50)),
        "nothing announced these: {delays:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_websockets_of_a_revoked_session_end_on_all_nodes() {
    let cluster = Cluster::start(&[true, true], "5m").await;
    let (zhang, li) = (
        cluster.sign_in("zhangsan").await,
        cluster.sign_in("lisi").await,
    );
    let mut zhangs = Vec::new();
    let mut lis = Vec::new();
    for node in 0..2 {
        zhangs.push(open_stream(&cluster, node, &zhang).await);
        zhangs.push(open_websocket(&cluster, node, &zhang).await);
        lis.push(open_stream(&cluster, node, &li).await);
        lis.push(open_websocket(&cluster, node, &li).await);
    }
    assert_eq!(cluster.revoke_person(0, "zhangsan").await, 200);
    let revoked = Instant::now();
    for connection in zhangs {
        connection.await.unwrap();
    }
    let took = revoked.elapsed();
    println!("streams and WebSockets ended after {took:?}");
    assert!(took < STREAMS_END_WITHIN, "{took:?}");
    for connection in lis {
        assert!(!connection.is_finished(), "nobody revoked this session");
        connection.abort();
    }
}

/// A response that does not end by itself during the test; the task ends with it.
async fn open_stream(
    cluster: &Cluster,
    node: usize,
    session: &Session,
) -> tokio::task::JoinHandle<()> {
    let path = "/stream?pieces=1000&ms=200";
    let mut answer = cluster
        .front
        .request(node, session, path)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    // The response becomes older than `judged_again_after`.
    for _ in 0..3 {
        answer.chunk().await.unwrap().expect("a line");
    }
    tokio::spawn(async move { while let Ok(Some(_)) = answer.chunk().await {} })
}

/// A WebSocket; the task ends with its connection.
async fn open_websocket(
    cluster: &Cluster,
    node: usize,
    session: &Session,
) -> tokio::task::JoinHandle<()> {
    let request = cluster.front.request(node, session, "/ws");
    let request = request
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 101);
    let mut socket = answer.upgrade().await.unwrap();
    tokio::spawn(async move {
        // Ends at the end of the connection, in whatever way it is closed.
        let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_costs_no_session_and_reads_all_revocations_when_it_starts_again() {
    let mut cluster = Cluster::start(&[true, true], "5m").await;
    let (zhang, li) = (
        cluster.sign_in("zhangsan").await,
        cluster.sign_in("lisi").await,
    );
    for node in 0..2 {
        assert_eq!(cluster.front.get(node, &zhang, "/echo").await.status, 200);
    }
    cluster.stop_node(1);
    assert_eq!(cluster.front.get(0, &zhang, "/echo").await.status, 200);
    assert_eq!(cluster.front.get(0, &li, "/echo").await.status, 200);
    assert_eq!(cluster.revoke(0, &zhang).await, 200);
    cluster.restart_node(1).await;
    until("the node is ready", async || {
        cluster.nodes[1].is_ready().await
    })
    .await;
    assert_ne!(cluster.front.get(1, &zhang, "/echo").await.status, 200);
    assert_eq!(cluster.front.get(1, &li, "/echo").await.status, 200);
}
