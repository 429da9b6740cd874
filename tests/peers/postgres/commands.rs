//! `menshen import`, `export` and `check` with managed connectors in PostgreSQL, without a server.

use std::path::Path;
use std::process::Command;

use super::super::processes::TempDir;
use super::server;

const IMPORTED: &str = "[connector.sso]\nenabled = false\n[connector.sso.oidc]\n\
    issuer = \"https://id.corp.example\"\nclient_id = \"a\"\nclient_secret = \"hunter2\"\n\
    [connector.corp.cas]\nurl = \"https://cas.corp.example/cas\"\n";

const CORP: &str = "[connector.corp.cas]\nurl = 'https://cas.corp.example/cas'\n";

/// Runs a command; returns its exit code and what it printed.
fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
    let output = command
        .arg("-c")
        .arg(config)
        .args(arguments)
        .output()
        .unwrap();
    let shown = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(shown).unwrap())
}

fn config(dir: &TempDir, url: &str, tables: &str) -> std::path::PathBuf {
    let text = format!(
        "[server]\nexternal_url = 'http://localhost'\n[store]\nurl = '{url}'\n\
         [[route]]\nname = 'all'\naccess = 'public'\n{tables}"
    );
    dir.write("menshen.toml", &text)
}

#[tokio::test(flavor = "multi_thread")]
async fn managed_connectors_are_imported_exported_and_checked() {
    let (database, dir) = (server::shared().new_database().await, TempDir::new());
    let path = config(&dir, &database.url(), "");
    // A database in which menshen was never started.
    let (code, shown) = run(&path, &["check"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("note:"), "{shown}");
    let file = dir.write("import.toml", IMPORTED).display().to_string();
    let (code, shown) = run(&path, &["import", &file]);
    assert_eq!(
        (code, shown.contains("version 1")),
        (Some(0), true),
        "{shown}"
    );

    let (code, shown) = run(&path, &["check"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("managed connector sso is disabled"),
        "{shown}"
    );
    assert!(!shown.contains("connector corp"), "{shown}");
    let (code, shown) = run(&path, &["export"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("[connector.sso.oidc]") && !shown.contains("hunter2"),
        "{shown}"
    );
    let folder = dir.path().join("secrets");
    let (code, shown) = run(&path, &["export", "--secrets", folder.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

    let path = config(&dir, &database.url(), CORP);
    let (code, shown) = run(&path, &["check"]);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("connector corp is shadowed"), "{shown}");
    let (code, shown) = run(&path, &["import", &file, "--dry-run"]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains("connector corp is set in") && shown.contains("menshen.toml:"),
        "{shown}"
    );
}
