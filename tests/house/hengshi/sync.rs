//! `PUT dingtalk/sync`: settings, and a directory sync that the request starts.

use menshen::people::directory_sync::SyncOutcome;
use menshen::store::PeopleQuery;
use serde_json::{Value, json};

use super::{Call, data_of, envelope, get, put, refused, setup};
use crate::dingtalk_source::{APP_KEY, APP_SECRET, CORP_ID, DingTalk};
use crate::setup::Menshen;

fn fields(dingtalk: &DingTalk) -> Value {
    let base = dingtalk.base_url();
    json!({
        "appKey": APP_KEY, "appSecret": APP_SECRET, "corpId": CORP_ID,
        "menshen": { "dingtalk": { "api_base": base, "oapi_base": base, "sync_brake": 100 } },
    })
}

/// Waits for the sync that runs, and returns how many people there are.
async fn people_after_sync(menshen: &Menshen) -> usize {
    let login = menshen.running.live().site().login.clone();
    let status = login.sync_status(&"dingtalk".parse().unwrap()).unwrap();
    let report = match status.running {
        Some(running) => running.report().await,
        None => status.last,
    };
    assert_eq!(report.unwrap().outcome, SyncOutcome::Done);
    let query = PeopleQuery {
        max: 1_000,
        ..PeopleQuery::default()
    };
    let people = &menshen.running.live().services().people;
    people.list(&query).await.unwrap().len()
}

#[tokio::test]
async fn a_body_replaces_the_settings_and_starts_a_sync() {
    let menshen = setup().start().await;
    let dingtalk = DingTalk::start().await.unwrap();
    let shown = put(&menshen, "dingtalk/sync", &fields(&dingtalk)).await;
    assert_eq!(shown["appSecret"], "********");
    assert_eq!(get(&menshen, "dingtalk").await, shown);
    assert_eq!(people_after_sync(&menshen).await, 3);
    let version = menshen.running.live().settings().version();
    for call in [
        Call::new("PUT", "dingtalk/sync"),
        Call::put("dingtalk/sync", &json!({})),
    ] {
        assert_eq!(data_of(&menshen, &call).await, shown);
        assert_eq!(people_after_sync(&menshen).await, 3);
    }
    assert_eq!(menshen.running.live().settings().version(), version);
}

#[tokio::test]
async fn without_settings_nothing_is_synced() {
    let menshen = setup().start().await;
    refused(&menshen, &Call::new("PUT", "dingtalk/sync"), 40902).await;
    let bad = Call::put("dingtalk/sync", &json!({ "appKey": "k" }));
    refused(&menshen, &bad, 40001).await;
}

#[tokio::test]
async fn a_source_that_refuses_or_does_not_answer_is_50200() {
    let menshen = setup().start().await;
    let dingtalk = DingTalk::start().await.unwrap();
    let mut wrong = fields(&dingtalk);
    wrong["appSecret"] = json!("hunter2-wrong");
    let answer = Call::put("dingtalk/sync", &wrong).send(&menshen).await;
    let refused = envelope(&answer);
    assert_eq!(refused["code"], 50200, "{refused}");
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
    let mut nowhere = fields(&dingtalk);
    nowhere["menshen"]["dingtalk"]["api_base"] = json!("http://127.0.0.1:1");
    nowhere["menshen"]["dingtalk"]["oapi_base"] = json!("http://127.0.0.1:1");
    let answer = Call::put("dingtalk/sync", &nowhere).send(&menshen).await;
    assert_eq!(envelope(&answer)["code"], 50200);
}
