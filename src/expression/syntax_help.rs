//! The help for usual mistakes in an expression that does not parse.

use crate::text;
use crate::wording::Text;

/// The beginning of the parser's message about a character that belongs to no token.
const UNKNOWN_CHARACTER: &str = "token recognition error at: '";

/// What to write instead of a usual mistake; `None` for other mistakes. `message` is that of the parser, and
/// `offset` its position in the source, in bytes.
pub(super) fn syntax_help(message: &str, source: &str, offset: usize) -> Option<Text> {
    if let Some(operator) = operator(source, offset) {
        return Some(operator);
    }
    let character = message.strip_prefix(UNKNOWN_CHARACTER)?.chars().next()?;
    if character == '=' {
        return Some(text!("write == to compare", "比较要写 =="));
    }
    if character.is_ascii() || !character.is_alphanumeric() {
        return None;
    }
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let at = offset + source.get(offset..)?.find(character)?;
    let before = &source[..at];
    let start = before.trim_end_matches(is_of_word).len();
    let rest = &source[start..];
    let end = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
    let word = &rest[..end];
    Some(text!(
        "a text stands in quotes: '{word}'",
        "文本要加引号：'{word}'"
    ))
}

/// The operator that stands for a word of other languages at this place, or before it.
fn operator(source: &str, offset: usize) -> Option<Text> {
    let (before, after) = source.split_at_checked(offset)?;
    let end = after.find(|c: char| !c.is_ascii_alphabetic());
    let word = &after[..end.unwrap_or(after.len())];
    if before.trim_end().rsplit(' ').next() == Some("not") || word == "not" {
        return Some(text!("write ! for not: !(...)", "“非”要写 !：!(...)"));
    }
    match word {
        "and" | "AND" => Some(text!("write && for {word}", "“且”要写 &&")),
        "or" | "OR" => Some(text!("write || for {word}", "“或”要写 ||")),
        _ => None,
    }
}
