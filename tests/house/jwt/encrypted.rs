//! Encrypted tokens: `[connector.ID.jwt.decrypt]`.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::encryption::{CONTENT_ALGORITHMS, KEY_ALGORITHMS, Recipient};
use super::portal::Portal;
use super::{ID, assert_refused, sign_in, start};
use crate::provider::compact;

const NOT_DECRYPTED: &str = "it cannot be decrypted with this key";

#[tokio::test]
async fn each_pair_of_algorithms_signs_a_person_in_and_another_key_does_not() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    for alg in KEY_ALGORITHMS {
        for enc in CONTENT_ALGORITHMS {
            let recipient = Recipient::new(alg, enc);
            let menshen = start(&portal, &recipient.toml(ID)).await;
            let what = format!("{alg} {enc}");
            let signed = || portal.sign(&portal.claims());
            let seen = sign_in(&menshen, &recipient.encrypt(&signed(), &json!({}))).await;
            assert_eq!(seen.echoed("x-forwarded-user"), ["lisi"], "{what}");
            let for_another = Recipient::new(alg, enc).encrypt(&signed(), &json!({}));
            assert_refused(&menshen, &for_another, NOT_DECRYPTED, &what).await;
        }
    }
}

#[tokio::test]
async fn a_token_must_be_encrypted_if_and_only_if_the_settings_say_so() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let recipient = Recipient::new("dir", "A256GCM");
    let signed = portal.sign(&portal.claims());
    let encrypted = recipient.encrypt(&portal.sign(&portal.claims()), &json!({}));
    let with_decrypt = start(&portal, &recipient.toml(ID)).await;
    assert_refused(&with_decrypt, &signed, "it is not encrypted", "signed").await;
    let without = start(&portal, "").await;
    assert_refused(&without, &encrypted, "it is encrypted", "encrypted").await;
    sign_in(&with_decrypt, &encrypted).await;
    sign_in(&without, &signed).await;
}

#[tokio::test]
async fn what_is_encrypted_must_be_signed_as_ever() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    let stranger = Portal::with_algorithm(Algorithm::ES256);
    // Everybody can encrypt with a public key.
    let recipient = Recipient::new("RSA-OAEP-256", "A256GCM");
    let menshen = start(&portal, &recipient.toml(ID)).await;
    let signed = portal.sign(&portal.claims());
    let unsigned = compact(&json!({ "alg": "none" }), &portal.claims(), |_| {
        String::new()
    });
    let by_public_key = Portal::with_secret(Algorithm::HS256, &portal.verifying_key);
    let twice = recipient.encrypt(&signed, &json!({}));
    // The payload of a signed token is another signed token.
    let signed_twice = {
        let head = json!({ "alg": "ES256", "cty": "JWT" });
        let part = |text: &str| {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
        };
        let input = format!("{}.{}", part(&head.to_string()), part(&signed));
        format!("{input}.{}", portal.signature(input.as_bytes()))
    };
    for (what, plain, logged_error) in [
        (
            "bare claims",
            portal.claims().to_string(),
            "it is not a signed token",
        ),
        ("an unsigned token", unsigned, "its algorithm none"),
        (
            "a token of a stranger",
            stranger.sign(&portal.claims()),
            "signature is wrong",
        ),
        (
            "HS256 by the public key",
            by_public_key.sign(&portal.claims()),
            "its algorithm HS256",
        ),
        ("an encrypted token", twice, "it is not a signed token"),
        (
            "a token in a token",
            signed_twice,
            "it is not a signed token",
        ),
        ("nothing", String::new(), "it is not a signed token"),
        (
            "an expired token",
            portal.sign(&super::with_claims(&portal, &json!({ "exp": 1 }))),
            "it has expired",
        ),
    ] {
        let token = recipient.encrypt(&plain, &json!({}));
        assert_refused(&menshen, &token, logged_error, what).await;
    }
    sign_in(&menshen, &recipient.encrypt(&signed, &json!({}))).await;
}

#[tokio::test]
async fn a_header_that_asks_for_something_else_is_refused() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let recipient = Recipient::new("A256KW", "A256GCM");
    let menshen = start(&portal, &recipient.toml(ID)).await;
    let encrypt = |more| recipient.encrypt(&portal.sign(&portal.claims()), &more);
    for (what, more, logged_error) in [
        ("zip", json!({ "zip": "DEF" }), "it is compressed"),
        (
            "crit",
            json!({ "crit": ["exp"], "exp": 1 }),
            "unknown extension",
        ),
        ("RSA1_5", json!({ "alg": "RSA1_5" }), "its `alg` is RSA1_5"),
        (
            "PBES2",
            json!({ "alg": "PBES2-HS256+A128KW", "p2c": 2_000_000_000, "p2s": "AAAA" }),
            "its `alg` is PBES2-HS256+A128KW",
        ),
        ("dir", json!({ "alg": "dir" }), "its `alg` is dir"),
        (
            "A128GCM",
            json!({ "enc": "A128GCM" }),
            "its `enc` is A128GCM",
        ),
        (
            "no alg",
            json!({ "alg": null }),
            "it is not an encrypted token",
        ),
        (
            "no enc",
            json!({ "enc": null }),
            "it is not an encrypted token",
        ),
    ] {
        assert_refused(&menshen, &encrypt(more), logged_error, what).await;
    }
    // Keys and addresses in the header are not read.
    for more in [
        json!({ "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/chain" }),
        json!({ "kid": "other", "cty": null, "typ": "JWT" }),
    ] {
        sign_in(&menshen, &encrypt(more)).await;
    }
}

#[tokio::test]
async fn an_altered_token_is_refused_and_the_log_does_not_say_where() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    for (alg, enc) in [("RSA-OAEP", "A128CBC-HS256"), ("ECDH-ES", "A256GCM")] {
        let recipient = Recipient::new(alg, enc);
        let menshen = start(&portal, &recipient.toml(ID)).await;
        let token = recipient.encrypt(&portal.sign(&portal.claims()), &json!({}));
        for at in 1..5 {
            let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
            let part = &mut parts[at];
            if part.is_empty() {
                part.push_str("AAAA");
            } else {
                let first = if part.starts_with('A') { "B" } else { "A" };
                part.replace_range(..1, first);
            }
            let what = format!("{alg}: part {at}");
            assert_refused(&menshen, &parts.join("."), NOT_DECRYPTED, &what).await;
        }
        sign_in(&menshen, &token).await;
    }
}

#[tokio::test]
async fn an_encrypted_token_is_accepted_once_however_it_is_encrypted() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    let recipient = Recipient::new("RSA-OAEP-256", "A256GCM");
    let menshen = start(&portal, &recipient.toml(ID)).await;
    for jti in [json!("one"), json!(null)] {
        let signed = portal.sign(&super::with_claims(&portal, &json!({ "jti": jti })));
        sign_in(&menshen, &recipient.encrypt(&signed, &json!({}))).await;
        let again = recipient.encrypt(&signed, &json!({}));
        assert_refused(&menshen, &again, "the token was used before", "again").await;
    }
}
