//! Seals the secrets of managed connectors with the key ring. A sealed secret is bound to its connector and
//! its field: moved to another one, it does not open.

use serde_json::{Map, Value, json};

use crate::keys::{KeyRing, Purpose};
use crate::secret::Secret;
use crate::setting::Step;
use crate::store::ConnectorId;

/// The only member of an object that stands for a secret.
pub(super) const SEALED: &str = "sealed";

/// Separates the thumbprint of the key from the sealed text. Neither contains it.
const SEPARATOR: char = '.';

/// The object that stands for this secret.
pub(super) fn seal(ring: &KeyRing, id: &ConnectorId, path: &[Step<'_>], secret: &str) -> Value {
    let path: Vec<_> = path.iter().map(step_text).collect();
    as_value(&seal_at(ring, id, &path, secret))
}

fn step_text(step: &Step<'_>) -> String {
    match step {
        Step::Key(key) => (*key).to_owned(),
        Step::Item(index) => index.to_string(),
    }
}

/// The object with this sealed text.
pub(super) fn as_value(sealed: &str) -> Value {
    json!({ SEALED: sealed })
}

/// The sealed text of a secret, with the thumbprint of the key before it.
pub(super) fn seal_at(ring: &KeyRing, id: &ConnectorId, path: &[String], secret: &str) -> String {
    let name = additional_data(id, path);
    let sealed = ring.seal(Purpose::Managed, &name, secret.as_bytes());
    format!("{}{SEPARATOR}{sealed}", ring.signing_key_id().as_str())
}

/// The secret in a sealed text; `None` if no key of the ring opens it for this connector and field.
pub(super) fn open(
    ring: &KeyRing,
    id: &ConnectorId,
    path: &[String],
    sealed: &str,
) -> Option<Secret<String>> {
    let (_, sealed) = sealed.split_once(SEPARATOR)?;
    let name = additional_data(id, path);
    let opened = ring.open(Purpose::Managed, &name, sealed)?;
    String::from_utf8(opened).ok().map(Secret::new)
}

/// Whether the first key of the ring sealed it.
pub(super) fn is_current(ring: &KeyRing, sealed: &str) -> bool {
    let key = sealed.split_once(SEPARATOR).map(|(key, _)| key);
    key == Some(ring.signing_key_id().as_str())
}

/// The connector and the field. No ID has a slash, and the steps of the path are escaped as in a JSON
/// pointer (RFC 6901), so different fields have different data.
fn additional_data(id: &ConnectorId, path: &[String]) -> Vec<u8> {
    let mut data = id.to_string();
    for step in path {
        data.push('/');
        data.push_str(&step.replace('~', "~0").replace('/', "~1"));
    }
    data.into_bytes()
}

/// Replaces every object that stands for a secret by what `replace` returns for its path and its sealed
/// text. Returns the key path of the first one for which it returns nothing.
pub(super) fn replace_sealed(
    members: &mut Map<String, Value>,
    replace: &mut impl FnMut(&[String], &str) -> Option<Value>,
) -> Option<String> {
    replace_in_object(members, &mut Vec::new(), replace)
}

fn replace_in_object(
    members: &mut Map<String, Value>,
    path: &mut Vec<String>,
    replace: &mut impl FnMut(&[String], &str) -> Option<Value>,
) -> Option<String> {
    for (key, value) in members {
        path.push(key.clone());
        let failed = replace_in(value, path, replace);
        path.pop();
        if failed.is_some() {
            return failed;
        }
    }
    None
}

fn replace_in(
    value: &mut Value,
    path: &mut Vec<String>,
    replace: &mut impl FnMut(&[String], &str) -> Option<Value>,
) -> Option<String> {
    if let Some(sealed) = sealed_text(value) {
        match replace(path, sealed) {
            Some(new) => *value = new,
            None => return Some(path.join(".")),
        }
        return None;
    }
    match value {
        Value::Object(members) => replace_in_object(members, path, replace),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                let failed = replace_in(item, path, replace);
                path.pop();
                if failed.is_some() {
                    return failed;
                }
            }
            None
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn sealed_text(value: &Value) -> Option<&str> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.get(SEALED)?.as_str()
}
