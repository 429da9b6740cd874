use super::*;

fn answer(query: &str) -> Result<String, ConnectorError> {
    let callback = Url::parse("https://sso.corp.example/.menshen/callback/gh").unwrap();
    let fields = Fields::parse(query.as_bytes()).unwrap();
    authorization_code(&fields, &callback).map(str::to_owned)
}

#[test]
fn the_challenge_is_that_of_the_standard() {
    // RFC 7636, appendix B.
    assert_eq!(
        pkce_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    );
}

#[test]
fn our_parameters_stand_once_whatever_else_is_asked() {
    let endpoint = "https://id.example/authorize?state=theirs&p=a%26b&prompt=x#top";
    let own = [("state", "ours"), ("client_id", "me"), ("scope", "a b")];
    let extra = [
        ("state", "forged"),
        ("redirect_uri", "https://evil.example"),
        ("request_uri", "https://evil.example/r"),
        ("nonce", "n"),
        ("scope", "all"),
        ("prompt", "login"),
        ("hd", "corp.example"),
    ];
    let url = authorize_url(&Url::parse(endpoint).unwrap(), &own, &extra);
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
fn a_code_stands_alone_and_once() {
    assert_eq!(answer("code=abc&state=s&iss=i&x=1&x=2").unwrap(), "abc");
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
        let error = answer(bad).unwrap_err();
        let invalid = matches!(error, ConnectorError::InvalidResponse(_));
        assert!(invalid, "{bad}: {error:?}");
    }
    assert!(answer(&long[..long.len() - 1]).is_ok());
}

#[test]
fn an_error_wins_over_a_code() {
    let error = answer("code=a&error=access_denied").unwrap_err();
    assert!(matches!(
        error,
        ConnectorError::Refused {
            why: RefusalReason::Declined,
            ..
        }
    ));
}

#[test]
fn every_error_of_the_authorization_endpoint_means_something() {
    for error in [
        "login_required",
        "interaction_required",
        "consent_required",
        "account_selection_required",
    ] {
        let said = answer(&format!("error={error}")).unwrap_err();
        let silent = matches!(
            said,
            ConnectorError::Refused {
                why: RefusalReason::InteractionRequired,
                ..
            }
        );
        assert!(silent, "{error}: {said:?}");
    }
    for error in ["temporarily_unavailable", "server_error"] {
        let said = answer(&format!("error={error}")).unwrap_err();
        assert!(matches!(said, ConnectorError::Busy(_)), "{error}");
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
        let said = answer(&format!("error={error}&error_description=%0ahm")).unwrap_err();
        let ConnectorError::Misconfigured { remedy, source } = said else {
            panic!("{error}: {said:?}");
        };
        assert!(remedy.contains(word), "{error}: {remedy}");
        assert_eq!(source.message, format!("{error}: hm"));
    }
    let long = format!("error=x&error_description={}", "d".repeat(5000));
    let ConnectorError::Misconfigured { source, .. } = answer(&long).unwrap_err() else {
        panic!("misconfigured");
    };
    assert_eq!(source.message.len(), 300);
}
