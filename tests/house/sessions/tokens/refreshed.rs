//! Concurrent requests of a session cause one refresh, and all of them are served.

use super::*;
use crate::sessions::watched::When;
use crate::stores::TempDir;

#[tokio::test]
async fn no_refresh_happens_before_it_is_due() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen.advance(REFRESH_DUE_AFTER - SECOND);
    for _ in 0..10 {
        assert_eq!(
            menshen.forwarded_access_token(&cookie).await,
            access_token(1)
        );
    }
    assert_eq!(menshen.provider.refreshes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_requests_at_refresh_time_use_one_refresh_token_and_the_old_access_token() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(1)
    );
    menshen.advance(REFRESH_DUE_AFTER);
    menshen.provider.block();
    let requests = menshen.concurrent_requests(100, "/echo", &cookie);
    // The refresh is in progress, and no request waits for it.
    menshen.provider.wait_until_blocked(1).await;
    for asked in requests {
        assert_eq!(access_token_in(&asked.await.unwrap()), access_token(1));
    }
    menshen.provider.release();
    menshen.wait_for_outcome("done", 1).await;
    for asked in menshen.concurrent_requests(100, "/echo", &cookie) {
        assert_eq!(access_token_in(&asked.await.unwrap()), access_token(2));
    }
    assert_eq!(
        (
            menshen.provider.refreshes(),
            menshen.provider.reused_refresh_tokens()
        ),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_requests_after_expiry_use_one_refresh_token_and_wait_for_the_new_access_token() {
    let menshen = TokenEnv::new().await;
    // The session is not cached yet, so it must be read, too.
    let cookie = menshen.new_session_cookie().await;
    menshen.advance(LIFETIME);
    menshen.provider.block();
    let requests = menshen.concurrent_requests(100, "/echo", &cookie);
    menshen.provider.wait_until_blocked(1).await;
    menshen.provider.release();
    for asked in requests {
        assert_eq!(access_token_in(&asked.await.unwrap()), access_token(2));
    }
    assert_eq!(
        (
            menshen.provider.refreshes(),
            menshen.provider.reused_refresh_tokens()
        ),
        (1, 0)
    );
    assert_eq!(menshen.refresh_count("done"), 1);
}

#[tokio::test]
async fn a_disconnected_client_does_not_stop_the_refresh() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen.advance(LIFETIME);
    menshen.provider.block();
    let requests = menshen.concurrent_requests(1, "/echo", &cookie);
    menshen.provider.wait_until_blocked(1).await;
    requests.iter().for_each(tokio::task::JoinHandle::abort);
    menshen.provider.release();
    menshen.wait_for_outcome("done", 1).await;
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(2)
    );
    assert_eq!(
        (
            menshen.provider.refreshes(),
            menshen.provider.reused_refresh_tokens()
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn tokens_are_refreshed_again_and_again() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    for round in 1..=5 {
        assert_eq!(
            menshen.forwarded_access_token(&cookie).await,
            access_token(round)
        );
        menshen.advance(LIFETIME);
        assert_eq!(
            menshen.forwarded_access_token(&cookie).await,
            access_token(round + 1)
        );
        assert_eq!(menshen.provider.refreshes(), round);
    }
    assert_eq!(menshen.provider.reused_refresh_tokens(), 0);
}

#[tokio::test]
async fn short_lived_tokens_do_not_cause_a_refresh_per_request() {
    for lifetime in [0, 1, 9] {
        let menshen = TokenEnv::new().await;
        menshen
            .provider
            .set(|state| state.lifetime = Duration::from_secs(lifetime));
        let cookie = menshen.new_session_cookie().await;
        for _ in 0..10 {
            menshen.ask("/echo", &cookie).await;
        }
        assert_eq!(menshen.provider.refreshes(), 0, "{lifetime}");
        menshen.advance(Duration::from_secs(9));
        for _ in 0..10 {
            menshen.ask("/echo", &cookie).await;
        }
        assert_eq!(menshen.provider.refreshes(), 1, "{lifetime}");
    }
}

#[tokio::test]
async fn a_removed_group_is_gone_on_the_request_after_the_refresh() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    menshen.provider.set(|state| state.groups = vec!["人事部"]);
    // While the old token is valid, the refresh runs in the background and affects the next request.
    menshen.advance(REFRESH_DUE_AFTER);
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    menshen.wait_for_outcome("done", 1).await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 403);
    let audit = menshen.audit("entitlements");
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["reason"], "groups");
    assert!(!audit[0].to_string().contains("人事部"));

    // The group is restored; this time the request itself waits for the refresh.
    menshen.provider.set(|state| state.groups = vec!["财务部"]);
    menshen.advance(LIFETIME);
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
}

#[tokio::test]
async fn requests_that_wait_for_a_refresh_use_its_groups() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    menshen.provider.set(|state| state.groups = Vec::new());
    menshen.advance(LIFETIME);
    for asked in menshen.concurrent_requests(20, "/finance/echo", &cookie) {
        assert_eq!(asked.await.unwrap().status, 403);
    }
    assert_eq!(menshen.provider.refreshes(), 1);
}

#[tokio::test]
async fn a_refresh_updates_all_sessions_of_the_person() {
    let menshen = TokenEnv::new().await;
    let (one, other) = (
        menshen.new_session_cookie().await,
        menshen.new_session_cookie().await,
    );
    assert_eq!(menshen.ask("/finance/echo", &other).await.status, 200);
    menshen.provider.set(|state| state.groups = Vec::new());
    menshen.advance(LIFETIME);
    assert_eq!(menshen.ask("/finance/echo", &one).await.status, 403);
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Unavailable);
    assert_eq!(menshen.ask("/finance/echo", &other).await.status, 403);
}

#[tokio::test]
async fn a_refresh_without_a_profile_changes_no_group() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Silent);
    menshen.advance(LIFETIME);
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(2)
    );
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    assert_eq!(menshen.audit("entitlements").len(), 0);
}

#[tokio::test]
async fn a_refresh_never_changes_the_login_name() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    // The login name of another person, and an empty one.
    for login in ["lisi", ""] {
        menshen.provider.set(|state| state.login = login);
        menshen.advance(LIFETIME);
        let answer = menshen.ask("/echo", &cookie).await;
        assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"], "{login}");
        assert_eq!(answer.echoed("x-forwarded-groups").len(), 1, "{login}");
    }
    assert_eq!(menshen.provider.refreshes(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_use_one_refresh_token() {
    let (dir, provider) = (TempDir::new(), Provider::new());
    let setup = setup().store(&dir.url());
    let here = TokenEnv::with(&provider, setup.clone(), RefreshTimeouts::default()).await;
    let there = TokenEnv::with(&provider, setup, RefreshTimeouts::default()).await;
    let cookie = here.new_session_cookie().await;
    for round in 1..=3 {
        assert_eq!(
            here.forwarded_access_token(&cookie).await,
            access_token(round)
        );
        assert_eq!(
            there.forwarded_access_token(&cookie).await,
            access_token(round)
        );
        here.advance(LIFETIME);
        there.menshen.clock.advance(LIFETIME);
        provider.set(|state| state.groups = vec![["a", "b", "c"][round - 1]]);
        provider.block();
        let crowds = [
            here.concurrent_requests(20, "/echo", &cookie),
            there.concurrent_requests(20, "/echo", &cookie),
        ];
        // One node waits for the provider, the other one for the first node.
        provider.wait_until_blocked(round).await;
        provider.release();
        for asked in crowds.into_iter().flatten() {
            let answer = asked.await.unwrap();
            assert_eq!(access_token_in(&answer), access_token(round + 1));
            let groups = [["a", "b", "c"][round - 1]];
            assert_eq!(answer.echoed("x-forwarded-groups"), groups);
        }
        assert_eq!(
            (provider.refreshes(), provider.reused_refresh_tokens()),
            (round, 0)
        );
    }
    assert_eq!(here.refresh_count("done") + there.refresh_count("done"), 3);
    assert_eq!(
        here.refresh_count("adopted") + there.refresh_count("adopted"),
        3
    );
}

#[tokio::test]
async fn a_node_adopts_the_refresh_of_another_node() {
    let (dir, provider) = (TempDir::new(), Provider::new());
    let setup = setup().store(&dir.url());
    let here = TokenEnv::with(&provider, setup.clone(), RefreshTimeouts::default()).await;
    let there = TokenEnv::with(&provider, setup, RefreshTimeouts::default()).await;
    let cookie = here.new_session_cookie().await;
    assert_eq!(here.ask("/finance/echo", &cookie).await.status, 200);
    assert_eq!(there.ask("/finance/echo", &cookie).await.status, 200);
    provider.set(|state| state.groups = Vec::new());
    here.advance(LIFETIME);
    there.menshen.clock.advance(LIFETIME);
    assert_eq!(here.ask("/finance/echo", &cookie).await.status, 403);
    assert_eq!(there.ask("/finance/echo", &cookie).await.status, 403);
    assert_eq!(there.forwarded_access_token(&cookie).await, access_token(2));
    assert_eq!(
        (provider.refreshes(), there.refresh_count("adopted")),
        (1, 1)
    );
}

#[tokio::test]
async fn a_node_whose_refresh_lease_expired_keeps_the_session() {
    let (dir, provider) = (TempDir::new(), Provider::new());
    let setup = setup().store(&dir.url());
    let here = TokenEnv::with(&provider, setup.clone(), RefreshTimeouts::default()).await;
    let there = TokenEnv::with(&provider, setup, RefreshTimeouts::default()).await;
    let cookie = here.new_session_cookie().await;
    here.forwarded_access_token(&cookie).await;
    there.forwarded_access_token(&cookie).await;
    here.advance(LIFETIME);
    there.menshen.clock.advance(LIFETIME);
    // The refresh of the first node takes so long that its lease expires. The second node starts another
    // one, which uses up the refresh token.
    provider.block_first(1);
    let requests = here.concurrent_requests(1, "/echo", &cookie);
    provider.wait_until_blocked(1).await;
    there.menshen.clock.advance(Duration::from_secs(100));
    there.menshen.store.block("update_tokens", When::Before);
    let other = there.concurrent_requests(1, "/echo", &cookie);
    there.menshen.store.wait_until_blocked(1).await;
    // For the first node the provider reports a reused token, and the store has no newer one yet.
    let asked = here.menshen.store.calls("lease");
    provider.release();
    let again = async || here.menshen.store.calls("lease") > asked;
    eventually("asked for the lease again", again).await;
    there.menshen.store.release();
    for asked in requests.into_iter().chain(other) {
        assert_eq!(access_token_in(&asked.await.unwrap()), access_token(2));
    }
    assert_eq!(
        (provider.refreshes(), provider.reused_refresh_tokens()),
        (2, 1)
    );
    assert_eq!(
        (here.refresh_count("adopted"), there.refresh_count("done")),
        (1, 1)
    );
}
