//! The problems of a document that cannot be parsed: what is wrong, the allowed values and a suggestion.

use std::ops::Range;

use super::document::{Found, OwnedStep, Reason, ValueError};
use super::error::Problem;
use super::nearest;
use super::text::ConfigText;
use crate::login::connector::KIND_NAMES;
use crate::setting::{toml_message_parts, value_message};
use crate::text;
use crate::wording::Text;

/// The problem of a text that is not TOML. The English words are those of the parser.
pub(super) fn syntax_problem(source: &ConfigText, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let (what, expected) = toml_message_parts(error.message().trim_end());
    let problem = Problem::at(source, span, what);
    match expected {
        Some(expected) => problem.with_help(expected),
        None => problem,
    }
}

/// The problem of a value that its type does not accept.
pub(super) fn value_problem(source: &ConfigText, error: &ValueError) -> Problem {
    let span = error.span.clone().unwrap_or(0..0);
    match &error.reason {
        Reason::UnknownKey { written, allowed } => {
            let message = text!("unknown key `{written}`", "没有名为 `{written}` 的键");
            let problem = Problem::at(source, span, message);
            let help = unknown_key_help(written, allowed);
            problem.with_help(missing_table_help(&error.path(), written, allowed).unwrap_or(help))
        }
        Reason::NoChoice { written, allowed } => {
            let message = text!("`{written}` is not a choice here", "这里不能写 `{written}`");
            Problem::at(source, span, message).with_help(suggestion(written, allowed))
        }
        Reason::Missing(key) => {
            let message = text!("`{key}` is missing", "缺少 `{key}`");
            Problem::at(source, span, message).with_help(missing_help(key))
        }
        Reason::WrongType { found, expected } => {
            let is_number = expects_number(expected);
            let expected = type_in_words(expected);
            let help = match found {
                Found::QuotedNumber if is_number => text!(
                    "expected {expected}, without quotation marks",
                    "应为{expected:#}，不要加引号"
                ),
                _ => text!("expected {expected}", "应为{expected:#}"),
            };
            let help = super::lists::help_for_value(error).unwrap_or(help);
            Problem::at(source, span, wrong_type(*found)).with_help(help)
        }
        Reason::Other(message) => other_problem(source, span, message),
    }
}

/// The problem that a type of ours found: what is wrong, perhaps `: `, and what is allowed.
pub(super) fn other_problem(source: &ConfigText, span: Range<usize>, message: &Text) -> Problem {
    let (en, zh) = (message.to_string(), format!("{message:#}"));
    if let Some(message) = value_message(&en).filter(|_| en == zh) {
        return Problem::at(source, span, message);
    }
    match (split_help(&en, ": "), split_help(&zh, "：")) {
        (Some((en, en_help)), Some((zh, zh_help))) => {
            let help = text!("{en_help}", "{zh_help}");
            Problem::at(source, span, text!("{en}", "{zh}")).with_help(help)
        }
        _ => Problem::at(source, span, message.clone()),
    }
}

/// Splits a message from its help. What it quotes between backticks is not searched.
fn split_help<'a>(message: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut at = message.match_indices(separator).map(|(at, _)| at);
    let is_outside = |at: &usize| message[..*at].matches('`').count().is_multiple_of(2);
    let at = at.find(is_outside)?;
    Some((&message[..at], &message[at + separator.len()..]))
}

fn missing_help(key: &str) -> Text {
    match key {
        "server" => text!(
            "add [server] with external_url = \"https://...\"",
            "请加上 [server]，其中写 external_url = \"https://...\""
        ),
        _ => text!(
            "add {key} = ... to this table",
            "请在这个表里加上 {key} = ..."
        ),
    }
}

fn wrong_type(found: Found) -> Text {
    match found {
        Found::Integer(Some(number)) if number < 0 => {
            text!("{number} does not fit here", "这里不能写 {number}")
        }
        Found::Integer(_) => text!("an integer does not fit here", "这里不能写整数"),
        Found::Float => text!(
            "a number with a fraction does not fit here",
            "这里不能写小数"
        ),
        Found::Boolean => text!(
            "true or false does not fit here",
            "这里不能写 true 或 false"
        ),
        Found::Array => text!("an array does not fit here", "这里不能写数组"),
        Found::Table => text!("a table does not fit here", "这里不能写表"),
        Found::QuotedNumber | Found::Text => {
            text!("a text does not fit here", "这里不能写这段文本")
        }
        Found::Date => text!("a date does not fit here", "这里不能写日期"),
        Found::Other => text!("this value does not fit here", "这里不能写这个值"),
    }
}

/// The expected type in words, without names of Rust types.
fn type_in_words(expected: &Text) -> Text {
    match expected.to_string().as_str() {
        "a sequence" => text!("an array: [...]", "数组：[...]"),
        "a map" => text!("a table", "表"),
        "a string" | "literal string" | "path string" => text!("a text in quotes", "带引号的文本"),
        "a boolean" => text!("true or false", " true 或 false"),
        _ if expects_number(expected) => {
            text!("a whole number, not below 0", "不小于 0 的整数")
        }
        other if other.starts_with("struct ") => text!("a table", "表"),
        _ => expected.clone(),
    }
}

/// Whether a type is a whole number.
fn expects_number(expected: &Text) -> bool {
    let expected = expected.to_string();
    matches!(expected.as_str(), "u8" | "u16" | "u32" | "u64" | "usize")
}

/// A misspelt key has a near name. One that is like no other may belong to a later version.
fn unknown_key_help(written: &str, allowed: &[&str]) -> Text {
    if nearest::name(written, allowed.iter().copied()).is_some() || allowed.is_empty() {
        return suggestion(written, allowed);
    }
    let version = env!("CARGO_PKG_VERSION");
    let list = allowed.join(", ");
    text!(
        "allowed here: {list}; this is menshen {version}: if the key is from the documentation of a \
         later version, it needs that version",
        "这里可以写：{list}。当前是 menshen {version}：如果这个键出自更新版本的文档，需要先升级"
    )
}

/// What to write for a key of a kind of connectors that is not in the table of the kind, such as `corp_id` in
/// `[connector.corp]`, or for a kind without a connector.
fn missing_table_help(path: &[OwnedStep], written: &str, allowed: &[&str]) -> Option<Text> {
    let of_kind = |kind: &str| {
        text!(
            "write [connector.ID.{kind}], with a name of your choice for ID, such as \"corp\"",
            "请写 [connector.ID.{kind}]，ID 换成自己取的名字，例如 \"corp\""
        )
    };
    let mut keys = path.iter().map_while(OwnedStep::as_key);
    match (keys.next(), keys.next()) {
        (Some("connector"), Some(id)) if allowed.contains(&KIND_NAMES[0]) => {
            if KIND_NAMES.contains(&id) {
                return Some(of_kind(id));
            }
            let is_near = nearest::name(written, allowed.iter().copied()).is_some();
            (!is_near).then(|| {
                let list = allowed.join(", ");
                text!(
                    "the keys of a source stand in a table of its kind, such as [connector.{id}.wecom]; \
                     allowed here: {list}",
                    "认证源的键写在它那一种的表中，例如 [connector.{id}.wecom]；这里可以写：{list}"
                )
            })
        }
        (Some(kind), _) if KIND_NAMES.contains(&kind) && kind == written => Some(of_kind(kind)),
        _ => None,
    }
}

fn suggestion(written: &str, allowed: &[&str]) -> Text {
    if allowed.is_empty() {
        return text!("nothing is allowed here", "这里什么都不能写");
    }
    let list = allowed.join(", ");
    match nearest::name(written, allowed.iter().copied()) {
        Some(name) => text!(
            "did you mean `{name}`? allowed here: {list}",
            "是不是想写 `{name}`？这里可以写：{list}"
        ),
        None => text!("allowed here: {list}", "这里可以写：{list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let near = suggestion("lisen", &["listen", "limits"]).to_string();
        assert!(near.starts_with("did you mean `listen`?"), "{near}");
        assert_eq!(
            suggestion("xyzzy", &["a", "b"]).to_string(),
            "allowed here: a, b"
        );
        let far = unknown_key_help("xyzzy", &["a", "b"]).to_string();
        assert!(far.contains("a later version"), "{far}");
    }
}
