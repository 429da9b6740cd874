//! `BuildError`: why a site could not be built.

use std::path::PathBuf;

use crate::expression::CompileError;
use crate::keys::KeyError;
use crate::login;
use crate::request::console::ConsoleRuleError;
use crate::request::{bearer, forward};
use crate::secret::SecretError;
use crate::store::{ConnectorId, StoreError};
use crate::telemetry::error_chain;
use crate::wording::full_path;

use super::pages::LogoError;
use super::settings::{ChangeError, SettingsError};

/// Why a site could not be built. The active site is kept.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{key}")]
    Secret {
        key: String,
        #[source]
        source: SecretError,
    },
    #[error("[session] keys")]
    Keys(#[source] KeyError),
    #[error("read the session key")]
    Store(#[source] StoreError),
    #[error("route {route}: {key} does not compile")]
    Expression {
        route: String,
        key: String,
        #[source]
        source: CompileError,
    },
    #[error("route {route}: `{header}` is not a header that can be set")]
    Header { route: String, header: String },
    #[error(
        "route {route}: upstream_tls: read {}: it must exist and be readable by the user menshen runs as",
        full_path(path)
    )]
    UpstreamTlsFile {
        route: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("route {route}: upstream_tls")]
    UpstreamTls {
        route: String,
        #[source]
        source: forward::TlsMaterialError,
    },
    #[error("[pages] logo")]
    Logo(#[source] LogoError),
    #[error("the console")]
    Console(#[source] ConsoleRuleError),
    #[error("build the connectors")]
    Login(#[source] login::BuildError),
    #[error("use the managed settings")]
    Settings(#[from] SettingsError),
    /// Managed connectors and the file contradict each other.
    #[error("put the managed settings and the file together")]
    Managed(#[source] Box<ChangeError>),
    #[error("build the issuers of bearer tokens")]
    Bearer(#[source] bearer::BuildError),
    #[error("build the connection pools of the upstreams")]
    Forward(#[source] forward::BuildError),
}

impl BuildError {
    /// The connector that cannot be built, if that is the reason.
    pub fn connector(&self) -> Option<&ConnectorId> {
        match self {
            Self::Login(error) => Some(error.connector()),
            _ => None,
        }
    }

    /// Why, without the name of the connector.
    pub fn reason(&self) -> String {
        match self {
            Self::Login(error) => error.reason(),
            error => error_chain(error).to_string(),
        }
    }
}

impl From<ChangeError> for BuildError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Settings(error) => Self::Settings(error),
            error => Self::Managed(Box::new(error)),
        }
    }
}
