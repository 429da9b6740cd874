//! Rules and headers that can never be right: a rule that is no bool, and a field of `user` that nobody has.

use std::collections::BTreeSet;

use super::Warnings;
use crate::config::Config;
use crate::config::nearest;
use crate::expression::{Expression, Scope};
use crate::people::session::USER_FIELDS;
use crate::setting::KeyPath;
use crate::text;
use crate::wording::Text;

/// Warns of the rules and headers of routes, and of the rules of the console.
pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let config = warnings.config;
    let attributes = attributes(config);
    for (index, route) in config.route.iter().enumerate() {
        let table = KeyPath::of(["route"]).item(index);
        if let Some(rule) = &route.allow {
            let key_path = table.clone().key("allow");
            warn_about_rule(warnings, &key_path, rule, Scope::Rule);
            warn_about_fields(warnings, &key_path, rule, Scope::Rule, attributes.as_ref());
        }
        for (name, expression) in &route.headers {
            let key_path = table.clone().key("headers").key(name);
            warn_about_fields(
                warnings,
                &key_path,
                expression,
                Scope::Rule,
                attributes.as_ref(),
            );
        }
    }
    let Some(console) = &config.console else {
        return;
    };
    for (key, rule) in [("allow", &console.allow), ("view", &console.view)] {
        let Some(rule) = rule else { continue };
        let key_path = KeyPath::of(["console", key]);
        warn_about_rule(warnings, &key_path, rule, Scope::User);
        warn_about_fields(warnings, &key_path, rule, Scope::User, attributes.as_ref());
    }
}

fn warn_about_rule(warnings: &mut Warnings<'_>, key_path: &KeyPath<'_>, rule: &str, scope: Scope) {
    let compiled = Expression::compile(rule, scope);
    if compiled.is_ok_and(|rule| rule.is_never_bool()) {
        let text = text!(
            "the rule is neither true nor false, so it lets nobody pass: compare the value, such as \
             \"'admins' in user.groups\" or \"user.login == 'zhangsan'\"",
            "规则的值不是 true 或 false，所以不放行任何人：请写成比较，例如 \"'admins' in user.groups\" 或 \
             \"user.login == 'zhangsan'\""
        );
        warnings.add(key_path, text);
    }
}

/// `attributes`: those that a mapping fills; absent: any.
fn warn_about_fields(
    warnings: &mut Warnings<'_>,
    key_path: &KeyPath<'_>,
    expression: &str,
    scope: Scope,
    attributes: Option<&BTreeSet<String>>,
) {
    let Ok(compiled) = Expression::compile(expression, scope) else {
        return;
    };
    let mut reported = BTreeSet::new();
    for path in compiled.paths_below("user") {
        let mut steps = path.split('.');
        let unknown = match (steps.next(), steps.next(), attributes) {
            (Some("attributes"), Some(name), Some(known)) if !known.contains(name) => {
                unknown_attribute(name, known)
            }
            (Some(field), _, _) if !USER_FIELDS.contains(&field) => {
                unknown_field(field, attributes)
            }
            _ => continue,
        };
        if reported.insert(unknown.to_string()) {
            warnings.add(key_path, unknown);
        }
    }
}

fn unknown_attribute(name: &str, known: &BTreeSet<String>) -> Text {
    match nearest::name(name, known.iter().map(String::as_str)) {
        Some(near) => text!(
            "nobody has user.attributes.{name}: did you mean user.attributes.{near}?",
            "没有人有 user.attributes.{name}：是不是想写 user.attributes.{near}？"
        ),
        None => text!(
            "nobody has user.attributes.{name}, because no mapping of this file fills it: add {name} = ... to \
             [connector.ID.mapping]",
            "没有人有 user.attributes.{name}，因为本文件中没有映射给出它：请在 [connector.ID.mapping] 中加上 \
             {name} = ..."
        ),
    }
}

fn unknown_field(field: &str, attributes: Option<&BTreeSet<String>>) -> Text {
    if attributes.is_some_and(|known| known.contains(field)) {
        return text!(
            "`user` has no field {field}: write user.attributes.{field}, where the mapping puts it",
            "`user` 没有字段 {field}：映射把它放在 user.attributes.{field}，请这样写"
        );
    }
    match nearest::name(field, USER_FIELDS.into_iter()) {
        Some(near) => text!(
            "`user` has no field {field}: did you mean user.{near}?",
            "`user` 没有字段 {field}：是不是想写 user.{near}？"
        ),
        None => {
            let list = USER_FIELDS.join(", ");
            text!(
                "`user` has no field {field}, only {list}; what a mapping adds is in user.attributes",
                "`user` 没有字段 {field}，只有 {list}；映射增加的字段在 user.attributes 中"
            )
        }
    }
}

/// The attributes that the mappings of this file fill. Absent: people can have others, too.
fn attributes(config: &Config) -> Option<BTreeSet<String>> {
    if config.connector.is_empty() {
        // The connectors are managed ones.
        return None;
    }
    let mut known = BTreeSet::new();
    for connector in config.connector.values() {
        let features = connector.kind().ok()?.features();
        if features.further_members_are_attributes || features.keeps_people {
            return None;
        }
        known.extend(
            features
                .mapping
                .iter()
                .map(|(field, _)| (*field).to_owned()),
        );
        known.extend(connector.mapping.0.keys().cloned());
    }
    Some(known)
}
