//! Only few modules ask a store; all others ask `people`.

use std::fs;
use std::path::Path;

use super::sources;

/// The modules that ask `people` for everything that a store keeps.
const NEVER_ASK_A_STORE: &[&str] = &["door", "face", "request", "login"];

/// Types through which a store is asked.
const STORES: &[&str] = &[
    "dyn Store",
    "impl Store",
    "AccountStore",
    "SessionStore",
    "RevocationStore",
    "TokenStore",
    "CoordinationStore",
    "MonitoredStore",
    "Sqlite",
];

/// Whether a text asks a store: through one of its types, or through a field `store`.
fn asks_a_store(text: &str) -> bool {
    let code: Vec<_> = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with("//"))
        .collect();
    let code = code.join("\n");
    // `.store(` is the method of an atomic.
    contains(&code, ".store", |next| next == '(' || is_name(next))
        || STORES.iter().any(|store| contains(&code, store, is_name))
}

/// Whether a text contains a part that does not go on with a letter like this.
fn contains(text: &str, part: &str, goes_on: fn(char) -> bool) -> bool {
    text.match_indices(part)
        .any(|(at, _)| !text[at + part.len()..].starts_with(goes_on))
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[test]
fn faces_and_decisions_ask_people_and_no_store() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut complaints = Vec::new();
    for module in NEVER_ASK_A_STORE {
        let mut files = vec![root.join(format!("{module}.rs"))];
        sources(&root.join(module), &mut files);
        // Tests put people into a store.
        files.retain(|file| file.file_name().unwrap() != "tests.rs");
        for file in files {
            if asks_a_store(&fs::read_to_string(&file).unwrap()) {
                complaints.push(file.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_face_that_asks_a_store_is_caught() {
    for text in [
        "async fn f(store: &dyn Store) {}",
        "async fn f(accounts: &dyn AccountStore) {}",
        "let spent = visit.shared.store.spend(&ticket, until).await;",
        "shared\n    .store\n    .ping()",
    ] {
        assert!(asks_a_store(text), "{text}");
    }
    for text in [
        "use crate::store::{ConnectorId, StoreError};",
        "Err(AdmitError::Store(error)) => away(error),",
        "draining.store(true, Ordering::Release);",
        "// The store that `shared.store` holds.",
        "shared.people.ping_store().await",
    ] {
        assert!(!asks_a_store(text), "{text}");
    }
}
