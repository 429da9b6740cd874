//! A text that holds the quotation mark in which it stands, such as `"user.login == "li""`.

use std::ops::Range;

use crate::text;
use crate::wording::Text;

/// What may stand directly behind a text.
const FOLLOWING: &str = ",]}=.#";

/// In which quotation marks the text must stand, if the line of the error has such a text. `span`: the place of the
/// error.
pub(super) fn help(text: &str, span: &Range<usize>) -> Option<Text> {
    let (before, after) = text.split_at_checked(span.start)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = after.find('\n').map_or(text.len(), |at| span.start + at);
    let line = &text[line_start..line_end];
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

/// The quotation mark that ends a text of this line, although more of the text follows.
fn closed_too_early(line: &str) -> Option<char> {
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'', '#']) {
        let quote = rest[at..].chars().next().filter(|c| *c != '#')?;
        rest = &rest[at..];
        if rest.starts_with("\"\"\"") || rest.starts_with("'''") {
            return None;
        }
        rest = &rest[1 + length_of_text(&rest[1..], quote)?..];
        let next = rest.chars().next()?;
        if !next.is_whitespace() && !FOLLOWING.contains(next) {
            return Some(quote);
        }
    }
    None
}

/// The length of the text that ends with this quotation mark, with the mark.
fn length_of_text(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    let end = text.find(|c: char| {
        let is_end = c == quote && !is_escaped;
        is_escaped = quote == '"' && c == '\\' && !is_escaped;
        is_end
    })?;
    Some(end + quote.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_goes_on_behind_its_quotation_mark_is_found() {
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
