use super::*;

fn code_of(query: &str) -> Result<String, ConnectorError> {
    let callback = Url::parse("https://sso.corp.example/.menshen/callback/gh").unwrap();
    let fields = Fields::parse(query.as_bytes()).unwrap();
    authorization_code(&fields, &callback).map(str::to_owned)
}

#[test]
fn the_code_challenge_matches_the_example_of_the_rfc() {
    // RFC 7636, appendix B.
    assert_eq!(
        pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}

#[test]
fn own_parameters_are_sent_once_and_cannot_be_replaced() {
    let endpoint = "https://id.example/authorize?state=theirs&p=a%26b&prompt=x#top";
    let own = [("state", "ours"), ("client_id", "me"), ("scope", "a b")];
    let configured = [
        ("state", "forged"),
        ("redirect_uri", "https://evil.example"),
        ("request_uri", "https://evil.example/r"),
        ("nonce", "n"),
        ("scope", "all"),
        ("prompt", "login"),
        ("hd", "corp.example"),
    ];
    let url = authorize_url(&Url::parse(endpoint).unwrap(), &own, &configured);
    assert_eq!(
        url.as_str(),
        "https://id.example/authorize?p=a%26b&prompt=login&hd=corp.example&state=ours&client_id=me\
         &scope=a+b"
    );
    for name in RESERVED {
        let endpoint = Url::parse(&format!("https://id.example/a?{name}=1")).unwrap();
        let url = authorize_url(&endpoint, &[("scope", "a")], &[(name, "2")]);
        assert_eq!(url.query(), Some("scope=a"), "{name}");
    }
}

#[test]
fn a_repeated_or_malformed_code_is_refused() {
    assert_eq!(code_of("code=abc&state=s&iss=i&x=1&x=2").unwrap(), "abc");
    let long = format!("code={}", "c".repeat(CODE_BYTES_MAX + 1));
    for bad in [
        "",
        "state=s",
        "code=",
        "code=a%0ab",
        "code=a&code=a",
        "code=a&state=s&state=s",
        "code=a&iss=i&iss=j",
        "code=a&error=x&error=y",
        "code=a&error=",
        "error=a%20b",
        &long,
    ] {
        let error = code_of(bad).unwrap_err();
        let invalid = matches!(error, ConnectorError::InvalidResponse(_));
        assert!(invalid, "{bad}: {error:?}");
    }
    assert!(code_of(&long[..long.len() - 1]).is_ok());
}

#[test]
fn an_error_takes_precedence_over_a_code() {
    let error = code_of("code=a&error=access_denied").unwrap_err();
    assert!(matches!(
        error,
        ConnectorError::Refused {
            why: RefusalReason::Declined,
            ..
        }
    ));
}

#[test]
fn errors_of_the_authorization_endpoint_are_classified() {
    for error in [
        "login_required",
        "interaction_required",
        "consent_required",
        "account_selection_required",
    ] {
        let error_of_login = code_of(&format!("error={error}")).unwrap_err();
        let silent = matches!(
            error_of_login,
            ConnectorError::Refused {
                why: RefusalReason::InteractionRequired,
                ..
            }
        );
        assert!(silent, "{error}: {error_of_login:?}");
    }
    for error in ["temporarily_unavailable", "server_error"] {
        let error_of_login = code_of(&format!("error={error}")).unwrap_err();
        assert!(matches!(error_of_login, ConnectorError::Busy(_)), "{error}");
    }
    for (error, word) in [
        ("invalid_scope", "`scopes`"),
        ("unauthorized_client", "`client_id`"),
        ("unsupported_response_type", "`authorize_url`"),
        (
            "invalid_request",
            "https://sso.corp.example/.menshen/callback/gh",
        ),
        (
            "redirect_uri_mismatch",
            "https://sso.corp.example/.menshen/callback/gh",
        ),
        (
            "something_else",
            "https://sso.corp.example/.menshen/callback/gh",
        ),
    ] {
        let error_of_login =
            code_of(&format!("error={error}&error_description=%0ahm")).unwrap_err();
        let ConnectorError::Misconfigured { remedy, source } = error_of_login else {
            panic!("{error}: {error_of_login:?}");
        };
        assert!(remedy.to_string().contains(word), "{error}: {remedy}");
        assert_eq!(source.message, format!("{error}: hm"));
    }
    let long = format!("error=x&error_description={}", "d".repeat(5000));
    let ConnectorError::Misconfigured { source, .. } = code_of(&long).unwrap_err() else {
        panic!("misconfigured");
    };
    assert_eq!(source.message.len(), 300);
}
