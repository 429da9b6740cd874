//! Checks that the direct submodules of some modules do not use each other in a cycle. Test code is
//! ignored.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::collect_sources;

/// The modules that are checked, as folders below `src`.
const MODULES: [&str; 3] = ["request", "face/sign_in", "login"];

/// The steps of a decision in `request`: no module may use a later one.
const REQUEST_ORDER: [&str; 5] = ["head", "route", "gate", "policy", "forward"];

/// For each submodule, the submodules that it uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// A source file: its path below `src`, and its text.
type Source = (String, String);

/// The source files of a module and its submodules.
fn read(module: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join(format!("{module}.rs"))];
    collect_sources(&root.join(module), &mut files);
    let below = |file: &Path| {
        let inside = file.strip_prefix(&root).unwrap().to_str().unwrap();
        inside.to_owned()
    };
    files
        .iter()
        .map(|file| (below(file), fs::read_to_string(file).unwrap()))
        .collect()
}

/// The code of a file without comments and without its tests at the end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The modules that a file declares for tests only.
fn only_for_tests(text: &str) -> BTreeSet<String> {
    let after = text.split("#[cfg(test)]\n").skip(1);
    let declared = after.filter_map(|rest| {
        let line = rest.lines().next()?.trim();
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.map(str::to_owned).collect()
}

/// The module path of a file: `request/explain/rule.rs` is `request`, `explain`, `rule`.
fn module_path(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap();
    path.split('/').map(str::to_owned).collect()
}

/// A path, and the name that it has after a `use`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    path: Vec<String>,
    name: String,
}

/// Every path of a text, with groups expanded: `a::{b, c::d as e}` gives `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(position) = rest.find(is_name_char) {
        rest = path(&rest[position..], &[], &mut found);
    }
    found
}

/// Parses a path at the start of a text; returns the rest.
fn path<'a>(text: &'a str, before: &[String], found: &mut Vec<Named>) -> &'a str {
    let end = text.find(|c| !is_name_char(c)).unwrap_or(text.len());
    let mut whole = before.to_vec();
    if &text[..end] != "self" || before.is_empty() {
        whole.push(text[..end].to_owned());
    }
    let rest = &text[end..];
    let Some(further) = rest.strip_prefix("::") else {
        let renamed = rest.strip_prefix(" as ").map(|name| {
            let end = name.find(|c| !is_name_char(c)).unwrap_or(name.len());
            name[..end].to_owned()
        });
        let last = whole.last().cloned().unwrap_or_default();
        let name = renamed.unwrap_or(last);
        found.push(Named { path: whole, name });
        return rest;
    };
    match further.chars().next() {
        Some('{') => group(&further[1..], &whole, found),
        Some(first) if is_name_char(first) => path(further, &whole, found),
        // A glob, or type parameters.
        _ => {
            let name = whole.last().cloned().unwrap_or_default();
            found.push(Named { path: whole, name });
            further
        }
    }
}

/// Parses the members of a group up to its end; returns the rest.
fn group<'a>(text: &'a str, before: &[String], found: &mut Vec<Named>) -> &'a str {
    let mut rest = text;
    loop {
        match rest.find(|c| is_name_char(c) || c == '}') {
            Some(position) if rest[position..].starts_with('}') => return &rest[position + 1..],
            Some(position) => rest = path(&rest[position..], before, found),
            None => return "",
        }
        if let Some(renamed) = rest.strip_prefix(" as ") {
            rest = renamed.trim_start_matches(is_name_char);
        }
    }
}

fn is_name_char(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The absolute path of `path` in the module `at`; `None` if it is not in this crate.
fn resolved(path: &[String], position: &[String]) -> Option<Vec<String>> {
    let (first, mut rest) = path.split_first()?;
    let mut whole = match first.as_str() {
        "crate" => Vec::new(),
        "self" => position.to_vec(),
        "super" => position[..position.len() - 1].to_vec(),
        _ => return None,
    };
    while let Some(("super", further)) = rest.split_first().map(|(f, r)| (f.as_str(), r)) {
        whole.pop();
        rest = further;
    }
    whole.extend_from_slice(rest);
    Some(whole)
}

/// For each submodule, the submodules that it uses, also through re-exports of the module.
fn uses(module: &str, sources: &[Source]) -> Uses {
    let own = module_path(&format!("{module}.rs"));
    let file = format!("{module}.rs");
    let parent = sources.iter().find(|(path, _)| *path == file);
    let parent = parent.map(|(_, text)| text.as_str()).unwrap_or_default();
    let tests = only_for_tests(parent);
    let child_of = |path: &str| {
        let inside = module_path(path).split_off(own.len());
        let is_test = |name: &String| name == "tests" || tests.contains(name);
        let child = inside.first().cloned();
        child.filter(|_| !inside.iter().any(is_test))
    };
    let children: BTreeSet<_> = sources
        .iter()
        .filter_map(|(path, _)| child_of(path))
        .collect();
    let imports = code(parent);
    let imports = imports.split(';').map(str::trim_start);
    let imports = imports.filter(|one| one.starts_with("use ") || one.starts_with("pub"));
    let re_exports: BTreeMap<_, _> = imports
        .flat_map(paths)
        .filter_map(|Named { path, name }| {
            let whole = resolved(&path, &own);
            let inside = match &whole {
                Some(whole) => whole.strip_prefix(&own[..])?,
                None => &path[..],
            };
            let child = inside.first().filter(|child| children.contains(*child))?;
            Some((name, child.clone()))
        })
        .collect();
    let mut uses: Uses = children
        .iter()
        .map(|child| (child.clone(), BTreeSet::new()))
        .collect();
    for (path, text) in sources {
        let Some(child) = child_of(path) else {
            continue;
        };
        let position = module_path(path);
        for Named { path, .. } in paths(&code(text)) {
            let whole = resolved(&path, &position);
            let inside = whole
                .as_deref()
                .and_then(|whole| whole.strip_prefix(&own[..]));
            let Some(name) = inside.and_then(<[String]>::first) else {
                continue;
            };
            let used = children.get(name).or_else(|| re_exports.get(name));
            if let Some(used) = used.filter(|used| **used != child) {
                uses.get_mut(&child).unwrap().insert(used.clone());
            }
        }
    }
    uses
}

/// The chain of uses from one submodule to another or to itself, if there is one.
fn dependency_chain(uses: &Uses, from: &str, to: &str) -> Option<Vec<String>> {
    let mut predecessor = BTreeMap::from([(from, "")]);
    let mut to_visit = vec![from];
    while let Some(position) = to_visit.pop() {
        for next in uses.get(position).into_iter().flatten() {
            if next == to {
                let mut chain = vec![to.to_owned(), position.to_owned()];
                let mut position = position;
                while position != from {
                    position = predecessor[position];
                    chain.push(position.to_owned());
                }
                chain.reverse();
                return Some(chain);
            }
            if !predecessor.contains_key(next.as_str()) {
                predecessor.insert(next, position);
                to_visit.push(next);
            }
        }
    }
    None
}

/// A cycle, if there is one.
fn cycle(uses: &Uses) -> Option<Vec<String>> {
    uses.keys()
        .find_map(|child| dependency_chain(uses, child, child))
}

#[test]
fn submodules_do_not_depend_on_each_other_in_a_cycle() {
    for module in MODULES {
        let uses = uses(module, &read(module));
        assert!(uses.len() > 5, "{module}: {uses:?}");
        assert!(uses.values().any(|used| !used.is_empty()), "{module}");
        assert_eq!(cycle(&uses), None, "{module}");
    }
}

#[test]
fn the_steps_of_a_decision_depend_only_on_earlier_steps() {
    let uses = uses("request", &read("request"));
    for (position, earlier) in REQUEST_ORDER.iter().enumerate() {
        for later in &REQUEST_ORDER[position + 1..] {
            assert!(
                dependency_chain(&uses, later, earlier).is_some(),
                "{later} needs no {earlier}"
            );
            assert_eq!(dependency_chain(&uses, earlier, later), None);
        }
    }
}

#[test]
fn a_cycle_is_found() {
    for (module, file, line) in [
        (
            "request",
            "request/head/original.rs",
            "use crate::request::forward::Forwarder;",
        ),
        (
            "request",
            "request/path.rs",
            "use super::{head::Host, target};",
        ),
        (
            "request",
            "request/route/limits.rs",
            "fn f() -> super::super::policy::Permit {}",
        ),
        (
            "request",
            "request/head.rs",
            "use crate::{clock::Clock, request::{gate::Gate, target}};",
        ),
        // Through a re-export of the module.
        ("request", "request/path.rs", "use super::AddressError;"),
        (
            "face/sign_in",
            "face/sign_in/begin.rs",
            "use super::{LoginTarget, reconfirm};",
        ),
        (
            "login",
            "login/pending.rs",
            "use super::connector::{Mode as M, self};",
        ),
    ] {
        let mut sources = read(module);
        assert_eq!(cycle(&uses(module, &sources)), None, "{module}");
        let changed = sources.iter_mut().find(|(path, _)| path == file);
        changed.unwrap().1.insert_str(0, &format!("{line}\n"));
        assert!(cycle(&uses(module, &sources)).is_some(), "{file}: {line}");
    }
}

#[test]
fn uses_in_tests_and_comments_are_ignored() {
    for (file, line) in [
        ("request/path.rs", "// use super::forward::Forwarder;\n"),
        (
            "request/path.rs",
            "#[cfg(test)]\nmod tests {\n    use super::super::forward::Forwarder;\n}\n",
        ),
        ("request/fixture.rs", "use super::explain::Ways;\n"),
        (
            "request/policy/tests.rs",
            "use crate::request::forward::Forwarder;\n",
        ),
    ] {
        let mut sources = read("request");
        let changed = sources.iter_mut().find(|(path, _)| path == file);
        changed.unwrap().1.insert_str(0, line);
        assert_eq!(cycle(&uses("request", &sources)), None, "{file}: {line}");
    }
}

#[test]
fn paths_in_groups_are_expanded() {
    let read = |text| {
        let of = |Named { path, name }: Named| format!("{} {name}", path.join("::"));
        paths(text).into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(
        read("a::{b, c::{self, d as e}, f::*}; g::<h>()"),
        ["a::b b", "a::c c", "a::c::d e", "a::f f", "g g", "h h"]
    );
    assert_eq!(read("super::super::x"), ["super::super::x x"]);
}
