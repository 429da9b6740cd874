//! Expressions and answers that are made to do harm.

use menshen::face::page::Cause;
use serde_json::json;

use super::portal::Portal;
use super::{has_session, last_error, log_in, start};

#[tokio::test]
async fn an_expression_that_takes_too_much_work_fails_and_nothing_else_does() {
    let portal = Portal::start().await;
    let heavy = "steps.token.list.map(a, steps.token.list.map(b, sha256(a + b))).size() > 0";
    let body = json!({
        "return_code": 0, "return_data": { "access_token": "x", "expires_in": 0 },
        "list": (0..100).map(|_| "x".repeat(2_000)).collect::<Vec<_>>(),
    });
    portal.respond_with("/token", 200, "", &body.to_string());
    let toml = portal.code_toml("");
    let at = toml.rfind("success = ").unwrap();
    let toml = format!("{}success = \"{heavy}\"\n", &toml[..at]);
    let menshen = start(&toml).await;
    portal.respond_with("/user", 200, "", "{}");
    let (browser, page) = log_in(&menshen).await;
    assert_eq!(page.answer.cause(), Some(Cause::InvalidProviderResponse));
    assert!(!has_session(&browser));
    let error = last_error(&menshen);
    assert!(
        error.contains("`user`: `success` has no value: evaluating it takes too much work"),
        "{error}"
    );
}

#[tokio::test]
async fn a_value_of_the_portal_cannot_break_out_of_a_header() {
    let portal = Portal::start().await;
    let toml = portal.code_toml("").replace(
        "query = { access_token",
        "headers = { X-Token = \"steps.token.return_data.access_token\" }\nquery = { access_token",
    );
    let menshen = start(&toml).await;
    let hostile = json!({
        "return_code": 0,
        "return_data": { "access_token": "a\r\nX-Admin: 1", "expires_in": 0 },
    });
    portal.respond_with("/token", 200, "", &hostile.to_string());
    let (browser, page) = log_in(&menshen).await;
    assert_eq!(page.answer.cause(), Some(Cause::InvalidProviderResponse));
    assert!(!has_session(&browser));
    assert!(portal.calls("/user").is_empty());
    let error = last_error(&menshen);
    assert!(
        error.contains("the value of `headers.x-token` cannot be in a header"),
        "{error}"
    );
}

#[tokio::test]
async fn a_parameter_that_is_a_list_or_missing_fails_with_its_name() {
    let portal = Portal::start().await;
    for (expression, logged) in [
        (
            "steps.token.return_data",
            "`query.access_token` is neither a text nor a whole number",
        ),
        (
            "[code]",
            "`query.access_token` is neither a text nor a whole number",
        ),
        (
            "1.5",
            "`query.access_token` is neither a text nor a whole number",
        ),
        (
            "params.no_such",
            "`query.access_token` has no value: `no_such` is missing",
        ),
        (
            "params[code]",
            "`query.access_token` has no value: a computed key is missing",
        ),
        (
            "steps['user'].x",
            "`query.access_token` has no value: `user` is missing",
        ),
        ("now", "`query.access_token` has no value: wrong type"),
    ] {
        let toml = portal.code_toml("");
        let toml = toml.replace("steps.token.return_data.access_token", expression);
        let menshen = start(&toml).await;
        let (_, page) = log_in(&menshen).await;
        assert_eq!(
            page.answer.cause(),
            Some(Cause::InvalidProviderResponse),
            "{expression}"
        );
        let error = last_error(&menshen);
        assert!(error.contains(logged), "{expression}: {error}");
        assert!(!error.contains("code-"), "{expression}: {error}");
    }
    assert!(portal.calls("/user").is_empty());
}

#[tokio::test]
async fn a_login_page_whose_parameter_has_no_value_is_a_wrong_setting() {
    let portal = Portal::start().await;
    let toml = portal.code_toml("");
    let menshen = start(&toml.replace("\"'app1'\"", "\"['app1']\"")).await;
    let (_, page) = log_in(&menshen).await;
    assert_eq!(page.answer.cause(), Some(Cause::ProviderMisconfigured));
    let error = last_error(&menshen);
    assert!(
        error.contains("`authorize.appid` is neither a text nor a whole number"),
        "{error}"
    );
    assert!(portal.calls("/authorize").is_empty());
}

#[tokio::test]
async fn deep_and_strange_answers_are_refused_without_harm() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        deep.as_str(),
        "{\"return_code\":0,\"return_data\":{\"id\":1,\"id\":2,\"account\":[{\"a\":1}]}}",
        "{\"return_code\":1e400}",
        "\"text\"",
        "null",
        "{\"return_code\":0,\"return_data\":{\"id\":\"\\u0000\",\"account\":\"x\"}}",
    ] {
        portal.respond_with("/user", 200, "", body);
        let (browser, page) = log_in(&menshen).await;
        assert_ne!(page.answer.status, 200, "{:.80}", body);
        assert!(!has_session(&browser), "{:.80}", body);
    }
    portal.state().replaced.clear();
    assert_eq!(log_in(&menshen).await.1.answer.status, 200);
}
