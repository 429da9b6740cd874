//! The messages of the CEL parser in both languages.

use crate::text;
use crate::wording::Text;

/// The name of the end of the source in messages of the parser.
const END: &str = "<EOF>";

/// A message of the parser without the tokens that it would have accepted.
pub(super) fn parser_message(message: &str) -> Text {
    let message = message.split(" expecting ").next().unwrap_or(message);
    let quoted = quoted(message);
    if message.contains(END) {
        return text!("{message}", "表达式在这里就结束了，不完整");
    }
    for (start, zh) in [
        ("mismatched input", "这里不应出现 "),
        ("extraneous input", "这里多了 "),
        ("missing ", "这里缺少 "),
        ("no viable alternative at input", "这里看不懂 "),
        ("token recognition error", "这里不能有 "),
        ("unsupported syntax", "不支持这种写法："),
    ] {
        if message.starts_with(start) {
            return text!("{message}", "{zh}{quoted}");
        }
    }
    if let Some(name) = message.strip_prefix("reserved identifier: ") {
        return text!("{message}", "`{name}` 是保留字，不能用作名字");
    }
    for (start, zh) in [
        ("invalid int literal", "整数写错了，或超出范围"),
        ("invalid uint literal", "无符号整数写错了，或超出范围"),
        ("invalid double literal", "小数写错了"),
        ("invalid string literal", "文本的写法有误"),
        ("invalid bytes literal", "字节串的写法有误"),
    ] {
        if message.starts_with(start) {
            return text!("{message}", "{zh}");
        }
    }
    text!("{message}", "语法有误：`{message}`")
}

/// What the message quotes, in backticks.
fn quoted(message: &str) -> String {
    let found = message
        .split_once('\'')
        .and_then(|(_, rest)| rest.rsplit_once('\''))
        .map_or(message, |(found, _)| found);
    format!("`{found}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_parser_is_translated_and_keeps_what_it_quotes() {
        for (message, en, zh) in [
            (
                "mismatched input '=' expecting {'==', '!='}",
                "mismatched input '='",
                "这里不应出现 `=`",
            ),
            (
                "mismatched input '<EOF>' expecting {'['}",
                "mismatched input '<EOF>'",
                "表达式在这里就结束了，不完整",
            ),
            (
                "token recognition error at: '@'",
                "token recognition error at: '@'",
                "这里不能有 `@`",
            ),
            (
                "reserved identifier: for",
                "reserved identifier: for",
                "`for` 是保留字，不能用作名字",
            ),
            (
                "something else",
                "something else",
                "语法有误：`something else`",
            ),
        ] {
            let text = parser_message(message);
            assert_eq!(text.to_string(), en);
            assert_eq!(format!("{text:#}"), zh);
        }
    }
}
