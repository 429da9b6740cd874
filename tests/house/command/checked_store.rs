//! What `menshen check` says of a store: away, of another program, or with secrets that no key opens.

use super::moving::Machine;
use super::serving::Program;
use super::{ConfigFolder, run_menshen, text};
use crate::setup::Menshen;
use crate::stores::Meddler;

const OLD_KEY: &str = "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSAxMjM0";
const NEW_KEY: &str = "bmV3IGtleSBuZXcga2V5IG5ldyBrZXkgbmV3IGtleSAxMjM0";

/// A configuration whose store has this URL.
fn config_with_store(folder: &ConfigFolder, url: &str) -> String {
    let path = folder.config("");
    let written = std::fs::read_to_string(&path).unwrap();
    let (_, rest) = written.split_once('\n').unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    std::fs::write(&path, format!("[store]\nurl = '{url}'\n{rest}")).unwrap();
    path.display().to_string()
}

#[test]
fn a_store_that_is_away_is_a_note_and_no_failure() {
    let folder = ConfigFolder::new("away");
    // The port is bound for the whole test, and nobody listens on it.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgres://menshen:hunter2@127.0.0.1:{port}/menshen?sslmode=disable");
    let config = config_with_store(&folder, &url);
    let output = run_menshen(&["check", "-c", &config]);
    let shown = [text(&output.stdout), text(&output.stderr)].concat();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(
        shown.contains("note: managed connectors are not checked: "),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.ends_with(": fine\n"), "{shown}");
    // What reads or changes them fails.
    for arguments in [
        &["export"][..],
        &["import", "--dry-run", "/dev/null"],
        &["import", "/dev/null"],
    ] {
        let output = run_menshen(&[&["-c", &config], arguments].concat());
        assert_ne!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let folder = ConfigFolder::new("other");
    let url = format!("sqlite://{}", folder.0.join("other.db").display());
    let config = config_with_store(&folder, &url);
    let mut other = Meddler::at(&format!("{url}?mode=rwc")).await;
    other
        .run("CREATE TABLE invoices (number INTEGER); PRAGMA application_id = 7;")
        .await;
    for command in ["check", "run"] {
        let output = run_menshen(&[command, "-c", &config]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            text(&output.stderr).contains("another program"),
            "{output:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_opens_no_managed_secret_is_refused_with_the_remedy() {
    let menshen = Menshen::new().await;
    let machine = Machine::new(
        &menshen,
        "[admin]\nlisten = \"SOCKET\"\ntoken = \"the-token\"\n",
    );
    let with_key = |key: &str| {
        let text = std::fs::read_to_string(&machine.config).unwrap();
        let (before, rest) = text.split_once("[session]\n").unwrap();
        let after = rest.trim_start_matches(|c| c != '\n');
        std::fs::write(
            &machine.config,
            format!("{before}[session]\nkeys = [{key}]{after}"),
        )
        .unwrap();
    };
    with_key(&format!("\"{OLD_KEY}\""));
    let (program, _) = Program::run(&machine.config).await;
    let table = "[oidc]\nissuer = \"https://id.corp.example\"\nclient_id = \"a\"\nclient_secret = \"hunter2\"\n";
    let file = machine
        .folder
        .write("sso.toml", table)
        .display()
        .to_string();
    machine.must(&["connector", "set", "sso", &file]);
    program.end().await;
    with_key(&format!("\"{NEW_KEY}\""));
    for arguments in [
        &["run"][..],
        &["check"],
        &["export", "--secrets", &machine.path("secrets")],
    ] {
        let error = machine.fails(1, arguments);
        for part in ["sso", "oidc.client_secret", "[session] keys", "put the key"] {
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(!machine.folder.path("secrets").exists());
    with_key(&format!("\"{NEW_KEY}\", \"{OLD_KEY}\""));
    machine.must(&["check"]);
    machine.must(&["export", "--secrets", &machine.path("secrets")]);
}
