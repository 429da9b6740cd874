//! Which requests with a token are accepted at `/enter`, and who is signed in afterwards.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::json;

use super::portal::Portal;
use super::{
    ID, LINK_HEADERS, assert_refused, follow_link, sets_session, sign_in, start, with_claims,
};
use crate::browser::Browser;
use crate::connector_features::flow_id_in;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL};
use crate::wire::Answer;

/// The headers of a form of menshen's own page.
const OWN_FORM: [(&str, &str); 6] = [
    ("Accept", "text/html"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Origin", SSO_URL),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
];

fn enter_url(query: &str) -> String {
    format!("{OWN_PAGES}/enter/{ID}?{query}")
}

async fn portal_and_menshen() -> (Portal, Menshen) {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "").await;
    (portal, menshen)
}

/// A token for a person whose login and subject are this name.
fn token_for(portal: &Portal, name: &str) -> String {
    let more = json!({ "sub": name, "preferred_username": name, "name": name.to_uppercase() });
    portal.sign(&with_claims(portal, &more))
}

/// The login name of the person who is signed in.
async fn signed_in_user(browser: &Browser) -> Option<String> {
    let url = format!("{OWN_PAGES}/userinfo");
    let answer = browser.clone().send("GET", &url, &[], b"").await;
    let is_somebody = answer.status == 200;
    is_somebody.then(|| answer.json()["login"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_request_that_is_no_navigation_redeems_nothing() {
    let (portal, menshen) = portal_and_menshen().await;
    let token = portal.sign(&portal.claims());
    let url = enter_url(&format!("token={token}"));
    let fetch = |mode, dest| {
        let from = ("Referer", "https://portal.test/home");
        let site = ("Sec-Fetch-Site", "cross-site");
        vec![
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            site,
            from,
        ]
    };
    let with = |more| LINK_HEADERS.into_iter().chain([more]).collect::<Vec<_>>();
    for headers in [
        fetch("cors", "empty"),
        fetch("no-cors", "image"),
        fetch("no-cors", "script"),
        fetch("navigate", "iframe"),
        fetch("navigate", "embed"),
        with(("Sec-Purpose", "prefetch")),
        with(("Sec-Purpose", "prefetch;prerender")),
        vec![("Accept", "*/*"), ("Referer", "https://portal.test/home")],
    ] {
        for method in ["GET", "POST"] {
            let answer = Browser::new(&menshen)
                .send(method, &url, &headers, b"")
                .await;
            assert_eq!(answer.status, 401, "{method} {headers:?}");
            assert_eq!(
                answer.header("set-cookie"),
                None,
                "{method} {headers:?}: {}",
                answer.text()
            );
        }
    }
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        let answer = Browser::new(&menshen)
            .send(method, &url, &LINK_HEADERS, b"")
            .await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, POST")),
            "{method}"
        );
    }
    sign_in(&menshen, &token).await;
}

#[tokio::test]
async fn a_token_that_is_repeated_or_too_long_is_not_redeemed() {
    let (portal, menshen) = portal_and_menshen().await;
    let token = portal.sign(&portal.claims());
    let padded = |bytes: usize| {
        let mut claims = portal.claims();
        claims["padding"] = json!("");
        let missing = bytes - portal.sign(&claims).len();
        claims["padding"] = json!("p".repeat(missing * 3 / 4));
        portal.sign(&claims)
    };
    let (longest, too_long) = (padded(8 * 1024), padded(8 * 1024 + 8));
    assert!(longest.len() <= 8 * 1024 && too_long.len() > 8 * 1024);
    for query in [
        String::new(),
        "token=".to_owned(),
        format!("token={token}&token={token}"),
        format!("token=&token={token}"),
        format!("token={token}&%74oken=x"),
        format!("token={too_long}"),
    ] {
        let start: String = query.chars().take(30).collect();
        let answer = Browser::new(&menshen)
            .send("GET", &enter_url(&query), &LINK_HEADERS, b"")
            .await;
        assert_eq!(
            (answer.status, answer.cause()),
            (400, Some(Cause::BadRequest)),
            "{start}"
        );
    }
    let form = "application/x-www-form-urlencoded";
    for (query, kind, body) in [
        (format!("token={token}"), form, format!("token={token}")),
        (format!("token={token}"), form, "token=".to_owned()),
        (String::new(), form, format!("token={token}&token={token}")),
        (String::new(), form, format!("token={too_long}")),
        (
            String::new(),
            "application/json",
            json!({ "token": token }).to_string(),
        ),
        (String::new(), "text/plain", format!("token={token}")),
        (
            String::new(),
            "multipart/form-data",
            format!("token={token}"),
        ),
    ] {
        let mut headers = LINK_HEADERS.to_vec();
        headers.push(("Content-Type", kind));
        let answer = Browser::new(&menshen)
            .send("POST", &enter_url(&query), &headers, body.as_bytes())
            .await;
        assert_eq!(answer.status, 400, "{kind} {query}: {}", answer.text());
        assert!(!sets_session(&answer), "{kind} {query}");
    }
    sign_in(&menshen, &token).await;
    sign_in(&menshen, &longest).await;
}

/// Presses the button of the page that asks whether to switch accounts.
async fn confirm(browser: &mut Browser, flow: &str, headers: &[(&str, &str)]) -> Answer {
    let form = format!("flow={flow}");
    let url = format!("{OWN_PAGES}/enter/{ID}");
    browser.send("POST", &url, headers, form.as_bytes()).await
}

#[tokio::test]
async fn a_token_of_somebody_else_switches_only_after_a_button_of_this_browser() {
    let (portal, menshen) = portal_and_menshen().await;
    let mut browser = Browser::new(&menshen);
    let first = follow_link(&mut browser, &token_for(&portal, "zhangsan")).await;
    assert!(sets_session(&first));
    let before = browser.clone();
    let token = token_for(&portal, "lisi");
    let page = follow_link(&mut browser, &token).await;
    let html = page.text();
    assert_eq!(page.status, 409, "{html}");
    for named in ["ZHANGSAN", "zhangsan", "LISI", "lisi"] {
        assert!(html.contains(named), "{named}: {html}");
    }
    assert!(!sets_session(&page) && !html.contains(&token), "{html}");
    assert_eq!(signed_in_user(&browser).await.as_deref(), Some("zhangsan"));
    let flow = flow_id_in(&html);
    let elsewhere = confirm(&mut Browser::new(&menshen), &flow, &OWN_FORM).await;
    assert!(!sets_session(&elsewhere), "{}", elsewhere.text());
    for from in [
        ("Origin", "https://portal.test"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        let headers = [OWN_FORM[0], OWN_FORM[1], from, OWN_FORM[3], OWN_FORM[4]];
        let answer = confirm(&mut browser.clone(), &flow, &headers).await;
        assert_eq!(
            (answer.status, sets_session(&answer)),
            (403, false),
            "{from:?}"
        );
    }
    let answer = confirm(&mut browser, &flow, &OWN_FORM).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
    assert_eq!(signed_in_user(&before).await, None, "the old session ended");
    assert_refused(&menshen, &token, "used before", "the same token again").await;
}

#[tokio::test]
async fn a_new_token_of_the_same_person_renews_the_session_without_a_question() {
    let (portal, menshen) = portal_and_menshen().await;
    let mut browser = Browser::new(&menshen);
    follow_link(&mut browser, &token_for(&portal, "lisi")).await;
    let before = browser.clone();
    let answer = follow_link(&mut browser, &token_for(&portal, "lisi")).await;
    assert_eq!((answer.status, sets_session(&answer)), (303, true));
    assert_ne!(browser.cookie("menshen"), before.cookie("menshen"));
    assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
    assert_eq!(signed_in_user(&before).await, None, "the old session ended");
}

#[tokio::test]
async fn a_double_click_is_sent_on_and_nobody_else_profits_from_it() {
    let (portal, menshen) = portal_and_menshen().await;
    let token = portal.sign(&portal.claims());
    let mut browser = Browser::new(&menshen);
    assert!(sets_session(&follow_link(&mut browser, &token).await));
    let session = browser.cookie("menshen").cloned();
    let again = follow_link(&mut browser, &token).await;
    assert_eq!(
        (again.status, again.header("location"), sets_session(&again)),
        (303, Some("/echo"), false)
    );
    assert_eq!(browser.cookie("menshen").cloned(), session);
    // Another person gets nothing from the same token.
    let mut other = Browser::new(&menshen);
    follow_link(&mut other, &token_for(&portal, "wangwu")).await;
    let answer = follow_link(&mut other, &token).await;
    assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused));
    assert_eq!(signed_in_user(&other).await.as_deref(), Some("wangwu"));
}

#[tokio::test]
async fn a_node_whose_clock_is_behind_refuses_a_token_that_another_node_has_forgotten() {
    let dir = crate::stores::TempDir::new();
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let one = super::setup(&portal, "").store(&dir.url()).start().await;
    let behind = super::setup(&portal, "").store(&dir.url()).start().await;
    let token = portal.sign(&portal.claims());
    sign_in(&one, &token).await;
    // For this node the token has expired; the other one still accepts it.
    one.advance(Duration::from_secs(100));
    let store = &one.running.live().services().store;
    let (now, never) = (one.clock.now(), menshen::clock::Timestamp::from_unix_s(0));
    store.delete_expired(now, never, 1_000).await.unwrap();
    assert_refused(&behind, &token, "used before", "the clock is behind").await;
    let fresh = portal.sign(&portal.claims());
    sign_in(&behind, &fresh).await;
}

#[tokio::test]
async fn a_frame_counts_only_where_cookies_are_sent_in_frames() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let framed = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Referer", "https://portal.test/home"),
    ];
    let has_session = |answer: &Answer| {
        let mut cookies = answer.header_values("set-cookie");
        cookies.any(|cookie| cookie.starts_with("__Host-menshen="))
    };
    for (session, is_accepted) in [("", false), ("cookie_same_site = 'none'", true)] {
        let menshen = super::setup(&portal, "")
            .external_url("https://sso.test")
            .server("trusted_proxies = ['127.0.0.1']")
            .session(session)
            .start()
            .await;
        let mut browser = Browser::new(&menshen).over_https();
        let url = |token: &str| format!("https://sso.test/.menshen/enter/{ID}?token={token}");
        let token = token_for(&portal, "lisi");
        let answer = browser.send("GET", &url(&token), &framed, b"").await;
        let status = if is_accepted { 303 } else { 401 };
        assert_eq!(
            (answer.status, has_session(&answer)),
            (status, is_accepted),
            "{session}: {}",
            answer.text()
        );
        if is_accepted {
            // Another page could cover the button of the page that asks.
            let token = token_for(&portal, "wangwu");
            let answer = browser.send("GET", &url(&token), &framed, b"").await;
            assert_eq!(answer.cause(), Some(Cause::FrameNeedsLogin));
            assert!(!has_session(&answer));
        }
    }
}
