//! Configurations, commands, pages and links in the READMEs are valid.

use std::process::Command;

use menshen::face::page::{Cause, Lang};
use toml::{Table, Value};

use crate::conf::{parse, project_file};
use crate::upstream::TempFolder;

const ENGLISH: &str = "README.md";
const CHINESE: &str = "README.zh-CN.md";

#[test]
fn every_configuration_in_a_readme_is_valid() {
    for name in [ENGLISH, CHINESE] {
        let tables = tables(name);
        let (complete, parts): (Vec<_>, Vec<_>) = tables
            .iter()
            .partition(|table| table.contains_key("server"));
        assert!(
            complete.len() >= 2 && parts.len() >= 3,
            "{name} has too few TOML blocks"
        );
        for table in &complete {
            parse(&table.to_string());
        }
        for part in &parts {
            let mut merged = complete[0].clone();
            merge(&mut merged, part);
            parse(&merged.to_string());
        }
    }
}

#[test]
fn the_configuration_in_the_page_of_the_assertion_is_valid() {
    let pages = ["docs/assertion.md", "docs/zh/assertion.md"].map(tables);
    assert_eq!(pages[0], pages[1]);
    for part in &pages[0] {
        let mut merged = tables(ENGLISH)[0].clone();
        merged.remove("route");
        merge(&mut merged, part);
        assert_eq!(parse(&merged.to_string()).warnings(), []);
    }
    assert_eq!(pages[0].len(), 1);
}

#[test]
fn the_examples_in_the_page_of_local_accounts_are_valid() {
    let [english, chinese] = ["docs/local.md", "docs/zh/local.md"].map(|page| blocks(page, "toml"));
    assert_eq!(english, chinese);
    let folder = TempFolder::new();
    let people = folder.write("people.toml", &english[0]);
    let connector = english[1].replace("/etc/menshen/people.toml", people.to_str().unwrap());
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

#[test]
fn the_configuration_in_the_guide_to_portals_is_valid() {
    let pages = ["docs/jwt.md", "docs/zh/jwt.md"].map(tables);
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0].len(), 3);
    let mut merged = tables(ENGLISH)[0].clone();
    for part in &pages[0] {
        merge(&mut merged, part);
    }
    assert_eq!(parse(&merged.to_string()).warnings(), []);
}

#[test]
fn the_configurations_in_the_page_of_ldap_are_valid() {
    let pages = ["docs/ldap.md", "docs/zh/ldap.md"].map(tables);
    assert_eq!(pages[0], pages[1]);
    for part in &pages[0] {
        let mut merged = tables(ENGLISH)[0].clone();
        merge(&mut merged, part);
        assert_eq!(parse(&merged.to_string()).warnings(), []);
    }
    assert_eq!(pages[0].len(), 3);
}

#[test]
fn the_configurations_in_the_guide_to_dingtalk_are_valid() {
    let pages = ["docs/dingtalk.md", "docs/zh/dingtalk.md"].map(tables);
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0].len(), 3);
    let mut merged = tables(ENGLISH)[0].clone();
    for part in &pages[0] {
        merge(&mut merged, part);
    }
    assert_eq!(parse(&merged.to_string()).warnings(), []);
}

#[test]
fn the_configurations_in_the_guides_to_yunzhijia_and_to_steps_are_valid() {
    for (guide, warnings) in [("yunzhijia.md", 1), ("custom.md", 0)] {
        let pages = [format!("docs/{guide}"), format!("docs/zh/{guide}")];
        let pages = pages.each_ref().map(|page| tables(page));
        assert_eq!(pages[0], pages[1], "{guide}");
        assert_eq!(pages[0].len(), 1, "{guide}");
        let mut merged = tables(ENGLISH)[0].clone();
        merge(&mut merged, &pages[0][0]);
        assert_eq!(
            parse(&merged.to_string()).warnings().len(),
            warnings,
            "{guide}"
        );
    }
}

#[test]
fn the_main_configuration_of_a_readme_has_no_warnings() {
    for name in [ENGLISH, CHINESE] {
        assert_eq!(parse(&tables(name)[0].to_string()).warnings(), [], "{name}");
    }
}

#[test]
fn both_readmes_show_the_same_code() {
    assert_eq!(tables(ENGLISH), tables(CHINESE));
    for language in ["text", "json", "nginx", "java", "php", "python"] {
        let (english, chinese) = (blocks(ENGLISH, language), blocks(CHINESE, language));
        assert!(!english.is_empty(), "no {language}");
        assert_eq!(english, chinese, "{language}");
    }
    assert_eq!(shell(ENGLISH), shell(CHINESE));
}

#[test]
fn every_command_in_a_readme_exists() {
    for name in [ENGLISH, CHINESE] {
        let commands = commands(name);
        for expected in ["check --online", "keygen", "schema", "--version"] {
            assert!(
                commands.iter().any(|command| command == expected),
                "{expected} in {name}"
            );
        }
        for command in commands {
            let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
                .args(command.split(' ').filter(|word| !word.is_empty()))
                .arg("--help")
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "`menshen {command}` in {name}: {output:?}"
            );
        }
    }
}

#[test]
fn every_page_a_readme_names_exists() {
    // An error of the browser, and a notice on the sign-in page.
    let other_quotes = ["too many redirects", "The automatic sign-in did not finish"];
    let english = text(ENGLISH);
    for quoted in english.split('\u{201c}').skip(1) {
        let (quoted, _) = quoted.split_once('\u{201d}').unwrap();
        let cause = Cause::ALL
            .into_iter()
            .find(|cause| cause.title(Lang::En) == quoted);
        let Some(cause) = cause else {
            assert!(other_quotes.contains(&quoted), "no page says {quoted}");
            continue;
        };
        for name in [ENGLISH, CHINESE] {
            assert!(
                text(name).contains(cause.title(Lang::Zh)),
                "{quoted} in {name}"
            );
        }
    }
}

#[test]
fn every_file_that_a_readme_links_exists() {
    for name in [ENGLISH, CHINESE] {
        let text = text(name);
        let links = text.split("](").skip(1).filter_map(|rest| {
            let (to, _) = rest.split_once(')')?;
            (!to.starts_with('#')).then_some(to)
        });
        let named = [
            "conf/full.toml",
            "conf/github.toml",
            "conf/keycloak.toml",
            "conf/minimal.toml",
            "conf/menshen.service",
        ];
        for path in links.chain(named) {
            assert!(
                text.contains(path) && project_file(path).exists(),
                "{path} in {name}"
            );
        }
    }
}

/// The TOML blocks of a README, in order.
fn tables(name: &str) -> Vec<Table> {
    let blocks = blocks(name, "toml");
    let tables = blocks.iter().map(|block| {
        let table = block.parse::<Table>();
        table.unwrap_or_else(|error| panic!("{name}: {error}\n{block}"))
    });
    tables.collect()
}

/// The shell commands, without comments, which are translated.
fn shell(name: &str) -> Vec<String> {
    let blocks = blocks(name, "sh");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines
        .map(|line| line.split(" #").next().unwrap_or(line).trim().to_owned())
        .collect()
}

/// The arguments of all `menshen` commands, in blocks and inline code.
fn commands(name: &str) -> Vec<String> {
    let text = text(name);
    // Code blocks are between backticks, too; their lines come from `shell`.
    let spans = text.split('`').skip(1).step_by(2);
    let spans = spans.filter(|span| !span.contains('\n')).map(str::to_owned);
    let lines = shell(name).into_iter().chain(spans);
    lines
        .filter_map(|line| {
            let line = line.rsplit(" -- ").next().unwrap_or(&line);
            let line = line.strip_prefix("./").unwrap_or(line);
            let arguments = line.strip_prefix("menshen ")?;
            let arguments = arguments.split(['>', '|']).next()?;
            Some(arguments.trim().to_owned())
        })
        .collect()
}

/// The blocks of one language.
fn blocks(name: &str, language: &str) -> Vec<String> {
    let text = text(name);
    let opening = format!("\n```{language}\n");
    let blocks = text.split(&opening).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap_or(rest).to_owned())
        .collect()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(project_file(name)).unwrap()
}

/// Merges a part into a complete configuration.
fn merge(whole: &mut Table, part: &Table) {
    for (key, value) in part {
        match (whole.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) if key == "route" => {
                old.extend(new.iter().cloned());
            }
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
}
