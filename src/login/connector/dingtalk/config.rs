//! The settings of `[connector.ID.dingtalk]`, most of them copied from DingTalk's developer console.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::super::kit::directory_settings::{default_revalidate, default_sync_brake, sync_rules};
use super::super::kit::invalid_values::{InvalidValue, invalid_values};
use super::super::kit::login_page::LoginPage;
use super::super::kit::web_url::{WEB_URL_RULE, default_url, is_web_url};
use super::{ClientScript, EventsConfig};
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

/// Login with DingTalk (钉钉).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The application's Client ID (formerly AppKey): 开发者后台 → 应用开发 → the application → 凭证与基础信息.
    pub app_key: String,
    /// The application's Client Secret (formerly AppSecret), from the same page.
    pub app_secret: SecretSource,
    /// The organisation's CorpId: the first page of 开发者后台. Only its internal members sign in.
    pub corp_id: String,
    /// How people sign in. `auto` asks the DingTalk client who is using it, and shows the QR page in other
    /// browsers; `web` and `in-app` always do one of them.
    #[serde(default)]
    pub mode: LoginPage,
    /// What the QR page asks for. With `openid corpid` people also choose an organisation there, and it must
    /// be this one.
    #[serde(default)]
    pub scope: AuthorizeScope,
    /// The SSOSecret (开发者后台 → the first page). With it administrators may come from the admin console to
    /// `PREFIX/enter/ID`, the 管理后台地址 of the application.
    #[serde(default)]
    pub sso_secret: Option<SecretSource>,
    /// The origins of the pages from which administrators may come, by `Origin` or `Referer`. Absent: any
    /// page. Only with `sso_secret`.
    #[serde(default)]
    pub origins: Vec<Url>,
    /// How often DingTalk is asked about each person who is signed in: people who left or are disabled are
    /// signed out, and changed departments take effect. `0s`: never.
    #[serde(default = "default_revalidate")]
    pub revalidate: Period,
    /// How often all departments and members that the application may see are read into the directory;
    /// absent: only by `menshen people sync` and the admin API. With it, a member or department that an
    /// event names is read as well.
    #[serde(default)]
    pub sync_every: Option<Period>,
    /// A directory sync that would close more than so many per cent of the connector's people is refused,
    /// unless it is forced. 100: never.
    #[serde(default = "default_sync_brake")]
    pub sync_brake: u8,
    /// DingTalk's library for pages in its client (JSAPI): its URL, which the page may load beside its own
    /// script, or `{ file = "/path" }`, a copy that menshen serves itself.
    #[serde(default = "default_jsapi_url")]
    pub jsapi_url: ClientScript,
    /// The base URL of the newer API. Change it for a private deployment or a relay.
    #[serde(default = "default_api_base")]
    pub api_base: Url,
    /// The base URL of the older API, for members and departments.
    #[serde(default = "default_oapi_base")]
    pub oapi_base: Url,
    /// The login page for browsers, with a QR code.
    #[serde(default = "default_login_url")]
    pub login_url: Url,
    /// Events of DingTalk: people who leave are signed out at once.
    #[serde(default)]
    pub events: Option<EventsConfig>,
}

/// What the login page for browsers asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
pub enum AuthorizeScope {
    /// Who the person is.
    #[default]
    #[serde(rename = "openid")]
    Person,
    /// Also which organisation the person chooses.
    #[serde(rename = "openid corpid")]
    Organisation,
}

impl AuthorizeScope {
    /// The value of the `scope` parameter.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Person => "openid",
            Self::Organisation => "openid corpid",
        }
    }
}

impl Config {
    /// The keys with invalid values, each with its rule.
    pub(super) fn invalid_values(&self) -> Vec<InvalidValue> {
        let is_id = |text: &str| {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            !text.is_empty() && text.chars().all(is_allowed)
        };
        let id_rule = text!("consists of letters and digits", "由字母和数字组成");
        let rules = [
            ("app_key", is_id(&self.app_key), id_rule.clone()),
            ("corp_id", is_id(&self.corp_id), id_rule),
            ("api_base", is_web_url(&self.api_base), WEB_URL_RULE),
            ("oapi_base", is_web_url(&self.oapi_base), WEB_URL_RULE),
            ("login_url", is_web_url(&self.login_url), WEB_URL_RULE),
            (
                "jsapi_url",
                self.jsapi_url.is_usable(),
                text!(
                    "is the http or https URL of a file, without a query, or {{ file = \"/path\" }}",
                    "应为文件的 http 或 https URL，不带查询参数，或 {{ file = \"/路径\" }}"
                ),
            ),
        ];
        let sync_rules = sync_rules(self.sync_every, self.sync_brake);
        invalid_values(rules.into_iter().chain(sync_rules))
    }
}

fn default_jsapi_url() -> ClientScript {
    ClientScript::Url(default_url(
        "https://g.alicdn.com/dingding/dingtalk-jsapi/3.0.25/dingtalk.open.js",
    ))
}

fn default_api_base() -> Url {
    default_url("https://api.dingtalk.com")
}

fn default_oapi_base() -> Url {
    default_url("https://oapi.dingtalk.com")
}

fn default_login_url() -> Url {
    default_url("https://login.dingtalk.com/oauth2/auth")
}
