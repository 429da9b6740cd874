//! The help for values where a list is expected, and for lists where a rule is expected.

use std::ops::Range;

use super::document::{Found, OwnedStep, Reason, ValueError};
use super::text::line_around;
use crate::text;
use crate::wording::Text;

/// The keys whose lists contain tables. All lists that are not named here contain strings.
const LISTS_OF_TABLES: [&str; 4] = ["more", "route", "step", "tokens"];
/// The keys whose lists contain secrets.
const LISTS_OF_SECRETS: [&str; 1] = ["keys"];
/// The keys whose values are rules.
const RULES: [&str; 2] = ["allow", "view"];

/// The help for a value that is not a list, at a key that takes one, and for a list at a key that takes a rule.
pub(super) fn help_for_value(error: &ValueError) -> Option<Text> {
    let Reason::WrongType { found, expected } = &error.reason else {
        return None;
    };
    let path = error.path();
    let keys: Vec<_> = path.iter().filter_map(OwnedStep::as_key).collect();
    let last = keys.last()?;
    if expected.to_string() != "a sequence" {
        let is_list = matches!(found, Found::Array) && RULES.contains(last);
        return is_list.then(|| {
            text!(
                "expected a rule in quotes, such as \"user.login in ['zhangsan', 'lisi']\"",
                "应为带引号的规则，例如 \"user.login in ['zhangsan', 'lisi']\""
            )
        });
    }
    let is_of_tables = LISTS_OF_TABLES.contains(last);
    match found {
        Found::Table | Found::Text if LISTS_OF_SECRETS.contains(last) => Some(text!(
            "write [{{ file = \"...\" }}], also with one element",
            "只有一项也写 [{{ file = \"...\" }}]"
        )),
        Found::Table if is_of_tables => Some(in_double_brackets(&keys.join("."))),
        Found::Text | Found::QuotedNumber if !is_of_tables => Some(text!(
            "write [\"...\"], also with one element",
            "只有一项也写 [\"...\"]"
        )),
        _ => None,
    }
}

/// The help for a second `[route]`, which TOML refuses as a repeated key. `span` is that of the error.
pub(super) fn help_for_header(text: &str, span: &Range<usize>) -> Option<Text> {
    let line = &text[line_around(text, span.start)];
    let header = line.trim().strip_prefix('[')?;
    let (name, _) = header.split_once(']')?;
    let last = name.rsplit('.').next()?;
    LISTS_OF_TABLES
        .contains(&last)
        .then(|| in_double_brackets(name))
}

fn in_double_brackets(name: &str) -> Text {
    match name {
        "route" => text!(
            "write [[route]]: each route is a table of its own",
            "请写 [[route]]：每条路由是单独的一张表"
        ),
        _ => text!(
            "write [[{name}]]: each is a table of its own",
            "请写 [[{name}]]：每一项是单独的一张表"
        ),
    }
}
