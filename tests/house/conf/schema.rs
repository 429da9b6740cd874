//! The keys of the configuration and their doc comments, read from the JSON schema.

use std::collections::BTreeMap;

use menshen::config::Config;
use serde_json::Value;

/// Every table and key by its path; `*` stands for a name that the administrator chooses.
#[derive(Debug, Default)]
pub(super) struct Schema {
    /// Tables with their doc comments.
    pub(super) tables: BTreeMap<String, String>,
    /// Keys with their doc comments.
    pub(super) keys: BTreeMap<String, String>,
    /// Keys that this version does not support.
    pub(super) unsupported: Vec<String>,
}

/// Reads the schema of [`Config`].
pub(super) fn read() -> Schema {
    let root = schemars::schema_for!(Config).to_value();
    let mut schema = Schema::default();
    schema.walk(&root, &root, "");
    schema.unsupported.sort();
    schema
}

impl Schema {
    fn walk(&mut self, root: &Value, table: &Value, path: &str) {
        for (name, property) in table["properties"].as_object().unwrap() {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let value = resolve(root, property);
            let doc_of = |schema: &Value| schema["description"].as_str().map(str::to_owned);
            let doc = doc_of(property)
                .or_else(|| doc_of(value))
                .unwrap_or_default();
            let items = resolve(root, &value["items"]);
            let named = named_tables(root, value);
            if value.get("not").is_some() {
                self.unsupported.push(path);
            } else if value["properties"].is_object() {
                self.walk(root, value, &path);
                self.tables.insert(path, doc);
            } else if items["properties"].is_object() {
                self.walk(root, items, &path);
                self.tables.insert(path, doc);
            } else if let Some(named) = named {
                let path = format!("{path}.*");
                self.walk(root, named, &path);
                self.tables.insert(path, doc);
            } else {
                self.keys.insert(path, doc);
            }
        }
    }
}

/// The schema of the values of a map, if they are tables.
fn named_tables<'a>(root: &'a Value, map: &'a Value) -> Option<&'a Value> {
    let patterns = map["patternProperties"]
        .as_object()
        .and_then(|all| all.values().next());
    let each = resolve(
        root,
        patterns.unwrap_or_else(|| &map["additionalProperties"]),
    );
    each["properties"].is_object().then_some(each)
}

/// Follows references, and removes the `null` of optional values.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        return resolve(root, target);
    }
    let choices = schema["anyOf"].as_array();
    match choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null")) {
        Some(choice) => resolve(root, choice),
        None => schema,
    }
}
