//! Hostile tokens. Beside each the token that it was made from passes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::portal::{NOW_S, Portal};
use super::{ID, LINK_HEADERS, assert_refused, sets_session, sign_in, start, with_claims};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::provider::compact;
use crate::setup::{Menshen, SSO_URL};
use crate::wire::Answer;

/// What is wrong, the token, and what the log says.
pub(super) type Row = (&'static str, String, &'static str);

/// A row for a token with other claims; null removes one.
pub(super) fn claims(
    portal: &Portal,
    what: &'static str,
    more: Value,
    logged_error: &'static str,
) -> Row {
    let token = portal.sign(&with_claims(portal, &more));
    (what, token, logged_error)
}

/// A row for a token with another header and a right signature.
fn header(portal: &Portal, what: &'static str, more: Value, logged_error: &'static str) -> Row {
    let token = portal.sign_with(&more, &portal.claims());
    (what, token, logged_error)
}

pub(super) async fn assert_all_refused(portal: &Portal, lines: &str, rows: Vec<Row>) {
    let menshen = start(portal, lines).await;
    for (what, token, logged_error) in rows {
        assert_refused(&menshen, &token, logged_error, what).await;
    }
    sign_in(&menshen, &portal.sign(&portal.claims())).await;
}

#[tokio::test]
async fn a_token_without_the_signature_of_the_portal_is_refused() {
    for algorithm in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES256] {
        let portal = Portal::with_algorithm(algorithm);
        let token = portal.sign(&portal.claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let other = portal.sign(&with_claims(&portal, &json!({ "sub": "boss" })));
        let (head, _) = signed.split_once('.').unwrap();
        let payload_of_other = other.split('.').nth(1).unwrap();
        let unsigned = |alg: &str| {
            let header = json!({ "alg": alg, "typ": "JWT" });
            compact(&header, &portal.claims(), |_| String::new())
        };
        let rows = vec![
            ("none", unsigned("none"), "its algorithm none"),
            ("None", unsigned("None"), "its algorithm None"),
            ("NONE", unsigned("NONE"), "its algorithm NONE"),
            (
                "an empty alg",
                unsigned(""),
                "its algorithm  is not accepted",
            ),
            (
                "no alg",
                compact(&json!({ "typ": "JWT" }), &portal.claims(), |_| {
                    String::new()
                }),
                "it is not a signed token",
            ),
            (
                "none with a signature",
                portal.sign_with(&json!({ "alg": "none" }), &portal.claims()),
                "its algorithm none",
            ),
            ("no signature", format!("{signed}."), "signature is wrong"),
            (
                "a cut signature",
                format!("{signed}.{}", &signature[..signature.len() - 2]),
                "signature is wrong",
            ),
            (
                "other claims",
                format!("{head}.{payload_of_other}.{signature}"),
                "signature is wrong",
            ),
            ("two parts", signed.to_owned(), "it is not a signed token"),
            (
                "four parts",
                format!("{token}.x"),
                "it is not a signed token",
            ),
            ("padded", format!("{token}%3D"), "signature is wrong"),
            (
                "no token at all",
                "x".to_owned(),
                "it is not a signed token",
            ),
        ];
        assert_all_refused(&portal, "", rows).await;
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let portal = Portal::with_algorithm(Algorithm::RS256);
    let pem = &portal.verifying_key;
    let by_public_key = |secret: &str| {
        let attacker = Portal::with_secret(Algorithm::HS256, secret);
        attacker.sign(&portal.claims())
    };
    let named_rs256 = {
        let attacker = Portal::with_secret(Algorithm::HS256, pem);
        attacker.sign_with(&json!({ "alg": "RS256" }), &portal.claims())
    };
    let rows = vec![
        (
            "HS256 by the PEM",
            by_public_key(pem),
            "its algorithm HS256",
        ),
        (
            "HS256 by the PEM without its line end",
            by_public_key(pem.trim_end()),
            "its algorithm HS256",
        ),
        ("HS256 named RS256", named_rs256, "signature is wrong"),
        (
            "another RSA algorithm with the right key",
            portal.as_algorithm(Algorithm::PS256).sign(&portal.claims()),
            "its algorithm PS256",
        ),
        (
            "another RSA algorithm under the name of the right one",
            portal
                .as_algorithm(Algorithm::PS256)
                .sign_with(&json!({ "alg": "RS256" }), &portal.claims()),
            "signature is wrong",
        ),
    ];
    assert_all_refused(&portal, "", rows).await;
}

#[tokio::test]
async fn a_key_or_address_in_the_header_never_helps() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    let stranger = crate::provider::Key::generate(Algorithm::ES256);
    let by_stranger = |more: Value| stranger.sign(&portal.claims(), &more);
    let certificate = rcgen::generate_simple_self_signed(vec!["portal.test".to_owned()]).unwrap();
    let der = base64::engine::general_purpose::STANDARD.encode(certificate.cert.der());
    let named = "signature is wrong";
    let rows = vec![
        ("jwk", by_stranger(json!({ "jwk": stranger.jwk() })), named),
        (
            "jku",
            by_stranger(json!({ "jku": "http://127.0.0.1:1/keys" })),
            named,
        ),
        (
            "x5u",
            by_stranger(json!({ "x5u": "http://127.0.0.1:1/chain" })),
            named,
        ),
        ("x5c", by_stranger(json!({ "x5c": [der] })), named),
        (
            "a kid with a path",
            by_stranger(json!({ "kid": "../../dev/null" })),
            named,
        ),
        (
            "a kid with SQL",
            by_stranger(json!({ "kid": "x' UNION SELECT 'k" })),
            named,
        ),
    ];
    assert_all_refused(&portal, "", rows).await;
}

#[tokio::test]
async fn an_extension_or_another_type_of_token_is_refused() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let not_encoded = {
        let head = URL_SAFE_NO_PAD.encode(json!({ "alg": "HS256", "b64": false }).to_string());
        let claims = URL_SAFE_NO_PAD.encode(portal.claims().to_string());
        let signature = portal.signature(format!("{head}.{claims}").as_bytes());
        format!("{head}.{claims}.{signature}")
    };
    let rows = vec![
        header(
            &portal,
            "crit",
            json!({ "crit": ["exp"], "exp": NOW_S + 60 }),
            "unknown extension",
        ),
        header(
            &portal,
            "an empty crit",
            json!({ "crit": [] }),
            "unknown extension",
        ),
        header(
            &portal,
            "crit and b64",
            json!({ "crit": ["b64"], "b64": true }),
            "unknown extension",
        ),
        ("b64 alone", not_encoded, "unknown extension"),
        header(
            &portal,
            "an access token",
            json!({ "typ": "at+jwt" }),
            "its type is at+jwt",
        ),
        header(
            &portal,
            "a logout token",
            json!({ "typ": "application/logout+jwt" }),
            "its type is logout+jwt",
        ),
        header(&portal, "JOSE", json!({ "typ": "JWE" }), "its type is JWE"),
    ];
    assert_all_refused(&portal, "", rows).await;
    // These types say no more than that it is a token.
    let menshen = start(&portal, "").await;
    for typ in [json!(null), json!("jwt"), json!("application/jwt")] {
        let token = portal.sign_with(&json!({ "typ": typ }), &portal.claims());
        sign_in(&menshen, &token).await;
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_or_from_somebody_else_is_refused() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let rows = vec![
        claims(&portal, "no iss", json!({ "iss": null }), "the claim `iss`"),
        claims(
            &portal,
            "another iss",
            json!({ "iss": "Portal" }),
            "it was issued by Portal",
        ),
        claims(
            &portal,
            "a list as iss",
            json!({ "iss": ["portal"] }),
            "the claim `iss`",
        ),
        claims(&portal, "no aud", json!({ "aud": null }), "it is for"),
        claims(
            &portal,
            "another aud",
            json!({ "aud": "wiki" }),
            "it is for wiki",
        ),
        claims(
            &portal,
            "an aud that begins the same",
            json!({ "aud": "menshen2" }),
            "it is for menshen2",
        ),
        claims(
            &portal,
            "no aud in a list",
            json!({ "aud": [] }),
            "it is for",
        ),
        claims(
            &portal,
            "an aud that is no text",
            json!({ "aud": ["menshen", 1] }),
            "the claim `aud`",
        ),
    ];
    assert_all_refused(&portal, "", rows).await;
    let menshen = start(&portal, "").await;
    let several = with_claims(&portal, &json!({ "aud": ["wiki", "menshen"] }));
    sign_in(&menshen, &portal.sign(&several)).await;
}

#[tokio::test]
async fn without_an_audience_a_token_for_anybody_is_refused() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let key = format!("'{}'", portal.verifying_key);
    let tables = format!(
        "{}[connector.portal.jwt]\nalgorithm = 'HS256'\nkey = {key}\n\
         origins = ['https://portal.test']\n",
        crate::setup::NO_LOGIN_LIMITS
    );
    let setup = crate::setup::Setup::default().tables(&tables);
    let menshen = setup.start().await;
    for aud in [json!("menshen"), json!(["menshen"]), json!([]), json!(1)] {
        let token = portal.sign(&with_claims(&portal, &json!({ "aud": aud })));
        let what = format!("aud {aud}");
        assert_refused(&menshen, &token, "it has an `aud`", &what).await;
    }
    // Without `issuer` everybody may be the issuer who has the key.
    for iss in [json!(null), json!("portal"), json!("other")] {
        let claims = with_claims(&portal, &json!({ "aud": null, "iss": iss }));
        sign_in(&menshen, &portal.sign(&claims)).await;
    }
}

#[tokio::test]
async fn a_payload_that_is_no_object_is_refused() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let of_payload = |payload: &str| {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        let input = format!("{head}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = portal.signature(input.as_bytes());
        format!("{input}.{signature}")
    };
    let nested = portal.sign(&portal.claims());
    let rows = [
        "",
        "[]",
        "null",
        "\"lisi\"",
        "{",
        "{}x",
        "\u{feff}{}",
        &nested,
    ];
    let rows = rows.map(|payload| ("no object", of_payload(payload), "it is not a signed token"));
    assert_all_refused(&portal, "", rows.to_vec()).await;
}

/// Sends a token to each entry point: by a link and by a form to `/enter`, and by a link to applications.
async fn at_each_entry_point(menshen: &Menshen, token: &str) -> Vec<(&'static str, Answer)> {
    let by_link = async |url: String| {
        let mut browser = Browser::new(menshen);
        browser.send("GET", &url, &LINK_HEADERS, b"").await
    };
    let mut headers = LINK_HEADERS.to_vec();
    headers.push(("Content-Type", "application/x-www-form-urlencoded"));
    let url = format!("{OWN_PAGES}/enter/{ID}");
    let form = format!("token={token}");
    let mut browser = Browser::new(menshen);
    let by_form = browser.send("POST", &url, &headers, form.as_bytes()).await;
    vec![
        (
            "link",
            by_link(format!("{OWN_PAGES}/enter/{ID}?token={token}")).await,
        ),
        ("form", by_form),
        (
            "login host",
            by_link(format!("{SSO_URL}/echo?token={token}")).await,
        ),
        (
            "public",
            by_link(format!("{SSO_URL}/public/x?token={token}")).await,
        ),
        (
            "other host",
            by_link(format!("http://oa.test/echo?token={token}")).await,
        ),
    ]
}

#[tokio::test]
async fn every_entry_point_refuses_every_hostile_token() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let stranger = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "on_routes = true").await;
    let with = |more: Value| portal.sign(&with_claims(&portal, &more));
    let with_header = |more: Value| portal.sign_with(&more, &portal.claims());
    let requests = menshen.app.requests();
    for (what, token) in [
        ("iss", with(json!({ "iss": "other" }))),
        ("no iss", with(json!({ "iss": null }))),
        ("aud", with(json!({ "aud": "other" }))),
        ("no aud", with(json!({ "aud": null }))),
        ("exp", with(json!({ "exp": NOW_S - 30 }))),
        ("no exp", with(json!({ "exp": null }))),
        ("nbf", with(json!({ "nbf": NOW_S + 31 }))),
        ("auth_time", with(json!({ "auth_time": NOW_S + 31 }))),
        ("typ", with_header(json!({ "typ": "at+jwt" }))),
        ("none", with_header(json!({ "alg": "none" }))),
        ("alg", with_header(json!({ "alg": "HS512" }))),
        ("crit", with_header(json!({ "crit": ["exp"] }))),
        ("key", stranger.sign(&portal.claims())),
    ] {
        for (entry_point, answer) in at_each_entry_point(&menshen, &token).await {
            assert_eq!(
                (answer.status, answer.cause()),
                (403, Some(Cause::EntryTokenRefused)),
                "{what} {entry_point}: {}",
                answer.text()
            );
            assert!(!sets_session(&answer), "{what} {entry_point}");
        }
    }
    assert_eq!(menshen.app.requests(), requests);
    // The first of them redeems a good one, and no other does.
    let good = at_each_entry_point(&menshen, &portal.sign(&portal.claims())).await;
    let signed_in: Vec<_> = good
        .iter()
        .filter(|(_, answer)| sets_session(answer))
        .collect();
    assert!(signed_in.len() <= 1, "{signed_in:?}");
}

#[tokio::test]
async fn people_who_arrive_at_the_same_moment_are_never_mixed_up() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    let menshen = start(&portal, "on_routes = true").await;
    let arrivals = (0..60).map(async |number| {
        let login = format!("person{number}");
        let own = json!({ "sub": login, "preferred_username": login });
        let token = portal.sign(&with_claims(&portal, &own));
        let mut browser = Browser::new(&menshen);
        let url = format!("{SSO_URL}/echo?token={token}");
        let answer = browser.send("GET", &url, &LINK_HEADERS, b"").await;
        assert!(sets_session(&answer), "{login}: {}", answer.text());
        let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(echo.echoed("x-forwarded-user"), [login]);
    });
    futures_util::future::join_all(arrivals).await;
}
