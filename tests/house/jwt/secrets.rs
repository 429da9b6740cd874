//! No token and no secret of a portal is logged, shown, stored or in `Debug`.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::portal::{self, Portal};
use super::{LINK_HEADERS, setup, with_claims};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::records::Records;
use crate::setup::SSO_URL;
use crate::stores::TempDir;

/// How often a token is sent, at which address, and how.
const ARRIVALS: [(&str, &str); 7] = [
    ("GET", "/.menshen/enter/portal?token=TOKEN&rd=/echo"),
    ("GET", "/.menshen/enter/portal?token=TOKEN&token=TOKEN"),
    ("GET", "/.menshen/enter/portal?ticket=TOKEN"),
    ("HEAD", "/.menshen/enter/portal?token=TOKEN"),
    ("POST", "/.menshen/enter/portal?token=TOKEN"),
    ("GET", "/echo?token=TOKEN&a=b"),
    ("GET", "/finance/echo?token=TOKEN"),
];

/// Tokens of the portal, good ones and bad ones.
fn tokens(portal: &Portal) -> Vec<String> {
    let stranger = Portal::with_algorithm(portal.algorithm);
    let good = portal.sign(&portal.claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let mut tokens = vec![
        portal.sign(&portal.claims()),
        stranger.sign(&portal.claims()),
        portal.sign(&with_claims(portal, &json!({ "exp": portal::NOW_S - 600 }))),
        portal.sign(&with_claims(portal, &json!({ "aud": "another" }))),
        portal.sign(&with_claims(
            portal,
            &json!({ "sub": null, "preferred_username": null }),
        )),
        portal.sign_with(&json!({ "alg": "none" }), &portal.claims()),
        portal.sign_with(&json!({ "crit": ["b64"] }), &portal.claims()),
        format!("{signed}.{signature}.{signature}.{signature}.{signature}"),
        signed.to_owned(),
        format!("{signature}.{signed}"),
    ];
    tokens.push(good);
    tokens
}

#[tokio::test]
async fn no_token_is_logged_shown_or_stored() {
    let log = Records::process_log();
    let begun_at = log.text().len();
    let dir = TempDir::new();
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let menshen = setup(&portal, "on_routes = true").store(&dir.url());
    let menshen = menshen.start().await;
    let mut shown = String::new();
    let mut hidden = vec![portal.verifying_key.clone()];
    let mut statuses = std::collections::BTreeSet::new();
    for (method, target) in ARRIVALS {
        // At an application, what does not look like a token is a parameter of the application.
        let is_own_path = target.starts_with("/.menshen");
        let looks_like_token =
            |token: &String| token.starts_with('e') && token.matches('.').count() == 2;
        let tokens = tokens(&portal).into_iter();
        for token in tokens.filter(|token| is_own_path || looks_like_token(token)) {
            let mut browser = Browser::new(&menshen);
            // Nobody, then somebody who is signed in already, then the same request again.
            for _ in 0..2 {
                let url = format!("{SSO_URL}{}", target.replace("TOKEN", &token));
                let answer = browser.send(method, &url, &LINK_HEADERS, b"").await;
                statuses.insert(answer.status);
                shown.push_str(&answer.text());
                shown.push_str(&format!("{:?}", answer.headers));
            }
            let form = [("Content-Type", "application/x-www-form-urlencoded")];
            let headers = [&LINK_HEADERS[..], &form].concat();
            let url = format!("{OWN_PAGES}/enter/portal");
            let body = format!("token={token}&rd=/echo");
            let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
            shown.push_str(&answer.text());
            shown.push_str(&format!("{:?}", answer.headers));
            let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
            shown.push_str(&echo.text());
            // The parts that nobody could guess: the claims, and the signature. The headers are alike.
            let parts = token
                .split('.')
                .filter(|part| !part.starts_with("eyJhbGci"));
            hidden.extend(parts.map(str::to_owned));
        }
    }
    assert!(
        statuses.contains(&303) && statuses.contains(&403),
        "{statuses:?}"
    );
    menshen.audit();
    let stored = String::from_utf8_lossy(&dir.bytes()).into_owned();
    assert!(stored.contains("lisi"), "the store was written");
    let debug = format!("{:?} {:?}", menshen.running, menshen.running.live().site());
    for (name, text) in [
        ("the records", menshen.records.text()),
        ("the log", log.text().split_off(begun_at)),
        ("the pages", shown),
        ("the store", stored),
        ("Debug", debug),
    ] {
        for secret in hidden.iter().filter(|part| part.len() > 20) {
            let at = text.find(secret.as_str());
            let before = at.map(|at| &text[text.floor_char_boundary(at.saturating_sub(200))..at]);
            assert_eq!(before, None, "{secret} in {name}");
        }
    }
}
