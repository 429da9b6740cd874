//! Logins that a provider starts, while the store fails or the browser repeats its request.

use menshen::face::page::Cause;

use super::watched::{Fault, WatchedMenshen, When};
use crate::browser::Browser;
use crate::connector_features::test_source::TestSource;
use crate::logging_in::OWN_PAGES;
use crate::setup::{NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::wire::Answer;

const ENTRY: &str = "/enter/idp";

/// A link on a portal that a person follows.
const LINK: [(&str, &str); 4] = [
    ("Accept", "text/html"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "cross-site"),
];

/// The button of the page that asks for confirmation.
const BUTTON: [(&str, &str); 6] = [
    ("Accept", "text/html"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Origin", SSO_URL),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
];

async fn start_menshen() -> WatchedMenshen {
    let setup = Setup::default().tables(NO_LOGIN_LIMITS);
    let source = TestSource::with_tickets(&[]);
    WatchedMenshen::start(setup.connector_of_kind("idp", "", source.kind())).await
}

async fn visit(browser: &mut Browser, url: &str) -> Answer {
    browser.send("GET", url, &LINK, b"").await
}

async fn confirm(browser: &mut Browser, flow: &str) -> Answer {
    let form = format!("flow={flow}");
    let url = format!("{OWN_PAGES}{ENTRY}");
    browser.send("POST", &url, &BUTTON, form.as_bytes()).await
}

/// A browser of zhangsan that is asked whether to go on as lisi, and the flow of the question.
async fn asked_browser(menshen: &WatchedMenshen, number: usize) -> (Browser, String) {
    let mut browser = Browser::at(menshen.address);
    let own = format!("{OWN_PAGES}{ENTRY}?ticket=zhangsan.{number}");
    assert_eq!(visit(&mut browser, &own).await.status, 303);
    let other = format!("{OWN_PAGES}{ENTRY}?ticket=lisi.{number}&rd=/echo");
    let page = visit(&mut browser, &other).await;
    assert_eq!(page.status, 409, "{}", page.text());
    let flow = crate::connector_features::flow_id_in(&page.text());
    (browser, flow)
}

fn assert_signed_in(answer: &Answer, browser: &Browser) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo")),
        "{}",
        answer.text()
    );
    assert!(browser.cookie("menshen").is_some());
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.cause()),
        (503, Some(Cause::StoreUnavailable)),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn an_entry_login_succeeds_after_a_store_outage() {
    let menshen = start_menshen().await;
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        let mut browser = Browser::at(menshen.address);
        menshen.store.fail_at("mint", Some(fault));
        let url = format!("{OWN_PAGES}{ENTRY}?ticket=lisi.{number}&rd=/echo");
        let sent = visit(&mut browser, &url).await;
        assert_eq!(sent.status, 303, "{fault:?}: {}", sent.text());
        let again = format!("{SSO_URL}{}", sent.header("location").unwrap());
        for _ in 0..2 {
            assert_unavailable(&visit(&mut browser, &again).await);
        }
        menshen.store.fail_at("mint", None);
        let answer = visit(&mut browser, &again).await;
        assert_signed_in(&answer, &browser);
    }
}

#[tokio::test]
async fn a_confirmed_login_succeeds_after_a_store_outage() {
    let menshen = start_menshen().await;
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        let (mut browser, flow) = asked_browser(&menshen, number).await;
        menshen.store.fail_at("mint", Some(fault));
        for _ in 0..2 {
            assert_unavailable(&confirm(&mut browser, &flow).await);
        }
        menshen.store.fail_at("mint", None);
        let mut copy = browser.clone();
        let answer = confirm(&mut browser, &flow).await;
        assert_signed_in(&answer, &browser);
        confirm(&mut copy, &flow).await;
        assert_eq!(copy.cookie("menshen"), browser.cookie("menshen"));
    }
}

#[tokio::test]
async fn two_confirmations_at_once_get_the_same_session() {
    let menshen = start_menshen().await;
    let (mut one, flow) = asked_browser(&menshen, 1).await;
    let mut other = one.clone();
    menshen.store.block("mint", When::Before);
    let first = confirm(&mut one, &flow);
    let second = async {
        menshen.store.wait_until_blocked(1).await;
        let second = confirm(&mut other, &flow);
        // The store goes on only after the second request was sent.
        let release = async {
            let mut third = Browser::at(menshen.address);
            visit(&mut third, SSO_URL).await;
            menshen.store.release();
        };
        tokio::join!(second, release).0
    };
    let (first, second) = tokio::join!(first, second);
    assert_signed_in(&first, &one);
    assert_signed_in(&second, &other);
    assert_eq!(one.cookie("menshen"), other.cookie("menshen"));
}

#[tokio::test]
async fn a_browser_that_disconnects_during_the_confirmation_can_repeat_it() {
    let menshen = start_menshen().await;
    let (browser, flow) = asked_browser(&menshen, 1).await;
    menshen.store.block("mint", When::Before);
    let (mut tab, sent) = (browser.clone(), flow.clone());
    let leaving = tokio::spawn(async move { confirm(&mut tab, &sent).await });
    menshen.store.wait_until_blocked(1).await;
    leaving.abort();
    assert!(leaving.await.is_err());
    let mut other = Browser::at(menshen.address);
    visit(&mut other, SSO_URL).await;
    menshen.store.release();
    let mut browser = browser;
    let answer = confirm(&mut browser, &flow).await;
    assert_signed_in(&answer, &browser);
}
