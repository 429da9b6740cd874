//! `Config`: the document as typed values. Parse, say where it is wrong.
//!
//! Parsing is pure: it reads no file, no secret and no clock. Whoever gets a [`Config`] holds a
//! document whose every value was parsed by its own type and whose parts fit together; building a
//! [`crate::site::Site`] from [`Config::site`] can then only fail on the world.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::keys;
use crate::login::config::LoginConfig;
use crate::login::connector::ConnectorConfig;
use crate::open_files::OpenFiles;
use crate::people::session::SessionConfig;
use crate::request::bearer::{IssuerConfig, IssuerId};
use crate::request::route::RouteConfig;
use crate::secret::SecretSource;
use crate::setting::UnsupportedKey;
use crate::site;
use crate::store::ConnectorId;

mod error;
mod parse_error;
mod reload;
mod server;
mod text;
mod validate;
mod warn;

pub use crate::door::{ListenConfig, ServerLimits, TlsConfig};
pub use crate::face::CheckConfig;
pub use crate::face::admin::AdminConfig;
pub use crate::face::ext_authz::ExtAuthzConfig;
pub use crate::telemetry::LogConfig;
pub use error::{ConfigError, Problem};
pub use server::{
    ExternalUrl, FilePath, OwnPrefix, ServerConfig, ServerConfigError, StoreConfig, TrustedProxy,
};
pub use warn::Warning;

use crate::setting::Place;
use text::ConfigText;

/// menshen's configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens and what browsers call it.
    pub server: ServerConfig,
    /// Metrics, health and the admin API, on a listener of their own. Absent: none.
    #[serde(default)]
    pub admin: Option<AdminConfig>,
    /// Envoy's ext_authz over gRPC. Absent: not spoken.
    #[serde(default)]
    pub ext_authz: Option<ExtAuthzConfig>,
    /// How long somebody who logged in is here, and the cookie that says so.
    #[serde(default)]
    pub session: SessionConfig,
    /// Where accounts, sessions and revocations are kept.
    #[serde(default)]
    pub store: StoreConfig,
    /// How many logins are begun and finished.
    #[serde(default)]
    pub login: LoginConfig,
    /// What is written to the log.
    #[serde(default)]
    pub log: LogConfig,
    /// Ways of proving who a person is. The id never changes: accounts hang on it.
    #[serde(default)]
    pub connector: BTreeMap<ConnectorId, ConnectorConfig>,
    /// The ways through the house. The host is chosen first (exact, then the longest wildcard,
    /// then any), then the longest path within it.
    #[serde(default)]
    pub route: Vec<RouteConfig>,
    /// The check faces for other proxies.
    #[serde(default)]
    pub check: CheckConfig,
    /// Whose bearer tokens routes may name in `issuers`. A token lets a program in, or a person
    /// where `people` says so.
    #[serde(default)]
    pub issuer: BTreeMap<IssuerId, IssuerConfig>,
    /// The web console.
    #[serde(default)]
    pub console: Option<UnsupportedKey>,
    #[serde(skip)]
    source: ConfigText,
}

impl Config {
    /// Parses a document. `name` is what errors call it, usually its path.
    ///
    /// Pure: reads nothing else. The error names every place that does not fit, with line, column
    /// and what is allowed there, and shows no secret.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        let source = ConfigText::new(text, name);
        let mut config: Self = toml::from_str(text).map_err(|error| {
            ConfigError::new(&source, vec![parse_error::problem(&source, &error)])
        })?;
        config.source = source;
        let problems = validate::problems(&config);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::new(&config.source, problems))
        }
    }

    /// Which document this is, in sixteen hexadecimal digits: the same text, the same digits.
    pub fn hash(&self) -> String {
        let digest = keys::fingerprint(&[b"config", self.source.text.as_bytes()]);
        let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        digits.collect()
    }

    /// The part a site is built from.
    pub fn site(&self) -> site::Config {
        let files = self.server.files.iter();
        site::Config {
            external_url: self.server.external_url.url().clone(),
            prefix: self.server.prefix.as_str().to_owned(),
            trust: server::trust(&self.server),
            original: self.check.original,
            files: files
                .map(|(path, content)| (path.as_str().to_owned(), content.clone()))
                .collect(),
            session: self.session.clone(),
            login: self.login.clone(),
            connectors: self.connector.clone(),
            issuers: self.issuer.clone(),
            routes: self.route.clone(),
            upstream_share: self.server.limits.upstream_share,
            upstream_share_anonymous: self.server.limits.upstream_share_anonymous,
            recheck_after: self.server.limits.judged_again_after.duration(),
        }
    }

    /// Every file the configuration names and menshen reads, for watching. The document itself is
    /// not among them: only its reader knows its path.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self
            .server
            .tls
            .iter()
            .flat_map(TlsConfig::files)
            .map(PathBuf::from)
            .collect();
        files.extend(
            self.connector
                .values()
                .filter_map(|connector| connector.ca.clone()),
        );
        files.extend(self.issuer.values().filter_map(|issuer| issuer.ca.clone()));
        let upstreams = self
            .route
            .iter()
            .filter_map(|route| route.upstream_tls.as_ref());
        files.extend(upstreams.flat_map(|tls| tls.files().map(PathBuf::from)));
        let secrets = self.secrets().into_iter();
        files.extend(secrets.filter_map(|(_, source)| source.file().map(PathBuf::from)));
        files.sort();
        files.dedup();
        files
    }

    /// What a change to `new` alters that only a restart applies, as the document names it.
    pub fn restart_needed(&self, new: &Self) -> Vec<&'static str> {
        reload::restart_needed(self, new)
    }

    /// Every key that weakens the house, for `menshen check`. Nothing here is an error.
    pub fn warnings(&self) -> Vec<Warning> {
        warn::warnings(self)
    }

    /// What is odd about the files the document names, and is read as it must be meant. Reads them.
    pub fn file_warnings(&self) -> Vec<Warning> {
        warn::file_warnings(self)
    }

    /// What does not fit into the limits that the system sets this process.
    pub fn system_warnings(&self, files: OpenFiles) -> Vec<Warning> {
        warn::system_warnings(self, files)
    }

    /// Every secret the document names, with its place.
    fn secrets(&self) -> Vec<(Place<'_>, &SecretSource)> {
        let mut secrets = Vec::new();
        if let Some(token) = self.admin.as_ref().and_then(|admin| admin.token.as_ref()) {
            secrets.push((Place::of(["admin", "token"]), token));
        }
        for (at, key) in self.session.keys.iter().enumerate() {
            secrets.push((Place::of(["session", "keys"]).item(at), key));
        }
        for (id, connector) in &self.connector {
            let place = Place::of(["connector", id.as_str()]);
            for (below, secret) in connector.kinds().flat_map(|kind| kind.secrets()) {
                secrets.push((place.clone().join(below), secret));
            }
        }
        for (id, issuer) in &self.issuer {
            if let Some(introspection) = &issuer.introspection {
                let place = Place::of(["issuer", id.as_str(), "introspection", "client_secret"]);
                secrets.push((place, &introspection.client_secret));
            }
        }
        for (at, route) in self.route.iter().enumerate() {
            if let Some(basic) = &route.basic_auth {
                let place = Place::of(["route"])
                    .item(at)
                    .key("basic_auth")
                    .key("password");
                secrets.push((place, &basic.password));
            }
            if let Some(key) = route.upstream_tls.as_ref().and_then(|tls| tls.key.as_ref()) {
                let place = Place::of(["route"]).item(at);
                secrets.push((place.key("upstream_tls").key("key"), key));
            }
        }
        secrets
    }
}

impl PartialEq for Config {
    /// Whether they mean the same; how they are written does not count.
    fn eq(&self, other: &Self) -> bool {
        self.server == other.server
            && self.admin == other.admin
            && self.ext_authz == other.ext_authz
            && self.check == other.check
            && self.session == other.session
            && self.store == other.store
            && self.login == other.login
            && self.log == other.log
            && self.connector == other.connector
            && self.issuer == other.issuer
            && self.route == other.route
    }
}
