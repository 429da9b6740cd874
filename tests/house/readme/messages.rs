//! docs/check.md lists every warning of `menshen check`, and everything that `--online` may find.
//! `MENSHEN_BLESS=1 cargo test --test house -- check_page` writes the lists.

use std::fmt::Write as _;

use crate::conf::project_file;

/// The fewest letters of a message. What has fewer is a part of one.
const LETTERS_MIN: usize = 15;

/// A page, with the headings of its two lists; each list goes on to the next heading of that level.
struct ListPage {
    name: &'static str,
    warnings: &'static str,
    findings: &'static str,
    is_chinese: bool,
}

const PAGES: [ListPage; 2] = [
    ListPage {
        name: "docs/check.md",
        warnings: "## All warnings\n\n`…` stands for a name, a number or a list.\n\n",
        findings: "## All findings of `--online`\n\nEach line of the output begins with `ok` or `!!`.\n\n",
        is_chinese: false,
    },
    ListPage {
        name: "docs/zh/check.md",
        warnings: "## 全部警告\n\n`…` 代表名字、数字或列表。\n\n",
        findings: "## `--online` 的全部结果\n\n输出的每一行以 `ok` 或 `!!` 开头。\n\n",
        is_chinese: true,
    },
];

/// The kinds of connectors, and the files that say what `--online` found.
const KINDS: [(&str, &[&str]); 12] = [
    ("cas", &["cas/examine.rs"]),
    ("custom", &["custom/examine.rs"]),
    ("dingtalk", &["dingtalk/examine.rs"]),
    ("jwt", &["jwt.rs", "jwt/verifier.rs"]),
    ("lark", &["lark/examine.rs"]),
    ("ldap", &["ldap/examine.rs"]),
    ("local", &["local.rs", "local/stored.rs"]),
    ("oauth2", &["oauth2/examine.rs"]),
    ("oidc", &["oidc/examine.rs"]),
    ("saml", &["saml/examine.rs"]),
    ("wecom", &["wecom/examine.rs"]),
    ("yunzhijia", &["yunzhijia/examine.rs"]),
];

/// A message in English and Chinese.
type Message = (String, String);

/// What stands before a finding in a file that has other messages, too.
const FINDING: [&str; 3] = ["Finding::good(", "Finding::bad(", "let text ="];

/// The messages that a source file writes with `text!` and `Text::fixed`, without those of its tests. Of a file
/// that has other messages, too, only the findings.
fn messages(source: &str, is_finding_file: bool) -> Vec<Message> {
    let source = source.split("#[cfg(test)]").next().unwrap_or(source);
    let mut found = Vec::new();
    for call in ["text!(", "Text::fixed("] {
        for (at, _) in source.match_indices(call) {
            let rest = &source[at + call.len()..];
            let Some((english, rest)) = literal(rest) else {
                continue;
            };
            let Some((chinese, _)) = rest.trim_start().strip_prefix(',').and_then(literal) else {
                continue;
            };
            let before = source[..at].trim_end();
            if is_finding_file || FINDING.iter().any(|start| before.ends_with(start)) {
                found.push((at, (shown(&english), shown(&chinese))));
            }
        }
    }
    found.sort_by_key(|(at, _)| *at);
    let found = found.into_iter().map(|(_, message)| message);
    found.filter(|(english, _)| is_whole(english)).collect()
}

/// Whether a message is none that others contain.
fn is_whole(english: &str) -> bool {
    let letters = english.chars().filter(|c| c.is_alphabetic()).count();
    letters >= LETTERS_MIN && !english.starts_with([';', ','])
}

/// The string literal with which the text begins, and what follows.
fn literal(text: &str) -> Option<(String, &str)> {
    let inside = text.trim_start().strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = inside.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &inside[at + 1..])),
            '\\' => match characters.next()?.1 {
                '\n' => while characters.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    None
}

/// A format string as it is printed, with `…` for every argument.
fn shown(format: &str) -> String {
    let mut shown = String::new();
    let mut characters = format.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '{' if characters.next_if_eq(&'{').is_some() => shown.push('{'),
            '}' if characters.next_if_eq(&'}').is_some() => shown.push('}'),
            '{' => {
                characters.by_ref().take_while(|c| *c != '}').for_each(drop);
                shown.push('…');
            }
            c => shown.push(c),
        }
    }
    shown
}

fn list(messages: &[Message], is_chinese: bool) -> String {
    let mut list = String::new();
    for (english, chinese) in messages {
        let message = if is_chinese { chinese } else { english };
        let line = format!("- {}\n", message.trim());
        if !list.contains(&line) {
            list += &line;
        }
    }
    list
}

fn read(path: &str) -> String {
    let path = project_file(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn warnings() -> Vec<Message> {
    let folder = std::fs::read_dir(project_file("src/config/warn")).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let sources = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap());
    sources.flat_map(|source| messages(&source, true)).collect()
}

fn findings(is_chinese: bool) -> String {
    let mut lists = String::new();
    for (kind, files) in KINDS {
        let found: Vec<_> = files
            .iter()
            .flat_map(|file| {
                let source = read(&format!("src/login/connector/{file}"));
                messages(&source, file.ends_with("examine.rs"))
            })
            .collect();
        assert!(!found.is_empty(), "{kind}");
        writeln!(lists, "### `{kind}`\n\n{}", list(&found, is_chinese)).unwrap();
    }
    lists
}

#[test]
fn the_check_page_lists_every_warning_and_every_finding() {
    let warnings = warnings();
    assert!(warnings.len() >= 60, "{}", warnings.len());
    for page in PAGES {
        let text = read(page.name);
        let lists = format!(
            "{}{}\n{}{}",
            page.warnings,
            list(&warnings, page.is_chinese),
            page.findings,
            findings(page.is_chinese).trim_end()
        );
        let heading = page.warnings.lines().next().unwrap();
        let before = text.split(heading).next().unwrap().trim_end();
        let expected = format!("{before}\n\n{}\n", lists.trim_end());
        if std::env::var_os("MENSHEN_BLESS").is_some() {
            std::fs::write(project_file(page.name), &expected).unwrap();
        }
        assert_eq!(
            read(page.name),
            expected,
            "{} is stale: run the test with MENSHEN_BLESS=1",
            page.name
        );
    }
}

#[test]
fn every_connector_kind_has_a_list() {
    let folder = std::fs::read_dir(project_file("conf")).unwrap();
    let names = folder.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    for name in names.filter_map(|name| Some(name.strip_suffix(".toml")?.to_owned())) {
        let path = project_file("src/login/connector").join(format!("{name}.rs"));
        let has_list = KINDS.iter().any(|(kind, _)| *kind == name);
        assert!(!path.exists() || has_list, "{name}");
    }
}
