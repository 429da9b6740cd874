//! Logins of mobile apps and custom front ends.

use serde_json::{Value, json};

use super::{CALLBACK, TOKEN, start};
use crate::browser::Browser;
use crate::lark::{APP_ID, APP_SECRET, CodeRequest, Lark};
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::setup::SSO_URL;
use crate::wire::Answer;

const HEADERS: [(&str, &str); 4] = [
    ("Origin", SSO_URL),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
    ("Content-Type", "application/json"),
];

async fn login_config(browser: &mut Browser) -> Value {
    let url = format!("{OWN_PAGES}/login-config/fs?rd=/echo");
    let answer = browser.send("GET", &url, &HEADERS[..3], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains(APP_SECRET));
    answer.json()
}

async fn post(browser: &mut Browser, body: &Value) -> Answer {
    let url = format!("{OWN_PAGES}/login/fs");
    let body = body.to_string();
    browser.send("POST", &url, &HEADERS, body.as_bytes()).await
}

#[tokio::test]
async fn the_login_config_has_what_the_sdk_needs() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(
        &lark,
        "brand = 'lark'\nscopes = ['contact:user.email:readonly']",
    )
    .await;
    let config = login_config(&mut Browser::new(&menshen)).await;
    for (name, value) in [
        ("connector", json!("fs")),
        ("kind", json!("lark")),
        ("app_id", json!(APP_ID)),
        ("brand", json!("lark")),
        ("scopes", json!(["contact:user.email:readonly"])),
        ("redirect_uri", json!(CALLBACK)),
    ] {
        assert_eq!(config[name], value, "{name}: {config}");
    }
    let url = config["url"].as_str().unwrap();
    assert_eq!(
        query_parameter(url, "state").as_deref(),
        config["state"].as_str()
    );
    assert!(
        url.starts_with(&lark.base_url()) && url.contains("code_challenge="),
        "{url}"
    );
}

#[tokio::test]
async fn a_front_end_brings_the_code_of_the_login_page() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "").await;
    let mut browser = Browser::new(&menshen);
    let config = login_config(&mut browser).await;
    let page = Lark::choose(config["url"].as_str().unwrap(), "lisi");
    let back = browser.visit(&page).await;
    let code = query_parameter(back.header("location").unwrap(), "code").unwrap();
    let answer = post(
        &mut browser,
        &json!({ "code": code, "state": config["state"] }),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["user"]["login"], "lisi");
    assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
}

#[tokio::test]
async fn an_app_brings_the_code_of_the_sdk_with_the_verifier_that_the_sdk_made() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, "contacts = true").await;
    // RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    for (challenge, verifier, kind, status) in [
        (Some(challenge), Some(verifier), "sdk", 200),
        (None, None, "sdk", 200),
        (Some(challenge), None, "sdk", 400),
        (Some(challenge), Some("another"), "sdk", 400),
        (None, Some(verifier), "sdk", 400),
        (Some(challenge), Some("a b"), "sdk", 400),
        (Some(challenge), Some(""), "sdk", 400),
        // Without the kind it must be a code of the login page.
        (Some(challenge), Some(verifier), "code", 502),
        (Some(challenge), Some(verifier), "other", 400),
    ] {
        // An app has no cookies.
        let mut app = Browser::new(&menshen);
        let config = login_config(&mut app).await;
        app.delete_cookies("menshen");
        let code = lark.issue_code(CodeRequest {
            user_id: "zhangsan",
            app_id: APP_ID,
            redirect_uri: None,
            challenge,
        });
        let mut body = json!({
            "code": code, "state": config["state"], "flow": config["flow"], "kind": kind,
        });
        if let Some(verifier) = verifier {
            body["code_verifier"] = json!(verifier);
        }
        let answer = post(&mut app, &body).await;
        let what = format!("{challenge:?} {verifier:?} {kind}");
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        if status == 200 {
            // A repeated request gets the same session, and redeems nothing.
            let redeemed = lark.calls(TOKEN);
            post(&mut app, &body).await;
            assert_eq!(lark.calls(TOKEN), redeemed, "{what}");
        }
        assert_eq!(app.cookie("menshen").is_some(), status == 200, "{what}");
    }
    let request = lark.last_token_request();
    assert!(request["client_secret"].is_string(), "{request}");
}
