//! What the program writes to an operator's screen: nothing hides there, and nobody floods it.

use serde_json::Value;

use super::serving::{Program, write};
use super::{Folder, run_menshen, text};
use crate::log_lines::{shows, unseen};
use crate::setup::{Menshen, Setup};
use crate::upstream;
use crate::wire;

/// Text that turns a line round, clears a screen and begins another line.
const MARKS: &str = "\u{202e}\u{9b}2J\u{85}\u{2028}\u{200b}\u{feff}";

#[test]
fn an_explanation_shows_what_it_was_asked() {
    let folder = Folder::new("marks");
    let config = folder.config("");
    let config = config.to_str().unwrap();
    let header = format!("X-Any: {MARKS}");
    for more in [vec![], vec!["--json"]] {
        let url = format!("http://localhost/a?{MARKS}");
        let mut arguments = vec!["explain", &url, "-c", config, "--header", &header];
        arguments.extend(more);
        let output = run_menshen(&arguments);
        for written in [&output.stdout, &output.stderr] {
            assert_eq!(shows(text(written)), None, "{arguments:?}");
        }
    }
    // Whoever reads the JSON reads what there was.
    let url = "http://localhost/a";
    let output = run_menshen(&["explain", url, "-c", config, "--json"]);
    let _: Value = serde_json::from_slice(&output.stdout).unwrap();
}

#[test]
fn a_configuration_is_complained_of_without_its_marks() {
    let folder = Folder::new("marked");
    for line in [
        format!("\"{MARKS}\" = 7"),
        format!("prefix = \"/{MARKS}\""),
        format!("files = {{ \"/{MARKS}\" = \"a\" }}"),
    ] {
        let config = folder.config(&line);
        let output = run_menshen(&["check", "-c", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        for written in [&output.stdout, &output.stderr] {
            assert_eq!(shows(text(written)), None, "{line:?}");
        }
    }
    let every: String = unseen().iter().collect();
    let output = run_menshen(&["check", "-c", &format!("/no/such/{every}")]);
    assert_eq!(shows(text(&output.stderr)), None);
}

#[tokio::test]
async fn a_stranger_who_causes_one_line_over_and_over_fills_no_log() {
    const TRIES: usize = 400;
    let (menshen, folder) = (Menshen::new().await, upstream::Folder::new());
    let config = write(&folder, &menshen, &Setup::default());
    let (program, address) = Program::run(&config).await;
    for _ in 0..TRIES {
        let request = b"GET /%zz HTTP/1.1\r\nHost: sso.test\r\nConnection: close\r\n\r\n";
        assert_eq!(wire::raw(address, request).await.status, 400);
    }
    let (_, records, log) = program.end().await;
    let lines = log
        .iter()
        .filter(|line| line.contains("a malformed request was refused"));
    let written = lines.count();
    assert!((1..TRIES / 2).contains(&written), "{written}");
    // Each has its record, where the access log was asked for.
    let access = records
        .iter()
        .filter(|line| line.contains("menshen::access"));
    assert_eq!(access.count(), TRIES);
}

#[tokio::test]
async fn what_is_wrong_with_a_new_configuration_is_logged_without_its_marks() {
    let (menshen, folder) = (Menshen::new().await, upstream::Folder::new());
    let config = write(&folder, &menshen, &Setup::default());
    let (program, _) = Program::run(&config).await;
    let good = std::fs::read_to_string(&config).unwrap();
    let bad = good.replace("[server]", &format!("[server]\n\"{MARKS}\" = 7"));
    std::fs::write(&config, bad).unwrap();
    program.signal("-HUP");
    program.says("the configuration was not reloaded").await;
    let (_, _, log) = program.end().await;
    for line in &log {
        assert_eq!(shows(line), None, "{line:?}");
        let _: Value = serde_json::from_str(line).unwrap();
    }
}
