//! PostgreSQL fails in each way: nothing is wrongly allowed, no session is lost, and nodes recover without
//! a restart.

use std::time::{Duration, Instant};

use super::super::postgres::server::Server;
use super::super::processes::{PATIENCE, until};
use super::cluster::{Cluster, Session};
use super::load::Load;

/// The limit for a response while the store is away.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// How many logins fit at most into the files that PostgreSQL already has.
const LOGINS_MAX: usize = 500;

/// Two nodes under load, with sessions that stay and one to revoke during the fault.
struct Scene {
    cluster: Cluster,
    load: Load,
    staying: Vec<Session>,
    doomed: Session,
}

impl Scene {
    async fn start() -> Self {
        Self::start_with(Server::start).await
    }

    async fn start_with(server: fn() -> Server) -> Self {
        let cluster = Cluster::start_with(server, &[true, true], "5m").await;
        let mut staying = Vec::new();
        for person in ["zhangsan", "lisi", "wangfang"] {
            staying.push(cluster.sign_in(person).await);
        }
        let doomed = cluster.sign_in("zhangsan").await;
        let mut all = staying.clone();
        all.push(doomed.clone());
        let load = Load::start(&cluster.front, 2, &all);
        // Every session is in the memory of every node.
        until("the load runs", async || load.check().allowed >= 20).await;
        Self {
            cluster,
            load,
            staying,
            doomed,
        }
    }

    /// Nobody can log in: the page says so in time.
    async fn assert_login_unavailable(&self) {
        let began = Instant::now();
        let outcome = self.cluster.try_sign_in("lisi").await;
        assert_eq!(outcome, Err(503), "a login while the store is away");
        let took = began.elapsed();
        println!("a login was answered 503 after {took:?}");
        assert!(took < ANSWERED_WITHIN, "{took:?}");
    }

    /// Ends the session at node 0 while the store is away: it holds there at once.
    async fn revoke_unstored(&self) {
        self.load.set_uncertain(&self.doomed);
        let status = self.cluster.revoke(0, &self.doomed).await;
        assert_eq!(status, 503, "the store cannot take it");
        let reply = self.cluster.front.get(0, &self.doomed, "/echo").await;
        assert_ne!(reply.status, 200, "the node that revoked");
    }

    /// Everything works again without a restart, and the revocation of the outage holds on every node.
    async fn assert_recovered(mut self, what: &str) {
        let ended = Instant::now();
        self.cluster.wait_until_ready().await;
        let (front, doomed) = (&self.cluster.front, &self.doomed);
        for node in 0..2 {
            until("the revoked session is refused", async || {
                let status = front.get(node, doomed, "/echo").await.status;
                status != 200 && status != 503
            })
            .await;
        }
        self.load.set_revoked(&self.doomed);
        println!("{what}: recovered after {:?}", ended.elapsed());
        for session in &self.staying {
            for node in 0..2 {
                let reply = self.cluster.front.get(node, session, "/echo").await;
                assert_eq!(reply.status, 200, "no session is lost");
            }
        }
        let late = self.cluster.sign_in("lisi").await;
        assert_eq!(self.cluster.front.get(1, &late, "/echo").await.status, 200);
        let seen = self.load.stop().await;
        println!("{what}: {seen:?}");
        self.cluster.assert_alive();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_postgresql_refuses_logins_and_loses_no_session() {
    let mut scene = Scene::start().await;
    tokio::task::block_in_place(|| scene.cluster.server.stop());
    scene.assert_login_unavailable().await;
    scene.revoke_unstored().await;
    tokio::task::block_in_place(|| scene.cluster.server.start_again());
    scene.assert_recovered("stopped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgresql_loses_no_session_and_no_revocation() {
    let mut scene = Scene::start().await;
    let early = scene.cluster.sign_in("wangfang").await;
    assert_eq!(scene.cluster.revoke(0, &early).await, 200);
    tokio::task::block_in_place(|| scene.cluster.server.kill());
    scene.assert_login_unavailable().await;
    scene.revoke_unstored().await;
    tokio::task::block_in_place(|| scene.cluster.server.start_again());
    scene.cluster.wait_until_ready().await;
    for node in 0..2 {
        let reply = scene.cluster.front.get(node, &early, "/echo").await;
        assert_ne!(reply.status, 200, "it was revoked before the crash");
    }
    scene.assert_recovered("killed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_postgresql_is_answered_503_in_time() {
    let scene = Scene::start().await;
    scene.cluster.server.signal("STOP");
    scene.assert_login_unavailable().await;
    scene.revoke_unstored().await;
    scene.cluster.server.signal("CONT");
    scene.assert_recovered("frozen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_with_a_full_disk_refuses_logins_and_loses_no_session() {
    let scene = Scene::start_with(Server::start_on_small_disk).await;
    scene.cluster.server.fill_disk();
    // The files of the tables have room for some more rows.
    let mut logins = 0;
    while scene.cluster.try_sign_in("lisi").await.is_ok() {
        logins += 1;
        assert!(logins < LOGINS_MAX, "the disk is not full");
    }
    println!("{logins} logins after the disk was full");
    scene.assert_login_unavailable().await;
    // The revocation may still find room; on this node it holds in any case.
    scene.load.set_uncertain(&scene.doomed);
    let status = scene.cluster.revoke(0, &scene.doomed).await;
    assert!(matches!(status, 200 | 503), "{status}");
    let reply = scene.cluster.front.get(0, &scene.doomed, "/echo").await;
    assert_ne!(reply.status, 200, "the node that revoked");
    scene.cluster.server.free_disk();
    scene.assert_recovered("disk full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_postgresql_refuses_logins_and_loses_no_session() {
    let scene = Scene::start().await;
    for node in &scene.cluster.nodes {
        node.link.cut();
    }
    scene.assert_login_unavailable().await;
    scene.revoke_unstored().await;
    for node in &scene.cluster.nodes {
        node.link.mend();
    }
    scene.assert_recovered("unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn torn_connections_are_replaced() {
    let scene = Scene::start().await;
    for _ in 0..5 {
        for node in &scene.cluster.nodes {
            node.link.tear();
        }
        // A login meets connections that were torn a moment ago; it works or says to try again.
        let outcome = scene.cluster.try_sign_in("lisi").await;
        assert!(matches!(outcome, Ok(_) | Err(503)), "{outcome:?}");
    }
    scene.load.set_uncertain(&scene.doomed);
    until("the revocation is stored", async || {
        // 404: the first attempt was stored, and its response was lost.
        matches!(scene.cluster.revoke(0, &scene.doomed).await, 200 | 404)
    })
    .await;
    scene.load.set_revoked(&scene.doomed);
    scene.assert_recovered("torn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_postgresql_slows_logins_and_nothing_else() {
    let scene = Scene::start().await;
    for node in &scene.cluster.nodes {
        node.link.delay(Duration::from_millis(100));
    }
    let began = Instant::now();
    let slow = scene.cluster.sign_in("lisi").await;
    println!("a login took {:?} with a slow PostgreSQL", began.elapsed());
    assert_eq!(scene.cluster.front.get(1, &slow, "/echo").await.status, 200);
    scene.load.set_uncertain(&scene.doomed);
    assert_eq!(scene.cluster.revoke(0, &scene.doomed).await, 200);
    scene.load.set_revoked(&scene.doomed);
    for node in &scene.cluster.nodes {
        node.link.delay(Duration::ZERO);
    }
    scene.assert_recovered("slow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_store_for_longer_than_the_grace_answers_503() {
    let cluster = Cluster::start(&[true, true], "2s").await;
    let zhang = cluster.sign_in("zhangsan").await;
    for node in 0..2 {
        assert_eq!(cluster.front.get(node, &zhang, "/echo").await.status, 200);
    }
    // Only this node loses its connection.
    cluster.nodes[1].link.cut();
    let front = &cluster.front;
    let end = Instant::now() + PATIENCE;
    loop {
        let reply = front.get(1, &zhang, "/echo").await;
        if reply.status == 503 {
            assert!(reply.has_retry_after);
            break;
        }
        assert_eq!(reply.status, 200);
        assert!(Instant::now() < end, "it is allowed without the store");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What the cut node does not know is refused there, too.
    assert_eq!(cluster.revoke(0, &zhang).await, 200);
    assert_eq!(front.get(1, &zhang, "/echo").await.status, 503);
    assert_eq!(front.get(1, &zhang, "/public").await.status, 200);
    assert_ne!(front.get(0, &zhang, "/echo").await.status, 200);
    let li = cluster.sign_in("lisi").await;
    assert_eq!(front.get(0, &li, "/echo").await.status, 200);
    cluster.nodes[1].link.mend();
    until("the node reads the store again", async || {
        front.get(1, &li, "/echo").await.status == 200
    })
    .await;
    assert_ne!(front.get(1, &zhang, "/echo").await.status, 200);
}
