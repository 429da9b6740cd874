//! `jwt-param/generate-key`, and keys that must be partners.

use menshen::login::connector::jwt::{KeyEncoding, TokenAlgorithm, signing_key_fits};
use menshen::secret::Secret;
use serde_json::{Value, json};

use super::fields::{assert_refused, jwt, saml};
use super::{Call, get, problem_fields, put, refused, setup, with};
use crate::saml::keys::{own, stranger};

fn text(value: &Value) -> Secret<String> {
    Secret::new(value.as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_generated_pair_fits_and_is_neither_kept_nor_in_force() {
    let menshen = setup().start().await;
    for (name, algorithm) in [
        ("HS256", TokenAlgorithm::HS256),
        ("HS384", TokenAlgorithm::HS384),
        ("HS512", TokenAlgorithm::HS512),
        ("RS256", TokenAlgorithm::RS256),
        ("PS512", TokenAlgorithm::PS512),
        ("ES256", TokenAlgorithm::ES256),
        ("ES384", TokenAlgorithm::ES384),
        ("EdDSA", TokenAlgorithm::EdDSA),
    ] {
        let body = json!({ "checkSignAlgorithm": name });
        let first = put(&menshen, "jwt-param/generate-key", &body).await;
        let second = put(&menshen, "jwt-param/generate-key", &body).await;
        assert_ne!(first["signKey"], second["signKey"], "{name}");
        assert_eq!(first["checkSignAlgorithm"], name);
        assert_eq!(first["checkSignKeyBase64Encoded"], false);
        assert_eq!(first["enableSyncUserAttr"], true);
        let (sign, check) = (text(&first["signKey"]), text(&first["checkSignKey"]));
        assert!(
            signing_key_fits(algorithm, &sign, &check, KeyEncoding::Text),
            "{name}"
        );
        if let Some(bits) = name.strip_prefix("HS") {
            let bits: usize = bits.parse().unwrap();
            // Each digit has four bits.
            assert_eq!(sign.expose().len(), bits / 4, "{name}");
            assert!(sign.expose().bytes().all(|b| b.is_ascii_hexdigit()));
        } else {
            assert!(sign.expose().contains("PRIVATE KEY"), "{name}");
        }
        let settings = menshen.running.live().settings();
        assert!(
            settings.connector(&"jwt-param".parse().unwrap()).is_none(),
            "{name}"
        );
        // What the portal gets is checked and not kept.
        put(&menshen, "jwt-param?connector=portal", &first).await;
        let shown = get(&menshen, "jwt-param?connector=portal").await;
        assert!(shown.get("signKey").is_none(), "{shown}");
        if !name.starts_with("HS") {
            assert_eq!(shown["checkSignKey"], first["checkSignKey"], "{name}");
        }
        let wrong = with(&first, &json!({ "signKey": second["signKey"] }));
        let call = Call::put("jwt-param?connector=portal", &wrong);
        let envelope = refused(&menshen, &call, 40001).await;
        assert_eq!(problem_fields(&envelope), ["signKey"], "{name}");
    }
}

#[tokio::test]
async fn without_an_algorithm_that_of_the_connector_counts() {
    let menshen = setup().start().await;
    let call = Call::new("PUT", "jwt-param/generate-key");
    assert_eq!(
        super::data_of(&menshen, &call).await["checkSignAlgorithm"],
        "HS256"
    );
    let fields = json!({
        "checkSignAlgorithm": "HS512", "checkSignKey": "k".repeat(64), "enableSyncUserAttr": false,
    });
    put(&menshen, "jwt-param", &fields).await;
    let generated = super::data_of(&menshen, &call).await;
    assert_eq!(generated["checkSignAlgorithm"], "HS512");
    assert_eq!(generated["enableSyncUserAttr"], false);
    let none = Call::put(
        "jwt-param/generate-key",
        &json!({ "checkSignAlgorithm": "none" }),
    );
    let envelope = refused(&menshen, &none, 40001).await;
    assert_eq!(problem_fields(&envelope), ["checkSignAlgorithm"]);
}

#[tokio::test]
async fn keys_in_pem_must_be_keys_and_belong_together() {
    let menshen = setup().external_url("https://sso.test").start().await;
    let sample = "-----BEGIN PRIVATE KEY-----\ntest\n-----END PRIVATE KEY-----\n";
    for (members, named) in [
        (json!({ "privateKey": "test" }), &["privateKey"][..]),
        (json!({ "privateKey": sample }), &["privateKey"]),
        (
            json!({ "certificate": sample.replace("PRIVATE KEY", "CERTIFICATE") }),
            &["certificate"],
        ),
        (
            json!({ "privateKey": own().private_pem, "certificate": stranger().certificate_pem }),
            &["certificate"],
        ),
        (
            json!({
                "privateKey": own().private_pem.replace('A', "B"),
                "certificate": own().certificate_pem,
            }),
            &["privateKey"],
        ),
        (
            json!({ "privateKey": own().private_pem, "certificate": own().private_pem }),
            &["certificate"],
        ),
        (json!({ "privateKey": own().private_pem }), &["privateKey"]),
        (
            json!({ "certificate": own().certificate_pem }),
            &["certificate"],
        ),
        (json!({ "entityId": "a", "entityID": "b" }), &["entityID"]),
        (
            json!({ "privateKey": format!("-----BEGIN {}", "x".repeat(65_536)) }),
            &["privateKey"],
        ),
    ] {
        assert_refused(&menshen, "saml2", &saml(), members, named).await;
    }
}

#[tokio::test]
async fn keys_of_tokens_are_long_enough_and_of_the_right_type() {
    let menshen = setup().start().await;
    // The sample of the manual has so many bytes.
    let sample = json!({ "checkSignKey": "k".repeat(29) });
    assert_refused(&menshen, "jwt-param", &jwt(), sample, &["checkSignKey"]).await;
    for (algorithm, bytes) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let key = |bytes: usize| json!({ "checkSignAlgorithm": algorithm, "checkSignKey": "k".repeat(bytes) });
        assert_refused(
            &menshen,
            "jwt-param",
            &jwt(),
            key(bytes - 1),
            &["checkSignKey"],
        )
        .await;
        put(&menshen, "jwt-param", &key(bytes)).await;
    }
    let es = json!({ "checkSignAlgorithm": "ES256" });
    for key in [
        "k".repeat(32),
        own().private_pem.clone(),
        own().certificate_pem.clone(),
    ] {
        let members = with(&es, &json!({ "checkSignKey": key }));
        assert_refused(&menshen, "jwt-param", &jwt(), members, &["checkSignKey"]).await;
    }
    let base64 = json!({ "checkSignKeyBase64Encoded": true, "checkSignKey": "not base64!" });
    assert_refused(&menshen, "jwt-param", &jwt(), base64, &["checkSignKey"]).await;
}
