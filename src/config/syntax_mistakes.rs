//! What was probably meant by a line that is not TOML.

use std::ops::Range;

use crate::text;
use crate::wording::Text;

/// How comments begin in other languages.
const FOREIGN_COMMENTS: [&str; 3] = ["//", "--", ";"];

/// What to write instead, for usual mistakes. `message`: that of the parser; `span`: the place of the error.
pub(super) fn help(message: &str, text: &str, span: &Range<usize>) -> Option<Text> {
    let (before, after) = text.split_at_checked(span.start)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = after.find('\n').map_or(text.len(), |at| span.start + at);
    let line = text[line_start..line_end].trim();
    if FOREIGN_COMMENTS.iter().any(|mark| line.starts_with(mark)) {
        return Some(text!("a comment begins with #", "注释以 # 开头"));
    }
    if message.contains("escape") {
        return Some(text!(
            "a text with \\ in it stands in '...'",
            "文字里有 \\ 时用 '...' 括起来"
        ));
    }
    if message.trim_end() == "duplicate key" {
        return Some(match line.strip_prefix('[') {
            Some(_) => text!(
                "write {line} only once, with all its keys below it",
                "{line} 只写一次，它的键都写在下面"
            ),
            None => text!(
                "write this key only once in its table",
                "同一个表里，这个键只能写一次"
            ),
        });
    }
    is_yaml(line).then(|| {
        text!(
            "the configuration is TOML: a table is [server], and a key has = behind it",
            "配置是 TOML 格式：表写成 [server]，键后面写 ="
        )
    })
}

/// Whether a line is a name with a colon behind it.
fn is_yaml(line: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let after_name = line.trim_start_matches(is_of_name);
    let has_colon = after_name.strip_prefix(':').is_some_and(|rest| {
        let value = rest.trim_start();
        value.len() < rest.len() || rest.is_empty()
    });
    after_name.len() < line.len() && has_colon
}
