//! `Route`, `Routes`: where a request may go and who may take the way. Plain data.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::bearer::{IssuerId, ScopeName};
use super::head::{Head, Host};
use super::path::{Path, PathError};
use crate::expression::Expression;
use crate::store::ConnectorId;

mod check_headers;
mod config;
mod demands;
mod limits;
mod mismatch;
mod own_paths;
mod public_path;
mod upstream_tls;

pub use check_headers::CheckHeaders;
pub use config::{
    AccessConfig, BasicAuthConfig, HeaderEncoding, HostHeader, HostPattern, PathPrefix, Preflight,
    RouteConfig, UpstreamConnections, UpstreamUrl,
};
pub use demands::{Demands, LoginPrompt, Reload, ReloadUser};
pub use limits::LimitsConfig;
pub use mismatch::Mismatch;
pub use own_paths::OwnPaths;
pub use public_path::PublicPath;
pub use upstream_tls::UpstreamTlsConfig;

/// The name of a route, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteName(Arc<str>);

impl RouteName {
    /// From its text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who may take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody; somebody who is signed in is still named to the upstream.
    Public,
    /// Whoever is signed in or a program with a token that counts here, and passes `allow` when
    /// there is one.
    SignedIn,
    /// Whomever `allow` lets pass, nobody included.
    Rule,
}

/// Which of a site's upstream pools serves a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamId(pub usize);

/// One way through the house.
#[derive(Clone, Debug)]
pub struct Route {
    /// For logs, pages and rules.
    pub name: RouteName,
    /// Which host and port it serves.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPrefix,
    /// Who may take it.
    pub access: Access,
    /// Paths that everybody may ask for.
    pub public_paths: Vec<PublicPath>,
    /// What must hold besides.
    pub allow: Option<Expression>,
    /// Whose sessions count here; empty: all.
    pub connectors: Vec<ConnectorId>,
    /// Whose bearer tokens are looked at here.
    pub issuers: Vec<IssuerId>,
    /// What those tokens must be good for.
    pub scopes: Vec<ScopeName>,
    /// What a session must be besides; absent on most.
    pub demands: Option<Box<Demands>>,
    /// Where it leads; absent: nowhere, which is a 404.
    pub upstream: Option<UpstreamId>,
    /// Whether CORS preflights pass without identity.
    pub preflight: Preflight,
    /// Whether its prefix is taken off on the way to the upstream.
    pub strip_path: bool,
    /// Whether its paths are compared without case.
    pub case_insensitive: bool,
    /// Whether a stranger's URL fragment is carried through the login.
    pub keep_fragment: bool,
    /// Whether header names keep the case they came in.
    pub keep_header_case: bool,
    /// Which `Host` the upstream sees.
    pub host_header: HostHeader,
    /// What the upstream is told besides the defaults.
    pub headers: HeaderRules,
    /// How long and how much.
    pub limits: Limits,
    /// Whether no two clients share a connection to the upstream.
    pub private_connections: bool,
}

/// What a route writes into the upstream's request.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    /// How text that is not ASCII is written.
    pub encoding: HeaderEncoding,
    /// Header and expression.
    pub own: Vec<(http::HeaderName, Expression)>,
    /// Headers of the client's that are let through although they are removed by default.
    pub pass: Vec<http::HeaderName>,
    /// Basic credentials: the user's expression and the password.
    pub basic_auth: Option<BasicAuth>,
    /// Whether the provider's access token is sent.
    pub access_token: bool,
    /// Whether the provider's ID token is sent.
    pub id_token: bool,
    /// For whom a signed assertion is sent; absent: none is.
    pub assertion: Option<Audience>,
    /// What of all this another proxy is answered.
    pub on_checks: CheckHeaders,
}

/// The recipient that an assertion names (`aud`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The host that was asked for, without its port.
    RequestedHost,
    /// The name that the route gives.
    Named(Box<str>),
}

/// Basic credentials for an application that only knows those.
#[derive(Clone, Debug)]
pub struct BasicAuth {
    /// Who to say.
    pub user: Expression,
    /// The one password the application knows.
    pub password: crate::secret::Secret<String>,
}

/// How long and how much a route may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To connect to an upstream.
    pub connect: std::time::Duration,
    /// Until an upstream's response head.
    pub response: std::time::Duration,
    /// Between two pieces of a body, and for a silent tunnel.
    pub idle: std::time::Duration,
    /// The largest request body.
    pub body_bytes_max: u64,
    /// From when on an answer counts as one that lasts.
    pub lasting: std::time::Duration,
}

/// What was found for a host and a path.
#[derive(Clone, Copy, Debug)]
pub enum RouteMatch<'a> {
    /// Every reader finds this route.
    Route(&'a Arc<Route>),
    /// Every reader finds one of our own paths.
    OwnPath,
    /// Nobody finds anything.
    None,
    /// Readers differ.
    Ambiguous,
}

/// Every route of a site, found by host, then by path.
#[derive(Debug, Default)]
pub struct Routes {
    exact: HashMap<Box<str>, Vec<PortGroup>>,
    /// Longest suffix first; each starts with a dot.
    wildcards: Vec<(Box<str>, Vec<PortGroup>)>,
    any: Vec<PortGroup>,
    own: OwnPaths,
    all: Vec<Arc<Route>>,
}

/// The routes of one host pattern that share a port rule, longest path first.
#[derive(Debug)]
struct PortGroup {
    port: Option<u16>,
    ignores_case: bool,
    routes: Vec<Arc<Route>>,
}

impl Routes {
    /// Sorts routes into their places.
    pub fn new(routes: Vec<Arc<Route>>, own: OwnPaths) -> Self {
        let mut table = Self {
            own,
            all: routes.clone(),
            ..Self::default()
        };
        for route in routes {
            let port = route.host.port();
            let groups = match &route.host {
                HostPattern::Any { .. } => &mut table.any,
                HostPattern::Exact { name, .. } => {
                    table.exact.entry(name.as_str().into()).or_default()
                }
                HostPattern::Wildcard { suffix, .. } => {
                    let at = table
                        .wildcards
                        .iter()
                        .position(|(known, _)| **known == **suffix);
                    let at = at.unwrap_or_else(|| {
                        table.wildcards.push((suffix.as_str().into(), Vec::new()));
                        table.wildcards.len() - 1
                    });
                    &mut table.wildcards[at].1
                }
            };
            PortGroup::add(groups, port, route);
        }
        table
            .wildcards
            .sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        table
    }

    /// Every route, as configured.
    pub fn all(&self) -> &[Arc<Route>] {
        &self.all
    }

    /// Whether the path as sent is one of ours; the quick question before a decision.
    pub fn is_own(&self, path: &str) -> bool {
        self.own.includes(path.as_bytes())
    }

    /// Which paths are ours.
    pub fn own(&self) -> &OwnPaths {
        &self.own
    }

    /// Whether a route names this host, exactly or below a domain, on this port; a route for any
    /// host names none. `default_port` is the port of patterns that name none.
    pub fn names_host(&self, host: &str, port: u16, default_port: u16) -> bool {
        let groups = self.groups_of_host(host).unwrap_or_default();
        groups
            .iter()
            .any(|group| group.port.unwrap_or(default_port) == port)
    }

    /// Whether a route names this host exactly, on this port: whoever wrote the configuration knows
    /// whose it is. Below a wildcard, whoever runs the DNS says that.
    pub fn names_host_exactly(&self, host: &str, port: u16, default_port: u16) -> bool {
        let groups = self.exact.get(host).map(Vec::as_slice).unwrap_or_default();
        groups
            .iter()
            .any(|group| group.port.unwrap_or(default_port) == port)
    }

    /// The route every reader of this path finds, also the upstream that is sent a part of it.
    pub fn find(&self, host: &Host<'_>, port: u16, path: &Path<'_>) -> RouteMatch<'_> {
        let groups = self.on(host.as_str(), port);
        let ignores_case = groups.iter().any(|group| group.ignores_case);
        let first = self.lookup(groups, path.as_str().as_bytes());
        if path.is_plain() && !ignores_case {
            return first;
        }
        let readings = match first {
            RouteMatch::Route(route) => route.readings(path, ignores_case),
            RouteMatch::OwnPath | RouteMatch::None | RouteMatch::Ambiguous => {
                Ok(path.readings(ignores_case))
            }
        };
        let Ok(readings) = readings else {
            return RouteMatch::Ambiguous;
        };
        let mut others = readings.iter().skip(1);
        match others.all(|reading| first.is_same_match(&self.lookup(groups, reading))) {
            true => first,
            false => RouteMatch::Ambiguous,
        }
    }

    /// Every route of a host and port, longest path first.
    pub fn of_host(&self, host: &Host<'_>, port: u16) -> impl Iterator<Item = &Arc<Route>> {
        let groups = self.on(host.as_str(), port).iter();
        groups.flat_map(|group| &group.routes)
    }

    /// The route of that name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Route>> {
        self.all.iter().find(|route| route.name.as_str() == name)
    }

    /// The host is chosen first: exact, the longest wildcard, any; within it the named port.
    fn on(&self, host: &str, port: u16) -> &[PortGroup] {
        let groups = self.groups_of_host(host).unwrap_or(&self.any);
        match groups
            .iter()
            .position(|group| group.port.is_none_or(|named| named == port))
        {
            Some(at) => &groups[at..=at],
            None => &[],
        }
    }

    fn groups_of_host(&self, host: &str) -> Option<&[PortGroup]> {
        if let Some(groups) = self.exact.get(host) {
            return Some(groups);
        }
        let below = |suffix: &str| {
            host.strip_suffix(suffix)
                .is_some_and(|label| !label.is_empty())
        };
        let wildcard = self.wildcards.iter().find(|(suffix, _)| below(suffix));
        wildcard.map(|(_, groups)| groups.as_slice())
    }

    fn lookup<'a>(&'a self, groups: &'a [PortGroup], path: &[u8]) -> RouteMatch<'a> {
        if self.own.includes(path) {
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
    /// What is taken off the path on the way to the upstream, without a slash at its end.
    pub fn stripped_prefix(&self) -> Option<&str> {
        let prefix = self.path.as_str().trim_end_matches('/');
        (self.strip_path && !prefix.is_empty()).then_some(prefix)
    }

    /// Whether everybody may ask for what a head asks for. A path that somebody could read as another
    /// one is never public by its name, and neither is one that was not told.
    pub fn is_public(&self, head: &Head<'_>) -> bool {
        let (path, ignores_case) = (&head.path, self.case_insensitive);
        let is = |public: &PublicPath| match ignores_case {
            true => public.as_str().eq_ignore_ascii_case(path.as_str()),
            false => public.as_str() == path.as_str(),
        };
        self.access == Access::Public
            || (path.is_plain() && !head.unknown.path && self.public_paths.iter().any(is))
    }

    /// Every reading of a path by whoever is behind this route, the path as sent first.
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
        let at = groups
            .iter()
            .position(|group| group.port == port)
            .unwrap_or_else(|| {
                groups.push(Self {
                    port,
                    ignores_case: false,
                    routes: Vec::new(),
                });
                // A named port is asked before the group for any port.
                groups.sort_by_key(|group| group.port.is_none());
                groups
                    .iter()
                    .position(|group| group.port == port)
                    .expect("it was just pushed")
            });
        let group = &mut groups[at];
        group.ignores_case |= route.case_insensitive;
        group.routes.push(route);
        group
            .routes
            .sort_by_key(|route| std::cmp::Reverse(route.path.as_str().len()));
    }
}
