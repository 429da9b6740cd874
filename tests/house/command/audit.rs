//! `menshen audit` beside a running server: a table for people, JSON lines for programs, and its exit codes.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::serving::{Program, write_config};
use super::{run_menshen, text};
use crate::browser::Browser;
use crate::sessions::eventually;
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

const URL: &str = "http://sso.test/echo";
const TOKENS: &str = "token = \"the-unnamed-token\"\n\
     [[admin.tokens]]\nname = \"viewer\"\ntoken = \"the-token-of-the-viewer\"\nview = true\n";
const HOSTILE: &str = "left\u{202e}\u{200b}财务";

fn config_with_admin(folder: &TempFolder, menshen: &Menshen) -> PathBuf {
    let socket = folder.path("admin.sock").display().to_string();
    let setup = Setup::default().tables(&format!("[admin]\nlisten = \"unix:{socket}\"\n{TOKENS}"));
    write_config(folder, menshen, &setup)
}

fn audit(config: &Path, arguments: &[&str]) -> Output {
    let config = config.to_str().unwrap();
    run_menshen(&[&["-c", config, "audit"], arguments].concat())
}

fn json_lines(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = text(&output.stdout).lines();
    let lines = lines.map(serde_json::from_str::<Value>);
    lines.collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_listed_as_a_table_and_as_json() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = config_with_admin(&folder, &menshen);
    let (program, address) = Program::run(&config).await;
    for person in ["zhangsan", "lisi"] {
        let mut browser = Browser::at(address);
        assert_eq!(browser.sign_in(URL, person).await.answer.status, 200);
    }
    let path = config.to_str().unwrap();
    let close = [
        "-c", path, "people", "close", "zhangsan", "--reason", HOSTILE,
    ];
    assert_eq!(run_menshen(&close).status.code(), Some(0));
    let all = async || json_lines(&audit(&config, &["--json"])).len() == 3;
    eventually("three lines are listed", all).await;

    let lines = json_lines(&audit(&config, &["--json"]));
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str()).collect();
    assert_eq!(events, [Some("closed"), Some("login"), Some("login")]);
    assert!(lines[0]["reason"].as_str().unwrap().ends_with(HOSTILE));
    let table = audit(&config, &[]);
    let table = text(&table.stdout);
    let rows: Vec<Vec<_>> = table.lines().map(|row| row.split('\t').collect()).collect();
    assert_eq!(rows.len(), 3, "{table}");
    for (row, line) in rows.iter().zip(&lines) {
        assert_eq!(row.len(), 7, "{row:?}");
        assert_eq!(row[0], line["timestamp"].as_str().unwrap());
        assert_eq!(row[1], line["event"].as_str().unwrap());
    }
    assert_eq!(rows[0][2..6], ["zhangsan", "-", "-", "token:admin"]);
    assert!(
        rows[0][6].ends_with("left\\u{202e}\\u{200b}财务"),
        "{table}"
    );
    assert_eq!(rows[1][2..], ["lisi", "corp", "127.0.0.1", "-", "-"]);
    for (arguments, count) in [
        (&["--event", "login"][..], 2),
        (&["--event", "login", "--login", "LiSi"], 1),
        (&["--connector", "corp"], 2),
        (&["--connector", "other"], 0),
        (&["--since", "1h"], 3),
        (&["--max", "2"], 2),
        (&["--max", "5000"], 3),
        (&["--max", "0"], 0),
        (&["--token-name", "viewer"], 3),
    ] {
        let output = audit(&config, &[arguments, &["--json"]].concat());
        assert_eq!(json_lines(&output).len(), count, "{arguments:?}");
    }
    assert_eq!(program.end().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_argument_and_an_absent_server_have_their_exit_codes() {
    let (menshen, folder) = (Menshen::new().await, TempFolder::new());
    let config = config_with_admin(&folder, &menshen);
    let absent = audit(&config, &[]);
    assert_eq!(absent.status.code(), Some(4), "{absent:?}");
    let (program, _) = Program::run(&config).await;
    for (arguments, code, expected) in [
        (&["--event", "logon"][..], 1, "there is no such event"),
        (&["--connector", "no such"], 1, "connector"),
        (&["--token-name", "alice"], 1, "no token named alice"),
        (&["--since", "yesterday"], 2, "a period is a whole number"),
        (&["--max", "many"], 2, "many"),
    ] {
        let output = audit(&config, arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(!error.contains("the-unnamed-token"), "{error}");
    }
    assert_eq!(program.end().await.0, Some(0));
}
