//! `Kind`: the settings of one kind of connector, and what is known of it from them alone.

use std::fmt::Debug;
use std::sync::Arc;

use url::Url;

use super::{Connector, ConnectorConfig};
use crate::clock::Clock;
use crate::expression::Scope;
use crate::issuer::{IssuerName, TenantName};
use crate::login::pending::Mode;
use crate::outbound::Outbound;
use crate::secret::{SecretError, SecretSource};
use crate::setting::Place;
use crate::store::ConnectorId;

/// The settings of one kind of connector: the table `[connector.ID.NAME]`.
///
/// Each kind implements it beside its connector. Places are relative to `[connector.ID]`. All but
/// [`Kind::build`] are pure.
pub trait Kind: Debug + Send + Sync {
    /// The name of the table: `wecom`.
    fn name(&self) -> &'static str;

    /// Every secret that the table names.
    fn secrets(&self) -> Vec<(Place<'_>, &SecretSource)>;

    /// Every expression in the table. Who reads the document compiles them and points into them.
    fn expressions(&self) -> Vec<(Place<'_>, &str, Scope)> {
        Vec::new()
    }

    /// What does not fit together: in the table, with the keys that all kinds have, or with the
    /// address by which browsers know this site.
    fn problems(&self, connector: &ConnectorConfig, external_url: &Url) -> Vec<Problem<'_>>;

    /// What weakens the site, each with what to do instead.
    fn warnings(&self) -> Vec<(Place<'_>, String)>;

    /// What the connector can do.
    fn features(&self) -> Features;

    /// The issuer whose tokens name the same people, when the source signs tokens.
    fn token_issuer(&self) -> Option<TokenIssuer<'_>> {
        None
    }

    /// Builds the connector. Reads secrets; asks nobody.
    fn build(&self, deps: Deps) -> Result<Arc<dyn Connector>, BuildError>;
}

/// What a connector can do, as far as its settings say it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Features {
    /// Field and CEL over `profile`, where `[connector.ID.mapping]` says nothing else.
    pub mapping: &'static [(&'static str, &'static str)],
    /// The source's own client.
    pub app: Option<App>,
    /// The mode of every login, when the settings leave no choice to the browser.
    pub forced_mode: Option<Mode>,
    /// In which modes the source can be asked without showing anything who is signed in there, by
    /// [`super::Prompt::None`] or because it never shows anything. If it knows nobody it answers
    /// [`super::RefusedWhy::Silent`].
    pub silent_in: &'static [Mode],
    /// Which settings `silent_in` depends on, for the help of an error: `oauth2 by some presets`.
    pub silent_by: &'static str,
    /// Whether the answer comes back by a POST from the source's site.
    pub returns_by_post: bool,
    /// Whether the source says how somebody proved who they are (`acr`).
    pub says_acr: bool,
}

/// A source's own client, where people are signed in already and a login needs no click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name. Only one connector of a site can start logins by itself in one client.
    pub name: &'static str,
    /// What its User-Agent contains: any of these, in lower case. A hint, never a proof.
    pub user_agents: &'static [&'static str],
}

impl Features {
    /// Whether this User-Agent is the source's own client.
    pub fn is_own_app(&self, user_agent: &str) -> bool {
        let Some(app) = self.app else {
            return false;
        };
        let user_agent = user_agent.to_ascii_lowercase();
        app.user_agents.iter().any(|part| user_agent.contains(part))
    }

    /// Whether the source can be asked without showing anything, in a mode that the settings allow.
    pub fn may_be_silent(&self) -> bool {
        let allowed = |mode: &Mode| self.forced_mode.is_none_or(|forced| forced == *mode);
        self.silent_in.iter().any(allowed)
    }
}

/// Something in the settings that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem<'a> {
    /// Which setting.
    pub place: Place<'a>,
    /// Whether its key is shown and not its value.
    pub at_key: bool,
    /// What is wrong.
    pub message: String,
    /// What is allowed there, or what to do.
    pub help: String,
}

impl<'a> Problem<'a> {
    /// With the value of a setting.
    pub fn value(
        place: Place<'a>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem<'a> {
        Self {
            place,
            at_key: false,
            message: message.into(),
            help: help.into(),
        }
    }

    /// With a setting, or the table behind its key.
    pub fn key(
        place: Place<'a>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem<'a> {
        Self {
            at_key: true,
            ..Self::value(place, message, help)
        }
    }
}

/// An issuer whose tokens name the people of a connector.
#[derive(Clone, Copy, Debug)]
pub struct TokenIssuer<'a> {
    /// Its name.
    pub issuer: &'a IssuerName,
    /// Whose people count, where it serves many tenants.
    pub tenants: &'a [TenantName],
    /// What it calls us: the audience of the ID tokens it makes for logins here.
    pub client_id: &'a str,
}

/// What a connector is built with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The connector's own id.
    pub id: ConnectorId,
    /// Where the source returns to.
    pub callback: Url,
    /// The address below which our own pages lie, as browsers type it:
    /// `https://sso.corp.example/.menshen`.
    pub own: Url,
    /// The client for the way to the source, with its proxy and CA.
    pub outbound: Outbound,
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
