//! A portal that is down, refuses, or sends something else than it should.

use std::time::Duration;

use menshen::face::page::Cause;

use super::portal::Portal;
use super::{has_session, last_error, log_in, start};
use crate::upstream::Reply;

const HTML: &str = "Content-Type: text/html\r\n";
const REDIRECT: &str = "Location: /user\r\n";

/// A path, the status, headers and body of its answer, the cause on the page, and a part of the log.
type Failure = (
    &'static str,
    u16,
    &'static str,
    &'static str,
    Cause,
    &'static str,
);

const FAILURES: &[Failure] = &[
    (
        "/token",
        200,
        "",
        "{\"return_code\": 1}",
        Cause::ProviderMisconfigured,
        "`token`: `success` is not true",
    ),
    (
        "/token",
        403,
        "",
        "{}",
        Cause::ProviderMisconfigured,
        "step 1 answered 403: `token`",
    ),
    (
        "/token",
        200,
        HTML,
        "<html>",
        Cause::ProviderUnreachable,
        "something else than JSON (text/html)",
    ),
    (
        "/token",
        200,
        "",
        "{}",
        Cause::ProviderMisconfigured,
        "`token`: `success` has no value",
    ),
    (
        "/token",
        200,
        "",
        "[]",
        Cause::ProviderMisconfigured,
        "`token`: `success` has no value",
    ),
    (
        "/token",
        200,
        "",
        "{\"return_code\": 0}",
        Cause::ProviderMisconfigured,
        "`token`: `cache` has no value",
    ),
    (
        "/token",
        500,
        "",
        "{}",
        Cause::ProviderUnreachable,
        "step 1 answered with HTTP status 500",
    ),
    (
        "/token",
        429,
        "",
        "{}",
        Cause::ProviderBusy,
        "step 1 answered 429: `token`",
    ),
    (
        "/user",
        200,
        HTML,
        "<html>",
        Cause::ProviderUnreachable,
        "step 2 answered with HTTP status 200",
    ),
    (
        "/user",
        302,
        REDIRECT,
        "{}",
        Cause::ProviderUnreachable,
        "step 2 answered with HTTP status 302",
    ),
    (
        "/user",
        404,
        "",
        "{}",
        Cause::CodeRejectedTwice,
        "step 2 answered 404: `user`",
    ),
    (
        "/user",
        204,
        "",
        "",
        Cause::ProviderUnreachable,
        "step 2 answered with HTTP status 204",
    ),
    (
        "/user",
        200,
        "",
        "{\"return_code\": \"0\"}",
        Cause::CodeRejectedTwice,
        "`user`: `success` is not true",
    ),
    (
        "/user",
        200,
        "",
        "{\"return_code\": 0}",
        Cause::InvalidProviderResponse,
        "`subject` has no value",
    ),
    (
        "/user",
        200,
        "",
        "not json",
        Cause::ProviderUnreachable,
        "something else than JSON",
    ),
];

#[tokio::test]
async fn each_failure_has_its_page_and_the_log_names_step_status_and_expression() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    for (path, status, headers, body, cause, logged) in FAILURES {
        portal.respond_with(path, *status, headers, body);
        let (browser, page) = log_in(&menshen).await;
        assert_eq!(page.answer.cause(), Some(*cause), "{path} {status} {body}");
        assert!(!has_session(&browser), "{path} {status} {body}");
        let error = last_error(&menshen);
        assert!(error.contains(logged), "{path} {status} {body}: {error}");
        portal.state().replaced.clear();
        menshen.advance(Duration::from_secs(60));
    }
    assert_eq!(log_in(&menshen).await.1.answer.status, 200);
}

#[tokio::test]
async fn a_subject_is_a_text_or_a_whole_number_that_is_not_empty() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    for (id, is_accepted) in [
        ("\"u-1\"", true),
        ("12345678901234", true),
        ("12345678901234567890", true),
        ("98765432109876543210", false),
        ("\"\"", false),
        ("\" \"", false),
        ("null", false),
        ("1.5", false),
        ("true", false),
        ("[1]", false),
        ("{}", false),
    ] {
        let body = format!(
            "{{\"return_code\":0,\"return_data\":{{\"id\":{id},\"account\":\"p{}\"}}}}",
            id.len()
        );
        portal.respond_with("/user", 200, "", &body);
        let (browser, page) = log_in(&menshen).await;
        assert_eq!(has_session(&browser), is_accepted, "{id}");
        if !is_accepted {
            assert_eq!(
                page.answer.cause(),
                Some(Cause::InvalidProviderResponse),
                "{id}"
            );
            let error = last_error(&menshen);
            assert!(error.contains("`subject`"), "{id}: {error}");
        }
    }
    let no_object = "{\"return_code\":0,\"return_data\":7}";
    let toml = portal
        .code_toml("")
        .replace("steps.user.return_data.id", "steps.user.return_data");
    let menshen = start(&toml).await;
    portal.respond_with("/user", 200, "", no_object);
    log_in(&menshen).await;
    assert!(last_error(&menshen).contains("`profile` is not an object"));
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    let person = "{\"return_code\":0,\"return_data\":{\"id\":1,\"account\":\"a\"},\"x\":\"XX\"}";
    let of_length = |length: usize| person.replace("XX", &"x".repeat(length - person.len() + 2));
    for (length, is_accepted) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        portal.respond_with("/user", 200, "", &of_length(length));
        let (browser, _) = log_in(&menshen).await;
        assert_eq!(has_session(&browser), is_accepted, "{length}");
    }
    assert!(last_error(&menshen).contains("more than 1048576 bytes"));
}

#[tokio::test]
async fn nobody_is_sent_to_a_portal_that_is_down() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    portal.state().down = true;
    let (_, page) = log_in(&menshen).await;
    assert_eq!(page.answer.cause(), Some(Cause::ProviderUnreachable));
    assert!(portal.calls("/authorize").is_empty());
    portal.state().down = false;
    menshen.advance(Duration::from_secs(3));
    assert_eq!(log_in(&menshen).await.1.answer.status, 200);
}

#[tokio::test]
async fn a_connection_that_breaks_is_not_repeated_with_the_code() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    portal
        .state()
        .replaced
        .insert("/user".to_owned(), Reply::Close(Vec::new()));
    let (browser, page) = log_in(&menshen).await;
    assert_eq!(page.answer.cause(), Some(Cause::ProviderUnreachable));
    assert!(!has_session(&browser));
    assert_eq!(portal.calls("/user").len(), 1);
}

#[tokio::test]
async fn a_slow_step_is_given_up_after_ten_seconds() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    let hangs = Reply::HoldOpen(Vec::new());
    portal.state().replaced.insert("/user".to_owned(), hangs);
    let (browser, page) = log_in(&menshen).await;
    assert_eq!(page.answer.cause(), Some(Cause::ProviderUnreachable));
    assert!(!has_session(&browser));
    let error = last_error(&menshen);
    assert!(error.contains("step 2 was not answered in time"), "{error}");
}
