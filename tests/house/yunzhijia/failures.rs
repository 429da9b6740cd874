//! A Yunzhijia that is down, refuses menshen, or sends something else than it should.

use std::time::Duration;

use menshen::face::page::Cause;

use super::{
    CONTEXT_PATH, TOKEN_PATH, ZHANG, advance, has_session, last_error, scan, start, start_source,
};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;

/// A path, the status and body of its answer, the cause on the page, and a part of the log.
type Failure = (&'static str, u16, &'static str, Cause, &'static str);

const FAILURES: &[Failure] = &[
    (
        TOKEN_PATH,
        200,
        r#"{"success":false,"error":"secret错误","errorCode":1103,"data":null}"#,
        Cause::ProviderMisconfigured,
        "`app_secret`",
    ),
    (
        TOKEN_PATH,
        200,
        r#"{"success":false,"error":"timestamp已过期","errorCode":1101,"data":null}"#,
        Cause::ProviderMisconfigured,
        "NTP",
    ),
    (
        TOKEN_PATH,
        200,
        r#"{"success":false,"error":"调用过于频繁","errorCode":9,"data":null}"#,
        Cause::ProviderBusy,
        "频繁",
    ),
    (
        TOKEN_PATH,
        403,
        "<html>",
        Cause::ProviderMisconfigured,
        "`app_secret`",
    ),
    (
        TOKEN_PATH,
        200,
        "<html>",
        Cause::ProviderUnreachable,
        "something else than JSON",
    ),
    (
        TOKEN_PATH,
        502,
        "",
        Cause::ProviderUnreachable,
        "HTTP status 502",
    ),
    (
        TOKEN_PATH,
        200,
        "{}",
        Cause::ProviderUnreachable,
        "lacks `success`",
    ),
    (
        TOKEN_PATH,
        200,
        "{\"success\":\"true\"}",
        Cause::ProviderUnreachable,
        "lacks `success`",
    ),
    (
        TOKEN_PATH,
        200,
        "{\"success\":true}",
        Cause::ProviderUnreachable,
        "lacks `data`",
    ),
    (
        TOKEN_PATH,
        200,
        "{\"success\":true,\"data\":{}}",
        Cause::ProviderUnreachable,
        "lacks `data.accessToken`",
    ),
    (
        CONTEXT_PATH,
        200,
        r#"{"success":false,"error":"企业未授权","errorCode":3,"data":null}"#,
        Cause::ProviderMisconfigured,
        "`eid`",
    ),
    (
        CONTEXT_PATH,
        200,
        "[]",
        Cause::ProviderUnreachable,
        "lacks an object",
    ),
    (CONTEXT_PATH, 429, "", Cause::ProviderBusy, "429"),
    (
        CONTEXT_PATH,
        302,
        "",
        Cause::ProviderUnreachable,
        "HTTP status 302",
    ),
    (
        CONTEXT_PATH,
        200,
        "{\"success\":true,\"data\":{\"eid\":\"17951708\"}}",
        Cause::InvalidProviderResponse,
        "no `openid`",
    ),
    (
        CONTEXT_PATH,
        200,
        "{\"success\":true,\"data\":{\"openid\":\"x\"}}",
        Cause::InvalidProviderResponse,
        "no `eid`",
    ),
];

#[tokio::test]
async fn each_failure_has_its_page_and_a_wrong_setting_its_remedy() {
    for (path, status, body, cause, logged) in FAILURES {
        let source = start_source().await;
        let menshen = start(&source).await;
        source.answer_with(path, *status, body, 1_000);
        let (browser, page) = scan(&menshen, ZHANG).await;
        assert_eq!(page.answer.cause(), Some(*cause), "{path} {status} {body}");
        assert!(!has_session(&browser), "{path} {status} {body}");
        let error = last_error(&menshen);
        assert!(error.contains(logged), "{path} {status} {body}: {error}");
    }
}

#[tokio::test]
async fn a_refused_secret_is_not_retried_for_a_minute() {
    let source = start_source().await;
    let menshen = start(&source).await;
    source.fail(TOKEN_PATH, 1103, "secret错误", 1);
    for _ in 0..3 {
        let (_, page) = scan(&menshen, ZHANG).await;
        assert_eq!(page.answer.cause(), Some(Cause::ProviderMisconfigured));
    }
    assert_eq!(source.calls(TOKEN_PATH), 1);
    advance(&menshen, &source, Duration::from_secs(60));
    assert!(has_session(&scan(&menshen, ZHANG).await.0));
}

#[tokio::test]
async fn a_wrong_clock_is_named() {
    let source = start_source().await;
    let menshen = start(&source).await;
    source.advance(Duration::from_secs(181));
    let (_, page) = scan(&menshen, ZHANG).await;
    assert_eq!(page.answer.cause(), Some(Cause::ProviderMisconfigured));
    assert!(
        last_error(&menshen).contains("NTP"),
        "{}",
        last_error(&menshen)
    );
}

#[tokio::test]
async fn nobody_is_sent_to_a_yunzhijia_that_is_down_and_arrivals_get_a_page() {
    let source = start_source().await;
    let menshen = start(&source).await;
    source.set_down(true);
    let start_url = format!("{OWN_PAGES}/start?connector=yzj");
    let answer = Browser::new(&menshen).visit(&start_url).await;
    assert_eq!(answer.cause(), Some(Cause::ProviderUnreachable));
    let home = format!("{OWN_PAGES}/enter/yzj?ticket=a-ticket");
    let answer = Browser::new(&menshen).visit(&home).await;
    assert_eq!(answer.cause(), Some(Cause::ProviderUnreachable));
    source.set_down(false);
    advance(&menshen, &source, Duration::from_secs(3));
    // The ticket was not used up.
    let ticket = source.issue_ticket(ZHANG);
    let home = format!("{OWN_PAGES}/enter/yzj?ticket={ticket}");
    assert_eq!(Browser::new(&menshen).visit(&home).await.status, 303);
    assert!(has_session(&scan(&menshen, ZHANG).await.0));
}

#[tokio::test]
async fn a_slow_yunzhijia_is_given_up_after_ten_seconds() {
    let source = start_source().await;
    let menshen = start(&source).await;
    source.hang(CONTEXT_PATH);
    let (browser, page) = scan(&menshen, ZHANG).await;
    assert_eq!(page.answer.cause(), Some(Cause::ProviderUnreachable));
    assert!(!has_session(&browser));
    let error = last_error(&menshen);
    assert!(
        error.contains("acquirecontext was not answered in time"),
        "{error}"
    );
}
