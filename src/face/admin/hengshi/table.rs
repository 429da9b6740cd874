//! `Draft` and `Rest`: the table `[connector.ID]` as JSON, while it is made from fields and while fields are
//! made from it.

use serde_json::{Map, Value};

use super::form::{MENSHEN, SecretField};
use super::problem::FieldError;

/// The text that stands for a kept secret.
pub(super) const MARKER: &str = "********";

/// A table that is made from the fields of a request.
#[derive(Default)]
pub(super) struct Draft {
    /// The path of a key below `[connector.ID]`, its value, and the field that says it.
    said: Vec<(String, Value, &'static str)>,
    /// Keys that follow from fields, unless `menshen` says otherwise.
    implied: Vec<(String, Value)>,
    /// The paths of secrets that are to stay, with their fields.
    kept: Vec<(String, &'static str)>,
}

/// The table of a request.
#[derive(Debug, PartialEq)]
pub(super) struct Translated {
    pub(super) table: Map<String, Value>,
    /// The path of each key that a field says, or would say if it were not absent, with the field.
    fields: Vec<(String, &'static str)>,
}

impl Draft {
    /// Sets a key as a field says.
    pub(super) fn say(&mut self, field: &'static str, path: &str, value: impl Into<Value>) {
        self.said.push((path.to_owned(), value.into(), field));
    }

    /// The same, if the field says something.
    pub(super) fn say_if(
        &mut self,
        field: &'static str,
        path: &str,
        value: Option<impl Into<Value>>,
    ) {
        if let Some(value) = value {
            self.say(field, path, value);
        }
    }

    /// Sets a secret: an absent one stays, and an empty text removes it.
    pub(super) fn say_secret(&mut self, field: &'static str, path: &str, secret: SecretField) {
        match secret {
            SecretField::Absent => self.kept.push((path.to_owned(), field)),
            SecretField::Marker => self.say(field, path, MARKER),
            SecretField::Removed => self.say(field, path, ""),
            SecretField::New(text) => self.say(field, path, text),
        }
    }

    /// Sets a key that no field says.
    pub(super) fn imply(&mut self, path: &str, value: impl Into<Value>) {
        self.implied.push((path.to_owned(), value.into()));
    }

    /// Adds the keys of `menshen`. A key that a field says must not be there.
    pub(super) fn merge(
        self,
        menshen: Map<String, Value>,
        problems: &mut Vec<FieldError>,
    ) -> Translated {
        let mut table = menshen;
        for (path, value) in self.implied {
            if find(&table, &path).is_none() && !insert(&mut table, &path, value) {
                problems.push(not_a_table(&path));
            }
        }
        let is_kept = |path: &str| find(&table, path).is_none();
        let kept = self.kept.into_iter().filter(|(path, _)| is_kept(path));
        let mut fields: Vec<_> = kept.collect();
        for (path, value, field) in self.said {
            if find(&table, &path).is_some() {
                let zh = format!("字段 {field} 已经说明了它，不能写两次");
                let en = format!("the field {field} says it already: write it once");
                problems.push(FieldError::new(format!("{MENSHEN}.{path}"), zh, en));
            } else if !insert(&mut table, &path, value) {
                problems.push(not_a_table(&path));
            }
            fields.push((path, field));
        }
        Translated { table, fields }
    }
}

fn not_a_table(path: &str) -> FieldError {
    let table = path.rsplit_once('.').map_or(path, |(table, _)| table);
    FieldError::new(
        format!("{MENSHEN}.{table}"),
        "应为对象",
        "it must be an object",
    )
}

impl Translated {
    /// The field of the request that a key of the table comes from: one of HENGSHI, or one below `menshen`.
    /// Whether it was sent is the second value; a problem of the table of the kind as a whole is one of no
    /// field. `kind` is the name of that table.
    pub(super) fn field_of(&self, kind: &str, key_path: &str) -> (String, bool) {
        let is_within = |path: &str| {
            let rest = key_path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let said = self.fields.iter().find(|(path, _)| is_within(path));
        if let Some((_, field)) = said {
            return ((*field).to_owned(), true);
        }
        if key_path.is_empty() {
            return (MENSHEN.to_owned(), false);
        }
        let plain = key_path.split('[').next().unwrap_or(key_path);
        let is_sent = plain != kind && find(&self.table, plain).is_some();
        (format!("{MENSHEN}.{key_path}"), is_sent)
    }
}

/// The value at a path of keys.
pub(super) fn find<'a>(table: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((key, rest)) => find(table.get(key)?.as_object()?, rest),
    }
}

/// Sets the value at a path; false if something on the way is not a table.
fn insert(table: &mut Map<String, Value>, path: &str, value: Value) -> bool {
    let Some((key, rest)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return true;
    };
    let inner = table
        .entry(key)
        .or_insert_with(|| Value::Object(Map::new()));
    match inner {
        Value::Object(inner) => insert(inner, rest, value),
        _ => false,
    }
}

/// A table from which fields are taken; what is left is beyond the fields of HENGSHI.
pub(super) struct Rest(Map<String, Value>);

impl Rest {
    pub(super) fn new(table: &Map<String, Value>) -> Self {
        Self(table.clone())
    }

    pub(super) fn find(&self, path: &str) -> Option<&Value> {
        find(&self.0, path)
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.find(path)?.as_str()
    }

    /// Takes the value at a path.
    pub(super) fn take(&mut self, path: &str) -> Option<Value> {
        remove(&mut self.0, path)
    }

    /// Takes the value if it is this one.
    pub(super) fn take_if(&mut self, path: &str, is: &Value) -> bool {
        let is_it = self.find(path) == Some(is);
        if is_it {
            self.take(path);
        }
        is_it
    }

    pub(super) fn take_text(&mut self, path: &str) -> Option<String> {
        self.text(path)?;
        match self.take(path)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// What is left, without empty tables.
    pub(super) fn into_menshen(mut self) -> Map<String, Value> {
        prune(&mut self.0);
        self.0
    }
}

fn remove(table: &mut Map<String, Value>, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => table.remove(path),
        Some((key, rest)) => remove(table.get_mut(key)?.as_object_mut()?, rest),
    }
}

fn prune(table: &mut Map<String, Value>) {
    table.retain(|_, value| match value {
        Value::Object(inner) => {
            prune(inner);
            !inner.is_empty()
        }
        _ => true,
    });
}
