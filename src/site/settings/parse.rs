//! Reads a [`ConnectorTable`] with the types of the configuration file, and checks it as the file is
//! checked.

use serde::Deserialize as _;
use serde::de::value::MapDeserializer;
use serde_json::Value;

use super::error::FieldProblem;
use super::table::ConnectorTable;
use super::{Config, RouteDestinations, seal};
use crate::login::connector::ConnectorConfig;
use crate::login::{ConnectorSurroundings, connector_problems};
use crate::secret::SecretSource;
use crate::store::ConnectorId;

/// The longest text, in bytes; a PEM text has line breaks.
const TEXT_BYTES_MAX: usize = 8 * 1024;
const PEM_BYTES_MAX: usize = 64 * 1024;

/// The deepest nesting of tables and lists.
const DEPTH_MAX: usize = 16;

/// The most values in a table.
const VALUES_MAX: usize = 4_096;

/// The settings of a connector.
///
/// # Errors
/// The first value that its type does not accept.
pub(super) fn connector(table: &ConnectorTable) -> Result<ConnectorConfig, FieldProblem> {
    let members = table.expose();
    let members = members
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()));
    let members: MapDeserializer<'_, _, serde_json::Error> = MapDeserializer::new(members);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(members, &mut track);
    ConnectorConfig::deserialize(tracked).map_err(|error| {
        let path = track.path().to_string();
        // The root is `.`, and a key that is not known may be `?`.
        let path = path.trim_end_matches(['.', '?']);
        type_problem(path, &error.to_string())
    })
}

/// The problem of a value that its type does not accept. serde repeats the value, which may be a secret: only
/// names and expected types are taken over.
fn type_problem(path: &str, message: &str) -> FieldProblem {
    if let Some((written, allowed)) = split_unknown(message, "unknown field") {
        let field = match path.rsplit('.').next() {
            Some(last) if last == written => path.to_owned(),
            _ => below(path, written),
        };
        let allowed = format!("allowed here: {}", allowed.join(", "));
        return FieldProblem::new(field, format!("unknown key `{written}`"), allowed);
    }
    if let Some((_, allowed)) = split_unknown(message, "unknown variant") {
        let allowed = format!("one of: {}", allowed.join(", "));
        return FieldProblem::new(path, "this is not a choice here", allowed);
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        let key = rest.split('`').next().unwrap_or_default();
        return FieldProblem::new(below(path, key), "it is missing", "give it a value");
    }
    let expected = message.rsplit_once(", expected ");
    let (message, help) = match (message.starts_with("invalid "), expected) {
        (true, Some((_, expected))) => (
            "a value of this type does not fit here".to_owned(),
            format!("expected {}", type_in_words(expected)),
        ),
        (true, None) => (
            "this value does not fit here".to_owned(),
            "see the type of the key in conf/full.toml".to_owned(),
        ),
        // An error of our own types, which name what is allowed and not the value.
        (false, _) => (
            "this value cannot be used".to_owned(),
            message.trim().to_owned(),
        ),
    };
    FieldProblem::new(path, message, help)
}

/// The expected type in words, without names of Rust types.
fn type_in_words(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "a string" | "literal string" => "a text",
        "a boolean" => "true or false",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below 0",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// Splits ``unknown field `x`, expected one of `a`, `b` `` into `x` and the allowed names.
fn split_unknown<'a>(message: &'a str, what: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix(what)?.trim_start().strip_prefix('`')?;
    let (written, rest) = rest.split_once('`')?;
    // Every other part between backticks is a name.
    Some((written, rest.split('`').skip(1).step_by(2).collect()))
}

/// The problems of the JSON itself: too large, control characters, or what stands for sealed secrets.
pub(super) fn json_problems(table: &ConnectorTable) -> Vec<FieldProblem> {
    let mut found = JsonProblems {
        list: Vec::new(),
        values: 0,
    };
    for (key, value) in table.expose() {
        found.check(key, value, 1);
    }
    if found.values > VALUES_MAX {
        let help = format!("at most {VALUES_MAX}");
        found
            .list
            .push(FieldProblem::new("", "there are too many values", help));
    }
    found.list
}

struct JsonProblems {
    list: Vec<FieldProblem>,
    values: usize,
}

impl JsonProblems {
    fn check(&mut self, path: &str, value: &Value, depth: usize) {
        self.values += 1;
        if depth > DEPTH_MAX || self.values > VALUES_MAX {
            let message = "it is nested too deeply, or there are too many values";
            self.list
                .push(FieldProblem::new(path, message, "remove some"));
            return;
        }
        match value {
            Value::String(text) => self.check_text(path, text),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.check(&format!("{path}[{index}]"), item, depth + 1);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    let path = below(path, key);
                    if key == seal::SEALED {
                        let help = "it stands for secrets that are stored";
                        let problem = FieldProblem::new(&*path, "this key cannot be used", help);
                        self.list.push(problem);
                    }
                    self.check(&path, member, depth + 1);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn check_text(&mut self, path: &str, text: &str) {
        let is_pem = text.trim_start().starts_with("-----BEGIN ");
        let bytes_max = match is_pem {
            true => PEM_BYTES_MAX,
            false => TEXT_BYTES_MAX,
        };
        if text.len() > bytes_max {
            let help = format!("at most {bytes_max} bytes");
            self.list
                .push(FieldProblem::new(path, "it is too long", help));
        }
        // Expressions and PEM have several lines.
        let is_refused = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(is_refused) {
            let message = "it has a control character";
            self.list
                .push(FieldProblem::new(path, message, "remove it"));
        }
    }
}

/// The problems of the settings: everything that the file is checked for, and what only the file may say.
pub(super) fn problems(
    id: &ConnectorId,
    connector: &ConnectorConfig,
    site: &Config,
) -> Vec<FieldProblem> {
    let files: Vec<_> = site.verification_files.keys().map(String::as_str).collect();
    let destinations = RouteDestinations {
        external_url: &site.external_url,
        prefix: &site.prefix,
        routes: &site.routes,
        files: &files,
    };
    let surroundings = ConnectorSurroundings {
        external_url: &site.external_url,
        prefix: &site.prefix,
        own_pages: site.own_pages,
        destinations: &destinations,
    };
    let found = connector_problems(id, connector, surroundings);
    let mut problems: Vec<_> = found.into_iter().map(FieldProblem::from).collect();
    problems.extend(machine_problems(connector));
    problems
}

/// Refuses what reads files or the environment of this machine: whoever may change settings need not be
/// allowed to read them.
fn machine_problems(connector: &ConnectorConfig) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let message = "managed settings read no file and no environment variable of the machine";
    if connector.ca.is_some() {
        let help = "give the certificates themselves, as PEM in `ca_pem`";
        problems.push(FieldProblem::new("ca", message, help));
    }
    for kind in connector.configured_kinds() {
        let secrets = kind.secrets().into_iter().chain(kind.public_keys());
        let is_elsewhere = |source: &SecretSource| !matches!(source, SecretSource::Literal(_));
        for (key_path, _) in secrets.filter(|(_, source)| is_elsewhere(source)) {
            let help = "give the text itself";
            problems.push(FieldProblem::new(key_path.to_string(), message, help));
        }
        for (key_path, _) in kind.files() {
            let field = key_path.to_string();
            if problems.iter().all(|problem| problem.field != field) {
                let help = "give the content itself or a URL, or set the connector in the file";
                problems.push(FieldProblem::new(field, message, help));
            }
        }
    }
    problems
}
