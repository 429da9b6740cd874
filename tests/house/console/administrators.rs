//! `menshen admin` beside a running server: local administrators, straight in the store.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::*;
use crate::command::serving::{Program, write_config};
use crate::command::{run_menshen, text};
use crate::upstream::TempFolder;

const LONG_ENOUGH: &str = "twelve chars";

/// Runs `menshen admin` with this standard input.
fn admin(config: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .env_remove("MENSHEN_LOG")
        .args(["-c", config.to_str().unwrap(), "admin"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end without reading it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn code_of(output: &Output) -> Option<i32> {
    output.status.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_added_changed_listed_and_removed_beside_a_server() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let console = "[console]\nlisten = \"127.0.0.1:0\"\n";
    let config = write_config(&folder, &menshen, &Setup::default().tables(console));
    let (program, _) = Program::run(&config).await;
    let add = ["add", "Root", "--password-stdin"];
    let added = admin(&config, &add, LONG_ENOUGH);
    assert_eq!(code_of(&added), Some(0), "{added:?}");
    assert_eq!(text(&added.stdout), "root: added\n");
    assert_eq!(code_of(&admin(&config, &add, LONG_ENOUGH)), Some(1));
    let browser = Browser::at(program.address("console"));
    let mut visit = Visit::of(browser);
    visit.url = "http://localhost".to_owned();
    assert_eq!(visit.sign_in("root", LONG_ENOUGH).await.status, 303);
    let trail = visit.get("/console/audit?lang=en").await.text();
    assert!(trail.contains("local administrator root: added"), "{trail}");
    let changed = admin(&config, &["password", "root"], "another password\n");
    assert_eq!(code_of(&changed), Some(0), "{changed:?}");
    assert_eq!(
        visit.get("/console/").await.status,
        303,
        "the session has ended"
    );
    assert_eq!(visit.sign_in("root", LONG_ENOUGH).await.status, 401);
    assert_eq!(visit.sign_in("root", "another password").await.status, 303);
    let listed = admin(&config, &["list"], "");
    assert!(text(&listed.stdout).starts_with("root\t"), "{listed:?}");
    let json = admin(&config, &["list", "--json"], "").stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["administrators"][0]["name"], "root");
    assert_eq!(code_of(&admin(&config, &["remove", "root"], "")), Some(0));
    assert_eq!(visit.get("/console/").await.status, 303);
    assert_eq!(code_of(&admin(&config, &["remove", "root"], "")), Some(1));
    assert_eq!(
        code_of(&admin(&config, &["password", "root"], LONG_ENOUGH)),
        Some(1)
    );
}

#[test]
fn a_short_password_and_a_name_that_cannot_be_used_are_refused() {
    let folder = TempFolder::new();
    let config = folder.path("menshen.toml");
    let store = folder.path("menshen.db").display().to_string();
    std::fs::write(&config, format!("[store]\nurl = 'sqlite://{store}'\n")).unwrap();
    let min = "at least 12 characters";
    for (bad, why) in [
        ("", min),
        ("seven77", min),
        ("eleven char", min),
        ("two lines\nof text", "one line"),
    ] {
        let output = admin(&config, &["add", "root"], bad);
        assert_eq!(code_of(&output), Some(1), "{bad:?} {output:?}");
        assert!(text(&output.stderr).contains(why), "{bad:?} {output:?}");
    }
    for bad in ["", "a b", "<b>"] {
        let output = admin(&config, &["add", bad], LONG_ENOUGH);
        assert_eq!(code_of(&output), Some(2), "{bad:?} {output:?}");
    }
    let listed = admin(&config, &["list"], "");
    assert_eq!((code_of(&listed), listed.stdout.len()), (Some(0), 0));
}

#[test]
fn the_command_works_while_the_rest_of_the_configuration_is_broken() {
    let folder = TempFolder::new();
    let config = folder.path("menshen.toml");
    let store = folder.path("menshen.db").display().to_string();
    let broken = format!(
        "[store]\nurl = 'sqlite://{store}'\n[connector.corp.no-such-kind]\n[server]\nlisten = 7\n"
    );
    std::fs::write(&config, broken).unwrap();
    let check = run_menshen(&["check", "-c", config.to_str().unwrap()]);
    assert_eq!(code_of(&check), Some(1));
    let output = admin(&config, &["add", "root"], LONG_ENOUGH);
    assert_eq!(code_of(&output), Some(0), "{output:?}");
    std::fs::write(&config, "[store]\nurl = 'nowhere'\n").unwrap();
    let output = admin(&config, &["list"], "");
    assert_eq!(code_of(&output), Some(1));
    assert!(
        text(&output.stderr).contains("menshen.toml:2:"),
        "{output:?}"
    );
}
