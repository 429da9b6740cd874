//! ID tokens and token responses with invalid contents.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::{Row, all_refused, row, row_with};
use crate::provider::{Misbehavior, Provider};

const NOW_S: i64 = 1_800_000_000;

/// An ID token with another value of a claim; null removes it.
fn claim(what: &'static str, name: &'static str, value: Value, says: &'static str) -> Row {
    let change = Misbehavior::claims(move |claims| put(claims, name, &value));
    row(what, change, Cause::InvalidProviderResponse, says)
}

/// A token response with another value of a member; null removes it.
fn answer(what: &'static str, name: &'static str, value: Value, says: &'static str) -> Row {
    let change = Misbehavior::json("token", move |answer| put(answer, name, &value));
    row(what, change, Cause::ProviderUnreachable, says)
}

fn put(object: &mut Value, name: &str, value: &Value) {
    let object = object.as_object_mut().unwrap();
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value.clone());
    }
}

/// The issuer with a trailing slash, which is another issuer.
fn slash() -> Row {
    let change = |provider: &Provider| {
        let slash = format!("{}/", provider.issuer());
        provider.misbehave(Misbehavior::claims(move |claims| {
            claims["iss"] = json!(slash)
        }));
    };
    row_with(
        "a slash at the end",
        change,
        Cause::InvalidProviderResponse,
        "it was issued by",
    )
}

#[tokio::test]
async fn an_id_token_of_another_issuer_or_for_another_client_is_refused() {
    let several = |azp: Value| {
        Misbehavior::claims(move |claims| {
            claims["aud"] = json!(["menshen", "wiki"]);
            put(claims, "azp", &azp);
        })
    };
    let rows = vec![
        claim(
            "another issuer",
            "iss",
            json!("https://evil.test"),
            "issued by https://evil.test",
        ),
        claim("an issuer that is no text", "iss", json!(["x"]), "`iss`"),
        claim("no issuer", "iss", Value::Null, "`iss`"),
        slash(),
        claim("another audience", "aud", json!("wiki"), "it is for wiki"),
        claim(
            "an audience that only begins so",
            "aud",
            json!("menshen2"),
            "it is for menshen2",
        ),
        claim("no audience", "aud", Value::Null, "it is for"),
        claim("an empty list of audiences", "aud", json!([]), "it is for"),
        claim(
            "an audience that is no text",
            "aud",
            json!(["menshen", 7]),
            "`aud`",
        ),
        row(
            "several audiences without azp",
            several(Value::Null),
            Cause::InvalidProviderResponse,
            "for several",
        ),
        row(
            "several audiences and another azp",
            several(json!("wiki")),
            Cause::InvalidProviderResponse,
            "another client",
        ),
        claim("another azp", "azp", json!("wiki"), "another client"),
        claim(
            "an azp that is no text",
            "azp",
            json!(["menshen"]),
            "another client",
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_id_token_of_another_login_is_refused() {
    let rows = vec![
        claim("another nonce", "nonce", json!("n-0S6_WzA2Mj"), "nonce"),
        claim("no nonce", "nonce", Value::Null, "nonce"),
        claim("an empty nonce", "nonce", json!(""), "nonce"),
        claim("a nonce that is no text", "nonce", json!([1]), "nonce"),
        claim(
            "another access token's hash",
            "at_hash",
            json!("77QmUPtjPfzWtF2AnpK9RQ"),
            "access token",
        ),
        claim(
            "a hash that is no text",
            "at_hash",
            json!(7),
            "access token",
        ),
        claim(
            "another code's hash",
            "c_hash",
            json!("77QmUPtjPfzWtF2AnpK9RQ"),
            "issued for another code",
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_id_token_outside_its_validity_is_refused() {
    let rows = vec![
        claim("over", "exp", json!(NOW_S - 61), "it has expired"),
        claim("over since long", "exp", json!(1), "it has expired"),
        claim("without an end", "exp", Value::Null, "`exp`"),
        claim("an end beyond all times", "exp", json!(1e300), "`exp`"),
        claim("an end before all times", "exp", json!(-1e300), "`exp`"),
        claim("an end that is text", "exp", json!("1900000000"), "`exp`"),
        claim(
            "issued in the future",
            "iat",
            json!(NOW_S + 62),
            "not valid yet",
        ),
        claim("issued never", "iat", Value::Null, "`iat`"),
        claim(
            "issued long ago",
            "iat",
            json!(NOW_S - 86_400),
            "too long ago",
        ),
        claim(
            "not before tomorrow",
            "nbf",
            json!(NOW_S + 86_400),
            "not valid yet",
        ),
        claim("not before nonsense", "nbf", json!("tomorrow"), "`nbf`"),
    ];
    all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_id_token_without_a_valid_subject_is_refused() {
    let rows = vec![
        claim("nobody", "sub", Value::Null, "`sub`"),
        claim("an empty name", "sub", json!(""), "`sub`"),
        claim(
            "a name beyond all bounds",
            "sub",
            json!("z".repeat(10_000)),
            "`sub`",
        ),
        claim(
            "a byte too long a name",
            "sub",
            json!("z".repeat(256)),
            "`sub`",
        ),
        claim(
            "a name with control characters",
            "sub",
            json!("a\r\nb"),
            "`sub`",
        ),
        claim("a name with a zero", "sub", json!("a\0b"), "`sub`"),
        claim("a number", "sub", json!(7), "`sub`"),
        claim(
            "a list",
            "sub",
            json!(["f5b7e6c0-zhangsan"]),
            "not a signed token",
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn a_malformed_id_token_is_refused() {
    let wrong = |what, value, says| {
        row(
            what,
            Misbehavior::json("token", move |answer| put(answer, "id_token", &value)),
            Cause::InvalidProviderResponse,
            says,
        )
    };
    let rows = vec![
        wrong("no ID token", Value::Null, "without an ID token"),
        wrong(
            "an ID token of two parts",
            json!("e30.e30"),
            "not a signed token",
        ),
        wrong(
            "an encrypted ID token",
            json!("e30.a.b.c.d"),
            "not a signed token",
        ),
        wrong("an ID token of dots", json!("..."), "not a signed token"),
        wrong(
            "an ID token that is no base64",
            json!("!.!.!"),
            "not a signed token",
        ),
        answer(
            "an ID token that is a number",
            "id_token",
            json!(7),
            "`id_token`",
        ),
        answer(
            "an ID token beyond all bounds",
            "id_token",
            json!("a".repeat(200_000)),
            "`id_token`",
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_invalid_token_response_is_refused() {
    let rows = vec![
        answer(
            "no access token",
            "access_token",
            Value::Null,
            "`access_token`",
        ),
        answer(
            "an access token that is a list",
            "access_token",
            json!([]),
            "`access_token`",
        ),
        answer(
            "an access token with a line end",
            "access_token",
            json!("a\r\nX-Evil: 1"),
            "`access_token`",
        ),
        answer(
            "an access token beyond all bounds",
            "access_token",
            json!("a".repeat(20_000)),
            "`access_token`",
        ),
        answer("no type", "token_type", Value::Null, "`token_type`"),
        answer("another type", "token_type", json!("mac"), "`token_type`"),
        answer(
            "a life that is none",
            "expires_in",
            json!(-5),
            "`expires_in`",
        ),
    ];
    all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn userinfo_of_another_subject_is_refused() {
    let userinfo = |what, value: Value| {
        let change = Misbehavior::json("userinfo", move |said| put(said, "sub", &value));
        row(what, change, Cause::InvalidProviderResponse, "userinfo")
    };
    let rows = vec![
        userinfo("another subject", json!("f5b7e6c0-lisi")),
        userinfo("a subject in other letters", json!("F5B7E6C0-ZHANGSAN")),
        userinfo("no subject", Value::Null),
        userinfo("a subject that is no text", json!(["f5b7e6c0-zhangsan"])),
    ];
    all_refused(Algorithm::ES256, rows).await;
}
