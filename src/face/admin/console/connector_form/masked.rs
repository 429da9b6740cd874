//! What was typed, without secrets.

use serde_json::Value;

use super::field::Control;
use super::fields::KindForm;
use super::table::{self, Members};
use crate::site::settings::SECRET_MARKER;

/// The settings with a marker for each secret, also for those that are kept because they are absent.
pub(super) fn masked(form: &KindForm, typed: &Members, saved: &Members) -> Members {
    let mut shown = typed.clone();
    for field in form.fields() {
        let (new, old) = (table::get(typed, field.key), table::get(saved, field.key));
        match field.control {
            Control::Secret | Control::SecretLines => mask(&mut shown, field.key, new, old),
            Control::Keys if !new.is_some_and(is_public) => mask(&mut shown, field.key, new, old),
            Control::SecretUrl if new.is_some_and(may_have_password) => {
                table::set(&mut shown, field.key, SECRET_MARKER.into());
            }
            Control::Secrets => {
                let names = |value: Option<&Value>| {
                    let names = value.and_then(Value::as_object).into_iter();
                    names
                        .flat_map(|members| members.keys().cloned())
                        .collect::<Vec<_>>()
                };
                for name in names(new).into_iter().chain(names(old)) {
                    let key = format!("{}.{name}", field.key);
                    let (new, old) = (table::get(typed, &key), table::get(saved, &key));
                    mask(&mut shown, &key, new, old);
                }
            }
            _ => {}
        }
    }
    shown
}

/// Puts a marker in place of a secret that is set or kept, and removes one that is to be removed.
fn mask(shown: &mut Members, key: &str, new: Option<&Value>, old: Option<&Value>) {
    let parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
    let has_parent = table::get(shown, parent).is_some();
    match (new, old) {
        (Some(new), _) if *new == "" => remove(shown, key),
        (Some(_), _) => table::set(shown, key, SECRET_MARKER.into()),
        (None, Some(old)) if has_parent && table::is_kept_secret(old) => {
            table::set(shown, key, SECRET_MARKER.into())
        }
        (None, _) => {}
    }
}

fn remove(members: &mut Members, key: &str) {
    match key.split_once('.') {
        None => {
            members.remove(key);
        }
        Some((first, rest)) => {
            if let Some(Value::Object(inner)) = members.get_mut(first) {
                remove(inner, rest);
            }
        }
    }
}

/// Whether a key, or each of a list, is a public key or a certificate.
pub(super) fn is_public(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_public),
        Value::String(key) => is_public_key(key),
        _ => false,
    }
}

pub(super) fn is_public_key(text: &str) -> bool {
    text.contains("-----BEGIN ") && !text.contains("PRIVATE")
}

fn may_have_password(value: &Value) -> bool {
    value.as_str().is_some_and(|url| url.contains('@'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_also_those_that_are_kept() {
        let members = |value: Value| value.as_object().unwrap().clone();
        let saved = members(json!({
            "wecom": { "secret": "********", "contact_secret": "********", "events": { "token": "********" } },
        }));
        let typed = members(json!({
            "proxy": "http://u:hunter2@p", "wecom": { "corp_id": "ww1", "secret": "hunter2", "contact_secret": "" },
        }));
        let form = KindForm::of("wecom").unwrap();
        let shown = json!({
            "proxy": "********", "wecom": { "corp_id": "ww1", "secret": "********" },
        });
        assert_eq!(Value::Object(masked(form, &typed, &saved)), shown);
        let kept = masked(form, &members(json!({ "wecom": {} })), &saved);
        assert_eq!(
            Value::Object(kept),
            json!({ "wecom": { "secret": "********", "contact_secret": "********" } })
        );
    }
}
