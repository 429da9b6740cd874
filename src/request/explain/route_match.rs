//! `ExplainedMatch`: which route matches, and why the others do not.

use serde::Serialize;

use super::truncate;
use crate::request::head::Head;
use crate::request::route::{Mismatch, Route, RouteMatch, Routes};
use crate::text;
use crate::wording::Text;

/// The match of a host and a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "kebab-case")]
pub enum ExplainedMatch {
    Route {
        name: String,
        /// The host pattern.
        host: String,
        /// The path prefix.
        path: String,
    },
    /// One of menshen's own paths.
    OwnPage {
        /// The path without its prefix and leading slash.
        page: String,
    },
    #[serde(rename = "nothing")]
    None,
    /// The readings of the path match different routes.
    Ambiguous {
        /// Two readings with different matches, the path as sent first.
        readings: Vec<PathReading>,
    },
    /// The request head is invalid.
    #[serde(rename = "unread")]
    InvalidRequest,
}

/// A reading of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathReading {
    pub path: String,
    /// The route that it matches.
    #[serde(rename = "finds")]
    pub matches: Text,
}

/// A route that does not match, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedRoute {
    pub route: String,
    pub why: Text,
}

impl ExplainedMatch {
    pub(super) fn of(routes: &Routes, head: &Head<'_>) -> Self {
        let (host, port, path) = (&head.host, head.effective_port(), &head.path);
        if let Some(page) = routes.own_page_name(path.as_str()) {
            let page = truncate(page);
            return Self::OwnPage { page };
        }
        match routes.find(host, port, path) {
            RouteMatch::Route(route) => Self::Route {
                name: route.name.as_str().to_owned(),
                host: route.host.to_string(),
                path: route.path.as_str().to_owned(),
            },
            RouteMatch::OwnPath | RouteMatch::None => Self::None,
            RouteMatch::Ambiguous => {
                let ambiguous_readings = routes.ambiguous_readings(host, port, path);
                let readings = ambiguous_readings.map(|(sent, other)| vec![sent, other]);
                let readings = readings.into_iter().flatten();
                Self::Ambiguous {
                    readings: readings
                        .map(|(reading, found)| PathReading {
                            path: display_path(&reading),
                            matches: match_name(found),
                        })
                        .collect(),
                }
            }
        }
    }
}

/// Every route except the matching one, in the order of the configuration.
pub(super) fn rejected_routes(routes: &Routes, head: &Head<'_>) -> Vec<RejectedRoute> {
    let rejected = routes.mismatches(&head.host, head.effective_port(), &head.path);
    let rejected = rejected.into_iter().map(|(route, why)| RejectedRoute {
        route: route.name.as_str().to_owned(),
        why: rejection(route, &why),
    });
    rejected.collect()
}

/// A reading of a path as text.
pub(super) fn display_path(reading: &[u8]) -> String {
    truncate(&String::from_utf8_lossy(reading))
}

fn match_name(route_match: RouteMatch<'_>) -> Text {
    match route_match {
        RouteMatch::Route(route) => Text::same(route.name.as_str().to_owned()),
        RouteMatch::OwnPath => Text::fixed("our own page", "menshen 自己的页面"),
        RouteMatch::None | RouteMatch::Ambiguous => Text::fixed("nothing", "没有路由"),
    }
}

fn rejection(route: &Route, why: &Mismatch) -> Text {
    let (host, path) = (&route.host, route.path.as_str());
    match why {
        Mismatch::Host => text!("it serves another host: {host}", "主机不同：{host}"),
        Mismatch::MoreSpecificHost => text!(
            "it serves {host}, and the host is chosen first: another route names it more exactly",
            "它的主机是 {host}；先选主机，另一条路由写得更具体"
        ),
        Mismatch::Port => text!("it serves another port: {host}", "端口不同：{host}"),
        Mismatch::MoreSpecificPort => text!(
            "it serves {host} on every port, and another route names this one",
            "它在所有端口上服务 {host}，另一条路由写明了这个端口"
        ),
        Mismatch::Path => text!("its path is {path}", "它的路径是 {path}"),
        Mismatch::LongerPath { by } => {
            let by = by.as_str();
            text!(
                "its path {path} matches, and {by} has a longer one",
                "它的路径 {path} 相符，但 {by} 的路径更长"
            )
        }
        Mismatch::OwnPath => Text::fixed(
            "the path is menshen's own on every host",
            "这个路径在所有主机上都归 menshen 自己使用",
        ),
        Mismatch::AmbiguousPath => Text::fixed(
            "some readings of the path lead to it, others do not",
            "路径的有些读法会到达它，有些不会",
        ),
    }
}
