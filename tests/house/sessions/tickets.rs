//! The number of store operations that tickets cause.

use std::time::Duration;

use menshen::face::page::Cause;
use menshen::keys;

use super::watched::{Fault, WatchedMenshen};
use crate::browser::Browser;
use crate::setup::{SSO_URL, Setup};

/// A browser that is signed in at sso.test, and the URL of a ticket for oa.test; the browser has the nonce
/// cookie of the ticket.
async fn with_ticket(menshen: &WatchedMenshen) -> (Browser, String) {
    let mut browser = Browser::at(menshen.address);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let ticket = next_ticket(&mut browser).await;
    (browser, ticket)
}

async fn next_ticket(browser: &mut Browser) -> String {
    let page = browser
        .follow_until("http://oa.test/echo", |next| next.contains("/ticket?"))
        .await;
    assert!(page.url.contains("/ticket?t="), "{}", page.url);
    page.url
}

#[tokio::test]
async fn a_used_ticket_causes_no_second_store_write() {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let (browser, ticket) = with_ticket(&menshen).await;
    let mut tabs: Vec<_> = (0..50).map(|_| browser.clone()).collect();
    let visits = tabs.iter_mut().map(|tab| tab.visit(&ticket));
    let answers = futures_util::future::join_all(visits).await;
    let let_in = answers.iter().filter(|answer| answer.status == 302);
    assert_eq!(let_in.count(), 1);
    for _ in 0..50 {
        let answer = browser.clone().visit(&ticket).await;
        assert_eq!(answer.cause(), Some(Cause::InvalidTicket));
        let mut stranger = Browser::at(menshen.address);
        assert_eq!(
            stranger.visit(&ticket).await.cause(),
            Some(Cause::InvalidTicket)
        );
    }
    assert_eq!(menshen.store.calls("spend"), 1);
}

#[tokio::test]
async fn a_ticket_that_another_browser_repeats_causes_one_store_write() {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let (mut browser, ticket) = with_ticket(&menshen).await;
    for _ in 0..50 {
        let mut stranger = Browser::at(menshen.address);
        let answer = stranger.visit(&ticket).await;
        assert_eq!(answer.cause(), Some(Cause::InvalidTicket));
    }
    assert_eq!(menshen.store.calls("spend"), 1);
    assert_eq!(
        browser.visit(&ticket).await.cause(),
        Some(Cause::InvalidTicket)
    );
}

#[tokio::test]
async fn a_ticket_that_the_store_did_not_accept_is_valid_after_the_outage() {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let (mut browser, ticket) = with_ticket(&menshen).await;
    menshen.store.fail_at("spend", Some(Fault::TimedOut));
    assert_eq!(browser.visit(&ticket).await.status, 503);
    menshen.store.fail_at("spend", None);
    assert_eq!(browser.visit(&ticket).await.status, 302);
}

#[tokio::test]
async fn fresh_tickets_are_limited_for_each_client() {
    let setup = Setup::default()
        .server("trusted_proxies = ['127.0.0.1']")
        .tables("[login]\nfinishes_per_client_per_minute = 2");
    let menshen = WatchedMenshen::start(setup).await;
    let (browser, first) = with_ticket(&menshen).await;
    let from = |client: &str| {
        let mut tab = browser.clone();
        tab.extra_headers
            .push(("X-Forwarded-For".to_owned(), client.to_owned()));
        tab
    };
    let mut eager = from("192.0.2.1");
    assert_eq!(eager.visit(&first).await.status, 302);
    let mut refused = None;
    for _ in 0..2 {
        let mut tab = from("192.0.2.1");
        let ticket = next_ticket(&mut tab).await;
        let answer = tab.visit(&ticket).await;
        refused = Some((tab, ticket, answer));
    }
    let (tab, ticket, answer) = refused.unwrap();
    assert_eq!(
        (answer.status, answer.cause()),
        (429, Some(Cause::TooManyLogins))
    );
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("set-cookie"), None);
    // The ticket is not used up: it is valid from another address, or later.
    let mut other = tab.clone();
    other.extra_headers.clear();
    assert_eq!(other.visit(&ticket).await.status, 302);
    // A ticket that another browser sent is invalid afterwards, with or without the limit.
    let mut tab = from("192.0.2.1");
    let ticket = next_ticket(&mut tab).await;
    let mut stranger = Browser::at(menshen.address);
    stranger.extra_headers.clone_from(&tab.extra_headers);
    let answer = stranger.visit(&ticket).await;
    assert_eq!(answer.cause(), Some(Cause::InvalidTicket));
    tab.extra_headers.clear();
    assert_eq!(tab.visit(&ticket).await.cause(), Some(Cause::InvalidTicket));
}

#[tokio::test]
async fn all_expired_records_are_deleted_in_batches() {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    let now = menshen.clock.now();
    for _ in 0..1_001 {
        let ticket = keys::random();
        let spent = menshen.store.unwatched().spend(&ticket, now).await;
        assert!(spent.unwrap());
    }
    menshen.clock.advance(Duration::from_secs(1));
    menshen.sessions.delete_expired().await.unwrap();
    assert_eq!(menshen.store.calls("delete_expired"), 2);
    let left = menshen
        .store
        .unwatched()
        .delete_expired(menshen.clock.now(), now, 10_000);
    assert_eq!(left.await.unwrap(), 0);
}
