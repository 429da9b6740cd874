//! The settings of `[connector.ID.wecom]`, most of them copied from the WeCom console.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::super::kit::directory_settings::{default_revalidate, default_sync_brake, sync_rules};
use super::super::kit::invalid_values::{InvalidValue, invalid_values};
use super::super::kit::login_page::LoginPage;
use super::super::kit::web_url::{WEB_URL_RULE, default_url, is_web_url};
use super::EventsConfig;
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

/// Login with WeCom (企业微信).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The corporation's ID: 我的企业 → 企业信息 → 企业ID. It is `ww` (older ones `wx`) and sixteen of
    /// 0-9 and a-f.
    pub corp_id: String,
    /// The application's number: 应用管理 → the application → AgentId.
    pub agent_id: u64,
    /// The application's Secret, from the same page. The Secret of another application or of 通讯录同步
    /// does not work.
    pub secret: SecretSource,
    /// What a login inside the WeCom client requests. `snsapi_base` needs no consent;
    /// `snsapi_privateinfo` asks the person to share mobile, e-mail and portrait.
    #[serde(default)]
    pub scope: AuthorizeScope,
    /// The login page. `auto` uses the silent page inside the WeCom client and the QR page in other
    /// browsers; `web` and `in-app` always use one of them.
    #[serde(default)]
    pub mode: LoginPage,
    /// The URL scheme of the mobile SDK (企业微信授权登录 → iOS / Android → Schema), for your own apps.
    #[serde(default)]
    pub schema: Option<String>,
    /// How often WeCom is asked about each person who is signed in: people who left or are disabled are
    /// signed out, and changed departments take effect. `0s`: never.
    #[serde(default = "default_revalidate")]
    pub revalidate: Period,
    /// The Secret of 通讯录同步 (管理工具 → 通讯录同步). With it a directory sync knows who left the corporation
    /// and who is only outside of the application's 可见范围.
    #[serde(default)]
    pub contact_secret: Option<SecretSource>,
    /// How often all departments and members that the application may see are read into the directory;
    /// absent: only by `menshen people sync` and the admin API. With it, a member or department that an
    /// event names is read as well.
    #[serde(default)]
    pub sync_every: Option<Period>,
    /// A directory sync that would close more than so many per cent of the connector's people is refused,
    /// unless it is forced. 100: never.
    #[serde(default = "default_sync_brake")]
    pub sync_brake: u8,
    /// The base URL of the API. Change it for a private deployment or a relay with a fixed address.
    #[serde(default = "default_api_base")]
    pub api_base: Url,
    /// The login page for the WeCom client.
    #[serde(default = "default_authorize_url")]
    pub authorize_url: Url,
    /// The login page for other browsers, with a QR code or the desktop client.
    #[serde(default = "default_login_url")]
    pub login_url: Url,
    /// Events of WeCom: people who leave are signed out at once.
    #[serde(default)]
    pub events: Option<EventsConfig>,
}

/// What a login inside the client requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
pub enum AuthorizeScope {
    /// The userid only, without consent.
    #[default]
    #[serde(rename = "snsapi_base")]
    Base,
    /// Also the fields that newer applications get only with consent.
    #[serde(rename = "snsapi_privateinfo")]
    PrivateInfo,
}

impl AuthorizeScope {
    /// The value of the `scope` parameter.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::PrivateInfo => "snsapi_privateinfo",
        }
    }
}

impl Config {
    /// The keys with invalid values, each with its rule.
    pub(super) fn invalid_values(&self) -> Vec<InvalidValue> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_corp_id = !self.corp_id.is_empty() && self.corp_id.chars().all(is_allowed);
        let rules = [
            (
                "corp_id",
                is_corp_id,
                text!("consists of letters and digits", "由字母和数字组成"),
            ),
            ("api_base", is_web_url(&self.api_base), WEB_URL_RULE),
            (
                "authorize_url",
                is_web_url(&self.authorize_url),
                WEB_URL_RULE,
            ),
            ("login_url", is_web_url(&self.login_url), WEB_URL_RULE),
        ];
        let sync_rules = sync_rules(self.sync_every, self.sync_brake);
        invalid_values(rules.into_iter().chain(sync_rules))
    }
}

fn default_api_base() -> Url {
    default_url("https://qyapi.weixin.qq.com")
}

fn default_authorize_url() -> Url {
    default_url("https://open.weixin.qq.com/connect/oauth2/authorize")
}

fn default_login_url() -> Url {
    default_url("https://login.work.weixin.qq.com/wwlogin/sso/login")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::pending::Mode;

    const REQUIRED_SETTINGS: &str = "corp_id = 'ww1'\nagent_id = 7\nsecret = 'hunter2'\n";

    #[test]
    fn three_settings_are_enough() {
        let config: Config = toml::from_str(REQUIRED_SETTINGS).unwrap();
        assert_eq!(config.api_base.as_str(), "https://qyapi.weixin.qq.com/");
        assert_eq!(
            (config.scope, config.mode.forced()),
            (AuthorizeScope::Base, None)
        );
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn unknown_keys_and_invalid_values_are_refused() {
        for more in [
            "scpe = 'x'",
            "scope = 'snsapi_userinfo'",
            "mode = 'qr'",
            "api_base = '/x'",
        ] {
            assert!(
                toml::from_str::<Config>(&format!("{REQUIRED_SETTINGS}{more}")).is_err(),
                "{more}"
            );
        }
        let more = "scope = 'snsapi_privateinfo'\nmode = 'in-app'";
        let config: Config = toml::from_str(&format!("{REQUIRED_SETTINGS}{more}")).unwrap();
        assert_eq!(config.mode.forced(), Some(Mode::InApp));
        assert_eq!(config.scope.as_str(), "snsapi_privateinfo");
    }

    #[test]
    fn an_agent_id_is_a_number() {
        let text = REQUIRED_SETTINGS.replace("agent_id = 7", "agent_id = 'ww1'");
        assert!(toml::from_str::<Config>(&text).is_err());
    }
}
