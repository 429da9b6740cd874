use super::super::Kind as _;
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::login::return_to::ReturnTo;
use crate::outbound::{self, Outbound};
use crate::people::departments::StoredDepartments;
use crate::people::profile::{Mapping, MappingConfig};

const CALLBACK: &str = "https://sso.corp.example:443/.menshen/callback/corp";

/// A connector with these further settings.
pub(super) fn wecom(more: &str) -> WeCom {
    build(more, CALLBACK).unwrap()
}

/// The required settings and these further ones.
fn config(more: &str) -> Config {
    let corp_id = if more.contains("corp_id") {
        ""
    } else {
        "corp_id = 'ww6d656e7368656e01'\n"
    };
    let text = format!("{corp_id}agent_id = 1000002\nsecret = 'hunter2'\n{more}");
    toml::from_str(&text).unwrap()
}

fn build(more: &str, callback: &str) -> Result<WeCom, ConnectorBuildError> {
    let deps = ConnectorDeps {
        id: "corp".parse().unwrap(),
        callback: Url::parse(callback).unwrap(),
        own_pages_url: Url::parse("https://sso.corp.example/.menshen").unwrap(),
        outbound: Outbound::build(&outbound::Config::default()).unwrap(),
        clock: Clock::system(),
        mapping: MappingConfig::default(),
        stored_departments: StoredDepartments::default(),
        local_people: None,
        kept_state: None,
    };
    WeCom::build(&config(more), deps)
}

fn pending(mode: Mode) -> Pending {
    Pending::new(
        "corp".parse().unwrap(),
        mode,
        ReturnTo::login_host_root(),
        Timestamp::from_unix_s(0),
    )
}

/// The URL to which a browser is redirected.
async fn login_url(wecom: &WeCom, pending: &Pending) -> String {
    let begun = wecom
        .begin(pending, &AuthnRequest::default())
        .await
        .unwrap();
    let Challenge::Redirect(url) = begun else {
        panic!("{begun:?}")
    };
    url.into()
}

#[tokio::test]
async fn an_ordinary_browser_is_redirected_to_the_qr_page() {
    let pending = pending(Mode::Web);
    let expected = format!(
        "https://login.work.weixin.qq.com/wwlogin/sso/login?login_type=CorpApp\
         &appid=ww6d656e7368656e01&agentid=1000002&redirect_uri=https%3A%2F%2Fsso.corp.example\
         %2F.menshen%2Fcallback%2Fcorp&state={}",
        pending.flow
    );
    assert_eq!(login_url(&wecom(""), &pending).await, expected);
}

#[tokio::test]
async fn the_wecom_client_is_redirected_with_parameters_in_the_required_order() {
    let pending = pending(Mode::InApp);
    let wecom = build(
        "scope = 'snsapi_privateinfo'",
        "http://sso.corp.example:8080/cb",
    )
    .unwrap();
    let expected = format!(
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=ww6d656e7368656e01\
         &redirect_uri=http%3A%2F%2Fsso.corp.example%3A8080%2Fcb&response_type=code\
         &scope=snsapi_privateinfo&state={}&agentid=1000002#wechat_redirect",
        pending.flow
    );
    assert_eq!(login_url(&wecom, &pending).await, expected);
    assert_eq!(wecom.console.callback_host, "sso.corp.example:8080");
}

#[test]
fn the_data_for_a_custom_front_end_has_both_urls_and_no_secret() {
    let wecom = wecom("schema = 'wwauth1'");
    let login = wecom.app_login(&pending(Mode::Web)).unwrap();
    let text = serde_json::to_string(&login).unwrap();
    for field in [r#""agent_id":"1000002""#, r#""schema":"wwauth1""#] {
        assert!(text.contains(field), "{text}");
    }
    assert!(
        text.contains("wechat_redirect") && text.contains("CorpApp"),
        "{text}"
    );
    assert!(!text.contains("hunter2") && !format!("{wecom:?}").contains("hunter2"));
}

#[test]
fn the_wecom_client_is_recognized_by_its_user_agent() {
    let features = config("").features();
    for own in [
        "Mozilla/5.0 (iPhone) Mobile/15E148 wxwork/4.1.30 MicroMessenger/7.0.1",
        "Mozilla/5.0 (Windows NT 10.0) WXWork/4.1.26 (MicroMessenger/6.2) WindowsWechat",
        "Mozilla/5.0 (Linux) wxworklocal/3.2.200 wwlocal/3.2.200 wxwork/4.0.0",
    ] {
        assert!(features.is_app_of_source(own), "{own}");
    }
    for other in [
        "",
        "Mozilla/5.0 Chrome/118",
        "Mozilla/5.0 MicroMessenger/8.0.0",
        "wxwork",
    ] {
        assert!(!features.is_app_of_source(other), "{other}");
    }
}

#[test]
fn invalid_settings_are_refused() {
    for bad in [
        "corp_id = ''",
        "corp_id = 'a:b'",
        "api_base = 'ftp://qyapi.weixin.qq.com'",
        "login_url = 'mailto:a@b'",
        "authorize_url = 'data:x'",
    ] {
        assert!(
            matches!(build(bad, CALLBACK), Err(ConnectorBuildError::Setting(_))),
            "{bad}"
        );
    }
    let forced = |more: &str| config(more).features().forced_mode;
    assert_eq!(forced("mode = 'web'"), Some(Mode::Web));
    assert_eq!(forced(""), None);
}

#[test]
fn the_default_mapping_fills_the_fields_of_an_account() {
    let mapping = Mapping::build(MAPPING, &MappingConfig::default(), "").unwrap();
    let map = |raw: serde_json::Value| mapping.map(&raw).unwrap();
    let mapped = map(serde_json::json!({
        "userid": "ZhangSan", "name": "张三", "mobile": "138", "email": "own@home",
        "biz_mail": "zhangsan@corp.example", "tags": ["boss"], "department_names": ["平台部"],
        "department_paths": ["总公司/平台部"], "department_ids": [3], "status": 1,
        "gender": "1", "position": "工程师", "is_leader_in_dept": [0],
    }));
    assert_eq!(mapped.login.as_str(), "ZhangSan");
    assert_eq!(
        mapped.fields.email.as_deref(),
        Some("zhangsan@corp.example")
    );
    assert_eq!(mapped.fields.groups, ["boss"]);
    assert_eq!(mapped.fields.department_paths, ["总公司/平台部"]);
    assert_eq!(mapped.fields.department_ids, ["3"]);
    assert_eq!(
        mapped.fields.attributes["is_leader"],
        serde_json::json!([0])
    );
    for (own, expected) in [("own@home", Some("own@home")), ("", None)] {
        let raw = serde_json::json!({ "userid": "a", "biz_mail": "", "email": own });
        assert_eq!(map(raw).fields.email.as_deref(), expected);
    }
    let least = map(serde_json::json!({ "userid": "a" }));
    assert_eq!(least.fields, crate::people::profile::UserFields::default());
}
