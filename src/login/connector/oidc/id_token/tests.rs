use jsonwebtoken::Algorithm;
use serde_json::json;

use super::super::tests::pending;
use super::*;
use crate::issuer::Tenant;

const NOW_S: i64 = 1_800_000_000;
const ACCESS: &str = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
const CODE: &str = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk";

/// A valid ID token with these claims added, or removed by null. `NONCE` stands for the nonce of the
/// login.
fn verified_token(pending: &Pending, with: &Value, token_type: Option<&str>) -> VerifiedToken {
    let mut claims = json!({
        "iss": "https://id.corp.example", "aud": "menshen", "sub": "u1", "iat": NOW_S,
        "exp": NOW_S + 300, "nonce": "NONCE", "at_hash": "77QmUPtjPfzWtF2AnpK9RQ",
    });
    let claims = claims.as_object_mut().unwrap();
    for (name, value) in with.as_object().unwrap() {
        match value {
            Value::Null => claims.remove(name),
            value => claims.insert(name.clone(), value.clone()),
        };
    }
    if claims.get("nonce") == Some(&json!("NONCE")) {
        claims.insert("nonce".to_owned(), json!(pending.nonce));
    }
    VerifiedToken {
        claims: Claims::new(claims.clone()),
        algorithm: Algorithm::RS256,
        token_type: token_type.map(str::to_owned),
        tenant: Tenant::default(),
    }
}

/// Checks the ID token of a login that began 30 seconds ago.
fn check_login(max_age: Option<u32>, with: &Value) -> Result<IdToken, IdTokenError> {
    let mut pending = pending(NOW_S - 30);
    pending.max_age = max_age;
    check(
        verified_token(&pending, with, Some("JWT")),
        IdTokenOrigin::Login(&pending, CODE),
    )
}

fn check(token: VerifiedToken, origin: IdTokenOrigin<'_>) -> Result<IdToken, IdTokenError> {
    let access = Secret::new(ACCESS.to_owned());
    let expected = ExpectedIdToken {
        client_id: "menshen",
        access_token: &access,
        origin,
    };
    check_claims(token, expected, Timestamp::from_unix_s(NOW_S))
}

#[test]
fn a_valid_token_yields_the_subject_the_session_and_the_authentication() {
    let token = check_login(
        None,
        &json!({
            "acr": "mfa", "amr": ["pwd", "otp"], "auth_time": NOW_S - 10, "sid": "s1",
            "c_hash": "LDktKdoQak3Pk0cnXxCltA", "azp": "menshen",
        }),
    )
    .unwrap();
    assert_eq!(token.subject.as_str(), "u1");
    assert_eq!(token.provider_sid.as_deref(), Some("s1"));
    assert_eq!(
        token.auth_context,
        AuthContext {
            acr: Some("mfa".to_owned()),
            amr: vec!["pwd".to_owned(), "otp".to_owned()],
            auth_time: Some(Timestamp::from_unix_s(NOW_S - 10)),
            vouched_until: None,
        }
    );
    let single = check_login(None, &json!({ "amr": "pwd", "at_hash": null })).unwrap();
    assert_eq!(single.auth_context.amr, ["pwd"]);
}

#[test]
fn a_token_that_does_not_match_the_login_is_refused() {
    let long = "s".repeat(256);
    for (bad, word) in [
        (json!({ "nonce": null }), "nonce"),
        (json!({ "nonce": "" }), "nonce"),
        (json!({ "nonce": "other" }), "nonce"),
        (json!({ "nonce": ["NONCE"] }), "nonce"),
        (json!({ "aud": ["menshen", "other"] }), "azp"),
        (
            json!({ "aud": ["menshen", "other"], "azp": "other" }),
            "another client",
        ),
        (json!({ "azp": "other" }), "another client"),
        (json!({ "azp": "" }), "another client"),
        (json!({ "azp": 1 }), "another client"),
        (
            json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RR" }),
            "access token",
        ),
        (json!({ "at_hash": "" }), "access token"),
        (json!({ "at_hash": 1 }), "access token"),
        (json!({ "c_hash": "77QmUPtjPfzWtF2AnpK9RQ" }), "code"),
        (json!({ "iat": null }), "`iat`"),
        (json!({ "iat": NOW_S - 661 }), "too long ago"),
        (json!({ "sub": null }), "`sub`"),
        (json!({ "sub": "" }), "`sub`"),
        (json!({ "sub": 7 }), "`sub`"),
        (json!({ "sub": "a\nb" }), "`sub`"),
        (json!({ "sub": long }), "`sub`"),
    ] {
        let error = check_login(None, &bad).unwrap_err().to_string();
        assert!(error.contains(word), "{bad}: {error}");
    }
    for good in [
        json!({ "aud": ["menshen", "other"], "azp": "menshen" }),
        json!({ "aud": ["menshen"] }),
        json!({ "iat": NOW_S - 659 }),
        json!({ "sub": "s".repeat(255) }),
    ] {
        assert!(check_login(None, &good).is_ok(), "{good}");
    }
}

#[test]
fn a_logout_or_access_token_is_not_accepted_as_id_token() {
    let pending = pending(NOW_S);
    for kind in ["logout+jwt", "at+JWT"] {
        let token = verified_token(&pending, &json!({}), Some(kind));
        let error = check(token, IdTokenOrigin::Login(&pending, CODE)).unwrap_err();
        assert!(matches!(error, IdTokenError::TokenType), "{kind}");
    }
    let token = verified_token(&pending, &json!({}), None);
    assert!(check(token, IdTokenOrigin::Login(&pending, CODE)).is_ok());
}

#[test]
fn with_max_age_a_recent_auth_time_is_required() {
    let with_auth_time =
        |max_age, value: Value| check_login(Some(max_age), &json!({ "auth_time": value }));
    // The login began 30 seconds ago; the clocks may differ by a minute.
    assert!(with_auth_time(300, json!(NOW_S - 390)).is_ok());
    assert!(matches!(
        with_auth_time(300, json!(NOW_S - 391)),
        Err(IdTokenError::AuthTooOld)
    ));
    assert!(with_auth_time(0, json!(NOW_S)).is_ok());
    assert!(matches!(
        with_auth_time(0, json!(null)),
        Err(IdTokenError::MissingAuthTime)
    ));
    assert!(matches!(
        with_auth_time(0, json!("1800000000")),
        Err(IdTokenError::Claim(_))
    ));
    assert!(matches!(
        with_auth_time(0, json!(NOW_S + 61)),
        Err(IdTokenError::Token(TokenError::NotYetValid))
    ));
    let in_the_future = check_login(None, &json!({ "auth_time": NOW_S + 61 })).unwrap();
    assert_eq!(
        in_the_future.auth_context.auth_time,
        Some(Timestamp::from_unix_s(0))
    );
    let missing = check_login(None, &json!({ "auth_time": null })).unwrap();
    assert_eq!(
        missing.auth_context.auth_time,
        Some(Timestamp::from_unix_s(0))
    );
}

#[test]
fn a_refreshed_token_is_about_the_same_person_and_needs_no_nonce() {
    let (pending, subject) = (pending(NOW_S), Subject::try_from("u1".to_owned()).unwrap());
    let refreshed = |with: Value| {
        check(
            verified_token(&pending, &with, None),
            IdTokenOrigin::Refresh(&subject),
        )
    };
    assert!(refreshed(json!({ "nonce": null })).is_ok());
    assert!(refreshed(json!({ "nonce": "of the login" })).is_ok());
    let error = refreshed(json!({ "sub": "u2" })).unwrap_err();
    assert!(matches!(error, IdTokenError::WrongSubject) && !error.is_temporary());
    let error = refreshed(json!({ "at_hash": "x" })).unwrap_err();
    assert!(matches!(error, IdTokenError::AccessHash) && !error.is_temporary());
}

#[test]
fn the_claims_of_a_stored_token_are_read_and_a_broken_token_has_none() {
    let read = |text: &str| decode_unverified(&Secret::new(text.to_owned()));
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"u1"}"#);
    assert_eq!(read(&format!("e30.{claims}.c2ln")).unwrap()["sub"], "u1");
    for bad in ["", "opaque", "a.b.c", "e30.W10.c2ln", "e30.!!.c2ln"] {
        assert!(read(bad).is_none(), "{bad}");
    }
}

#[test]
fn no_error_repeats_a_claim_of_the_token() {
    for bad in [
        json!({ "nonce": "hunter2" }),
        json!({ "sub": "hunter2\n" }),
        json!({ "at_hash": "hunter2" }),
        json!({ "azp": "hunter2" }),
    ] {
        let error = check_login(None, &bad).unwrap_err();
        let token_error = format!("{error} {error:?}");
        let shown = format!("{token_error} {:?}", error.into_login_error());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
