//! People who open the application in the app of Yunzhijia.

use std::time::Duration;

use menshen::face::page::Cause;

use serde_json::json;

use super::front_end::{log_in, login_config};
use super::{
    CONTEXT_PATH, LI, TOKEN_PATH, ZHANG, advance, has_session, last_error, open_scan_page, setup,
    start, start_source,
};
use crate::browser::Browser;
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::setup::{Menshen, SSO_URL};
use crate::stores::TempDir;
use crate::wire::Answer;
use crate::yunzhijia_source::{OTHER_EID, Yunzhijia};

/// The User-Agent of the app.
const APP: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
                   Qing/0.9.0; iPhone OS 18.0; Apple; iPhone16,2";

/// Opens the home address of the application with a ticket.
async fn open_home(browser: &mut Browser, ticket: &str) -> Answer {
    let url = format!("{OWN_PAGES}/enter/yzj?rd=/echo&ticket={ticket}");
    browser.visit(&url).await
}

async fn signs_in(menshen: &Menshen, ticket: &str) -> bool {
    let mut browser = Browser::new(menshen);
    open_home(&mut browser, ticket).await;
    has_session(&browser)
}

#[tokio::test]
async fn the_workbench_signs_a_person_in_and_no_address_keeps_the_ticket() {
    let source = start_source().await;
    source.set_home(&format!("{OWN_PAGES}/enter/yzj?rd=/echo"));
    let menshen = start(&source).await;
    let mut browser = Browser::new(&menshen).with_user_agent(APP);
    let workbench = format!("{}?a=b", source.workbench_url());
    let page = browser.follow(&Yunzhijia::choose(&workbench, ZHANG)).await;
    assert_eq!(
        page.url,
        format!("{SSO_URL}/echo"),
        "{}",
        page.answer.text()
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let mut browser = Browser::new(&menshen);
    let ticket = source.issue_ticket(LI);
    let answer = open_home(&mut browser, &ticket).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_ticket_is_accepted_once_by_all_nodes() {
    let (dir, source) = (TempDir::new(), start_source().await);
    let one = setup(&source, "").store(&dir.url()).start().await;
    let other = setup(&source, "").store(&dir.url()).clock(&one.clock);
    let other = other.start().await;
    let ticket = source.issue_ticket(ZHANG);
    let mut browser = Browser::new(&one);
    assert_eq!(open_home(&mut browser, &ticket).await.status, 303);
    for node in [&one, &other] {
        let answer = open_home(&mut Browser::new(node), &ticket).await;
        assert_eq!(
            (answer.status, answer.cause()),
            (403, Some(Cause::EntryTokenRefused))
        );
    }
    // A double click in the same browser.
    assert_eq!(open_home(&mut browser, &ticket).await.status, 303);
    let ticket = source.issue_ticket(ZHANG);
    let signed_in = tokio::join!(
        signs_in(&one, &ticket),
        signs_in(&other, &ticket),
        signs_in(&one, &ticket)
    );
    let signed_in = [signed_in.0, signed_in.1, signed_in.2];
    assert_eq!(
        signed_in.iter().filter(|it| **it).count(),
        1,
        "{signed_in:?}"
    );
}

#[tokio::test]
async fn a_ticket_that_yunzhijia_would_accept_twice_is_remembered_for_an_hour() {
    let (dir, source) = (TempDir::new(), start_source().await);
    let person =
        format!("{{\"success\":true,\"data\":{{\"eid\":\"17951708\",\"openid\":\"{ZHANG}\"}}}}");
    source.answer_with(CONTEXT_PATH, 200, &person, 1_000);
    let one = setup(&source, "").store(&dir.url()).start().await;
    assert!(signs_in(&one, "a-ticket").await);
    advance(&one, &source, Duration::from_secs(3_599));
    let other = setup(&source, "").store(&dir.url()).clock(&one.clock);
    let other = other.start().await;
    assert!(!signs_in(&other, "a-ticket").await);
    assert!(signs_in(&other, "another-ticket").await);
}

/// Begins a login by QR code, and brings another ticket to the callback URL.
async fn scans(menshen: &Menshen, ticket: &str) -> bool {
    let mut browser = Browser::new(menshen);
    let page = open_scan_page(&mut browser).await;
    let state = query_parameter(&page, "state").unwrap();
    let url = format!("{OWN_PAGES}/callback/yzj?ticket={ticket}&state={state}");
    browser.visit(&url).await;
    has_session(&browser)
}

/// Begins a login of a front end, and brings another ticket.
async fn logs_in(menshen: &Menshen, ticket: &str) -> bool {
    let mut browser = Browser::new(menshen);
    let state = login_config(&mut browser).await["state"].clone();
    log_in(&mut browser, &json!({ "code": ticket, "state": state })).await;
    has_session(&browser)
}

#[tokio::test]
async fn a_ticket_that_yunzhijia_would_accept_twice_counts_once_wherever_it_comes() {
    let (dir, source) = (TempDir::new(), start_source().await);
    let person =
        format!("{{\"success\":true,\"data\":{{\"eid\":\"17951708\",\"openid\":\"{ZHANG}\"}}}}");
    source.answer_with(CONTEXT_PATH, 200, &person, 1_000);
    let one = setup(&source, "").store(&dir.url()).start().await;
    let other = setup(&source, "").store(&dir.url()).clock(&one.clock);
    let other = other.start().await;
    assert!(signs_in(&one, "of-the-app").await);
    assert!(scans(&one, "of-the-page").await);
    assert!(logs_in(&one, "of-the-front-end").await);
    for node in [&one, &other] {
        for ticket in ["of-the-app", "of-the-page", "of-the-front-end"] {
            assert!(!signs_in(node, ticket).await, "{ticket}");
            assert!(!scans(node, ticket).await, "{ticket}");
            assert!(!logs_in(node, ticket).await, "{ticket}");
        }
    }
    assert!(scans(&other, "another").await);
}

#[tokio::test]
async fn a_ticket_that_is_not_ours_is_refused() {
    let source = start_source().await;
    let menshen = start(&source).await;
    source.person("foreign", |person| OTHER_EID.clone_into(&mut person.eid));
    for (ticket, status, cause, logged) in [
        (
            "forged".to_owned(),
            403,
            Cause::EntryTokenRefused,
            "acquirecontext answered 1202",
        ),
        (
            source.issue_ticket("foreign"),
            403,
            Cause::NotMember,
            "another team",
        ),
        (
            "a%20b".to_owned(),
            403,
            Cause::EntryTokenRefused,
            "malformed",
        ),
    ] {
        let mut browser = Browser::new(&menshen);
        let answer = open_home(&mut browser, &ticket).await;
        assert_eq!(
            (answer.status, answer.cause()),
            (status, Some(cause)),
            "{ticket}"
        );
        assert!(!has_session(&browser), "{ticket}");
        assert!(
            last_error(&menshen).contains(logged),
            "{}",
            last_error(&menshen)
        );
    }
    let expired = source.issue_ticket(ZHANG);
    advance(&menshen, &source, Duration::from_secs(3_601));
    assert!(!signs_in(&menshen, &expired).await);
    let other_app = format!("{OWN_PAGES}/enter/yzj?appId=500000002&ticket=t");
    let calls = source.calls(CONTEXT_PATH);
    let answer = Browser::new(&menshen).visit(&other_app).await;
    assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused));
    assert_eq!(source.calls(CONTEXT_PATH), calls);
}

#[tokio::test]
async fn strangers_do_not_use_up_the_limits_for_tokens() {
    let source = start_source().await;
    let menshen = start(&source).await;
    // Yunzhijia says "ticket已失效", and the ticket is not shown in the log.
    source.fail(CONTEXT_PATH, 1202, "ticket已失效", 5);
    for _ in 0..5 {
        assert!(!signs_in(&menshen, "ticket").await);
    }
    assert_eq!(source.calls(TOKEN_PATH), 1);
    // This may concern the token, or not.
    source.fail(CONTEXT_PATH, 1, "系统错误", 1_000);
    for _ in 0..5 {
        assert!(!signs_in(&menshen, "ticket").await);
    }
    assert_eq!(source.calls(TOKEN_PATH), 2);
    advance(&menshen, &source, Duration::from_secs(10));
    assert!(!signs_in(&menshen, "ticket").await);
    assert_eq!(source.calls(TOKEN_PATH), 3);
    source.clear_faults();
    assert!(signs_in(&menshen, &source.issue_ticket(ZHANG)).await);
}

#[tokio::test]
async fn with_origins_a_ticket_counts_only_from_there() {
    let source = start_source().await;
    let origins = "origins = ['https://www.yunzhijia.com']";
    let menshen = setup(&source, origins).start().await;
    let ticket = source.issue_ticket(ZHANG);
    assert!(!signs_in(&menshen, &ticket).await);
    assert_eq!(source.calls(TOKEN_PATH), 0);
    let headers = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Referer", "https://www.yunzhijia.com/home"),
    ];
    let mut browser = Browser::new(&menshen);
    let url = format!("{OWN_PAGES}/enter/yzj?ticket={ticket}");
    let answer = browser.send("GET", &url, &headers, b"").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(has_session(&browser));
}

#[tokio::test]
async fn somebody_else_is_not_replaced_without_a_question() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let mut browser = Browser::new(&menshen);
    open_home(&mut browser, &source.issue_ticket(ZHANG)).await;
    let answer = open_home(&mut browser, &source.issue_ticket(LI)).await;
    assert_eq!(answer.status, 409);
    let page = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(page.echoed("x-forwarded-user"), ["zhangsan"]);
    // The same person: a new session, and no question.
    let before = browser.cookie("menshen").unwrap().value.clone();
    let answer = open_home(&mut browser, &source.issue_ticket(ZHANG)).await;
    assert_eq!(answer.status, 303);
    assert_ne!(browser.cookie("menshen").unwrap().value, before);
}

#[tokio::test]
async fn a_stranger_in_the_app_is_told_to_come_from_the_workbench() {
    let source = start_source().await;
    let menshen = start(&source).await;
    let mut browser = Browser::new(&menshen).with_user_agent(APP);
    let page = browser.follow(&format!("{SSO_URL}/echo")).await;
    let html = page.answer.text();
    assert!(
        html.contains("工作台") || html.contains("workbench"),
        "{html}"
    );
    assert!(!browser.visited.iter().any(|url| url.contains("qrconnet")));
}
