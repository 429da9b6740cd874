//! Own front ends: `/login-config` and `/login`.

use serde_json::{Value, json};

use super::{ZHANG, has_session, start, start_source};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::wire::Answer;
use crate::yunzhijia_source::{APP_ID, EID};

pub(super) async fn login_config(browser: &mut Browser) -> Value {
    let url = format!("{OWN_PAGES}/login-config/yzj?rd=/echo");
    let answer = browser.visit(&url).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

pub(super) async fn log_in(browser: &mut Browser, body: &Value) -> Answer {
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
        ("Origin", "http://sso.test"),
    ];
    let url = format!("{OWN_PAGES}/login/yzj");
    let body = body.to_string();
    browser.send("POST", &url, &headers, body.as_bytes()).await
}

#[tokio::test]
async fn a_front_end_gets_the_parameters_and_exchanges_a_ticket() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let mut browser = Browser::new(&menshen);
    let config = login_config(&mut browser).await;
    assert_eq!(
        (&config["kind"], &config["connector"]),
        (&json!("yunzhijia"), &json!("yzj"))
    );
    assert_eq!(
        (&config["app_id"], &config["eid"]),
        (&json!(APP_ID), &json!(EID))
    );
    assert_eq!(config["redirect_uri"], format!("{OWN_PAGES}/callback/yzj"));
    assert!(config["web_url"].as_str().unwrap().contains("qrconnet"));
    let ticket = source.issue_ticket(ZHANG);
    let body = json!({ "code": ticket, "state": config["state"] });
    let answer = log_in(&mut browser, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["user"]["login"], "zhangsan");
    assert!(has_session(&browser));
}

#[tokio::test]
async fn a_front_end_needs_a_state_of_its_own_and_a_ticket_that_counts() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let mut browser = Browser::new(&menshen);
    let config = login_config(&mut browser).await;
    let ticket = source.issue_ticket(ZHANG);
    let mut other = Browser::new(&menshen);
    let body = json!({ "code": ticket, "state": config["state"] });
    assert_ne!(log_in(&mut other, &body).await.status, 200);
    assert!(!has_session(&other));
    for body in [
        json!({ "code": ticket, "state": "b".repeat(32) }),
        json!({ "code": ticket, "state": config["state"], "kind": "web" }),
        json!({ "code": "forged", "state": config["state"] }),
    ] {
        assert_ne!(log_in(&mut browser, &body).await.status, 200, "{body}");
        assert!(!has_session(&browser), "{body}");
    }
}
