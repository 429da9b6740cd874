//! An assertion signs in once, on all nodes together.

use std::time::Duration;

use menshen::face::page::Cause;

use super::idp::Idp;
use super::{
    Attempt, HTTPS, assert_refused, assert_signed_in, is_signed_in, new_browser, setup,
    start_menshen,
};
use crate::setup::Menshen;
use crate::stores::TempDir;

const USED: &str = "was used before";

/// Two nodes with one store.
async fn two_nodes(idp: &Idp, dir: &TempDir) -> [Menshen; 2] {
    let one = setup(idp, "").store(&dir.url()).start().await;
    let other = setup(idp, "").store(&dir.url()).start().await;
    [one, other]
}

#[tokio::test]
async fn an_assertion_with_a_used_id_is_refused_on_every_node() {
    let idp = Idp::start().await;
    let dir = TempDir::new();
    let nodes = two_nodes(&idp, &dir).await;
    idp.state().edit = Some(|response| response.assertion.id = "_fixed".to_owned());
    let mut attempt = Attempt::begin(&nodes[0], &idp).await;
    assert_signed_in(&attempt.finish().await, "zhangsan", "the first use");
    for menshen in &nodes {
        let mut attempt = Attempt::begin(menshen, &idp).await;
        let page = attempt.finish().await;
        let invalid = Cause::InvalidProviderResponse;
        assert_refused(menshen, &page, invalid, USED, "the second use");
        assert!(!is_signed_in(&mut attempt.browser).await);
    }
    // The first session is not affected.
    assert!(is_signed_in(&mut attempt.browser).await);
    idp.state().edit = Some(|response| response.assertion.id = "_other".to_owned());
    let mut attempt = Attempt::begin(&nodes[1], &idp).await;
    assert_signed_in(&attempt.finish().await, "zhangsan", "another ID");
}

#[tokio::test]
async fn an_assertion_that_arrives_twice_at_once_signs_in_once() {
    let idp = Idp::start().await;
    let dir = TempDir::new();
    let nodes = two_nodes(&idp, &dir).await;
    for _ in 0..4 {
        let attempt = Attempt::begin(&nodes[0], &idp).await;
        let document = idp.write(&idp.response_to(&attempt.request));
        let state = attempt.request.relay_state.as_deref();
        let mut here = attempt.browser.clone();
        let mut there = attempt.browser.clone().moved_to(nodes[1].address());
        let (one, other) = tokio::join!(
            super::post_response(&mut here, &document, state),
            super::post_response(&mut there, &document, state)
        );
        let statuses = [one.answer.status, other.answer.status];
        let signed_in = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(signed_in, 1, "{statuses:?}");
        assert_eq!(
            usize::from(is_signed_in(&mut here).await)
                + usize::from(is_signed_in(&mut there).await),
            1
        );
    }
}

#[tokio::test]
async fn a_response_that_is_repeated_in_its_browser_leads_on_and_in_another_one_nowhere() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let document = idp.write(&idp.response_to(&attempt.request));
    assert_signed_in(&attempt.answer(&document).await, "zhangsan", "once");
    let session = attempt.browser.cookie("__Host-menshen").cloned();
    // The person goes back and posts the page again. A cross-site POST brings no session cookie.
    let page = attempt.answer(&document).await;
    assert_ne!(page.answer.status, 500, "{}", page.answer.text());
    assert_eq!(attempt.browser.cookie("__Host-menshen").cloned(), session);
    let mut thief = new_browser(&menshen);
    let state = attempt.request.relay_state.as_deref();
    let page = super::post_response(&mut thief, &document, state).await;
    assert_eq!(page.cause(), Some(Cause::FlowCookieMissing));
    assert!(!is_signed_in(&mut thief).await);
    // In a login of their own, the request is another one.
    let mut theirs = Attempt::begin_at(thief, &idp, &super::start_url()).await;
    let page = theirs.answer(&document).await;
    let reason = "the response does not answer the request of this login";
    let invalid = Cause::InvalidProviderResponse;
    assert_refused(&menshen, &page, invalid, reason, "another login");
}

#[tokio::test]
async fn a_used_assertion_stays_refused_until_its_times_refuse_it() {
    let idp = Idp::start().await;
    let dir = TempDir::new();
    let nodes = two_nodes(&idp, &dir).await;
    idp.state().edit = Some(|response| {
        response.assertion.id = "_fixed".to_owned();
        // The same assertion again: it was issued at the first login.
        let issued_at = menshen::clock::Timestamp::from_unix_s(1_800_000_000);
        let end = super::response::shifted(issued_at, 60);
        response.assertion.issued_at = issued_at;
        response.assertion.not_before = Some(issued_at);
        response.assertion.not_on_or_after = Some(end);
        response.assertion.confirmations[0].not_on_or_after = Some(end);
    });
    let mut attempt = Attempt::begin(&nodes[0], &idp).await;
    assert_signed_in(&attempt.finish().await, "zhangsan", "the first use");
    let invalid = Cause::InvalidProviderResponse;
    // A minute, and a minute of skew.
    idp.clock.advance(Duration::from_secs(119));
    for menshen in &nodes {
        let page = Attempt::begin(menshen, &idp).await.finish().await;
        assert_refused(menshen, &page, invalid, USED, "before the end");
    }
    idp.clock.advance(Duration::from_secs(1));
    for menshen in &nodes {
        let page = Attempt::begin(menshen, &idp).await.finish().await;
        assert_refused(menshen, &page, invalid, "has expired", "at the end");
    }
    assert!(attempt.browser.visit(&format!("{HTTPS}/echo")).await.status == 200);
}
