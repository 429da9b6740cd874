//! `trait Connector`: one way of proving who a person is. `build()`: the one list of connectors.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use super::fields::Fields;
use super::pending::{Mode, Pending};
use crate::clock::Clock;
use crate::outbound;
use crate::people::holders::ReadsTokens;
use crate::people::profile::Profile;
use crate::people::source::Source;
use crate::secret::{Secret, SecretError, SecretSource};
use crate::store::{ConnectorId, LogoutMark};

mod error;
pub mod grant;
pub mod oauth2;
pub mod oidc;
mod presence;
pub mod wecom;

pub use error::{ConnectorError, Refusal, RefusedWhy};

/// One configured way of proving who a person is.
///
/// A connector speaks its protocol and nothing else: it never sees a cookie, mints a session,
/// chooses a return address or writes a response. Its methods may be dropped at any await; a code
/// that was on its way is then spent, and the person begins again.
#[async_trait]
pub trait Connector: Debug + Send + Sync {
    /// The name of the kind, as in the configuration: `wecom`.
    fn kind(&self) -> &'static str;

    /// Opens a login: says what the browser must do next. What the source has no word for in `ask`
    /// is left out; the route judges the session that comes of it.
    async fn begin(&self, pending: &Pending, ask: &Ask) -> Result<Challenge, ConnectorError>;

    /// Closes a login: checks what came back and says who it is. The browser was checked before.
    async fn finish(&self, pending: &Pending, answer: &Answer) -> Result<Profile, ConnectorError>;

    /// The mapping of this kind: field and CEL over `profile`.
    fn default_mapping(&self) -> &'static [(&'static str, &'static str)];

    /// Whether this User-Agent is the source's own app, where it can log in without a click.
    fn is_own_app(&self, _user_agent: &str) -> bool {
        false
    }

    /// The door every login must use, when the configuration leaves no choice to the browser.
    fn forced_mode(&self) -> Option<Mode> {
        None
    }

    /// Whether the source can be asked through this door, by [`Prompt::None`] or because it never
    /// shows anything there, who sits there now. Who it does not know comes back as
    /// [`RefusedWhy::Silent`].
    fn can_be_silent(&self, _mode: Mode) -> bool {
        false
    }

    /// Whether the answer comes back by a POST from the source's site.
    fn returns_by_post(&self) -> bool {
        false
    }

    /// What an own front end or a mobile app needs to open this login by itself.
    fn app_login(&self, _pending: &Pending) -> Option<AppLogin> {
        None
    }

    /// The same source, asked again while somebody is here, when its protocol can.
    fn source(self: Arc<Self>) -> Option<Arc<dyn Source>> {
        None
    }

    /// The same source as one whose tokens say who somebody is, when it signs such tokens.
    fn reads_tokens(self: Arc<Self>) -> Option<Arc<dyn ReadsTokens>> {
        None
    }

    /// The page that ends the source's own session in a browser, as far as it is known now; asks
    /// nobody.
    fn end_session_page(&self) -> Option<Url> {
        None
    }

    /// Where a browser goes to end the source's own session too (OpenID Connect RP-Initiated Logout
    /// 1.0), and from where it comes `back` with `state`; nothing when the source has no such page.
    /// A source that is away delays nobody: what is not known by then is left out.
    async fn end_session(
        &self,
        _id_token: Option<&Secret<String>>,
        _back: &Url,
        _state: &str,
    ) -> Option<Url> {
        None
    }

    /// What a source says it has ended, by a token that a client brought (Back-Channel Logout 1.0
    /// §2.6); nothing when its kind has no such word.
    async fn logout_notice(
        &self,
        _token: &str,
        _client: Option<IpAddr>,
    ) -> Option<Result<LogoutNotice, ConnectorError>> {
        None
    }

    /// The session a source ends through the browser (Front-Channel Logout 1.0 §3), when the request
    /// names this source and a session of it.
    fn front_channel(&self, _fields: &Fields) -> Option<LogoutMark> {
        None
    }

    /// Asks the source whether our settings are right; for `check --online`.
    async fn examine(&self) -> Vec<Finding>;
}

/// What a source says it has ended. Verified.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutNotice {
    /// Its own name: it is taken once.
    pub id: String,
    /// What it ended.
    pub mark: LogoutMark,
}

impl Debug for LogoutNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogoutNotice")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

/// What a login is asked to prove, and what may help the source; by OpenID Connect Core §3.1.2.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Authentication contexts that would do, the best first.
    pub acr_values: Vec<String>,
    /// How long ago the person may have proved themselves to the source at most.
    pub max_age: Option<Duration>,
    /// Whether the source must, or must not, show anything.
    pub prompt: Option<Prompt>,
    /// Whom it probably is.
    pub login_hint: Option<String>,
    /// In which of the source's domains they probably are.
    pub domain_hint: Option<String>,
}

/// What a source must show during a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Nothing: who is not signed in there comes back refused.
    None,
    /// The login, also to somebody who is signed in there.
    Login,
    /// Consent.
    Consent,
    /// The choice between accounts.
    SelectAccount,
}

impl Prompt {
    /// As it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }
}

/// What the browser must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Go there.
    Redirect(Url),
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Query or form, parsed once.
    pub fields: Fields,
    /// Who is counted for it; absent: a proxy that names nobody.
    pub client: Option<IpAddr>,
    /// What kind of code it carries.
    pub kind: AnswerKind,
}

/// What kind of code an answer carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerKind {
    /// From the web, the client or a native app.
    #[default]
    Code,
    /// From a mini program.
    MiniProgram,
}

/// What an own front end or a mobile app needs (`/login-config`).
#[derive(Clone, Debug, Serialize)]
pub struct AppLogin {
    /// The corporation's id.
    pub corp_id: String,
    /// The application's id within it.
    pub agent_id: String,
    /// The URL scheme of the mobile SDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Where the source returns to.
    pub redirect_uri: Url,
    /// The page for an ordinary browser.
    pub web_url: Url,
    /// The page for the source's own client.
    pub in_app_url: Url,
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

/// The settings of a connector's kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// 企业微信.
    Wecom(Box<wecom::Config>),
    /// OpenID Connect.
    Oidc(Box<oidc::Config>),
    /// OAuth 2.
    OAuth2(Box<oauth2::Config>),
}

impl Config {
    /// Whether a source of this kind can ever be asked who sits there without showing anything.
    pub fn may_be_silent(&self) -> bool {
        match self {
            Self::Wecom(config) => config.may_be_silent(),
            // `prompt=none` is of the standard.
            Self::Oidc(_) => true,
            Self::OAuth2(config) => config.preset.is_some_and(oauth2::Preset::is_silent),
        }
    }

    /// Whether a source of this kind says how somebody proved themselves (`acr`).
    pub fn says_acr(&self) -> bool {
        match self {
            Self::Oidc(_) => true,
            Self::Wecom(_) | Self::OAuth2(_) => false,
        }
    }

    /// Every secret this kind reads, for watching and for `check`.
    pub fn secrets(&self) -> Vec<&SecretSource> {
        match self {
            Self::Wecom(config) => vec![&config.secret],
            Self::Oidc(config) => config.secrets().map(|(_, secret)| secret).collect(),
            Self::OAuth2(config) => config.secrets().map(|(_, secret)| secret).collect(),
        }
    }

    /// The client in which people are signed in already, where the kind has one.
    pub fn app(&self) -> Option<&'static str> {
        match self {
            Self::Wecom(_) => Some("wecom"),
            Self::Oidc(_) => None,
            Self::OAuth2(config) => {
                let preset = config.preset.filter(|preset| preset.has_app());
                preset.map(oauth2::Preset::as_str)
            }
        }
    }
}

/// What every connector is built in.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The connector's own id.
    pub id: ConnectorId,
    /// Where the source returns to.
    pub callback: Url,
    /// What our own pages lie below, as browsers type it: `https://sso.corp.example/.menshen`.
    pub own: Url,
    /// The road to the source: outbound proxy, CA.
    pub outbound: outbound::Outbound,
    /// The time.
    pub clock: Clock,
}

/// Why a connector could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A secret could not be read.
    #[error("read its secret")]
    Secret(#[source] SecretError),
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
}

/// Builds the connector a configuration names. Reads secrets; asks nobody.
pub fn build(config: &Config, around: Surroundings) -> Result<Arc<dyn Connector>, BuildError> {
    match config {
        Config::Wecom(config) => Ok(Arc::new(wecom::WeCom::build(config, around)?)),
        Config::Oidc(config) => Ok(Arc::new(oidc::Oidc::build(config, around)?)),
        Config::OAuth2(config) => Ok(Arc::new(oauth2::OAuth2::build(config, around)?)),
    }
}
