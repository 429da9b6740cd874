//! Where the document has what the admin API and the console must not change.

use serde_json::{Map, Value};

use super::Config;
use crate::setting::KeyPath;
use crate::site::settings::{ConnectorTable, FileConnector, FileSettings};

/// The lines of the connectors and choices of the document.
pub(super) fn file_settings(config: &Config) -> FileSettings {
    let source = &config.source;
    let line_of_key =
        |key_path: KeyPath<'_>| source.line_column(source.key_span(&key_path).start).0;
    let line = |key_path: KeyPath<'_>| source.contains(&key_path).then(|| line_of_key(key_path));
    // A document whose text is not known has no lines.
    let document: Map<String, Value> = toml::from_str(&source.text).unwrap_or_default();
    let tables = document.get("connector").and_then(Value::as_object);
    let mut order: Vec<_> = config.connector.keys().cloned().collect();
    order.sort_by_cached_key(|id| {
        let key_path = KeyPath::of(["connector", id.as_str()]);
        source.key_span(&key_path).start
    });
    let connectors = config.connector.iter().map(|(id, connector)| {
        let key_path = KeyPath::of(["connector", id.as_str()]);
        let table = tables.and_then(|tables| tables.get(id.as_str()));
        let table = table.and_then(Value::as_object).cloned();
        let table = ConnectorTable::from(table.unwrap_or_default());
        let file_connector = FileConnector {
            line: line_of_key(key_path.clone()),
            enabled_line: line(key_path.key("enabled")),
            table: table.masked_as(connector),
        };
        (id.clone(), file_connector)
    });
    FileSettings {
        name: source.name.to_string(),
        connectors: connectors.collect(),
        order,
        default_line: line(KeyPath::of(["login", "default"])),
        order_line: line(KeyPath::of(["login", "order"])),
        write_line: line(KeyPath::of(["managed", "write"])),
    }
}
