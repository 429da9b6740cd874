//! The connectors of the admin API: whether their sources answer, and the last problem of each.

use serde_json::{Value, json};

use super::{call_api, setup, sign_in_as};
use crate::browser::Browser;
use crate::setup::{Menshen, SSO_URL};
use crate::troubles::{MEMBER, TOKEN as GET_TOKEN};

async fn connector(menshen: &Menshen) -> Value {
    let answer = call_api(menshen, "GET", "/api/connectors", &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let connectors = answer.json()["connectors"].as_array().unwrap().clone();
    assert_eq!(connectors.len(), 1, "{connectors:?}");
    connectors[0].clone()
}

async fn fail_to_sign_in(menshen: &Menshen) {
    let mut browser = Browser::new(menshen);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_ne!(page.answer.status, 200);
}

#[tokio::test]
async fn a_connector_shows_its_last_success_and_its_last_problem() {
    let menshen = setup().start().await;
    let unused = connector(&menshen).await;
    assert_eq!(
        unused,
        json!({
            "id": "corp", "display_name": unused["display_name"], "kind": "wecom",
            "order": 0, "origin": unused["origin"], "file": "test.toml", "enabled": true, "default": false,
            "shadowed": false, "broken": null, "etag": "0",
            "reachable": null, "last_success_at": null, "last_problem": null,
        })
    );
    sign_in_as(&menshen, "zhangsan").await;
    let answered = connector(&menshen).await;
    assert_eq!(answered["reachable"], true);
    assert!(answered["last_success_at"].is_number(), "{answered}");
    assert_eq!(answered["last_problem"], Value::Null);

    // WeCom refuses the application.
    menshen.advance(std::time::Duration::from_secs(10));
    menshen.wecom.fail(MEMBER, 60020, 1);
    fail_to_sign_in(&menshen).await;
    let refused = connector(&menshen).await;
    assert_eq!(refused["reachable"], true);
    assert_eq!(refused["last_success_at"], answered["last_success_at"]);
    let problem = &refused["last_problem"];
    assert!(
        problem["error"].as_str().unwrap().contains("60020"),
        "{problem}"
    );
    assert!(!problem["remedy"].as_str().unwrap().is_empty(), "{problem}");
    assert!(problem["at"].as_i64() > answered["last_success_at"].as_i64());

    // The problem stays visible after the next success.
    menshen.advance(std::time::Duration::from_secs(10));
    sign_in_as(&menshen, "zhangsan").await;
    let again = connector(&menshen).await;
    assert!(again["last_success_at"].as_i64() > problem["at"].as_i64());
    assert_eq!(&again["last_problem"], problem);
}

#[tokio::test]
async fn a_refused_person_is_no_problem_of_the_source() {
    let menshen = setup().start().await;
    menshen.wecom.fail(MEMBER, 60111, 1);
    fail_to_sign_in(&menshen).await;
    let shown = connector(&menshen).await;
    assert_eq!(shown["reachable"], true);
    assert_eq!(shown["last_problem"], Value::Null);
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let menshen = setup().start().await;
    menshen.wecom.fail(GET_TOKEN, 40001, 1);
    fail_to_sign_in(&menshen).await;
    let shown = connector(&menshen).await;
    assert!(
        shown["last_problem"]["remedy"]
            .as_str()
            .unwrap()
            .contains("Secret"),
        "{shown}"
    );
    assert!(!shown.to_string().contains(crate::wecom::SECRET), "{shown}");
}
