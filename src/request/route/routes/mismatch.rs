//! Why a route does not match a request, for explanations only.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{PortGroup, RouteMatch, Routes};
use crate::request::head::Host;
use crate::request::path::Path;
use crate::request::route::{HostPattern, Route, RouteName};

/// Why a route does not match a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It matches other hosts.
    Host,
    /// It matches this host, but another route's host pattern is more specific.
    MoreSpecificHost,
    /// It matches another port.
    Port,
    /// It matches every port, and another route names this one.
    MoreSpecificPort,
    /// It matches other paths.
    Path,
    /// Another route with a longer path matches.
    LongerPath { by: RouteName },
    /// The path is one of menshen's own.
    OwnPath,
    /// Only some readings of the path match.
    AmbiguousPath,
}

/// A reading of a path, and its match.
type MatchedReading<'a> = (Cow<'a, [u8]>, RouteMatch<'a>);

impl Routes {
    /// Every route except the matching one, and why it does not match.
    pub fn mismatches(
        &self,
        host: &Host<'_>,
        port: u16,
        path: &Path<'_>,
    ) -> Vec<(&Arc<Route>, Mismatch)> {
        let is_own_path = self.is_own_path(path.as_str());
        let route_match = self.find(host, port, path);
        let matches = |route: &Arc<Route>| match route_match {
            RouteMatch::Route(matching) => Arc::ptr_eq(matching, route) && !is_own_path,
            RouteMatch::OwnPath | RouteMatch::None | RouteMatch::Ambiguous => false,
        };
        let others = self.all.iter().filter(|route| !matches(route));
        others
            .map(|route| {
                let why = match is_own_path {
                    true => Mismatch::OwnPath,
                    false => self.mismatch(route, host, port, path, route_match),
                };
                (route, why)
            })
            .collect()
    }

    /// Two readings of a path with different matches, the path as sent first.
    pub fn ambiguous_readings<'a>(
        &'a self,
        host: &Host<'_>,
        port: u16,
        path: &'a Path<'_>,
    ) -> Option<(MatchedReading<'a>, MatchedReading<'a>)> {
        let groups = self.groups_of(host.as_str(), port);
        let ignores_case = groups.iter().any(|group| group.ignores_case);
        let match_as_sent = self.match_reading(groups, path.as_str().as_bytes());
        let readings = match match_as_sent {
            RouteMatch::Route(route) => route.readings(path, ignores_case).ok()?,
            RouteMatch::OwnPath | RouteMatch::None | RouteMatch::Ambiguous => {
                path.readings(ignores_case)
            }
        };
        let matched = readings.into_iter().map(|reading| {
            let route_match = self.match_reading(groups, &reading);
            (reading, route_match)
        });
        let other = matched
            .skip(1)
            .find(|(_, other)| !match_as_sent.is_same_match(other))?;
        Some((
            (Cow::Borrowed(path.as_str().as_bytes()), match_as_sent),
            other,
        ))
    }

    /// The part of an own path after the prefix, or the name of a file; both without leading slash.
    pub fn own_page_name<'a>(&self, path: &'a str) -> Option<&'a str> {
        let page = || {
            let rest = path.strip_prefix(self.own_paths.prefix());
            rest.unwrap_or(path).trim_start_matches('/')
        };
        self.is_own_path(path).then(page)
    }

    fn mismatch(
        &self,
        route: &Arc<Route>,
        host: &Host<'_>,
        port: u16,
        path: &Path<'_>,
        route_match: RouteMatch<'_>,
    ) -> Mismatch {
        if !contains_route(
            self.groups_of_host(host.as_str()).unwrap_or(&self.any_host),
            route,
        ) {
            return match route.host.includes(host.as_str()) {
                true => Mismatch::MoreSpecificHost,
                false => Mismatch::Host,
            };
        }
        if !contains_route(self.groups_of(host.as_str(), port), route) {
            return match route.host.port() {
                Some(_) => Mismatch::Port,
                None => Mismatch::MoreSpecificPort,
            };
        }
        let readings = path.readings(route.case_insensitive);
        let mut readings = readings.iter();
        if !readings.any(|reading| route.path.includes(reading, route.case_insensitive)) {
            return Mismatch::Path;
        }
        match route_match {
            RouteMatch::Route(by) => Mismatch::LongerPath {
                by: by.name.clone(),
            },
            RouteMatch::Ambiguous => Mismatch::AmbiguousPath,
            RouteMatch::OwnPath | RouteMatch::None => Mismatch::OwnPath,
        }
    }
}

fn contains_route(groups: &[PortGroup], route: &Arc<Route>) -> bool {
    let mut routes = groups.iter().flat_map(|group| &group.routes);
    routes.any(|member| Arc::ptr_eq(member, route))
}

impl HostPattern {
    pub fn includes(&self, host: &str) -> bool {
        match self {
            Self::Any { .. } => true,
            Self::Exact { name, .. } => name == host,
            Self::Wildcard { suffix, .. } => {
                let label = host.strip_suffix(suffix.as_str());
                label.is_some_and(|label| !label.is_empty())
            }
        }
    }
}

/// The pattern as it is written in the configuration.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any { .. } => f.write_str("*"),
            Self::Exact { name, .. } => f.write_str(name),
            Self::Wildcard { suffix, .. } => write!(f, "*{suffix}"),
        }?;
        match self.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}
