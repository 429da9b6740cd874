//! The token of the application: one request serves all logins, and a rejected token is replaced once.

use std::time::Duration;

use menshen::face::page::Cause;

use super::{MEMBER, TOKEN, last_error, open_login_page, redirected_from, sign_in, start};
use crate::browser::Browser;
use crate::dingtalk_source::DingTalk;

#[tokio::test]
async fn concurrent_logins_request_one_token() {
    let (menshen, dingtalk) = start("").await;
    let mut logins = Vec::new();
    for _ in 0..30 {
        let mut browser = Browser::new(&menshen);
        let page = open_login_page(&mut browser).await;
        let back = redirected_from(&mut browser, &DingTalk::choose(&page, "lisi")).await;
        logins.push((browser, back));
    }
    let callbacks = logins.iter_mut().map(|(browser, back)| browser.visit(back));
    for answer in futures_util::future::join_all(callbacks).await {
        assert_eq!(answer.header("location"), Some("/echo"));
    }
    assert_eq!(dingtalk.calls(TOKEN), 1);
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once_whatever_names_it() {
    let (menshen, dingtalk) = start("").await;
    sign_in(&menshen, "lisi").await;
    for (uses_gateway, expires) in [(false, false), (false, true), (true, false), (true, true)] {
        menshen.advance(Duration::from_secs(10));
        dingtalk.set_gateway_errors(uses_gateway);
        match expires {
            true => dingtalk.expire_tokens(),
            false => dingtalk.revoke_tokens(),
        }
        let before = dingtalk.calls(TOKEN);
        let (_, page) = sign_in(&menshen, "lisi").await;
        assert_eq!(page.answer.status, 200, "{uses_gateway} {expires}");
        assert_eq!(dingtalk.calls(TOKEN), before + 1);
    }
    // If the new one is rejected as well, the settings are wrong.
    menshen.advance(Duration::from_secs(10));
    let calls = (dingtalk.calls(TOKEN), dingtalk.calls(MEMBER));
    dingtalk.fail(MEMBER, 40014);
    let (_, page) = sign_in(&menshen, "lisi").await;
    assert_eq!(page.cause(), Some(Cause::ProviderMisconfigured));
    assert_eq!(
        (dingtalk.calls(TOKEN), dingtalk.calls(MEMBER)),
        (calls.0 + 1, calls.1 + 2)
    );
    assert!(last_error(&menshen).contains("`oapi_base`"));
}

#[tokio::test]
async fn a_refused_secret_is_not_sent_again_for_a_minute() {
    let (menshen, dingtalk) = start("").await;
    let body = r#"{"code":"invalidClientIdOrSecret","message":"no"}"#;
    dingtalk.answer(TOKEN, 400, body);
    for _ in 0..3 {
        let (_, page) = sign_in(&menshen, "lisi").await;
        assert_eq!(page.cause(), Some(Cause::ProviderMisconfigured));
    }
    assert_eq!(dingtalk.calls(TOKEN), 1);
    dingtalk.clear_faults(TOKEN);
    menshen.clock.advance(Duration::from_secs(60));
    assert_eq!(sign_in(&menshen, "lisi").await.1.answer.status, 200);
}
