//! `Config`: the parsed and validated configuration, with errors that name line and column.
//!
//! Parsing is pure: it reads no other file, no secret and no clock. All values of a [`Config`] are valid
//! and consistent, so that building a [`crate::site::Site`] from [`Config::site`] fails only for
//! reasons outside of the configuration file, such as another file that is missing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::face::OWN_PAGES;
use crate::keys;
use crate::login::config::LoginConfig;
use crate::login::connector::ConnectorConfig;
use crate::open_files::OpenFiles;
use crate::people::audit_log::AuditConfig;
use crate::people::session::SessionConfig;
use crate::request::bearer::{IssuerConfig, IssuerId};
use crate::request::route::RouteConfig;
use crate::secret::SecretSource;
use crate::site::settings::{ManagedConfig, Settings};
use crate::site::{self, ConsoleConfig, PagesConfig};
use crate::store::{self, ConnectorId};

mod document;
mod encoding;
mod error;
mod files;
mod full_width;
mod lists;
mod mask;
mod nearest;
mod parse_error;
mod quotes;
mod read;
mod reload;
mod server;
mod site_source;
mod syntax;
mod syntax_mistakes;
mod text;
mod validate;
mod warn;

pub use crate::door::{ListenConfig, ServerLimits, TlsConfig};
pub use crate::face::CheckConfig;
pub use crate::face::admin::AdminConfig;
pub use crate::face::ext_authz::ExtAuthzConfig;
pub use crate::telemetry::LogConfig;
pub use error::{ConfigError, Problem};
pub use server::{ExternalUrl, FilePath, OwnPrefix, ServerConfig, ServerConfigError, TrustedProxy};
pub use warn::Warning;

use crate::setting::KeyPath;
use text::ConfigText;

/// menshen's configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The addresses to listen on, and the URL that browsers use.
    pub server: ServerConfig,
    /// Metrics, health and the admin API, on a listener of their own. Absent: none.
    #[serde(default)]
    pub admin: Option<AdminConfig>,
    /// Envoy's ext_authz over gRPC. Absent: not available.
    #[serde(default)]
    pub ext_authz: Option<ExtAuthzConfig>,
    /// The lifetime of sessions, and the session cookie.
    #[serde(default)]
    pub session: SessionConfig,
    /// The database of accounts, sessions and revocations.
    #[serde(default)]
    pub store: store::Config,
    /// Limits of logins.
    #[serde(default)]
    pub login: LoginConfig,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
    /// The audit trail in the database.
    #[serde(default)]
    pub audit: AuditConfig,
    /// The sources of logins. An ID must never change, because accounts belong to it.
    #[serde(default)]
    pub connector: BTreeMap<ConnectorId, ConnectorConfig>,
    /// Connectors and choices that the admin API and the console keep in the store.
    #[serde(default)]
    pub managed: ManagedConfig,
    /// The routes to applications. A request goes to the route with the best matching host (exact, then
    /// the longest wildcard, then any), and among these to the one with the longest matching path.
    #[serde(default)]
    pub route: Vec<RouteConfig>,
    /// The check endpoints for other proxies.
    #[serde(default)]
    pub check: CheckConfig,
    /// Issuers of bearer tokens, which routes name in `issuers`. A token identifies a program, or a
    /// person if `people` is set.
    #[serde(default)]
    pub issuer: BTreeMap<IssuerId, IssuerConfig>,
    /// The web console below `/console/`, on the listener of `[admin]` or on one of its own. Absent: none.
    #[serde(default)]
    pub console: Option<ConsoleConfig>,
    /// How the pages for people look: name, logo and colour of the company, and where people get help.
    #[serde(default)]
    pub pages: PagesConfig,
    #[serde(skip)]
    source: ConfigText,
}

impl Config {
    /// Parses and validates the text of a configuration file. `name` is its name in errors, usually its
    /// path.
    ///
    /// The error has all problems with line, column and help, and shows no secret.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        Self::parse_with(text, name, |_| Vec::new())
    }

    /// [`Config::parse`] of the content of a file, which must be UTF-8.
    pub fn parse_bytes(bytes: &[u8], name: &str) -> Result<Self, ConfigError> {
        Self::parse(encoding::decode(bytes, name)?, name)
    }

    /// [`Config::parse_bytes`] and [`Config::check_files`], with all problems of both.
    pub fn parse_and_check_files(bytes: &[u8], name: &str) -> Result<Self, ConfigError> {
        Self::parse_with(encoding::decode(bytes, name)?, name, files::problems)
    }

    /// The warnings about a configuration that [`Config::parse`] refuses although each of its values can be read:
    /// what a file with problems has besides. Otherwise there are none, because what was read in place of a wrong
    /// value says nothing about the file.
    pub fn warnings_beside_problems(bytes: &[u8], name: &str, now: Timestamp) -> Vec<Warning> {
        let Ok(text) = encoding::decode(bytes, name) else {
            return Vec::new();
        };
        let read = read::read::<Self>(text.strip_prefix('\u{feff}').unwrap_or(text), name);
        match read.value {
            Some(mut config) if read.problems.is_empty() => {
                config.source = read.source;
                let of_files = config.file_warnings().into_iter();
                let of_certificates = config.certificate_warnings(now);
                let of_files = of_files.chain(of_certificates);
                config.warnings().into_iter().chain(of_files).collect()
            }
            _ => Vec::new(),
        }
    }

    fn parse_with(
        text: &str,
        name: &str,
        more_problems: fn(&Self) -> Vec<Problem>,
    ) -> Result<Self, ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let read::Read {
            source,
            value,
            mut problems,
        } = read::read::<Self>(text, name);
        let Some(mut config) = value else {
            return Err(ConfigError::new(&source, problems));
        };
        config.source = source;
        problems.extend(validate::problems(&config));
        problems.extend(more_problems(&config));
        if problems.is_empty() {
            return Ok(config);
        }
        Err(ConfigError::new(&config.source, problems))
    }

    /// Parses only `[store]` of the text of a configuration file, whatever else it has.
    ///
    /// The error has the problems with line, column and help, and shows no secret.
    pub fn parse_store(bytes: &[u8], name: &str) -> Result<store::Config, ConfigError> {
        #[derive(Deserialize)]
        struct StoreTable {
            #[serde(default)]
            store: store::Config,
        }
        let read = read::read::<StoreTable>(encoding::decode(bytes, name)?, name);
        match read.value {
            Some(table) if read.problems.is_empty() => Ok(table.store),
            _ => Err(ConfigError::new(&read.source, read.problems)),
        }
    }

    /// A hash of the text: 16 hexadecimal digits.
    pub fn hash(&self) -> String {
        let digest = keys::fingerprint(&[b"config", self.source.text.as_bytes()]);
        let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        digits.collect()
    }

    /// The part from which a site is built.
    pub fn site(&self) -> site::Config {
        let files = self.server.files.iter();
        site::Config {
            external_url: self.server.external_url.url().clone(),
            prefix: self.server.prefix.as_str().to_owned(),
            trust: server::trust(&self.server),
            original_uri_header: self.check.original,
            verification_files: files
                .map(|(path, content)| (path.as_str().to_owned(), content.clone()))
                .collect(),
            session: self.session.clone(),
            login: self.login.clone(),
            connectors: self.connector.clone(),
            issuers: self.issuer.clone(),
            routes: self.route.clone(),
            console: self.console.clone(),
            pages: self.pages.clone(),
            client_share_max_percent: self.server.limits.upstream_share,
            anonymous_share_max_percent: self.server.limits.upstream_share_anonymous,
            recheck_after: self.server.limits.judged_again_after.duration(),
            managed: self.managed,
            file: site_source::file_settings(self),
            own_pages: &OWN_PAGES,
        }
    }

    /// All files that the configuration names and menshen reads, for watching. The configuration file
    /// itself is not included, because only the caller knows its path.
    pub fn files(&self) -> Vec<PathBuf> {
        files::paths(self)
    }

    /// Opens all files that the configuration names, and reads its secrets. The error has each unreadable file
    /// and each empty secret at its line.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        files::check(self)
    }

    /// The keys that differ in `new` and take effect only after a restart.
    pub fn restart_needed(&self, new: &Self) -> Vec<&'static str> {
        reload::restart_needed(self, new)
    }

    /// The warnings about settings, for `menshen check`.
    pub fn warnings(&self) -> Vec<Warning> {
        warn::warnings(self)
    }

    /// The warnings about routes that nobody can pass, because neither this file nor the store has a connector.
    /// `settings`: what is built from both.
    pub fn absent_caller_warnings(&self, settings: &Settings) -> Vec<Warning> {
        match settings.connectors().is_empty() {
            true => warn::absent_caller_warnings(self),
            false => Vec::new(),
        }
    }

    /// The warnings about files of secrets, such as white space around a secret. Reads these files.
    pub fn file_warnings(&self) -> Vec<Warning> {
        warn::file_warnings(self)
    }

    /// The warnings about certificates that are expired, that expire soon, or that are for other hosts than the
    /// routes'. Reads their files.
    pub fn certificate_warnings(&self, now: Timestamp) -> Vec<Warning> {
        warn::certificate_warnings(self, now)
    }

    /// Settings that exceed the limits of the operating system for this process.
    pub fn system_warnings(&self, files: OpenFiles) -> Vec<Warning> {
        warn::system_warnings(self, files)
    }

    /// All secrets with their key paths.
    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        let mut secrets = Vec::new();
        if let Some(admin) = &self.admin {
            let token = admin.token.iter();
            secrets.extend(token.map(|token| (KeyPath::of(["admin", "token"]), token)));
            for (at, named) in admin.tokens.iter().enumerate() {
                let key_path = KeyPath::of(["admin", "tokens"]).item(at).key("token");
                secrets.push((key_path, &named.token));
            }
        }
        if let Some(password) = &self.store.password {
            secrets.push((KeyPath::of(["store", "password"]), password));
        }
        for (index, key) in self.session.keys.iter().enumerate() {
            secrets.push((KeyPath::of(["session", "keys"]).item(index), key));
        }
        for (id, connector) in &self.connector {
            let key_path = KeyPath::of(["connector", id.as_str()]);
            for (relative, secret) in connector.configured_kinds().flat_map(|kind| kind.secrets()) {
                secrets.push((key_path.clone().join(relative), secret));
            }
        }
        for (id, issuer) in &self.issuer {
            if let Some(introspection) = &issuer.introspection {
                let key_path =
                    KeyPath::of(["issuer", id.as_str(), "introspection", "client_secret"]);
                secrets.push((key_path, &introspection.client_secret));
            }
        }
        for (index, route) in self.route.iter().enumerate() {
            if let Some(basic) = &route.basic_auth {
                let key_path = KeyPath::of(["route"])
                    .item(index)
                    .key("basic_auth")
                    .key("password");
                secrets.push((key_path, &basic.password));
            }
            if let Some(key) = route.upstream_tls.as_ref().and_then(|tls| tls.key.as_ref()) {
                let key_path = KeyPath::of(["route"]).item(index);
                secrets.push((key_path.key("upstream_tls").key("key"), key));
            }
        }
        secrets
    }
}

impl PartialEq for Config {
    /// Compares the values and not the text.
    fn eq(&self, other: &Self) -> bool {
        self.server == other.server
            && self.admin == other.admin
            && self.ext_authz == other.ext_authz
            && self.check == other.check
            && self.session == other.session
            && self.store == other.store
            && self.login == other.login
            && self.log == other.log
            && self.audit == other.audit
            && self.connector == other.connector
            && self.managed == other.managed
            && self.issuer == other.issuer
            && self.route == other.route
            && self.console == other.console
            && self.pages == other.pages
    }
}
