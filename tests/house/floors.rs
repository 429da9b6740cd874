//! Checks the floors of `src/lib.rs`: a module uses only modules of lower floors.

use std::fs;
use std::path::{Path, PathBuf};

mod stores;
mod within;

/// The modules of each floor, from the top. Modules of one floor must not use each other.
const FLOORS: &[(u8, &[&str])] = &[
    (8, &["run"]),
    (7, &["config"]),
    (6, &["door"]),
    (5, &["face"]),
    (4, &["site"]),
    (3, &["request", "login"]),
    (2, &["people"]),
    (1, &["store"]),
    (
        0,
        &[
            "background_task",
            "client",
            "clock",
            "expression",
            "issuer",
            "keys",
            "open_files",
            "outbound",
            "resolver",
            "secret",
            "setting",
            "single_flight",
            "telemetry",
            "wording",
        ],
    ),
];

/// The module of floor 0 that every other module may use. It uses none.
const FOR_ALL: &str = "wording";

/// The other exceptions on floor 0: the first module may use the second.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("issuer", "client"),
    ("issuer", "clock"),
    ("issuer", "outbound"),
    ("issuer", "setting"),
    ("issuer", "single_flight"),
    ("issuer", "telemetry"),
    ("keys", "clock"),
    ("keys", "secret"),
    ("outbound", "resolver"),
    ("outbound", "secret"),
    ("single_flight", "clock"),
    ("telemetry", "clock"),
];

/// Names that say nothing about the subject of a module.
const WITHOUT_SUBJECT: [&str; 7] = [
    "common", "helper", "helpers", "manager", "misc", "util", "utils",
];

fn floor_of(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(_, modules)| modules.contains(&module))
        .map(|(floor, _)| *floor)
}

/// Adds every Rust file below a folder.
fn collect_sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every top-level module that a source text names after `crate::`, also in a group.
fn used_modules(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut modules = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => modules.extend(first_names(group)),
            None => modules.push(name_at(rest)),
        }
    }
    modules
}

/// The first name of each path in a group: `{a::b, c::{d, e}}` gives `a` and `c`.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut is_start) = (Vec::new(), 0, true);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            _ if is_start && !letter.is_whitespace() => {
                names.push(name_at(&group[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

fn name_at(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The modules that a source text of `module` uses although it must not.
fn forbidden_uses(module: &str, text: &str) -> Vec<String> {
    let own = floor_of(module);
    let mut found = Vec::new();
    for target in used_modules(text) {
        let allowed = match (own, floor_of(&target)) {
            _ if target == module => true,
            _ if module == FOR_ALL => floor_of(&target).is_none(),
            (Some(own), Some(floor_of_target)) => {
                floor_of_target < own
                    || target == FOR_ALL
                    || EXCEPTIONS.contains(&(module, target.as_str()))
            }
            // Not a top-level module, but a macro or an item of lib.rs.
            (_, None) => true,
            (None, _) => false,
        };
        if !allowed {
            found.push(target);
        }
    }
    found
}

#[test]
fn every_module_uses_only_lower_floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect_sources(&root, &mut files);
    let mut violations = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        if matches!(module, "lib" | "main") {
            continue;
        }
        assert!(
            floor_of(module).is_some(),
            "{} is on no floor",
            inside.display()
        );
        for target in forbidden_uses(module, &fs::read_to_string(&file).unwrap()) {
            violations.push(format!("src/{} uses crate::{target}", inside.display()));
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn the_name_of_every_module_names_a_subject() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        collect_sources(&root.join(folder), &mut files);
    }
    for file in files {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap();
        assert!(!WITHOUT_SUBJECT.contains(&name), "{}", file.display());
    }
}

#[test]
fn a_use_of_a_higher_or_the_same_floor_is_found() {
    assert_eq!(
        forbidden_uses("people", "use crate::login::Login;"),
        ["login"]
    );
    assert_eq!(
        forbidden_uses("login", "use crate::{people::x, request::{a, b}};"),
        ["request"]
    );
    assert_eq!(
        forbidden_uses("store", "fn f() { crate::site::go() }"),
        ["site"]
    );
    assert!(forbidden_uses("login", "use crate::{people::x, store::{request, y}};").is_empty());
    assert_eq!(
        forbidden_uses("wording", "use crate::clock::Clock;"),
        ["clock"]
    );
    assert!(forbidden_uses("clock", "use crate::wording::Text;").is_empty());
    assert!(forbidden_uses("people", "// crate::login is on a higher floor").is_empty());
}
