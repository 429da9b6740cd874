//! A refused refresh ends the session; an unavailable provider does not.

use menshen::store::{LogoutTarget, RevocationScope, SessionStore as _, StoreError};

use super::*;
use crate::sessions::stored_sessions;
use crate::sessions::tunnels::{CLOSE_1008, Socket};
use crate::sessions::watched::{Fault, When};

#[tokio::test]
async fn a_session_that_the_provider_ended_needs_a_new_login() {
    let menshen = TokenEnv::new().await;
    let (cookie, other) = (
        menshen.new_session_cookie().await,
        menshen.new_session_cookie().await,
    );
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(1)
    );
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Gone);
    menshen.advance(REFRESH_DUE_AFTER);
    // The request that starts the refresh in the background is still served.
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(1)
    );
    menshen.wait_for_outcome("gone", 1).await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
    assert_eq!(stored_sessions(&*menshen.menshen.store).await.len(), 1);
    let audit = menshen.audit("refresh-gone");
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["login"], "zhangsan");
    assert_eq!(audit[0]["connector"], "corp");
    // The other session of the person stays.
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Good);
    assert_eq!(menshen.ask("/echo", &other).await.status, 200);
}

#[tokio::test]
async fn requests_that_waited_for_a_refused_refresh_are_refused() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Gone);
    menshen.advance(LIFETIME);
    for asked in menshen.concurrent_requests(20, "/echo", &cookie) {
        assert_eq!(asked.await.unwrap().status, 401);
    }
    assert_eq!(menshen.provider.refreshes(), 1);
}

#[tokio::test]
async fn a_tunnel_ends_with_the_session() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    let mut socket = Socket::open(menshen.menshen.address, "/ws", &cookie).await;
    assert!(socket.is_open().await);
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Gone);
    menshen.advance(REFRESH_DUE_AFTER);
    menshen.forwarded_access_token(&cookie).await;
    assert_eq!(socket.read_to_end("gone at the source").await, CLOSE_1008);
}

#[tokio::test]
async fn a_tunnel_ends_when_a_refresh_removes_its_group() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    let mut socket = Socket::open(menshen.menshen.address, "/finance/ws", &cookie).await;
    assert!(socket.is_open().await);
    menshen.provider.set(|state| state.groups = Vec::new());
    menshen.advance(REFRESH_DUE_AFTER);
    menshen.forwarded_access_token(&cookie).await;
    assert_eq!(socket.read_to_end("lost the group").await, CLOSE_1008);
}

#[tokio::test]
async fn an_unavailable_provider_ends_no_session_and_is_retried_with_back_off() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Unavailable);
    menshen.advance(LIFETIME);
    let mut pauses = Vec::new();
    let mut waited = 0;
    for _ in 0..260 {
        let before = menshen.provider.refreshes();
        // The access token has expired, so it is not sent.
        assert_eq!(menshen.forwarded_access_token(&cookie).await, None);
        if menshen.provider.refreshes() > before {
            pauses.push(waited);
            waited = 0;
        }
        menshen.advance(5 * SECOND);
        waited += 5;
    }
    assert_eq!(pauses, [0, 5, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(menshen.refresh_count("unavailable"), 10);
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    // The provider is available again.
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Good);
    menshen.advance(Duration::from_secs(300));
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(2)
    );
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Unavailable);
    menshen.advance(LIFETIME);
    menshen.forwarded_access_token(&cookie).await;
    menshen.advance(Duration::from_secs(5));
    menshen.forwarded_access_token(&cookie).await;
    assert_eq!(
        menshen.provider.refreshes(),
        13,
        "the pauses start again at five seconds"
    );
}

#[tokio::test]
async fn a_valid_access_token_is_sent_while_the_provider_is_unavailable() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Unavailable);
    menshen.advance(REFRESH_DUE_AFTER);
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(1)
    );
    menshen.wait_for_outcome("unavailable", 1).await;
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(1)
    );
    menshen.advance(LIFETIME - REFRESH_DUE_AFTER - SECOND);
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(1)
    );
    menshen.advance(SECOND);
    assert_eq!(menshen.forwarded_access_token(&cookie).await, None);
}

#[tokio::test]
async fn no_request_waits_longer_than_the_refresh_time_limit() {
    let pace = RefreshTimeouts {
        wait: Duration::from_millis(200),
        ..RefreshTimeouts::default()
    };
    let menshen = TokenEnv::with(&Provider::new(), setup(), pace).await;
    let cookie = menshen.new_session_cookie().await;
    menshen.advance(LIFETIME);
    menshen.provider.block();
    for asked in menshen.concurrent_requests(50, "/echo", &cookie) {
        assert_eq!(access_token_in(&asked.await.unwrap()), None);
    }
    assert_eq!(menshen.provider.refreshes(), 1);
    // A later request does not wait longer. A late response of the provider is used.
    assert_eq!(menshen.forwarded_access_token(&cookie).await, None);
    menshen.provider.release();
    menshen.wait_for_outcome("done", 1).await;
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(2)
    );
}

#[tokio::test]
async fn own_pages_do_not_wait_for_a_refresh() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen.advance(LIFETIME);
    menshen.provider.block();
    for own in ["userinfo", "sign_in", "sign_out"] {
        let ask = TestRequest::get(&format!("/.menshen/{own}")).session(&cookie);
        let answer = ask.navigating().send_to(menshen.menshen.address).await;
        assert!(
            [200, 303].contains(&answer.status),
            "{own}: {}",
            answer.status
        );
    }
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
    assert_eq!(menshen.provider.refreshes(), 0);
}

#[tokio::test]
async fn a_stopping_process_completes_a_running_refresh() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen.forwarded_access_token(&cookie).await;
    menshen.advance(REFRESH_DUE_AFTER);
    menshen.provider.block();
    menshen.forwarded_access_token(&cookie).await;
    menshen.provider.wait_until_blocked(1).await;
    let sessions = Arc::clone(&menshen.menshen.sessions);
    let stopping = tokio::spawn(async move { sessions.drain_refreshes(HOUR).await });
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    menshen.provider.release();
    stopping.await.unwrap();
    let session = stored_sessions(&*menshen.menshen.store).await.remove(0);
    let kept = menshen.menshen.store.session(&session.key).await.unwrap();
    assert_eq!(kept.unwrap().tokens.unwrap().version, 2);
}

#[tokio::test]
async fn a_refresh_over_the_time_limit_counts_as_unavailable() {
    let pace = RefreshTimeouts {
        wait: Duration::from_secs(10),
        provider: Duration::from_millis(50),
    };
    let menshen = TokenEnv::with(&Provider::new(), setup(), pace).await;
    let cookie = menshen.new_session_cookie().await;
    menshen.advance(LIFETIME);
    menshen.provider.block();
    assert_eq!(menshen.forwarded_access_token(&cookie).await, None);
    assert_eq!(menshen.refresh_count("unavailable"), 1);
}

#[tokio::test]
async fn a_panicking_refresh_ends_no_session_and_is_retried_later() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Panics);
    menshen.advance(LIFETIME);
    for _ in 0..5 {
        assert_eq!(menshen.forwarded_access_token(&cookie).await, None);
    }
    assert_eq!(menshen.provider.refreshes(), 1);
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Good);
    // The lease of the refresh that panicked must expire first.
    menshen.advance(Duration::from_secs(100));
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(2)
    );
}

#[tokio::test]
async fn a_refresh_does_not_undo_a_concurrent_revocation() {
    for at in 0..4 {
        let menshen = TokenEnv::new().await;
        let cookie = menshen.new_session_cookie().await;
        menshen.forwarded_access_token(&cookie).await;
        menshen.advance(LIFETIME);
        let session = stored_sessions(&*menshen.menshen.store).await.remove(0);
        let scope = match at {
            0 => RevocationScope::Session(session.key),
            1 => RevocationScope::Account(session.account),
            2 => RevocationScope::Connector(corp()),
            _ => RevocationScope::Everyone,
        };
        menshen.provider.block();
        let requests = menshen.concurrent_requests(5, "/echo", &cookie);
        menshen.provider.wait_until_blocked(1).await;
        menshen.menshen.sessions.revoke(&scope).await.unwrap();
        menshen.provider.release();
        for asked in requests {
            assert_eq!(asked.await.unwrap().status, 401, "{scope:?}");
        }
        assert_eq!(menshen.ask("/echo", &cookie).await.status, 401, "{scope:?}");
        let left = stored_sessions(&*menshen.menshen.store).await;
        assert_eq!(left.len(), 0, "{scope:?}");
    }
}

#[tokio::test]
async fn a_session_that_another_process_revoked_during_a_refresh_ends() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen.forwarded_access_token(&cookie).await;
    menshen.advance(LIFETIME);
    let session = stored_sessions(&*menshen.menshen.store).await.remove(0);
    menshen.menshen.store.block("update_tokens", When::Before);
    let requests = menshen.concurrent_requests(3, "/echo", &cookie);
    menshen.menshen.store.wait_until_blocked(1).await;
    // Another process revokes the session; this process has not read the revocation log yet.
    let now = menshen.menshen.clock.now();
    let scope = RevocationScope::Session(session.key);
    menshen
        .menshen
        .store
        .unwatched()
        .revoke(&scope, now)
        .await
        .unwrap();
    menshen.menshen.store.release();
    for asked in requests {
        assert_eq!(asked.await.unwrap().status, 401);
    }
}

#[tokio::test]
async fn a_store_failure_during_a_refresh_ends_no_session() {
    for operation in ["lease", "session", "update_tokens"] {
        let menshen = TokenEnv::new().await;
        let cookie = menshen.new_session_cookie().await;
        menshen.forwarded_access_token(&cookie).await;
        menshen.advance(LIFETIME);
        menshen.provider.set(|state| state.groups = Vec::new());
        menshen
            .menshen
            .store
            .fail_at(operation, Some(Fault::Failed));
        let finance = menshen.ask("/finance/echo", &cookie).await.status;
        // A group that the provider removed is gone, even if the store did not accept the change.
        assert_eq!(
            finance,
            if operation == "update_tokens" {
                403
            } else {
                200
            },
            "{operation}"
        );
        menshen.menshen.store.fail_at(operation, None);
        menshen.advance(Duration::from_secs(5));
        menshen.ask("/echo", &cookie).await;
        menshen.wait_for_outcome("done", 1).await;
        assert_eq!(
            menshen.ask("/finance/echo", &cookie).await.status,
            403,
            "{operation}"
        );
        assert_eq!(menshen.provider.reused_refresh_tokens(), 0, "{operation}");
    }
}

#[tokio::test]
async fn a_later_stored_refresh_replaces_one_that_was_not_stored() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    menshen
        .menshen
        .store
        .fail_at("update_tokens", Some(Fault::Failed));
    for (groups, status) in [
        (vec![], 403),
        (vec!["人事部", "财务部"], 200),
        (vec!["人事部"], 403),
    ] {
        menshen.provider.set(|state| state.groups = groups);
        menshen.advance(LIFETIME);
        assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, status);
    }
    menshen.menshen.store.fail_at("update_tokens", None);
    menshen.provider.set(|state| state.groups = vec!["财务部"]);
    menshen.advance(LIFETIME);
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
}

#[tokio::test]
async fn a_bearer_token_does_not_restore_a_removed_group() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    // The store still has the group, because it did not accept the result of the refresh.
    menshen
        .menshen
        .store
        .fail_at("update_tokens", Some(Fault::Failed));
    menshen.provider.set(|state| state.groups = Vec::new());
    menshen.advance(LIFETIME);
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 403);
    menshen.menshen.store.fail_at("update_tokens", None);
    menshen.admit_token_holder().await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 403);
}

/// Applies a front-channel logout, which any browser can request.
async fn apply_front_channel_logout(
    menshen: &TokenEnv,
    connector: &str,
    sid: &str,
) -> Result<Option<usize>, StoreError> {
    let connector = connector.parse().unwrap();
    let mark = LogoutTarget::Session(sid.to_owned());
    let until = Timestamp::from_unix_s(1_900_000_000);
    let sessions = &menshen.menshen.sessions;
    sessions
        .apply_provider_logout(&connector, &mark, None, until)
        .await
}

#[tokio::test]
async fn front_channel_logouts_are_applied_once_per_retry_round_during_a_store_failure() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 200);
    let (store, sessions) = (&menshen.menshen.store, &menshen.menshen.sessions);
    let changes = sessions.changes();
    store.fail_at("apply_provider_logout", Some(Fault::Failed));
    for (connector, sid) in [("corp", "another"), ("other", PROVIDER_SID)] {
        assert!(
            apply_front_channel_logout(&menshen, connector, sid)
                .await
                .is_err()
        );
        sessions.retry_pending(0).await;
        assert_eq!(menshen.ask("/echo", &cookie).await.status, 200, "{sid}");
    }
    // A logout request triggers no search: the next retry round searches for all of them at once.
    assert!(
        apply_front_channel_logout(&menshen, "corp", PROVIDER_SID)
            .await
            .is_err()
    );
    assert!(!changes.has_changed().unwrap());
    sessions.retry_pending(0).await;
    assert!(changes.has_changed().unwrap());
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
    // The session stays ended when the store accepts the logout.
    store.fail_at("apply_provider_logout", None);
    eventually("all is stored", async || {
        sessions.retry_pending(0).await == 0
    })
    .await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
}

#[tokio::test]
async fn a_logout_over_the_pending_limit_is_applied_only_by_the_store() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 200);
    let (store, sessions) = (&menshen.menshen.store, &menshen.menshen.sessions);
    store.fail_at("apply_provider_logout", Some(Fault::Failed));
    for number in 0..10_000 {
        let of_nobody = format!("nobody {number}");
        assert!(
            apply_front_channel_logout(&menshen, "corp", &of_nobody)
                .await
                .is_err()
        );
    }
    assert!(
        apply_front_channel_logout(&menshen, "corp", PROVIDER_SID)
            .await
            .is_err()
    );
    sessions.retry_pending(0).await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 200);
    store.fail_at("apply_provider_logout", None);
    assert_eq!(
        apply_front_channel_logout(&menshen, "corp", PROVIDER_SID)
            .await
            .unwrap(),
        Some(1)
    );
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
}
