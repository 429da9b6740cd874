//! The values of a table at key paths, and their text.

use serde_json::{Map, Value};

use crate::setting::{line_column, toml_message};
use crate::site::settings::SECRET_MARKER;
use crate::wording::Text;

/// The settings of a connector: the table `[connector.ID]` as JSON.
pub(super) type Members = Map<String, Value>;

/// The value at a key path such as `wecom.corp_id`.
pub(super) fn get<'t>(members: &'t Members, key: &str) -> Option<&'t Value> {
    let mut steps = key.split('.');
    let mut value = members.get(steps.next()?)?;
    for step in steps {
        value = value.as_object()?.get(step)?;
    }
    Some(value)
}

/// Sets the value at a key path; the tables on the way are made.
pub(super) fn set(members: &mut Members, key: &str, new: Value) {
    match key.split_once('.') {
        None => {
            members.insert(key.to_owned(), new);
        }
        Some((first, rest)) => {
            if let Some(inner) = table_at(members, first) {
                set(inner, rest, new);
            }
        }
    }
}

/// Makes the table at a key path if there is none.
pub(super) fn ensure(members: &mut Members, key: &str) {
    match key.split_once('.') {
        None => {
            table_at(members, key);
        }
        Some((first, rest)) => {
            if let Some(inner) = table_at(members, first) {
                ensure(inner, rest);
            }
        }
    }
}

fn table_at<'t>(members: &'t mut Members, key: &str) -> Option<&'t mut Members> {
    let entry = members.entry(key.to_owned());
    entry
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}

/// The text of a value that is no table: a list has an item on each line.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("\n"),
        // Such as `{ file = "/path" }`, which only the configuration file has.
        Value::Object(members) => {
            let members = members.iter();
            let pairs: Vec<_> = members
                .map(|(key, value)| format!("{key} = {value}"))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// Whether a value stands for a secret that is kept, or for a list of them.
pub(super) fn is_kept_secret(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(is_kept_secret),
        value => value == SECRET_MARKER,
    }
}

/// A table as TOML.
pub(super) fn to_toml(members: &Members) -> String {
    // A JSON document without null is a TOML document.
    toml::to_string_pretty(members).unwrap_or_default()
}

/// Why a text is not TOML.
#[derive(Debug)]
pub(super) struct NotToml {
    /// From 1.
    pub(super) line: usize,
    /// What the parser expected. It may repeat a part of the text.
    pub(super) reason: Text,
}

/// A table from TOML.
pub(super) fn from_toml(text: &str) -> Result<Members, NotToml> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let (line, _) = line_column(text, start);
        NotToml {
            line,
            reason: toml_message(error.message()),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_set_and_read_at_their_paths() {
        let mut members = Members::new();
        set(&mut members, "wecom.events.token", "t".into());
        set(&mut members, "admission", "create".into());
        ensure(&mut members, "oidc.x");
        let expected = json!({
            "wecom": { "events": { "token": "t" } }, "admission": "create", "oidc": { "x": {} },
        });
        assert_eq!(Value::Object(members.clone()), expected);
        assert_eq!(get(&members, "wecom.events.token"), Some(&json!("t")));
        assert_eq!(get(&members, "wecom.token"), None);
        // What is no table stays.
        set(&mut members, "admission.x", "y".into());
        assert_eq!(Value::Object(members), expected);
    }

    #[test]
    fn toml_is_read_and_written() {
        let text = "[[step]]\nname = \"a\"\n\n[step.query]\nx = \"'1'\"\n";
        let members = from_toml(text).unwrap();
        assert_eq!(from_toml(&to_toml(&members)).unwrap(), members);
        assert_eq!(from_toml("a = 1\nb = \n").unwrap_err().line, 2);
    }
}
