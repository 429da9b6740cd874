//! `ExternalSecret`: a secret that a [`ConnectorTable`] does not contain, but names in a file or in the environment.
//! The server reads none of them for managed settings. A command may, because its user could read them as well.

use serde_json::{Map, Value};

use super::error::FieldProblem;
use super::parse::below;
use super::table::ConnectorTable;
use super::types;
use crate::secret::{Secret, SecretSource};
use crate::setting::Step;
use crate::text;

/// A secret, or a public key, that is in a file or in the environment.
#[derive(Clone, Debug)]
pub struct ExternalSecret {
    /// Its key path below `[connector.ID]`.
    pub field: String,
    pub source: SecretSource,
    path: Vec<String>,
}

impl ConnectorTable {
    /// The external secrets; none if the settings have a wrong type, because the server refuses those.
    ///
    /// # Errors
    /// A file or a variable is named for something else than a secret.
    pub fn external_secrets(&self) -> Result<Vec<ExternalSecret>, Vec<FieldProblem>> {
        let connector = match types::read(self) {
            Ok(connector) => connector,
            Err(problems) => return misplaced_sources(self, &problems),
        };
        let secrets = connector.configured_kinds().flat_map(|kind| {
            let secrets = kind.secrets().into_iter().chain(kind.public_keys());
            secrets.filter(|(_, source)| !matches!(source, SecretSource::Literal(_)))
        });
        let secrets = secrets.map(|(key_path, source)| ExternalSecret {
            field: key_path.to_string(),
            source: source.clone(),
            path: key_path.steps().iter().map(name_of).collect(),
        });
        Ok(secrets.collect())
    }

    /// Replaces the name of an external secret by its value.
    pub fn put_secret(&mut self, external: &ExternalSecret, secret: &Secret<String>) {
        self.set_at(&external.path, secret.expose().as_str().into());
    }
}

fn name_of(step: &Step<'_>) -> String {
    match step {
        Step::Key(key) => (*key).to_owned(),
        Step::Item(index) => index.to_string(),
    }
}

/// The problems at tables that only name a file or a variable.
fn misplaced_sources(
    table: &ConnectorTable,
    problems: &[FieldProblem],
) -> Result<Vec<ExternalSecret>, Vec<FieldProblem>> {
    let mut sources = Vec::new();
    find_sources("", table.expose(), &mut sources);
    sources.retain(|source| {
        let inside = format!("{source}.");
        let mut fields = problems.iter().map(|problem| &problem.field);
        fields.any(|field| field == source || field.starts_with(&inside))
    });
    let found = sources.into_iter().map(|source| {
        let message = text!(
            "only secrets are read from a file or from the environment",
            "只有密钥可以从文件或环境变量读取"
        );
        let help = text!("write the value itself", "请直接写出值");
        FieldProblem::new(source, message, help)
    });
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => Ok(Vec::new()),
        false => Err(found),
    }
}

/// Adds the paths of all tables that only name a file or a variable.
fn find_sources(path: &str, members: &Map<String, Value>, found: &mut Vec<String>) {
    let mut keys = members.keys().map(String::as_str);
    if matches!((keys.next(), keys.next()), (Some("file" | "env"), None)) {
        found.push(path.to_owned());
    }
    for (key, value) in members {
        find_sources_in(below(path, key), value, found);
    }
}

fn find_sources_in(path: String, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => find_sources(&path, members, found),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_sources_in(format!("{path}[{index}]"), item, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
