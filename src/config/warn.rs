//! Warnings of `menshen check`: settings that are valid but weaken security or have no effect.

use std::fmt;

use super::Config;
use crate::clock::Timestamp;
use crate::open_files::OpenFiles;
use crate::setting::KeyPath;
use crate::wording::{Language, Text};

mod access_tokens;
mod certificates;
mod check_headers;
mod connectors;
mod console;
mod frames;
mod issuers;
mod limits;
mod local_people;
mod managed;
mod path_case;
mod paths;
mod public_paths;
mod routes;
mod rules;
mod secrets;
mod self_written;
mod server;
mod silent_logins;
mod store;

/// A warning about a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The path of the key, such as `route[0].preflight`.
    pub key: String,
    /// The consequence, and what to do instead.
    pub text: Text,
    /// The name of the configuration file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Warning {
    /// The warning with its place.
    pub fn in_language(&self, language: Language) -> String {
        let Self {
            key,
            text,
            file,
            line,
            column,
        } = self;
        let text = text.in_language(language);
        format!("{file}:{line}:{column}: {key}: {text}")
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_language(Language::English))
    }
}

/// The warnings about the configuration itself, in the order of its text.
pub(super) fn warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    secrets::warn(&mut warnings);
    server::warn(&mut warnings);
    limits::warn(&mut warnings);
    console::warn(&mut warnings);
    store::warn(&mut warnings);
    frames::warn(&mut warnings);
    connectors::warn(&mut warnings);
    self_written::warn(&mut warnings);
    local_people::warn(&mut warnings);
    managed::warn(&mut warnings);
    issuers::warn(&mut warnings);
    routes::warn_about_routes(&mut warnings);
    routes::warn_about_wildcard_hosts(&mut warnings);
    paths::warn(&mut warnings);
    rules::warn(&mut warnings);
    access_tokens::warn(&mut warnings);
    path_case::warn(&mut warnings);
    silent_logins::warn(&mut warnings);
    check_headers::warn(&mut warnings);
    warnings.into_sorted()
}

struct Warnings<'a> {
    config: &'a Config,
    list: Vec<Warning>,
}

impl Warnings<'_> {
    fn into_sorted(mut self) -> Vec<Warning> {
        self.list
            .sort_by_key(|warning| (warning.line, warning.column));
        self.list
    }

    fn add(&mut self, key_path: &KeyPath<'_>, text: Text) {
        let source = &self.config.source;
        let (line, column) = source.line_column(source.value_span(key_path).start);
        self.list.push(Warning {
            key: key_path.to_string(),
            text,
            file: source.name.to_string(),
            line,
            column,
        });
    }
}

/// The warnings about files that the configuration names. Reads these files.
pub(super) fn file_warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    secrets::warn_about_files(&mut warnings);
    for (id, connector) in &config.connector {
        let table = KeyPath::of(["connector", id.as_str()]);
        for (relative, text) in connector
            .configured_kinds()
            .flat_map(|kind| kind.file_warnings())
        {
            warnings.add(&table.clone().join(relative), text);
        }
    }
    warnings.into_sorted()
}

/// The warnings about certificates: their dates and their names. Reads their files.
pub(super) fn certificate_warnings(config: &Config, now: Timestamp) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    certificates::warn(&mut warnings, now);
    warnings.into_sorted()
}

/// The warnings about routes that nobody can pass, for a site without any connector.
pub(super) fn absent_caller_warnings(config: &Config) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    routes::warn_about_absent_callers(&mut warnings);
    warnings.into_sorted()
}

/// Settings that exceed the limits of the operating system for this process.
pub(super) fn system_warnings(config: &Config, files: OpenFiles) -> Vec<Warning> {
    let mut warnings = Warnings {
        config,
        list: Vec::new(),
    };
    limits::open_files(&mut warnings, files);
    warnings.into_sorted()
}
