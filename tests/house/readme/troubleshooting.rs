//! The table of docs/troubleshooting.md quotes what pages and logs really say.

use std::path::Path;

use crate::conf::project_file;

/// The page of one language, and the words before a quoted line of the log.
const PAGES: [(&str, &[&str]); 2] = [
    (
        "docs/troubleshooting.md",
        &["log", "log:", "Log:", "Start:"],
    ),
    (
        "docs/zh/troubleshooting.md",
        &[
            "日志",
            "日志里",
            "日志里有",
            "日志有",
            "日志反复出现",
            "启动报",
        ],
    ),
];

/// What differs in a message: words of other programs, calls and addresses.
const DIFFERING: [&str; 6] = [
    "gettoken",
    "postgres://",
    "not allow to access from your ip",
    "Connection refused",
    "Permission denied",
    "unable to open database file",
];

fn read(file: &str) -> String {
    std::fs::read_to_string(project_file(file)).unwrap()
}

/// All source files in one text, in which each literal is on one line and each argument is `{}`.
fn literals() -> String {
    let mut text = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("rs") => text += &std::fs::read_to_string(path).unwrap(),
                _ => {}
            }
        }
    }
    let mut joined = String::new();
    for line in text.lines() {
        let is_continued = joined.ends_with('\\');
        match is_continued {
            true => joined.truncate(joined.len() - 1),
            false => joined.push('\n'),
        }
        joined += if is_continued {
            line.trim_start()
        } else {
            line
        };
    }
    joined.replace("\\\"", "\"")
}

/// The parts of a quoted message between what differs: numbers, `…` and the words of other programs.
fn constant_parts(quoted: &str) -> Vec<String> {
    let mut quoted = quoted.to_owned();
    for words in DIFFERING {
        quoted = quoted.replace(words, "…");
    }
    let parts = quoted.split(|c: char| c == '…' || c.is_ascii_digit());
    parts
        .map(|part| part.trim_matches([' ', ':']).to_owned())
        .filter(|part| part.chars().count() > 3)
        .collect()
}

/// The texts between two marks.
fn quoted(cell: &str, open: char, close: char) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = cell;
    while let Some(start) = rest.find(open) {
        let (before, from) = rest.split_at(start);
        let from = &from[open.len_utf8()..];
        let Some(end) = from.find(close) else { break };
        found.push((before, &from[..end]));
        rest = &from[end + close.len_utf8()..];
    }
    found
}

/// The first two cells of each row: what people see, and why.
fn rows(page: &str) -> Vec<[String; 2]> {
    let text = read(page);
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let rows = lines.filter_map(|line| {
        let mut cells = line.trim_matches('|').split(" | ").map(str::to_owned);
        Some([cells.next()?, cells.next()?])
    });
    rows.collect()
}

/// The titles in a cell of the English page, `“English” (Chinese)`, with their translations.
fn english_titles(cell: &str) -> Vec<(&str, Option<&str>)> {
    let mut titles = Vec::new();
    for part in cell.split('“').skip(1) {
        let Some((title, rest)) = part.split_once('”') else {
            continue;
        };
        let translation = rest
            .strip_prefix(" (")
            .and_then(|rest| rest.split_once(')'));
        titles.push((title, translation.map(|(translation, _)| translation)));
    }
    titles
}

/// The titles in a cell of the Chinese page, `Chinese（English）`, as English with the translation.
fn chinese_titles(cell: &str) -> Vec<(&str, Option<&str>)> {
    let mut titles = Vec::new();
    let mut parts = cell.split(['（', '）']);
    while let (Some(before), Some(inside)) = (parts.next(), parts.next()) {
        if inside.starts_with(|c: char| c.is_ascii_uppercase()) {
            let title = before.rsplit(['“', '，', '；']).next();
            titles.push((inside, title.map(|title| title.trim_matches(['”', ' ']))));
        }
    }
    titles
}

#[test]
fn the_troubleshooting_table_quotes_real_titles() {
    let [english, chinese] =
        ["en", "zh"].map(|lang| read(&format!("src/face/page/texts/{lang}.rs")));
    let is_said = |texts: &str, title: &str| {
        let mut parts = title
            .split('…')
            .map(|part| part.trim_matches([' ', '？', '?']));
        parts.all(|part| texts.contains(part))
    };
    for (page, _) in PAGES {
        let mut count = 0;
        for [seen, _] in rows(page) {
            let titles = match page.starts_with("docs/zh/") {
                true => chinese_titles(&seen),
                false => english_titles(&seen),
            };
            for (title, translation) in titles {
                assert!(is_said(&english, title), "{page}: no page says “{title}”");
                let is_translated = translation.is_none_or(|text| is_said(&chinese, text));
                assert!(is_translated, "{page}: no page says “{translation:?}”");
                count += 1;
            }
        }
        assert!(count >= 20, "{page} has only {count} titles");
    }
}

#[test]
fn the_troubleshooting_table_quotes_real_log_lines() {
    let literals = literals();
    for (page, introductions) in PAGES {
        let mut lines = 0;
        for (before, line) in rows(page)
            .iter()
            .flatten()
            .flat_map(|cell| quoted(cell, '`', '`'))
        {
            let before = before.trim_end();
            let is_introduced = introductions.iter().any(|words| before.ends_with(words));
            // A quotation mark begins a member of a line of JSON.
            if !is_introduced || line.starts_with('"') {
                continue;
            }
            for part in constant_parts(line) {
                assert!(
                    literals.contains(&part),
                    "{page}: nothing logs `{part}` of `{line}`"
                );
            }
            lines += 1;
        }
        assert!(lines >= 10, "{page} has only {lines} lines of the log");
    }
}
