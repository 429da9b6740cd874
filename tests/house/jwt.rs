//! Logins with a signed token of a portal: `[connector.ID.jwt]`.

mod arrivals;
mod encrypted;
mod encryption;
mod hostile;
mod keygen;
mod keys;
mod on_routes;
pub(crate) mod portal;
mod replayed;
mod secrets;
mod settings;
mod strangers;
mod times;

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::wire::Answer;
use portal::Portal;

/// The connector's ID.
const ID: &str = "portal";

/// The headers of a link on a page of the portal.
const LINK_HEADERS: [(&str, &str); 5] = [
    ("Accept", "text/html"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Referer", "https://portal.test/home"),
];

fn setup(portal: &Portal, lines: &str) -> Setup {
    let tables = format!("{NO_LOGIN_LIMITS}\n{}", portal.connector_toml(ID, lines));
    Setup::default().tables(&tables).access_log()
}

async fn start(portal: &Portal, lines: &str) -> Menshen {
    setup(portal, lines).start().await
}

/// Follows a link with a token.
async fn follow_link(browser: &mut Browser, token: &str) -> Answer {
    let url = format!("{OWN_PAGES}/enter/{ID}?token={token}&rd=/echo");
    browser.send("GET", &url, &LINK_HEADERS, b"").await
}

/// Whether a response sets a session cookie.
fn sets_session(answer: &Answer) -> bool {
    let mut cookies = answer.header_values("set-cookie");
    cookies.any(|cookie| cookie.starts_with("menshen=") && !cookie.starts_with("menshen=;"))
}

/// Signs a person in with a token, and returns what the application learns.
async fn sign_in(menshen: &Menshen, token: &str) -> Answer {
    let mut browser = Browser::new(menshen);
    let answer = follow_link(&mut browser, token).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo")),
        "{} {:?}",
        answer.text(),
        menshen.audit().pop()
    );
    assert!(sets_session(&answer));
    let answer = browser
        .visit(&format!("{}/echo", crate::setup::SSO_URL))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// Asserts that a token is refused on the page of all refusals, and for which reason in the log.
async fn assert_refused(menshen: &Menshen, token: &str, logged_error: &str, what: &str) {
    let answer = follow_link(&mut Browser::new(menshen), token).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (403, Some(Cause::EntryTokenRefused)),
        "{what}: {}",
        answer.text()
    );
    assert!(!sets_session(&answer), "{what}");
    let refused = menshen.audit().pop().unwrap_or_default();
    let error = refused["error"].as_str().unwrap_or_default();
    assert_eq!(refused["event"], "refused", "{what}: {refused}");
    assert!(error.contains(logged_error), "{what}: {error}");
    let page = answer.text();
    assert!(!page.contains(logged_error), "{what}: {page}");
    let last_part = token.rsplit('.').next().unwrap_or_default();
    if last_part.len() > 20 {
        let log = menshen.records.text();
        assert!(!log.contains(last_part), "{what}: {log}");
        assert!(!page.contains(last_part), "{what}: {page}");
    }
}

#[tokio::test]
async fn each_algorithm_signs_a_person_in_and_no_other_key_or_algorithm_does() {
    for algorithm in portal::ALGORITHMS {
        let portal = Portal::with_algorithm(algorithm);
        let menshen = start(&portal, "").await;
        let seen = sign_in(&menshen, &portal.sign(&portal.claims())).await;
        assert_eq!(seen.echoed("x-forwarded-user"), ["lisi"], "{algorithm:?}");
        let what = format!("{algorithm:?}");
        let stranger = Portal::with_algorithm(algorithm);
        let forged = stranger.sign(&portal.claims());
        assert_refused(&menshen, &forged, "its signature is wrong", &what).await;
        let renamed = portal.sign_with(&json!({ "alg": "ES512" }), &portal.claims());
        assert_refused(&menshen, &renamed, "its algorithm ES512", &what).await;
    }
}

#[tokio::test]
async fn the_application_learns_the_claims_and_the_token_is_never_disclosed() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "").await;
    let mut claims = portal.claims();
    claims["email"] = json!("lisi@corp.example");
    claims["groups"] = json!(["财务", "audit"]);
    let token = portal.sign(&claims);
    let seen = sign_in(&menshen, &token).await;
    for (header, value) in [
        ("x-forwarded-user", "lisi"),
        ("x-forwarded-name", "%E6%9D%8E%E5%9B%9B"),
        ("x-forwarded-email", "lisi@corp.example"),
        ("x-forwarded-groups", "%E8%B4%A2%E5%8A%A1,audit"),
    ] {
        assert_eq!(seen.echoed(header), [value], "{header}");
    }
    let signature = token.rsplit('.').next().unwrap();
    let log = menshen.records.text();
    assert!(!log.contains(signature), "{log}");
    assert!(!log.contains(portal::SECRET), "{log}");
    // A form keeps the token out of URLs, and needs the same.
    let body = format!("token={}&rd=/echo", portal.sign(&portal.claims()));
    let mut headers = LINK_HEADERS.to_vec();
    headers.push(("Content-Type", "application/x-www-form-urlencoded"));
    let url = format!("{OWN_PAGES}/enter/{ID}");
    let mut browser = Browser::new(&menshen);
    let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
    // A cross-site POST brings no cookies, so a GET follows that shows who is signed in.
    let next = answer.header("location").unwrap_or_default().to_owned();
    assert_eq!(answer.status, 303, "{}", answer.text());
    let answer = browser
        .visit(&format!("{}{next}", crate::setup::SSO_URL))
        .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    assert!(sets_session(&answer));
}

#[tokio::test]
async fn the_login_is_a_claim_or_what_the_mapping_says() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "").await;
    let mut claims = portal.claims();
    claims.as_object_mut().unwrap().remove("preferred_username");
    let seen = sign_in(&menshen, &portal.sign(&claims)).await;
    assert_eq!(seen.echoed("x-forwarded-user"), ["person-1"]);
    let mapping = "subject = 'profile.uid'\n\
                   [connector.portal.mapping]\nlogin = \"'p-' + profile.user.name\"\n";
    let menshen = start(&portal, mapping).await;
    let mut claims = portal.claims();
    claims["uid"] = json!(1234567890123_i64);
    claims["user"] = json!({ "name": "wangwu" });
    let seen = sign_in(&menshen, &portal.sign(&claims)).await;
    assert_eq!(seen.echoed("x-forwarded-user"), ["p-wangwu"]);
    let login = menshen.audit().pop().unwrap();
    assert_eq!(login["subject"], "1234567890123", "{login}");
    for uid in [
        json!(""),
        json!(1.5),
        json!(null),
        json!(["a"]),
        json!(true),
    ] {
        let mut claims = portal.claims();
        claims["uid"] = uid.clone();
        claims["user"] = json!({ "name": "wangwu" });
        let token = portal.sign(&claims);
        assert_refused(&menshen, &token, "subject", &uid.to_string()).await;
    }
    let without = portal.sign(&portal.claims());
    assert_refused(&menshen, &without, "`subject` has no value", "no uid").await;
}

#[tokio::test]
async fn only_the_portal_starts_logins() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "").await;
    let mut browser = Browser::new(&menshen);
    for path in [
        "/start?connector=portal",
        "/callback/portal?token=x&state=y",
    ] {
        let answer = browser.visit(&format!("{OWN_PAGES}{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let page = browser.visit(&format!("{OWN_PAGES}/sign_in")).await;
    assert!(!page.text().contains("connector=portal"), "{}", page.text());
    // A token in another parameter is no arrival.
    let token = portal.sign(&portal.claims());
    for parameter in ["ticket", "Token", "tokens", "id_token"] {
        let url = format!("{OWN_PAGES}/enter/{ID}?{parameter}={token}");
        let answer = browser.send("GET", &url, &LINK_HEADERS, b"").await;
        assert_eq!(answer.status, 400, "{parameter}");
    }
    sign_in(&menshen, &token).await;
}

#[tokio::test]
async fn a_token_counts_only_from_the_pages_of_the_portal() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "").await;
    let url = |token: &str| format!("{OWN_PAGES}/enter/{ID}?token={token}");
    for referer in [
        None,
        Some("https://evil.test/"),
        Some("http://portal.test/"),
        Some("https://portal.test.evil.test/"),
        Some("https://xportal.test/"),
        Some("https://portal.test:8443/"),
        Some("https://portal.test@evil.test/"),
        Some("null"),
    ] {
        let headers = LINK_HEADERS.iter().filter(|(name, _)| *name != "Referer");
        let mut headers: Vec<_> = headers.copied().collect();
        headers.extend(referer.map(|referer| ("Referer", referer)));
        let token = portal.sign(&portal.claims());
        let mut browser = Browser::new(&menshen);
        let answer = browser.send("GET", &url(&token), &headers, b"").await;
        assert_eq!(
            answer.cause(),
            Some(Cause::EntryTokenRefused),
            "{referer:?}"
        );
        assert!(!sets_session(&answer), "{referer:?}");
        // It was not redeemed.
        sign_in(&menshen, &token).await;
    }
}

#[tokio::test]
async fn session_expires_bounds_the_session() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let mapping = "[connector.portal.mapping]\nsession_expires = 'profile.exp'\n";
    let menshen = start(&portal, mapping).await;
    let mut browser = Browser::new(&menshen);
    let answer = follow_link(&mut browser, &portal.sign(&portal.claims())).await;
    assert!(sets_session(&answer));
    let url = format!("{}/echo", crate::setup::SSO_URL);
    menshen.advance(std::time::Duration::from_secs(59));
    assert_eq!(browser.visit(&url).await.status, 200);
    menshen.advance(std::time::Duration::from_secs(2));
    assert_ne!(browser.visit(&url).await.status, 200);
}

/// The claims of a token with other ones; null removes one.
fn with_claims(portal: &Portal, more: &Value) -> Value {
    let mut claims = portal.claims();
    crate::provider::merge(&mut claims, more);
    claims
}
