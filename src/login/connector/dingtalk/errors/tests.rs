use serde_json::json;

use super::*;
use crate::wording::Text;

const USER_TOKEN: &str = "v1.0/oauth2/userAccessToken";

fn console() -> ConsoleSettings {
    ConsoleSettings {
        app_key: "dingkey1".to_owned(),
        corp_id: "dingcorp1".to_owned(),
    }
}

fn numbered(call: &'static str, code: i64, message: &str) -> ConnectorError {
    numbered_error(call, code, message, &[]).into_error(&console())
}

fn named(call: &'static str, status: u16, answer: &Value) -> ConnectorError {
    named_error(call, status, answer, &[]).into_error(&console())
}

fn remedy_of(error: ConnectorError) -> Text {
    match error {
        ConnectorError::Misconfigured { remedy, .. } => remedy,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_used_or_expired_code_restarts_the_login() {
    for code in [40029, 40078, 41007, 41026] {
        let error = numbered("topapi/v2/user/getuserinfo", code, "no");
        assert!(matches!(error, ConnectorError::CodeRejected(_)), "{code}");
    }
    for name in [
        "invalidParameter.authCode.notFound",
        "invalidParameter.code.notFound",
    ] {
        let error = named(USER_TOKEN, 400, &json!({ "code": name, "message": "no" }));
        assert!(matches!(error, ConnectorError::CodeRejected(_)), "{name}");
    }
}

#[test]
fn strangers_and_hidden_members_are_refused() {
    for (code, expected) in [
        (60121, RefusalReason::NotMember),
        (50002, RefusalReason::NotVisibleToApp),
        (50004, RefusalReason::NotVisibleToApp),
    ] {
        let error = numbered("topapi/v2/user/get", code, "no");
        let ConnectorError::Refused { why, .. } = error else {
            panic!("{code}")
        };
        assert_eq!(why, expected, "{code}");
    }
}

#[test]
fn rate_limits_mean_a_busy_source() {
    for code in [-1, 90002, 90018] {
        let error = numbered("topapi/v2/user/get", code, "no");
        assert!(matches!(error, ConnectorError::Busy(_)), "{code}");
    }
    for (status, name) in [
        (429, "x"),
        (403, "Forbidden.AccessDenied.QpsLimitForApi"),
        (400, "Throttling.Api"),
    ] {
        let error = named(USER_TOKEN, status, &json!({ "code": name }));
        assert!(matches!(error, ConnectorError::Busy(_)), "{name}");
    }
}

#[test]
fn the_remedy_names_the_permissions_that_are_missing_in_words() {
    let denied = json!({
        "code": "Forbidden.AccessDenied.AccessTokenPermissionDenied",
        "message": "no",
        "accessdenieddetail": { "requiredScopes": ["Contact.User.Read", "<b>", "other_scope"] },
    });
    let remedy = remedy_of(named("v1.0/contact/users/me", 403, &denied));
    assert!(
        remedy
            .to_string()
            .contains("通讯录个人信息读权限 (Contact.User.Read), other_scope (开发配置"),
        "{remedy}"
    );
    let message = "ding talk error[subcode=60011,submsg=no,requiredScopes=[qyapi_get_member]]";
    let remedy = remedy_of(numbered("topapi/v2/user/get", 60011, message));
    assert!(remedy.to_string().contains("成员信息读权限"), "{remedy}");
    let remedy = remedy_of(numbered("topapi/v2/user/list", 60011, "no"));
    assert!(
        remedy.to_string().contains("通讯录部门成员读权限"),
        "{remedy}"
    );
    assert!(remedy.to_string().contains("版本管理与发布"), "{remedy}");
}

#[test]
fn every_other_error_has_a_remedy_that_names_the_setting() {
    for (call, code, word) in [
        ("topapi/v2/user/get", 40014, "oapi_base"),
        ("topapi/v2/user/get", 42001, "oapi_base"),
        ("topapi/v2/user/get", 33001, "dingcorp1"),
        ("topapi/v2/user/get", 60020, "服务器出口IP"),
        (GET_SSO_TOKEN, 40001, "sso_secret"),
        ("topapi/v2/user/get", 987_654, "987654"),
    ] {
        let remedy = remedy_of(numbered(call, code, "no"));
        assert!(remedy.to_string().contains(word), "{call} {code}: {remedy}");
    }
    for (call, name, word) in [
        (GET_TOKEN, "invalidClientIdOrSecret", "dingkey1"),
        (USER_TOKEN, "invalidClientIdOrSecret", "app_secret"),
        (
            USER_TOKEN,
            "Forbidden.AccessDenied.IpNotInWhiteList",
            "服务器出口IP",
        ),
        ("v1.0/contact/users/me", "Forbidden", "权限管理"),
    ] {
        let remedy = remedy_of(named(call, 400, &json!({ "code": name })));
        assert!(remedy.to_string().contains(word), "{call} {name}: {remedy}");
    }
}

#[test]
fn wrong_secrets_and_too_many_calls_are_lasting_refusals() {
    let lasts = |error: &ApiError| error.lasting_refusal().is_some();
    let named = |status, name: &str| named_error(GET_TOKEN, status, &json!({ "code": name }), &[]);
    assert!(lasts(&named(400, "invalidClientIdOrSecret")));
    assert!(lasts(&named(429, "Throttling")));
    assert!(!lasts(&numbered_error(GET_TOKEN, -1, "no", &[])));
    let late = OutboundError::Timeout { call: GET_TOKEN };
    assert!(!lasts(&ApiError::NoUsableResponse(late)));
}

#[test]
fn a_message_keeps_no_secret_and_is_short() {
    let error = numbered_error("x", 88, "wrong hunter22\r\nof a", &["hunter22", "a"]);
    assert_eq!(error.to_string(), "x answered 88: wrong …of a");
    let error = numbered_error("x", 88, &"钉".repeat(999), &[]);
    assert_eq!(
        error.to_string().chars().filter(|c| *c == '钉').count(),
        300
    );
}

#[test]
fn no_code_makes_its_refusal_mean_something_else() {
    for (name, code) in [
        ("invalidParameter.authCode.notFound", "authCode"),
        (
            "invalidParameter.authCode.notFound",
            "invalidParameter.authCode.notFound",
        ),
        ("invalidParameter.code.notFound", ".code."),
    ] {
        let answer = json!({ "code": name, "message": format!("不存在的临时授权码: {code}") });
        let error = named_error(USER_TOKEN, 400, &answer, &[code]);
        assert!(error.lasting_refusal().is_none(), "{code}");
        let error = error.into_error(&console());
        assert!(
            matches!(error, ConnectorError::CodeRejected(_)),
            "{code}: {error:?}"
        );
    }
}
