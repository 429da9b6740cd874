//! What stands in conf/ is what `menshen check` says is fine, once the files and variables it names
//! are there.

use std::process::Command;

use super::{file, parse};
use crate::tls;
use crate::upstream::Folder;

#[test]
fn check_accepts_every_configuration_in_conf() {
    for entry in std::fs::read_dir(file("conf")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "toml") {
            is_fine(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Moves what belongs in /etc into a folder, and asks the program.
fn is_fine(text: &str) {
    let folder = Folder::new();
    let text = text.replace("/etc/menshen/", folder.path("").to_str().unwrap());
    for path in parse(&text).files() {
        std::fs::write(path, "a secret that is long enough for everything").unwrap();
    }
    tls::pair(&folder, "tls", &["oa.corp.example"]);
    let config = folder.write("menshen.toml", &text);
    let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .args(["check", "-c"])
        .arg(&config)
        .envs(variables(&text))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}\n{text}");
    assert!(said.ends_with(": fine\n"), "{said}\n{text}");
}

/// The variables that secrets are read from, with something in them.
fn variables(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let names = text.split("{ env = \"").skip(1);
    names.map(|rest| (rest.split('"').next().unwrap(), "a secret"))
}
