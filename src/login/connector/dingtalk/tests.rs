use super::super::Kind as _;
use super::*;
use crate::clock::Timestamp;
use crate::login::return_to::ReturnTo;
use crate::outbound::{self, Outbound};
use crate::people::departments::StoredDepartments;
use crate::people::profile::{Mapping, MappingConfig};

fn config(more: &str) -> Config {
    let text =
        format!("app_key = 'dingkey1'\napp_secret = 'hunter2'\ncorp_id = 'dingcorp1'\n{more}");
    toml::from_str(&text).unwrap()
}

fn build(more: &str) -> Result<DingTalk, ConnectorBuildError> {
    let deps = ConnectorDeps {
        id: "ding".parse().unwrap(),
        callback: Url::parse("https://sso.corp.example/.menshen/callback/ding").unwrap(),
        own_pages_url: Url::parse("https://sso.corp.example/.menshen").unwrap(),
        outbound: Outbound::build(&outbound::Config::default()).unwrap(),
        clock: Clock::system(),
        mapping: MappingConfig::default(),
        stored_departments: StoredDepartments::default(),
        local_people: None,
        kept_state: None,
    };
    DingTalk::build(&config(more), deps)
}

fn pending(mode: Mode) -> Pending {
    let id = "ding".parse().unwrap();
    let now = Timestamp::from_unix_s(0);
    Pending::new(id, mode, ReturnTo::login_host_root(), now)
}

async fn begin(dingtalk: &DingTalk, pending: &Pending) -> Challenge {
    let begun = dingtalk.begin(pending, &AuthnRequest::default()).await;
    begun.unwrap()
}

#[test]
fn three_settings_are_enough() {
    let config = config("");
    assert_eq!(config.api_base.as_str(), "https://api.dingtalk.com/");
    assert_eq!(config.oapi_base.as_str(), "https://oapi.dingtalk.com/");
    assert_eq!(
        (config.mode.forced(), config.invalid_values()),
        (None, vec![])
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(Mapping::build(MAPPING, &MappingConfig::default(), "").is_ok());
}

#[test]
fn invalid_values_are_refused() {
    let parse = |more: &str| {
        let text = format!("app_key = 'a'\napp_secret = 's'\ncorp_id = 'c'\n{more}");
        toml::from_str::<Config>(&text)
    };
    for more in [
        "scope = 'openid,corpid'",
        "mode = 'qrConnect'",
        "api_base = '/x'",
        "jsapi_url = 'x'",
        "jsapi_url = { path = 'x' }",
        "jsapi_url = 1",
    ] {
        assert!(parse(more).is_err(), "{more}");
    }
    for more in [
        "jsapi_url = 'https://g.alicdn.com/a.js?b'",
        "jsapi_url = 'https://g.alicdn.com/'",
        "jsapi_url = 'https://g.alicdn.com/a;b.js'",
        "jsapi_url = 'https://u:p@g.alicdn.com/a.js'",
        "jsapi_url = 'ftp://g.alicdn.com/a.js'",
        "sync_brake = 101",
        "sync_every = '0s'",
        "oapi_base = 'ftp://x'",
    ] {
        let invalid = parse(more).unwrap().invalid_values();
        assert_eq!(invalid.len(), 1, "{more}");
    }
    assert!(build("jsapi_url = { file = '/nowhere/dd.js' }").is_err());
}

#[tokio::test]
async fn an_ordinary_browser_is_redirected_to_the_qr_page() {
    let pending = pending(Mode::Web);
    let dingtalk = build("scope = 'openid corpid'").unwrap();
    let Challenge::Redirect(url) = begin(&dingtalk, &pending).await else {
        panic!("no redirect")
    };
    let expected = format!(
        "https://login.dingtalk.com/oauth2/auth?redirect_uri=https%3A%2F%2Fsso.corp.example%2F.menshen\
         %2Fcallback%2Fding&response_type=code&client_id=dingkey1&scope=openid%20corpid&state={}\
         &prompt=consent",
        pending.flow
    );
    assert_eq!(url.as_str(), expected);
}

#[tokio::test]
async fn the_client_gets_a_page_unless_an_identity_is_added() {
    let dingtalk = build("").unwrap();
    let mut pending = pending(Mode::InApp);
    let Challenge::AppPage(page) = begin(&dingtalk, &pending).await else {
        panic!("no page")
    };
    let script = page.client_script.unwrap();
    assert!(script.as_str().starts_with("https://g.alicdn.com/"));
    assert_eq!(page.data[0], ("corp-id", "dingcorp1".to_owned()));
    assert!(page.web_url.as_str().contains(pending.flow.as_str()));
    let account = crate::store::AccountId::new([1; 16]);
    pending.link = Some(Box::new(crate::login::link::LinkRequest::new(account)));
    assert!(matches!(
        begin(&dingtalk, &pending).await,
        Challenge::Redirect(_)
    ));
}

#[test]
fn administrators_need_a_secret_and_origins_need_administrators() {
    let url = Url::parse("https://sso.corp.example").unwrap();
    let connector: super::super::ConnectorConfig = toml::from_str("").unwrap();
    let problems = |more: &str| {
        let config = config(more);
        let problems = config.problems(&connector, &url);
        problems
            .into_iter()
            .map(|one| one.message.to_string())
            .collect::<Vec<_>>()
    };
    let origins = "origins = ['https://oa.dingtalk.com']\n";
    assert_eq!(problems(&format!("{origins}sso_secret = 's'")), [""; 0]);
    assert_eq!(problems(origins).len(), 1);
    let path = "origins = ['https://oa.dingtalk.com/x']\nsso_secret = 's'";
    assert_eq!(problems(path), ["this must be an origin"]);
    assert!(config("").features().entry_point.is_none());
    let warned = config("sso_secret = 's'");
    assert!(warned.features().entry_point.is_some());
    let warnings = warned.warnings();
    assert!(
        warnings
            .iter()
            .any(|(_, text)| text.to_string().contains("`origins`"))
    );
}
