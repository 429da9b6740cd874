//! WeCom refuses, is unreachable or sends invalid responses: the person gets a page with help, the log has
//! the reason, and existing sessions continue.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::logging_in::{WECOM_PHONE_APP, query_parameter};
use crate::records::Records;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::wecom::{AGENT_ID, SECRET, WeCom};

pub(crate) const TOKEN: &str = "/cgi-bin/gettoken";
pub(crate) const REDEEM: &str = "/cgi-bin/auth/getuserinfo";
pub(crate) const MEMBER: &str = "/cgi-bin/user/get";
pub(crate) const DETAIL: &str = "/cgi-bin/auth/getuserdetail";

/// The calls whose failure fails a login.
const CALLS: [&str; 4] = [TOKEN, REDEEM, MEMBER, DETAIL];

/// The causes of WeCom's error codes.
const CODES: [(Cause, u16, &[i64]); 3] = [
    (
        Cause::NotVisibleToApp,
        403,
        &[40003, 46004, 50002, 60011, 60021, 60111, 301_021],
    ),
    (Cause::ProviderBusy, 503, &[-1, 45009, 45033]),
    (
        Cause::ProviderMisconfigured,
        502,
        &[
            40013, 40035, 40056, 40058, 40063, 40066, 40073, 40080, 40082, 40083, 40084, 40085,
            40091, 41001, 41002, 41004, 41008, 41009, 42007, 42009, 42012, 43004, 45029, 48001,
            48002, 48004, 48006, 48009, 50001, 50003, 50100, 60003, 60004, 60020, 60031, 60123,
            301_002, 301_007, 123_456,
        ],
    ),
];

/// An instance of menshen whose logins make every call.
pub(crate) async fn start_with_logins_that_make_every_call() -> Menshen {
    let setup = Setup::default().wecom("scope = 'snsapi_privateinfo'");
    setup.tables(NO_LOGIN_LIMITS).start().await
}

/// A login on a phone whose owner agrees to show personal fields.
pub(crate) async fn agree(phone: &mut Browser, url: &str) -> Page {
    let page = phone.follow(url).await;
    let page = page.url.trim_end_matches("#wechat_redirect");
    phone.follow(&WeCom::consent(page)).await
}

pub(crate) async fn log_in(menshen: &Menshen) -> (Browser, Page) {
    let mut phone = Browser::new(menshen).with_user_agent(WECOM_PHONE_APP);
    let page = agree(&mut phone, &format!("{SSO_URL}/echo")).await;
    (phone, page)
}

pub(crate) fn last_error(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("a reason").to_owned()
}

#[tokio::test]
async fn every_error_code_at_every_call_has_its_page_and_its_log_line() {
    let menshen = start_with_logins_that_make_every_call().await;
    for call in CALLS {
        for (cause, status, codes) in CODES {
            for code in codes {
                // Cached tokens and failures have expired.
                menshen.advance(Duration::from_secs(7201));
                menshen.wecom.fail(call, *code, usize::MAX);
                let (phone, page) = log_in(&menshen).await;
                menshen.wecom.clear_faults(call);
                let what = format!("{code} at {call}");
                assert_eq!(
                    (page.answer.status, page.cause()),
                    (status, Some(cause)),
                    "{what}"
                );
                assert!(phone.cookie("menshen").is_none(), "{what}");
                assert_eq!(page.answer.header("retry-after").is_some(), status == 503);
                let html = page.answer.text();
                assert!(!html.contains(&format!("{code},")) && !html.contains("simulated error"));
                let error = last_error(&menshen);
                let expected = format!("answered {code}:");
                assert!(error.contains(&expected), "{what}: {error}");
                assert!(
                    error.contains(call.trim_start_matches("/cgi-bin/")),
                    "{what}: {error}"
                );
                assert_eq!(
                    error.contains("remedy: "),
                    cause == Cause::ProviderMisconfigured
                );
            }
        }
    }
    menshen.advance(Duration::from_secs(7201));
    let (_, page) = log_in(&menshen).await;
    assert_eq!(page.answer.status, 200, "logins succeed again");
}

#[tokio::test]
async fn an_untrusted_ip_address_is_named_in_the_log() {
    let menshen = Menshen::new().await;
    menshen.wecom.set_allowed_ips(Some(Vec::new()));
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "lisi")
        .await;
    assert_eq!(page.cause(), Some(Cause::ProviderMisconfigured));
    let error = last_error(&menshen);
    assert!(
        error.contains("enter 127.0.0.1 at the application under 企业可信IP"),
        "{error}"
    );
    menshen.wecom.set_allowed_ips(None);
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "lisi")
        .await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn an_untrusted_domain_is_named_in_the_log() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
    let back = browser.choose_person(&source, "lisi").await;
    menshen
        .wecom
        .set_agent_domains(AGENT_ID, &["elsewhere.test"]);
    let page = browser.follow(&back).await;
    assert_eq!(page.cause(), Some(Cause::ProviderMisconfigured));
    assert!(last_error(&menshen).contains("enter exactly sso.test"));
}

#[tokio::test]
async fn no_secret_appears_in_pages_or_logs_whatever_wecom_sends() {
    let log = Records::process_log();
    let menshen = start_with_logins_that_make_every_call().await;
    let mut hidden = vec![SECRET.to_owned()];
    for call in CALLS {
        let (here, page) = log_in(&menshen).await;
        assert_eq!(page.answer.status, 200);
        hidden.push(here.cookie("menshen").unwrap().value.clone());
        let asked = menshen.wecom.last_query(MEMBER).unwrap();
        let token = query_parameter(&format!("http://x/?{asked}"), "access_token").unwrap();
        hidden.push(token.clone());
        for errcode in [40013, 40029, 45009, 60020, 60111] {
            let known = if call == TOKEN { SECRET } else { &token };
            if call == TOKEN {
                menshen.advance(Duration::from_secs(7201));
            }
            let words = format!("wrong {known} from ip: 203.0.113.9, more info at {known}");
            let body = json!({ "errcode": errcode, "errmsg": words }).to_string();
            menshen.wecom.answer(call, body, usize::MAX);
            let (phone, page) = log_in(&menshen).await;
            menshen.wecom.clear_faults(call);
            let back = phone.visited.iter().find(|url| url.contains("code="));
            hidden.push(query_parameter(back.unwrap(), "code").unwrap());
            for secret in &hidden {
                assert!(!page.answer.text().contains(secret), "{call}: {secret}");
            }
        }
        menshen.advance(Duration::from_secs(61));
    }
    menshen.audit();
    let written = [menshen.records.text(), log.text()];
    assert!(written[0].contains("wrong … from ip: 203.0.113.9"));
    assert!(
        written[1].contains("hyper"),
        "the process log has lines of libraries, too"
    );
    for secret in &hidden {
        assert!(
            !written.iter().any(|text| text.contains(secret)),
            "{secret}"
        );
    }
}

#[tokio::test]
async fn invalid_responses_of_wecom_fail_logins_and_keep_sessions() {
    let menshen = start_with_logins_that_make_every_call().await;
    let (mut signed_in, _) = log_in(&menshen).await;
    let huge = format!(
        "{{\"errcode\":0,\"userid\":\"lisi\",\"x\":\"{}\"}}",
        "x".repeat(2 << 20)
    );
    let bodies: [(u16, &str); 12] = [
        (200, "<html><title>Hotel WiFi</title>"),
        (200, ""),
        (200, "null"),
        (200, "[]"),
        (200, "\"ok\""),
        (200, "{\"errcode\":0"),
        (200, "{\"errcode\":{}}"),
        (200, "{\"errcode\":0} trailing"),
        (200, &huge),
        (
            302,
            "{\"errcode\":0,\"userid\":\"lisi\",\"status\":1,\"access_token\":\"t\"}",
        ),
        (
            500,
            "{\"errcode\":0,\"userid\":\"lisi\",\"status\":1,\"access_token\":\"t\"}",
        ),
        (502, "<html>bad gateway"),
    ];
    for call in CALLS {
        for (status, body) in bodies {
            if call == TOKEN {
                menshen.wecom.expire_tokens();
            }
            menshen
                .wecom
                .answer_with(call, status, body.to_owned(), usize::MAX);
            let (phone, page) = log_in(&menshen).await;
            menshen.wecom.clear_faults(call);
            let start: String = body.chars().take(40).collect();
            let what = format!("{status} {start} at {call}");
            assert_eq!(
                (page.answer.status, page.cause()),
                (502, Some(Cause::ProviderUnreachable)),
                "{what}"
            );
            assert!(phone.cookie("menshen").is_none(), "{what}");
            assert!(!page.answer.text().contains("Hotel"), "{what}");
            assert!(!last_error(&menshen).contains("Hotel"), "{what}");
        }
    }
    assert_eq!(
        signed_in.visit(&format!("{SSO_URL}/echo")).await.status,
        200
    );
    assert_eq!(log_in(&menshen).await.1.answer.status, 200);
}

#[tokio::test]
async fn a_response_about_another_person_fails_the_login() {
    let menshen = start_with_logins_that_make_every_call().await;
    let json_text = |value: Value| value.to_string();
    let cases = [
        (REDEEM, json_text(json!({ "errcode": 0 })), Cause::NotMember),
        (
            REDEEM,
            json_text(json!({ "errcode": 0, "userid": "" })),
            Cause::NotMember,
        ),
        (
            REDEEM,
            json_text(json!({ "errcode": 0, "userid": ["lisi"] })),
            Cause::NotMember,
        ),
        (
            REDEEM,
            json_text(json!({ "errcode": 0, "openid": "o1" })),
            Cause::NotMember,
        ),
        (
            MEMBER,
            json_text(json!({ "errcode": 0 })),
            Cause::ProviderUnreachable,
        ),
        (
            MEMBER,
            json_text(json!({ "errcode": 0, "userid": "lisi", "status": 1 })),
            Cause::ProviderUnreachable,
        ),
        (
            MEMBER,
            json_text(json!({ "errcode": 0, "userid": "zhangsan" })),
            Cause::InactiveMember,
        ),
        (
            MEMBER,
            json_text(json!({ "errcode": 0, "userid": "zhangsan", "status": 9 })),
            Cause::InactiveMember,
        ),
        (
            DETAIL,
            json_text(json!({ "errcode": 0, "userid": "lisi", "mobile": "1" })),
            Cause::ProviderUnreachable,
        ),
    ];
    for (call, body, cause) in cases {
        menshen.wecom.answer(call, body.clone(), 1);
        let (phone, page) = log_in(&menshen).await;
        assert_eq!(page.cause(), Some(cause), "{call} {body}");
        assert!(phone.cookie("menshen").is_none());
    }
}

#[tokio::test]
async fn sessions_continue_while_wecom_does_not_respond() {
    let menshen = Menshen::new().await;
    let mut signed_in = Browser::new(&menshen);
    signed_in.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let mut waiting = Browser::new(&menshen);
    let source = waiting.open_login_page(&format!("{SSO_URL}/echo")).await;
    let back = waiting.choose_person(&source, "zhangsan").await;
    menshen.wecom.hang(MEMBER);
    let hanging_login = async {
        let page = waiting.follow(&back).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (502, Some(Cause::ProviderUnreachable))
        );
    };
    let requests_of_session = async {
        for _ in 0..20 {
            assert_eq!(
                signed_in.visit(&format!("{SSO_URL}/echo")).await.status,
                200
            );
        }
    };
    futures_util::future::join(hanging_login, requests_of_session).await;
    assert!(last_error(&menshen).contains("not answered in time"));
    // The code is redeemed by now; the next login succeeds.
    menshen.wecom.clear_faults(MEMBER);
    let page = waiting
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn sessions_continue_when_wecom_is_unreachable() {
    let menshen = Menshen::new().await;
    let mut signed_in = Browser::new(&menshen);
    signed_in.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let mut logging_in = Browser::new(&menshen);
    let page = logging_in.open_login_page(&format!("{SSO_URL}/echo")).await;
    let back = logging_in.choose_person(&page, "zhangsan").await;
    let Menshen {
        wecom,
        running,
        app,
        ..
    } = menshen;
    drop(wecom);
    let page = logging_in.follow(&back).await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (502, Some(Cause::ProviderUnreachable))
    );
    assert_eq!(
        signed_in.visit(&format!("{SSO_URL}/echo")).await.status,
        200
    );
    // The login is still offered, and fails with the cause.
    assert_eq!(
        Browser::at(running.addresses()[0])
            .follow(&format!("{SSO_URL}/echo"))
            .await
            .answer
            .status,
        200
    );
    drop(app);
}
