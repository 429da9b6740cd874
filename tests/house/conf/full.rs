//! conf/full.toml is rendered from the doc comments of the code, and its defaults are true.
//!
//! `MENSHEN_BLESS=1 cargo test --test house -- full_toml` writes the file.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::keys::{ARRAYS_OF_TABLES, EXTRA_CONNECTORS, FREE_TABLES, KEYS, Shown};
use super::schema::{self, Schema};
use super::{parse, project_file};

const HEAD: &str = "\
# menshen: every key, what it means, and its default.
#
# A key without a remark is shown with its default. A key with (required) must be set. A key with
# (example), or with a # directly before it, is optional and has no default: its value is an example.
#
# A secret is { file = \"/path\" }, { env = \"NAME\" } or, with a warning, the text itself.
# A duration is a whole number and a unit: 500ms, 30s, 5m, 12h, 7d.
";

/// Whether a key is written as a comment.
#[derive(Clone, Copy)]
enum KeyStyle {
    Active,
    CommentedOut,
}

#[test]
fn full_toml_is_rendered_from_the_code() {
    let rendered = render(&schema::read());
    let path = project_file("conf/full.toml");
    if std::env::var_os("MENSHEN_BLESS").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == rendered,
        "conf/full.toml is stale: run the test with MENSHEN_BLESS=1"
    );
}

#[test]
fn full_toml_has_every_key_and_no_other() {
    let schema = schema::read();
    let schema_keys: BTreeSet<_> = schema.keys.keys().map(String::as_str).collect();
    let how: BTreeSet<_> = KEYS.iter().map(|(path, ..)| *path).collect();
    assert_eq!(schema_keys, how);
    let undocumented: Vec<_> = schema
        .keys
        .iter()
        .filter(|(_, doc)| doc.is_empty())
        .collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
}

#[test]
fn full_toml_parses_with_every_example() {
    parse(&text_with_all_keys());
}

#[test]
fn a_default_that_is_shown_is_the_default() {
    let parse_with = |more: Option<&str>| {
        parse(&text_without_comments(&|path, how| match how {
            Shown::Required | Shown::Example => Some(KeyStyle::Active),
            Shown::Default if more == Some(path) => Some(KeyStyle::Active),
            Shown::Default | Shown::Optional | Shown::Alternative => None,
        }))
    };
    let required_only = parse_with(None);
    for (path, ..) in KEYS.iter().filter(|(_, how, _)| *how == Shown::Default) {
        assert!(
            parse_with(Some(path)) == required_only,
            "{path} has another default"
        );
    }
}

/// full.toml with all keys, also those that are commented out there. If two keys exclude each other, it
/// has the first.
pub(crate) fn text_with_all_keys() -> String {
    text_without_comments(&|_, how| (how != Shown::Alternative).then_some(KeyStyle::Active))
}

fn render(schema: &Schema) -> String {
    let style_of = |_: &str, how| match how {
        Shown::Required | Shown::Default | Shown::Example => Some(KeyStyle::Active),
        Shown::Optional | Shown::Alternative => Some(KeyStyle::CommentedOut),
    };
    let mut text = HEAD.to_owned();
    text.push_str(&write(&style_of, Some(schema)));
    text.push_str(
        "
# Keys that this version does not support:
",
    );
    comment(&mut text, &schema.unsupported.join(", "));
    text
}

fn text_without_comments(style_of: &dyn Fn(&str, Shown) -> Option<KeyStyle>) -> String {
    write(style_of, None)
}

fn write(style_of: &dyn Fn(&str, Shown) -> Option<KeyStyle>, schema: Option<&Schema>) -> String {
    let mut text = String::new();
    let mut current = "";
    for (at, (path, how, value)) in KEYS.iter().enumerate() {
        let Some(style) = style_of(path, *how) else {
            continue;
        };
        let is_free_table = FREE_TABLES.contains(path);
        let (table, key) = if is_free_table {
            (*path, "")
        } else {
            path.rsplit_once('.').unwrap()
        };
        if table != current {
            current = table;
            let is_active = KEYS[at..].iter().any(|(path, how, _)| {
                let inside = if is_free_table {
                    *path == table
                } else {
                    is_in(path, table)
                };
                inside && matches!(style_of(path, *how), Some(KeyStyle::Active))
            });
            header(
                &mut text,
                table,
                if is_active { KeyStyle::Active } else { style },
                schema,
            );
        }
        if let Some(schema) = schema.filter(|_| !is_free_table) {
            let remark = match how {
                Shown::Required => " (required)",
                Shown::Example => " (example)",
                Shown::Default | Shown::Optional | Shown::Alternative => "",
            };
            comment(&mut text, &format!("{}{remark}", schema.keys[*path]));
        }
        let comment_sign = comment_sign(style);
        match is_free_table {
            true => value
                .lines()
                .for_each(|style| writeln!(text, "{comment_sign}{style}").unwrap()),
            false => writeln!(text, "{comment_sign}{key} = {value}").unwrap(),
        }
    }
    text
}

/// Writes a table header such as `[connector.corp.wecom]` with its comment.
fn header(text: &mut String, table: &str, style: KeyStyle, schema: Option<&Schema>) {
    if let Some(schema) = schema {
        text.push('\n');
        // The comment of a table with free names is that of its key in the parent table.
        let doc = schema.tables.get(table).or_else(|| schema.keys.get(table));
        comment(text, doc.map_or("", String::as_str));
    }
    let other = EXTRA_CONNECTORS
        .iter()
        .find(|(other, _)| table.starts_with(other));
    let name = table.replace('*', other.map_or("corp", |(_, name)| name));
    let comment_sign = comment_sign(style);
    match ARRAYS_OF_TABLES.contains(&table) {
        true => writeln!(text, "{comment_sign}[[{name}]]").unwrap(),
        false => writeln!(text, "{comment_sign}[{name}]").unwrap(),
    }
}

fn comment_sign(style: KeyStyle) -> &'static str {
    match style {
        KeyStyle::Active => "",
        KeyStyle::CommentedOut => "#",
    }
}

fn is_in(path: &str, table: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(parent, _)| parent == table)
}

/// Writes a comment in lines of at most 100 columns.
fn comment(text: &mut String, doc: &str) {
    let mut style = String::from("#");
    for word in doc.split_whitespace() {
        if style.chars().count() + 1 + word.chars().count() > 100 {
            writeln!(text, "{style}").unwrap();
            style = String::from("#");
        }
        style.push(' ');
        style.push_str(word);
    }
    if style.len() > 1 {
        writeln!(text, "{style}").unwrap();
    }
}
