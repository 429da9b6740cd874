//! The fields of HENGSHI as the table `[connector.ID]`, and back.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::every_kind::Fields;
use super::form::{Form, MENSHEN};
use super::kind::HengshiKind;
use super::kinds::{self, Before};
use super::problem::FieldError;
use super::table::{Draft, Rest, Translated};

/// What a request says.
pub(super) struct Read {
    pub(super) translated: Translated,
    /// The fields as they were sent, without secrets and `menshen`. They are kept beside the table, so that
    /// they come back with the values and types that they had.
    pub(super) raw: Map<String, Value>,
}

/// The table for the fields of a request, or all problems. `before` is the table in force, with markers in
/// place of secrets.
pub(super) fn to_table(
    kind: HengshiKind,
    body: &Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Result<Read, Vec<FieldError>> {
    let mut form = Form::new(body);
    let menshen = form.menshen();
    let mut draft = Draft::default();
    let before = Before {
        table: before,
        menshen: &menshen,
    };
    kinds::read(kind, &mut form, &mut draft, before);
    form.refuse_unknown();
    let translated = draft.merge(menshen.clone(), &mut form.problems);
    let secrets = kinds::secrets(kind);
    let raw = body
        .iter()
        .filter(|(name, _)| *name != MENSHEN && !secrets.contains(&name.as_str()));
    let raw = raw.map(|(name, value)| (name.clone(), value.clone()));
    match form.problems.is_empty() {
        true => Ok(Read {
            translated,
            raw: raw.collect(),
        }),
        false => Err(form.problems),
    }
}

/// The fields for a table with markers in place of secrets. `raw` are the fields of the request that made
/// it, if one did: those that still say what the table says come back as they were sent.
pub(super) fn to_fields(
    kind: HengshiKind,
    table: &Map<String, Value>,
    raw: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let now = fields_of(kind, table);
    let Some(raw) = raw else { return now };
    let Some(then) = fields_then(kind, table, &now, raw) else {
        return now;
    };
    let mut shown = Map::new();
    let mut done = vec![MENSHEN];
    for (name, value) in raw {
        let documented = then.names.get(name).copied();
        let documented = documented.unwrap_or(name.as_str());
        done.push(documented);
        match now.get(documented) {
            now if now == then.fields.get(documented) => {
                shown.insert(name.clone(), value.clone());
            }
            Some(now) => {
                shown.insert(documented.to_owned(), now.clone());
            }
            None => {}
        }
    }
    // What the fields say without being named need not be named now.
    let is_new = |name: &str, value: &Value| {
        let is_always_shown = name == MENSHEN || kinds::secrets(kind).contains(&name);
        let is_said = done.contains(&name) || then.fields.get(name) == Some(value);
        is_always_shown || !is_said
    };
    let others = now.iter().filter(|(name, value)| is_new(name, value));
    shown.extend(others.map(|(name, value)| (name.clone(), value.clone())));
    shown
}

fn fields_of(kind: HengshiKind, table: &Map<String, Value>) -> Map<String, Value> {
    let mut rest = Rest::new(table);
    let mut fields = Fields::default();
    kinds::show(kind, &mut rest, &mut fields);
    let menshen = rest.into_menshen();
    if !menshen.is_empty() {
        fields.put(MENSHEN, menshen);
    }
    fields.0
}

/// What the fields of an earlier request say.
struct Then {
    /// The fields of the table that they made.
    fields: Map<String, Value>,
    /// The documented name of each of their names.
    names: BTreeMap<String, &'static str>,
}

/// What `raw` says; `None` if it can no longer be read. `now` are the fields of the table, which has the
/// secrets and the keys of `menshen` that `raw` lacks.
fn fields_then(
    kind: HengshiKind,
    table: &Map<String, Value>,
    now: &Map<String, Value>,
    raw: &Map<String, Value>,
) -> Option<Then> {
    let mut body = raw.clone();
    for name in kinds::secrets(kind) {
        if let Some(secret) = now.get(*name) {
            body.insert((*name).to_owned(), secret.clone());
        }
    }
    let menshen = now.get(MENSHEN).and_then(Value::as_object);
    let menshen = menshen.cloned().unwrap_or_default();
    let mut form = Form::new(&body);
    let mut draft = Draft::default();
    let before = Before {
        table: Some(table),
        menshen: &menshen,
    };
    kinds::read(kind, &mut form, &mut draft, before);
    if !form.problems.is_empty() {
        return None;
    }
    let then = draft.merge(Map::new(), &mut form.problems);
    let names = raw.keys().filter_map(|name| {
        let documented = form.documented_name(name)?;
        Some((name.clone(), documented))
    });
    Some(Then {
        fields: fields_of(kind, &then.table),
        names: names.collect(),
    })
}
