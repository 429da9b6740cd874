//! What somebody without a token of the portal can use up, and what they learn.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::json;

use super::encryption::Recipient;
use super::portal::Portal;
use super::{
    ID, LINK_HEADERS, assert_refused, follow_link, sets_session, setup, sign_in, start, with_claims,
};
use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::logging_in::OWN_PAGES;
use crate::records::Records;
use crate::setup::{Menshen, SSO_URL, Setup};

/// A browser whose address a trusted proxy reports.
fn browser_at(menshen: &Menshen, client: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    let header = ("X-Forwarded-For".to_owned(), client.to_owned());
    browser.extra_headers.push(header);
    browser
}

fn limited(portal: &Portal, limit: &str) -> Setup {
    let tables = portal.connector_toml(ID, "on_routes = true");
    let tables = format!("[login]\n{limit}\n{tables}");
    Setup::default().server(TRUST_LOOPBACK).tables(&tables)
}

#[tokio::test]
async fn each_client_may_have_a_limited_number_of_tokens_verified() {
    let portal = Portal::with_algorithm(Algorithm::RS256);
    let stranger = Portal::with_algorithm(Algorithm::RS256);
    let menshen = limited(&portal, "finishes_per_client_per_minute = 3");
    let menshen = menshen.start().await;
    let forged = || stranger.sign(&portal.claims());
    // Both at the entry point and at an application.
    let first = follow_link(&mut browser_at(&menshen, "192.0.2.1"), &forged()).await;
    assert_eq!(first.cause(), Some(Cause::EntryTokenRefused));
    for _ in 0..2 {
        let url = format!("{SSO_URL}/echo?token={}", forged());
        let answer = browser_at(&menshen, "192.0.2.1")
            .send("GET", &url, &LINK_HEADERS, b"")
            .await;
        assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused));
    }
    let token = portal.sign(&portal.claims());
    let at_the_entry_point = format!("{OWN_PAGES}/enter/{ID}?token={token}&rd=/echo");
    for url in [
        &at_the_entry_point,
        &format!("{SSO_URL}/echo?token={token}"),
    ] {
        let answer = browser_at(&menshen, "192.0.2.1")
            .send("GET", url, &LINK_HEADERS, b"")
            .await;
        assert_eq!(
            (answer.status, answer.cause()),
            (429, Some(Cause::TooManyLogins)),
            "{url}"
        );
        assert!(answer.header("retry-after").is_some(), "{url}");
    }
    // The token was not used up, and another client is not concerned.
    let answer = follow_link(&mut browser_at(&menshen, "192.0.2.2"), &token).await;
    assert!(sets_session(&answer), "{}", answer.text());
}

#[tokio::test]
async fn forged_tokens_do_not_use_up_the_logins_of_other_connectors() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let stranger = Portal::with_algorithm(Algorithm::HS256);
    let menshen = limited(&portal, "finishes_per_minute = 3\nbad_codes_max = 1");
    let menshen = menshen.start().await;
    for at in 1..=6 {
        let mut browser = browser_at(&menshen, &format!("192.0.2.{at}"));
        let answer = follow_link(&mut browser, &stranger.sign(&portal.claims())).await;
        let expected = match at {
            1..=3 => Cause::EntryTokenRefused,
            _ => Cause::TooManyLogins,
        };
        assert_eq!(answer.cause(), Some(expected), "{at}");
    }
    let mut browser = browser_at(&menshen, "192.0.2.1");
    let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
}

#[tokio::test]
async fn a_forged_token_is_no_problem_of_the_portal() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let stranger = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "").await;
    let report = || {
        let site = menshen.running.live().site();
        let mut entries = site.login.entries().iter();
        let entry = entries.find(|entry| entry.id.as_str() == ID).unwrap();
        entry.health.report()
    };
    let forged = stranger.sign(&portal.claims());
    assert_refused(&menshen, &forged, "signature is wrong", "forged").await;
    assert!(report().last_problem.is_none(), "{:?}", report());
    assert!(report().answered_at.is_none(), "{:?}", report());
    sign_in(&menshen, &portal.sign(&portal.claims())).await;
    assert!(report().answered_at.is_some(), "{:?}", report());
}

#[tokio::test]
async fn no_token_and_no_key_is_logged_shown_or_part_of_debug_output() {
    let log = Records::process_log();
    let portal = Portal::with_algorithm(Algorithm::HS256);
    for recipient in [
        Recipient::new("A256KW", "A128CBC-HS256"),
        Recipient::new("ECDH-ES", "A256GCM"),
    ] {
        let lines = format!("on_routes = true\n{}", recipient.toml(ID));
        let menshen = setup(&portal, &lines).start().await;
        let signed = portal.sign(&portal.claims());
        let token = recipient.encrypt(&signed, &serde_json::json!({}));
        let for_another = Recipient::new("A256KW", "A128CBC-HS256");
        let undecryptable = for_another.encrypt(&signed, &serde_json::json!({}));
        let mut seen = Vec::new();
        for hostile in [&signed, &undecryptable, &token.replacen('.', ".A", 1)] {
            let answer = follow_link(&mut Browser::new(&menshen), hostile).await;
            assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused));
            seen.push(format!("{:?} {}", answer.headers, answer.text()));
        }
        let url = format!("{SSO_URL}/echo?token={token}");
        let mut browser = Browser::new(&menshen);
        let answer = browser.send("GET", &url, &LINK_HEADERS, b"").await;
        assert!(sets_session(&answer), "{}", answer.text());
        seen.push(format!("{:?} {}", answer.headers, answer.text()));
        let page = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(page.echoed("x-forwarded-user"), ["lisi"]);
        seen.push(page.text());
        menshen.audit();
        seen.extend([menshen.records.text(), log.text()]);
        let site = menshen.running.live().site();
        let mut entries = site.login.entries().iter();
        let entry = entries.find(|entry| entry.id.as_str() == ID).unwrap();
        seen.push(format!("{:#?} {:?}", entry.connector, entry.config));
        let parts = [&signed, &undecryptable, &token].into_iter();
        let parts = parts.flat_map(|token| token.split('.').skip(1));
        let decryption_key = recipient.key();
        let keys = portal.verifying_key.split_whitespace();
        let keys = keys.chain(decryption_key.split_whitespace());
        for secret in parts.chain(keys).filter(|secret| secret.len() > 20) {
            for text in &seen {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn no_claim_is_markup_on_a_page() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "").await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    for hostile in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'-alert(1)-'",
        "{{7*7}}",
    ] {
        let claims = json!({ "sub": hostile, "preferred_username": hostile, "name": hostile });
        let token = portal.sign(&with_claims(&portal, &claims));
        let page = follow_link(&mut browser.clone(), &token).await;
        assert_eq!(page.status, 409, "{hostile}: {}", page.text());
        let html = page.text();
        assert!(
            !html.contains("<script>alert") && !html.contains("<img"),
            "{html}"
        );
        assert!(hostile.contains("7*7") || !html.contains(hostile), "{html}");
    }
}
