//! `[connector.ID.wecom]`: what an administrator copies from the WeCom console.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::login::pending::Mode;
use crate::secret::SecretSource;

/// 企业微信 as a source of logins.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The corporation's id: 我的企业 → 企业信息 → 企业ID, `ww` (older ones `wx`) and sixteen of 0-9
    /// and a-f.
    pub corp_id: String,
    /// The application's number: 应用管理 → the application → AgentId.
    pub agent_id: u64,
    /// The application's Secret, from the same page; no other application's will do, nor that of
    /// 通讯录同步.
    pub secret: SecretSource,
    /// What a login inside the WeCom client asks of the person. `snsapi_base` asks nothing;
    /// `snsapi_privateinfo` asks them to show mobile, e-mail and portrait.
    #[serde(default)]
    pub scope: AuthorizeScope,
    /// Which page logs people in. `auto` takes the silent one inside the WeCom client and the QR
    /// page elsewhere; `web` and `in-app` always take theirs.
    #[serde(default)]
    pub mode: LoginPage,
    /// The URL scheme of the mobile SDK (企业微信授权登录 → iOS / Android → Schema), handed to own
    /// apps.
    #[serde(default)]
    pub schema: Option<String>,
    /// Where the server asks. A private deployment has its own, a relay with a fixed address too.
    #[serde(default = "default_api_base")]
    pub api_base: Url,
    /// The page that logs people in inside the WeCom client.
    #[serde(default = "default_authorize_url")]
    pub authorize_url: Url,
    /// The page that logs people in elsewhere, by QR code or the desktop client.
    #[serde(default = "default_login_url")]
    pub login_url: Url,
}

/// What a login inside the client asks of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
pub enum AuthorizeScope {
    /// Nothing; the userid alone.
    #[default]
    #[serde(rename = "snsapi_base")]
    Base,
    /// To show the fields that newer applications are not given otherwise.
    #[serde(rename = "snsapi_privateinfo")]
    PrivateInfo,
}

impl AuthorizeScope {
    /// As the authorisation page wants it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::PrivateInfo => "snsapi_privateinfo",
        }
    }
}

/// Which page logs people in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginPage {
    /// The one that suits the browser.
    #[default]
    Auto,
    /// Always the QR page.
    Web,
    /// Always the silent page of the client.
    InApp,
}

impl LoginPage {
    /// The door every login must use, when there is only one.
    pub(super) fn forced(self) -> Option<Mode> {
        match self {
            Self::Auto => None,
            Self::Web => Some(Mode::Web),
            Self::InApp => Some(Mode::InApp),
        }
    }
}

impl Config {
    /// What of it makes no sense: each key, and what its value must be.
    pub(super) fn contradictions(&self) -> Vec<(&'static str, &'static str)> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let id = !self.corp_id.is_empty() && self.corp_id.chars().all(plain);
        let web = |url: &Url| matches!(url.scheme(), "http" | "https");
        let address = "begins with http:// or https://";
        let rules = [
            ("corp_id", id, "is letters and digits"),
            ("api_base", web(&self.api_base), address),
            ("authorize_url", web(&self.authorize_url), address),
            ("login_url", web(&self.login_url), address),
        ];
        let broken = rules.into_iter().filter(|(_, kept, _)| !kept);
        broken.map(|(key, _, rule)| (key, rule)).collect()
    }
}

fn default_api_base() -> Url {
    known("https://qyapi.weixin.qq.com")
}

fn default_authorize_url() -> Url {
    known("https://open.weixin.qq.com/connect/oauth2/authorize")
}

fn default_login_url() -> Url {
    known("https://login.work.weixin.qq.com/wwlogin/sso/login")
}

fn known(text: &str) -> Url {
    Url::parse(text).expect("the default addresses are written correctly")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "corp_id = 'ww1'\nagent_id = 7\nsecret = 'hunter2'\n";

    #[test]
    fn three_settings_are_enough() {
        let config: Config = toml::from_str(LEAST).unwrap();
        assert_eq!(config.api_base.as_str(), "https://qyapi.weixin.qq.com/");
        assert_eq!(
            (config.scope, config.mode.forced()),
            (AuthorizeScope::Base, None)
        );
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for more in [
            "scpe = 'x'",
            "scope = 'snsapi_userinfo'",
            "mode = 'qr'",
            "api_base = '/x'",
        ] {
            assert!(
                toml::from_str::<Config>(&format!("{LEAST}{more}")).is_err(),
                "{more}"
            );
        }
        let more = "scope = 'snsapi_privateinfo'\nmode = 'in-app'";
        let config: Config = toml::from_str(&format!("{LEAST}{more}")).unwrap();
        assert_eq!(config.mode.forced(), Some(Mode::InApp));
        assert_eq!(config.scope.as_str(), "snsapi_privateinfo");
    }

    #[test]
    fn an_agent_id_is_a_number() {
        let text = LEAST.replace("agent_id = 7", "agent_id = 'ww1'");
        assert!(toml::from_str::<Config>(&text).is_err());
    }
}
