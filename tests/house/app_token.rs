//! The access token of the WeCom application: one request serves all logins, and a rejected token is
//! replaced once.

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::Browser;
use crate::records::Records;
use crate::setup::{NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::troubles::{
    DETAIL, MEMBER, REDEEM, TOKEN, last_error, log_in, start_with_logins_that_make_every_call,
};
use crate::wecom::{AGENT_ID, SECRET};

/// The path at which older WeCom deployments redeem a code.
const OLD_REDEEM: &str = "/cgi-bin/user/getuserinfo";

#[tokio::test]
async fn a_hundred_concurrent_logins_request_one_token() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let mut logins = Vec::new();
    for _ in 0..100 {
        let mut browser = Browser::new(&menshen);
        let login_page = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let callback_url = browser.choose_person(&login_page, "lisi").await;
        logins.push((browser, callback_url));
    }
    let callbacks = logins
        .iter_mut()
        .map(|(browser, callback_url)| browser.visit(callback_url));
    for answer in futures_util::future::join_all(callbacks).await {
        assert_eq!(answer.header("location"), Some("/echo"));
    }
    assert_eq!(menshen.wecom.calls(TOKEN), 1);
    assert_eq!(menshen.wecom.calls(REDEEM), 100);
    assert_eq!(menshen.wecom.calls("/cgi-bin/department/list"), 1);
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once() {
    let menshen = start_with_logins_that_make_every_call().await;
    assert_eq!(log_in(&menshen).await.1.answer.status, 200);
    menshen.wecom.expire_tokens();
    assert_eq!(log_in(&menshen).await.1.answer.status, 200);
    assert_eq!(
        (menshen.wecom.calls(TOKEN), menshen.wecom.calls(REDEEM)),
        (2, 3)
    );
    // A source that rejects one token after the other is asked for a new one every ten seconds.
    menshen.wecom.revoke_tokens();
    let (_, page) = log_in(&menshen).await;
    assert_eq!(page.cause(), Some(Cause::ProviderMisconfigured));
    assert_eq!(menshen.wecom.calls(TOKEN), 2);
    let pause = Duration::from_secs(10);
    menshen.advance(pause);
    assert_eq!(log_in(&menshen).await.1.answer.status, 200);
    assert_eq!(
        (menshen.wecom.calls(TOKEN), menshen.wecom.calls(REDEEM)),
        (3, 6)
    );
    for call in [REDEEM, MEMBER, DETAIL] {
        for code in [40001, 40014, 42001] {
            menshen.advance(pause);
            menshen.wecom.fail(call, code, 1);
            let (_, page) = log_in(&menshen).await;
            assert_eq!(page.answer.status, 200, "{code} at {call}");
            // If WeCom rejects every token, the call is made twice and no more.
            let (tokens_before, calls_before) =
                (menshen.wecom.calls(TOKEN), menshen.wecom.calls(call));
            menshen.advance(pause);
            menshen.wecom.fail(call, code, usize::MAX);
            let (_, page) = log_in(&menshen).await;
            menshen.wecom.clear_faults(call);
            assert_eq!(
                page.cause(),
                Some(Cause::ProviderMisconfigured),
                "{code} at {call}"
            );
            assert_eq!(
                menshen.wecom.calls(call),
                calls_before + 2,
                "{code} at {call}"
            );
            assert!(
                menshen.wecom.calls(TOKEN) <= tokens_before + 1,
                "{code} at {call}"
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_is_tried_once_a_minute() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    menshen
        .wecom
        .app(AGENT_ID, |app| app.secret = "another".to_owned());
    for minute in 1..=3 {
        for _ in 0..8 {
            let page = Browser::new(&menshen)
                .sign_in(&format!("{SSO_URL}/echo"), "lisi")
                .await;
            assert_eq!(page.cause(), Some(Cause::ProviderMisconfigured));
            assert!(
                last_error(&menshen).contains("copy the Secret"),
                "{}",
                last_error(&menshen)
            );
        }
        assert_eq!(menshen.wecom.calls(TOKEN), minute);
        menshen.advance(Duration::from_secs(61));
    }
    menshen
        .wecom
        .app(AGENT_ID, |app| app.secret = SECRET.to_owned());
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "lisi")
        .await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn a_refusal_to_issue_the_token_is_logged_with_the_time_of_the_next_try() {
    let log = Records::process_log();
    for code in [40001, 40091, 60020, 301_002] {
        let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
        menshen.wecom.fail(TOKEN, code, 1);
        // A minute after 2027-01-15 08:00, where the test clock starts.
        let retry_at = "2027-01-15T08:01:00.000Z";
        for second in [0, 30, 29] {
            menshen.advance(Duration::from_secs(second));
            let page = Browser::new(&menshen)
                .sign_in(&format!("{SSO_URL}/echo"), "lisi")
                .await;
            assert_eq!(page.cause(), Some(Cause::ProviderMisconfigured), "{code}");
            let error = last_error(&menshen);
            assert!(
                error.contains(&format!("before {retry_at}")),
                "{code}: {error}"
            );
            assert!(
                !page.answer.text().contains(retry_at),
                "the page must not show the time"
            );
        }
        assert_eq!(menshen.wecom.calls(TOKEN), 1);
        let text = log.text();
        let mut lines = text
            .lines()
            .filter(|line| line.contains("WeCom refuses to issue the application's token"));
        let is_warning = |line: &str| line.contains("WARN") && line.contains(retry_at);
        assert!(lines.any(|line| is_warning(line) && line.contains(&code.to_string())));
        // At that time the token is requested again.
        menshen.advance(Duration::from_secs(1));
        let page = Browser::new(&menshen)
            .sign_in(&format!("{SSO_URL}/echo"), "lisi")
            .await;
        assert_eq!(page.answer.status, 200, "{code}");
    }
    // A transient error is retried at once, and not logged as a refusal.
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    menshen.wecom.fail(TOKEN, -1, 1);
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "lisi")
        .await;
    assert_eq!(page.cause(), Some(Cause::ProviderBusy));
    assert!(
        !last_error(&menshen).contains("before"),
        "{}",
        last_error(&menshen)
    );
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "lisi")
        .await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn without_the_new_path_the_older_path_is_called() {
    for new_path_fails_with_48005 in [false, true] {
        let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
        if new_path_fails_with_48005 {
            menshen.wecom.fail(REDEEM, 48005, usize::MAX);
        } else {
            menshen.wecom.set_without_new_redeem_path(true);
        }
        for _ in 0..3 {
            let page = Browser::new(&menshen)
                .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
                .await;
            assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
        }
        assert_eq!(
            (menshen.wecom.calls(REDEEM), menshen.wecom.calls(OLD_REDEEM)),
            (1, 3)
        );
        // At the older path, too, a person who is not a member is refused.
        menshen.wecom.set_non_member_next();
        let page = Browser::new(&menshen)
            .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
            .await;
        assert_eq!(page.cause(), Some(Cause::NotMember));
    }
}
