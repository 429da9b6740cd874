//! Output and log: control characters are escaped, and repeated log lines are limited.

use serde_json::Value;

use super::serving::{Program, write_config};
use super::{ConfigFolder, run_menshen, text};
use crate::log_lines::{control_characters, first_control};
use crate::setup::{Menshen, Setup};
use crate::upstream;
use crate::wire;

/// Characters that reverse a line, clear the screen, begin another line, or are invisible.
const CONTROLS: &str = "\u{202e}\u{9b}2J\u{85}\u{2028}\u{200b}\u{feff}";

#[test]
fn an_explanation_escapes_control_characters_of_the_request() {
    let folder = ConfigFolder::new("marks");
    let config = folder.config("");
    let config = config.to_str().unwrap();
    let header = format!("X-Any: {CONTROLS}");
    for more in [vec![], vec!["--json"]] {
        let url = format!("http://localhost/a?{CONTROLS}");
        let mut arguments = vec!["explain", &url, "-c", config, "--header", &header];
        arguments.extend(more);
        let output = run_menshen(&arguments);
        for output in [&output.stdout, &output.stderr] {
            assert_eq!(first_control(text(output)), None, "{arguments:?}");
        }
    }
    // Without control characters, the output is JSON, too.
    let url = "http://localhost/a";
    let output = run_menshen(&["explain", url, "-c", config, "--json"]);
    let _: Value = serde_json::from_slice(&output.stdout).unwrap();
}

#[test]
fn a_configuration_error_escapes_control_characters() {
    let folder = ConfigFolder::new("marked");
    for line in [
        format!("\"{CONTROLS}\" = 7"),
        format!("prefix = \"/{CONTROLS}\""),
        format!("files = {{ \"/{CONTROLS}\" = \"a\" }}"),
    ] {
        let config = folder.config(&line);
        let output = run_menshen(&["check", "-c", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        for output in [&output.stdout, &output.stderr] {
            assert_eq!(first_control(text(output)), None, "{line:?}");
        }
    }
    let all: String = control_characters().iter().collect();
    let output = run_menshen(&["check", "-c", &format!("/no/such/{all}")]);
    assert_eq!(first_control(text(&output.stderr)), None);
}

#[tokio::test]
async fn a_client_that_causes_the_same_log_line_repeatedly_cannot_fill_the_log() {
    const TRIES: usize = 400;
    let (menshen, folder) = (Menshen::new().await, upstream::TempFolder::new());
    let config = write_config(&folder, &menshen, &Setup::default());
    let (program, address) = Program::run(&config).await;
    for _ in 0..TRIES {
        let request = b"GET /%zz HTTP/1.1\r\nHost: sso.test\r\nConnection: close\r\n\r\n";
        assert_eq!(wire::send(address, request).await.status, 400);
    }
    let (_, records, log) = program.end().await;
    let lines = log
        .iter()
        .filter(|line| line.contains("a malformed request was refused"));
    let output = lines.count();
    assert!((1..TRIES / 2).contains(&output), "{output}");
    // The access log has a line for each request.
    let access = records
        .iter()
        .filter(|line| line.contains("menshen::access"));
    assert_eq!(access.count(), TRIES);
}

#[tokio::test]
async fn the_log_line_of_a_refused_reload_escapes_control_characters() {
    let (menshen, folder) = (Menshen::new().await, upstream::TempFolder::new());
    let config = write_config(&folder, &menshen, &Setup::default());
    let (program, _) = Program::run(&config).await;
    let valid = std::fs::read_to_string(&config).unwrap();
    let invalid = valid.replace("[server]", &format!("[server]\n\"{CONTROLS}\" = 7"));
    std::fs::write(&config, invalid).unwrap();
    program.signal("-HUP");
    program
        .wait_for_line("the configuration was not reloaded")
        .await;
    let (_, _, log) = program.end().await;
    for line in &log {
        assert_eq!(first_control(line), None, "{line:?}");
        let _: Value = serde_json::from_str(line).unwrap();
    }
}
