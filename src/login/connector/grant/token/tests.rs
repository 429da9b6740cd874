use serde_json::json;

use super::*;

fn answer(status: u16, body: Value) -> Result<TokenResponse, TokenEndpointError> {
    heard(status, body, TokenEndpointDialect::default())
}

fn heard(
    status: u16,
    body: Value,
    dialect: TokenEndpointDialect<'_>,
) -> Result<TokenResponse, TokenEndpointError> {
    read(
        &FormResponse { status, body },
        dialect,
        &["hunter2-code"],
        REDEEM.name(),
    )
}

fn callback() -> Url {
    Url::parse("https://sso.corp.example/.menshen/callback/gh").unwrap()
}

fn redeemed(status: u16, body: Value) -> ConnectorError {
    answer(status, body).unwrap_err().at_redemption(&callback())
}

fn whole() -> Value {
    json!({ "access_token": "A-1", "token_type": "BeArEr", "expires_in": 3600,
            "refresh_token": "R-1", "id_token": "a.b.c", "scope": "openid" })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = whole();
    body[name] = value;
    body
}

#[test]
fn a_whole_answer_is_read_and_shows_nothing() {
    let granted = answer(200, whole()).unwrap();
    assert_eq!(granted.access.expose(), "A-1");
    assert_eq!(granted.refresh.as_ref().unwrap().expose(), "R-1");
    assert_eq!(granted.id_token.as_ref().unwrap().expose(), "a.b.c");
    assert_eq!(granted.expires_in, Some(Duration::from_secs(3600)));
    let shown = format!("{granted:?}");
    for secret in ["A-1", "R-1", "a.b.c"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_lifetime_is_a_number_or_the_text_of_one_within_reason() {
    let lifetime = |value| answer(200, with("expires_in", value)).map(|all| all.expires_in);
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
fn only_a_bearer_token_is_one() {
    for bad in [json!("mac"), json!(""), json!(1), json!(null)] {
        assert!(
            answer(200, with("token_type", bad.clone())).is_err(),
            "{bad}"
        );
    }
    let mut untyped = whole();
    untyped.as_object_mut().unwrap().remove("token_type");
    assert!(answer(200, untyped.clone()).is_err());
    let dialect = TokenEndpointDialect {
        token_type_optional: true,
        tokens_pointer: None,
    };
    assert!(heard(200, untyped, dialect).is_ok());
    assert!(heard(200, with("token_type", json!("mac")), dialect).is_err());
}

#[test]
fn malformed_tokens_are_refused() {
    let long = "x".repeat(TOKEN_BYTES_MAX + 1);
    for bad in [
        with("access_token", json!(7)),
        with("access_token", json!("")),
        with("access_token", json!(null)),
        with("access_token", json!("a b")),
        with("access_token", json!("a\r\nX-User: boss")),
        with("access_token", json!("令牌")),
        with("access_token", json!(long)),
        with("refresh_token", json!(["R"])),
        with("id_token", json!({})),
        with("scope", json!("s".repeat(SCOPE_BYTES_MAX + 1))),
        json!([]),
        json!("A"),
        json!({}),
    ] {
        let error = redeemed(200, bad);
        let nonsense = matches!(
            error,
            ConnectorError::NoUsableResponse(OutboundError::Incomplete { .. })
        );
        assert!(nonsense, "{error:?}");
    }
}

#[test]
fn tokens_may_stand_deeper_where_that_is_said() {
    let dialect = TokenEndpointDialect {
        token_type_optional: true,
        tokens_pointer: Some("/data"),
    };
    let body = json!({ "code": 0, "data": { "access_token": "A" } });
    assert_eq!(heard(200, body, dialect).unwrap().access.expose(), "A");
    assert!(heard(200, whole(), dialect).is_err());
    let body = json!({ "code": 200, "data": { "access_token": "A" } });
    assert!(
        heard(200, body, dialect).is_ok(),
        "a number beside a token says nothing"
    );
    let refused = heard(200, json!({ "code": 20003, "msg": "used" }), dialect);
    let Err(TokenEndpointError::Refused { refusal, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refusal.message, "code 20003: used");
}

#[test]
fn a_refusal_is_one_with_any_status() {
    for status in [200, 400, 401] {
        let stale = redeemed(status, json!({ "error": "invalid_grant" }));
        assert!(
            matches!(stale, ConnectorError::CodeRejected(_)),
            "{stale:?}"
        );
        let bad = redeemed(status, json!({ "error": "bad_verification_code" }));
        let ConnectorError::CodeRejected(said) = bad else {
            panic!("{bad:?}");
        };
        assert_eq!(said.code, i64::from(status));
    }
    for error in ["temporarily_unavailable", "slow_down", "server_error"] {
        let busy = redeemed(400, json!({ "error": error }));
        assert!(matches!(busy, ConnectorError::Busy(_)), "{busy:?}");
    }
    let busy = redeemed(429, json!({ "error": "who knows" }));
    assert!(matches!(busy, ConnectorError::Busy(_)), "{busy:?}");
    let away = redeemed(404, json!({}));
    assert!(
        matches!(away, ConnectorError::NoUsableResponse(_)),
        "{away:?}"
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
        let said = redeemed(401, json!({ "error": error }));
        let ConnectorError::Misconfigured { remedy, .. } = said else {
            panic!("{error}: {said:?}");
        };
        assert!(words.iter().all(|word| remedy.contains(word)), "{remedy}");
    }
}

#[test]
fn what_was_asked_with_is_not_repeated() {
    let body = json!({ "error": "invalid_grant",
                       "error_description": "the code hunter2-code\nis spent".repeat(50) });
    let ConnectorError::CodeRejected(said) = redeemed(400, body) else {
        panic!("stale");
    };
    assert!(!said.message.contains("hunter2"), "{said}");
    assert!(!said.message.contains('\n') && said.message.chars().count() <= 300);
}

#[test]
fn only_the_providers_word_ends_a_session() {
    let refreshed = |status, body| answer(status, body).unwrap_err().at_refresh(&callback());
    for gone in ["invalid_grant", "bad_refresh_token"] {
        let said = refreshed(400, json!({ "error": gone }));
        assert!(matches!(said, RefreshError::Gone(_)), "{said:?}");
    }
    for error in ["invalid_client", "temporarily_unavailable", "hm"] {
        let said = refreshed(400, json!({ "error": error }));
        assert!(matches!(said, RefreshError::Unavailable(_)), "{said:?}");
    }
    let said = refreshed(200, json!({ "access_token": 1 }));
    assert!(matches!(said, RefreshError::Unavailable(_)), "{said:?}");
}
