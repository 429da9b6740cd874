//! The mappings of HENGSHI: the name of a field in the source's answer, as an expression in CEL over
//! `profile`, and back.

/// Where the answer of a source has its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// In the profile itself.
    Plain,
    /// In `profile.attributes`, or in the profile itself: CAS.
    Attributes,
    /// The same, and before it by friendly names: SAML.
    Friendly,
}

/// Words that CEL reserves.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// The expression for a field of the answer: the one with this very name, else the one to which the name
/// leads as a path.
pub(super) fn one(shape: Shape, name: &str) -> String {
    let key = quoted(name);
    let by_key = selected("profile", &[Step::Key(name.to_owned())]);
    let inside = match path(name) {
        // The name is its own path.
        Some(steps) if steps.len() == 1 => by_key,
        Some(steps) => {
            let by_path = selected("profile", &steps);
            format!("{key} in profile ? {by_key} : {by_path}")
        }
        None => by_key,
    };
    let places: &[&str] = match shape {
        Shape::Plain => &[],
        Shape::Attributes => &["profile.attributes"],
        Shape::Friendly => &["profile.attributes", "profile.friendly"],
    };
    places.iter().rev().fold(inside, |otherwise, place| {
        let found = selected(place, &[Step::Key(name.to_owned())]);
        format!("{key} in {place} ? {found} : {otherwise}")
    })
}

/// The same for a field with several values: a text is split at its commas.
pub(super) fn several(shape: Shape, name: &str) -> String {
    let value = one(shape, name);
    let value = match value.contains(" ? ") {
        true => format!("({value})"),
        false => value,
    };
    format!("type({value}) == type('') ? {value}.split(',') : {value}")
}

/// The name for which [`one`] gives this expression.
pub(super) fn name_of_one(shape: Shape, expression: &str) -> Option<String> {
    let name = first_name(expression)?;
    (one(shape, &name) == expression).then_some(name)
}

/// The name for which [`several`] gives this expression.
pub(super) fn name_of_several(shape: Shape, expression: &str) -> Option<String> {
    let inner = expression.strip_prefix("type(")?;
    let name = first_name(inner.strip_prefix('(').unwrap_or(inner))?;
    (several(shape, &name) == expression).then_some(name)
}

/// A text as a literal of CEL.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
    format!("'{escaped}'")
}

/// The text of a literal that [`quoted`] made.
pub(super) fn unquoted(literal: &str) -> Option<String> {
    let (text, rest) = read_literal(literal)?;
    rest.is_empty().then_some(text)
}

/// The text of the literal at the beginning, and what follows.
fn read_literal(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('\'')?;
    let mut name = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' => return Some((name, &inner[at + 1..])),
            '\\' => name.push(characters.next()?.1),
            other => name.push(other),
        }
    }
    None
}

/// The name with which an expression of [`one`] begins: a literal, or a member of the profile.
fn first_name(expression: &str) -> Option<String> {
    if let Some((name, _)) = read_literal(expression) {
        return Some(name);
    }
    let rest = expression.strip_prefix("profile")?;
    if let Some(index) = rest.strip_prefix('[') {
        return read_literal(index).map(|(name, _)| name);
    }
    let rest = rest.strip_prefix('.')?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

/// A step of a path.
#[derive(Debug)]
enum Step {
    Key(String),
    Item(usize),
}

/// The steps of `data.user.name` or `attrs[2].value`; `None` if the name is no path.
fn path(name: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in name.split('.') {
        let (key, items) = part.split_at(part.find('[').unwrap_or(part.len()));
        if key.is_empty() || key.contains(']') {
            return None;
        }
        steps.push(Step::Key(key.to_owned()));
        let mut items = items;
        while let Some(rest) = items.strip_prefix('[') {
            let (number, after) = rest.split_once(']')?;
            steps.push(Step::Item(number.parse().ok()?));
            items = after;
        }
        if !items.is_empty() {
            return None;
        }
    }
    Some(steps)
}

fn selected(base: &str, steps: &[Step]) -> String {
    let mut expression = base.to_owned();
    for step in steps {
        match step {
            Step::Item(item) => expression.push_str(&format!("[{item}]")),
            Step::Key(key) if is_identifier(key) => expression.push_str(&format!(".{key}")),
            Step::Key(key) => expression.push_str(&format!("[{}]", quoted(key))),
        }
    }
    expression
}

fn is_identifier(key: &str) -> bool {
    let begins = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !RESERVED.contains(&key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expression::{Expression, Scope, Value};
    use crate::people::profile::evaluate_over_profile;

    const NAMES: [&str; 12] = [
        "name",
        "企业名称",
        "https://corp/claims/roles",
        "data.user.name",
        "extattr.attrs[1].value",
        "a'b\\c",
        "x-id",
        "in",
        "a..b",
        "a[b]",
        "[0]",
        "a.b c.d",
    ];

    fn evaluated(expression: &str, profile: &serde_json::Value) -> Option<serde_json::Value> {
        let expression = Expression::compile(expression, Scope::Mapping).unwrap();
        let value: Option<Value> = evaluate_over_profile(&expression, profile).ok();
        value.map(serde_json::Value::from)
    }

    #[test]
    fn every_name_compiles_and_is_found_again() {
        for name in NAMES {
            for shape in [Shape::Plain, Shape::Attributes, Shape::Friendly] {
                let (one, several) = (one(shape, name), several(shape, name));
                for expression in [&one, &several] {
                    let compiled = Expression::compile(expression, Scope::Mapping);
                    assert!(compiled.is_ok(), "{expression}: {compiled:?}");
                }
                assert_eq!(name_of_one(shape, &one).as_deref(), Some(name), "{one}");
                assert_eq!(
                    name_of_several(shape, &several).as_deref(),
                    Some(name),
                    "{several}"
                );
                assert_eq!(name_of_one(shape, &several), None);
            }
            assert_eq!(unquoted(&quoted(name)).as_deref(), Some(name));
        }
        for other in [
            "profile.a + profile.b",
            "'a' in profile ? 1 : 2",
            "profile.a.b",
            "'a'",
        ] {
            assert_eq!(name_of_one(Shape::Plain, other), None, "{other}");
        }
    }

    #[test]
    fn the_very_key_comes_before_the_path() {
        let profile = json!({
            "name": "a", "data.user.name": "key", "企业名称": "b",
            "data": { "user": { "name": "path", "id": 7 } },
            "extattr": { "attrs": [{ "value": "x" }, { "value": "y" }] },
        });
        for (name, expected) in [
            ("name", Some(json!("a"))),
            ("企业名称", Some(json!("b"))),
            ("data.user.name", Some(json!("key"))),
            ("data.user.id", Some(json!(7))),
            ("extattr.attrs[1].value", Some(json!("y"))),
            ("nothing", None),
            ("data.nothing", None),
        ] {
            assert_eq!(
                evaluated(&one(Shape::Plain, name), &profile),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn attributes_come_before_the_profile() {
        let profile = json!({
            "user": "u", "attributes": { "mail": ["m"] }, "friendly": { "cn": ["c"] },
        });
        for (shape, name, expected) in [
            (Shape::Attributes, "mail", Some(json!(["m"]))),
            (Shape::Attributes, "user", Some(json!("u"))),
            (Shape::Friendly, "cn", Some(json!(["c"]))),
            (Shape::Attributes, "cn", None),
        ] {
            assert_eq!(evaluated(&one(shape, name), &profile), expected, "{name}");
        }
    }

    #[test]
    fn a_text_of_several_values_is_split_at_commas() {
        for (roles, expected) in [
            (json!("a,b"), json!(["a", "b"])),
            (json!("a"), json!(["a"])),
            (json!(["a,b", "c"]), json!(["a,b", "c"])),
            (json!(7), json!(7)),
        ] {
            let profile = json!({ "roles": roles });
            let found = evaluated(&several(Shape::Plain, "roles"), &profile);
            assert_eq!(found, Some(expected));
        }
        assert_eq!(evaluated(&several(Shape::Plain, "roles"), &json!({})), None);
    }
}
