//! The quotation marks of strings: where a string ends, and the help for one that contains its own quotation mark,
//! such as `"user.login == "li""`.

use std::ops::Range;

use super::text::line_around;
use crate::text;
use crate::wording::Text;

/// The characters that TOML allows directly behind a string.
const FOLLOWING: &str = ",]}=.#";

/// The help for a string that contains its own quotation mark, if the line of the error has one. `span` is that of
/// the error.
pub(super) fn help(text: &str, span: &Range<usize>) -> Option<Text> {
    let line = &text[line_around(text, span.start)];
    let quote = closed_too_early(line)?;
    let other = match quote {
        '"' if !line.contains('\'') => "'...'",
        '\'' if !line.contains('"') => "\"...\"",
        _ => "'''...'''",
    };
    Some(text!(
        "a text with {quote} in it stands in {other}",
        "文字里有 {quote} 时用 {other} 括起来"
    ))
}

/// The quotation mark that ends a string of this line although more of the string follows.
fn closed_too_early(line: &str) -> Option<char> {
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'', '#']) {
        let quote = rest[at..].chars().next().filter(|c| *c != '#')?;
        rest = &rest[at..];
        if rest.starts_with("\"\"\"") || rest.starts_with("'''") {
            return None;
        }
        rest = &rest[1 + end_of_string(&rest[1..], &rest[..1])?..];
        let next = rest.chars().next()?;
        if !next.is_whitespace() && !FOLLOWING.contains(next) {
            return Some(quote);
        }
    }
    None
}

/// Where a string ends, behind its closing `quote`, which may have several characters. `text` begins behind the
/// opening one.
pub(super) fn end_of_string(text: &str, quote: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(quote) {
            return Some(at + quote.len());
        }
        at += c.len_utf8();
        if c == '\\' && quote.starts_with('"') {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_string_that_continues_behind_its_quotation_mark_is_found() {
        for (line, found) in [
            ("allow = \"user.login == \"li\"\"", Some('"')),
            ("allow = 'user.login == 'li''", Some('\'')),
            ("allow = \"\"财务\" in user.groups\"", Some('"')),
            ("a = [\"x\", \"y == \"z\"\"]", Some('"')),
            ("a = \"x \\\" y\"", None),
            ("a = 'x\\'", None),
            ("a.\"b\".'c' = [\"d\",'e']#\"f\"g", None),
            ("a = { b = \"c\"} ", None),
            ("a = \"\"\"x\"y", None),
            ("a = \"b\" c", None),
            ("a = \"b", None),
        ] {
            assert_eq!(closed_too_early(line), found, "{line}");
        }
    }
}
