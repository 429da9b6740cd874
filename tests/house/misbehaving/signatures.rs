//! ID tokens with invalid, foreign, missing or forgeable signatures.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::{Row, assert_all_refused, row, row_with};
use crate::provider::{Key, Misbehavior, OldKey, compact};

/// An ID token with another value in its header.
fn with_header(
    what: &'static str,
    name: &'static str,
    value: Value,
    logged_error: &'static str,
) -> Row {
    let change = Misbehavior::token_header(move |head| head[name] = value.clone());
    row(what, change, Cause::InvalidProviderResponse, logged_error)
}

/// An ID token signed in another way.
fn signed(
    what: &'static str,
    sign: impl Fn(&Value, &Key) -> String + Send + Sync + 'static,
    logged_error: &'static str,
) -> Row {
    row(
        what,
        Misbehavior::token(sign),
        Cause::InvalidProviderResponse,
        logged_error,
    )
}

#[tokio::test]
async fn a_token_that_the_issuer_did_not_sign_is_refused() {
    let other = Key::generate(Algorithm::ES256);
    let (unpublished, embedded) = (other.clone(), other.clone());
    let rows = vec![
        signed(
            "a broken signature",
            |claims, key| broken(&key.sign(claims, &json!({}))),
            "signature",
        ),
        signed(
            "other claims below the signature of the first",
            with_other_claims,
            "signature",
        ),
        signed(
            "no signature",
            |claims, key| {
                let token = key.sign(claims, &json!({}));
                format!("{}.", token.rsplit_once('.').unwrap().0)
            },
            "signature",
        ),
        signed(
            "another provider's key with the key ID of this provider",
            move |claims, key| unpublished.sign(claims, &json!({ "kid": key.kid })),
            "signature",
        ),
        signed(
            "a key inside the token",
            move |claims, key| {
                let jwk = embedded.jwk();
                embedded.sign(
                    claims,
                    &json!({ "kid": key.kid, "jwk": jwk, "jku": "http://127.0.0.1/k" }),
                )
            },
            "signature",
        ),
        signed(
            "another provider's key",
            move |claims, _| other.sign(claims, &json!({})),
            "has no key key-",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn a_weak_or_unexpected_algorithm_is_refused() {
    let rows = vec![
        signed(
            "alg none",
            |claims, key| unsigned("none", claims, key),
            "algorithm none",
        ),
        signed(
            "alg None",
            |claims, key| unsigned("None", claims, key),
            "algorithm None",
        ),
        signed(
            "no alg at all",
            |claims, key| compact(&json!({ "kid": key.kid }), claims, |_| String::new()),
            "not a signed token",
        ),
        with_header(
            "the name of another algorithm",
            "alg",
            json!("RS256"),
            "has no key",
        ),
        with_header(
            "an unknown algorithm",
            "alg",
            json!("ES256K"),
            "algorithm ES256K",
        ),
        with_header(
            "an extension that must be understood",
            "crit",
            json!(["exp"]),
            "extension",
        ),
        with_header(
            "the type of a logout token",
            "typ",
            json!("logout+jwt"),
            "`typ` is not that of an ID token",
        ),
        with_header(
            "the type of an access token",
            "typ",
            json!("application/at+jwt"),
            "`typ` is not that of an ID token",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn a_key_of_another_issuer_is_refused() {
    let rows = vec![
        with_header("an unknown key", "kid", json!("ghost"), "has no key ghost"),
        with_header(
            "a key ID that is too long",
            "kid",
            json!("k".repeat(20_000)),
            "has no key",
        ),
        row_with(
            "several keys and no key ID",
            |provider| {
                provider.rotate(OldKey::Published);
                provider.misbehave(Misbehavior::token_header(|head| head["kid"] = Value::Null));
            },
            Cause::InvalidProviderResponse,
            "without a name",
        ),
        row(
            "a key that is for encryption",
            Misbehavior::json("keys", |keys| {
                keys["keys"][0]["use"] = json!("enc");
            }),
            Cause::InvalidProviderResponse,
            "has no key",
        ),
        row(
            "no key at all",
            Misbehavior::json("keys", |keys| keys["keys"] = json!([])),
            Cause::InvalidProviderResponse,
            "has no key",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

/// Algorithm confusion: HMAC with the public key as the secret, in each of its encodings (RFC 8725 §2.1).
#[tokio::test]
async fn a_public_key_is_not_accepted_as_a_shared_secret() {
    let add_shared_secret = |keys: &mut Value| {
        let key = json!({ "kty": "oct", "kid": "shared", "alg": "HS256", "k": "c2VjcmV0" });
        keys["keys"].as_array_mut().unwrap().push(key);
    };
    let rows = vec![
        signed(
            "PEM",
            move |claims, key| hmac(key.public_pem.as_bytes(), &key.kid, claims),
            "algorithm HS256",
        ),
        signed(
            "JWK",
            move |claims, key| hmac(key.jwk().to_string().as_bytes(), &key.kid, claims),
            "algorithm HS256",
        ),
        signed(
            "the modulus",
            move |claims, key| {
                hmac(
                    key.jwk()["n"].as_str().unwrap().as_bytes(),
                    &key.kid,
                    claims,
                )
            },
            "algorithm HS256",
        ),
        row_with(
            "a shared secret among the keys",
            move |provider| {
                provider.misbehave(Misbehavior::json("keys", add_shared_secret));
                provider.misbehave(Misbehavior::token(|claims, _| {
                    hmac(b"secret", "shared", claims)
                }));
            },
            Cause::InvalidProviderResponse,
            "algorithm HS256",
        ),
    ];
    assert_all_refused(Algorithm::RS256, rows).await;
}

/// A token with one character of the signature changed.
fn broken(token: &str) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{input}.{first}{}", &signature[1..])
}

/// A token with the signature of other claims.
fn with_other_claims(claims: &Value, key: &Key) -> String {
    let mut other = claims.clone();
    other["groups"] = json!(["管理员"]);
    let signed = key.sign(claims, &json!({}));
    let changed = key.sign(&other, &json!({}));
    let (input, _) = changed.rsplit_once('.').unwrap();
    format!("{input}.{}", signed.rsplit_once('.').unwrap().1)
}

fn unsigned(algorithm: &str, claims: &Value, key: &Key) -> String {
    compact(&json!({ "alg": algorithm, "kid": key.kid }), claims, |_| {
        String::new()
    })
}

fn hmac(secret: &[u8], kid: &str, claims: &Value) -> String {
    let secret = jsonwebtoken::EncodingKey::from_secret(secret);
    let head = json!({ "alg": "HS256", "kid": kid, "typ": "JWT" });
    compact(&head, claims, |input| {
        jsonwebtoken::crypto::sign(input, &secret, Algorithm::HS256).unwrap()
    })
}
