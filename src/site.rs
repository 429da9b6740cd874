//! `Site`: one configuration, built. Immutable; replaced whole.

use std::collections::BTreeMap;

use crate::login::config::{ConnectorConfig, LoginConfig};
use crate::people::session::SessionConfig;
use crate::request::head::Trust;
use crate::request::route::RouteConfig;
use crate::store::ConnectorId;

/// What a site is built from: the parts of a configuration that may change without a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What browsers type: scheme, host and port, nothing else.
    pub external_url: url::Url,
    /// `/.menshen`.
    pub prefix: String,
    /// Whose forwarding headers count.
    pub trust: Trust,
    /// Path and content of files for proof of a domain's ownership.
    pub files: BTreeMap<String, String>,
    /// `[session]`.
    pub session: SessionConfig,
    /// `[login]`.
    pub login: LoginConfig,
    /// `[connector.ID]`.
    pub connectors: BTreeMap<ConnectorId, ConnectorConfig>,
    /// `[[route]]`.
    pub routes: Vec<RouteConfig>,
}
