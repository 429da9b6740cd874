//! `[connector.ID]` with the list of kinds, and `trait Connector`: one way of proving who a person is.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::pending::Pending;
use crate::outbound::ProxyUrl;
use crate::people::profile::{MappingConfig, Profile};
use crate::people::source::Source;
use crate::people::token_sessions::TokenReader;
use crate::store::LinkField;

mod error;
mod exchange;
mod external_kind;
mod features;
pub mod grant;
mod kind;
mod kit;
mod logout;
pub mod oauth2;
pub mod oidc;
mod reachability;
mod settings;
pub mod wecom;

pub use error::{ConnectorError, RefusalReason, SourceRefusal};
pub use exchange::{
    AuthnRequest, AuthnResponse, Callback, CallbackMethod, Challenge, EntryPoint, LoginMethod,
    Prompt, UnsolicitedProfile,
};
use external_kind::ExternalKind;
pub use features::{Features, LocalizedText, SignInHint, SourceApp};
pub use kind::{ConnectorBuildError, ConnectorDeps, Kind, SettingProblem, TokenIssuer};
pub use logout::{LogoutNotice, ProviderLogout};
pub use settings::{AdmissionConfig, AutoLogin, HomePages};

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
    pub home: HomePages,
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
    wecom: Option<wecom::Config>,
    /// OpenID Connect.
    #[serde(default)]
    oidc: Option<oidc::Config>,
    /// OAuth 2 with a profile endpoint.
    #[serde(default)]
    oauth2: Option<oauth2::Config>,
    /// A kind that a program brings along. No document can say it.
    #[serde(skip)]
    external_kind: Option<ExternalKind>,
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
    pub fn kind(&self) -> Result<&dyn Kind, KindError> {
        let mut kinds = self.kinds();
        match (kinds.next(), kinds.next()) {
            (None, _) => Err(KindError::Missing),
            (Some(only), None) => Ok(only),
            (Some(one), Some(other)) => Err(KindError::Several(one.name(), other.name())),
        }
    }

    /// The same with a kind that comes from outside this crate, in place of the one that is written.
    pub fn with_kind(self, kind: Arc<dyn Kind>) -> Self {
        Self {
            external_kind: Some(ExternalKind(kind)),
            ..self
        }
    }

    /// Every kind whose table is written; more or less than one is an error.
    pub fn kinds(&self) -> impl Iterator<Item = &dyn Kind> {
        // The list of kinds. A kind is one field above and one line here.
        let kinds = [
            written(&self.wecom),
            written(&self.oidc),
            written(&self.oauth2),
        ];
        let external_kind = self
            .external_kind
            .as_ref()
            .map(|external_kind| &*external_kind.0);
        let written = kinds.into_iter().flatten();
        external_kind
            .into_iter()
            .chain(written.filter(move |_| external_kind.is_none()))
    }
}

fn written(table: &Option<impl Kind>) -> Option<&dyn Kind> {
    table.as_ref().map(|kind| kind as &dyn Kind)
}

fn yes() -> bool {
    true
}

/// One configured way of proving who a person is.
///
/// A connector speaks its protocol and nothing else: it never sees a cookie, mints a session,
/// chooses a return address or writes a response. Its methods may be dropped at any await; a code
/// that was on its way is then spent, and the person begins again.
#[async_trait]
pub trait Connector: Debug + Send + Sync {
    /// Opens a login: says what the browser must do next. What the source has no word for in `ask`
    /// is left out; the route judges the session that comes of it.
    async fn begin(
        &self,
        pending: &Pending,
        ask: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError>;

    /// Closes a login: checks what came back and says who it is. The browser was checked before.
    async fn finish(
        &self,
        pending: &Pending,
        answer: &AuthnResponse,
    ) -> Result<Profile, ConnectorError>;

    /// Redeems a ticket that nobody here asked for: says whom it names. Nothing but the ticket binds
    /// the answer to anybody. Only for kinds with [`Features::entry_point`].
    async fn redeem_entry_token(
        &self,
        _answer: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        Err(ConnectorError::Refused {
            why: RefusalReason::BadAnswer,
            source: SourceRefusal {
                call: "entry",
                code: 0,
                message: "nobody arrives through this kind of connector".to_owned(),
            },
        })
    }

    /// What an own front end or a mobile app needs to open this login by itself: members of the
    /// answer of `/login-config`.
    fn app_login(&self, _pending: &Pending) -> Option<Map<String, Value>> {
        None
    }

    /// The same source, asked again while somebody is here, when its protocol can.
    fn source(self: Arc<Self>) -> Option<Arc<dyn Source>> {
        None
    }

    /// The same source as one whose tokens say who somebody is, when it signs such tokens.
    fn reads_tokens(self: Arc<Self>) -> Option<Arc<dyn TokenReader>> {
        None
    }

    /// The logout of the source, when it has one.
    fn logout(&self) -> Option<&dyn ProviderLogout> {
        None
    }

    /// Asks the source whether our settings are right; for `check --online`.
    async fn examine(&self) -> Vec<Finding>;
}

/// One line of `check --online`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it should be.
    pub good: bool,
    /// What was found and, when it is not good, what to do.
    pub text: String,
}

impl Finding {
    fn good(text: impl Into<String>) -> Self {
        Self {
            good: true,
            text: text.into(),
        }
    }

    fn bad(text: impl Into<String>) -> Self {
        Self {
            good: false,
            text: text.into(),
        }
    }
}
