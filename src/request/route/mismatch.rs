//! Why a route does not match a request, for explanations only.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{HostPattern, PortGroup, Route, RouteMatch, RouteName, Routes};
use crate::request::head::Host;
use crate::request::path::Path;

/// Why a route does not match a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It matches other hosts.
    Host,
    /// It matches this host, but another route's host pattern is more specific.
    CloserHost,
    /// It matches another port.
    Port,
    /// It matches every port, and another route names this one.
    CloserPort,
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
type Read<'a> = (Cow<'a, [u8]>, RouteMatch<'a>);

impl Routes {
    /// Every route except the matching one, and why it does not match.
    pub fn mismatches(
        &self,
        host: &Host<'_>,
        port: u16,
        path: &Path<'_>,
    ) -> Vec<(&Arc<Route>, Mismatch)> {
        let own = self.is_own(path.as_str());
        let found = self.find(host, port, path);
        let is_found = |route: &Arc<Route>| match found {
            RouteMatch::Route(found) => Arc::ptr_eq(found, route) && !own,
            RouteMatch::OwnPath | RouteMatch::None | RouteMatch::Ambiguous => false,
        };
        let others = self.all.iter().filter(|route| !is_found(route));
        others
            .map(|route| {
                let why = match own {
                    true => Mismatch::OwnPath,
                    false => self.mismatch(route, host, port, path, found),
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
    ) -> Option<(Read<'a>, Read<'a>)> {
        let groups = self.on(host.as_str(), port);
        let ignores_case = groups.iter().any(|group| group.ignores_case);
        let first = self.lookup(groups, path.as_str().as_bytes());
        let readings = match first {
            RouteMatch::Route(route) => route.readings(path, ignores_case).ok()?,
            RouteMatch::OwnPath | RouteMatch::None | RouteMatch::Ambiguous => {
                path.readings(ignores_case)
            }
        };
        let found = readings.into_iter().map(|reading| {
            let found = self.lookup(groups, &reading);
            (reading, found)
        });
        let other = found
            .skip(1)
            .find(|(_, other)| !first.is_same_match(other))?;
        Some(((Cow::Borrowed(path.as_str().as_bytes()), first), other))
    }

    /// The own page of a path, without the prefix; for a file, the whole path.
    pub fn own_page_name<'a>(&self, path: &'a str) -> Option<&'a str> {
        let page = || {
            let rest = path.strip_prefix(self.own.prefix());
            rest.unwrap_or(path).trim_start_matches('/')
        };
        self.is_own(path).then(page)
    }

    fn mismatch(
        &self,
        route: &Arc<Route>,
        host: &Host<'_>,
        port: u16,
        path: &Path<'_>,
        found: RouteMatch<'_>,
    ) -> Mismatch {
        if !holds(
            self.groups_of_host(host.as_str()).unwrap_or(&self.any),
            route,
        ) {
            return match route.host.includes(host.as_str()) {
                true => Mismatch::CloserHost,
                false => Mismatch::Host,
            };
        }
        if !holds(self.on(host.as_str(), port), route) {
            return match route.host.port() {
                Some(_) => Mismatch::Port,
                None => Mismatch::CloserPort,
            };
        }
        let readings = path.readings(route.case_insensitive);
        let mut readings = readings.iter();
        if !readings.any(|reading| route.path.includes(reading, route.case_insensitive)) {
            return Mismatch::Path;
        }
        match found {
            RouteMatch::Route(by) => Mismatch::LongerPath {
                by: by.name.clone(),
            },
            RouteMatch::Ambiguous => Mismatch::AmbiguousPath,
            RouteMatch::OwnPath | RouteMatch::None => Mismatch::OwnPath,
        }
    }
}

fn holds(groups: &[PortGroup], route: &Arc<Route>) -> bool {
    let mut routes = groups.iter().flat_map(|group| &group.routes);
    routes.any(|own| Arc::ptr_eq(own, route))
}

impl HostPattern {
    pub(super) fn includes(&self, host: &str) -> bool {
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

/// As it is configured.
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
