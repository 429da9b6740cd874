//! `ExplainedMatch`: which route is found, and why the others are not.

use serde::Serialize;

use super::truncate;
use crate::request::head::Head;
use crate::request::route::{Mismatch, Route, RouteMatch, Routes};

/// What is found for a host and a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "kebab-case")]
pub enum ExplainedMatch {
    /// A route.
    Route {
        /// Its name.
        name: String,
        /// The hosts it serves.
        host: String,
        /// The path it begins with.
        path: String,
    },
    /// One of our own pages.
    OwnPage {
        /// Which, without the prefix.
        page: String,
    },
    /// Nothing.
    #[serde(rename = "nothing")]
    None,
    /// Readers of the path find different things.
    Ambiguous {
        /// Two readings that do, the path as sent first.
        readings: Vec<PathReading>,
    },
    /// The head cannot be read.
    #[serde(rename = "unread")]
    InvalidRequest,
}

/// One route_match to read a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathReading {
    /// The path as that reader sees it.
    pub path: String,
    /// The route they find.
    pub finds: String,
}

/// A route that is not the one, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedRoute {
    /// Its name.
    pub route: String,
    /// Why not.
    pub why: String,
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
                            finds: name(found),
                        })
                        .collect(),
                }
            }
        }
    }
}

/// Every route but the one that is found, as configured.
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

fn name(found: RouteMatch<'_>) -> String {
    match found {
        RouteMatch::Route(route) => route.name.as_str().to_owned(),
        RouteMatch::OwnPath => "our own page".to_owned(),
        RouteMatch::None | RouteMatch::Ambiguous => "nothing".to_owned(),
    }
}

fn rejection(route: &Route, why: &Mismatch) -> String {
    let (host, path) = (&route.host, route.path.as_str());
    match why {
        Mismatch::Host => format!("it serves another host: {host}"),
        Mismatch::CloserHost => {
            format!(
                "it serves {host}, and the host is chosen first: another route names it more closely"
            )
        }
        Mismatch::Port => format!("it serves another port: {host}"),
        Mismatch::CloserPort => {
            format!("it serves {host} on every port, and another route names this one")
        }
        Mismatch::Path => format!("its path is {path}"),
        Mismatch::LongerPath { by } => {
            format!(
                "its path {path} matches, and {} has a longer one",
                by.as_str()
            )
        }
        Mismatch::OwnPath => "the path is menshen's own on every host".to_owned(),
        Mismatch::AmbiguousPath => "readers of the path do not agree on it".to_owned(),
    }
}
