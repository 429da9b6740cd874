//! A refresh spends one refresh token, whoever asks, and everybody is served.

use super::*;
use crate::sessions::watched::When;
use crate::stores::TempDir;

#[tokio::test]
async fn nothing_is_refreshed_before_its_time() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.advance(SOON - SECOND);
    for _ in 0..10 {
        assert_eq!(menshen.access(&cookie).await, name(1));
    }
    assert_eq!(menshen.provider.asked(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_requests_at_refresh_time_spend_one_token_and_are_served_by_the_old_one() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    assert_eq!(menshen.access(&cookie).await, name(1));
    menshen.advance(SOON);
    menshen.provider.hold();
    let crowd = menshen.crowd(100, "/echo", &cookie);
    // The provider thinks, and nobody waits for it.
    menshen.provider.holds(1).await;
    for asked in crowd {
        assert_eq!(access(&asked.await.unwrap()), name(1));
    }
    menshen.provider.release();
    menshen.counts("done", 1).await;
    for asked in menshen.crowd(100, "/echo", &cookie) {
        assert_eq!(access(&asked.await.unwrap()), name(2));
    }
    assert_eq!(
        (menshen.provider.asked(), menshen.provider.reused()),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_requests_after_the_end_spend_one_token_and_wait_for_the_new_one() {
    let menshen = TokenHouse::new().await;
    // Nobody has been seen yet: the session itself must be read, too.
    let cookie = menshen.signed_in().await;
    menshen.advance(LIFETIME);
    menshen.provider.hold();
    let crowd = menshen.crowd(100, "/echo", &cookie);
    menshen.provider.holds(1).await;
    menshen.provider.release();
    for asked in crowd {
        assert_eq!(access(&asked.await.unwrap()), name(2));
    }
    assert_eq!(
        (menshen.provider.asked(), menshen.provider.reused()),
        (1, 0)
    );
    assert_eq!(menshen.counted("done"), 1);
}

#[tokio::test]
async fn whoever_goes_away_does_not_stop_the_refresh() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.advance(LIFETIME);
    menshen.provider.hold();
    let crowd = menshen.crowd(1, "/echo", &cookie);
    menshen.provider.holds(1).await;
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
    menshen.provider.release();
    menshen.counts("done", 1).await;
    assert_eq!(menshen.access(&cookie).await, name(2));
    assert_eq!(
        (menshen.provider.asked(), menshen.provider.reused()),
        (1, 0)
    );
}

#[tokio::test]
async fn tokens_are_refreshed_again_and_again() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    for round in 1..=5 {
        assert_eq!(menshen.access(&cookie).await, name(round));
        menshen.advance(LIFETIME);
        assert_eq!(menshen.access(&cookie).await, name(round + 1));
        assert_eq!(menshen.provider.asked(), round);
    }
    assert_eq!(menshen.provider.reused(), 0);
}

#[tokio::test]
async fn tokens_that_hardly_live_do_not_make_every_request_a_refresh() {
    for lifetime in [0, 1, 9] {
        let menshen = TokenHouse::new().await;
        menshen
            .provider
            .set(|state| state.lifetime = Duration::from_secs(lifetime));
        let cookie = menshen.signed_in().await;
        for _ in 0..10 {
            menshen.ask("/echo", &cookie).await;
        }
        assert_eq!(menshen.provider.asked(), 0, "{lifetime}");
        menshen.advance(Duration::from_secs(9));
        for _ in 0..10 {
            menshen.ask("/echo", &cookie).await;
        }
        assert_eq!(menshen.provider.asked(), 1, "{lifetime}");
    }
}

#[tokio::test]
async fn a_group_that_is_lost_is_lost_on_the_next_request() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    menshen.provider.set(|state| state.groups = vec!["人事部"]);
    // In the background, as long as the old token serves: the request after it is refused.
    menshen.advance(SOON);
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    menshen.counts("done", 1).await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 403);
    let audit = menshen.audit("entitlements");
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["reason"], "groups");
    assert!(!audit[0].to_string().contains("人事部"));

    // And given back; this time the request itself waits for the refresh.
    menshen.provider.set(|state| state.groups = vec!["财务部"]);
    menshen.advance(LIFETIME);
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
}

#[tokio::test]
async fn a_person_that_is_waited_for_is_judged_by_what_the_refresh_says() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    menshen.provider.set(|state| state.groups = Vec::new());
    menshen.advance(LIFETIME);
    for asked in menshen.crowd(20, "/finance/echo", &cookie) {
        assert_eq!(asked.await.unwrap().status, 403);
    }
    assert_eq!(menshen.provider.asked(), 1);
}

#[tokio::test]
async fn all_sessions_of_a_person_see_what_one_refresh_says() {
    let menshen = TokenHouse::new().await;
    let (one, other) = (menshen.signed_in().await, menshen.signed_in().await);
    assert_eq!(menshen.ask("/finance/echo", &other).await.status, 200);
    menshen.provider.set(|state| state.groups = Vec::new());
    menshen.advance(LIFETIME);
    assert_eq!(menshen.ask("/finance/echo", &one).await.status, 403);
    menshen.provider.set(|state| state.mood = Mood::Unavailable);
    assert_eq!(menshen.ask("/finance/echo", &other).await.status, 403);
}

#[tokio::test]
async fn a_refresh_that_says_nothing_of_the_person_changes_nothing() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.provider.set(|state| state.mood = Mood::Silent);
    menshen.advance(LIFETIME);
    assert_eq!(menshen.access(&cookie).await, name(2));
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    assert_eq!(menshen.audit("entitlements").len(), 0);
}

#[tokio::test]
async fn a_refresh_renames_nobody() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    // A login that would be another person's, and one that cannot be used at all.
    for login in ["lisi", ""] {
        menshen.provider.set(|state| state.login = login);
        menshen.advance(LIFETIME);
        let answer = menshen.ask("/echo", &cookie).await;
        assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"], "{login}");
        assert_eq!(answer.echoed("x-forwarded-groups").len(), 1, "{login}");
    }
    assert_eq!(menshen.provider.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_spend_one_token_between_them() {
    let (dir, provider) = (TempDir::new(), Provider::new());
    let setup = setup().store(&dir.url());
    let here = TokenHouse::with(&provider, setup.clone(), RefreshTimeouts::default()).await;
    let there = TokenHouse::with(&provider, setup, RefreshTimeouts::default()).await;
    let cookie = here.signed_in().await;
    for round in 1..=3 {
        assert_eq!(here.access(&cookie).await, name(round));
        assert_eq!(there.access(&cookie).await, name(round));
        here.advance(LIFETIME);
        there.menshen.clock.advance(LIFETIME);
        provider.set(|state| state.groups = vec![["a", "b", "c"][round - 1]]);
        provider.hold();
        let crowds = [
            here.crowd(20, "/echo", &cookie),
            there.crowd(20, "/echo", &cookie),
        ];
        // Whoever is first waits for the provider, the other for the first.
        provider.holds(round).await;
        provider.release();
        for asked in crowds.into_iter().flatten() {
            let answer = asked.await.unwrap();
            assert_eq!(access(&answer), name(round + 1));
            let groups = [["a", "b", "c"][round - 1]];
            assert_eq!(answer.echoed("x-forwarded-groups"), groups);
        }
        assert_eq!((provider.asked(), provider.reused()), (round, 0));
    }
    assert_eq!(here.counted("done") + there.counted("done"), 3);
    assert_eq!(here.counted("adopted") + there.counted("adopted"), 3);
}

#[tokio::test]
async fn a_node_that_comes_late_takes_over_what_the_other_refreshed() {
    let (dir, provider) = (TempDir::new(), Provider::new());
    let setup = setup().store(&dir.url());
    let here = TokenHouse::with(&provider, setup.clone(), RefreshTimeouts::default()).await;
    let there = TokenHouse::with(&provider, setup, RefreshTimeouts::default()).await;
    let cookie = here.signed_in().await;
    assert_eq!(here.ask("/finance/echo", &cookie).await.status, 200);
    assert_eq!(there.ask("/finance/echo", &cookie).await.status, 200);
    provider.set(|state| state.groups = Vec::new());
    here.advance(LIFETIME);
    there.menshen.clock.advance(LIFETIME);
    assert_eq!(here.ask("/finance/echo", &cookie).await.status, 403);
    assert_eq!(there.ask("/finance/echo", &cookie).await.status, 403);
    assert_eq!(there.access(&cookie).await, name(2));
    assert_eq!((provider.asked(), there.counted("adopted")), (1, 1));
}

#[tokio::test]
async fn a_node_that_was_overtaken_with_its_lease_gone_keeps_the_session() {
    let (dir, provider) = (TempDir::new(), Provider::new());
    let setup = setup().store(&dir.url());
    let here = TokenHouse::with(&provider, setup.clone(), RefreshTimeouts::default()).await;
    let there = TokenHouse::with(&provider, setup, RefreshTimeouts::default()).await;
    let cookie = here.signed_in().await;
    here.access(&cookie).await;
    there.access(&cookie).await;
    here.advance(LIFETIME);
    there.menshen.clock.advance(LIFETIME);
    // Here the refresh is on its way for so long that its lease is over; there another begins, which
    // spends the token.
    provider.hold_first(1);
    let crowd = here.crowd(1, "/echo", &cookie);
    provider.holds(1).await;
    there.menshen.clock.advance(Duration::from_secs(100));
    there.menshen.store.hold("update_tokens", When::Before);
    let other = there.crowd(1, "/echo", &cookie);
    there.menshen.store.holds(1).await;
    // Here the source says that the token was used before, and the store knows no newer one yet.
    let asked = here.menshen.store.asked("lease");
    provider.release();
    let again = async || here.menshen.store.asked("lease") > asked;
    eventually("asked for the lease again", again).await;
    there.menshen.store.release();
    for asked in crowd.into_iter().chain(other) {
        assert_eq!(access(&asked.await.unwrap()), name(2));
    }
    assert_eq!((provider.asked(), provider.reused()), (2, 1));
    assert_eq!((here.counted("adopted"), there.counted("done")), (1, 1));
}
