//! A revocation applies to operations in progress: session reads and logins.

use std::time::Duration;

use menshen::store::RevocationScope;

use super::watched::{WatchedMenshen, When};
use super::{only_session, stored_sessions};
use crate::browser::Browser;
use crate::people::closing;
use crate::setup::{SSO_URL, Setup};
use crate::test_request::TestRequest;

async fn scopes(menshen: &WatchedMenshen) -> [RevocationScope; 4] {
    let session = only_session(&*menshen.store).await;
    [
        RevocationScope::Session(session.key),
        RevocationScope::Account(session.account),
        RevocationScope::Connector(session.connector),
        RevocationScope::Everyone,
    ]
}

#[tokio::test]
async fn a_session_read_before_a_revocation_is_not_accepted_after_it() {
    for at in 0..4 {
        let menshen = WatchedMenshen::start(Setup::default()).await;
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let back = browser.choose_person(&source, "zhangsan").await;
        browser.visit(&back).await;
        let cookie = browser.cookie("menshen").unwrap().value.clone();
        let scope = scopes(&menshen).await[at].clone();
        // The store has read the session; the request has not received the result yet.
        menshen.store.block("session", When::After);
        let ask = TestRequest::get("/echo").session(&cookie);
        let asking = tokio::spawn({
            let (ask, address) = (ask.clone(), menshen.address);
            async move { ask.send_to(address).await.status }
        });
        menshen.store.wait_until_blocked(1).await;
        menshen.sessions.revoke(&scope).await.unwrap();
        menshen.store.release();
        assert_eq!(asking.await.unwrap(), 401, "{scope:?}");
        assert_eq!(
            ask.send_to(menshen.address).await.status,
            401,
            "{scope:?}, again"
        );
        assert_eq!(menshen.app.requests(), 0, "{scope:?}");
    }
}

#[tokio::test]
async fn a_login_that_started_before_a_revocation_creates_no_session() {
    let moments = [
        ("admit", When::Before),
        ("admit", When::After),
        ("mint", When::Before),
        ("mint", When::After),
    ];
    for (operation, when) in moments {
        // The revocation of a single session does not affect a new login, so it is left out.
        for at in 1..4 {
            let menshen = WatchedMenshen::start(Setup::default()).await;
            menshen.session_cookie_of("zhangsan").await;
            let scope = scopes(&menshen).await[at].clone();
            let mut browser = Browser::at(menshen.address);
            let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
            let back = browser.choose_person(&source, "zhangsan").await;
            menshen.store.block(operation, when);
            let login = tokio::spawn(async move {
                browser.visit(&back).await;
                browser
            });
            menshen.store.wait_until_blocked(1).await;
            menshen.sessions.revoke(&scope).await.unwrap();
            menshen.store.release();
            let browser = login.await.unwrap();
            let what = format!("{scope:?} {when:?} {operation}");
            if let Some(cookie) = browser.cookie("menshen") {
                let ask = TestRequest::get("/echo").session(&cookie.value);
                assert_eq!(ask.send_to(menshen.address).await.status, 401, "{what}");
            }
            let left = stored_sessions(&*menshen.store).await;
            assert_eq!(left.len(), 0, "{what}");
            // A new login succeeds.
            menshen.clock.advance(Duration::from_secs(1));
            menshen.session_cookie_of("zhangsan").await;
        }
    }
}

#[tokio::test]
async fn an_account_closed_during_a_login_gets_no_session() {
    for (operation, when) in [("admit", When::After), ("mint", When::Before)] {
        let menshen = WatchedMenshen::start(Setup::default()).await;
        menshen.session_cookie_of("zhangsan").await;
        let account = only_session(&*menshen.store).await.account;
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let back = browser.choose_person(&source, "zhangsan").await;
        menshen.store.block(operation, when);
        let login = tokio::spawn(async move {
            let answer = browser.visit(&back).await;
            (browser, answer)
        });
        menshen.store.wait_until_blocked(1).await;
        let closing = closing("left the company");
        menshen
            .people
            .close_account(&account, &closing)
            .await
            .unwrap();
        menshen.store.release();
        let (browser, answer) = login.await.unwrap();
        assert_eq!(answer.status, 403, "{operation}: {}", answer.text());
        assert_eq!(browser.cookie("menshen"), None, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_concurrent_login_survives_the_revocation_of_everyone() {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let mut ready = Vec::new();
    for at in 0..24 {
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let who = ["zhangsan", "lisi", "wangfang"][at % 3];
        let back = browser.choose_person(&source, who).await;
        ready.push((browser, back));
    }
    let old = menshen.session_cookie_of("zhangsan").await;
    // The logins, requests of an existing session, and the revocation run concurrently.
    let logins: Vec<_> = ready
        .into_iter()
        .map(|(mut browser, back)| {
            tokio::spawn(async move {
                browser.visit(&back).await;
                browser.cookie("menshen").map(|cookie| cookie.value.clone())
            })
        })
        .collect();
    let (address, ask) = (menshen.address, TestRequest::get("/echo").session(&old));
    let requests: Vec<_> = (0..24)
        .map(|_| {
            let ask = ask.clone();
            tokio::spawn(async move { ask.send_to(address).await.status })
        })
        .collect();
    menshen
        .sessions
        .revoke(&RevocationScope::Everyone)
        .await
        .unwrap();
    assert_eq!(ask.send_to(address).await.status, 401);
    for request in requests {
        assert!([200, 401].contains(&request.await.unwrap()));
    }
    for login in logins {
        if let Some(cookie) = login.await.unwrap() {
            let ask = TestRequest::get("/echo").session(&cookie);
            assert_eq!(ask.send_to(address).await.status, 401);
        }
    }
    assert_eq!(ask.send_to(address).await.status, 401);
}

#[tokio::test]
async fn concurrent_session_reads_never_mix_up_people() {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let mut cookies = Vec::new();
    for who in ["zhangsan", "lisi", "wangfang"] {
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let back = browser.choose_person(&source, who).await;
        browser.visit(&back).await;
        cookies.push((who, browser.cookie("menshen").unwrap().value.clone()));
    }
    menshen.store.block("session", When::After);
    let (address, mut asking) = (menshen.address, Vec::new());
    for at in 0..30 {
        let (who, cookie) = cookies[at % 3].clone();
        let asked = tokio::spawn(async move {
            let answer = TestRequest::get("/echo")
                .session(&cookie)
                .send_to(address)
                .await;
            assert_eq!(answer.echoed("x-forwarded-user"), [who]);
        });
        asking.push(asked);
    }
    // Ten requests of one session wait for one read.
    menshen.store.wait_until_blocked(3).await;
    menshen.store.release();
    for asked in asking {
        asked.await.unwrap();
    }
    assert_eq!(menshen.store.calls("session"), 3);
}
