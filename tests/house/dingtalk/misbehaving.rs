//! DingTalk refuses, is unreachable or sends invalid answers: the person gets a page with help, the log has the
//! reason, and sessions continue.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::json;

use super::{
    BY_UNION_ID, DEPARTMENT, IN_APP, ME, MEMBER, TOKEN, USER_TOKEN, last_error, open_login_page,
    redirected_from, sign_in, start,
};
use crate::browser::Browser;
use crate::dingtalk_source::{APP_SECRET, DingTalk};
use crate::logging_in::query_parameter;
use crate::records::Records;
use crate::setup::{Menshen, SSO_URL};

/// The calls of a login with a browser.
const CALLS: [&str; 5] = [TOKEN, USER_TOKEN, ME, BY_UNION_ID, MEMBER];

/// Lets tokens and failures of the application expire.
fn forget_tokens(menshen: &Menshen) {
    menshen.advance(Duration::from_secs(7201));
}

#[tokio::test]
async fn every_error_code_of_the_older_api_has_its_page_and_its_log_line() {
    let (menshen, dingtalk) = start("").await;
    let codes: [(Cause, u16, &[i64]); 4] = [
        (Cause::NotMember, 403, &[60121]),
        (Cause::NotVisibleToApp, 403, &[50002, 50004]),
        (Cause::ProviderBusy, 503, &[-1, 90002, 90018]),
        (
            Cause::ProviderMisconfigured,
            502,
            &[33001, 40035, 60011, 60020, 43007, 123_456],
        ),
    ];
    for path in [BY_UNION_ID, MEMBER] {
        for (cause, status, codes) in codes {
            for code in codes {
                let what = format!("{code} at {path}");
                dingtalk.fail(path, *code);
                let (browser, page) = sign_in(&menshen, "lisi").await;
                dingtalk.clear_faults(path);
                assert_eq!(
                    (page.answer.status, page.cause()),
                    (status, Some(cause)),
                    "{what}"
                );
                assert!(browser.cookie("menshen").is_none(), "{what}");
                assert_eq!(page.answer.header("retry-after").is_some(), status == 503);
                let error = last_error(&menshen);
                assert!(
                    error.contains(&format!("answered {code}:")),
                    "{what}: {error}"
                );
                assert!(
                    error.contains(path.trim_start_matches('/')),
                    "{what}: {error}"
                );
                let has_remedy = cause == Cause::ProviderMisconfigured;
                assert_eq!(error.contains("remedy: "), has_remedy, "{what}: {error}");
                assert!(!page.answer.text().contains("模拟的错误"), "{what}");
            }
        }
    }
    assert_eq!(sign_in(&menshen, "lisi").await.1.answer.status, 200);
}

#[tokio::test]
async fn every_error_of_the_newer_api_has_its_page_and_its_log_line() {
    let (menshen, dingtalk) = start("").await;
    for (path, status, name, cause, words) in [
        (
            TOKEN,
            400,
            "invalidClientIdOrSecret",
            Cause::ProviderMisconfigured,
            "`app_key`",
        ),
        (
            USER_TOKEN,
            400,
            "invalidClientIdOrSecret",
            Cause::ProviderMisconfigured,
            "`app_secret`",
        ),
        (
            USER_TOKEN,
            403,
            "Forbidden.AccessDenied.IpNotInWhiteList",
            Cause::ProviderMisconfigured,
            "服务器出口IP",
        ),
        (
            USER_TOKEN,
            429,
            "Throttling.User",
            Cause::ProviderBusy,
            "429",
        ),
        (
            ME,
            403,
            "Forbidden.AccessDenied.QpsLimitForApi",
            Cause::ProviderBusy,
            "403",
        ),
        (
            ME,
            400,
            "InvalidAuthentication",
            Cause::ProviderMisconfigured,
            "InvalidAuthentication",
        ),
    ] {
        let what = format!("{name} at {path}");
        forget_tokens(&menshen);
        let body = json!({ "code": name, "requestid": "1", "message": "no" });
        dingtalk.answer(path, status, body.to_string());
        let (_, page) = sign_in(&menshen, "lisi").await;
        dingtalk.clear_faults(path);
        assert_eq!(
            page.cause(),
            Some(cause),
            "{what}: {}",
            last_error(&menshen)
        );
        let error = last_error(&menshen);
        assert!(
            error.contains(words) && error.contains(name),
            "{what}: {error}"
        );
    }
}

#[tokio::test]
async fn missing_permissions_are_named_in_the_log_in_words() {
    let (menshen, dingtalk) = start("").await;
    for (permission, words) in [
        (
            "Contact.User.Read",
            "通讯录个人信息读权限 (Contact.User.Read)",
        ),
        ("qyapi_get_member", "成员信息读权限 (qyapi_get_member)"),
    ] {
        dingtalk.deny_permission(permission);
        let (_, page) = sign_in(&menshen, "lisi").await;
        dingtalk.grant_permission(permission);
        assert_eq!(page.cause(), Some(Cause::ProviderMisconfigured));
        let error = last_error(&menshen);
        assert!(error.contains(words), "{error}");
        assert!(error.contains("版本管理与发布"), "{error}");
    }
    // Without names of departments people still sign in, and rules that ask for names deny.
    dingtalk.deny_permission("qyapi_get_department_list");
    let (mut browser, page) = sign_in(&menshen, "lisi").await;
    assert_eq!(page.answer.status, 200);
    assert_eq!(
        browser.visit(&format!("{SSO_URL}/finance")).await.status,
        403
    );
    assert!(dingtalk.calls(DEPARTMENT) > 0);
}

#[tokio::test]
async fn invalid_answers_fail_logins_and_keep_sessions() {
    let (menshen, dingtalk) = start("").await;
    let (mut signed_in, _) = sign_in(&menshen, "lisi").await;
    let good =
        r#"{"errcode":0,"accessToken":"t","unionId":"union-lisi-iE","result":{"userid":"lisi"}}"#;
    let huge = format!("{{\"errcode\":0,\"x\":\"{}\"}}", "x".repeat(9 << 20));
    let bodies: [(u16, &str); 10] = [
        (200, "<html><title>Hotel WiFi</title>"),
        (200, ""),
        (200, "null"),
        (200, "[]"),
        (200, "{\"errcode\":0"),
        (200, "{\"errcode\":{}}"),
        (200, &huge),
        (302, good),
        (500, good),
        (404, "<html>no such page"),
    ];
    for path in CALLS {
        for (status, body) in bodies {
            if path == TOKEN {
                dingtalk.expire_tokens();
            }
            dingtalk.answer(path, status, body.to_owned());
            let (browser, page) = sign_in(&menshen, "lisi").await;
            dingtalk.clear_faults(path);
            let start: String = body.chars().take(30).collect();
            let what = format!("{status} {start} at {path}");
            assert_eq!(
                (page.answer.status, page.cause()),
                (502, Some(Cause::ProviderUnreachable)),
                "{what}: {}",
                last_error(&menshen)
            );
            assert!(browser.cookie("menshen").is_none(), "{what}");
            assert!(!last_error(&menshen).contains("Hotel"), "{what}");
        }
    }
    let echo = format!("{SSO_URL}/echo");
    assert_eq!(signed_in.visit(&echo).await.status, 200);
    assert_eq!(sign_in(&menshen, "lisi").await.1.answer.status, 200);
}

#[tokio::test]
async fn sessions_continue_while_dingtalk_does_not_respond() {
    let (menshen, dingtalk) = start("").await;
    let (mut signed_in, _) = sign_in(&menshen, "lisi").await;
    let echo = format!("{SSO_URL}/echo");
    let mut waiting = Browser::new(&menshen);
    let page = open_login_page(&mut waiting).await;
    let back = redirected_from(&mut waiting, &DingTalk::choose(&page, "zhangsan")).await;
    dingtalk.hang(MEMBER);
    let hanging_login = async {
        let page = waiting.follow(&back).await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
    };
    let requests_of_session = async {
        for _ in 0..20 {
            assert_eq!(signed_in.visit(&echo).await.status, 200);
        }
    };
    futures_util::future::join(hanging_login, requests_of_session).await;
    assert!(last_error(&menshen).contains("not answered in time"));
    drop(dingtalk);
    assert_eq!(signed_in.visit(&echo).await.status, 200);
    // The login is still offered, and fails with the cause.
    let mut browser = Browser::new(&menshen);
    open_login_page(&mut browser).await;
}

#[tokio::test]
async fn no_secret_appears_in_pages_or_logs_whatever_dingtalk_sends() {
    let log = Records::process_log();
    let (menshen, dingtalk) = start("").await;
    sign_in(&menshen, "lisi").await;
    let mut hidden = vec![APP_SECRET.to_owned()];
    for path in CALLS {
        forget_tokens(&menshen);
        let (browser, _) = sign_in(&menshen, "lisi").await;
        let back = browser.visited.iter().find(|url| url.contains("authCode="));
        hidden.push(query_parameter(back.unwrap(), "authCode").unwrap());
        let (query, _) = dingtalk.last_request(MEMBER);
        let token = query_parameter(&format!("http://x/?{query}"), "access_token").unwrap();
        let known = match path {
            TOKEN | USER_TOKEN => APP_SECRET,
            ME => "nothing",
            _ => &token,
        };
        let words = format!("wrong {known} here");
        let body = json!({ "errcode": 40035, "errmsg": words, "code": "x", "message": words });
        let status = if path.starts_with("/v1.0") { 400 } else { 200 };
        if path == TOKEN {
            forget_tokens(&menshen);
        }
        hidden.push(token.clone());
        dingtalk.answer(path, status, body.to_string());
        let (_, page) = sign_in(&menshen, "lisi").await;
        dingtalk.clear_faults(path);
        for secret in &hidden {
            assert!(!page.answer.text().contains(secret), "{path}: {secret}");
        }
    }
    menshen.audit();
    let written = [menshen.records.text(), log.text()];
    assert!(written[0].contains("wrong … here"), "{}", written[0]);
    for secret in &hidden {
        let is_written = written.iter().any(|text| text.contains(secret));
        assert!(!is_written, "{secret}");
    }
    assert_eq!(dingtalk.calls(IN_APP), 0);
}
