//! `menshen session` beside a running server: lists and ends sessions, as text and as JSON, and its exit
//! codes.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use super::serving::{Program, write_config};
use super::{run_menshen, text};
use crate::browser::Browser;
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

const URL: &str = "http://sso.test/echo";
const TOKENS: &str = "token = \"the-unnamed-token\"\n\
     [[admin.tokens]]\nname = \"viewer\"\ntoken = \"the-token-of-the-viewer\"\nview = true\n";

/// Writes a configuration whose admin listener is a socket in the folder.
fn config_with_admin(folder: &TempFolder, menshen: &Menshen, lines: &str) -> PathBuf {
    let socket = folder.path("admin.sock").display().to_string();
    let setup = Setup::default().tables(&format!("[admin]\nlisten = \"unix:{socket}\"\n{lines}"));
    write_config(folder, menshen, &setup)
}

fn session(config: &Path, arguments: &[&str]) -> Output {
    let config = config.to_str().unwrap();
    run_menshen(&[&["-c", config, "session"], arguments].concat())
}

fn json_of(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The IDs of all sessions.
fn ids(config: &Path) -> Vec<String> {
    let listed = json_of(&session(config, &["list", "--json"]));
    let sessions = listed["sessions"].as_array().unwrap().iter();
    let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
    sessions.map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = config_with_admin(&folder, &menshen, TOKENS);
    let (program, address) = Program::run(&config).await;
    assert_eq!(ids(&config), Vec::<String>::new());
    for (target, left) in [
        (&["--login", "zhangsan"][..], 1),
        (&["--connector", "corp"], 0),
        (&["--all"], 0),
        (&["ID"], 1),
    ] {
        for person in ["zhangsan", "lisi"] {
            let mut browser = Browser::at(address);
            assert_eq!(browser.sign_in(URL, person).await.answer.status, 200);
        }
        let listed = ids(&config);
        let table = session(&config, &["list"]);
        let table = text(&table.stdout).to_owned();
        assert_eq!(table.lines().count(), listed.len(), "{table}");
        for (line, id) in table.lines().zip(&listed) {
            assert!(line.starts_with(&format!("{id}\t")), "{line}");
            let fields: Vec<_> = line.split('\t').collect();
            assert!(["zhangsan", "lisi"].contains(&fields[1]), "{line}");
            assert_eq!((fields[3], fields[4]), ("corp", "127.0.0.1"), "{line}");
        }
        let target = target.iter().map(|word| match *word {
            "ID" => &*listed[0],
            word => word,
        });
        let arguments: Vec<_> = ["revoke", "--json"].into_iter().chain(target).collect();
        assert_eq!(
            json_of(&session(&config, &arguments)),
            json!({ "done": true })
        );
        assert_eq!(ids(&config).len(), left, "{arguments:?}");
    }
    let ended = session(&config, &["revoke", "--all"]);
    assert_eq!(text(&ended.stdout), "ended\n");
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_id_of_a_session_may_begin_with_a_hyphen() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = config_with_admin(&folder, &menshen, TOKENS);
    let (program, _) = Program::run(&config).await;
    // The server is asked, and knows no such session.
    for id in ["-nRzS3KQ0dRZ0cD3hLFzYg", "--RzS3KQ0dRZ0cD3hLFzYg"] {
        let ended = session(&config, &["revoke", id]);
        assert_ne!(ended.status.code(), Some(2), "{ended:?}");
    }
    drop(program);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_exit_code_1_and_a_wrong_argument_2() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = config_with_admin(&folder, &menshen, TOKENS);
    let (program, _) = Program::run(&config).await;
    for (arguments, code, expected) in [
        (
            &["list", "--login", "nobody"][..],
            1,
            "nobody has the login nobody",
        ),
        (
            &["revoke", "--login", "nobody"],
            1,
            "nobody has the login nobody",
        ),
        (
            &["revoke", "no/such?id"],
            1,
            "there is no session no/such?id",
        ),
        (
            &["list", "--token-name", "alice"],
            1,
            "no token named alice",
        ),
        (
            &["revoke", "--all", "--token-name", "viewer"],
            1,
            "may only read",
        ),
        (&["revoke"], 2, "required"),
        (
            &["revoke", "--all", "--login", "zhangsan"],
            2,
            "cannot be used with",
        ),
        (&["list", "--max", "many"], 2, "many"),
    ] {
        let output = session(&config, arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(!error.contains("the-unnamed-token"), "{error}");
    }
    let listed = session(&config, &["--token-name", "viewer", "list"]);
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");
    // The running server has the tokens of its start.
    config_with_admin(&folder, &menshen, "token = \"another-token\"\n");
    let output = session(&config, &["list"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("restart it"), "{output:?}");
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_server_is_exit_code_4_and_an_absent_token_1() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let viewer_alone = &TOKENS[TOKENS.find("[[").unwrap()..];
    for (lines, arguments, code, expected) in [
        (TOKENS, &["list"][..], 4, "is menshen running?"),
        (TOKENS, &["revoke", "--all"], 4, "is menshen running?"),
        (viewer_alone, &["list"], 4, "is menshen running?"),
        (
            viewer_alone,
            &["revoke", "--all"],
            1,
            "no token that may do this",
        ),
        ("", &["list"], 1, "no token that may do this"),
    ] {
        let config = config_with_admin(&folder, &menshen, lines);
        let output = session(&config, arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let config = write_config(&folder, &menshen, &Setup::default());
    let output = session(&config, &["list"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("no [admin]"), "{output:?}");
}
