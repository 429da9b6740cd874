//! conf/full.toml is rendered from the doc comments of the code, and its defaults are true.
//!
//! `MENSHEN_BLESS=1 cargo test --test menshen conf` writes the file.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::keys::{FREE, KEYS, OTHERS, SEVERAL, Shown};
use super::schema::{self, Schema};
use super::{file, parse};

const HEAD: &str = "\
# menshen: every key, what it means, and its default.
#
# A key that is shown without a remark has the value that is shown, also when it is left out.
# (required) must be there; (example) has no default. A line whose # stands right before a key or a
# table has no default either: nothing is what counts, and what is shown is an example.
#
# A secret is { file = \"/path\" }, { env = \"NAME\" } or, with a warning, the text itself.
# A period is a whole number and a unit: 500ms, 30s, 5m, 12h, 7d.
";

/// How a key is written.
#[derive(Clone, Copy)]
enum RawConnection {
    Live,
    CommentedOut,
}

#[test]
fn full_toml_is_rendered_from_the_code() {
    let rendered = render(&schema::read());
    let path = file("conf/full.toml");
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
    let known: BTreeSet<_> = schema.keys.keys().map(String::as_str).collect();
    let shown: BTreeSet<_> = KEYS.iter().map(|(path, ..)| *path).collect();
    assert_eq!(known, shown);
    let undocumented: Vec<_> = schema
        .keys
        .iter()
        .filter(|(_, doc)| doc.is_empty())
        .collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
}

#[test]
fn full_toml_parses_with_every_example() {
    parse(&everything());
}

#[test]
fn a_default_that_is_shown_is_the_default() {
    let with = |more: Option<&str>| {
        parse(&document(&|path, shown| match shown {
            Shown::Needed | Shown::Example => Some(RawConnection::Live),
            Shown::Default if more == Some(path) => Some(RawConnection::Live),
            Shown::Default | Shown::Absent | Shown::Instead => None,
        }))
    };
    let least = with(None);
    for (path, ..) in KEYS.iter().filter(|(_, shown, _)| *shown == Shown::Default) {
        assert!(with(Some(path)) == least, "{path} has another default");
    }
}

/// full.toml with all keys, also those that are commented out there. Of two keys that exclude each other
/// it has the first.
pub(super) fn everything() -> String {
    document(&|_, shown| (shown != Shown::Instead).then_some(RawConnection::Live))
}

fn render(schema: &Schema) -> String {
    let choose = |_: &str, shown| match shown {
        Shown::Needed | Shown::Default | Shown::Example => Some(RawConnection::Live),
        Shown::Absent | Shown::Instead => Some(RawConnection::CommentedOut),
    };
    let mut text = HEAD.to_owned();
    text.push_str(&write(&choose, Some(schema)));
    text.push_str("\n# Of the design, but refused because this version does not build it yet:\n");
    comment(&mut text, &schema.not_built.join(", "));
    text
}

fn document(choose: &dyn Fn(&str, Shown) -> Option<RawConnection>) -> String {
    write(choose, None)
}

fn write(choose: &dyn Fn(&str, Shown) -> Option<RawConnection>, schema: Option<&Schema>) -> String {
    let mut text = String::new();
    let mut current = "";
    for (at, (path, shown, value)) in KEYS.iter().enumerate() {
        let Some(line) = choose(path, *shown) else {
            continue;
        };
        let free = FREE.contains(path);
        let (table, key) = if free {
            (*path, "")
        } else {
            path.rsplit_once('.').unwrap()
        };
        if table != current {
            current = table;
            let live = KEYS[at..].iter().any(|(path, shown, _)| {
                let inside = if free {
                    *path == table
                } else {
                    is_in(path, table)
                };
                inside && matches!(choose(path, *shown), Some(RawConnection::Live))
            });
            header(
                &mut text,
                table,
                if live { RawConnection::Live } else { line },
                schema,
            );
        }
        if let Some(schema) = schema.filter(|_| !free) {
            let remark = match shown {
                Shown::Needed => " (required)",
                Shown::Example => " (example)",
                Shown::Default | Shown::Absent | Shown::Instead => "",
            };
            comment(&mut text, &format!("{}{remark}", schema.keys[*path]));
        }
        let mark = mark(line);
        match free {
            true => value
                .lines()
                .for_each(|line| writeln!(text, "{mark}{line}").unwrap()),
            false => writeln!(text, "{mark}{key} = {value}").unwrap(),
        }
    }
    text
}

/// Writes a table header such as `[connector.corp.wecom]` with its comment.
fn header(text: &mut String, table: &str, line: RawConnection, schema: Option<&Schema>) {
    if let Some(schema) = schema {
        text.push('\n');
        // A table that holds only tables has no header of its own, so its comment is written here.
        let doc = schema.tables.get(table).or_else(|| schema.keys.get(table));
        comment(text, doc.map_or("", String::as_str));
    }
    let other = OTHERS.iter().find(|(other, _)| table.starts_with(other));
    let name = table.replace('*', other.map_or("corp", |(_, name)| name));
    let mark = mark(line);
    match SEVERAL.contains(&table) {
        true => writeln!(text, "{mark}[[{name}]]").unwrap(),
        false => writeln!(text, "{mark}[{name}]").unwrap(),
    }
}

fn mark(line: RawConnection) -> &'static str {
    match line {
        RawConnection::Live => "",
        RawConnection::CommentedOut => "#",
    }
}

fn is_in(path: &str, table: &str) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(parent, _)| parent == table)
}

/// Writes a comment in lines of at most 100 columns.
fn comment(text: &mut String, doc: &str) {
    let mut line = String::from("#");
    for word in doc.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > 100 {
            writeln!(text, "{line}").unwrap();
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    if line.len() > 1 {
        writeln!(text, "{line}").unwrap();
    }
}
