//! The parts of the configuration from which a site is built.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::settings::{FileSettings, ManagedConfig};
use super::{ConsoleConfig, PagesConfig};
use crate::login::config::LoginConfig;
use crate::login::connector::ConnectorConfig;
use crate::people::session::SessionConfig;
use crate::request::bearer::{IssuerConfig, IssuerId};
use crate::request::head::{OriginalHeader, Trust};
use crate::request::route::RouteConfig;
use crate::store::ConnectorId;

/// The parts of the configuration that a reload may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The scheme, host and port of menshen as browsers see them.
    pub external_url: Url,
    /// The prefix of menshen's own paths, such as `/.menshen`.
    pub prefix: String,
    /// The proxies whose forwarding headers are trusted.
    pub trust: Trust,
    /// The header from which `/auth` reads the original URI.
    pub original_uri_header: OriginalHeader,
    /// The files that prove the ownership of a domain: content by path.
    pub verification_files: BTreeMap<String, String>,
    pub session: SessionConfig,
    pub login: LoginConfig,
    /// `[connector.ID]`.
    pub connectors: BTreeMap<ConnectorId, ConnectorConfig>,
    /// `[issuer.NAME]`.
    pub issuers: BTreeMap<IssuerId, IssuerConfig>,
    /// `[[route]]`.
    pub routes: Vec<RouteConfig>,
    pub console: Option<ConsoleConfig>,
    pub pages: PagesConfig,
    /// The percentage of the concurrent requests to all upstreams of a route that one client may have.
    pub client_share_max_percent: u8,
    /// The percentage of the concurrent requests to each upstream that all anonymous clients together may
    /// have.
    pub anonymous_share_max_percent: u8,
    /// After how long an open response or upload is authorized again: `server.limits.judged_again_after`.
    pub recheck_after: Duration,
    pub managed: ManagedConfig,
    /// Where the file has what API and console must not change.
    pub file: FileSettings,
    /// The first path segments of own pages below `prefix`, which no callback can have.
    pub own_pages: &'static [&'static str],
}
