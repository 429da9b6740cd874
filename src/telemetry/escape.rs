//! Escapes characters that terminals and log viewers interpret instead of displaying, so that
//! logged text cannot hide, move or split lines.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character must be escaped: control characters (C0, DEL, C1), line and paragraph
/// separators, directional marks (UAX #9), and characters without width.
pub(super) fn needs_escape(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

/// Escapes text for a terminal, as in `\u{202e}`. Line ends and tabs are kept.
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| needs_escape(c) && !matches!(c, '\n' | '\t');
    escape_where(text, is_escaped, |c, escaped| {
        let _ = write!(escaped, "{}", c.escape_unicode());
    })
}

/// Like [`for_terminal`], but also escapes line ends and tabs.
pub fn for_terminal_line(text: &str) -> Cow<'_, str> {
    escape_where(text, needs_escape, |c, escaped| {
        let _ = write!(escaped, "{}", c.escape_unicode());
    })
}

/// Escapes the strings of a JSON document for a terminal, as in `\u202e`. The document keeps its
/// meaning.
pub fn json_for_terminal(json: &str) -> Cow<'_, str> {
    // JSON escapes control characters in its strings: those that are left are line ends between them.
    let is_escaped = |c: char| c > '\u{7e}' && needs_escape(c);
    escape_where(json, is_escaped, push_json_escape)
}

/// Writes the escape sequence of RFC 8259, section 7, as a surrogate pair above U+FFFF.
pub(super) fn push_json_escape(c: char, escaped: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(escaped, "\\u{unit:04x}");
    }
}

fn escape_where(
    text: &str,
    is_escaped: impl Fn(char) -> bool,
    write: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_escaped(c) {
            true => write(c, &mut escaped),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_escaped_and_others_kept() {
        assert_eq!(for_terminal("财务 a\n\tb"), "财务 a\n\tb");
        assert_eq!(for_terminal("a\u{202e}b\u{1b}[2J"), "a\\u{202e}b\\u{1b}[2J");
        assert_eq!(for_terminal_line("a\nb"), "a\\u{a}b");
        assert!(matches!(for_terminal("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_keeps_its_meaning() {
        let text_with_controls = "a\u{85}\u{2028}\u{202e}\u{200b}\u{e0041}\u{feff}\n\"财";
        let json =
            serde_json::to_string_pretty(&serde_json::json!({ "a": text_with_controls })).unwrap();
        let shown = super::json_for_terminal(&json);
        assert!(
            !shown.chars().any(|c| needs_escape(c) && c != '\n'),
            "{shown}"
        );
        let parsed: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(parsed["a"], text_with_controls);
    }
}
