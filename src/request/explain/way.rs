//! `Way`: which route is found, and why the others are not.

use serde::Serialize;

use super::cut;
use crate::request::head::Head;
use crate::request::route::{Found, Route, Routes, Unfound};

/// What is found for a host and a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "kebab-case")]
pub enum Way {
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
    Nothing,
    /// Readers of the path find different things.
    Ambiguous {
        /// Two readings that do, the path as sent first.
        readings: Vec<Reading>,
    },
    /// The head cannot be read.
    Unread,
}

/// One way to read a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The path as that reader sees it.
    pub path: String,
    /// The route they find.
    pub finds: String,
}

/// A route that is not the one, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotRoute {
    /// Its name.
    pub route: String,
    /// Why not.
    pub why: String,
}

impl Way {
    pub(super) fn of(routes: &Routes, head: &Head<'_>) -> Self {
        let (host, port, path) = (&head.host, head.effective_port(), &head.path);
        if let Some(page) = routes.own_page(path.as_str()) {
            let page = cut(page);
            return Self::OwnPage { page };
        }
        match routes.find(host, port, path) {
            Found::Route(route) => Self::Route {
                name: route.name.as_str().to_owned(),
                host: route.host.to_string(),
                path: route.path.as_str().to_owned(),
            },
            Found::Own | Found::None => Self::Nothing,
            Found::Ambiguous => {
                let disputed = routes.disputed(host, port, path);
                let readings = disputed.map(|(sent, other)| vec![sent, other]);
                let readings = readings.into_iter().flatten();
                Self::Ambiguous {
                    readings: readings
                        .map(|(reading, found)| Reading {
                            path: shown(&reading),
                            finds: name(found),
                        })
                        .collect(),
                }
            }
        }
    }
}

/// Every route but the one that is found, as configured.
pub(super) fn others(routes: &Routes, head: &Head<'_>) -> Vec<NotRoute> {
    let others = routes.others(&head.host, head.effective_port(), &head.path);
    let others = others.into_iter().map(|(route, why)| NotRoute {
        route: route.name.as_str().to_owned(),
        why: why_not(route, &why),
    });
    others.collect()
}

/// A reading of a path as text.
pub(super) fn shown(reading: &[u8]) -> String {
    cut(&String::from_utf8_lossy(reading))
}

fn name(found: Found<'_>) -> String {
    match found {
        Found::Route(route) => route.name.as_str().to_owned(),
        Found::Own => "our own page".to_owned(),
        Found::None | Found::Ambiguous => "nothing".to_owned(),
    }
}

fn why_not(route: &Route, why: &Unfound) -> String {
    let (host, path) = (&route.host, route.path.as_str());
    match why {
        Unfound::Host => format!("it serves another host: {host}"),
        Unfound::HostNamed => {
            format!(
                "it serves {host}, and the host is chosen first: another route names it more closely"
            )
        }
        Unfound::Port => format!("it serves another port: {host}"),
        Unfound::PortNamed => {
            format!("it serves {host} on every port, and another route names this one")
        }
        Unfound::Path => format!("its path is {path}"),
        Unfound::Longer { by } => {
            format!(
                "its path {path} matches, and {} has a longer one",
                by.as_str()
            )
        }
        Unfound::Own => "the path is menshen's own on every host".to_owned(),
        Unfound::Disputed => "readers of the path do not agree on it".to_owned(),
    }
}
