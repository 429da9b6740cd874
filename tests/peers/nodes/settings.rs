//! Managed settings of two nodes that share one PostgreSQL: changes at the same time, a node that is killed in the
//! middle, and how long a change takes to reach the other node.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::processes::until;
use super::cluster::{Cluster, client};
use super::config::ADMIN_TOKEN;
use super::timing::report;

const CHANGES: usize = 50;
/// Node 1 is killed after as many answers.
const ANSWERED: usize = 10;
/// The promise for the other node.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(1);
/// How long each measurement may take at most.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// Sends a request of the admin API; `None` if the node does not answer.
async fn send(method: &str, url: String, body: Option<Value>) -> Option<(u16, Value)> {
    let method = method.parse().unwrap();
    let mut request = client().request(method, url).bearer_auth(ADMIN_TOKEN);
    if let Some(body) = &body {
        request = request.json(body);
    }
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

async fn get(cluster: &Cluster, node: usize, path: &str) -> Value {
    let url = cluster.nodes[node].admin_url(path);
    let (status, answer) = send("GET", url, None).await.expect("the node answers");
    assert_eq!(status, 200, "node {node} {path}: {answer}");
    answer
}

async fn put(cluster: &Cluster, node: usize, path: &str, body: Value) -> Value {
    let url = cluster.nodes[node].admin_url(path);
    let (status, answer) = send("PUT", url, Some(body))
        .await
        .expect("the node answers");
    assert!(matches!(status, 200 | 201), "node {node} {path}: {answer}");
    answer
}

/// Settings with this number in two places: a mixture of two changes would have two numbers.
fn settings(number: usize) -> Value {
    json!({
        "display_name": format!("name {number}"),
        "login_prefix": format!("p{number}-"),
        "cas": { "url": "https://cas.corp.example/cas" },
    })
}

/// The number in the settings of a connector, which must be the same in both places.
fn number_of(connector: &Value) -> usize {
    let name = connector["display_name"].as_str().unwrap();
    let number = name.strip_prefix("name ").unwrap();
    assert_eq!(
        connector["login_prefix"],
        format!("p{number}-"),
        "a mixture: {connector}"
    );
    number.parse().unwrap()
}

/// Waits until a node serves these settings; returns how long that took.
async fn followed(cluster: &Cluster, node: usize, number: usize, began: Instant) -> Duration {
    let path = "connectors/cas";
    loop {
        let url = cluster.nodes[node].admin_url(path);
        if let Some((200, shown)) = send("GET", url, None).await
            && number_of(&shown) == number
        {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "node {node} does not follow");
        tokio::time::sleep(POLL).await;
    }
}

/// Sends changes to both nodes at once and kills node 1 in the middle; returns the numbers of the confirmed
/// ones.
async fn change_and_kill(cluster: &mut Cluster) -> Vec<usize> {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut changes = JoinSet::new();
    for number in 1..=CHANGES {
        let url = cluster.nodes[number % 2].admin_url("connectors/cas");
        let answered = Arc::clone(&answered);
        changes.spawn(async move {
            let answer = send("PUT", url, Some(settings(number))).await;
            answered.fetch_add(usize::from(answer.is_some()), Ordering::Relaxed);
            (number, answer)
        });
    }
    until("some changes are confirmed", async || {
        answered.load(Ordering::Relaxed) >= ANSWERED
    })
    .await;
    cluster.stop_node(1);
    let mut confirmed = Vec::new();
    for (number, answer) in changes.join_all().await {
        match answer {
            Some((status, answer)) => {
                assert!(
                    matches!(status, 200 | 201),
                    "change {number}: {status} {answer}"
                );
                confirmed.push(number);
            }
            None => assert_eq!(number % 2, 1, "node 0 answers every change"),
        }
    }
    confirmed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_among_fifty_changes_leaves_whole_versions_that_both_serve() {
    let mut cluster = Cluster::start(&[true, true], "5m").await;
    let confirmed = change_and_kill(&mut cluster).await;
    assert!(confirmed.len() >= CHANGES / 2, "{confirmed:?}");
    cluster.restart_node(1).await;
    cluster.wait_until_ready().await;
    let listed = get(&cluster, 0, "config/versions?max=200").await;
    let newest = listed["versions"].as_array().unwrap().len();
    let mut stored = Vec::new();
    for version in 1..=newest {
        let found = get(&cluster, version % 2, &format!("config/versions/{version}")).await;
        assert_eq!(found["version"], version);
        stored.push(number_of(&found["connectors"]["cas"]));
    }
    for number in &confirmed {
        let times = stored.iter().filter(|stored| *stored == number).count();
        assert_eq!(times, 1, "change {number} is one version");
    }
    // Both serve the newest, and go on.
    let last = *stored.last().unwrap();
    for node in 0..2 {
        followed(&cluster, node, last, Instant::now()).await;
    }
    let mut delays = Vec::new();
    for number in 101..121 {
        let from = number % 2;
        put(&cluster, from, "connectors/cas", settings(number)).await;
        delays.push(followed(&cluster, 1 - from, number, Instant::now()).await);
    }
    delays.sort();
    report("a change on the other node", &delays, FOLLOWS_WITHIN);
    cluster.assert_alive();
}

/// Where a node sends people who sign in with the connector.
async fn authorize_url(cluster: &Cluster, node: usize) -> String {
    let path = "/.menshen/start?connector=wechat-work";
    let answer = cluster.front.navigation(node, path).send().await.unwrap();
    let location = answer.headers().get("location");
    location.map_or_else(String::new, |to| to.to_str().unwrap().to_owned())
}

/// Waits until a node sends people to this corporation; returns how long that took.
async fn sends_to(cluster: &Cluster, node: usize, corp_id: &str, began: Instant) -> Duration {
    while !authorize_url(cluster, node).await.contains(corp_id) {
        assert!(began.elapsed() < PATIENCE, "node {node} does not follow");
        tokio::time::sleep(POLL).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_the_api_of_hengshi_holds_on_the_other_node_within_a_second() {
    let cluster = Cluster::start(&[true, false], "5m").await;
    // The file has another one of this kind.
    let path = "authentication-configs/wechat-work?connector=wechat-work";
    let wecom = &cluster.wecom;
    let fields = |corp_id: &str| {
        json!({
            "key": corp_id, "agentId": "7", "secret": "hunter2", "wcwLoginType": "qrConnect",
            "menshen": { "auto_login": "never", "wecom": {
                "api_base": wecom.base_url(), "authorize_url": wecom.authorize_url(),
                "login_url": wecom.login_url(),
            } },
        })
    };
    let mut delays = Vec::new();
    for number in 0..10 {
        let (from, corp_id) = (number % 2, format!("ww{number:016}"));
        let answer = put(&cluster, from, path, fields(&corp_id)).await;
        assert_eq!(answer["code"], 0, "{answer}");
        delays.push(sends_to(&cluster, 1 - from, &corp_id, Instant::now()).await);
        let shown = get(&cluster, 1 - from, path).await;
        assert_eq!(shown["data"]["key"], corp_id);
        assert_eq!(shown["data"]["secret"], "********");
    }
    // The version before the last one.
    let rollback = json!({ "version": 9 });
    assert_eq!(cluster.post(0, "config/rollback", &rollback).await, 200);
    delays.push(sends_to(&cluster, 1, &format!("ww{:016}", 8), Instant::now()).await);
    delays.sort();
    report("a change by HENGSHI's API", &delays, FOLLOWS_WITHIN);
}
