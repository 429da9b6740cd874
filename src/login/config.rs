//! `[connector.ID]` and `[login]` as they are written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::connector::{self, oauth2, oidc, wecom};
use crate::outbound::ProxyUrl;
use crate::people::profile::MappingConfig;
use crate::setting::Period;
use crate::store::LinkField;

/// One configured way of proving who a person is. The id never changes: accounts hang on it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorConfig {
    /// What people see on the sign-in page; absent: the id.
    #[serde(default)]
    pub display_name: Option<String>,
    /// When a login starts without a click: `never`, `in-app` (inside the source's own client) or
    /// `always`.
    #[serde(default)]
    pub auto_login: AutoLogin,
    /// Whether a stranger gets an account (`create`), or only those come in who have one already or
    /// are joined to one by `link_by` (`existing`).
    #[serde(default)]
    pub admission: AdmissionConfig,
    /// Fields the source vouches for that may join an account we already have.
    #[serde(default)]
    pub link_by: Vec<LinkField>,
    /// Where a login without a target lands.
    #[serde(default)]
    pub home: Home,
    /// Whether each login and refresh brings what the source says of a person now. With false they
    /// keep the login and the fields of their first login here.
    #[serde(default = "yes")]
    pub sync: bool,
    /// Put before every login of this source, to keep sources apart.
    #[serde(default)]
    pub login_prefix: String,
    /// Where the source returns to, when that is not `external_url`: scheme, host and port.
    #[serde(default)]
    pub callback_base: Option<Url>,
    /// The whole address that the source returns to, where it knows another than
    /// `PREFIX/callback/ID` and should keep it. Its path lies below `prefix`; several connectors may
    /// share one. Its host is that of `external_url`, or of `callback_base`.
    #[serde(default)]
    pub callback: Option<Url>,
    /// The HTTP proxy on the way to the source.
    #[serde(default)]
    pub proxy: Option<ProxyUrl>,
    /// A PEM file with further certificate authorities for the way to the source.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Field = CEL over `profile`, the raw answer of the source; names that are not fixed become
    /// `user.attributes`.
    #[serde(default)]
    pub mapping: MappingConfig,
    /// 企业微信.
    #[serde(default)]
    pub wecom: Option<wecom::Config>,
    /// OpenID Connect.
    #[serde(default)]
    pub oidc: Option<oidc::Config>,
    /// OAuth 2 with a profile endpoint.
    #[serde(default)]
    pub oauth2: Option<oauth2::Config>,
}

/// Why a connector's table is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// No table names a kind.
    #[error("it needs one table named after its kind, such as [connector.ID.wecom]")]
    Missing,
    /// More than one does.
    #[error("it is of one kind: keep [connector.ID.{0}] or [connector.ID.{1}]")]
    Several(&'static str, &'static str),
}

impl ConnectorConfig {
    /// The one kind it is of.
    pub fn kind(&self) -> Result<connector::Config, KindError> {
        let wecom = self.wecom.clone().map(Box::new);
        let wecom = wecom.map(connector::Config::Wecom);
        let oidc = self.oidc.clone().map(Box::new);
        let oidc = oidc.map(connector::Config::Oidc);
        let oauth2 = self.oauth2.clone().map(Box::new);
        let oauth2 = oauth2.map(connector::Config::OAuth2);
        let mut kinds = [("wecom", wecom), ("oidc", oidc), ("oauth2", oauth2)]
            .into_iter()
            .filter_map(|(name, kind)| Some((name, kind?)));
        match (kinds.next(), kinds.next()) {
            (None, _) => Err(KindError::Missing),
            (Some((_, only)), None) => Ok(only),
            (Some((first, _)), Some((second, _))) => Err(KindError::Several(first, second)),
        }
    }
}

fn yes() -> bool {
    true
}

/// When a login starts without a click.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoLogin {
    /// Never.
    Never,
    /// Inside the source's own client.
    #[default]
    InApp,
    /// Always.
    Always,
}

/// Who gets an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdmissionConfig {
    /// Everybody the source vouches for.
    #[default]
    Create,
    /// Only people the directory already has.
    Existing,
}

/// Where a login without a target lands: a path or a URL of this site.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Home {
    /// In an ordinary browser.
    pub desktop: String,
    /// On a phone.
    pub mobile: String,
}

impl Default for Home {
    fn default() -> Self {
        Self {
            desktop: "/".to_owned(),
            mobile: "/".to_owned(),
        }
    }
}

/// `[login]`: how many logins are begun and finished.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoginConfig {
    /// Begins in a minute, from one client address.
    pub begins_per_client_per_minute: u32,
    /// Begins in a minute, in all.
    pub begins_per_minute: u32,
    /// Finishes in a minute, from one client address; so many tickets to other hosts besides, and so
    /// many front-channel logouts of sessions that are not known here.
    pub finishes_per_client_per_minute: u32,
    /// Finishes in a minute, in all.
    pub finishes_per_minute: u32,
    /// After so many codes in a row that a source does not take, whoever sent one is refused for a
    /// while, and the others are asked about a few at a time. At most five of one client's count, and
    /// of an IPv6 /48 as many as leave some to others.
    pub bad_codes_max: u32,
    /// How long that while is.
    pub bad_codes_pause: Period,
    /// Origins of own front ends that may call `/login-config` and `/login` with `fetch`, and read
    /// why they get no answer of an application.
    pub origins: Vec<Url>,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self {
            begins_per_client_per_minute: 60,
            begins_per_minute: 6_000,
            finishes_per_client_per_minute: 60,
            finishes_per_minute: 6_000,
            bad_codes_max: 20,
            bad_codes_pause: Period::s(10),
            origins: Vec::new(),
        }
    }
}
