//! `cache`: answers that all logins share.

use std::time::Duration;

use menshen::face::page::Cause;

use super::portal::Portal;
use super::{last_error, log_in, start};

/// Logs in, and returns the status of the page at the end.
async fn status_of_login(menshen: &crate::setup::Menshen) -> u16 {
    log_in(menshen).await.1.answer.status
}

#[tokio::test]
async fn logins_share_an_answer_until_shortly_before_its_end() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    for _ in 0..2 {
        let logins = tokio::join!(status_of_login(&menshen), status_of_login(&menshen));
        assert_eq!(logins, (200, 200));
    }
    assert_eq!(
        (portal.calls("/token").len(), portal.calls("/user").len()),
        (1, 4)
    );
    menshen.advance(Duration::from_secs(6_899));
    assert_eq!(status_of_login(&menshen).await, 200);
    assert_eq!(portal.calls("/token").len(), 1);
    menshen.advance(Duration::from_secs(1));
    assert_eq!(status_of_login(&menshen).await, 200);
    assert_eq!(portal.calls("/token").len(), 2);
}

#[tokio::test]
async fn an_answer_without_cache_is_asked_for_at_every_login() {
    let portal = Portal::start().await;
    let toml = portal.code_toml("");
    let toml = toml.replace("cache = \"answer.return_data.expires_in\"\n", "");
    let menshen = start(&toml).await;
    for _ in 0..2 {
        assert_eq!(status_of_login(&menshen).await, 200);
    }
    assert_eq!(portal.calls("/token").len(), 2);
}

#[tokio::test]
async fn a_shared_answer_that_is_refused_later_is_fetched_anew_once() {
    for status in [200, 401, 403] {
        let portal = Portal::start().await;
        portal.state().refusal_status = status;
        let menshen = start(&portal.code_toml("")).await;
        assert_eq!(status_of_login(&menshen).await, 200);
        portal.revoke_tokens();
        assert_eq!(status_of_login(&menshen).await, 200, "{status}");
        let calls = (portal.calls("/token").len(), portal.calls("/user").len());
        assert_eq!(calls, (2, 3), "{status}");
    }
}

#[tokio::test]
async fn invalid_codes_do_not_use_up_the_limits_of_the_portal() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    assert_eq!(status_of_login(&menshen).await, 200);
    portal.respond_with("/user", 200, "", "{\"return_code\": 40029}");
    for _ in 0..3 {
        let page = log_in(&menshen).await.1;
        assert_eq!(page.answer.cause(), Some(Cause::CodeRejectedTwice));
    }
    assert_eq!(portal.calls("/token").len(), 2);
    menshen.advance(Duration::from_secs(10));
    log_in(&menshen).await;
    assert_eq!(portal.calls("/token").len(), 3);
    portal.state().replaced.clear();
    assert_eq!(status_of_login(&menshen).await, 200);
}

#[tokio::test]
async fn a_lifetime_of_zero_or_less_is_not_kept_and_another_value_is_refused() {
    let portal = Portal::start().await;
    let with_cache = |cache: &str| {
        portal
            .code_toml("")
            .replace("answer.return_data.expires_in", cache)
    };
    for cache in ["0", "-5", "'0'"] {
        let menshen = start(&with_cache(cache)).await;
        let before = portal.calls("/token").len();
        for _ in 0..2 {
            assert_eq!(status_of_login(&menshen).await, 200, "{cache}");
        }
        assert_eq!(portal.calls("/token").len(), before + 2, "{cache}");
    }
    for (cache, logged) in [
        ("'soon'", "`token`: `cache` is not a number of seconds"),
        ("null", "`token`: `cache` is not a number of seconds"),
        (
            "answer.return_data.lifetime",
            "`token`: `cache` has no value",
        ),
    ] {
        let menshen = start(&with_cache(cache)).await;
        let page = log_in(&menshen).await.1;
        assert_eq!(
            page.answer.cause(),
            Some(Cause::ProviderMisconfigured),
            "{cache}"
        );
        let error = last_error(&menshen);
        assert!(error.contains(logged), "{cache}: {error}");
    }
}
