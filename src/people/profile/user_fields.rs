//! `UserFields`: the mapped fields of a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::expression::Value;
use crate::store::LocalEntitlements;

/// The mapped fields of a person; stored as JSON. They may change during a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserFields {
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mobile: Option<String>,
    /// Groups, by the source's names.
    pub groups: Vec<String>,
    /// Roles, by the source's names.
    pub roles: Vec<String>,
    /// Names of the departments to which the person belongs directly.
    pub departments: Vec<String>,
    /// Paths of these departments from the root, joined by `/`.
    pub department_paths: Vec<String>,
    /// IDs of these departments at the provider.
    pub department_ids: Vec<String>,
    /// IDs from the root to each of these departments, joined by `/`. One that is longer than the path of
    /// names begins with departments whose names the source hides.
    pub department_id_paths: Vec<String>,
    /// IDs of the departments that the person leads.
    pub led_department_ids: Vec<String>,
    /// IDs of those departments whose path is not known: their names could not be read, or several
    /// departments have this path. Rules that ask for a path or a name then deny.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub departments_without_path: Vec<String>,
    /// Tags, by the source's names.
    pub tags: Vec<String>,
    pub orgs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// All other mapped fields.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

impl UserFields {
    /// Keeps the fields of `before` that these lack. Lists, such as departments, are not kept.
    pub(in crate::people) fn keep_missing_from(&mut self, before: &Self) {
        let keep = |field: &mut Option<String>, before: &Option<String>| {
            if field.is_none() {
                field.clone_from(before);
            }
        };
        keep(&mut self.name, &before.name);
        keep(&mut self.email, &before.email);
        keep(&mut self.mobile, &before.mobile);
        keep(&mut self.tenant_code, &before.tenant_code);
        keep(&mut self.tenant_name, &before.tenant_name);
        keep(&mut self.platform, &before.platform);
        for (name, value) in &before.attributes {
            let attribute = self.attributes.entry(name.clone());
            attribute.or_insert_with(|| value.clone());
        }
    }

    /// Keeps the tags of `before`, and the groups if they were the tags.
    pub(in crate::people) fn keep_tags_from(&mut self, before: &Self) {
        self.tags.clone_from(&before.tags);
        if self.groups.is_empty() && before.groups == before.tags {
            self.groups.clone_from(&before.groups);
        }
    }

    /// Adds what menshen itself gives the person.
    pub(in crate::people) fn add_local(&mut self, local: &LocalEntitlements) {
        for group in &local.groups {
            if self.groups.iter().all(|known| known != group.as_str()) {
                self.groups.push(group.as_str().to_owned());
            }
        }
        let Some(department) = &local.department else {
            return;
        };
        let (path, name) = (department.as_str(), department.name());
        if self.department_paths.iter().all(|known| known != path) {
            // The paths are in the order of the IDs. This one has no ID, so it comes after all of them.
            let with_ids = self.department_ids.len().max(self.department_paths.len());
            self.department_paths.resize(with_ids, String::new());
            self.department_paths.push(path.to_owned());
        }
        if self.departments.iter().all(|known| known != name) {
            self.departments.push(name.to_owned());
        }
    }

    pub(super) fn set(&mut self, field: &str, value: Value) {
        match field {
            "name" => self.name = to_text(value),
            "email" => self.email = to_text(value),
            "mobile" => self.mobile = to_text(value),
            "tenant_code" => self.tenant_code = to_text(value),
            "tenant_name" => self.tenant_name = to_text(value),
            "platform" => self.platform = to_text(value),
            "groups" => self.groups = to_texts(value),
            "roles" => self.roles = to_texts(value),
            "departments" => self.departments = to_texts(value),
            "department_paths" => self.department_paths = to_texts(value),
            "department_ids" => self.department_ids = to_texts(value),
            "department_id_paths" => self.department_id_paths = to_texts(value),
            "led_department_ids" => self.led_department_ids = to_texts(value),
            "departments_without_path" => self.departments_without_path = to_texts(value),
            "tags" => self.tags = to_texts(value),
            "orgs" => self.orgs = to_texts(value),
            other => {
                self.attributes.insert(other.to_owned(), value.into());
            }
        }
    }
}

/// Empty text counts as absent: providers send "" for fields that a person never filled in.
pub(super) fn to_text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::List(items) => items.into_iter().find_map(to_text),
        Value::Text(_) | Value::Null | Value::Float(_) | Value::Map(_) => None,
    }
}

fn to_texts(value: Value) -> Vec<String> {
    match value {
        Value::List(items) => items.into_iter().filter_map(to_text).collect(),
        single => to_text(single).into_iter().collect(),
    }
}
