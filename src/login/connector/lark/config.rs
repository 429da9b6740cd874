//! The settings of `[connector.ID.lark]`, most of them copied from the developer console.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::super::kit::directory_settings::{default_revalidate, default_sync_brake, sync_rules};
use super::super::kit::invalid_values::{InvalidValue, invalid_values};
use super::super::kit::web_url::{WEB_URL_RULE, below, default_url, is_web_url};
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

/// Login with Feishu (飞书) or Lark.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The ID of the self-built application (企业自建应用): 凭证与基础信息 → App ID. It begins with `cli_`.
    pub app_id: String,
    /// Its App Secret, from the same page.
    pub app_secret: SecretSource,
    /// The tenant whose people may sign in. Absent: the tenant of the application, which Lark is asked for
    /// once; the application then needs the permission `tenant:tenant:readonly`.
    #[serde(default)]
    pub tenant_key: Option<String>,
    /// `feishu`, or `lark` for tenants of the international service.
    #[serde(default)]
    pub brand: Brand,
    /// Permissions to ask each person for, in addition to those of the application.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether the contact API is asked about people: their status and their departments. People who are
    /// frozen, have left or have not joined are then refused, and those who are signed in are asked about
    /// again. The application needs permissions for contacts. Absent: false.
    #[serde(default)]
    pub contacts: bool,
    /// How often Lark is asked about each person who is signed in, with `contacts`. `0s`: never.
    #[serde(default = "default_revalidate")]
    pub revalidate: Period,
    /// How often all departments and people that the application may see are read into the directory, with
    /// `contacts`; absent: only by `menshen people sync` and the admin API. With it, a person or department
    /// that an event names is read as well.
    #[serde(default)]
    pub sync_every: Option<Period>,
    /// A directory sync that would close more than so many per cent of the connector's people is refused,
    /// unless it is forced. 100: never.
    #[serde(default = "default_sync_brake")]
    pub sync_brake: u8,
    /// The base URL of the API. Absent: that of `brand`.
    #[serde(default)]
    pub api_base: Option<Url>,
    /// The base URL of the login page. Absent: that of `brand`.
    #[serde(default)]
    pub accounts_base: Option<Url>,
    /// The login page. Absent: the one below `accounts_base`.
    #[serde(default)]
    pub authorize_url: Option<Url>,
    /// The token endpoint. Absent: version 2, below `api_base`. Before a login its host is probed as for
    /// `oauth2`.
    #[serde(default)]
    pub token_url: Option<Url>,
    /// Events of Lark, with `contacts`: people who leave are signed out at once.
    #[serde(default)]
    pub events: Option<EventsConfig>,
}

/// The service of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Brand {
    /// 飞书.
    #[default]
    Feishu,
    /// Lark, outside China.
    Lark,
}

/// `[connector.ID.lark.events]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// The Verification Token of the receiving URL `PREFIX/events/ID`: 事件与回调 → 加密策略.
    pub verification_token: SecretSource,
    /// The Encrypt Key from the same page. With it every event is encrypted and signed, and others are
    /// refused.
    #[serde(default)]
    pub encrypt_key: Option<SecretSource>,
    /// How far the time at which a delivery was signed may be from the clock of this machine. Lark repeats
    /// what it could not deliver for about seven hours.
    #[serde(default = "default_time_tolerance")]
    pub time_tolerance: Period,
}

fn default_time_tolerance() -> Period {
    Period::s(8 * 3600)
}

impl Brand {
    fn api_base(self) -> &'static str {
        match self {
            Self::Feishu => "https://open.feishu.cn",
            Self::Lark => "https://open.larksuite.com",
        }
    }

    fn accounts_base(self) -> &'static str {
        match self {
            Self::Feishu => "https://accounts.feishu.cn",
            Self::Lark => "https://accounts.larksuite.com",
        }
    }
}

impl Config {
    pub(super) fn api_base(&self) -> Url {
        let base = self.api_base.clone();
        base.unwrap_or_else(|| default_url(self.brand.api_base()))
    }

    pub(super) fn authorize_url(&self) -> Url {
        self.authorize_url.clone().unwrap_or_else(|| {
            let base = self.accounts_base.clone();
            let base = base.unwrap_or_else(|| default_url(self.brand.accounts_base()));
            below(&base, ["open-apis", "authen", "v1", "authorize"])
        })
    }

    pub(super) fn token_url(&self) -> Url {
        self.token_url.clone().unwrap_or_else(|| {
            below(
                &self.api_base(),
                ["open-apis", "authen", "v2", "oauth", "token"],
            )
        })
    }

    /// The configured URLs, with their keys.
    pub(super) fn urls(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        [
            ("api_base", &self.api_base),
            ("accounts_base", &self.accounts_base),
            ("authorize_url", &self.authorize_url),
            ("token_url", &self.token_url),
        ]
        .into_iter()
        .filter_map(|(key, url)| url.as_ref().map(|url| (key, url)))
    }

    /// The keys with invalid values, each with its rule.
    pub(super) fn invalid_values(&self) -> Vec<InvalidValue> {
        let is_key = |text: &String| is_identifier(text);
        let is_scope =
            |scope: &String| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic());
        let rules = [
            (
                "app_id",
                is_identifier(&self.app_id),
                text!(
                    "consists of letters, digits and `_`, as in cli_a1b2c3",
                    "由字母、数字和 `_` 组成，例如 cli_a1b2c3"
                ),
            ),
            (
                "tenant_key",
                self.tenant_key.as_ref().is_none_or(is_key),
                text!(
                    "consists of letters, digits, `_` and `-`",
                    "由字母、数字、`_` 和 `-` 组成"
                ),
            ),
            (
                "scopes",
                self.scopes.iter().all(is_scope),
                text!(
                    "are names such as contact:user.email:readonly, each a text of its own",
                    "应为 contact:user.email:readonly 这样的名字，每个各写一段文本"
                ),
            ),
        ];
        let urls = self
            .urls()
            .map(|(key, url)| (key, is_web_url(url), WEB_URL_RULE));
        let sync_rules = sync_rules(self.sync_every, self.sync_brake);
        invalid_values(rules.into_iter().chain(sync_rules).chain(urls))
    }
}

/// Whether a text can be an ID of Lark: of an application, a tenant, a person or a department.
pub(super) fn is_identifier(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED_SETTINGS: &str = "app_id = 'cli_1'\napp_secret = 'hunter2'\n";

    fn config(more: &str) -> Config {
        toml::from_str(&format!("{REQUIRED_SETTINGS}{more}")).unwrap()
    }

    #[test]
    fn the_brand_decides_where_the_service_is_and_each_url_may_be_given() {
        for (more, authorize, token) in [
            (
                "",
                "https://accounts.feishu.cn/open-apis/authen/v1/authorize",
                "https://open.feishu.cn/open-apis/authen/v2/oauth/token",
            ),
            (
                "brand = 'lark'",
                "https://accounts.larksuite.com/open-apis/authen/v1/authorize",
                "https://open.larksuite.com/open-apis/authen/v2/oauth/token",
            ),
            (
                "api_base = 'https://relay.corp.example/feishu/'\naccounts_base = 'https://a.example'",
                "https://a.example/open-apis/authen/v1/authorize",
                "https://relay.corp.example/feishu/open-apis/authen/v2/oauth/token",
            ),
            (
                "authorize_url = 'https://a.example/x'\ntoken_url = 'https://b.example/oauth/v3/token'",
                "https://a.example/x",
                "https://b.example/oauth/v3/token",
            ),
        ] {
            let config = config(more);
            assert_eq!(config.authorize_url().as_str(), authorize, "{more}");
            assert_eq!(config.token_url().as_str(), token, "{more}");
            assert_eq!(config.invalid_values(), [], "{more}");
        }
        assert!(!format!("{:?}", config("")).contains("hunter2"));
    }

    #[test]
    fn invalid_values_are_named() {
        for (more, key) in [
            ("tenant_key = ''", "tenant_key"),
            ("tenant_key = 'a:b'", "tenant_key"),
            ("scopes = ['a b']", "scopes"),
            ("scopes = ['']", "scopes"),
            ("sync_every = '500ms'", "sync_every"),
            ("sync_brake = 101", "sync_brake"),
            ("api_base = 'ftp://open.feishu.cn'", "api_base"),
            ("token_url = 'mailto:a@b'", "token_url"),
        ] {
            let invalid = config(more).invalid_values();
            let keys: Vec<_> = invalid.iter().map(|(key, _)| *key).collect();
            assert_eq!(keys, [key], "{more}");
        }
        let empty = REQUIRED_SETTINGS.replace("cli_1", "");
        let config: Config = toml::from_str(&empty).unwrap();
        assert_eq!(config.invalid_values()[0].0, "app_id");
    }
}
