//! The example of docs/pages.md is what both languages show, and it works.

use menshen::config::Config;

use super::SVG;
use crate::conf::project_file;
use crate::upstream::TempFolder;

/// The only TOML block of a page.
fn example(page: &str) -> String {
    let text = std::fs::read_to_string(project_file(page)).unwrap();
    let mut blocks = text.split("```toml\n").skip(1);
    let block = blocks.next().and_then(|rest| rest.split("```").next());
    assert!(blocks.next().is_none(), "{page} has one example");
    block.unwrap().to_owned()
}

#[test]
fn the_documented_example_passes_the_check() {
    let (english, chinese) = (example("docs/pages.md"), example("docs/zh/pages.md"));
    assert_eq!(english, chinese);
    let folder = TempFolder::new();
    let logo = folder.write("logo.svg", SVG);
    let text = english.replace("/etc/menshen/logo.svg", logo.to_str().unwrap());
    let text = text.replace("{ file = \"/etc/menshen/wecom.secret\" }", "\"simulated\"");
    let text = format!("[server]\nexternal_url = \"https://sso.corp.example\"\n{text}");
    let config = Config::parse(&text, "menshen.toml").unwrap_or_else(|error| panic!("{error}"));
    assert!(config.check_files().is_ok());
}
