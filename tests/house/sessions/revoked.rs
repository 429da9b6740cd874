//! A revocation takes effect at the next request, and only for its own sessions.

use std::time::Duration;

use super::status;
use crate::browser::Browser;
use crate::passing::guest_connector;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_after, session_cookie_of};
use crate::wecom::OTHER_AGENT_ID;

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"open sesame\"\n";

/// An instance of menshen, and the session cookies of 张三, 李四 and a guest of the other connector.
async fn sign_in_three_people() -> (Menshen, [String; 3]) {
    let setup = Setup::default().tables(&format!("{ADMIN}{}", guest_connector()));
    let menshen = setup.start().await;
    menshen
        .wecom
        .set_agent_domains(OTHER_AGENT_ID, &["sso.test"]);
    let start = "/.menshen/start?connector=guests&rd=%2Fecho";
    let cookies = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
        session_cookie_after(&menshen, start, "zhangsan").await,
    ];
    // All sessions are cached.
    assert_eq!(statuses(&menshen, &cookies).await, [200; 3]);
    (menshen, cookies)
}

async fn statuses(menshen: &Menshen, cookies: &[String; 3]) -> [u16; 3] {
    let mut found = [0; 3];
    for (at, cookie) in cookies.iter().enumerate() {
        found[at] = status(menshen, cookie).await;
    }
    found
}

async fn api(menshen: &Menshen, method: &str, path: &str, body: &str) -> serde_json::Value {
    let ask = TestRequest::get(path)
        .host("127.0.0.1")
        .method(method)
        .header("Authorization", "Bearer open sesame")
        .header("Content-Length", &body.len().to_string())
        .body(body.as_bytes());
    let answer = ask.send_to(menshen.running.admin_address().unwrap()).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn a_revocation_ends_exactly_its_sessions_at_the_next_request() {
    for (body, left) in [
        (r#"{"login": "zhangsan"}"#, [401, 200, 200]),
        (r#"{"login": "ZhangSan"}"#, [401, 200, 200]),
        (r#"{"connector": "corp"}"#, [401, 401, 200]),
        (r#"{"connector": "guests"}"#, [200, 200, 401]),
        (r#"{"everyone": true}"#, [401, 401, 401]),
    ] {
        let (menshen, cookies) = sign_in_three_people().await;
        api(&menshen, "POST", "/api/revoke", body).await;
        assert_eq!(statuses(&menshen, &cookies).await, left, "{body}");
        // A new login succeeds.
        menshen.advance(Duration::from_secs(1));
        let anew = session_cookie_of(&menshen, "zhangsan").await;
        assert_eq!(status(&menshen, &anew).await, 200, "{body}");
        assert_eq!(statuses(&menshen, &cookies).await, left, "{body}, later");
    }
}

#[tokio::test]
async fn revoking_one_session_keeps_the_other_sessions_of_the_person() {
    let (menshen, [zhang, ..]) = sign_in_three_people().await;
    let other = session_cookie_of(&menshen, "zhangsan").await;
    let list = api(&menshen, "GET", "/api/sessions?login=zhangsan", "").await;
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let id = sessions[0]["id"].as_str().unwrap();
    api(&menshen, "DELETE", &format!("/api/sessions/{id}"), "").await;
    let mut left = [
        status(&menshen, &zhang).await,
        status(&menshen, &other).await,
    ];
    left.sort_unstable();
    assert_eq!(left, [200, 401]);
}

#[tokio::test]
async fn a_closed_account_is_refused_until_it_is_opened() {
    let (menshen, [zhang, li, _]) = sign_in_three_people().await;
    let list = api(&menshen, "GET", "/api/sessions?login=zhangsan", "").await;
    let account = list["sessions"][0]["account"].as_str().unwrap().to_owned();
    api(
        &menshen,
        "POST",
        &format!("/api/accounts/{account}/close"),
        "",
    )
    .await;
    assert_eq!(status(&menshen, &zhang).await, 401);
    assert_eq!(status(&menshen, &li).await, 200);
    let mut browser = Browser::new(&menshen);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert_eq!(browser.cookie("menshen"), None);
    api(
        &menshen,
        "POST",
        &format!("/api/accounts/{account}/open"),
        "",
    )
    .await;
    assert_eq!(
        status(&menshen, &zhang).await,
        401,
        "the old session has ended"
    );
    menshen.advance(Duration::from_secs(1));
    let anew = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &anew).await, 200);
}

#[tokio::test]
async fn a_copied_cookie_of_a_signed_out_session_is_refused() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let kept = browser.cookie("menshen").unwrap().value.clone();
    let elsewhere = session_cookie_of(&menshen, "zhangsan").await;
    // A script, a frame or another site cannot end the session.
    for headers in [
        vec![("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")],
        vec![("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
        vec![("Accept", "*/*")],
    ] {
        let ask = TestRequest::get("/.menshen/sign_out")
            .session(&kept)
            .headers(&headers);
        assert_eq!(ask.send(&menshen).await.status, 403, "{headers:?}");
    }
    let head = TestRequest::get("/.menshen/sign_out")
        .method("HEAD")
        .session(&kept)
        .navigating();
    assert_eq!(head.send(&menshen).await.status, 405);
    assert_eq!(status(&menshen, &kept).await, 200);
    browser.visit(&format!("{SSO_URL}/.menshen/sign_out")).await;
    assert_eq!(browser.cookie("menshen"), None);
    assert_eq!(status(&menshen, &kept).await, 401);
    assert_eq!(status(&menshen, &elsewhere).await, 200, "only this session");
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_sessions_of_the_person() {
    let (menshen, [zhang, li, guest]) = sign_in_three_people().await;
    let elsewhere = session_cookie_of(&menshen, "zhangsan").await;
    let ask = TestRequest::get("/.menshen/sign_out?everywhere=1").method("POST");
    let ask = ask.session(&zhang).header("Content-Length", "0");
    let foreign = ask.clone().header("Origin", "http://evil.test");
    assert_eq!(foreign.send(&menshen).await.status, 403);
    assert_eq!(status(&menshen, &elsewhere).await, 200);
    let own = ask.header("Origin", SSO_URL);
    assert_eq!(own.send(&menshen).await.status, 200);
    assert_eq!(status(&menshen, &elsewhere).await, 401);
    assert_eq!(
        statuses(&menshen, &[zhang, li, guest]).await,
        [401, 200, 200]
    );
}
