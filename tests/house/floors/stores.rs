//! Checks that only some modules use a store; the others use `people`.

use std::fs;
use std::path::Path;

use super::collect_sources;

/// The modules that must not use a store.
const WITHOUT_STORE: &[&str] = &["door", "face", "request", "login"];

/// The traits and types of a store.
const STORES: &[&str] = &[
    "dyn Store",
    "impl Store",
    "AccountStore",
    "DirectoryStore",
    "SessionStore",
    "RevocationStore",
    "TokenStore",
    "AuditLogStore",
    "NodeStore",
    "CoordinationStore",
    "MonitoredStore",
    "Sqlite",
];

/// Whether a source text uses a store: one of its types, or a field `store`.
fn uses_a_store(text: &str) -> bool {
    let code: Vec<_> = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"))
        .collect();
    let code = code.join("\n");
    // `.store(` is a method of atomics.
    contains(&code, ".store", |next| next == '(' || is_name(next))
        || STORES.iter().any(|store| contains(&code, store, is_name))
}

/// Whether a text contains `part`, and the next character is none that `continues` accepts.
fn contains(text: &str, part: &str, continues: fn(char) -> bool) -> bool {
    text.match_indices(part)
        .any(|(at, _)| !text[at + part.len()..].starts_with(continues))
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[test]
fn faces_and_decisions_do_not_use_a_store() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = Vec::new();
    for module in WITHOUT_STORE {
        let mut files = vec![root.join(format!("{module}.rs"))];
        collect_sources(&root.join(module), &mut files);
        // Tests may prepare a store.
        files.retain(|file| file.file_name().unwrap() != "tests.rs");
        for file in files {
            if uses_a_store(&fs::read_to_string(&file).unwrap()) {
                violations.push(file.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn a_face_that_uses_a_store_is_found() {
    for text in [
        "async fn f(store: &dyn Store) {}",
        "async fn f(accounts: &dyn AccountStore) {}",
        "let spent = visit.shared.store.spend(&ticket, until).await;",
        "shared\n    .store\n    .ping()",
    ] {
        assert!(uses_a_store(text), "{text}");
    }
    for text in [
        "use crate::store::{ConnectorId, StoreError};",
        "Err(AdmitError::Store(error)) => away(error),",
        "draining.store(true, Ordering::Release);",
        "// The store that `shared.store` holds.",
        "shared.people.ping_store().await",
    ] {
        assert!(!uses_a_store(text), "{text}");
    }
}
