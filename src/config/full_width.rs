//! Full-width and invisible characters, which input methods and web pages put in the place of ASCII.

use std::ops::Range;

use crate::text;
use crate::wording::Text;

/// The first character of `text` that looks like ASCII and is not, outside of strings and comments of TOML, or the
/// one that stands for the closing quote of a string: at most one of each line, with its byte range.
pub(super) fn outside_of_strings(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut quote: Option<&str> = None;
    let (mut at, mut is_line_done, mut string_start) = (0, false, 0);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let mut length = c.len_utf8();
        match (quote, c) {
            (_, '\n') => {
                if !is_line_done && let Some(quote) = quote {
                    found.extend(closing_quote(text, string_start..at, quote));
                }
                is_line_done = false;
                // A string of one line ends with it, even without a quote.
                quote = quote.filter(|quote| quote.len() == 3);
            }
            (Some("\"" | "\"\"\""), '\\') => {
                length += rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            (Some(open), _) if rest.starts_with(open) => {
                length = open.len();
                quote = None;
            }
            (Some(_), _) => {}
            (None, '#') => length = rest.find('\n').unwrap_or(rest.len()),
            (None, _) => {
                let openings = ["\"\"\"", "'''", "\"", "'"];
                quote = openings.into_iter().find(|open| rest.starts_with(open));
                length = quote.map_or(length, str::len);
                string_start = at + length;
                if !is_line_done && twin(c).is_some() && (at > 0 || c != BYTE_ORDER_MARK) {
                    is_line_done = true;
                    found.push(at..at + length);
                }
            }
        }
        at += length;
    }
    if !is_line_done && let Some(quote) = quote {
        found.extend(closing_quote(text, string_start..text.len(), quote));
    }
    found
}

/// The full-width character that stands for the missing `quote` of a string of one line: the last one before a
/// comment.
fn closing_quote(text: &str, string: Range<usize>, quote: &str) -> Option<Range<usize>> {
    if quote.len() > 1 {
        return None;
    }
    let written = &text[string.clone()];
    let is_quote = |c: char| twin(c) == Some(quote);
    let before_comment = written.split('#').next().unwrap_or_default();
    let at = before_comment
        .rfind(is_quote)
        .or_else(|| written.rfind(is_quote))?;
    let start = string.start + at;
    let c = text[start..].chars().next()?;
    Some(start..start + c.len_utf8())
}

/// The first such character inside of a text that has otherwise only ASCII. In a text with Chinese words, full-width
/// punctuation is meant.
pub(super) fn in_ascii(text: &str) -> Option<Range<usize>> {
    let is_expected = |c: char| c.is_ascii() || twin(c).is_some();
    let (at, c) = text.char_indices().find(|(_, c)| twin(*c).is_some())?;
    text.chars().all(is_expected).then(|| at..at + c.len_utf8())
}

/// What to write instead of this character.
pub(super) fn help(c: char) -> Text {
    match (c, twin(c)) {
        (BYTE_ORDER_MARK, _) => text!("remove it", "请删除"),
        (_, Some(" ")) => text!(
            "remove it, or write a space: it only looks like one",
            "请删除，或改成半角空格：它只是看上去像空格"
        ),
        (_, Some("")) => text!("remove it: it is invisible", "请删除：这个字符看不见"),
        (_, Some(twin)) => text!(
            "write `{twin}`: `{c}` is a full-width character of an input method",
            "请写 `{twin}`：`{c}` 是中文输入法打出的全角字符"
        ),
        (_, None) => text!("remove it", "请删除"),
    }
}

/// The problem of this character.
pub(super) fn message(c: char) -> Text {
    let code = u32::from(c);
    match (c, twin(c)) {
        (BYTE_ORDER_MARK, _) => text!(
            "a byte order mark stands in the middle of the file",
            "文件中间有一个字节顺序标记（BOM）"
        ),
        (_, Some("" | " ")) => text!(
            "this is not a space but the character U+{code:04X}",
            "这里不是空格，而是字符 U+{code:04X}"
        ),
        _ => text!("`{c}` is a full-width character", "`{c}` 是全角字符"),
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The ASCII that a character is mistaken for.
fn twin(c: char) -> Option<&'static str> {
    /// `!` to `~`, of which U+FF01 to U+FF5E are the full-width forms.
    const ASCII: &str = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
    match c {
        '\u{ff01}'..='\u{ff5e}' => {
            let index = usize::try_from(u32::from(c) - 0xff01).ok()?;
            ASCII.get(index..=index)
        }
        '\u{201c}' | '\u{201d}' | '\u{201e}' => Some("\""),
        '\u{2018}' | '\u{2019}' => Some("'"),
        '\u{3001}' => Some(","),
        '\u{3002}' => Some("."),
        '\u{3010}' => Some("["),
        '\u{3011}' => Some("]"),
        '\u{3000}' | '\u{a0}' => Some(" "),
        '\u{200b}' | BYTE_ORDER_MARK => Some(""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_characters_outside_of_strings_and_comments_are_found() {
        let found = |text: &str| {
            let found = outside_of_strings(text).into_iter();
            let found: Vec<_> = found.map(|span| text[span].to_owned()).collect();
            found.concat()
        };
        assert_eq!(found("a ＝ 1\nb = “x”\n"), "＝“");
        assert_eq!(
            found("a = '：' # ，\nb = \"\"\"\n，\n\"\"\"\nc = １\n"),
            "１"
        );
        assert_eq!(found("a = \"\\\"：\"\nb = 'x\nc：1"), "：");
        assert_eq!(found("a = \"甲”\nb = '乙’ # “c”\nd = [\"e”"), "”’”");
        assert_eq!(found("a = \"甲’\nb = \"“乙”\"\nc = \"\"\"\n“\n"), "");
        assert_eq!(found("\u{feff}a = 1"), "");
        assert_eq!(found("a = 1\n\u{feff}b = 1"), "\u{feff}");
    }

    #[test]
    fn every_full_width_form_has_its_twin() {
        assert_eq!(twin('！'), Some("!"));
        assert_eq!(twin('＝'), Some("="));
        assert_eq!(twin('３'), Some("3"));
        assert_eq!(twin('～'), Some("~"));
        assert_eq!(twin('企'), None);
        assert_eq!(in_ascii("127.0.0.1：80"), Some(9..12));
        assert_eq!(in_ascii("企业：80"), None);
    }
}
