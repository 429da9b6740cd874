//! Logins by QR code.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::json;

use super::{
    CONTEXT_PATH, ID, LI, TOKEN_PATH, ZHANG, advance, has_session, last_error, open_scan_page,
    scan, start, start_source,
};
use crate::browser::Browser;
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::setup::SSO_URL;
use crate::yunzhijia_source::{APP_ID, APP_SECRET, EID, OTHER_EID, Yunzhijia};

#[tokio::test]
async fn a_person_signs_in_and_the_upstream_receives_the_identity() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let mut browser = Browser::new(&menshen);
    let page = open_scan_page(&mut browser).await;
    assert!(page.starts_with(&format!(
        "{}/opencloud/openthird/qrconnet?",
        source.base_url()
    )));
    let callback = format!("{OWN_PAGES}/callback/yzj");
    assert_eq!(query_parameter(&page, "appid").as_deref(), Some(APP_ID));
    assert_eq!(query_parameter(&page, "redirect_uri"), Some(callback));
    let page = browser.follow(&Yunzhijia::choose(&page, ZHANG)).await;
    assert_eq!(
        page.url,
        format!("{SSO_URL}/echo"),
        "{}",
        page.answer.text()
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(
        page.answer.echoed("x-forwarded-name"),
        ["%E5%BC%A0%E4%B8%89"]
    );
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(info["mobile"], "13800000001");
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["subject"], format!("{EID}:{ZHANG}"));
    let token = source.bodies(TOKEN_PATH).pop().unwrap();
    assert_eq!(
        token,
        json!({
            "appId": APP_ID, "secret": APP_SECRET, "timestamp": 1_800_000_000_000_i64, "scope": "app",
        })
    );
    let context = source.bodies(CONTEXT_PATH).pop().unwrap();
    assert_eq!(
        (&context["appid"], &context["disposable"]),
        (&json!(APP_ID), &json!(true))
    );
}

#[tokio::test]
async fn a_person_without_mobile_and_number_can_sign_in() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let (mut browser, page) = scan(&menshen, LI).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert!(
        info["mobile"].is_null() && info["email"].is_null(),
        "{info}"
    );
    source.person(LI, |person| person.job_no = String::new());
    let (_, page) = scan(&menshen, LI).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), [LI]);
    source.person("no-name", |person| person.name = String::new());
    let (_, page) = scan(&menshen, "no-name").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["no-name"]);
}

#[tokio::test]
async fn people_of_another_team_or_with_a_ticket_of_another_application_are_refused() {
    let source = start_source().await;
    let menshen = start(&source).await;
    for (openid, eid, app_id, cause) in [
        ("foreign", OTHER_EID, APP_ID, Cause::NotMember),
        ("nowhere", "", APP_ID, Cause::InvalidProviderResponse),
        (
            "other-app",
            EID,
            "500000002",
            Cause::InvalidProviderResponse,
        ),
    ] {
        source.person(openid, |person| {
            eid.clone_into(&mut person.eid);
            app_id.clone_into(&mut person.app_id);
        });
        let (browser, page) = scan(&menshen, openid).await;
        assert_eq!(page.answer.cause(), Some(cause), "{openid}");
        assert!(!has_session(&browser), "{openid}");
    }
    assert!(last_error(&menshen).contains("another application"));
}

#[tokio::test]
async fn a_response_counts_only_for_our_application_in_the_browser_that_began_and_once() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let mut browser = Browser::new(&menshen);
    let page = open_scan_page(&mut browser).await;
    let answer = browser.visit(&Yunzhijia::choose(&page, ZHANG)).await;
    let callback = answer.header("location").unwrap().to_owned();
    let state = query_parameter(&callback, "state").unwrap();
    for url in [
        callback.replace(&state, &"b".repeat(32)),
        format!("{callback}&state={state}"),
        callback.replace("state=", "st="),
    ] {
        let answer = browser.visit(&url).await;
        assert!(
            [400, 403].contains(&answer.status),
            "{url}: {}",
            answer.status
        );
    }
    let mut other = Browser::new(&menshen);
    assert_eq!(
        other.visit(&callback).await.cause(),
        Some(Cause::FlowCookieMissing)
    );
    assert_eq!(
        (source.calls(TOKEN_PATH), source.calls(CONTEXT_PATH)),
        (0, 0)
    );
    let page = browser.follow(&callback).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert!(has_session(&browser));
    assert_eq!(
        other.visit(&callback).await.cause(),
        Some(Cause::FlowCookieMissing)
    );
    assert_eq!(source.calls(CONTEXT_PATH), 1);
}

#[tokio::test]
async fn a_malformed_response_asks_nobody() {
    let source = start_source().await;
    let menshen = start(&source).await;
    for (parameters, cause) in [
        ("appId=500000002&ticket=t", Cause::InvalidProviderResponse),
        ("ticket=a&ticket=b", Cause::InvalidProviderResponse),
        ("ticket=", Cause::InvalidProviderResponse),
        ("ticket=a%0Ab", Cause::InvalidProviderResponse),
        ("ticket=a%20b", Cause::InvalidProviderResponse),
        ("error=denied", Cause::LoginDeclined),
    ] {
        let mut browser = Browser::new(&menshen);
        let page = open_scan_page(&mut browser).await;
        let state = query_parameter(&page, "state").unwrap();
        let url = format!("{OWN_PAGES}/callback/yzj?{parameters}&state={state}");
        let answer = browser.visit(&url).await;
        assert_eq!(answer.cause(), Some(cause), "{parameters}");
    }
    assert_eq!(
        (source.calls(TOKEN_PATH), source.calls(CONTEXT_PATH)),
        (0, 0)
    );
    // Anybody can bring such a response, so it says nothing about Yunzhijia.
    let site = menshen.running.live().site();
    let mut entries = site.login.entries().iter();
    let entry = entries.find(|entry| entry.id.as_str() == ID).unwrap();
    let report = entry.health.report();
    assert!(report.last_problem.is_none(), "{report:?}");
    assert!(report.answered_at.is_none(), "{report:?}");
    // Without the application's ID, which Yunzhijia need not send, the ticket counts.
    let mut browser = Browser::new(&menshen);
    let page = open_scan_page(&mut browser).await;
    let state = query_parameter(&page, "state").unwrap();
    let ticket = source.issue_ticket(ZHANG);
    let url = format!("{OWN_PAGES}/callback/yzj?ticket={ticket}&state={state}");
    assert_eq!(browser.follow(&url).await.answer.status, 200);
}

#[tokio::test]
async fn the_token_is_shared_and_replaced_before_its_end() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let logins = tokio::join!(scan(&menshen, ZHANG), scan(&menshen, LI));
    assert!(has_session(&logins.0.0) && has_session(&logins.1.0));
    assert_eq!(source.calls(TOKEN_PATH), 1);
    advance(&menshen, &source, Duration::from_secs(6_099));
    scan(&menshen, ZHANG).await;
    assert_eq!(source.calls(TOKEN_PATH), 1);
    advance(&menshen, &source, Duration::from_secs(1));
    scan(&menshen, ZHANG).await;
    assert_eq!(source.calls(TOKEN_PATH), 2);
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once() {
    let source = start_source().await;
    let menshen = start(&source).await;
    assert!(has_session(&scan(&menshen, ZHANG).await.0));
    source.revoke_tokens();
    let (browser, page) = scan(&menshen, ZHANG).await;
    assert!(has_session(&browser), "{}", page.answer.text());
    assert_eq!(
        (source.calls(TOKEN_PATH), source.calls(CONTEXT_PATH)),
        (2, 3)
    );
    // Once only.
    advance(&menshen, &source, Duration::from_secs(10));
    source.fail(CONTEXT_PATH, 1201, "accessToken无效", 9);
    let (browser, page) = scan(&menshen, ZHANG).await;
    assert!(!has_session(&browser));
    assert_eq!(page.answer.cause(), Some(Cause::ProviderMisconfigured));
    assert_eq!(
        (source.calls(TOKEN_PATH), source.calls(CONTEXT_PATH)),
        (3, 5)
    );
}

#[tokio::test]
async fn a_used_ticket_begins_the_login_once_more_and_asks_for_no_new_token() {
    let source = start_source().await;
    let menshen = start(&source).await;
    source.fail(CONTEXT_PATH, 1202, "ticket已失效", 1);
    let mut browser = Browser::new(&menshen);
    let page = open_scan_page(&mut browser).await;
    let first = browser.visit(&Yunzhijia::choose(&page, ZHANG)).await;
    let again = browser.visit(first.header("location").unwrap()).await;
    let page = again.header("location").unwrap_or_default().to_owned();
    assert!(page.contains("qrconnet"), "{page}");
    let page = browser.follow(&Yunzhijia::choose(&page, ZHANG)).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert_eq!(source.calls(TOKEN_PATH), 1);
}
