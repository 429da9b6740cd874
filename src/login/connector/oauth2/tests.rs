use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::Kind as _;
use super::super::Prompt;
use super::*;
use crate::clock::Timestamp;
use crate::login::pending::Mode;
use crate::login::return_to::ReturnTo;
use crate::outbound;
use crate::people::departments::StoredDepartments;
use crate::people::profile::{MappedProfile, Mapping, MappingConfig, evaluate_over_profile};

const ENDPOINTS: &str = "authorize_url = 'https://p.example/authorize?site=a'\n\
     token_url = 'https://p.example/token'\nprofile_url = 'https://p.example/me'\n";

/// The connector with these settings, a client ID and a secret.
fn build(text: &str) -> Result<OAuth2, ConnectorBuildError> {
    let text = format!("client_id = 'me'\nclient_secret = 'hunter2'\n{text}");
    let deps = ConnectorDeps {
        id: "gh".parse().unwrap(),
        callback: Url::parse("https://sso.corp.example/.menshen/callback/gh").unwrap(),
        own_pages_url: Url::parse("https://sso.corp.example/.menshen").unwrap(),
        outbound: Outbound::build(&outbound::Config::default()).unwrap(),
        clock: Clock::manual(Timestamp::from_unix_s(1_800_000_000)),
        mapping: MappingConfig::default(),
        stored_departments: StoredDepartments::default(),
        local_people: None,
        kept_state: None,
    };
    OAuth2::build(&toml::from_str(&text).unwrap(), deps)
}

fn pending() -> Pending {
    Pending::new(
        "gh".parse().unwrap(),
        Mode::Web,
        ReturnTo::on_login_host("/a?b=c&d").unwrap(),
        Timestamp::from_unix_s(0),
    )
}

/// The URL of an authorization request, and its parameters.
fn authorize_params(oauth2: &OAuth2, request: &AuthnRequest) -> (Url, BTreeMap<String, String>) {
    let url = oauth2.authorize_url(&pending(), request);
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let params: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(pairs.len(), params.len(), "a parameter is repeated: {url}");
    (url, params)
}

/// Every preset, with the further setting that it needs.
const PRESETS: [(Preset, &str); 7] = [
    (Preset::Github, ""),
    (Preset::Gitlab, ""),
    (Preset::Google, ""),
    (
        Preset::Microsoft,
        "base_url = 'https://login.microsoftonline.com/t'",
    ),
    (
        Preset::Keycloak,
        "base_url = 'https://id.corp.example/realms/corp/'",
    ),
    (Preset::Gitee, ""),
    (Preset::Feishu, ""),
];

#[test]
fn every_preset_builds_and_redirects_to_its_provider() {
    for (preset, more) in PRESETS {
        let name = preset.as_str();
        let oauth2 = build(&format!("preset = '{name}'\n{more}")).unwrap();
        let (url, sent) = authorize_params(&oauth2, &AuthnRequest::default());
        assert_eq!(url.scheme(), "https", "{name}");
        for (key, value) in [
            ("response_type", "code"),
            ("client_id", "me"),
            (
                "redirect_uri",
                "https://sso.corp.example/.menshen/callback/gh",
            ),
        ] {
            assert_eq!(sent[key], value, "{name}");
        }
        assert_eq!(sent["state"].len(), 32, "{name}");
        let pkce = sent.contains_key("code_challenge");
        assert_eq!(pkce, preset != Preset::Gitee, "{name}");
        assert!(
            Mapping::build(
                oauth2.settings.defaults.mapping,
                &MappingConfig::default(),
                ""
            )
            .is_ok()
        );
        let shown = format!("{oauth2:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn configured_parameters_cannot_replace_those_of_menshen() {
    let oauth2 = build(&format!(
        "{ENDPOINTS}subject = 'profile.id'\nreturn_param = 'back'\nscopes = ['a', 'b']\n\
         scope_separator = ','\n[authorize_params]\nbrand = '甲'\nsite = 'b'"
    ))
    .unwrap();
    let (_, sent) = authorize_params(&oauth2, &AuthnRequest::default());
    assert_eq!((sent["site"].as_str(), sent["brand"].as_str()), ("b", "甲"));
    assert_eq!(sent["scope"], "a,b");
    assert_eq!(sent["back"], "https://sso.corp.example/a?b=c&d");
    for name in [
        "state",
        "nonce",
        "redirect_uri",
        "client_id",
        "scope",
        "code_challenge",
    ] {
        let params = format!("{ENDPOINTS}subject = 'profile.id'\n[authorize_params]\n{name} = 'x'");
        assert!(build(&params).is_err(), "{name}");
        let back = format!("{ENDPOINTS}subject = 'profile.id'\nreturn_param = '{name}'");
        assert!(build(&back).is_err(), "{name}");
    }
}

#[test]
fn only_supported_optional_parameters_are_sent() {
    let request = AuthnRequest {
        acr_values: vec!["high".to_owned()],
        max_age: Some(Duration::from_secs(60)),
        prompt: Some(Prompt::SelectAccount),
        login_hint: Some("zhangsan".to_owned()),
        domain_hint: Some("corp.example".to_owned()),
    };
    let optional_params = |text: &str| {
        let (_, mut sent) = authorize_params(&build(text).unwrap(), &request);
        for always_sent in [
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
            "site",
            "access_type",
        ] {
            sent.remove(always_sent);
        }
        sent.into_iter().collect::<Vec<_>>()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let prompt = pair("prompt", "select_account");
    assert_eq!(
        optional_params("preset = 'github'"),
        [pair("login", "zhangsan"), prompt.clone()]
    );
    assert_eq!(
        optional_params("preset = 'google'"),
        [
            pair("hd", "corp.example"),
            pair("login_hint", "zhangsan"),
            prompt
        ]
    );
    assert_eq!(
        optional_params(&format!("{ENDPOINTS}subject = 'profile.id'")),
        []
    );
}

#[test]
fn the_app_of_a_provider_is_recognised() {
    let features = |preset: &str| {
        let text = format!("client_id = 'me'\npreset = '{preset}'");
        toml::from_str::<Config>(&text).unwrap().features()
    };
    let feishu = features("feishu");
    assert!(feishu.is_app_of_source("Mozilla/5.0 (iPhone) Lark/7.1.0 LarkLocale/zh_CN"));
    assert!(feishu.is_app_of_source("Mozilla/5.0 Feishu/7.1"));
    assert!(!feishu.is_app_of_source("Mozilla/5.0 Firefox/140.0"));
    assert!(!features("github").is_app_of_source("Lark/7"));
}

#[test]
fn the_logout_url_has_the_return_parameter() {
    let return_url = Url::parse("https://sso.corp.example/bye?a=b").unwrap();
    let page = |text: &str| {
        build(text)
            .unwrap()
            .logout_page(&return_url, "s t")
            .map(String::from)
    };
    let keycloak = "preset = 'keycloak'\nbase_url = 'https://id.corp.example/realms/corp'";
    assert_eq!(
        page(keycloak).unwrap(),
        "https://id.corp.example/realms/corp/protocol/openid-connect/logout?client_id=me\
         &post_logout_redirect_uri=https%3A%2F%2Fsso.corp.example%2Fbye%3Fa%3Db&state=s+t"
    );
    let configured =
        format!("{ENDPOINTS}subject = 'profile.id'\nlogout_url = 'https://p.example/out?x=1'");
    assert_eq!(page(&configured).unwrap(), "https://p.example/out?x=1");
    assert_eq!(
        page(&format!("{configured}\nlogout_return_param = 'service'")).unwrap(),
        "https://p.example/out?x=1&service=https%3A%2F%2Fsso.corp.example%2Fbye%3Fa%3Db"
    );
    assert_eq!(page("preset = 'github'"), None);
}

#[test]
fn base_url_selects_the_endpoints_of_a_self_hosted_provider() {
    let self_hosted = |preset: &str| {
        let text = format!("preset = '{preset}'\nbase_url = 'https://git.corp.example/sub/'");
        build(&text).unwrap().settings
    };
    let github = self_hosted("github");
    assert_eq!(
        github.authorize_url.as_str(),
        "https://git.corp.example/sub/login/oauth/authorize"
    );
    assert_eq!(
        github.profile_url.as_str(),
        "https://git.corp.example/sub/api/v3/user"
    );
    assert_eq!(
        github.profiles[0].1.as_str(),
        "https://git.corp.example/sub/api/v3/user/emails?per_page=100"
    );
    assert_eq!(
        self_hosted("gitlab").token_url.as_str(),
        "https://git.corp.example/sub/oauth/token"
    );
    // Each configured URL replaces that of the preset.
    let overridden = "preset = 'github'\ntoken_url = 'https://p.example/t'\n\
                 [profiles]\nemails = 'https://p.example/e'\nteams = 'https://p.example/teams'";
    let overridden = build(overridden).unwrap().settings;
    assert_eq!(overridden.token_url.as_str(), "https://p.example/t");
    assert_eq!(
        overridden.profile_url.as_str(),
        "https://api.github.com/user"
    );
    let further = overridden
        .profiles
        .iter()
        .map(|(name, url)| (name.as_str(), url.as_str()));
    assert_eq!(
        further.collect::<Vec<_>>(),
        [
            ("emails", "https://p.example/e"),
            ("teams", "https://p.example/teams")
        ]
    );
}

/// What the preset reads from this profile: the mapped profile, the subject and the verified e-mail
/// address.
fn mapped(preset: &str, raw: &Value) -> (MappedProfile, String, Option<String>) {
    let (_, more) = PRESETS
        .iter()
        .find(|(known, _)| known.as_str() == preset)
        .unwrap();
    let oauth2 = build(&format!("preset = '{preset}'\n{more}")).unwrap();
    let mapping = Mapping::build(
        oauth2.settings.defaults.mapping,
        &MappingConfig::default(),
        "",
    )
    .unwrap();
    let text = |expression| match evaluate_over_profile(expression, raw) {
        Ok(crate::expression::Value::Text(text)) => Some(text),
        _ => None,
    };
    let subject = text(&oauth2.settings.subject).unwrap();
    let verified_email = oauth2.settings.vouched_email.as_ref().and_then(text);
    (mapping.map(raw).unwrap(), subject, verified_email)
}

#[test]
fn only_the_primary_verified_address_of_github_links_accounts() {
    let mut raw = json!({
        "id": 583231, "login": "octocat", "name": null, "email": "shown@example.com",
        "emails": [
            { "email": "old@example.com", "primary": false, "verified": true },
            { "email": "octo@corp.example", "primary": true, "verified": true },
        ],
        "teams": [{ "slug": "ops", "organization": { "login": "corp" } }],
        "orgs": [{ "login": "corp" }],
    });
    let (profile, subject, verified_email) = mapped("github", &raw);
    assert_eq!(
        (profile.login.as_str(), subject.as_str()),
        ("octocat", "583231")
    );
    assert_eq!(profile.fields.email.as_deref(), Some("octo@corp.example"));
    assert_eq!(verified_email.as_deref(), Some("octo@corp.example"));
    assert_eq!(
        (profile.fields.groups, profile.fields.orgs),
        (vec!["corp/ops".to_owned()], vec!["corp".to_owned()])
    );
    assert_eq!(profile.fields.name, None);
    for emails in [
        json!([{ "email": "octo@corp.example", "primary": true, "verified": false }]),
        json!([]),
    ] {
        raw["emails"] = emails;
        let (profile, _, verified_email) = mapped("github", &raw);
        assert_eq!((profile.fields.email, verified_email), (None, None));
    }
}

#[test]
fn gitlab_and_google_profiles_are_mapped() {
    let (profile, subject, verified_email) = mapped(
        "gitlab",
        &json!({
            "sub": "7", "preferred_username": "zhangsan", "name": "张三", "email": "z@corp.example",
            "email_verified": true, "groups": ["corp", "corp/ops"],
        }),
    );
    assert_eq!(
        (profile.login.as_str(), subject.as_str(), verified_email),
        ("zhangsan", "7", None)
    );
    assert_eq!(profile.fields.groups, ["corp", "corp/ops"]);

    let google = |verified: Value| {
        mapped(
            "google",
            &json!({
                "sub": "110", "name": "张三", "email": "z@corp.example", "email_verified": verified,
                "hd": "corp.example",
            }),
        )
    };
    let (profile, subject, verified_email) = google(json!(true));
    assert_eq!(
        (profile.login.as_str(), subject.as_str()),
        ("z@corp.example", "110")
    );
    assert_eq!(verified_email.as_deref(), Some("z@corp.example"));
    assert_eq!(profile.fields.tenant_code.as_deref(), Some("corp.example"));
    for other in [
        json!(false),
        json!("false"),
        json!("true"),
        json!(null),
        json!(1),
    ] {
        assert_eq!(google(other.clone()).2, None, "{other}");
    }
}

#[test]
fn microsoft_and_keycloak_profiles_are_mapped() {
    let (profile, subject, verified_email) = mapped(
        "microsoft",
        &json!({
            "id": "48d3", "userPrincipalName": "z@corp.example", "displayName": "张三", "mail": null,
            "mobilePhone": "138", "groups": { "value": [{ "displayName": "ops" }] },
        }),
    );
    assert_eq!(
        (profile.login.as_str(), subject.as_str(), verified_email),
        ("z@corp.example", "48d3", None)
    );
    assert_eq!(
        (profile.fields.groups, profile.fields.email),
        (vec!["ops".to_owned()], None)
    );

    let (profile, subject, verified_email) = mapped(
        "keycloak",
        &json!({
            "sub": "f-1", "preferred_username": "zhangsan", "email": "z@corp.example",
            "email_verified": true, "groups": ["/ops"], "realm_access": { "roles": ["boss"] },
        }),
    );
    assert_eq!(
        (profile.login.as_str(), subject.as_str(), verified_email),
        ("zhangsan", "f-1", None)
    );
    assert_eq!(
        (profile.fields.groups, profile.fields.roles),
        (vec!["/ops".to_owned()], vec!["boss".to_owned()])
    );
}

#[test]
fn gitee_and_feishu_profiles_are_mapped() {
    let (profile, subject, _) = mapped(
        "gitee",
        &json!({
            "id": 8, "login": "zhangsan", "name": "张三", "email": "",
        }),
    );
    assert_eq!(
        (
            profile.login.as_str(),
            subject.as_str(),
            profile.fields.email
        ),
        ("zhangsan", "8", None)
    );

    let (profile, subject, verified_email) = mapped(
        "feishu",
        &json!({
            "name": "张三", "open_id": "ou_1", "union_id": "on_1", "user_id": "zhangsan",
            "email": "own@home", "enterprise_email": "z@corp.example", "mobile": "+86138",
            "tenant_key": "t1",
        }),
    );
    assert_eq!(
        (profile.login.as_str(), subject.as_str(), verified_email),
        ("zhangsan", "on_1", None)
    );
    assert_eq!(profile.fields.email.as_deref(), Some("z@corp.example"));
    assert_eq!(profile.fields.tenant_code.as_deref(), Some("t1"));
    let (profile, _, _) = mapped(
        "feishu",
        &json!({ "union_id": "on_1", "email": "own@home" }),
    );
    assert_eq!(
        (profile.login.as_str(), profile.fields.email.as_deref()),
        ("on_1", Some("own@home"))
    );
}
