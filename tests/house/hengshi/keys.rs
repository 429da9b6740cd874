//! `jwt-param/generate-key`, and keys that must be partners.

use menshen::login::connector::jwt::{KeyEncoding, TokenAlgorithm, signing_key_fits};
use menshen::secret::Secret;
use serde_json::{Value, json};

use super::{Call, get, problem_fields, put, refused, setup, with};

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
        if name.starts_with("HS") {
            assert!(
                sign.expose().len() >= 32 && sign.expose().bytes().all(|b| b.is_ascii_hexdigit())
            );
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
