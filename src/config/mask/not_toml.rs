//! The values in a line of a text that is not TOML: everything but what is certainly a key or the header of a
//! table.

use std::ops::Range;

use super::by_name::{first_word, is_header, is_path_of_tls_key, pairs};
use super::known::KnownKeys;
use crate::config::quotes::end_of_string;

/// The byte ranges of everything that may be a value in the last line of a text, relative to this line.
pub(super) fn values_in_last_line(
    text_up_to_line_end: &str,
    known: &KnownKeys,
) -> Vec<Range<usize>> {
    let line_start = text_up_to_line_end
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let (before, line) = text_up_to_line_end.split_at(line_start);
    let from = |start| {
        let rest: Range<usize> = start..line.len();
        vec![rest]
    };
    let open = Open::at_end_of(before);
    if open == Open::String {
        return from(0);
    }
    if is_header(line) && open == Open::Nothing {
        return from(header_end(line));
    }
    let pairs = pairs(line);
    let Some(first) = pairs.first() else {
        let word = first_word(line);
        if !known.has_near(word) {
            return from(0);
        }
        let end = line.find(word).unwrap_or(0) + word.len();
        return from(end);
    };
    // A string in a list may look like a key.
    if open == Open::List && pairs.iter().any(|pair| !known.has_near(pair.key)) {
        return from(0);
    }
    let first_key = line[..first.value.start].rfind(first.key).unwrap_or(0);
    let earlier_lines = || before.strip_suffix('\n').unwrap_or(before).rsplit('\n');
    let values = pairs
        .iter()
        .filter(|pair| !is_path_of_tls_key(line, pair, earlier_lines()));
    let mut ranges: Vec<_> = values.map(|pair| pair.value.clone()).collect();
    ranges.push(0..first_key);
    ranges
}

/// The end of the header of a table at the start of a line; the rest of the line is masked.
fn header_end(line: &str) -> usize {
    let start = line.len() - line.trim_start().len();
    let is_opening = |c: char| c == '[' || c.is_whitespace();
    let name = line[start..].trim_start_matches(is_opening);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    line.len()
        - name
            .trim_start_matches(is_name)
            .trim_start_matches(']')
            .len()
}

/// What earlier lines began and did not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    /// A string of several lines.
    String,
    List,
}

impl Open {
    fn at_end_of(text: &str) -> Self {
        let (mut at, mut brackets) = (0, 0_usize);
        while at < text.len() {
            let rest = &text[at..];
            let line_end = rest.find('\n').unwrap_or(rest.len());
            // A header whose bracket is not closed opens no list.
            if brackets == 0 && (at == 0 || text[..at].ends_with('\n')) && is_header(rest) {
                at += line_end + 1;
                continue;
            }
            let quote = ["\"\"\"", "'''", "\"", "'"]
                .into_iter()
                .find(|quote| rest.starts_with(quote));
            at += match quote {
                Some(quote) if quote.len() == 3 => match end_of_string(&rest[3..], quote) {
                    Some(end) => 3 + end,
                    None => return Self::String,
                },
                // Without a closing quote, it ends with its line.
                Some(quote) => 1 + end_of_string(&rest[1..line_end], quote).unwrap_or(line_end - 1),
                None if rest.starts_with('#') => line_end,
                None => {
                    let c = rest.chars().next().unwrap_or_default();
                    match c {
                        '[' => brackets += 1,
                        ']' => brackets = brackets.saturating_sub(1),
                        _ => {}
                    }
                    c.len_utf8()
                }
            };
        }
        match brackets {
            0 => Self::Nothing,
            _ => Self::List,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mask;
    use super::*;

    fn masked(text: &str) -> String {
        let line = text.rsplit('\n').next().unwrap();
        let ranges = values_in_last_line(text, &KnownKeys::of_config());
        mask(line, &ranges, None)
    }

    #[test]
    fn only_keys_and_headers_are_shown() {
        let mut wrong = Vec::new();
        for (text, shown) in [
            (
                "client_secrt = 'hunter2' bad",
                "client_secrt = '************",
            ),
            ("secrt hunter2", "secrt *******"),
            ("hunter2", "*******"),
            ("lisen", "lisen"),
            ("[server] hunter2", "[server] *******"),
            ("[server secret = 'hunter2'", "[server *****************'"),
            ("[[route]]", "[[route]]"),
            ("['hunter2'", "['*******'"),
            (
                "a = { x = 'hunter2', secrt: hunter2 }",
                "a = { x = '*******', secrt: ******* }",
            ),
            ("hunter2, secret = 'x'", "********************'"),
            ("private_key = '''\nhunter2=abc", "***********"),
            ("keys = [\nhunter2=abc", "***********"),
            (
                "listen = [\n{ address = 'x', tls = 1",
                "{ address = '*', tls = *",
            ),
            ("listen = ['a'] # [\nhunter = 2", "hunter = *"),
            ("[server\nhunter = 2", "hunter = *"),
            ("a = 'it\nhunter = 2", "hunter = *"),
            ("# hunter2", "*********"),
            ("用户 = 'hunter2'", "*****************'"),
        ] {
            let masked = masked(text);
            assert!(!masked.contains("hunter2"), "{masked}");
            assert_eq!(masked.len(), text.rsplit('\n').next().unwrap().len());
            if masked.replace('*', "") != shown.replace('*', "") {
                wrong.push(format!("{text:?}: {masked:?}"));
            }
        }
        assert_eq!(wrong, [""; 0]);
    }
}
