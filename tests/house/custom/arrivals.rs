//! People whom the portal sends with a ticket that menshen did not request.

use std::time::Duration;

use menshen::face::page::Cause;

use super::portal::Portal;
use super::{ID, has_session, last_error, setup, start, start_url};
use crate::browser::Browser;
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::setup::SSO_URL;
use crate::stores::TempDir;
use crate::wire::Answer;

const ORIGINS: &str = "origins = ['https://portal.test']";

/// Follows a link of a page with a ticket.
async fn follow_link(browser: &mut Browser, ticket: &str, referer: &str) -> Answer {
    let headers = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Referer", referer),
    ];
    let url = format!("{OWN_PAGES}/enter/{ID}?ticket={ticket}&rd=/echo");
    browser.send("GET", &url, &headers, b"").await
}

async fn arrive(browser: &mut Browser, ticket: &str) -> Answer {
    follow_link(browser, ticket, "https://portal.test/home").await
}

#[tokio::test]
async fn a_ticket_signs_a_person_in_and_is_in_no_address_afterwards() {
    let portal = Portal::start().await;
    let menshen = start(&portal.ticket_toml(ORIGINS)).await;
    let ticket = portal.ticket();
    let mut browser = Browser::new(&menshen);
    let answer = arrive(&mut browser, &ticket).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let page = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(page.echoed("x-forwarded-user"), ["zhangsan"]);
    assert!(!page.text().contains(&ticket));
    menshen.audit();
    assert!(!menshen.records.text().contains(&ticket));
    // Only the portal starts logins.
    let answer = browser
        .visit(&format!("{OWN_PAGES}/start?connector={ID}"))
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn a_ticket_is_accepted_once_by_all_nodes() {
    let (dir, portal) = (TempDir::new(), Portal::start().await);
    portal.state().reusable_tickets = true;
    let toml = portal.ticket_toml(ORIGINS);
    let one = setup(&toml).store(&dir.url()).start().await;
    let other = setup(&toml).store(&dir.url()).clock(&one.clock);
    let other = other.start().await;
    let ticket = portal.ticket();
    assert!(has_session_after(&one, &ticket).await);
    for node in [&one, &other] {
        let answer = arrive(&mut Browser::new(node), &ticket).await;
        assert_eq!(
            (answer.status, answer.cause()),
            (403, Some(Cause::EntryTokenRefused))
        );
    }
    // At the same moment.
    let ticket = portal.ticket();
    let signed_in = tokio::join!(
        has_session_after(&one, &ticket),
        has_session_after(&other, &ticket),
        has_session_after(&one, &ticket),
    );
    let signed_in = [signed_in.0, signed_in.1, signed_in.2];
    assert_eq!(
        signed_in.iter().filter(|it| **it).count(),
        1,
        "{signed_in:?}"
    );
}

async fn has_session_after(menshen: &crate::setup::Menshen, ticket: &str) -> bool {
    let mut browser = Browser::new(menshen);
    arrive(&mut browser, ticket).await;
    has_session(&browser)
}

#[tokio::test]
async fn a_ticket_is_remembered_as_long_as_the_portal_accepts_it() {
    let (dir, portal) = (TempDir::new(), Portal::start().await);
    portal.state().reusable_tickets = true;
    let toml = portal.ticket_toml(&format!("{ORIGINS}\nentry_replay = '2h'"));
    let one = setup(&toml).store(&dir.url()).start().await;
    let ticket = portal.ticket();
    assert!(has_session_after(&one, &ticket).await);
    one.advance(Duration::from_secs(7_199));
    let other = setup(&toml).store(&dir.url()).clock(&one.clock);
    let other = other.start().await;
    assert!(!has_session_after(&other, &ticket).await);
}

/// Begins a login at the portal, and brings another ticket to the callback URL.
async fn has_session_after_callback(menshen: &crate::setup::Menshen, ticket: &str) -> bool {
    let mut browser = Browser::new(menshen);
    let answer = browser.visit(&start_url()).await;
    let state = query_parameter(answer.header("location").unwrap(), "state").unwrap();
    let url = format!("{OWN_PAGES}/callback/{ID}?code={ticket}&state={state}");
    browser.visit(&url).await;
    has_session(&browser)
}

#[tokio::test]
async fn a_ticket_counts_once_wherever_it_comes() {
    let (dir, portal) = (TempDir::new(), Portal::start().await);
    portal.state().reusable_tickets = true;
    let toml = portal.code_toml(&format!("{ORIGINS}\nentry = 'ticket'"));
    let one = setup(&toml).store(&dir.url()).start().await;
    let other = setup(&toml).store(&dir.url()).clock(&one.clock);
    let other = other.start().await;
    let (arrived, returned) = (portal.ticket(), portal.ticket());
    assert!(has_session_after(&one, &arrived).await);
    assert!(has_session_after_callback(&one, &returned).await);
    for node in [&one, &other] {
        for ticket in [&arrived, &returned] {
            assert!(!has_session_after(node, ticket).await);
            assert!(!has_session_after_callback(node, ticket).await);
        }
    }
    assert!(has_session_after_callback(&other, &portal.ticket()).await);
}

#[tokio::test]
async fn a_code_of_a_portal_without_arrivals_is_the_concern_of_the_portal() {
    let portal = Portal::start().await;
    portal.state().reusable_tickets = true;
    let menshen = start(&portal.code_toml("")).await;
    let code = portal.ticket();
    for _ in 0..2 {
        assert!(has_session_after_callback(&menshen, &code).await);
    }
}

#[tokio::test]
async fn a_ticket_counts_only_from_the_pages_of_the_portal() {
    let portal = Portal::start().await;
    let menshen = start(&portal.ticket_toml(ORIGINS)).await;
    let ticket = portal.ticket();
    for referer in ["https://evil.test/", "http://portal.test/", "about:blank"] {
        let answer = follow_link(&mut Browser::new(&menshen), &ticket, referer).await;
        assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused), "{referer}");
    }
    assert!(portal.calls("/verify").is_empty());
    assert!(has_session_after(&menshen, &ticket).await);
}

#[tokio::test]
async fn a_ticket_that_the_portal_refuses_is_no_problem_of_the_portal() {
    let portal = Portal::start().await;
    let menshen = start(&portal.ticket_toml(ORIGINS)).await;
    let answer = arrive(&mut Browser::new(&menshen), "ticket-forged").await;
    assert_eq!(
        (answer.status, answer.cause()),
        (403, Some(Cause::EntryTokenRefused))
    );
    let error = last_error(&menshen);
    assert!(error.contains("`verify`: `success` is not true"), "{error}");
    let site = menshen.running.live().site();
    let mut entries = site.login.entries().iter();
    let entry = entries.find(|entry| entry.id.as_str() == ID).unwrap();
    assert!(entry.health.report().last_problem.is_none());
}

#[tokio::test]
async fn what_is_no_arrival_asks_nobody() {
    let portal = Portal::start().await;
    let menshen = start(&portal.ticket_toml(ORIGINS)).await;
    let long = "x".repeat(8 * 1024 + 1);
    for query in [
        "",
        "ticket=",
        "ticket=a&ticket=b",
        "code=a",
        &format!("ticket={long}"),
    ] {
        let url = format!("{OWN_PAGES}/enter/{ID}?{query}");
        let answer = Browser::new(&menshen).visit(&url).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    let fetched = [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")];
    let url = format!("{OWN_PAGES}/enter/{ID}?ticket={}", portal.ticket());
    let answer = Browser::new(&menshen)
        .send("GET", &url, &fetched, b"")
        .await;
    assert_eq!(answer.status, 401);
    assert!(portal.calls("/verify").is_empty());
}

#[tokio::test]
async fn somebody_else_is_not_replaced_without_a_question() {
    let portal = Portal::start().await;
    let menshen = start(&portal.ticket_toml(ORIGINS)).await;
    let mut browser = Browser::new(&menshen);
    arrive(&mut browser, &portal.ticket()).await;
    portal.state().person = serde_json::json!({ "id": 8, "account": "lisi" });
    let answer = arrive(&mut browser, &portal.ticket()).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("lisi") && answer.text().contains("zhangsan"));
    let page = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(page.echoed("x-forwarded-user"), ["zhangsan"]);
}
