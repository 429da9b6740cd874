//! Metadata that leads astray.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::{Row, all_refused, by};
use crate::provider::Misbehaves;

/// Metadata with another value; null takes it away.
fn says(what: &'static str, name: &'static str, value: Value, reason: &'static str) -> Row {
    let bend = move |provider: &crate::provider::Provider| {
        let value = value.clone();
        provider.misbehave(Misbehaves::answer("discovery", move |said| {
            let said = said.as_object_mut().unwrap();
            if value.is_null() {
                said.remove(name);
            } else {
                said.insert(name.to_owned(), value.clone());
            }
        }));
    };
    by(what, bend, Cause::SourceMisconfigured, reason)
}

#[tokio::test]
async fn metadata_of_somebody_else_or_without_the_least_is_not_used() {
    let rows = vec![
        says(
            "another issuer",
            "issuer",
            json!("https://evil.test"),
            "https://evil.test",
        ),
        says("no issuer", "issuer", Value::Null, "issuer"),
        says(
            "an issuer that is no text",
            "issuer",
            json!(["x"]),
            "issuer",
        ),
        says("no keys", "jwks_uri", Value::Null, "jwks_uri"),
        says("keys nowhere", "jwks_uri", json!("/keys"), "jwks_uri"),
        says(
            "keys in a file",
            "jwks_uri",
            json!("file:///etc/passwd"),
            "jwks_uri",
        ),
        says(
            "keys with credentials",
            "jwks_uri",
            json!("http://a:b@127.0.0.1/keys"),
            "jwks_uri",
        ),
        says(
            "a script to log in by",
            "authorization_endpoint",
            json!("javascript:alert(1)"),
            "authorization_endpoint",
        ),
        says(
            "a token endpoint that is a number",
            "token_endpoint",
            json!(7),
            "token_endpoint",
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}
