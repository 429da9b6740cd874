//! Every `menshen` command on a page exists, with its options.

use std::collections::BTreeMap;
use std::process::Command;

use super::pages::{self, Page};

#[test]
fn every_command_on_a_page_exists() {
    let mut commands = BTreeMap::new();
    for page in pages::all() {
        for command in menshen_commands(&page) {
            commands.entry(command).or_insert_with(|| page.name.clone());
        }
    }
    for (arguments, page) in &commands {
        let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
            .args(arguments)
            .arg("--help")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "`menshen {}` in {page}: {output:?}",
            arguments.join(" ")
        );
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(!help.contains('\\'), "{help}");
    }
    assert!(commands.len() > 60, "{} commands", commands.len());
}

#[test]
fn the_page_of_the_command_line_has_every_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names = commands.lines().filter_map(|line| {
        let line = line.strip_prefix("  ")?;
        (!line.starts_with(' ')).then(|| line.split(' ').next().unwrap())
    });
    let names: Vec<_> = names.filter(|name| *name != "help").collect();
    assert!(names.len() > 10, "{help}");
    for page in ["docs/command-line.md", "docs/zh/command-line.md"].map(Page::read) {
        for name in &names {
            let row = format!("| `menshen {name}` |");
            assert!(page.text().contains(&row), "no row {row} in {}", page.name);
        }
    }
}

/// The arguments of all `menshen` commands, in blocks of shell and in inline code.
fn menshen_commands(page: &Page) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in shell_lines(page).into_iter().chain(page.inline_code()) {
        let words = words(&line);
        for command in words.split(|word| ["|", "&&", ";", ">", "<"].contains(&word.as_str())) {
            let start = command.iter().rposition(|word| word == "--");
            let command = start.map_or(command, |dashes| &command[dashes + 1..]);
            let is_variable = |word: &&String| word.contains('=') && !word.starts_with('-');
            let variables = command.iter().take_while(is_variable).count();
            let command = &command[variables..];
            let Some((program, arguments)) = command.split_first() else {
                continue;
            };
            if ["menshen", "./menshen"].contains(&program.as_str()) && !arguments.is_empty() {
                commands.push(arguments.to_vec());
            }
        }
    }
    commands
}

/// The lines of the blocks of shell, without comments.
fn shell_lines(page: &Page) -> Vec<String> {
    let mut lines = Vec::new();
    for block in page.blocks() {
        if ["sh", "bash", "console"].contains(&block.language.as_str()) {
            let text = block.text.replace("\\\n", " ");
            lines.extend(text.lines().map(|line| {
                let line = line.split(" #").next().unwrap_or(line);
                line.trim_start_matches("$ ").to_owned()
            }));
        }
    }
    lines
}

/// The words of a command, without quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for char in line.chars() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (None, '\'' | '"') => quote = Some(char),
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().unwrap().push(char),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn commands_are_found_behind_others() {
    let found = words("runuser -u menshen -- menshen explain 'a b' | less");
    assert_eq!(
        found,
        [
            "runuser", "-u", "menshen", "--", "menshen", "explain", "a b", "|", "less"
        ]
    );
}
