//! `menshen check` accepts the files in conf/ if the files and variables that they name exist.

use std::process::Command;

use super::{parse, project_file};
use crate::saml::keys::own;
use crate::tls;
use crate::upstream::TempFolder;

/// A file of people.
const PEOPLE: &str = "[zhangsan]
password = '$2b$12$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q'
";

#[test]
fn check_accepts_every_example_in_conf() {
    for entry in std::fs::read_dir(project_file("conf")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "toml") {
            assert_accepted(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Asserts that `menshen check` accepts a configuration whose files are in another folder than /etc/menshen.
fn assert_accepted(text: &str) {
    let folder = TempFolder::new();
    let text = text.replace("/etc/menshen/", folder.path("").to_str().unwrap());
    for path in parse(&text).files() {
        let name = path.file_name().and_then(|name| name.to_str());
        let content = match name.unwrap_or_default() {
            "people.toml" => PEOPLE,
            "sp.key" => &own().private_pem,
            "sp.pem" => &own().certificate_pem,
            _ => "a secret that is long enough for everything",
        };
        std::fs::write(path, content).unwrap();
    }
    tls::write_certificate(&folder, "tls", &["oa.corp.example"]);
    let config = folder.write("menshen.toml", &text);
    let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .args(["check", "-c"])
        .arg(&config)
        .envs(variables(&text))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}\n{text}");
    assert!(printed.ends_with(": fine\n"), "{printed}\n{text}");
}

/// Every environment variable that holds a secret, with a value.
fn variables(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let names = text.split("{ env = \"").skip(1);
    names.map(|rest| (rest.split('"').next().unwrap(), "a secret"))
}
