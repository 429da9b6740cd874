//! The settings of `[connector.ID]`, and the kinds of connectors.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::outbound::ProxyUrl;
use crate::people::profile::MappingConfig;
use crate::setting::Label;
use crate::store::{ConnectorId, LinkField};
use crate::text;
use crate::wording::{Text, error_of_text};

pub mod cas;
pub mod credentials;
pub mod custom;
pub mod dingtalk;
mod directory_events;
mod entry_settings;
mod error;
mod exchange;
mod external_kind;
mod features;
pub mod grant;
pub mod jwt;
mod kind;
pub mod kit;
pub mod lark;
pub mod ldap;
mod listed_people;
pub mod local;
mod logout;
pub mod oauth2;
pub mod oidc;
mod protocol;
mod reachability;
pub mod saml;
mod settings;
mod shared_app_token;
mod source_directory;
pub mod wecom;
pub mod yunzhijia;

pub use directory_events::{
    DeliveryRequest, DirectoryChange, DirectoryEvent, EventDelivery, EventError, EventReceiver,
};
pub(crate) use error::brought;
pub use error::{ConnectorError, RefusalReason, SourceRefusal};
pub use exchange::{
    AppPage, AppPageScripts, AuthnRequest, AuthnResponse, Callback, CallbackMethod, Challenge,
    Delivery, EntryPlace, EntryPoint, LoginMethod, LogoutMessageForm, Prompt, UnsolicitedProfile,
};
use external_kind::ExternalKind;
pub use features::{
    DirectorySyncSettings, Features, LocalizedText, SelfWrittenField, SignInHint, SourceApp,
};
pub use kind::{
    ConnectorBuildError, ConnectorDeps, FileProblems, KeptState, Kind, SettingProblem, TokenIssuer,
};
pub use listed_people::{ListedPeople, ListedPerson};
pub use local::NEW_PASSWORD_FIELD;
pub use logout::{LogoutMessage, LogoutNotice, ProviderLogout, ReceivedLogout};
pub use protocol::Connector;
pub use settings::{AdmissionConfig, AutoLogin, HomePages, JoinConfig};
pub use shared_app_token::{CurrentAppToken, DiscardedRecently, SharedAppToken};
pub use source_directory::{MemberPage, OpenDirectory, PersonAnswer, SourceDirectory};

/// One connector: a source that proves who people are. Never change its ID: accounts depend on it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorConfig {
    /// The name on the sign-in page: a text, or `{ zh = "企业微信", en = "WeCom" }`; absent: the ID.
    #[serde(default)]
    pub display_name: Option<Label>,
    /// Whether people may sign in with it. With false nobody does, and the sessions that began with it end;
    /// accounts stay. Absent: true, unless an administrator has disabled it in the console.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// When a login starts without a click: `never`, `in-app` (inside the source's own app) or
    /// `always`.
    #[serde(default)]
    pub auto_login: AutoLogin,
    /// Whether a new person gets an account (`create`), or only people sign in who have one or are
    /// linked to one by `link_by` (`existing`).
    #[serde(default)]
    pub admission: AdmissionConfig,
    /// Fields verified by the source that link a new person to an existing account.
    #[serde(default)]
    pub link_by: Vec<LinkField>,
    /// Whether a signed-in person may add an identity of this source to their account, at
    /// `PREFIX/start?connector=ID&link=1`. They sign in at the source and confirm on a page; from then on
    /// they can sign in with either.
    #[serde(default)]
    pub link_on_request: bool,
    /// Where a login without a return address ends.
    #[serde(default)]
    pub home: HomePages,
    /// What menshen itself gives people whose account this connector creates. Absent: nothing.
    #[serde(default)]
    pub join: Option<JoinConfig>,
    /// Whether each login and refresh updates a person's login name and fields. With false they stay
    /// as at the first login.
    #[serde(default = "yes")]
    pub sync: bool,
    /// Whether the source must confirm, without a click, who is signed in when a top-level page is loaded,
    /// on routes that have no `reload_user` of their own. Only people who signed in here are concerned. A
    /// source that does not support this is not asked.
    #[serde(default)]
    pub reload_user: bool,
    /// A prefix for every login name of this source, to keep sources apart.
    #[serde(default)]
    pub login_prefix: String,
    /// Scheme, host and port of the callback URL, if they differ from `external_url`.
    #[serde(default)]
    pub callback_base: Option<Url>,
    /// The whole callback URL, if the source has another one registered than `PREFIX/callback/ID`. Its
    /// path must be below `prefix`; several connectors may share one. Its host is that of
    /// `external_url` or `callback_base`.
    #[serde(default)]
    pub callback: Option<Url>,
    /// An HTTP proxy for calls to the source.
    #[serde(default)]
    pub proxy: Option<ProxyUrl>,
    /// A PEM file with additional certificate authorities for calls to the source.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The same certificate authorities as PEM in the configuration itself; not together with `ca`.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// Field = CEL over `profile`, the profile as the source sends it. Fields with other names become
    /// `user.attributes`.
    #[serde(default)]
    pub mapping: MappingConfig,
    /// 企业微信.
    #[serde(default)]
    wecom: Option<wecom::Config>,
    /// OpenID Connect.
    #[serde(default)]
    oidc: Option<oidc::Config>,
    /// OAuth 2 with a profile endpoint.
    #[serde(default)]
    oauth2: Option<oauth2::Config>,
    /// People whom a file lists, or whom the store keeps.
    #[serde(default)]
    local: Option<local::Config>,
    /// A signed token of a portal.
    #[serde(default)]
    jwt: Option<jwt::Config>,
    /// A CAS server, such as Apereo CAS.
    #[serde(default)]
    cas: Option<cas::Config>,
    /// LDAP: Active Directory, OpenLDAP, FreeIPA.
    #[serde(default)]
    ldap: Option<ldap::Config>,
    /// SAML 2.0: Keycloak, Entra ID, AD FS, Shibboleth.
    #[serde(default)]
    saml: Option<saml::Config>,
    /// 飞书, or Lark.
    #[serde(default)]
    lark: Option<lark::Config>,
    /// 钉钉.
    #[serde(default)]
    dingtalk: Option<dingtalk::Config>,
    /// A portal whose protocol the steps describe.
    #[serde(default)]
    custom: Option<custom::Config>,
    /// 云之家.
    #[serde(default)]
    yunzhijia: Option<yunzhijia::Config>,
    /// The version of the managed settings in which it was last changed; 0 for one of the file.
    #[serde(skip)]
    settings_version: u64,
    /// A kind from outside this crate, which no configuration file can name.
    #[serde(skip)]
    external_kind: Option<ExternalKind>,
}

pub const KIND_NAMES: [&str; 12] = [
    wecom::KIND_NAME,
    oidc::KIND_NAME,
    oauth2::KIND_NAME,
    local::KIND_NAME,
    jwt::KIND_NAME,
    cas::KIND_NAME,
    ldap::KIND_NAME,
    saml::KIND_NAME,
    lark::KIND_NAME,
    dingtalk::KIND_NAME,
    custom::KIND_NAME,
    yunzhijia::KIND_NAME,
];

/// Why a connector has no single kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindError {
    Missing,
    Several(&'static str, &'static str),
}

impl KindError {
    /// What the connector `id` needs.
    pub fn text_of(&self, id: &str) -> Text {
        match self {
            Self::Missing => {
                let (tables, zh) = (kind_tables(id, " or "), kind_tables(id, " 或 "));
                text!(
                    "it needs one table named after its kind: {tables}",
                    "需要一个以种类命名的表：{zh}"
                )
            }
            Self::Several(one, other) => text!(
                "it can have only one kind: keep [connector.{id}.{one}] or [connector.{id}.{other}]",
                "只能有一个种类：请保留 [connector.{id}.{one}] 或 [connector.{id}.{other}]"
            ),
        }
    }

    fn text(&self) -> Text {
        self.text_of("ID")
    }
}

error_of_text!(KindError);

impl ConnectorConfig {
    /// The kind of this connector.
    pub fn kind(&self) -> Result<&dyn Kind, KindError> {
        let mut kinds = self.configured_kinds();
        match (kinds.next(), kinds.next()) {
            (None, _) => Err(KindError::Missing),
            (Some(only), None) => Ok(only),
            (Some(one), Some(other)) => Err(KindError::Several(one.name(), other.name())),
        }
    }

    /// The name on pages: the ID if it has none.
    pub fn shown_name(&self, id: &ConnectorId) -> Label {
        let name = self.display_name.clone();
        name.unwrap_or_else(|| Label::of_id(id))
    }

    /// The version of the managed settings in which it was last changed; 0 for one of the file.
    pub fn settings_version(&self) -> u64 {
        self.settings_version
    }

    /// The same settings as of a version of the managed ones.
    pub fn with_settings_version(self, settings_version: u64) -> Self {
        Self {
            settings_version,
            ..self
        }
    }

    /// The same settings with a kind from outside this crate.
    pub fn with_kind(self, kind: Arc<dyn Kind>) -> Self {
        Self {
            external_kind: Some(ExternalKind(kind)),
            ..self
        }
    }

    /// The kinds that have a table in this connector; a valid connector has one.
    pub fn configured_kinds(&self) -> impl Iterator<Item = &dyn Kind> {
        // A new kind needs a field above, a name in `KIND_NAMES` and a line in this list.
        let kinds: [_; KIND_NAMES.len()] = [
            as_kind(&self.wecom),
            as_kind(&self.oidc),
            as_kind(&self.oauth2),
            as_kind(&self.local),
            as_kind(&self.jwt),
            as_kind(&self.cas),
            as_kind(&self.ldap),
            as_kind(&self.saml),
            as_kind(&self.lark),
            as_kind(&self.dingtalk),
            as_kind(&self.custom),
            as_kind(&self.yunzhijia),
        ];
        let external_kind = self
            .external_kind
            .as_ref()
            .map(|external_kind| &*external_kind.0);
        let configured = kinds.into_iter().flatten();
        external_kind
            .into_iter()
            .chain(configured.filter(move |_| external_kind.is_none()))
    }
}

fn kind_tables(id: &str, or: &str) -> String {
    let tables = KIND_NAMES.map(|name| format!("[connector.{id}.{name}]"));
    tables.join(or)
}

fn as_kind(table: &Option<impl Kind>) -> Option<&dyn Kind> {
    table.as_ref().map(|kind| kind as &dyn Kind)
}

/// The default of `sync`.
fn yes() -> bool {
    true
}

/// One result line of `check --online`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub good: bool,
    /// The result and, for a bad one, the remedy.
    pub text: Text,
}

impl Finding {
    fn good(text: Text) -> Self {
        Self { good: true, text }
    }

    fn bad(text: Text) -> Self {
        Self { good: false, text }
    }
}
