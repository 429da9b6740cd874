//! Two sites on one store: what one of them is told holds on the other within a second.

use std::time::{Duration, Instant};

use menshen::run::Running;
use serde_json::json;

use super::{Call, PREFIX, TOKEN, data_of, put, setup, wecom_fields, with};
use crate::browser::Browser;
use crate::setup::{Menshen, SSO_URL};
use crate::stores::TempDir;
use crate::wire;

const START: &str = "http://sso.test/.menshen/start?connector=wechat-work";
/// The promise for other nodes, in the median: the slowest ones show a busy machine.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a node sends people to this corporation; returns how long that took.
async fn sends_to(node: &Running, corp_id: &str) -> Duration {
    let began = Instant::now();
    loop {
        let answer = Browser::at(node.addresses()[0]).visit(START).await;
        let to = answer.header("location").unwrap_or_default();
        if to.contains(corp_id) {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "never sent to {corp_id}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn signs_in(node: &Running) -> bool {
    let mut browser = Browser::at(node.addresses()[0]);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    page.answer.status == 200
}

/// The code of an answer of the other node.
async fn put_at(node: &Running, body: &serde_json::Value) -> u64 {
    let body = body.to_string();
    let request = format!(
        "PUT {PREFIX}wechat-work HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = wire::send(node.admin_address().unwrap(), request.as_bytes()).await;
    answer.json()["code"].as_u64().unwrap()
}

async fn two_nodes(dir: &TempDir) -> (Menshen, Running) {
    let setup = setup().store(&dir.url());
    let menshen = setup.clone().start().await;
    let text = setup.text(&menshen.wecom, &menshen.app);
    let other = crate::setup::run(&text, &menshen.clock).await;
    (menshen, other)
}

#[tokio::test]
async fn a_change_and_its_rollback_hold_on_the_other_node_within_a_second() {
    let dir = TempDir::new();
    let (menshen, other) = two_nodes(&dir).await;
    let fields = wecom_fields(&menshen);
    let own_key = fields["key"].as_str().unwrap().to_owned();
    let other_corp = |number: usize| with(&fields, &json!({ "key": format!("ww{number:016}") }));
    put(&menshen, "wechat-work", &fields).await;
    let mut delays = vec![sends_to(&other, &own_key).await];
    assert!(signs_in(&other).await);
    for number in 0..4 {
        let changed = other_corp(number);
        let key = changed["key"].as_str().unwrap();
        // Either node takes changes.
        match number % 2 {
            0 => {
                put(&menshen, "wechat-work", &changed).await;
                delays.push(sends_to(&other, key).await);
            }
            _ => {
                assert_eq!(put_at(&other, &changed).await, 0);
                delays.push(sends_to(&menshen.running, key).await);
            }
        }
    }
    let rollback = Call::new("POST", "/api/config/rollback");
    let answer = rollback.text("{\"version\": 1}").send(&menshen).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    delays.push(sends_to(&other, &own_key).await);
    menshen.advance(Duration::from_secs(1));
    assert!(signs_in(&other).await);
    assert!(signs_in(&menshen.running).await);
    delays.sort();
    assert!(delays[delays.len() / 2] <= FOLLOWS_WITHIN, "{delays:?}");
}

#[tokio::test]
async fn a_precondition_of_one_node_counts_changes_of_the_other() {
    let dir = TempDir::new();
    let (menshen, other) = two_nodes(&dir).await;
    let fields = wecom_fields(&menshen);
    put(&menshen, "wechat-work", &fields).await;
    assert_eq!(put_at(&other, &fields).await, 0);
    let stale = Call::put("wechat-work", &fields).header("If-Match: \"1\"");
    // Not `refused`: this node may take over the version of the other meanwhile.
    let envelope = super::envelope(&stale.send(&menshen).await);
    assert_eq!(envelope["code"], 41200, "{envelope}");
    data_of(
        &menshen,
        &Call::put("wechat-work", &fields).header("If-Match: \"2\""),
    )
    .await;
}
