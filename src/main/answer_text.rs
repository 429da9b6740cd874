//! Prints answers of the admin API as JSON for programs or as text for people.

use menshen::clock::Timestamp;
use menshen::telemetry::escape;
use menshen::wording::{self, Language, Text};
use serde_json::Value;

use super::{Failure, print};

/// Prints an answer as JSON, or as the text that `text` makes of it.
pub(super) fn print_answer(
    answer: &Value,
    json: bool,
    text: impl Fn(&Value) -> String,
) -> Result<(), Failure> {
    match json {
        true => print(escape::json_for_terminal(&format!("{answer:#}"))),
        false => print(text(answer).trim_end()),
    }
}

/// A field of an answer on one line: a name with a line end must not look like two lines.
pub(super) fn field_text(field: &Value) -> String {
    match field {
        Value::Null => "-".to_owned(),
        Value::String(text) => escape::for_terminal_line(text).into_owned(),
        other => other.to_string(),
    }
}

/// A text in the language of the operator.
pub(super) fn operator_text(text: &Text) -> String {
    text.for_operator().to_owned()
}

/// A member of an answer in the language of the operator: `NAME_zh` has the Chinese text of the member `NAME`, if
/// there are any.
pub(super) fn localized_field(answer: &Value, name: &str) -> String {
    let chinese = format!("{name}_zh");
    match wording::operator_language() {
        Language::Chinese if answer[&chinese].is_string() => field_text(&answer[&chinese]),
        _ => field_text(&answer[name]),
    }
}

/// A time of an answer, which has it in seconds since 1970.
pub(super) fn time_text(seconds: &Value) -> String {
    let at = seconds.as_i64().map(Timestamp::from_unix_s);
    at.map_or_else(|| "-".to_owned(), |at| at.to_string())
}
