//! The configuration: the files in conf/, problems and warnings.

mod capital_letters;
mod cas;
mod certificates;
mod characters;
mod connector_kinds;
mod custom;
mod examples;
pub(crate) mod full;
mod issuers;
mod jwt;
pub(crate) mod keys;
mod lark;
mod masked;
mod missing_files;
mod mistakes;
mod mutated;
mod oauth2;
mod oidc;
mod one_run;
mod overlooked;
pub(crate) mod problems;
mod relative_files;
mod remedies;
mod saml;
mod schema;
mod store;
mod upstream_tls;
mod warnings;
mod yunzhijia;

use std::path::{Path, PathBuf};

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::login::connector::ConnectorDeps;
use menshen::outbound::{self, Outbound};
use menshen::people::departments::StoredDepartments;
use menshen::people::profile::MappingConfig;

/// A file below the root of the project.
pub(crate) fn project_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Parses a configuration that must be valid.
pub(crate) fn parse(text: &str) -> Config {
    Config::parse(text, "menshen.toml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What a connector with this ID is built with, without a site and a store around it.
pub(crate) fn connector_deps(id: &str, clock: &Clock) -> ConnectorDeps {
    let own_pages_url = "https://sso.corp.example/.menshen";
    ConnectorDeps {
        id: id.parse().unwrap(),
        callback: format!("{own_pages_url}/callback/{id}").parse().unwrap(),
        own_pages_url: own_pages_url.parse().unwrap(),
        outbound: Outbound::build(&outbound::Config::default()).unwrap(),
        clock: clock.clone(),
        mapping: MappingConfig::default(),
        stored_departments: StoredDepartments::default(),
        local_people: None,
        kept_state: None,
    }
}

#[test]
fn every_configuration_in_conf_parses() {
    let mut parsed = 0;
    for entry in std::fs::read_dir(project_file("conf")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            parse(&std::fs::read_to_string(&path).unwrap());
            parsed += 1;
        }
    }
    assert!(parsed >= 2, "{parsed} configurations in conf/");
}

#[test]
fn a_configuration_names_every_file_it_reads() {
    let files = parse(&full::text_with_all_keys()).files();
    let names: Vec<_> = files.iter().map(|path| path.to_str().unwrap()).collect();
    for name in [
        "/etc/menshen/admin.token",
        "/etc/menshen/logo.svg",
        "/etc/menshen/oa.password",
        "/etc/menshen/proxy-ca.pem",
        "/etc/menshen/session.key",
        "/etc/menshen/tls.key",
        "/etc/menshen/tls.pem",
        "/etc/menshen/wecom.secret",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}

#[test]
fn a_parsed_configuration_shows_no_secret() {
    let text =
        full::text_with_all_keys().replace("{ file = \"/etc/menshen/wecom.secret\" }", "'hunter2'");
    assert!(text.contains("hunter2"));
    assert!(!format!("{:?}", parse(&text)).contains("hunter2"));
}
