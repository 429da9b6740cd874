use std::time::Duration;

use jsonwebtoken::{DecodingKey, Validation};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::*;
use crate::clock::Timestamp;

fn literal(text: &str) -> SecretSource {
    SecretSource::Literal(Secret::new(text.to_owned()))
}

fn settings<'a>(
    secret: Option<&'a SecretSource>,
    key: Option<&'a SecretSource>,
) -> ClientSettings<'a> {
    ClientSettings {
        client_id: "me & co",
        client_secret: secret,
        private_key: key,
        private_key_id: None,
        client_auth: None,
    }
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix_s(1_800_000_000))
}

fn token_url() -> Url {
    Url::parse("https://id.example/token").unwrap()
}

fn form_fields(authentication: &ClientAuthentication) -> Vec<(String, String)> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    authentication.form().map(owned).collect()
}

#[test]
fn a_secret_is_form_encoded_and_sent_by_basic() {
    let secret = literal("hunter2:+/ 密");
    let client = OAuthClient::build(settings(Some(&secret), None), clock()).unwrap();
    let authentication = client.authentication(&token_url());
    let Credentials::Basic { user, password } = authentication.credentials() else {
        panic!("the client does not use Basic");
    };
    assert_eq!(
        (user, password),
        ("me+%26+co", "hunter2%3A%2B%2F+%E5%AF%86")
    );
    assert_eq!(form_fields(&authentication), []);
    assert!(!format!("{client:?}").contains("hunter2"));
}

#[test]
fn a_secret_is_sent_in_the_form_if_configured_or_the_only_supported_method() {
    let secret = literal("hunter2");
    let in_form =
        |client: &OAuthClient| form_fields(&client.authentication(&token_url())).len() == 2;
    let client_with = |client_auth| {
        let settings = ClientSettings {
            client_auth,
            ..settings(Some(&secret), None)
        };
        OAuthClient::build(settings, clock()).unwrap()
    };
    assert!(in_form(&client_with(Some(ClientAuth::Post))));
    let unconfigured = client_with(None);
    assert!(!in_form(&unconfigured));
    assert!(in_form(
        &unconfigured.with_supported_methods(&["client_secret_post", "none"])
    ));
    for methods in [&["client_secret_post", "client_secret_basic"][..], &[]] {
        assert!(!in_form(&unconfigured.with_supported_methods(methods)));
    }
    let configured = client_with(Some(ClientAuth::Basic));
    assert!(!in_form(
        &configured.with_supported_methods(&["client_secret_post"])
    ));
}

#[test]
fn a_public_client_sends_only_its_id() {
    let client = OAuthClient::build(settings(None, None), clock()).unwrap();
    let authentication = client.authentication(&token_url());
    assert!(matches!(authentication.credentials(), Credentials::None));
    assert_eq!(
        form_fields(&authentication),
        [("client_id".to_owned(), "me & co".to_owned())]
    );
}

#[test]
fn a_private_key_signs_unique_assertions_that_are_valid_for_a_minute() {
    keys::install_crypto();
    for (kind, algorithm) in [
        (&PKCS_ECDSA_P256_SHA256, Algorithm::ES256),
        (&PKCS_ECDSA_P384_SHA384, Algorithm::ES384),
        (&PKCS_ED25519, Algorithm::EdDSA),
    ] {
        let pair = KeyPair::generate_for(kind).unwrap();
        let source = literal(&pair.serialize_pem());
        let settings = ClientSettings {
            private_key_id: Some("k1"),
            ..settings(None, Some(&source))
        };
        let clock = clock();
        let client = OAuthClient::build(settings, clock.clone()).unwrap();
        let sent = |client: &OAuthClient| form_fields(&client.authentication(&token_url()));
        let (first, second) = (sent(&client), sent(&client));
        assert_eq!(first[1].1, ASSERTION_TYPE);
        assert_ne!(first[2].1, second[2].1, "each has its own jti");
        let header = jsonwebtoken::decode_header(&first[2].1).unwrap();
        assert_eq!((header.alg, header.kid.as_deref()), (algorithm, Some("k1")));
        let public_pem = pair.public_key_pem();
        let public_key = match algorithm {
            Algorithm::EdDSA => DecodingKey::from_ed_pem(public_pem.as_bytes()),
            _ => DecodingKey::from_ec_pem(public_pem.as_bytes()),
        };
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["https://id.example/token"]);
        validation.validate_exp = false;
        let claims: jsonwebtoken::TokenData<serde_json::Value> =
            jsonwebtoken::decode(&first[2].1, &public_key.unwrap(), &validation).unwrap();
        let claims = claims.claims;
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&"me & co".into(), &"me & co".into())
        );
        assert_eq!(claims["iat"], clock.now().unix_s());
        let end = clock.now().plus(Duration::from_secs(60));
        assert_eq!(claims["exp"], end.unix_s());
        assert!(!format!("{client:?}").contains("PRIVATE"));
    }
}

#[test]
fn an_rsa_key_signs_too_and_a_broken_one_is_refused() {
    keys::install_crypto();
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair);
    let encoded = base64::engine::general_purpose::STANDARD.encode(der.unwrap().as_ref());
    let lines: Vec<_> = encoded.as_bytes().chunks(64).collect();
    let body = String::from_utf8(lines.join(&b'\n')).unwrap();
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    let good = literal(&format!("{begin}\n{body}\n{end}\n"));
    assert!(OAuthClient::build(settings(None, Some(&good)), clock()).is_ok());
    for broken in ["hunter2", &format!("{begin}\nAAAA\n{end}\n")] {
        let error =
            OAuthClient::build(settings(None, Some(&literal(broken))), clock()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains("private_key") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let secret = literal("hunter2");
    let settings_with = |secret, key, client_auth, private_key_id| ClientSettings {
        client_auth,
        private_key_id,
        ..settings(secret, key)
    };
    for bad in [
        settings_with(Some(&secret), Some(&secret), None, None),
        settings_with(None, None, Some(ClientAuth::Basic), None),
        settings_with(None, Some(&secret), Some(ClientAuth::Post), None),
        settings_with(Some(&secret), None, Some(ClientAuth::PrivateKeyJwt), None),
        settings_with(Some(&secret), None, None, Some("k")),
        ClientSettings {
            client_id: "",
            ..settings(None, None)
        },
    ] {
        let error = OAuthClient::build(bad, clock()).unwrap_err();
        assert!(
            matches!(error, ConnectorBuildError::Setting(_)),
            "{error:?}"
        );
    }
}
