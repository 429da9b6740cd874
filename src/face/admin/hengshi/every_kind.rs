//! The fields that all kinds of HENGSHI have: mappings, and how sessions follow the source.

use serde_json::{Map, Value};

use super::form::Form;
use super::mapping::{self, Shape};
use super::table::{Draft, MARKER, Rest};

const LOGIN: (&str, &str) = ("loginNameMapping", "mapping.login");

/// The fields with one value.
const ONE: [(&str, &str); 5] = [
    ("userNameMapping", "mapping.name"),
    ("emailMapping", "mapping.email"),
    ("mobileMapping", "mapping.mobile"),
    ("tenantCodeMapping", "mapping.tenant_code"),
    ("tenantNameMapping", "mapping.tenant_name"),
];

/// The fields with several values.
const SEVERAL: [(&str, &str); 3] = [
    ("rolesMapping", "mapping.roles"),
    ("groupsMapping", "mapping.groups"),
    ("orgsMapping", "mapping.orgs"),
];

const PLATFORM: (&str, &str) = ("platformSourceId", "mapping.platform");
const SYNC: (&str, &str) = ("enableSyncUserAttr", "sync");
const RELOAD: (&str, &str) = ("reloadUser", "reload_user");
const SESSION_END: &str = "mapping.session_expires";
const SESSION_END_ENABLED: &str = "enableSessionExpSync";
const SESSION_END_FIELD: &str = "sessionExpSyncMapping";
/// The field with the end of the session, if none is named.
const SESSION_END_DEFAULT: &str = "exp";

/// The fields of a response.
#[derive(Default)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Adds a field, if there is a value.
    pub(super) fn put_if(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Adds a secret: a marker if there is one.
    pub(super) fn put_secret(&mut self, name: &str, rest: &mut Rest, path: &str) {
        let is_kept = rest.take(path).is_some();
        self.put(name, if is_kept { MARKER } else { "" });
    }
}

/// Reads the field with the login, and returns its expression.
pub(super) fn read_login(form: &mut Form<'_>, draft: &mut Draft, shape: Shape) -> Option<String> {
    let (field, path) = LOGIN;
    let name = form.text(field)?;
    let expression = mapping::one(shape, &name);
    draft.say(field, path, expression.clone());
    Some(expression)
}

/// Reads all common fields but the login.
pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, shape: Shape) {
    for (field, path) in ONE {
        let name = form.text(field);
        draft.say_if(field, path, name.map(|name| mapping::one(shape, &name)));
    }
    for (field, path) in SEVERAL {
        let name = form.text(field);
        draft.say_if(field, path, name.map(|name| mapping::several(shape, &name)));
    }
    let (field, path) = PLATFORM;
    let platform = form.text(field);
    draft.say_if(field, path, platform.map(|text| mapping::quoted(&text)));
    for (field, path) in [SYNC, RELOAD] {
        let flag = form.flag(field);
        draft.say_if(field, path, flag);
    }
    let is_enabled = form.flag(SESSION_END_ENABLED).unwrap_or(false);
    let name = form.text(SESSION_END_FIELD);
    if is_enabled {
        let name = name.as_deref().unwrap_or(SESSION_END_DEFAULT);
        draft.say(SESSION_END_FIELD, SESSION_END, mapping::one(shape, name));
    }
}

pub(super) fn show_login(rest: &mut Rest, fields: &mut Fields, shape: Shape) {
    let (field, path) = LOGIN;
    show_one(rest, fields, (field, path), |text| {
        mapping::name_of_one(shape, text)
    });
}

/// Shows all common fields but the login.
pub(super) fn show(rest: &mut Rest, fields: &mut Fields, shape: Shape) {
    for row in ONE {
        show_one(rest, fields, row, |text| mapping::name_of_one(shape, text));
    }
    for row in SEVERAL {
        show_one(rest, fields, row, |text| {
            mapping::name_of_several(shape, text)
        });
    }
    show_one(rest, fields, PLATFORM, mapping::unquoted);
    for (field, path) in [SYNC, RELOAD] {
        if rest.find(path).is_some_and(Value::is_boolean) {
            fields.put_if(field, rest.take(path));
        }
    }
    let ends = rest.text(SESSION_END);
    if let Some(name) = ends.and_then(|text| mapping::name_of_one(shape, text)) {
        rest.take(SESSION_END);
        fields.put(SESSION_END_ENABLED, true);
        fields.put(SESSION_END_FIELD, name);
    }
}

/// Shows a field, if it can say what the key says.
fn show_one(
    rest: &mut Rest,
    fields: &mut Fields,
    (field, path): (&str, &str),
    name_of: impl Fn(&str) -> Option<String>,
) {
    if let Some(name) = rest.text(path).and_then(name_of) {
        rest.take(path);
        fields.put(field, name);
    }
}
