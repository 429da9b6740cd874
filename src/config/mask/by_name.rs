//! Finds the secrets in a line of the configuration by the names of their keys, even if the line is not TOML.

use std::ops::Range;

use crate::config::quotes::end_of_string;
use crate::setting::names_secret;

/// The table whose keys are names that administrators choose: each value is a secret.
const SECRETS_TABLE: &str = "secrets";

/// The separators of a key and its value: `=`, and those that people write instead by mistake.
const SEPARATORS: [char; 4] = ['=', ':', '\u{ff1d}', '\u{ff1a}'];

/// A key of a line, and the byte range of its value.
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: Range<usize>,
}

/// The byte ranges of secrets in the last line of a text, relative to this line.
pub(super) fn secrets_in_last_line(text_up_to_line_end: &str) -> Vec<Range<usize>> {
    let mut lines = text_up_to_line_end.rsplit('\n');
    let line = lines.next().unwrap_or_default();
    let pairs = pairs(line);
    let first_key = pairs.first().map_or(line.len(), |pair| {
        line[..pair.value.start].rfind(pair.key).unwrap_or(0)
    });
    let mut found: Vec<_> = pairs
        .iter()
        .filter(|pair| !is_path_of_tls_key(line, pair, lines.clone()))
        .flat_map(|pair| secrets_of_pair(line, pair))
        .collect();
    // In `secret = { value = "…" }`, which is not valid, the value is a secret as well.
    let inside = pairs
        .windows(2)
        .filter(|two| is_secret_key(two[0].key) && line[two[0].value.clone()].trim() == "{");
    let inside = inside.filter(|two| !matches!(two[1].key, "file" | "env"));
    found.extend(inside.map(|two| two[1].value.clone()));
    // A value of an earlier line may continue up to the first key of this one.
    if !is_header(line) {
        if is_in_secrets_table(lines.clone()) {
            found.push(pairs.first().map_or(0, |pair| pair.value.start)..line.len());
        }
        let begins_with_key = pairs
            .first()
            .is_some_and(|_| line[..first_key].trim().is_empty());
        if !begins_with_key && is_inside_of_secret(lines) {
            found.push(0..first_key);
        }
        let word = first_word(line);
        if pairs.is_empty() && is_secret_key(word) {
            let end = line.find(word).unwrap_or(0) + word.len();
            found.push(end..line.len());
        }
    }
    found.retain(|range| !range.is_empty());
    found
}

/// The keys of a line with the ranges of their values, which end where the next key begins.
pub(super) fn pairs(line: &str) -> Vec<Pair<'_>> {
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    let (mut at, mut depth, mut may_be_key) = (0, 0_usize, true);
    while let Some(c) = line[at..].chars().next() {
        if may_be_key && let Some((key, length)) = key_at(&line[at..]) {
            if let Some(last) = pairs.last_mut() {
                last.value.end = at;
            }
            at += length;
            pairs.push(Pair {
                key,
                value: at..line.len(),
            });
            may_be_key = false;
            continue;
        }
        let mut length = c.len_utf8();
        match c {
            '"' | '\'' => {
                let rest = &line[at + 1..];
                length += end_of_string(rest, &line[at..=at]).unwrap_or(rest.len());
            }
            '{' => (depth, may_be_key) = (depth + 1, true),
            '}' => depth = depth.saturating_sub(1),
            ',' => may_be_key = depth > 0,
            c if c.is_whitespace() => {}
            _ => may_be_key = false,
        }
        at += length;
    }
    pairs
}

/// The key at the start of a text and the length up to its value, if a key and a separator stand there.
fn key_at(text: &str) -> Option<(&str, usize)> {
    let opening = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let inner = &text[opening.map_or(0, char::len_utf8)..];
    let is_key_character = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let length = inner.find(|c| !is_key_character(c)).unwrap_or(inner.len());
    let (key, rest) = inner.split_at(length);
    if key.is_empty() {
        return None;
    }
    let rest = match opening {
        Some(quote) => rest.strip_prefix(quote)?,
        None => rest,
    };
    let after = rest.trim_start().strip_prefix(SEPARATORS)?;
    // A secret in Base64 that ends with padding, such as `c2VjcmV0MQ==`, is not a key.
    let is_padding = rest.starts_with('=')
        && !is_secret_key(key)
        && after
            .trim_matches(|c: char| c.is_whitespace() || "=,]".contains(c))
            .is_empty();
    (!is_padding).then(|| (key, text.len() - after.len()))
}

/// The secrets in a value: all of it, the credentials of a URL, or a parameter of a URL.
fn secrets_of_pair(line: &str, pair: &Pair<'_>) -> Vec<Range<usize>> {
    // `secrets = { name = "…" }` has further keys, whose values are secrets, too.
    if last_step(pair.key) == SECRETS_TABLE {
        let rest = pair.value.start..line.len();
        return Vec::from([rest]);
    }
    if is_secret_key(pair.key) {
        return vec![pair.value.clone()];
    }
    let value = &line[pair.value.clone()];
    let mut found = Vec::new();
    if let Some(at_sign) = value.rfind('@') {
        let slashes = value[..at_sign].find("//");
        // The scheme may be missing or mistyped: what is wrong with it is then the reason of the error.
        let is_address = ["url", "proxy"].iter().any(|end| pair.key.ends_with(end));
        let start = slashes.map_or(0, |slashes| slashes + "//".len());
        if slashes.is_some() || is_address {
            found.push(pair.value.start + start..pair.value.start + at_sign);
        }
    }
    for (at, _) in value.match_indices('=') {
        let before = value[..at].trim_end();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let word = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
        if is_secret_key(word) {
            found.push(pair.value.start + at + 1..pair.value.end);
        }
    }
    found
}

/// Whether this is the `key` of `[server.tls]` or `[[server.tls.more]]`, which names a file.
pub(super) fn is_path_of_tls_key<'a>(
    line: &str,
    pair: &Pair<'_>,
    mut earlier_lines: impl Iterator<Item = &'a str>,
) -> bool {
    let is_around = |c: char| c.is_whitespace() || "\"'\u{201c}\u{201d}".contains(c);
    let value = line[pair.value.clone()].trim_matches(is_around);
    let is_in_path = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if pair.key != "key" || !value.starts_with('/') || !value.chars().all(is_in_path) {
        return false;
    }
    let header = earlier_lines.find(|line| is_header(line));
    let name = header.map(|header| header.trim_start().trim_start_matches('['));
    let name = name.and_then(|name| name.split(']').next());
    matches!(name, Some("server.tls" | "server.tls.more"))
}

/// Whether a line, whose earlier lines these are, continues the value of a key with a secret.
fn is_inside_of_secret<'a>(earlier_lines: impl Iterator<Item = &'a str>) -> bool {
    for line in earlier_lines {
        if let Some(last) = pairs(line).last() {
            return is_secret_key(last.key);
        }
        if is_header(line) {
            return false;
        }
    }
    false
}

/// Whether a line, whose earlier lines these are, is in a table `[connector.ID.custom.secrets]`.
fn is_in_secrets_table<'a>(mut earlier_lines: impl Iterator<Item = &'a str>) -> bool {
    let Some(header) = earlier_lines.find(|line| is_header(line)) else {
        return false;
    };
    let name = header.trim_start().trim_start_matches('[');
    let name = name.split([']', '#']).next().unwrap_or_default();
    last_step(name).trim_matches(|c: char| c.is_whitespace() || "\"'".contains(c)) == SECRETS_TABLE
}

/// Whether a line is the header of a table, and not a list of strings.
pub(super) fn is_header(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('[') && !line.starts_with("[\"")
}

fn is_secret_key(key: &str) -> bool {
    let is_in_secrets_table = key
        .split('.')
        .rev()
        .skip(1)
        .any(|step| step == SECRETS_TABLE);
    is_in_secrets_table || names_secret(last_step(key))
}

/// The part of a dotted key after the last dot.
fn last_step(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

pub(super) fn first_word(line: &str) -> &str {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let line = line.trim_start_matches(|c| !is_word(c));
    let end = line.find(|c| !is_word(c)).unwrap_or(line.len());
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::super::mask;
    use super::*;

    fn masked(text: &str) -> String {
        let line = text.rsplit('\n').next().unwrap();
        mask(line, &secrets_in_last_line(text), None)
    }

    #[test]
    fn the_secret_is_masked_and_the_rest_of_its_line_is_shown() {
        for (text, shown) in [
            ("secret = 'hunter2'", "secret = '*******'"),
            (
                "wecom = { secret = \"hunter2\", corp_id = \"ww1\" }",
                "wecom = { secret = \"*******\", corp_id = \"ww1\" }",
            ),
            ("secret = { file = '/s' }", "secret = { file = '/s' }"),
            ("proxy = 'http://u:p@w@a:1'", "proxy = 'http://*****@a:1'"),
            (
                "url = 'postgres://h/d?password=x'",
                "url = 'postgres://h/d?password=*'",
            ),
            ("keys = [\n 'abc==', 'd'\n", ""),
            ("keys = [\n 'abc==', 'd'", " '**********'"),
            ("keys = ['a',\n]\nname = 'shown'", "name = 'shown'"),
            ("secret ＝ “hunter2”", "secret ＝ *************"),
            ("secret: hunter2", "secret: *******"),
            ("secret hunter2", "secret *******"),
            ("[connector.corp]\nname = 'a'", "name = 'a'"),
            ("\"secret\" \"hunter2\"", "\"secret\" \"*******\""),
            ("Secret = 'hunter2", "Secret = '*******"),
            (
                "secret = { value = 'hunter2' }",
                "secret = { value = '*******' }",
            ),
            ("proxy = 'u:hunter2@a:1'", "proxy = '*********@a:1'"),
            ("url = 'postgres:/u:p@h/d'", "url = '*************@h/d'"),
            ("issuer = '//u:hunter2@h'", "issuer = '//*********@h'"),
            ("name = 'a@b'", "name = 'a@b'"),
            ("encoding_aes_key = 'hunter2", "encoding_aes_key = '*******"),
            ("encrypt_key = 'hunter2", "encrypt_key = '*******"),
            ("keys = [\n hunter2==", " *********"),
            ("keys = [\n aGk=,\n hunter2=,", " ********,"),
            ("keys = 'x'\nlisten = 7", "listen = 7"),
            (
                "[connector.a.custom.secrets]\nother = 'x'\napp_key = 'hunter2",
                "app_key = '*******",
            ),
            (
                "[connector.a.custom.secrets] # of the portal\napp_key = hunter2",
                "app_key = *******",
            ),
            (
                "[connector.a.custom]\nsecrets.app_key = 'hunter2",
                "secrets.app_key = '*******",
            ),
            (
                "secrets = { app_key = 'hunter2', x = }",
                "secrets = { ************************ }",
            ),
            (
                "[connector.a.custom.secrets]\nk = 'x'\n[server]\nlisten = 7",
                "listen = 7",
            ),
        ] {
            assert_eq!(masked(text), shown, "{text}");
        }
    }

    #[test]
    fn the_path_of_a_tls_key_is_shown() {
        for (text, shown) in [
            ("[server.tls]\nkey = \"/a.pem”", "key = \"/a.pem”"),
            ("[[server.tls.more]] # b\nkey = '/a.pem'", "key = '/a.pem'"),
            ("[server.tls]\nkey = 'hunter2'", "key = '*******'"),
            ("[server.tls]\nkey = '/a', b = 'c'", "key = '***********'"),
            ("[server.tls]\n[connector.a.jwt]\nkey = '/a'", "key = '**'"),
        ] {
            assert_eq!(masked(text), shown, "{text}");
        }
    }
}
