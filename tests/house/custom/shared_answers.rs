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
    // The pause doubles while it does not help, up to a minute.
    for (pause_s, tokens) in [
        (10, 3),
        (19, 3),
        (1, 4),
        (39, 4),
        (1, 5),
        (59, 5),
        (1, 6),
        (60, 7),
    ] {
        menshen.advance(Duration::from_secs(pause_s));
        log_in(&menshen).await;
        assert_eq!(portal.calls("/token").len(), tokens, "{pause_s}");
    }
    portal.state().replaced.clear();
    assert_eq!(status_of_login(&menshen).await, 200);
    // It helps, and so the pause is short again.
    menshen.advance(Duration::from_secs(60));
    for tokens in [8, 9] {
        portal.revoke_tokens();
        assert_eq!(status_of_login(&menshen).await, 200);
        assert_eq!(portal.calls("/token").len(), tokens);
        menshen.advance(Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_refused_shared_step_is_not_asked_for_again_for_a_minute() {
    for (status, body, cause) in [
        (429, "{}", Cause::ProviderBusy),
        (403, "{}", Cause::ProviderMisconfigured),
        (200, "{\"return_code\": 1}", Cause::ProviderMisconfigured),
        (200, "{}", Cause::ProviderMisconfigured),
    ] {
        let portal = Portal::start().await;
        portal.respond_with("/token", status, "", body);
        let menshen = start(&portal.code_toml("")).await;
        let logins = (0..5).map(|_| log_in(&menshen));
        for (_, page) in futures_util::future::join_all(logins).await {
            assert_eq!(page.answer.cause(), Some(cause), "{status} {body}");
        }
        menshen.advance(Duration::from_secs(59));
        for _ in 0..5 {
            let (_, page) = log_in(&menshen).await;
            assert_eq!(page.answer.cause(), Some(cause), "{status} {body}");
            let error = last_error(&menshen);
            assert!(error.contains("no new request before"), "{error}");
        }
        assert_eq!(portal.calls("/token").len(), 1, "{status} {body}");
        portal.state().replaced.clear();
        menshen.advance(Duration::from_secs(1));
        assert_eq!(status_of_login(&menshen).await, 200, "{status} {body}");
    }
}

#[tokio::test]
async fn a_shared_step_without_an_answer_is_asked_for_again_after_two_seconds() {
    let portal = Portal::start().await;
    portal.respond_with("/token", 502, "", "");
    let menshen = start(&portal.code_toml("")).await;
    for _ in 0..3 {
        let (_, page) = log_in(&menshen).await;
        assert_eq!(page.answer.cause(), Some(Cause::ProviderUnreachable));
    }
    assert_eq!(portal.calls("/token").len(), 1);
    portal.state().replaced.clear();
    menshen.advance(Duration::from_secs(2));
    assert_eq!(status_of_login(&menshen).await, 200);
}

/// An invalid code must not replace a good answer by a failure.
#[tokio::test]
async fn a_shared_answer_that_cannot_be_fetched_anew_stays() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    assert_eq!(status_of_login(&menshen).await, 200);
    portal.respond_with("/user", 200, "", "{\"return_code\": 40029}");
    portal.respond_with("/token", 429, "", "{}");
    let (_, page) = log_in(&menshen).await;
    assert_eq!(page.answer.cause(), Some(Cause::ProviderBusy));
    assert_eq!(portal.calls("/token").len(), 2);
    portal.state().replaced.remove("/user");
    assert_eq!(status_of_login(&menshen).await, 200);
    assert_eq!(portal.calls("/token").len(), 2);
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
