//! `Kind`: the settings of one kind of connector, and what is known of it from them alone.

use std::fmt::Debug;
use std::sync::Arc;

use url::Url;

use super::{Connector, ConnectorConfig, Features};
use crate::clock::Clock;
use crate::expression::Scope;
use crate::issuer::{IssuerName, TenantName};
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
    fn problems(&self, connector: &ConnectorConfig, external_url: &Url) -> Vec<SettingProblem<'_>>;

    /// What weakens the site, each with what to do instead.
    fn warnings(&self) -> Vec<(Place<'_>, String)>;

    /// What the connector can do.
    fn features(&self) -> Features;

    /// The issuer whose tokens name the same people, when the source signs tokens.
    fn token_issuer(&self) -> Option<TokenIssuer<'_>> {
        None
    }

    /// Builds the connector. Reads secrets; asks nobody.
    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError>;
}

/// Something in the settings that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem<'a> {
    /// Which setting.
    pub place: Place<'a>,
    /// Whether its key is shown and not its value.
    pub points_at_key: bool,
    /// What is wrong.
    pub message: String,
    /// What is allowed there, or what to do.
    pub help: String,
}

impl<'a> SettingProblem<'a> {
    /// With the value of a setting.
    pub fn value(place: Place<'a>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            place,
            points_at_key: false,
            message: message.into(),
            help: help.into(),
        }
    }

    /// With a setting, or the table behind its key.
    pub fn key(place: Place<'a>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            points_at_key: true,
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
pub struct ConnectorDeps {
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
pub enum ConnectorBuildError {
    /// A secret could not be read.
    #[error("read its secret")]
    Secret(#[source] SecretError),
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
}
