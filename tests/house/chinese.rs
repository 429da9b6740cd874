//! What those who run menshen read is Chinese in Chinese: every message has Chinese characters, and English only
//! where it quotes a value, a key, or a program that knows no Chinese.

mod builds;

use std::process::Output;

use menshen::config::{Config, ConfigError, Warning};
use menshen::wording::{Language, Text};
use regex::Regex;

use crate::command::text;
use crate::conf::full::text_with_all_keys;

/// As many English words beside each other are a sentence.
const SENTENCE_WORDS: usize = 3;

/// What quotes: backticks, quotation marks, and an error of the operating system with its number.
const QUOTES: &str = r#"`[^`]*`|"[^"]*"|'[^']*'|“[^”]*”|[A-Z][a-z]*(?: [a-z]+)* \(os error \d+\)"#;

/// The words of a line beside each other that are English outside of quotes, if they are a sentence.
pub(crate) fn english_in(message: &str) -> Option<String> {
    let quotes = Regex::new(QUOTES).unwrap();
    let plain = quotes.replace_all(message, "\u{2026}").replace('、', ", ");
    let word = Regex::new("^[A-Za-z]?[a-z]+$").unwrap();
    let mut run: Vec<&str> = Vec::new();
    for token in plain.split(|c: char| c == ' ' || !c.is_ascii()) {
        let bare = token.trim_matches(|c: char| ",;:.!?()".contains(c));
        match word.is_match(bare) {
            true => run.push(bare),
            false => run.clear(),
        }
        if run.len() >= SENTENCE_WORDS {
            return Some(run.join(" "));
        }
        // A word with a sign behind it ends a part of a sentence, but not in a list of names.
        if token.ends_with(',') {
            run.clear();
        }
    }
    None
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}')
}

/// Asserts that a message has Chinese characters and no English sentence.
pub(crate) fn assert_chinese(message: &str) {
    assert!(message.chars().any(is_chinese), "no Chinese in: {message}");
    let english = english_in(message);
    assert_eq!(english, None, "English in: {message}");
}

pub(crate) fn assert_text_is_chinese(text: &Text) {
    assert_chinese(text.in_language(Language::Chinese));
}

/// Asserts it of every problem, and of what helps.
pub(crate) fn assert_problems_are_chinese(error: &ConfigError) {
    for problem in &error.problems {
        assert_text_is_chinese(&problem.message);
        if let Some(help) = &problem.help {
            assert_text_is_chinese(help);
        }
    }
}

/// Asserts it of every warning.
pub(crate) fn assert_warnings_are_chinese(warnings: &[Warning]) {
    for warning in warnings {
        assert_text_is_chinese(&warning.text);
    }
}

/// Asserts it of everything that `menshen check --lang zh` printed.
pub(crate) fn assert_output_is_chinese(output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let lines = text(stream).lines().filter(|line| is_message(line));
        lines.for_each(assert_chinese);
    }
}

/// Whether a line says something, and is not a line of the configuration with its carets, or a heading.
fn is_message(line: &str) -> bool {
    let is_quoted_line = {
        let start = line
            .trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit());
        let start = start.trim_start();
        start.starts_with('|') || start.starts_with("-->")
    };
    !line.trim().is_empty() && !is_quoted_line
}

#[test]
fn an_english_sentence_is_found_wherever_it_is_not_quoted() {
    for (message, english) in [
        ("无法读取 the secret file：/s", Some("the secret file")),
        (
            "错误: something went wrong here",
            Some("something went wrong"),
        ),
        ("无法打开（the disk is full）", Some("the disk is")),
        ("无法打开：`the disk is full`", None),
        ("无法打开：Permission denied (os error 13)", None),
        ("无法打开：No such file or directory (os error 2)", None),
        ("这里可以写：listen, external_url, prefix", None),
        ("应为 \"a name in quotes\"", None),
        ("没有名为 `lisen` 的键", None),
    ] {
        assert_eq!(english_in(message).as_deref(), english, "{message}");
    }
}

#[test]
fn the_example_with_every_key_has_only_chinese_warnings() {
    let text = text_with_all_keys();
    let config = Config::parse(&text, "menshen.toml").unwrap_or_else(|error| panic!("{error}"));
    let warnings = config.warnings();
    assert!(!warnings.is_empty());
    assert_warnings_are_chinese(&warnings);
}
