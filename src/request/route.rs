//! `Route`: the settings of a route. No I/O and no locks.

use std::borrow::Cow;
use std::sync::Arc;

use super::bearer::{IssuerId, ScopeName};
use super::head::Head;
use super::path::{Path, PathError};
use crate::expression::Expression;
use crate::store::ConnectorId;
use crate::telemetry::RouteCounters;

mod check_headers;
mod config;
mod config_values;
mod demands;
mod limits;
mod own_paths;
mod public_path;
mod routes;
mod upstream_tls;

pub use check_headers::CheckHeaders;
pub use config::{
    AccessConfig, BasicAuthConfig, HeaderEncoding, Preflight, RouteConfig, UpstreamConnections,
};
pub use config_values::{HostHeader, HostPattern, PathPrefix, UpstreamUrl};
pub use demands::{Demands, LoginPrompt, Reconfirmation, ReloadUser};
pub use limits::LimitsConfig;
pub use own_paths::OwnPaths;
pub use public_path::PublicPath;
pub use routes::{Mismatch, RouteMatch, Routes};
pub use upstream_tls::UpstreamTlsConfig;

/// The name of a route, for logs, pages and proxies that name the route in a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteName(Arc<str>);

impl RouteName {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody; the upstream still receives the identity of a signed-in person.
    Public,
    /// Signed-in persons and programs with an accepted token, if `allow` admits them.
    SignedIn,
    /// Every caller that `allow` admits, anonymous ones included.
    Rule,
}

/// The index of an upstream pool of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamId(pub usize);

#[derive(Clone, Debug)]
pub struct Route {
    pub name: RouteName,
    /// The hosts and port it matches.
    pub host: HostPattern,
    /// The paths it matches.
    pub path: PathPrefix,
    pub access: Access,
    /// Paths that need no session.
    pub public_paths: Vec<PublicPath>,
    /// A rule that callers must satisfy in addition.
    pub allow: Option<Expression>,
    /// The connectors whose sessions are accepted; empty: all.
    pub connectors: Vec<ConnectorId>,
    /// The issuers whose bearer tokens are accepted.
    pub issuers: Vec<IssuerId>,
    /// The scopes that these tokens must have.
    pub scopes: Vec<ScopeName>,
    /// Whether programs may send access tokens of people.
    pub access_tokens: bool,
    /// What the route demands of a session besides its connector; absent on most routes.
    pub demands: Option<Box<Demands>>,
    /// The upstream pool; absent: every allowed request gets a 404.
    pub upstream: Option<UpstreamId>,
    /// Whether CORS preflights pass without a session.
    pub preflight: Preflight,
    /// Whether the path prefix is removed before the request is forwarded.
    pub strip_path: bool,
    /// The prefix of menshen's own paths, to which an application may redirect.
    pub own_prefix: Arc<str>,
    /// Whether paths are compared case-insensitively.
    pub case_insensitive: bool,
    /// Whether the URL fragment is kept during a login.
    pub keep_fragment: bool,
    /// Whether the case of header names is preserved.
    pub keep_header_case: bool,
    /// The `Host` header that the upstream receives.
    pub host_header: HostHeader,
    pub headers: HeaderRules,
    pub limits: Limits,
    /// Whether clients never share a connection to the upstream.
    pub private_connections: bool,
    pub counters: RouteCounters,
}

/// The headers that a route adds to a request.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    /// How non-ASCII text is encoded.
    pub encoding: HeaderEncoding,
    /// Custom headers (`headers` of the route): name and expression.
    pub custom: Vec<(http::HeaderName, Expression)>,
    /// Client headers that are forwarded although they are removed by default.
    pub pass: Vec<http::HeaderName>,
    /// Basic credentials for the application.
    pub basic_auth: Option<BasicAuth>,
    /// Whether the provider's access token is sent.
    pub access_token: bool,
    /// Whether the provider's ID token is sent.
    pub id_token: bool,
    /// The audience of the signed assertion; absent: none is sent.
    pub assertion: Option<Audience>,
    /// Which of these headers a proxy that asks for a decision receives.
    pub on_checks: CheckHeaders,
}

/// The audience (`aud`) of an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The requested host, without its port.
    RequestedHost,
    /// A configured audience.
    Named(Box<str>),
}

/// Basic credentials for an application that supports nothing else.
#[derive(Clone, Debug)]
pub struct BasicAuth {
    /// The user name.
    pub user: Expression,
    /// The application's shared password.
    pub password: crate::secret::Secret<String>,
}

/// Time and size limits of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To connect to an upstream.
    pub connect: std::time::Duration,
    /// Until the upstream's response head arrives.
    pub response: std::time::Duration,
    /// Between two pieces of a body, and for an idle tunnel.
    pub idle: std::time::Duration,
    /// The largest request body.
    pub body_bytes_max: u64,
    /// After this time the permission of a response or upload that is still open is checked again. Copied
    /// from `server.limits.judged_again_after`.
    pub recheck_after: std::time::Duration,
}

impl Route {
    /// The prefix that is removed from the path, without a trailing slash.
    pub fn stripped_prefix(&self) -> Option<&str> {
        let prefix = self.path.as_str().trim_end_matches('/');
        (self.strip_path && !prefix.is_empty()).then_some(prefix)
    }

    /// Whether the request needs no session. A path that can be read in several ways, or is
    /// unknown, never matches a public path.
    pub fn is_public(&self, head: &Head<'_>) -> bool {
        let (path, ignores_case) = (&head.path, self.case_insensitive);
        let is_requested = |public: &PublicPath| match ignores_case {
            true => public.as_str().eq_ignore_ascii_case(path.as_str()),
            false => public.as_str() == path.as_str(),
        };
        self.access == Access::Public
            || (path.is_plain() && !head.unknown.path && self.public_paths.iter().any(is_requested))
    }

    /// Every reading of a path by the upstream of this route, the path as sent first.
    pub fn readings<'p>(
        &self,
        path: &'p Path<'_>,
        ignores_case: bool,
    ) -> Result<Vec<Cow<'p, [u8]>>, PathError> {
        match self.stripped_prefix() {
            Some(prefix) => path.readings_below(prefix, ignores_case),
            None => Ok(path.readings(ignores_case)),
        }
    }
}
