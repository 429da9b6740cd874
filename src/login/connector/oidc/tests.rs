use serde_json::json;

use super::super::Kind as _;
use super::*;
use crate::clock::Timestamp;
use crate::issuer::IssuerName;
use crate::login::connector::Prompt;
use crate::login::fields::Fields;
use crate::login::pending::Mode;
use crate::login::return_to::ReturnTo;
use crate::outbound;
use crate::people::departments::StoredDepartments;
use crate::people::profile::{Mapping, MappingConfig};

const REQUIRED_SETTINGS: &str =
    "issuer = 'https://id.corp.example/realms/corp'\nclient_id = 'menshen'\n";

/// A connector with these further lines in its configuration.
pub(super) fn oidc(more: &str) -> Oidc {
    build(more).unwrap()
}

fn build(more: &str) -> Result<Oidc, ConnectorBuildError> {
    let config: Config = toml::from_str(&format!("{REQUIRED_SETTINGS}{more}")).unwrap();
    let callback = "https://sso.corp.example/.menshen/callback/keycloak";
    let deps = ConnectorDeps {
        id: ConnectorId::try_from("keycloak".to_owned()).unwrap(),
        callback: Url::parse(callback).unwrap(),
        own_pages_url: Url::parse("https://sso.corp.example/.menshen").unwrap(),
        outbound: Outbound::build(&outbound::Config::default()).unwrap(),
        clock: Clock::manual(Timestamp::from_unix_s(1_800_000_000)),
        mapping: MappingConfig::default(),
        stored_departments: StoredDepartments::default(),
        local_people: None,
        kept_state: None,
    };
    Oidc::build(&config, deps)
}

/// A pending login that began at this second.
pub(super) fn pending(begun_at_s: i64) -> Pending {
    let id = ConnectorId::try_from("keycloak".to_owned()).unwrap();
    Pending::new(
        id,
        Mode::Web,
        ReturnTo::login_host_root(),
        Timestamp::from_unix_s(begun_at_s),
    )
}

fn metadata(sends_iss: bool) -> Metadata {
    let url = |path: &str| Url::parse(&format!("https://id.corp.example{path}")).unwrap();
    Metadata {
        jwks_uri: url("/keys"),
        authorization_endpoint: Some(url("/authorize")),
        token_endpoint: None,
        userinfo_endpoint: Some(url("/userinfo")),
        end_session_endpoint: None,
        introspection_endpoint: None,
        sends_iss,
        token_endpoint_auth_methods: Vec::new(),
        code_challenge_methods: Vec::new(),
    }
}

fn authorize_params(oidc: &Oidc, request: &AuthnRequest) -> Vec<(String, String)> {
    let endpoint = Url::parse("https://id.corp.example/authorize?kc=1&nonce=theirs").unwrap();
    let url = oidc.authorize_url(&endpoint, &pending(0), request);
    url.query_pairs().into_owned().collect()
}

fn single<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = pairs.iter().filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value.as_str());
    assert!(values.next().is_none(), "{name} is sent twice");
    value
}

#[test]
fn every_authorization_request_has_state_nonce_and_code_challenge() {
    let oidc = oidc("");
    let pairs = authorize_params(&oidc, &AuthnRequest::default());
    for name in ["state", "nonce", "code_challenge"] {
        assert!(
            single(&pairs, name).is_some_and(|it| it.len() >= 22),
            "{name}"
        );
    }
    for (name, value) in [
        ("kc", "1"),
        ("response_type", "code"),
        ("client_id", "menshen"),
        (
            "redirect_uri",
            "https://sso.corp.example/.menshen/callback/keycloak",
        ),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(single(&pairs, name), Some(value), "{name}");
    }
    for name in ["response_mode", "prompt", "max_age", "acr_values"] {
        assert_eq!(single(&pairs, name), None, "{name}");
    }
    assert_ne!(
        single(&pairs, "nonce"),
        single(&authorize_params(&oidc, &AuthnRequest::default()), "nonce")
    );
}

#[test]
fn parameters_of_the_route_override_configured_ones() {
    let added = "response_mode = 'form_post'\n\
                 authorize_params = { prompt = 'consent', max_age = '9', hd = 'corp.example' }";
    let oidc = oidc(added);
    assert!(oidc.config.features().returns_by_post());
    let pairs = authorize_params(&oidc, &AuthnRequest::default());
    assert_eq!(single(&pairs, "prompt"), Some("consent"));
    assert_eq!(single(&pairs, "response_mode"), Some("form_post"));
    let request = AuthnRequest {
        acr_values: vec!["mfa".to_owned(), "pwd".to_owned()],
        max_age: Some(Duration::from_secs(300)),
        prompt: Some(Prompt::Login),
        login_hint: Some("zhangsan@corp.example".to_owned()),
        domain_hint: Some("corp.example".to_owned()),
    };
    let pairs = authorize_params(&oidc, &request);
    for (name, value) in [
        ("acr_values", "mfa pwd"),
        ("max_age", "300"),
        ("prompt", "login"),
        ("login_hint", "zhangsan@corp.example"),
        ("domain_hint", "corp.example"),
        ("hd", "corp.example"),
    ] {
        assert_eq!(single(&pairs, name), Some(value), "{name}");
    }
}

#[test]
fn an_authorization_response_of_another_issuer_or_login_is_refused() {
    let (oidc, pending) = (oidc(""), pending(0));
    let state = pending.flow.as_str();
    let check = |sends_iss: bool, query: &str| {
        let fields = Fields::parse(query.replace("STATE", state).as_bytes()).unwrap();
        oidc.check_response(&metadata(sends_iss), &pending, &fields)
    };
    let iss = "iss=https://id.corp.example/realms/corp";
    for (sends_iss, good) in [
        (true, format!("code=a&state=STATE&{iss}")),
        (false, format!("code=a&state=STATE&{iss}")),
        (false, "code=a&state=STATE".to_owned()),
        (true, format!("error=access_denied&state=STATE&{iss}")),
    ] {
        assert!(check(sends_iss, &good).is_ok(), "{good}");
    }
    for (sends_iss, bad) in [
        (true, "code=a&state=STATE".to_owned()),
        (false, "code=a&state=STATE&iss=".to_owned()),
        (false, format!("code=a&state=STATE&{iss}/")),
        (
            false,
            "code=a&state=STATE&iss=https://id.corp.example/realms/other".to_owned(),
        ),
        (false, format!("code=a&state=STATE&{iss}&{iss}")),
        (false, format!("code=a&state=STATE&state=STATE&{iss}")),
        (true, format!("code=a&state=other&{iss}")),
    ] {
        let error = check(sends_iss, &bad).unwrap_err();
        let invalid = matches!(error, ConnectorError::InvalidResponse(_));
        assert!(invalid, "{bad}: {error:?}");
    }
}

#[test]
fn userinfo_is_fetched_if_it_exists_and_is_configured() {
    let with_endpoint = metadata(true);
    assert!(oidc("").userinfo_endpoint(&with_endpoint).is_some());
    assert!(
        oidc("userinfo = false")
            .userinfo_endpoint(&with_endpoint)
            .is_none()
    );
    let without_endpoint = Metadata {
        userinfo_endpoint: None,
        ..with_endpoint
    };
    assert!(oidc("").userinfo_endpoint(&without_endpoint).is_none());
}

#[test]
fn invalid_settings_are_refused_when_the_connector_is_built() {
    for bad in [
        "scopes = ['profile']",
        "client_secret = 'a'\nclient_auth = 'private-key-jwt'",
        "private_key = 'no key'",
        "authorize_params = { client_id = 'x' }",
    ] {
        assert!(
            matches!(build(bad), Err(ConnectorBuildError::Setting(_))),
            "{bad}"
        );
    }
    let hidden = format!("{:?}", oidc("client_secret = 'hunter2'"));
    assert!(!hidden.contains("hunter2"), "{hidden}");
}

#[test]
fn the_login_name_falls_back_to_the_address_and_the_subject() {
    let mapping = Mapping::build(MAPPING, &MappingConfig::default(), "").unwrap();
    let login = |raw: serde_json::Value| mapping.map(&raw).unwrap().login.to_string();
    let with_all_claims =
        json!({ "sub": "u1", "preferred_username": "zhangsan", "email": "z@corp.example" });
    assert_eq!(login(with_all_claims), "zhangsan");
    assert_eq!(
        login(json!({ "sub": "u1", "email": "z@corp.example" })),
        "z@corp.example"
    );
    assert_eq!(
        login(json!({ "sub": "u1", "preferred_username": "", "email": "" })),
        "u1"
    );
    let mapped = mapping
        .map(&json!({
            "sub": "u1", "name": "张三", "email": "z@corp.example", "phone_number": "+8613800000001",
            "groups": ["财务部"],
        }))
        .unwrap();
    assert_eq!(mapped.fields.name.as_deref(), Some("张三"));
    assert_eq!(mapped.fields.mobile.as_deref(), Some("+8613800000001"));
    assert_eq!(mapped.fields.groups, ["财务部"]);
}

#[test]
fn metadata_of_another_issuer_is_a_misconfiguration() {
    let issuer = IssuerName::try_from("https://id.corp.example".to_owned()).unwrap();
    let source = issuer::MetadataError::WrongIssuer {
        found: "https://id.corp.example/".to_owned(),
    };
    let error = errors::from_issuer(issuer::IssuerError::Metadata {
        issuer: issuer.clone(),
        source: Arc::new(source),
    });
    let ConnectorError::Misconfigured { remedy, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        remedy.to_string().contains("`https://id.corp.example/`"),
        "{remedy}"
    );
    let unreachable = errors::from_issuer(issuer::IssuerError::RecentFailure { issuer });
    assert!(matches!(unreachable, ConnectorError::Issuer(_)));
}
