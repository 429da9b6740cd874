//! Validates `[connector.ID]`: its kind, callback, home, mapping and automatic login.

use super::Problems;
use crate::config::FilePath;
use crate::face::OWN_PAGES;
use crate::login::connector::{ConnectorConfig, SettingProblem};
use crate::login::{ConnectorSurroundings, auto_login_problems, connector_problems};
use crate::setting::{KeyPath, Step};
use crate::site::settings::RouteDestinations;
use crate::store::ConnectorId;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let config = problems.config;
    if !problems.is_complete("server") {
        return;
    }
    let has_all_routes = problems.is_complete("route");
    let files: Vec<_> = config.server.files.keys().map(FilePath::as_str).collect();
    let destinations = RouteDestinations {
        external_url: config.server.external_url.url(),
        prefix: config.server.prefix.as_str(),
        routes: &config.route,
        files: &files,
    };
    let surroundings = ConnectorSurroundings {
        external_url: config.server.external_url.url(),
        prefix: config.server.prefix.as_str(),
        own_pages: &OWN_PAGES,
        destinations: &destinations,
    };
    for (id, connector) in &config.connector {
        let found = connector_problems(id, connector, surroundings).into_iter();
        let is_certain = |problem: &SettingProblem<'_>| match problem.key_path.steps().first() {
            Some(Step::Key("home")) => has_all_routes,
            // The keys of a kind depend on each other: what one needs may have been taken out.
            Some(Step::Key(kind)) if is_kind(connector, kind) => {
                let table = KeyPath::of(["connector", id.as_str(), kind]);
                !problems.has_lost_values(&table)
            }
            _ => true,
        };
        let certain: Vec<_> = found.filter(is_certain).collect();
        for problem in certain {
            problems.add(in_document(id, problem));
        }
    }
    for (id, problem) in auto_login_problems(&config.connector) {
        problems.add(in_document(id, problem));
    }
}

fn is_kind(connector: &ConnectorConfig, key: &str) -> bool {
    connector.configured_kinds().any(|kind| kind.name() == key)
}

/// The problem with its key path in the document.
fn in_document<'a>(id: &'a ConnectorId, problem: SettingProblem<'a>) -> SettingProblem<'a> {
    let table = KeyPath::of(["connector", id.as_str()]);
    SettingProblem {
        key_path: table.join(problem.key_path),
        ..problem
    }
}
