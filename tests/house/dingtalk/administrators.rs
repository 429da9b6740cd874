//! Administrators who come from DingTalk's admin console to `/enter`.

use menshen::face::page::Cause;

use super::{ID, sign_in, start};
use crate::browser::Browser;
use crate::dingtalk_source::{CodeKind, SSO_SECRET};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL};
use crate::wire::Answer;

const LINES: &str = "sso_secret = \"simulated-sso-secret-of-the-organisation\"\n\
                     origins = [\"https://oa.dingtalk.com\"]";
const SSO_USER: &str = "/sso/getuserinfo";

async fn enter(browser: &mut Browser, code: &str, referer: &str) -> Answer {
    let headers = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Referer", referer),
    ];
    let url = format!("{OWN_PAGES}/enter/{ID}?code={code}&rd=/echo");
    browser.send("GET", &url, &headers, b"").await
}

const CONSOLE: &str = "https://oa.dingtalk.com/";

#[tokio::test]
async fn an_administrator_arrives_once_with_a_code_of_the_console() {
    let (menshen, dingtalk) = start(LINES).await;
    let code = dingtalk.issue_code(CodeKind::Admin, "zhangsan");
    let mut browser = Browser::new(&menshen);
    let answer = enter(&mut browser, &code, CONSOLE).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo")),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-user"), ["zhangsan"]);
    let calls = dingtalk.calls(SSO_USER);
    let answer = enter(&mut Browser::new(&menshen), &code, CONSOLE).await;
    assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused));
    assert_eq!(dingtalk.calls(SSO_USER), calls, "it is known as used");
    assert!(!menshen.records.text().contains(&code));
    assert!(!menshen.records.text().contains(SSO_SECRET));
}

#[tokio::test]
async fn only_active_administrators_of_this_organisation_arrive() {
    let (menshen, dingtalk) = start(LINES).await;
    let refused = async |menshen: &Menshen, userid: &str, cause| {
        let code = dingtalk.issue_code(CodeKind::Admin, userid);
        let mut browser = Browser::new(menshen);
        let answer = enter(&mut browser, &code, CONSOLE).await;
        assert_eq!(answer.cause(), Some(cause), "{userid}");
        assert!(browser.cookie("menshen").is_none(), "{userid}");
    };
    refused(&menshen, "lisi", Cause::NotMember).await;
    dingtalk.member("zhangsan", |one| one.active = false);
    refused(&menshen, "zhangsan", Cause::InactiveMember).await;
    dingtalk.member("zhangsan", |one| one.active = true);
    let other = r#"{"errcode":0,"is_sys":true,"user_info":{"userid":"zhangsan"},"corp_info":{"corpid":"dingother"}}"#;
    dingtalk.answer(SSO_USER, 200, other);
    refused(&menshen, "zhangsan", Cause::NotMember).await;
    dingtalk.clear_faults(SSO_USER);
    // Codes of logins are none of the console.
    for kind in [CodeKind::InApp, CodeKind::Web(None)] {
        let code = dingtalk.issue_code(kind, "zhangsan");
        let answer = enter(&mut Browser::new(&menshen), &code, CONSOLE).await;
        assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused));
    }
    let code = dingtalk.issue_code(CodeKind::Admin, "zhangsan");
    for referer in ["https://evil.test/", ""] {
        let answer = enter(&mut Browser::new(&menshen), &code, referer).await;
        assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused), "{referer}");
    }
    assert_eq!(
        enter(&mut Browser::new(&menshen), &code, CONSOLE)
            .await
            .status,
        303
    );
}

/// Only `code` is remembered as used, so only `code` is redeemed.
#[tokio::test]
async fn a_code_of_the_console_counts_under_its_own_name_only() {
    let (menshen, dingtalk) = start(LINES).await;
    let code = dingtalk.issue_code(CodeKind::Admin, "zhangsan");
    let mut browser = Browser::new(&menshen);
    let answer = enter(&mut browser, &format!("junk&authCode={code}"), CONSOLE).await;
    assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused));
    assert!(browser.cookie("menshen").is_none());
    let (query, body) = dingtalk.last_request(SSO_USER);
    assert!(!query.contains(&code), "{query} {body}");
    let answer = enter(&mut browser, &code, CONSOLE).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
}

#[tokio::test]
async fn an_arrival_never_replaces_somebody_else_without_a_question() {
    let (menshen, dingtalk) = start(LINES).await;
    let (mut browser, _) = sign_in(&menshen, "lisi").await;
    let code = dingtalk.issue_code(CodeKind::Admin, "zhangsan");
    let answer = enter(&mut browser, &code, CONSOLE).await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-user"), ["lisi"]);
}

#[tokio::test]
async fn without_the_secret_there_is_no_such_page() {
    let (menshen, dingtalk) = start("").await;
    let code = dingtalk.issue_code(CodeKind::Admin, "zhangsan");
    let answer = enter(&mut Browser::new(&menshen), &code, CONSOLE).await;
    assert_eq!(answer.status, 404);
    let wrong = LINES.replace("simulated-sso", "another-sso");
    let (menshen, dingtalk) = start(&wrong).await;
    let code = dingtalk.issue_code(CodeKind::Admin, "zhangsan");
    let answer = enter(&mut Browser::new(&menshen), &code, CONSOLE).await;
    assert_eq!(answer.cause(), Some(Cause::ProviderMisconfigured));
    assert!(super::last_error(&menshen).contains("`sso_secret`"));
}
