//! `KnownKeys`: the keys of the configuration, and which of them hold secrets. Both are in its JSON schema.

use schemars::JsonSchema as _;
use serde_json::Value;

use super::super::Config;
use super::super::document::OwnedStep;
use super::super::nearest;
use crate::secret::SecretSource;

/// The prefix of a reference to a type of the schema.
const DEFINITIONS: &str = "#/$defs/";

/// The schema of the configuration.
pub(super) struct KnownKeys(Value);

/// One of the schemas that a value may have.
#[derive(Clone, Copy)]
struct Form<'a> {
    schema: &'a Value,
    is_secret: bool,
}

impl KnownKeys {
    pub(super) fn of_config() -> Self {
        Self(schemars::schema_for!(Config).to_value())
    }

    /// Whether all keys of a path exist, and a single value there is no secret. One in the place of a list is taken
    /// for its only item; one in the place of a table may be a secret: `tokens = ["..."]`.
    pub(super) fn are_harmless_at(&self, path: &[OwnedStep]) -> bool {
        let mut forms = Vec::new();
        self.add_forms(&self.0, false, &mut forms);
        for step in path {
            let below = forms.iter().filter_map(|form| below(form.schema, step));
            let mut next = Vec::new();
            below.for_each(|schema| self.add_forms(schema, false, &mut next));
            forms = next;
        }
        let items = forms.iter().map(|form| &form.schema["items"]);
        let mut of_items = Vec::new();
        let items = items.filter(|schema| schema.is_object());
        items.for_each(|schema| self.add_forms(schema, false, &mut of_items));
        forms.extend(of_items);
        let takes_value = forms.iter().any(|form| takes_single_value(form.schema));
        takes_value && forms.iter().all(|form| !form.is_secret)
    }

    /// Whether a word is a key, or so similar to one that it may be misspelt.
    pub(super) fn has_near(&self, word: &str) -> bool {
        let mut names = Vec::new();
        add_names(&self.0, &mut names);
        nearest::name(word, names.into_iter()).is_some()
    }

    /// Adds a schema and, instead of references and choices, what they stand for.
    fn add_forms<'a>(&'a self, schema: &'a Value, is_secret: bool, forms: &mut Vec<Form<'a>>) {
        forms.push(Form { schema, is_secret });
        if let Some(name) = schema["$ref"].as_str().and_then(name_of_type) {
            let is_secret = is_secret || name == SecretSource::schema_name();
            self.add_forms(&self.0["$defs"][name], is_secret, forms);
        }
        for choices in ["anyOf", "oneOf", "allOf"] {
            let choices = schema[choices].as_array().into_iter().flatten();
            choices.for_each(|choice| self.add_forms(choice, is_secret, forms));
        }
    }
}

fn name_of_type(reference: &str) -> Option<&str> {
    reference.strip_prefix(DEFINITIONS)
}

/// Whether a value that is neither a table nor a list may have this schema. References and choices lead to other
/// schemas.
fn takes_single_value(schema: &Value) -> bool {
    let is_single = |name: &str| !matches!(name, "object" | "array" | "null");
    match &schema["type"] {
        Value::String(name) => is_single(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is_single),
        _ => !schema["const"].is_null() || !schema["enum"].is_null(),
    }
}

/// The schema of the values at a key or in a list.
fn below<'a>(schema: &'a Value, step: &OwnedStep) -> Option<&'a Value> {
    let found = match step {
        OwnedStep::Item(_) => &schema["items"],
        OwnedStep::Key(key) => match &schema["properties"][key] {
            Value::Null => values_of_map(schema),
            known => known,
        },
    };
    found.is_object().then_some(found)
}

/// The schema of the values of a table whose keys are names that administrators choose.
fn values_of_map(schema: &Value) -> &Value {
    let mut by_pattern = schema["patternProperties"]
        .as_object()
        .into_iter()
        .flatten();
    match by_pattern.next() {
        Some((_, values)) => values,
        None => &schema["additionalProperties"],
    }
}

/// Adds the names of all keys.
fn add_names<'a>(schema: &'a Value, names: &mut Vec<&'a str>) {
    if let Some(keys) = schema["properties"].as_object() {
        names.extend(keys.keys().map(String::as_str));
    }
    match schema {
        Value::Object(members) => members.values().for_each(|member| add_names(member, names)),
        Value::Array(items) => items.iter().for_each(|item| add_names(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_harmless(path: &str) -> bool {
        let steps = path.split('.').map(|step| match step.parse() {
            Ok(index) => OwnedStep::Item(index),
            Err(_) => OwnedStep::Key(step.to_owned()),
        });
        KnownKeys::of_config().are_harmless_at(&steps.collect::<Vec<_>>())
    }

    #[test]
    fn secrets_and_keys_that_do_not_exist_are_not_harmless() {
        for path in [
            "connector.corp.wecom.secret",
            "connector.corp.oidc.client_secret",
            "connector.corp.oidc.client_secrt",
            "connector.corp.custom.secrets.portal",
            "connector.corp.jwt.key",
            "connector.corp.jwt.key.0",
            "session.keys.0",
            "admin.token",
            "admin.tokens.1.token",
            "route.0.basic_auth.password",
            "route.0.allow.token",
            "store.passwrd",
            "srv.listen",
            "connector.corp.wecom.secret.value",
            "admin.tokens",
            "admin.tokens.0",
            "connector.corp.wecom.events",
            "connector.corp.wecom",
            "route.0.basic_auth",
            "session",
        ] {
            assert!(!is_harmless(path), "{path}");
        }
        for path in [
            "server.external_url",
            "server.listen",
            "server.listen.0",
            "server.listen.0.address",
            "connector.corp.wecom.secret.file",
            "connector.corp.jwt.key.0.env",
            "connector.corp.mapping.login",
            "connector.corp.display_name.zh",
            "route.0.headers.X-Role",
            "admin.tokens.1.name",
            "connector.corp.wecom.agent_id",
            "route.0.access",
            "session.lifetime",
        ] {
            assert!(is_harmless(path), "{path}");
        }
    }

    #[test]
    fn misspelt_keys_are_near_and_other_words_are_not() {
        let known = KnownKeys::of_config();
        assert!(known.has_near("client_secrt"));
        assert!(known.has_near("lisen"));
        assert!(!known.has_near("hunter2"));
    }
}
