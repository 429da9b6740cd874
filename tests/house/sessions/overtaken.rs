//! A revocation overtakes whatever is under way: a look into the store, and a login.

use std::time::Duration;

use menshen::store::{RevocationScope, SessionStore as _};

use super::only;
use super::watched::{WatchedHouse, When};
use crate::browser::Browser;
use crate::people::closing;
use crate::setup::{SSO_URL, Setup};
use crate::test_request::TestRequest;

async fn scopes(menshen: &WatchedHouse) -> [RevocationScope; 4] {
    let session = only(&*menshen.store).await;
    [
        RevocationScope::Session(session.key),
        RevocationScope::Account(session.account),
        RevocationScope::Connector(session.connector),
        RevocationScope::Everyone,
    ]
}

#[tokio::test]
async fn a_look_that_began_before_a_revocation_brings_nobody_back() {
    for at in 0..4 {
        let menshen = WatchedHouse::start(Setup::default()).await;
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let back = browser.choose_person(&source, "zhangsan").await;
        browser.visit(&back).await;
        let cookie = browser.cookie("menshen").unwrap().value.clone();
        let scope = scopes(&menshen).await[at].clone();
        // The store has answered; whoever asked does not know yet.
        menshen.store.hold("session", When::After);
        let ask = TestRequest::get("/echo").session(&cookie);
        let asking = tokio::spawn({
            let (ask, address) = (ask.clone(), menshen.address);
            async move { ask.send_to(address).await.status }
        });
        menshen.store.holds(1).await;
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
async fn a_login_that_began_before_a_revocation_lets_nobody_in() {
    let moments = [
        ("admit", When::Before),
        ("admit", When::After),
        ("mint", When::Before),
        ("mint", When::After),
    ];
    for (question, when) in moments {
        // One session alone is no login's business.
        for at in 1..4 {
            let menshen = WatchedHouse::start(Setup::default()).await;
            menshen.signed_in("zhangsan").await;
            let scope = scopes(&menshen).await[at].clone();
            let mut browser = Browser::at(menshen.address);
            let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
            let back = browser.choose_person(&source, "zhangsan").await;
            menshen.store.hold(question, when);
            let login = tokio::spawn(async move {
                browser.visit(&back).await;
                browser
            });
            menshen.store.holds(1).await;
            menshen.sessions.revoke(&scope).await.unwrap();
            menshen.store.release();
            let browser = login.await.unwrap();
            let what = format!("{scope:?} {when:?} {question}");
            if let Some(cookie) = browser.cookie("menshen") {
                let ask = TestRequest::get("/echo").session(&cookie.value);
                assert_eq!(ask.send_to(menshen.address).await.status, 401, "{what}");
            }
            let left = menshen.store.sessions(None, 10).await.unwrap();
            assert_eq!(left.len(), 0, "{what}");
            // Who begins anew is let in.
            menshen.clock.advance(Duration::from_secs(1));
            menshen.signed_in("zhangsan").await;
        }
    }
}

#[tokio::test]
async fn an_account_closed_during_a_login_gets_no_session() {
    for (question, when) in [("admit", When::After), ("mint", When::Before)] {
        let menshen = WatchedHouse::start(Setup::default()).await;
        menshen.signed_in("zhangsan").await;
        let account = only(&*menshen.store).await.account;
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let back = browser.choose_person(&source, "zhangsan").await;
        menshen.store.hold(question, when);
        let login = tokio::spawn(async move {
            let answer = browser.visit(&back).await;
            (browser, answer)
        });
        menshen.store.holds(1).await;
        let closing = closing("left the company");
        menshen
            .people
            .close_account(&account, &closing)
            .await
            .unwrap();
        menshen.store.release();
        let (browser, answer) = login.await.unwrap();
        assert_eq!(answer.status, 403, "{question}: {}", answer.text());
        assert_eq!(browser.cookie("menshen"), None, "{question}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_of_a_crowd_outlives_the_revocation_of_everyone() {
    let menshen = WatchedHouse::start(Setup::default()).await;
    let mut ready = Vec::new();
    for at in 0..24 {
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let who = ["zhangsan", "lisi", "wangfang"][at % 3];
        let back = browser.choose_person(&source, who).await;
        ready.push((browser, back));
    }
    let old = menshen.signed_in("zhangsan").await;
    // Their logins, the requests of somebody who is here, and the revocation all at once.
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
async fn people_who_are_looked_for_at_once_are_never_taken_for_each_other() {
    let menshen = WatchedHouse::start(Setup::default()).await;
    let mut cookies = Vec::new();
    for who in ["zhangsan", "lisi", "wangfang"] {
        let mut browser = Browser::at(menshen.address);
        let source = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let back = browser.choose_person(&source, who).await;
        browser.visit(&back).await;
        cookies.push((who, browser.cookie("menshen").unwrap().value.clone()));
    }
    menshen.store.hold("session", When::After);
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
    // Ten who ask for the same person wait for one answer.
    menshen.store.holds(3).await;
    menshen.store.release();
    for asked in asking {
        asked.await.unwrap();
    }
    assert_eq!(menshen.store.asked("session"), 3);
}
