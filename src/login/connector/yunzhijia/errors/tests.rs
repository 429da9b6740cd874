use super::super::api::GET_PERSON;
use super::*;

fn error(call: &'static str, code: i64, message: &str) -> ApiError {
    refused(call, code, message, &[])
}

fn remedy_of(call: &'static str, message: &str) -> Text {
    match error(call, 7, message).into_error() {
        ConnectorError::Misconfigured { remedy, .. } => remedy,
        other => panic!("{message}: {other:?}"),
    }
}

#[test]
fn a_refused_ticket_restarts_the_login_and_asks_for_no_new_token() {
    for message in [
        "ticket已失效！",
        "invalid Ticket",
        "the accessToken of this ticket",
    ] {
        let refused = error(ACQUIRE_CONTEXT, 1, message);
        assert!(!refused.is_token_refused(), "{message}");
        assert!(
            matches!(refused.into_error(), ConnectorError::CodeRejected(_)),
            "{message}"
        );
    }
    let unclear = error(ACQUIRE_CONTEXT, 1, "系统错误");
    assert!(unclear.is_token_refused());
    assert!(matches!(
        unclear.into_error(),
        ConnectorError::CodeRejected(_)
    ));
}

#[test]
fn every_wrong_setting_has_a_remedy_that_names_it() {
    for (call, message, word) in [
        (GET_TOKEN, "timestamp已过期", "NTP"),
        (GET_TOKEN, "时间戳无效", "NTP"),
        (GET_TOKEN, "secret错误", "`app_secret`"),
        (GET_TOKEN, "", "`app_secret`"),
        (GET_TOKEN, "企业未授权", "`eid`"),
        (ACQUIRE_CONTEXT, "accessToken无效", "`base`"),
        (ACQUIRE_CONTEXT, "企业未授权", "`eid`"),
        (GET_PERSON, "accessToken无效", "`base`"),
        (GET_PERSON, "企业未授权", "`eid`"),
        (GET_PERSON, "系统错误", "`contacts`"),
    ] {
        let remedy = remedy_of(call, message);
        assert!(remedy.to_string().contains(word), "{message}: {remedy}");
    }
    assert!(error(ACQUIRE_CONTEXT, 1, "accessToken无效").is_token_refused());
    assert!(!error(GET_TOKEN, 1, "accessToken无效").is_token_refused());
}

#[test]
fn somebody_who_does_not_exist_is_no_mistake_of_the_settings() {
    for message in ["人员不存在", "person does not exist"] {
        let absent = error(GET_PERSON, 1, message);
        assert!(
            absent.is_absent() && !absent.is_token_refused(),
            "{message}"
        );
    }
    assert!(!error(GET_PERSON, 1, "系统错误").is_absent());
}

#[test]
fn a_limit_of_calls_means_a_busy_source() {
    for call in [GET_TOKEN, ACQUIRE_CONTEXT] {
        let busy = error(call, 1, "调用过于频繁");
        assert!(!busy.is_token_refused());
        assert!(matches!(busy.into_error(), ConnectorError::Busy(_)));
    }
}

#[test]
fn the_http_status_of_a_refused_token_counts_as_its_refusal() {
    let status = |call, status| {
        let content_type = Text::same("text/html");
        ApiError::NoUsableResponse(OutboundError::Status {
            call,
            status,
            content_type,
        })
    };
    assert!(status(ACQUIRE_CONTEXT, 401).is_token_refused());
    assert!(!status(GET_TOKEN, 401).is_token_refused());
    assert!(!status(ACQUIRE_CONTEXT, 500).is_token_refused());
    let refused = status(GET_TOKEN, 403).into_error();
    assert!(matches!(refused, ConnectorError::Misconfigured { .. }));
    assert!(matches!(
        status(GET_TOKEN, 429).into_error(),
        ConnectorError::Busy(_)
    ));
    let down = status(GET_TOKEN, 502).into_error();
    assert!(matches!(down, ConnectorError::NoUsableResponse(_)));
}

#[test]
fn a_message_has_no_secret_and_a_limited_length() {
    let message = refused(GET_TOKEN, 1, "bad hunter2\r\n!", &["hunter2"]).to_string();
    assert_eq!(message, "getAccessToken answered 1: bad …!");
    let long = refused(GET_TOKEN, 0, &"企".repeat(999), &[]).to_string();
    let expected = "getAccessToken: ".len() + MESSAGE_CHARS_MAX;
    assert_eq!(long.chars().count(), expected);
}

#[test]
fn no_ticket_makes_a_refusal_mean_something_else() {
    // The message repeats the ticket, or has the same word.
    for (message, ticket) in [
        ("ticket已失效", "ticket"),
        ("ticket已失效: busy", "busy"),
        ("ticket已失效: 调用过于频繁", "调用过于频繁"),
        ("ticket已失效: 企业未授权", "企业未授权"),
        ("ticket已失效: token", "token"),
        ("ticket不存在: 不存在", "不存在"),
    ] {
        let error = refused(ACQUIRE_CONTEXT, 1, message, &[ticket]);
        assert!(!error.is_token_refused(), "{message}");
        let error = error.into_error();
        assert!(
            matches!(error, ConnectorError::CodeRejected(_)),
            "{message}: {error:?}"
        );
    }
    let limit = refused(ACQUIRE_CONTEXT, 1, "调用过于频繁", &["过于频繁"]);
    assert!(!limit.is_token_refused());
}
