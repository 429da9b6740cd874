//! When sessions end: by their lifetime, by sign-out, by revocation and by a new configuration.

mod cookie;
mod entry_logins;
mod long_responses;
mod nodes;
mod outage;
mod outage_log;
mod overtaken;
mod panics;
mod reloaded;
mod removed_person;
mod restored;
mod revoked;
mod store_interruptions;
mod tickets;
mod tokens;
pub(crate) mod tunnels;
mod unstored;
pub(crate) mod watched;

use std::time::{Duration, Instant};

use menshen::people::session::SessionLookup;
use menshen::store::{AccountId, SessionRecord, SessionsQuery, Store};

use crate::browser::Browser;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use watched::WatchedMenshen;

const HOUR: Duration = Duration::from_secs(3600);

/// The status of a request to the application with this session cookie.
async fn status(menshen: &Menshen, cookie: &str) -> u16 {
    TestRequest::get("/echo")
        .session(cookie)
        .send(menshen)
        .await
        .status
}

/// All sessions in a store, the newest first.
pub(crate) async fn stored_sessions(store: &dyn Store) -> Vec<SessionRecord> {
    let query = SessionsQuery {
        max: 1_000,
        ..SessionsQuery::default()
    };
    let listed = store.sessions(&query).await.unwrap().into_iter();
    listed.map(|one| one.session).collect()
}

/// The account with this login, and its sessions, the newest first.
pub(crate) async fn account_and_sessions(
    store: &dyn Store,
    login: &str,
) -> (AccountId, Vec<SessionRecord>) {
    let login = login.parse().unwrap();
    let account = store.account_by_login(&login).await.unwrap().unwrap().id;
    let mut sessions = stored_sessions(store).await;
    sessions.retain(|session| session.account == account);
    (account, sessions)
}

/// The session in a store that has exactly one.
async fn only_session(store: &dyn Store) -> SessionRecord {
    let mut sessions = stored_sessions(store).await;
    assert_eq!(sessions.len(), 1);
    sessions.remove(0)
}

/// Waits until a condition holds, for at most a minute.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(60), "not {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_session_in_use_ends_after_its_lifetime() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    for _ in 0..11 {
        menshen.advance(HOUR);
        assert_eq!(status(&menshen, &cookie).await, 200);
    }
    menshen.advance(HOUR - Duration::from_secs(1));
    assert_eq!(status(&menshen, &cookie).await, 200);
    menshen.advance(Duration::from_secs(1));
    assert_eq!(status(&menshen, &cookie).await, 401);
}

#[tokio::test]
async fn an_unused_session_ends_after_the_idle_timeout() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    menshen.advance(2 * HOUR - Duration::from_secs(1));
    assert_eq!(
        status(&menshen, &cookie).await,
        200,
        "a second before the idle time-out"
    );
    menshen.advance(2 * HOUR);
    assert_eq!(status(&menshen, &cookie).await, 401, "at the idle time-out");
    assert_eq!(
        status(&menshen, &cookie).await,
        401,
        "the session stays ended"
    );
}

#[tokio::test]
async fn a_session_that_was_never_used_ends_after_the_idle_timeout() {
    let menshen = Menshen::new().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    // The first request of the session comes after the idle time-out.
    menshen.advance(2 * HOUR);
    assert_eq!(status(&menshen, &cookie).await, 401);
}

#[tokio::test]
async fn requests_write_their_last_use_once_in_a_tenth_of_the_idle_timeout() {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let cookie = menshen.session_cookie_of("zhangsan").await;
    let request = TestRequest::get("/echo").session(&cookie);
    let minted = only_session(&*menshen.store).await;
    for _ in 0..30 {
        assert_eq!(request.send_to(menshen.address).await.status, 200);
    }
    menshen.clock.advance(Duration::from_secs(11 * 60));
    for _ in 0..30 {
        assert_eq!(request.send_to(menshen.address).await.status, 200);
    }
    menshen.clock.advance(Duration::from_secs(2 * 60));
    for _ in 0..30 {
        assert_eq!(request.send_to(menshen.address).await.status, 200);
    }
    let now = menshen.clock.now();
    let written = async || only_session(&*menshen.store).await.used_at == now;
    eventually("written", written).await;
    assert!(minted.used_at < now);
    // Writes are made in order, so earlier ones would be counted already.
    assert_eq!(menshen.store.calls("touch"), 1);
    assert_eq!(
        menshen.store.calls("session"),
        1,
        "one read for all requests"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_sessions_than_the_cache_holds_are_still_accepted() {
    let setup = Setup::default().session("cached_sessions_max = 1");
    let menshen = setup.start().await;
    let cookies = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
        session_cookie_of(&menshen, "wangfang").await,
    ];
    let tasks: Vec<_> = (0..12)
        .map(|nth| {
            let cookie = cookies[nth % 3].clone();
            let site = menshen.running.live().site();
            tokio::spawn(async move {
                for round in 0..400 {
                    let (gate, ring) = (&site.gate, &site.ring);
                    let lookup = gate
                        .sessions
                        .find(ring, &gate.timeouts, &cookie, "sso.test")
                        .await;
                    assert!(
                        matches!(lookup, Ok(SessionLookup::Person(_))),
                        "round {round}: {lookup:?}"
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn every_login_gets_a_new_session() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    // An attacker put the cookie of another session into the browser.
    let planted = session_cookie_of(&menshen, "wangfang").await;
    browser.set_cookie("sso.test", "menshen", &planted);
    let start = format!("{SSO_URL}/.menshen/start?connector=corp&rd=%2Fecho");
    browser.sign_in(&start, "zhangsan").await;
    let first = browser.cookie("menshen").unwrap().value.clone();
    browser.sign_in(&start, "zhangsan").await;
    let second = browser.cookie("menshen").unwrap().value.clone();
    assert!(planted != first && first != second);
    // Each login ended the previous session: a copy of an old cookie is refused.
    for (cookie, status) in [(&planted, 401), (&first, 401), (&second, 200)] {
        let answer = TestRequest::get("/echo")
            .session(cookie)
            .send(&menshen)
            .await;
        assert_eq!(answer.status, status);
    }
    let store = &menshen.running.live().services().store;
    let session = only_session(&**store).await;
    // The cookie does not contain the session ID that the administrator and the log see.
    assert!(!second.contains(&session.public_id.to_string()));
    let replaced = menshen.audit();
    let replaced = replaced.iter().filter(|line| line["reason"] == "replaced");
    assert_eq!(replaced.count(), 2);
}

#[tokio::test]
async fn a_forged_cookie_is_refused_without_a_store_read() {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let cookie = menshen.session_cookie_of("zhangsan").await;
    let reads_before = menshen.store.calls("session");
    let parts: Vec<_> = cookie.split('.').collect();
    let tail = if cookie.ends_with('A') { "B" } else { "A" };
    let forged = [
        format!("{}{tail}", &cookie[..cookie.len() - 1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}", parts[1], parts[1], parts[2]),
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{}.", parts[1]),
        "x".repeat(10_000),
        "..".to_owned(),
        "\u{4f1a}".to_owned(),
        String::new(),
    ];
    for forged in forged {
        let answer = TestRequest::get("/echo")
            .session(&forged)
            .send_to(menshen.address)
            .await;
        assert_eq!(answer.status, 401, "{forged}");
    }
    assert_eq!(menshen.store.calls("session"), reads_before);
    let valid = TestRequest::get("/echo")
        .session(&cookie)
        .send_to(menshen.address)
        .await;
    assert_eq!(valid.status, 200);
}
