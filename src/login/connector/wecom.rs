//! `WeCom`: login with WeCom (企业微信).
//!
//! WeCom does not follow OAuth 2: there is no access token of a person, only one of the application. A
//! code is valid once and for five minutes; an API call with the application's token returns the
//! member it belongs to.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::timeout;
use url::Url;

use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Finding, RefusalReason, SourceRefusal,
};
use crate::login::fields::Fields;
use crate::login::pending::{Mode, Pending};
use crate::outbound::OutboundError;
use crate::people::profile::Profile;

mod api;
mod app_login;
mod config;
mod departments;
mod errors;
mod examine;
mod kind;
mod member;

use api::Api;
use app_login::AppLogin;
pub use config::{AuthorizeScope, Config, LoginPage};
use departments::Departments;
use errors::{ApiError, ConsoleSettings};
pub(super) use kind::NAME as KIND_NAME;

/// The time limit of all API calls of one login together, except for departments.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(25);

/// The kind of a code from a mini program.
const MINI_PROGRAM: &str = "miniprogram";

/// The longest accepted code, in bytes.
const CODE_BYTES_MAX: usize = 512;

/// The default mapping.
const MAPPING: &[(&str, &str)] = &[
    ("login", "profile.userid"),
    ("name", "profile.name"),
    (
        "email",
        "has(profile.biz_mail) && profile.biz_mail != '' ? profile.biz_mail : profile.email",
    ),
    ("mobile", "profile.mobile"),
    ("groups", "profile.tags"),
    ("departments", "profile.department_names"),
    ("department_paths", "profile.department_paths"),
    ("department_ids", "profile.department_ids"),
    ("avatar", "profile.avatar"),
    ("position", "profile.position"),
    ("gender", "profile.gender"),
    ("status", "profile.status"),
    ("is_leader", "profile.is_leader_in_dept"),
];

/// The connector for one application of one corporation.
#[derive(Debug)]
pub struct WeCom {
    corp_id: String,
    scope: AuthorizeScope,
    schema: Option<String>,
    authorize_url: Url,
    login_url: Url,
    callback: Url,
    console: ConsoleSettings,
    api: Api,
    departments: Departments,
}

impl WeCom {
    /// Builds the connector. Reads the secret; makes no network call.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        if let Some((key, rule)) = config.invalid_values().into_iter().next() {
            return Err(ConnectorBuildError::Setting(format!("{key} {rule}")));
        }
        let secret = config.secret.read().map_err(ConnectorBuildError::Secret)?;
        let ConnectorDeps {
            callback,
            outbound,
            clock,
            ..
        } = deps;
        let agent_id = config.agent_id.to_string();
        let console = ConsoleSettings {
            callback_host: host_and_port(&callback),
            agent_id,
        };
        let (base, corp_id) = (config.api_base.clone(), config.corp_id.clone());
        Ok(Self {
            corp_id: config.corp_id.clone(),
            scope: config.scope,
            schema: config.schema.clone(),
            authorize_url: config.authorize_url.clone(),
            login_url: config.login_url.clone(),
            callback,
            console,
            api: Api::new(outbound, base, corp_id, secret, clock.clone()),
            departments: Departments::new(clock),
        })
    }

    /// The URL of the login page for ordinary browsers;
    /// <https://developer.work.weixin.qq.com/document/path/98171>.
    fn web_url(&self, pending: &Pending) -> Url {
        let mut url = self.login_url.clone();
        url.query_pairs_mut()
            .append_pair("login_type", "CorpApp")
            .append_pair("appid", &self.corp_id)
            .append_pair("agentid", &self.console.agent_id)
            .append_pair("redirect_uri", self.callback.as_str())
            .append_pair("state", pending.flow.as_str());
        url
    }

    /// The URL of the login page for the WeCom client, which requires exactly this parameter order and
    /// fragment;
    /// <https://developer.work.weixin.qq.com/document/path/96441>.
    fn in_app_url(&self, pending: &Pending) -> Url {
        let mut url = self.authorize_url.clone();
        url.query_pairs_mut()
            .append_pair("appid", &self.corp_id)
            .append_pair("redirect_uri", self.callback.as_str())
            .append_pair("response_type", "code")
            .append_pair("scope", self.scope.as_str())
            .append_pair("state", pending.flow.as_str())
            .append_pair("agentid", &self.console.agent_id);
        url.set_fragment(Some("wechat_redirect"));
        url
    }

    /// Redeems the code and loads its member, without departments.
    async fn identify(
        &self,
        answer: &AuthnResponse,
    ) -> Result<api::ResponseObject, ConnectorError> {
        let code = code(&answer.fields)?;
        let code_owner = match answer.kind.as_deref() {
            Some(MINI_PROGRAM) => self.api.redeem_mini_program(code).await,
            _ => self.api.redeem(code).await,
        };
        let code_owner = code_owner.map_err(|error| self.connector_error(error))?;
        let userid = member::userid(&code_owner, &self.corp_id)?;
        let mut member = self
            .api
            .member(&userid)
            .await
            .map_err(|error| self.connector_error(error))?;
        member::require_active(&member, &userid)?;
        if let (AuthorizeScope::PrivateInfo, Some(ticket)) = (self.scope, &code_owner.user_ticket) {
            // A failure here ends the login: without these fields the person could get a second account.
            let detail = self
                .api
                .detail(ticket)
                .await
                .map_err(|error| self.connector_error(error))?;
            member::merge(&mut member, detail)?;
        }
        Ok(member)
    }

    fn connector_error(&self, error: ApiError) -> ConnectorError {
        error.into_error(&self.console)
    }
}

#[async_trait]
impl Connector for WeCom {
    async fn begin(
        &self,
        pending: &Pending,
        _ask: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        Ok(Challenge::Redirect(match pending.mode {
            Mode::Web => self.web_url(pending),
            Mode::InApp => self.in_app_url(pending),
        }))
    }

    async fn redeem_response(
        &self,
        _pending: &Pending,
        answer: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let identified = timeout(LOGIN_TIMEOUT, self.identify(answer)).await;
        let mut member = identified.unwrap_or_else(|_| {
            Err(ConnectorError::NoUsableResponse(OutboundError::Timeout {
                call: "the whole login",
            }))
        })?;
        let tree = self.departments.tree(|| self.api.departments()).await;
        member::add_departments(&mut member, &tree);
        member::profile(&self.corp_id, member)
    }

    fn app_login(&self, pending: &Pending) -> Option<Map<String, Value>> {
        let login = AppLogin {
            corp_id: &self.corp_id,
            agent_id: &self.console.agent_id,
            schema: self.schema.as_deref(),
            redirect_uri: &self.callback,
            web_url: self.web_url(pending),
            in_app_url: self.in_app_url(pending),
        };
        Some(login.members())
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}

/// The code of a response. It is missing if the person cancelled; other parameters of WeCom are
/// ignored.
fn code(fields: &Fields) -> Result<&str, ConnectorError> {
    let refusal = |message: &str| SourceRefusal {
        call: "callback",
        code: 0,
        message: message.to_owned(),
    };
    let repeated = |_| ConnectorError::InvalidResponse(refusal("a parameter is repeated"));
    fields.one("state").map_err(repeated)?;
    let Some(code) = fields.one("code").map_err(repeated)? else {
        return Err(ConnectorError::Refused {
            why: RefusalReason::Declined,
            source: refusal("the response has no code"),
        });
    };
    if code.is_empty() || code.len() > CODE_BYTES_MAX || code.chars().any(char::is_control) {
        let malformed = refusal("the code is empty, too long or malformed");
        return Err(ConnectorError::InvalidResponse(malformed));
    }
    Ok(code)
}

/// The host and, unless it is the default, the port: what the WeCom console compares.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::super::Kind as _;
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::login::return_to::ReturnTo;
    use crate::outbound::{self, Outbound};
    use crate::people::profile::{Mapping, MappingConfig};

    const CALLBACK: &str = "https://sso.corp.example:443/.menshen/callback/corp";

    /// A connector with these additional settings.
    pub(super) fn wecom(more: &str) -> WeCom {
        build(more, CALLBACK).unwrap()
    }

    fn config(more: &str) -> Config {
        let text = if more.contains("corp_id") {
            ""
        } else {
            "corp_id = 'ww6d656e7368656e01'\n"
        };
        let text = format!("{text}agent_id = 1000002\nsecret = 'hunter2'\n{more}");
        toml::from_str(&text).unwrap()
    }

    fn build(more: &str, callback: &str) -> Result<WeCom, ConnectorBuildError> {
        let deps = ConnectorDeps {
            id: "corp".parse().unwrap(),
            callback: Url::parse(callback).unwrap(),
            own: Url::parse("https://sso.corp.example/.menshen").unwrap(),
            outbound: Outbound::build(&outbound::Config::default()).unwrap(),
            clock: Clock::system(),
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

    async fn sent_to(wecom: &WeCom, pending: &Pending) -> String {
        let begun = wecom
            .begin(pending, &AuthnRequest::default())
            .await
            .unwrap();
        let Challenge::Redirect(url) = begun else {
            panic!("{begun:?}")
        };
        url.into()
    }

    fn code_error(query: &str) -> ConnectorError {
        code(&Fields::parse(query.as_bytes()).unwrap()).unwrap_err()
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
        assert_eq!(sent_to(&wecom(""), &pending).await, expected);
    }

    #[tokio::test]
    async fn the_client_is_redirected_with_parameters_in_the_required_order() {
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
        assert_eq!(sent_to(&wecom, &pending).await, expected);
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
    fn the_client_is_recognized_by_its_user_agent() {
        let features = config("").features();
        for own in [
            "Mozilla/5.0 (iPhone) Mobile/15E148 wxwork/4.1.30 MicroMessenger/7.0.1",
            "Mozilla/5.0 (Windows NT 10.0) WXWork/4.1.26 (MicroMessenger/6.2) WindowsWechat",
            "Mozilla/5.0 (Linux) wxworklocal/3.2.200 wwlocal/3.2.200 wxwork/4.0.0",
        ] {
            assert!(features.is_own_app(own), "{own}");
        }
        for other in [
            "",
            "Mozilla/5.0 Chrome/118",
            "Mozilla/5.0 MicroMessenger/8.0.0",
            "wxwork",
        ] {
            assert!(!features.is_own_app(other), "{other}");
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

    #[test]
    fn a_response_without_a_code_means_that_the_person_declined() {
        for query in ["state=abc", "state=abc&auth_code=x"] {
            let ConnectorError::Refused { why, .. } = code_error(query) else {
                panic!("{query}");
            };
            assert_eq!(why, RefusalReason::Declined);
        }
    }

    #[test]
    fn an_invalid_code_is_refused() {
        let long = format!("code={}", "x".repeat(CODE_BYTES_MAX + 1));
        for bad in [
            "code=",
            "code=a&code=b",
            "code=a&state=b&state=b",
            "code=a%00",
            &long,
        ] {
            let error = code_error(bad);
            let invalid = matches!(error, ConnectorError::InvalidResponse(_));
            assert!(invalid, "{bad}: {error:?}");
        }
        let good = Fields::parse(b"appid=ww1&code=abc&state=x&lang=zh&lang=en").unwrap();
        assert_eq!(code(&good).unwrap(), "abc");
        assert!(code(&Fields::parse(&long.as_bytes()[..long.len() - 1]).unwrap()).is_ok());
    }
}
