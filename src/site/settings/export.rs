//! Exports managed connectors as TOML that the configuration file takes.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::document::ManagedDocument;
use crate::store::ConnectorId;

/// Where an export says that secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlaces {
    /// In environment variables: `{ env = "MENSHEN_<ID>_<KEY>" }`.
    Environment,
    /// In files below this folder: `{ file = "<DIR>/<ID>.<KEY>" }`.
    Files(String),
}

impl SecretPlaces {
    /// What stands in the TOML for a secret.
    fn of(&self, id: &ConnectorId, path: &[String]) -> Value {
        let key = path.join("_");
        match self {
            Self::Environment => {
                let name = format!("MENSHEN_{id}_{key}").to_uppercase();
                let is_word = |c: char| c.is_ascii_alphanumeric();
                let name = name.replace(|c| !is_word(c), "_");
                serde_json::json!({ "env": name })
            }
            Self::Files(folder) => serde_json::json!({ "file": format!("{folder}/{id}.{key}") }),
        }
    }
}

impl ManagedDocument {
    /// The managed settings as TOML; secrets are read from `places`, which comments list.
    pub fn to_toml(&self, places: &SecretPlaces) -> String {
        let mut names = Vec::new();
        let mut connectors = Map::new();
        for (id, managed) in &self.connectors {
            let mut table = managed.settings.masked();
            let mut paths = Vec::new();
            managed
                .settings
                .each_sealed(|path| paths.push(path.to_vec()));
            for path in paths {
                let place = places.of(id, &path);
                names.extend(place.as_object().into_iter().flatten().map(|(_, name)| {
                    let field = format!("connector.{id}.{}", path.join("."));
                    (name.as_str().unwrap_or_default().to_owned(), field)
                }));
                // The URL of a proxy is a text and has no place for its password.
                if path.iter().map(String::as_str).eq(["proxy"]) {
                    table.members_mut().remove("proxy");
                } else {
                    table.set_at(&path, place);
                }
            }
            connectors.insert(id.to_string(), Value::Object(table.expose().clone()));
        }
        let mut toml = comments(&names);
        let mut document = Map::new();
        let login = login_table(self);
        if !login.is_empty() {
            document.insert("login".to_owned(), Value::Object(login));
        }
        if !connectors.is_empty() {
            document.insert("connector".to_owned(), Value::Object(connectors));
        }
        // A JSON document without null is a TOML document.
        toml.push_str(&toml::to_string_pretty(&document).unwrap_or_default());
        toml
    }
}

/// The list of secrets, which must be provided.
fn comments(names: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, field) in names {
        // Writing to a text does not fail.
        let _ = writeln!(text, "# {name}: {field}");
    }
    if !text.is_empty() {
        text.insert_str(0, "# The secrets, which are not part of this file:\n");
        text.push('\n');
    }
    text
}

fn login_table(document: &ManagedDocument) -> Map<String, Value> {
    let mut login = Map::new();
    if let Some(default) = &document.login.default {
        login.insert("default".to_owned(), default.as_str().into());
    }
    if !document.login.order.is_empty() {
        let order = document.login.order.iter();
        let order: Vec<_> = order.map(ConnectorId::as_str).collect();
        login.insert("order".to_owned(), order.into());
    }
    login
}
