//! Files with relative paths are looked for in the folder in which menshen was started, and messages name the
//! whole path, because nobody sees that folder in a log.

use std::path::Path;
use std::process::{Command, Output};

use crate::command::text;
use crate::upstream::TempFolder;

/// Runs `menshen COMMAND` in `folder`, with a configuration that lies elsewhere.
fn run_in(folder: &Path, command: &str, configuration: &Path) -> Output {
    let mut menshen = Command::new(env!("CARGO_BIN_EXE_menshen"));
    menshen
        .env_remove("MENSHEN_CONFIG")
        .env_remove("MENSHEN_LOG")
        .env("LC_ALL", "C")
        .args([command, "-c"])
        .arg(configuration)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// A configuration with these lines of `[server]`, of a connector, and further tables.
fn document(server: &str, connector: &str, tables: &str) -> String {
    format!(
        "[server]\nexternal_url = 'http://127.0.0.1:8080'\nlisten = ['127.0.0.1:0']\n{server}\n{tables}\n\
         [connector.house]\n{connector}\n"
    )
}

const MEMORY: &str = "[store]\nurl = 'sqlite::memory:'\n";

#[test]
fn messages_about_a_file_with_a_relative_path_name_the_whole_path() {
    let started_in = TempFolder::new();
    let elsewhere = TempFolder::new();
    let local = "[connector.house.local]\npeople = 'FILE'";
    let wecom = "[connector.house.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\n";
    let sound = format!("{wecom}secret = {{ env = 'HOME' }}");
    let with_ca = format!("ca = 'FILE'\n{sound}");
    let with_secret = format!("{wecom}secret = {{ file = 'FILE' }}");
    let tls = "[server.tls]\ncertificate = 'FILE'\nkey = 'FILE'";
    let logo = format!("{MEMORY}[pages]\nlogo = 'FILE'");
    for (what, document) in [
        ("people", document("", local, MEMORY)),
        ("secret", document("", &with_secret, MEMORY)),
        ("ca", document("", &with_ca, MEMORY)),
        ("logo", document("", &sound, &logo)),
        ("certificate", document(tls, &sound, MEMORY)),
        (
            "store",
            document("", &sound, "[store]\nurl = 'sqlite://FILE'\n"),
        ),
    ] {
        let document = document.replace("FILE", "missing/here");
        let configuration = elsewhere.write("menshen.toml", &document);
        // `check` does not open the store.
        for command in ["check", "run"]
            .into_iter()
            .skip(usize::from(what == "store"))
        {
            let output = run_in(&started_in.path(""), command, &configuration);
            let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
            assert_eq!(output.status.code(), Some(1), "{what} {command}: {printed}");
            let whole = started_in.path("missing/here");
            let whole = whole.to_str().unwrap();
            assert!(printed.contains(whole), "{what} {command}: {printed}");
        }
    }
}
