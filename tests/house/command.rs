//! The command line: its output and its exit codes.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::chinese::assert_output_is_chinese;

mod audit;
mod certificates;
mod checked_store;
mod chinese;
mod connector;
mod disk;
mod killed;
mod language;
mod moving;
mod online;
mod open_files;
mod people;
mod screen;
pub(crate) mod serving;
mod session;
mod sync;
mod unread;

/// A temporary folder with a configuration, removed when it is dropped.
struct ConfigFolder(PathBuf);

impl ConfigFolder {
    fn new(name: &str) -> Self {
        let folder = format!("menshen-command-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a configuration whose `[server]` ends with `more`.
    fn config(&self, more: &str) -> PathBuf {
        let path = self.0.join("menshen.toml");
        let store = self.0.join("menshen.db").display().to_string();
        let text = format!(
            "[store]\nurl = 'sqlite://{store}'\n[[route]]\nname = 'all'\naccess = 'public'\n\
             [server]\nexternal_url = 'http://localhost'\n{more}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for ConfigFolder {
    fn drop(&mut self) {
        // A folder that cannot be removed does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `menshen`. A check runs a second time, and says what it says in Chinese then.
pub(crate) fn run_menshen(arguments: &[&str]) -> Output {
    let output = run(arguments);
    // Invalid arguments are refused in English.
    let is_about_a_file = output.status.code() != Some(2);
    if let ["check", rest @ ..] = arguments
        && !rest.contains(&"--lang")
        && is_about_a_file
    {
        let in_chinese = run(&[&["check", "--lang", "zh"], rest].concat());
        assert_output_is_chinese(&in_chinese);
    }
    output
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
    command
        .env_remove("MENSHEN_CONFIG")
        .env_remove("MENSHEN_LOG")
        .env("LC_ALL", "C")
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_valid_configuration_passes_the_check() {
    let folder = ConfigFolder::new("good");
    let config = folder.config("");
    let output = run_menshen(&["check", "-c", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).ends_with("menshen.toml: fine\n"));
    assert!(
        !folder.0.join("menshen.db").exists(),
        "check creates no store"
    );
}

#[test]
fn an_invalid_configuration_is_exit_code_1_with_line_and_column() {
    let folder = ConfigFolder::new("refused");
    let config = folder.config("lisen = 7");
    for command in ["check", "run"] {
        let output = run_menshen(&[command, "-c", config.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            text(&output.stderr).contains("menshen.toml:8:1"),
            "{output:?}"
        );
        assert!(
            text(&output.stderr).contains("did you mean `listen`?"),
            "{output:?}"
        );
    }
    let absent = folder.0.join("absent.toml");
    let output = run_menshen(&["check", "-c", absent.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn an_unknown_command_is_exit_code_2() {
    assert_eq!(run_menshen(&["serve"]).status.code(), Some(2));
    assert_eq!(run_menshen(&["check", "--offline"]).status.code(), Some(2));
}

#[test]
fn an_address_in_use_is_exit_code_3() {
    let folder = ConfigFolder::new("taken");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = folder.config(&format!("listen = ['{}']", taken.local_addr().unwrap()));
    let output = run_menshen(&["-c", config.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(
        text(&output.stderr).contains("another program listens there"),
        "{output:?}"
    );
}

#[test]
fn every_generated_key_is_different() {
    let (a, b) = (
        run_menshen(&["keygen"]).stdout,
        run_menshen(&["keygen"]).stdout,
    );
    assert_eq!(a.len(), 45, "32 bytes as base64, and a line end");
    assert_ne!(a, b);
}

#[test]
fn the_schema_is_json_and_the_completions_contain_the_commands() {
    let schema: serde_json::Value =
        serde_json::from_slice(&run_menshen(&["schema"]).stdout).unwrap();
    assert!(schema["properties"]["server"].is_object());
    let completions = run_menshen(&["completions", "bash"]).stdout;
    assert!(text(&completions).contains("keygen"));
}
