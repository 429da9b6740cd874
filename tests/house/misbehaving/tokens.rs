//! ID tokens and token responses with invalid contents.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::{Row, assert_all_refused, row, row_with};
use crate::provider::{Misbehavior, Provider};

const NOW_S: i64 = 1_800_000_000;

/// An ID token with another value of a claim; null removes it.
fn claim(what: &'static str, name: &'static str, value: Value, logged_error: &'static str) -> Row {
    let change = Misbehavior::claims(move |claims| set_member(claims, name, &value));
    row(what, change, Cause::InvalidProviderResponse, logged_error)
}

/// A token response with another value of a member; null removes it.
fn token_response(
    what: &'static str,
    name: &'static str,
    value: Value,
    logged_error: &'static str,
) -> Row {
    let change = Misbehavior::json("token", move |answer| set_member(answer, name, &value));
    row(what, change, Cause::ProviderUnreachable, logged_error)
}

fn set_member(object: &mut Value, name: &str, value: &Value) {
    let object = object.as_object_mut().unwrap();
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value.clone());
    }
}

/// The issuer with a trailing slash, which is another issuer.
fn issuer_with_trailing_slash() -> Row {
    let change = |provider: &Provider| {
        let slash = format!("{}/", provider.issuer());
        provider.misbehave(Misbehavior::claims(move |claims| {
            claims["iss"] = json!(slash)
        }));
    };
    row_with(
        "a trailing slash",
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
            set_member(claims, "azp", &azp);
        })
    };
    let rows = vec![
        claim(
            "another issuer",
            "iss",
            json!("https://evil.test"),
            "issued by https://evil.test",
        ),
        claim(
            "an issuer that is not a string",
            "iss",
            json!(["x"]),
            "`iss`",
        ),
        claim("no issuer", "iss", Value::Null, "`iss`"),
        issuer_with_trailing_slash(),
        claim("another audience", "aud", json!("wiki"), "it is for wiki"),
        claim(
            "an audience that begins with the client ID",
            "aud",
            json!("menshen2"),
            "it is for menshen2",
        ),
        claim("no audience", "aud", Value::Null, "it is for"),
        claim("an empty list of audiences", "aud", json!([]), "it is for"),
        claim(
            "an audience that is not a string",
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
            "an azp that is not a string",
            "azp",
            json!(["menshen"]),
            "another client",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_id_token_of_another_login_is_refused() {
    let rows = vec![
        claim("another nonce", "nonce", json!("n-0S6_WzA2Mj"), "nonce"),
        claim("no nonce", "nonce", Value::Null, "nonce"),
        claim("an empty nonce", "nonce", json!(""), "nonce"),
        claim("a nonce that is not a string", "nonce", json!([1]), "nonce"),
        claim(
            "another access token's hash",
            "at_hash",
            json!("77QmUPtjPfzWtF2AnpK9RQ"),
            "access token",
        ),
        claim(
            "a hash that is not a string",
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
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_id_token_outside_its_validity_is_refused() {
    let rows = vec![
        claim("expired", "exp", json!(NOW_S - 61), "it has expired"),
        claim("expired long ago", "exp", json!(1), "it has expired"),
        claim("no expiry", "exp", Value::Null, "`exp`"),
        claim("an expiry that is too large", "exp", json!(1e300), "`exp`"),
        claim("an expiry that is too small", "exp", json!(-1e300), "`exp`"),
        claim(
            "an expiry that is a string",
            "exp",
            json!("1900000000"),
            "`exp`",
        ),
        claim(
            "issued in the future",
            "iat",
            json!(NOW_S + 62),
            "not valid yet",
        ),
        claim("no time of issue", "iat", Value::Null, "`iat`"),
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
        claim(
            "an invalid not-before time",
            "nbf",
            json!("tomorrow"),
            "`nbf`",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_id_token_with_a_time_that_no_clock_shows_is_refused() {
    let times = [
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(-1),
        json!(i64::MIN),
        json!(-1e300),
    ];
    let mut rows = Vec::new();
    for (name, shown) in [("exp", "`exp`"), ("iat", "`iat`"), ("nbf", "`nbf`")] {
        let of_claim = times.iter();
        rows.extend(of_claim.map(|time| claim("a strange time", name, time.clone(), shown)));
    }
    // After 2038, which is no error in itself.
    let after_2038 = json!(2_147_483_648_i64 + 1);
    rows.push(claim(
        "issued in 2038",
        "iat",
        after_2038.clone(),
        "not valid yet",
    ));
    rows.push(claim("valid from 2038", "nbf", after_2038, "not valid yet"));
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_id_token_without_a_valid_subject_is_refused() {
    let rows = vec![
        claim("no subject", "sub", Value::Null, "`sub`"),
        claim("an empty subject", "sub", json!(""), "`sub`"),
        claim(
            "a subject that is far too long",
            "sub",
            json!("z".repeat(10_000)),
            "`sub`",
        ),
        claim(
            "a subject that is one byte too long",
            "sub",
            json!("z".repeat(256)),
            "`sub`",
        ),
        claim(
            "a subject with control characters",
            "sub",
            json!("a\r\nb"),
            "`sub`",
        ),
        claim("a subject with a zero byte", "sub", json!("a\0b"), "`sub`"),
        claim("a subject that is a number", "sub", json!(7), "`sub`"),
        claim(
            "a subject that is a list",
            "sub",
            json!(["f5b7e6c0-zhangsan"]),
            "not a signed token",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn a_malformed_id_token_is_refused() {
    let id_token = |what, value, logged_error| {
        row(
            what,
            Misbehavior::json("token", move |answer| {
                set_member(answer, "id_token", &value)
            }),
            Cause::InvalidProviderResponse,
            logged_error,
        )
    };
    let rows = vec![
        id_token("no ID token", Value::Null, "without an ID token"),
        id_token(
            "an ID token of two parts",
            json!("e30.e30"),
            "not a signed token",
        ),
        id_token(
            "an encrypted ID token",
            json!("e30.a.b.c.d"),
            "not a signed token",
        ),
        id_token("an ID token of dots", json!("..."), "not a signed token"),
        id_token(
            "an ID token that is not base64",
            json!("!.!.!"),
            "not a signed token",
        ),
        token_response(
            "an ID token that is a number",
            "id_token",
            json!(7),
            "`id_token`",
        ),
        token_response(
            "an ID token that is too long",
            "id_token",
            json!("a".repeat(200_000)),
            "`id_token`",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn an_invalid_token_response_is_refused() {
    let rows = vec![
        token_response(
            "no access token",
            "access_token",
            Value::Null,
            "`access_token`",
        ),
        token_response(
            "an access token that is a list",
            "access_token",
            json!([]),
            "`access_token`",
        ),
        token_response(
            "an access token with a line end",
            "access_token",
            json!("a\r\nX-Evil: 1"),
            "`access_token`",
        ),
        token_response(
            "an access token that is too long",
            "access_token",
            json!("a".repeat(20_000)),
            "`access_token`",
        ),
        token_response("no token type", "token_type", Value::Null, "`token_type`"),
        token_response(
            "another token type",
            "token_type",
            json!("mac"),
            "`token_type`",
        ),
        token_response(
            "a negative lifetime",
            "expires_in",
            json!(-5),
            "`expires_in`",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

#[tokio::test]
async fn userinfo_of_another_subject_is_refused() {
    let userinfo = |what, value: Value| {
        let change = Misbehavior::json("userinfo", move |claims| set_member(claims, "sub", &value));
        row(what, change, Cause::InvalidProviderResponse, "userinfo")
    };
    let rows = vec![
        userinfo("another subject", json!("f5b7e6c0-lisi")),
        userinfo("a subject in other letters", json!("F5B7E6C0-ZHANGSAN")),
        userinfo("no subject", Value::Null),
        userinfo(
            "a subject that is not a string",
            json!(["f5b7e6c0-zhangsan"]),
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}
