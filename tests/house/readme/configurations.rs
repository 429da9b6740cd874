//! Every configuration on a page is valid: every block of the language `toml`. A block with a remark behind the language
//! (`toml people`) is another file. A configuration with `server.external_url` is whole; any other is a part of the
//! first whole one of [`WHOLE`].

use std::process::Command;

use menshen::config::Config;
use toml::{Table, Value};

use super::pages::{self, Page};
use crate::upstream::TempFolder;

/// The page with the configuration that the parts on all pages complete.
const WHOLE: &str = "docs/wecom.md";

#[test]
fn every_configuration_on_a_page_is_valid() {
    let mut count = 0;
    for page in pages::all() {
        count += configurations(&page).len();
    }
    assert!(count > 100, "{count} configurations");
}

#[test]
fn pages_warn_of_nothing_but_what_they_explain() {
    let pages = [
        ("assertion", 0),
        ("custom", 0),
        ("dingtalk", 0),
        ("jwt", 0),
        ("lark", 1),
        ("ldap", 0),
        ("wecom", 0),
        ("yunzhijia", 1),
    ];
    for (name, expected) in pages {
        let page = Page::read(&format!("docs/{name}.md"));
        let mut warnings = Vec::new();
        for configuration in configurations(&page) {
            warnings.extend(configuration.warnings());
        }
        assert_eq!(warnings.len(), expected, "{name}: {warnings:?}");
    }
    let readme = configurations(&Page::read("README.md")).remove(0);
    assert_eq!(readme.warnings(), []);
}

#[test]
fn the_examples_in_the_page_of_local_accounts_are_valid() {
    let pages = ["docs/local.md", "docs/zh/local.md"].map(Page::read);
    let [people, chinese] = pages.each_ref().map(|page| page.code("toml people"));
    assert_eq!(people, chinese);
    let folder = TempFolder::new();
    let people = folder.write("people.toml", &people[0]);
    let connector = pages[0].code("toml").remove(0);
    let connector = connector.replace("/etc/menshen/people.toml", people.to_str().unwrap());
    let config = folder.write(
        "menshen.toml",
        &format!(
            "[server]\nexternal_url = 'http://localhost'\n[store]\nurl = 'sqlite::memory:'\n[[route]]\n\
             name = 'a'\nupstream = ['http://[::1]']\n{connector}"
        ),
    );
    let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .args(["check", "-c"])
        .arg(&config)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(printed.ends_with(": fine\n"), "{printed}");
}

/// The configurations of a page. A part is valid alone, or after the parts above it.
fn configurations(page: &Page) -> Vec<Config> {
    let mut above = whole();
    let mut configurations = Vec::new();
    for block in page.code("toml") {
        let table = table(page, &block);
        if is_whole(&table) {
            configurations.push(parsed(page, &table));
            continue;
        }
        let mut alone = whole();
        merge(&mut alone, &table);
        merge(&mut above, &table);
        let alone = Config::parse(&alone.to_string(), "menshen.toml");
        configurations.push(alone.unwrap_or_else(|_| parsed(page, &above)));
    }
    configurations
}

fn parsed(page: &Page, table: &Table) -> Config {
    let text = table.to_string();
    Config::parse(&text, "menshen.toml")
        .unwrap_or_else(|error| panic!("{}: {error}\n{text}", page.name))
}

fn whole() -> Table {
    let page = Page::read(WHOLE);
    let tables = page.code("toml").into_iter();
    let mut tables = tables.map(|block| table(&page, &block));
    tables.find(is_whole).unwrap()
}

fn is_whole(table: &Table) -> bool {
    let server = table.get("server").and_then(Value::as_table);
    server.is_some_and(|server| server.contains_key("external_url"))
}

pub(super) fn table(page: &Page, block: &str) -> Table {
    let table = block.parse::<Table>();
    table.unwrap_or_else(|error| panic!("{}: {error}\n{block}", page.name))
}

/// Merges a part into a whole configuration. Its routes replace those for the same addresses.
fn merge(whole: &mut Table, part: &Table) {
    for (key, value) in part {
        match (whole.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) if key == "route" => {
                old.retain(|route| !new.iter().any(|other| conflict(route, other)));
                old.extend(new.iter().cloned());
            }
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
}

fn conflict(route: &Value, other: &Value) -> bool {
    let address = |route: &Value| [route.get("host").cloned(), route.get("path").cloned()];
    route.get("name") == other.get("name") || address(route) == address(other)
}
