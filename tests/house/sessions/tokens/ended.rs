//! A source that no longer vouches ends the session; one that cannot be asked does not.

use menshen::store::{LogoutTarget, RevocationScope, SessionStore as _, StoreError};

use super::*;
use crate::sessions::tunnels::{GOODBYE, Socket};
use crate::sessions::watched::{Fault, When};

#[tokio::test]
async fn who_is_gone_at_the_source_is_sent_to_log_in() {
    let menshen = TokenHouse::new().await;
    let (cookie, other) = (menshen.signed_in().await, menshen.signed_in().await);
    assert_eq!(menshen.access(&cookie).await, name(1));
    menshen.provider.set(|state| state.mood = Mood::Gone);
    menshen.advance(SOON);
    // The request that is served meanwhile is the last.
    assert_eq!(menshen.access(&cookie).await, name(1));
    menshen.counts("gone", 1).await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
    assert_eq!(
        menshen.menshen.store.sessions(None, 9).await.unwrap().len(),
        1
    );
    let audit = menshen.audit("refresh-gone");
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["login"], "zhangsan");
    assert_eq!(audit[0]["connector"], "corp");
    // Another session of theirs is its own.
    menshen.provider.set(|state| state.mood = Mood::Good);
    assert_eq!(menshen.ask("/echo", &other).await.status, 200);
}

#[tokio::test]
async fn whoever_waited_for_a_source_that_says_they_are_gone_is_refused() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.provider.set(|state| state.mood = Mood::Gone);
    menshen.advance(LIFETIME);
    for asked in menshen.crowd(20, "/echo", &cookie) {
        assert_eq!(asked.await.unwrap().status, 401);
    }
    assert_eq!(menshen.provider.asked(), 1);
}

#[tokio::test]
async fn a_tunnel_ends_with_the_session() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    let mut socket = Socket::open(menshen.menshen.address, "/ws", &cookie).await;
    assert!(socket.echoes().await);
    menshen.provider.set(|state| state.mood = Mood::Gone);
    menshen.advance(SOON);
    menshen.access(&cookie).await;
    assert_eq!(socket.ends("gone at the source").await, GOODBYE);
}

#[tokio::test]
async fn a_tunnel_ends_when_a_refresh_takes_its_right_away() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    let mut socket = Socket::open(menshen.menshen.address, "/finance/ws", &cookie).await;
    assert!(socket.echoes().await);
    menshen.provider.set(|state| state.groups = Vec::new());
    menshen.advance(SOON);
    menshen.access(&cookie).await;
    assert_eq!(socket.ends("lost the group").await, GOODBYE);
}

#[tokio::test]
async fn a_source_that_cannot_be_asked_ends_nothing_and_is_asked_ever_more_seldom() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.provider.set(|state| state.mood = Mood::Unavailable);
    menshen.advance(LIFETIME);
    let mut pauses = Vec::new();
    let mut waited = 0;
    for _ in 0..260 {
        let before = menshen.provider.asked();
        // It is over, so it is not sent.
        assert_eq!(menshen.access(&cookie).await, None);
        if menshen.provider.asked() > before {
            pauses.push(waited);
            waited = 0;
        }
        menshen.advance(5 * SECOND);
        waited += 5;
    }
    assert_eq!(pauses, [0, 5, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(menshen.counted("unavailable"), 10);
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    // It comes back.
    menshen.provider.set(|state| state.mood = Mood::Good);
    menshen.advance(Duration::from_secs(300));
    assert_eq!(menshen.access(&cookie).await, name(2));
    menshen.provider.set(|state| state.mood = Mood::Unavailable);
    menshen.advance(LIFETIME);
    menshen.access(&cookie).await;
    menshen.advance(Duration::from_secs(5));
    menshen.access(&cookie).await;
    assert_eq!(menshen.provider.asked(), 13, "the pauses begin anew");
}

#[tokio::test]
async fn a_token_that_still_lives_is_sent_while_the_source_cannot_be_asked() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.provider.set(|state| state.mood = Mood::Unavailable);
    menshen.advance(SOON);
    assert_eq!(menshen.access(&cookie).await, name(1));
    menshen.counts("unavailable", 1).await;
    assert_eq!(menshen.access(&cookie).await, name(1));
    menshen.advance(LIFETIME - SOON - SECOND);
    assert_eq!(menshen.access(&cookie).await, name(1));
    menshen.advance(SECOND);
    assert_eq!(menshen.access(&cookie).await, None);
}

#[tokio::test]
async fn nobody_waits_for_a_source_that_never_answers() {
    let pace = RefreshTimeouts {
        wait: Duration::from_millis(200),
        ..RefreshTimeouts::default()
    };
    let menshen = TokenHouse::with(&Provider::new(), setup(), pace).await;
    let cookie = menshen.signed_in().await;
    menshen.advance(LIFETIME);
    menshen.provider.hold();
    for asked in menshen.crowd(50, "/echo", &cookie) {
        assert_eq!(access(&asked.await.unwrap()), None);
    }
    assert_eq!(menshen.provider.asked(), 1);
    // Whoever comes later waits no longer; and when it answers at last, that counts.
    assert_eq!(menshen.access(&cookie).await, None);
    menshen.provider.release();
    menshen.counts("done", 1).await;
    assert_eq!(menshen.access(&cookie).await, name(2));
}

#[tokio::test]
async fn who_signs_out_waits_for_no_source() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.advance(LIFETIME);
    menshen.provider.hold();
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
    assert_eq!(menshen.provider.asked(), 0);
}

#[tokio::test]
async fn a_process_that_stops_lets_a_refresh_end() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.access(&cookie).await;
    menshen.advance(SOON);
    menshen.provider.hold();
    menshen.access(&cookie).await;
    menshen.provider.holds(1).await;
    let sessions = Arc::clone(&menshen.menshen.sessions);
    let stopping = tokio::spawn(async move { sessions.drain_refreshes(HOUR).await });
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    menshen.provider.release();
    stopping.await.unwrap();
    let session = menshen
        .menshen
        .store
        .sessions(None, 9)
        .await
        .unwrap()
        .remove(0);
    let kept = menshen.menshen.store.session(&session.key).await.unwrap();
    assert_eq!(kept.unwrap().tokens.unwrap().version, 2);
}

#[tokio::test]
async fn a_source_that_takes_too_long_counts_as_away() {
    let pace = RefreshTimeouts {
        wait: Duration::from_secs(10),
        provider: Duration::from_millis(50),
    };
    let menshen = TokenHouse::with(&Provider::new(), setup(), pace).await;
    let cookie = menshen.signed_in().await;
    menshen.advance(LIFETIME);
    menshen.provider.hold();
    assert_eq!(menshen.access(&cookie).await, None);
    assert_eq!(menshen.counted("unavailable"), 1);
}

#[tokio::test]
async fn a_source_that_breaks_ends_nothing_and_is_left_alone_for_a_while() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.provider.set(|state| state.mood = Mood::Panics);
    menshen.advance(LIFETIME);
    for _ in 0..5 {
        assert_eq!(menshen.access(&cookie).await, None);
    }
    assert_eq!(menshen.provider.asked(), 1);
    menshen.provider.set(|state| state.mood = Mood::Good);
    // The lease of the one that broke must end first.
    menshen.advance(Duration::from_secs(100));
    assert_eq!(menshen.access(&cookie).await, name(2));
}

#[tokio::test]
async fn a_revocation_during_a_refresh_is_not_undone_by_it() {
    for at in 0..4 {
        let menshen = TokenHouse::new().await;
        let cookie = menshen.signed_in().await;
        menshen.access(&cookie).await;
        menshen.advance(LIFETIME);
        let session = menshen
            .menshen
            .store
            .sessions(None, 9)
            .await
            .unwrap()
            .remove(0);
        let scope = match at {
            0 => RevocationScope::Session(session.key),
            1 => RevocationScope::Account(session.account),
            2 => RevocationScope::Connector(corp()),
            _ => RevocationScope::Everyone,
        };
        menshen.provider.hold();
        let crowd = menshen.crowd(5, "/echo", &cookie);
        menshen.provider.holds(1).await;
        menshen.menshen.sessions.revoke(&scope).await.unwrap();
        menshen.provider.release();
        for asked in crowd {
            assert_eq!(asked.await.unwrap().status, 401, "{scope:?}");
        }
        assert_eq!(menshen.ask("/echo", &cookie).await.status, 401, "{scope:?}");
        let left = menshen.menshen.store.sessions(None, 9).await.unwrap();
        assert_eq!(left.len(), 0, "{scope:?}");
    }
}

#[tokio::test]
async fn a_session_another_process_ended_meanwhile_is_over_here_too() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.access(&cookie).await;
    menshen.advance(LIFETIME);
    let session = menshen
        .menshen
        .store
        .sessions(None, 9)
        .await
        .unwrap()
        .remove(0);
    menshen.menshen.store.hold("update_tokens", When::Before);
    let crowd = menshen.crowd(3, "/echo", &cookie);
    menshen.menshen.store.holds(1).await;
    // Behind the back of this process, which has not read the log yet.
    let now = menshen.menshen.clock.now();
    let scope = RevocationScope::Session(session.key);
    menshen
        .menshen
        .store
        .behind()
        .revoke(&scope, now)
        .await
        .unwrap();
    menshen.menshen.store.release();
    for asked in crowd {
        assert_eq!(asked.await.unwrap().status, 401);
    }
}

#[tokio::test]
async fn a_store_that_fails_ends_nothing() {
    for question in ["lease", "session", "update_tokens"] {
        let menshen = TokenHouse::new().await;
        let cookie = menshen.signed_in().await;
        menshen.access(&cookie).await;
        menshen.advance(LIFETIME);
        menshen.provider.set(|state| state.groups = Vec::new());
        menshen.menshen.store.fail_at(question, Some(Fault::Failed));
        let finance = menshen.ask("/finance/echo", &cookie).await.status;
        // What the source took away is gone even if the store could not be told.
        assert_eq!(
            finance,
            if question == "update_tokens" {
                403
            } else {
                200
            },
            "{question}"
        );
        menshen.menshen.store.fail_at(question, None);
        menshen.advance(Duration::from_secs(5));
        menshen.ask("/echo", &cookie).await;
        menshen.counts("done", 1).await;
        assert_eq!(
            menshen.ask("/finance/echo", &cookie).await.status,
            403,
            "{question}"
        );
        assert_eq!(menshen.provider.reused(), 0, "{question}");
    }
}

#[tokio::test]
async fn what_the_store_missed_gives_way_to_what_it_keeps_later() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
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
async fn a_token_does_not_give_back_a_group_that_its_source_took_away() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    assert_eq!(menshen.ask("/finance/echo", &cookie).await.status, 200);
    // The store still has the group: it did not take what the refresh said.
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

/// Anybody says at the front channel that a session of a source is over.
async fn say_over(
    menshen: &TokenHouse,
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
async fn what_anybody_may_say_of_a_session_is_searched_for_once_a_round_while_the_store_fails() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 200);
    let (store, sessions) = (&menshen.menshen.store, &menshen.menshen.sessions);
    let changes = sessions.changes();
    store.fail_at("apply_provider_logout", Some(Fault::Failed));
    for (connector, sid) in [("corp", "another"), ("other", SID)] {
        assert!(say_over(&menshen, connector, sid).await.is_err());
        sessions.retry_pending(0).await;
        assert_eq!(menshen.ask("/echo", &cookie).await.status, 200, "{sid}");
    }
    // Whoever asks has nothing searched: the rounds do that for everybody at once.
    assert!(say_over(&menshen, "corp", SID).await.is_err());
    assert!(!changes.has_changed().unwrap());
    sessions.retry_pending(0).await;
    assert!(changes.has_changed().unwrap());
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
    // It stays over when the store takes it.
    store.fail_at("apply_provider_logout", None);
    eventually("all is stored", async || {
        sessions.retry_pending(0).await == 0
    })
    .await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
}

#[tokio::test]
async fn what_finds_no_place_to_wait_in_is_searched_for_by_the_store_alone() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 200);
    let (store, sessions) = (&menshen.menshen.store, &menshen.menshen.sessions);
    store.fail_at("apply_provider_logout", Some(Fault::Failed));
    for number in 0..10_000 {
        let of_nobody = format!("nobody {number}");
        assert!(say_over(&menshen, "corp", &of_nobody).await.is_err());
    }
    assert!(say_over(&menshen, "corp", SID).await.is_err());
    sessions.retry_pending(0).await;
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 200);
    store.fail_at("apply_provider_logout", None);
    assert_eq!(say_over(&menshen, "corp", SID).await.unwrap(), Some(1));
    assert_eq!(menshen.ask("/echo", &cookie).await.status, 401);
}
