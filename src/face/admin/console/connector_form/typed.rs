//! What was typed into a form, as the settings that the admin API takes.

use serde_json::{Map, Value};

use super::field::{Control, Field};
use super::fields::KindForm;
use super::table::{self, Members};
use crate::face::admin::console::form::Form;
use crate::site::settings::{ConnectorTable, FieldProblem, SECRET_MARKER};
use crate::text;

/// The name of the boxes that remove a secret; their value is its key.
pub(super) const REMOVE: &str = "remove";

/// The settings that a form describes. `saved` are those that are kept, with markers for secrets.
///
/// # Errors
/// Some lines are no TOML.
pub(super) fn read(
    kind_form: &KindForm,
    form: &Form,
    saved: &Members,
) -> Result<ConnectorTable, Vec<FieldProblem>> {
    let reader = Reader { form, saved };
    let fields = kind_form.fields();
    let removed: Vec<_> = fields
        .iter()
        .filter(|field| matches!(field.control, Control::Switch))
        .filter(|field| !form.has(field.key) && table::get(saved, field.key).is_some())
        .map(|field| format!("{}.", field.key))
        .collect();
    let (mut members, mut problems) = (Map::new(), Vec::new());
    table::ensure(&mut members, kind_form.kind);
    for field in fields {
        if removed.iter().any(|table| field.key.starts_with(table)) {
            continue;
        }
        match (field.control, reader.value(field)) {
            (_, Err(problem)) => problems.push(problem),
            (Control::Switch, Ok(_)) if form.has(field.key) => {
                table::ensure(&mut members, field.key);
            }
            (_, Ok(None)) => {}
            (Control::Table, Ok(Some(Value::Object(further)))) => {
                for (name, value) in further {
                    insert_below(&mut members, field.key, &name, value);
                }
            }
            (_, Ok(Some(value))) => table::set(&mut members, field.key, value),
        }
    }
    let settings = ConnectorTable::from(members);
    match problems.is_empty() {
        true => Ok(settings),
        false => Err(problems),
    }
}

/// Sets a member of a table, unless a control of its own has set it. Its name may have dots.
fn insert_below(members: &mut Members, key: &str, name: &str, value: Value) {
    table::ensure(members, key);
    let mut inner = Some(members);
    for step in key.split('.') {
        inner = inner
            .and_then(|members| members.get_mut(step))
            .and_then(Value::as_object_mut);
    }
    if let Some(inner) = inner {
        inner.entry(name.to_owned()).or_insert(value);
    }
}

struct Reader<'a> {
    form: &'a Form,
    saved: &'a Members,
}

impl Reader<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.form.value(key).map(without_carriage_returns)
    }

    /// The value of a setting; `None` if it is absent.
    fn value(&self, field: &Field) -> Result<Option<Value>, FieldProblem> {
        let key = field.key;
        let value = match field.control {
            Control::Text | Control::Url | Control::Lines => self.text(key).map(Value::String),
            Control::Label => self.label(key)?,
            Control::Verbatim => {
                let text = self.form.raw(key).filter(|text| !text.is_empty());
                text.map(Value::from)
            }
            Control::Filled => {
                let text = self.form.value(key).unwrap_or_default();
                self.unless_default(field, text.into())
            }
            Control::Number => self.text(key).map(number),
            Control::Check => self.unless_default(field, self.form.has(key).into()),
            Control::OptionalCheck => match self.form.value(key) {
                Some(text @ ("true" | "false")) => Some((text == "true").into()),
                other => other.map(Value::from),
            },
            Control::Choice(_) => {
                let chosen = self.text(key).map(Value::String);
                chosen.and_then(|chosen| self.unless_default(field, chosen))
            }
            Control::Several(_) => list(self.form.values(key)),
            Control::List => list(self.form.raw(key).unwrap_or_default().lines()),
            Control::OneOrList => {
                let items = list(self.form.raw(key).unwrap_or_default().lines());
                items.map(one_or_list)
            }
            Control::Table => self.toml(key, TomlText::Shown)?.map(Value::Object),
            Control::Tables => self.tables(key)?,
            Control::Secret | Control::SecretLines => self.secret(key),
            Control::Keys => {
                let keys = self.text(key).map(|text| one_or_list(keys(&text)));
                keys.or_else(|| self.secret(key))
            }
            Control::SecretUrl => self.text(key).map(Value::String).or_else(|| {
                let is_kept = self.is_kept(key) && !self.is_removed(key);
                is_kept.then(|| SECRET_MARKER.into())
            }),
            Control::Secrets => self.secrets(key)?,
            Control::Switch | Control::FileOnly => None,
        };
        Ok(value)
    }

    /// A text, or a table with one for each language.
    fn label(&self, key: &str) -> Result<Option<Value>, FieldProblem> {
        let Some(typed) = self.text(key) else {
            return Ok(None);
        };
        if !typed.trim_start().starts_with('{') {
            return Ok(Some(typed.into()));
        }
        let members = table::from_toml(&format!("it = {typed}"));
        let table = members.ok().and_then(|mut members| members.remove("it"));
        let not_a_table = || {
            let message = text!("this is no table of TOML", "这不是 TOML 表");
            let help = text!(
                "write a text, or {{ zh = \"…\", en = \"…\" }}",
                "请写一段文字，或 {{ zh = \"…\", en = \"…\" }}"
            );
            FieldProblem::new(key, message, help)
        };
        table.map(Some).ok_or_else(not_a_table)
    }

    /// Leaves out what says nothing: the default, unless the settings said it before.
    fn unless_default(&self, field: &Field, value: Value) -> Option<Value> {
        let says_default = table::text(&value) == field.default;
        let is_new = table::get(self.saved, field.key).is_none();
        (!(says_default && is_new)).then_some(value)
    }

    fn is_kept(&self, key: &str) -> bool {
        table::get(self.saved, key).is_some_and(table::is_kept_secret)
    }

    fn is_removed(&self, key: &str) -> bool {
        self.form.values(REMOVE).any(|removed| removed == key)
    }

    /// A secret that was typed, or an empty one that removes it. Without either it is kept.
    fn secret(&self, key: &str) -> Option<Value> {
        let removed = || self.is_removed(key).then(|| Value::from(""));
        self.text(key).map(Value::String).or_else(removed)
    }

    /// A table of secrets: new ones, and those that are kept, removed or replaced.
    fn secrets(&self, key: &str) -> Result<Option<Value>, FieldProblem> {
        let mut secrets = self.toml(key, TomlText::Secret)?.unwrap_or_default();
        let saved = table::get(self.saved, key).and_then(Value::as_object);
        for name in saved.into_iter().flat_map(Map::keys) {
            if let Some(secret) = self.secret(&format!("{key}.{name}")) {
                secrets.insert(name.clone(), secret);
            }
        }
        let is_there = saved.is_some() || !secrets.is_empty();
        Ok(is_there.then_some(Value::Object(secrets)))
    }

    /// An array of tables whose headers have the last part of its key: `[[step]]`.
    fn tables(&self, key: &str) -> Result<Option<Value>, FieldProblem> {
        let name = key.rsplit('.').next().unwrap_or(key);
        let Some(mut members) = self.toml(key, TomlText::Shown)? else {
            return Ok(None);
        };
        let tables = members.remove(name);
        match members.is_empty() {
            true => Ok(tables),
            false => {
                let help = text!("write each as [[{name}]]", "每一项写成 [[{name}]]");
                let message = text!("only [[{name}]] belongs here", "这里只能写 [[{name}]]");
                Err(FieldProblem::new(key, message, help))
            }
        }
    }

    fn toml(&self, key: &str, text: TomlText) -> Result<Option<Members>, FieldProblem> {
        let Some(typed) = self.text(key) else {
            return Ok(None);
        };
        let members = table::from_toml(&typed).map_err(|error| {
            let message = text!("line {} is not TOML", "第 {} 行不是 TOML", error.line);
            let help = match text {
                TomlText::Shown => error.reason,
                TomlText::Secret => text!(
                    "write name = \"value\" on each line",
                    "每行写 名字 = \"值\""
                ),
            };
            FieldProblem::new(key, message, help)
        })?;
        Ok(Some(members))
    }
}

/// Whether an error may repeat a part of the text.
#[derive(Clone, Copy)]
enum TomlText {
    Shown,
    Secret,
}

/// Browsers send line ends as CR LF.
fn without_carriage_returns(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// A whole number; another text stays one, and its type is refused later.
fn number(text: String) -> Value {
    match text.parse::<u64>() {
        Ok(number) => number.into(),
        Err(_) => text.into(),
    }
}

/// The items that are not empty; `None` if there are none.
fn list<'a>(items: impl Iterator<Item = &'a str>) -> Option<Value> {
    let items = items.map(str::trim).filter(|item| !item.is_empty());
    let items: Vec<_> = items.map(Value::from).collect();
    (!items.is_empty()).then_some(Value::Array(items))
}

fn one_or_list(items: Value) -> Value {
    match items {
        Value::Array(mut items) if items.len() == 1 => items.remove(0),
        items => items,
    }
}

/// The keys of a text, which have empty lines between them.
fn keys(text: &str) -> Value {
    let mut keys = vec![String::new()];
    for line in text.lines() {
        match keys.last_mut() {
            Some(last) if !line.trim().is_empty() => {
                if !last.is_empty() {
                    last.push('\n');
                }
                last.push_str(line);
            }
            Some(last) if !last.is_empty() => keys.push(String::new()),
            Some(_) | None => {}
        }
    }
    keys.retain(|key| !key.is_empty());
    keys.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_have_empty_lines_between_them() {
        assert_eq!(keys("a\nb\n\n\nc\n \n"), json!(["a\nb", "c"]));
        assert_eq!(one_or_list(keys("a\nb")), json!("a\nb"));
    }

    #[test]
    fn a_text_that_is_no_number_stays_a_text() {
        assert_eq!(number("17".to_owned()), json!(17));
        assert_eq!(number("-1".to_owned()), json!("-1"));
        assert_eq!(number("ww1".to_owned()), json!("ww1"));
    }
}
