use serde_json::json;

use super::*;

fn read_standard(status: u16, body: Value) -> Result<TokenResponse, TokenEndpointError> {
    read_with_dialect(status, body, TokenEndpointDialect::default())
}

fn read_with_dialect(
    status: u16,
    body: Value,
    dialect: TokenEndpointDialect<'_>,
) -> Result<TokenResponse, TokenEndpointError> {
    read_response(
        &JsonResponse { status, body },
        dialect,
        &["hunter2-code"],
        REDEEM.name(),
    )
}

fn callback() -> Url {
    Url::parse("https://sso.corp.example/.menshen/callback/gh").unwrap()
}

fn redemption_error(status: u16, body: Value) -> ConnectorError {
    read_standard(status, body)
        .unwrap_err()
        .at_redemption(&callback())
}

fn complete_response() -> Value {
    json!({ "access_token": "A-1", "token_type": "BeArEr", "expires_in": 3600,
            "refresh_token": "R-1", "id_token": "a.b.c", "scope": "openid" })
}

fn response_with(name: &str, value: Value) -> Value {
    let mut body = complete_response();
    body[name] = value;
    body
}

#[test]
fn a_complete_response_is_read_and_debug_shows_no_token() {
    let response = read_standard(200, complete_response()).unwrap();
    assert_eq!(response.access.expose(), "A-1");
    assert_eq!(response.refresh.as_ref().unwrap().expose(), "R-1");
    assert_eq!(response.id_token.as_ref().unwrap().expose(), "a.b.c");
    assert_eq!(response.expires_in, Some(Duration::from_secs(3600)));
    let shown = format!("{response:?}");
    for secret in ["A-1", "R-1", "a.b.c"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_lifetime_is_a_number_or_digits_and_is_capped() {
    let lifetime =
        |value| read_standard(200, response_with("expires_in", value)).map(|all| all.expires_in);
    let s = Duration::from_secs;
    for (value, expected) in [
        (json!("3600"), Some(s(3600))),
        (json!(59.0), Some(s(59))),
        (json!(null), None),
        (json!(""), None),
        (json!(0), None),
        (json!("0"), None),
        (json!(1e300), Some(LIFETIME_MAX)),
        (json!(u64::MAX), Some(LIFETIME_MAX)),
    ] {
        assert_eq!(lifetime(value.clone()).unwrap(), expected, "{value}");
    }
    for bad in [
        json!(-1),
        json!("-1"),
        json!("1e9"),
        json!("soon"),
        json!(true),
        json!([60]),
        json!("9".repeat(21)),
    ] {
        assert!(lifetime(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn only_bearer_tokens_are_accepted() {
    for bad in [json!("mac"), json!(""), json!(1), json!(null)] {
        assert!(
            read_standard(200, response_with("token_type", bad.clone())).is_err(),
            "{bad}"
        );
    }
    let mut untyped = complete_response();
    untyped.as_object_mut().unwrap().remove("token_type");
    assert!(read_standard(200, untyped.clone()).is_err());
    let dialect = TokenEndpointDialect {
        token_type_optional: true,
        ..TokenEndpointDialect::default()
    };
    assert!(read_with_dialect(200, untyped, dialect).is_ok());
    assert!(read_with_dialect(200, response_with("token_type", json!("mac")), dialect).is_err());
}

#[test]
fn malformed_tokens_are_refused() {
    let long = "x".repeat(TOKEN_BYTES_MAX + 1);
    for bad in [
        response_with("access_token", json!(7)),
        response_with("access_token", json!("")),
        response_with("access_token", json!(null)),
        response_with("access_token", json!("a b")),
        response_with("access_token", json!("a\r\nX-User: boss")),
        response_with("access_token", json!("令牌")),
        response_with("access_token", json!(long)),
        response_with("refresh_token", json!(["R"])),
        response_with("id_token", json!({})),
        response_with("scope", json!("s".repeat(SCOPE_BYTES_MAX + 1))),
        json!([]),
        json!("A"),
        json!({}),
    ] {
        let error = redemption_error(200, bad);
        let is_unusable = matches!(
            error,
            ConnectorError::NoUsableResponse(OutboundError::Incomplete { .. })
        );
        assert!(is_unusable, "{error:?}");
    }
}

#[test]
fn tokens_are_read_where_the_configured_pointer_leads() {
    let dialect = TokenEndpointDialect {
        token_type_optional: true,
        tokens_pointer: Some("/data"),
        ..TokenEndpointDialect::default()
    };
    let body = json!({ "code": 0, "data": { "access_token": "A" } });
    assert_eq!(
        read_with_dialect(200, body, dialect)
            .unwrap()
            .access
            .expose(),
        "A"
    );
    assert!(read_with_dialect(200, complete_response(), dialect).is_err());
    let body = json!({ "code": 200, "data": { "access_token": "A" } });
    assert!(
        read_with_dialect(200, body, dialect).is_ok(),
        "a number beside a token is not an error"
    );
    let refused = read_with_dialect(200, json!({ "code": 20003, "msg": "used" }), dialect);
    let Err(TokenEndpointError::Refused { refusal, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.message, "code 20003: used");
}

#[test]
fn an_error_code_counts_with_any_status() {
    for status in [200, 400, 401] {
        let rejected = redemption_error(status, json!({ "error": "invalid_grant" }));
        assert!(
            matches!(rejected, ConnectorError::CodeRejected(_)),
            "{rejected:?}"
        );
        let rejected = redemption_error(status, json!({ "error": "bad_verification_code" }));
        let ConnectorError::CodeRejected(refusal) = rejected else {
            panic!("{rejected:?}");
        };
        assert_eq!(refusal.code, i64::from(status));
    }
    for error in ["temporarily_unavailable", "slow_down", "server_error"] {
        let busy = redemption_error(400, json!({ "error": error }));
        assert!(matches!(busy, ConnectorError::Busy(_)), "{busy:?}");
    }
    let busy = redemption_error(429, json!({ "error": "who knows" }));
    assert!(matches!(busy, ConnectorError::Busy(_)), "{busy:?}");
    let unusable = redemption_error(404, json!({}));
    assert!(
        matches!(unusable, ConnectorError::NoUsableResponse(_)),
        "{unusable:?}"
    );
    for (error, words) in [
        ("invalid_client", &["`client_id`", "`client_secret`"][..]),
        ("incorrect_client_credentials", &["`client_secret`"]),
        ("unauthorized_client", &["`client_id`"]),
        (
            "redirect_uri_mismatch",
            &["https://sso.corp.example/.menshen/callback/gh"],
        ),
        ("unsupported_grant_type", &["`token_url`"]),
    ] {
        let error_of_login = redemption_error(401, json!({ "error": error }));
        let ConnectorError::Misconfigured { remedy, .. } = error_of_login else {
            panic!("{error}: {error_of_login:?}");
        };
        assert!(
            words.iter().all(|word| remedy.to_string().contains(word)),
            "{remedy}"
        );
    }
}

#[test]
fn an_error_message_does_not_contain_the_code() {
    let body = json!({ "error": "invalid_grant",
                       "error_description": "the code hunter2-code\nis spent".repeat(50) });
    let ConnectorError::CodeRejected(refusal) = redemption_error(400, body) else {
        panic!("the code is rejected");
    };
    assert!(!refusal.message.contains("hunter2"), "{refusal}");
    assert!(!refusal.message.contains('\n') && refusal.message.chars().count() <= 300);
}

#[test]
fn only_a_rejected_refresh_token_ends_a_session() {
    let refreshed = |status, body| {
        read_standard(status, body)
            .unwrap_err()
            .at_refresh(&callback())
    };
    for code in ["invalid_grant", "bad_refresh_token"] {
        let error = refreshed(400, json!({ "error": code }));
        assert!(matches!(error, RefreshError::Gone(_)), "{error:?}");
    }
    for error in ["invalid_client", "temporarily_unavailable", "hm"] {
        let error = refreshed(400, json!({ "error": error }));
        assert!(matches!(error, RefreshError::Unavailable(_)), "{error:?}");
    }
    let error = refreshed(200, json!({ "access_token": 1 }));
    assert!(matches!(error, RefreshError::Unavailable(_)), "{error:?}");
}
