//! The settings of `[connector.ID.yunzhijia]`, from the Yunzhijia console.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::super::kit::directory_settings::{default_revalidate, default_sync_brake, sync_rules};
use super::super::kit::invalid_values::{InvalidValue, invalid_values};
use super::super::kit::web_url::{default_url, is_web_url};
use crate::secret::SecretSource;
use crate::setting::Period;
use crate::text;

/// Login with Yunzhijia (云之家).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The application's appId: 管理中心 → 应用管理 → the light application (轻应用).
    pub app_id: String,
    /// The application's appSecret, from the same page.
    pub app_secret: SecretSource,
    /// The number of the team (团队), its eid. People of other teams are refused.
    pub eid: String,
    /// The base URL of Yunzhijia. Change it for a private deployment. Before a login its host is probed with a
    /// request for `/`, at most every ten seconds while it responds and every two while it does not. While it
    /// does not respond, no browser is redirected to it.
    #[serde(default = "default_base")]
    pub base: Url,
    /// The origins of the pages that may send people to `PREFIX/enter/ID`, by `Origin` or `Referer`. Absent:
    /// any page, and so anybody can sign a person in as somebody else. Clients that send neither header
    /// cannot open the home page of the application then.
    #[serde(default)]
    pub origins: Vec<Url>,
    /// Whether the contacts of the team (组织人员) are read: who is still in the team, and in which department.
    /// People who have left are then refused, and those who are signed in are asked about again. Absent: false.
    #[serde(default)]
    pub contacts: bool,
    /// How often Yunzhijia is asked about each person who is signed in, with `contacts`: people who left are
    /// signed out, and changed departments take effect. `0s`: never.
    #[serde(default = "default_revalidate")]
    pub revalidate: Period,
    /// How often all departments and people of the team are read into the directory, with `contacts`; absent:
    /// only by `menshen people sync` and the admin API.
    #[serde(default)]
    pub sync_every: Option<Period>,
    /// A directory sync that would close more than so many per cent of the connector's people is refused,
    /// unless it is forced. 100: never.
    #[serde(default = "default_sync_brake")]
    pub sync_brake: u8,
}

impl Config {
    /// The keys with invalid values, each with its rule.
    pub(super) fn invalid_values(&self) -> Vec<InvalidValue> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let is_id = |id: &str| !id.is_empty() && id.len() <= 64 && id.chars().all(is_allowed);
        let is_base = is_web_url(&self.base)
            && self.base.has_host()
            && self.base.query().is_none()
            && self.base.fragment().is_none()
            && self.base.username().is_empty()
            && self.base.password().is_none();
        let rules = [
            (
                "app_id",
                is_id(&self.app_id),
                text!("consists of letters and digits", "由字母和数字组成"),
            ),
            (
                "eid",
                is_id(&self.eid),
                text!("consists of letters and digits", "由字母和数字组成"),
            ),
            (
                "base",
                is_base,
                text!(
                    "begins with https:// or http:// and has no query, user or password",
                    "以 https:// 或 http:// 开头，不带查询参数、用户名和密码"
                ),
            ),
        ];
        let sync_rules = sync_rules(self.sync_every, self.sync_brake);
        invalid_values(rules.into_iter().chain(sync_rules))
    }
}

fn default_base() -> Url {
    default_url("https://www.yunzhijia.com")
}
