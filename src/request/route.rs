//! `Route` and `Routes`: which route matches a request, and the settings of a route. No I/O and no locks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::bearer::{IssuerId, ScopeName};
use super::head::{Head, Host};
use super::path::{Path, PathError};
use crate::expression::Expression;
use crate::store::ConnectorId;
use crate::telemetry::RouteCounters;

mod check_headers;
mod config;
mod config_values;
mod demands;
mod limits;
mod mismatch;
mod own_paths;
mod public_path;
mod upstream_tls;

pub use check_headers::CheckHeaders;
pub use config::{
    AccessConfig, BasicAuthConfig, HeaderEncoding, Preflight, RouteConfig, UpstreamConnections,
};
pub use config_values::{HostHeader, HostPattern, PathPrefix, UpstreamUrl};
pub use demands::{Demands, LoginPrompt, Reconfirmation, ReloadUser};
pub use limits::LimitsConfig;
pub use mismatch::Mismatch;
pub use own_paths::OwnPaths;
pub use public_path::PublicPath;
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

/// A route.
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

/// The result of a route search.
#[derive(Clone, Copy, Debug)]
pub enum RouteMatch<'a> {
    /// Every reading of the path matches this route.
    Route(&'a Arc<Route>),
    /// Every reading of the path is one of menshen's own paths.
    OwnPath,
    /// No reading matches a route.
    None,
    /// Two readings do not match the same.
    Ambiguous,
}

/// All routes of a site, searched by host, then by path.
#[derive(Debug, Default)]
pub struct Routes {
    exact_hosts: HashMap<Box<str>, Vec<PortGroup>>,
    /// Host suffixes that start with a dot, the longest first.
    wildcard_hosts: Vec<(Box<str>, Vec<PortGroup>)>,
    any_host: Vec<PortGroup>,
    own_paths: OwnPaths,
    all: Vec<Arc<Route>>,
}

/// The routes of one host pattern with the same port, longest path first.
#[derive(Debug)]
struct PortGroup {
    port: Option<u16>,
    ignores_case: bool,
    routes: Vec<Arc<Route>>,
}

impl Routes {
    /// Builds the search tables.
    pub fn new(routes: Vec<Arc<Route>>, own_paths: OwnPaths) -> Self {
        let mut table = Self {
            own_paths,
            all: routes.clone(),
            ..Self::default()
        };
        for route in routes {
            let port = route.host.port();
            let groups = match &route.host {
                HostPattern::Any { .. } => &mut table.any_host,
                HostPattern::Exact { name, .. } => {
                    table.exact_hosts.entry(name.as_str().into()).or_default()
                }
                HostPattern::Wildcard { suffix, .. } => {
                    let index = table
                        .wildcard_hosts
                        .iter()
                        .position(|(other, _)| **other == **suffix);
                    let index = index.unwrap_or_else(|| {
                        table
                            .wildcard_hosts
                            .push((suffix.as_str().into(), Vec::new()));
                        table.wildcard_hosts.len() - 1
                    });
                    &mut table.wildcard_hosts[index].1
                }
            };
            PortGroup::add(groups, port, route);
        }
        table
            .wildcard_hosts
            .sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        table
    }

    /// All routes in the order of the configuration.
    pub fn all(&self) -> &[Arc<Route>] {
        &self.all
    }

    /// Whether the path as sent is one of menshen's own; a cheap check before a decision.
    pub fn is_own_path(&self, path: &str) -> bool {
        self.own_paths.includes(path.as_bytes())
    }

    pub fn own_paths(&self) -> &OwnPaths {
        &self.own_paths
    }

    /// Whether a route's host pattern names this host or a parent domain, on this port; a pattern
    /// for any host does not. `default_port` is the port of patterns without one.
    pub fn names_host(&self, host: &str, port: u16, default_port: u16) -> bool {
        let groups = self.groups_of_host(host).unwrap_or_default();
        groups
            .iter()
            .any(|group| group.port.unwrap_or(default_port) == port)
    }

    /// Whether a route's host pattern is exactly this host, on this port. Which hosts exist below a
    /// wildcard is decided in the DNS and not in the configuration.
    pub fn names_host_exactly(&self, host: &str, port: u16, default_port: u16) -> bool {
        let groups = self
            .exact_hosts
            .get(host)
            .map(Vec::as_slice)
            .unwrap_or_default();
        groups
            .iter()
            .any(|group| group.port.unwrap_or(default_port) == port)
    }

    /// The route that every reading of this path matches, including the readings of an upstream
    /// that receives it without the prefix.
    pub fn find(&self, host: &Host<'_>, port: u16, path: &Path<'_>) -> RouteMatch<'_> {
        let groups = self.groups_of(host.as_str(), port);
        let ignores_case = groups.iter().any(|group| group.ignores_case);
        let match_as_sent = self.match_reading(groups, path.as_str().as_bytes());
        if path.is_plain() && !ignores_case {
            return match_as_sent;
        }
        let readings = match match_as_sent {
            RouteMatch::Route(route) => route.readings(path, ignores_case),
            RouteMatch::OwnPath | RouteMatch::None | RouteMatch::Ambiguous => {
                Ok(path.readings(ignores_case))
            }
        };
        let Ok(readings) = readings else {
            return RouteMatch::Ambiguous;
        };
        let mut others = readings.iter().skip(1);
        match others
            .all(|reading| match_as_sent.is_same_match(&self.match_reading(groups, reading)))
        {
            true => match_as_sent,
            false => RouteMatch::Ambiguous,
        }
    }

    /// Every route of a host and port, longest path first.
    pub fn of_host(&self, host: &Host<'_>, port: u16) -> impl Iterator<Item = &Arc<Route>> {
        let groups = self.groups_of(host.as_str(), port).iter();
        groups.flat_map(|group| &group.routes)
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Route>> {
        self.all.iter().find(|route| route.name.as_str() == name)
    }

    /// The routes of a host and port. The host is selected first: an exact name, then the longest wildcard,
    /// then any host; then the port.
    fn groups_of(&self, host: &str, port: u16) -> &[PortGroup] {
        let groups = self.groups_of_host(host).unwrap_or(&self.any_host);
        match groups
            .iter()
            .position(|group| group.port.is_none_or(|group_port| group_port == port))
        {
            Some(index) => &groups[index..=index],
            None => &[],
        }
    }

    fn groups_of_host(&self, host: &str) -> Option<&[PortGroup]> {
        if let Some(groups) = self.exact_hosts.get(host) {
            return Some(groups);
        }
        let is_below = |suffix: &str| {
            host.strip_suffix(suffix)
                .is_some_and(|label| !label.is_empty())
        };
        let wildcard = self
            .wildcard_hosts
            .iter()
            .find(|(suffix, _)| is_below(suffix));
        wildcard.map(|(_, groups)| groups.as_slice())
    }

    fn match_reading<'a>(&'a self, groups: &'a [PortGroup], path: &[u8]) -> RouteMatch<'a> {
        if self.own_paths.includes(path) {
            return RouteMatch::OwnPath;
        }
        let mut routes = groups.iter().flat_map(|group| &group.routes);
        match routes.find(|route| route.path.includes(path, route.case_insensitive)) {
            Some(route) => RouteMatch::Route(route),
            None => RouteMatch::None,
        }
    }
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

impl RouteMatch<'_> {
    pub(super) fn is_same_match(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Route(a), Self::Route(b)) => Arc::ptr_eq(a, b),
            (Self::OwnPath, Self::OwnPath)
            | (Self::None, Self::None)
            | (Self::Ambiguous, Self::Ambiguous) => true,
            (Self::Route(_) | Self::OwnPath | Self::None | Self::Ambiguous, _) => false,
        }
    }
}

impl PortGroup {
    fn add(groups: &mut Vec<Self>, port: Option<u16>, route: Arc<Route>) {
        let index = groups
            .iter()
            .position(|group| group.port == port)
            .unwrap_or_else(|| {
                groups.push(Self {
                    port,
                    ignores_case: false,
                    routes: Vec::new(),
                });
                // Groups with a port are searched before the group for any port.
                groups.sort_by_key(|group| group.port.is_none());
                groups
                    .iter()
                    .position(|group| group.port == port)
                    .expect("the group was just added")
            });
        let group = &mut groups[index];
        group.ignores_case |= route.case_insensitive;
        group.routes.push(route);
        group
            .routes
            .sort_by_key(|route| std::cmp::Reverse(route.path.as_str().len()));
    }
}
