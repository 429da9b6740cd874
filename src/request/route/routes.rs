//! `Routes`: which route matches a request. No I/O and no locks.

use std::collections::HashMap;
use std::sync::Arc;

use super::{HostPattern, OwnPaths, Route};
use crate::request::head::Host;
use crate::request::path::Path;

mod mismatch;

pub use mismatch::Mismatch;

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

impl RouteMatch<'_> {
    pub(in crate::request) fn is_same_match(&self, other: &Self) -> bool {
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
