//! All values of a [`ConnectorTable`] that the types of the configuration file do not accept. The parser stops
//! at the first one, so what it refuses is taken out, and the rest is read again.

use std::sync::LazyLock;

use serde::Deserialize as _;
use serde::de::value::MapDeserializer;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::error::FieldProblem;
use super::json_value::{JsonError, JsonValue};
use super::parse::below;
use super::table::ConnectorTable;
use crate::login::connector::ConnectorConfig;
use crate::setting::{Step, value_message};
use crate::text;
use crate::wording::{Language, Text};

/// The most problems that are reported at once.
pub(super) const PROBLEMS_MAX: usize = 50;
/// How often a table is read at most.
const READINGS_MAX: usize = 4 * PROBLEMS_MAX;

const MISSING: Text = Text::fixed("it is missing", "缺少这一项");
const MISSING_HELP: Text = Text::fixed("give it a value", "请给它一个值");

/// The settings of a connector.
///
/// # Errors
/// All values that their types do not accept, and all keys that are missing; at most [`PROBLEMS_MAX`].
pub(super) fn read(table: &ConnectorTable) -> Result<ConnectorConfig, Vec<FieldProblem>> {
    let mut refused = match read_once(table) {
        Ok(connector) => return Ok(connector),
        Err(refused) => refused,
    };
    let mut found = Found::default();
    let mut rest = table.clone();
    for _ in 0..READINGS_MAX {
        found.add(&refused, &rest);
        let steps: Vec<_> = refused.path.iter().map(PathStep::as_step).collect();
        let is_taken_out = !steps.is_empty() && rest.take_out(&steps);
        if !is_taken_out || found.problems.len() >= PROBLEMS_MAX {
            break;
        }
        refused = match read_once(&rest) {
            Ok(_) => break,
            Err(refused) => refused,
        };
    }
    Err(found.problems)
}

/// The first thing that the parser refuses.
struct Refused {
    /// What is taken out: the value, or for a missing key the table around it.
    path: Vec<PathStep>,
    missing_key: Option<String>,
    message: Text,
    help: Text,
}

enum PathStep {
    Key(String),
    Item(usize),
}

impl PathStep {
    fn as_step(&self) -> Step<'_> {
        match self {
            Self::Key(key) => Step::Key(key),
            Self::Item(index) => Step::Item(*index),
        }
    }
}

fn read_once(table: &ConnectorTable) -> Result<ConnectorConfig, Box<Refused>> {
    let members = table.expose();
    let members = members
        .iter()
        .map(|(key, value)| (key.as_str(), JsonValue(value)));
    let members: MapDeserializer<'_, _, JsonError> = MapDeserializer::new(members);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(members, &mut track);
    ConnectorConfig::deserialize(tracked).map_err(|error| {
        let path = track.path();
        let steps = path.iter().filter_map(|segment| match segment {
            Segment::Map { key } => Some(PathStep::Key(key.clone())),
            Segment::Enum { variant } => Some(PathStep::Key(variant.clone())),
            Segment::Seq { index } => Some(PathStep::Item(*index)),
            // A key that is not known.
            Segment::Unknown => None,
        });
        Box::new(refused(steps.collect(), error.text()))
    })
}

/// What a message of serde says. It may repeat the value, which may be a secret: only names and expected types are
/// taken over.
fn refused(path: Vec<PathStep>, text: &Text) -> Refused {
    let message = text.in_language(Language::English);
    if let Some(rest) = message.strip_prefix("missing field `") {
        let key = rest.split('`').next().unwrap_or_default();
        return Refused {
            path,
            missing_key: Some(key.to_owned()),
            message: MISSING,
            help: MISSING_HELP,
        };
    }
    let (mut path, mut unknown) = (path, None);
    if let Some((written, allowed)) = split_unknown(message, "unknown field") {
        if !matches!(path.last(), Some(PathStep::Key(last)) if last == written) {
            path.push(PathStep::Key(written.to_owned()));
        }
        let unknown_key = text!("unknown key `{written}`", "没有名为 `{written}` 的键");
        let allowed = text!("allowed here: {}", "这里可以写：{}", allowed.join(", "));
        unknown = Some((unknown_key, allowed));
    }
    let (message, help) = unknown.unwrap_or_else(|| value_problem(text));
    Refused {
        path,
        missing_key: None,
        message,
        help,
    }
}

/// The message about a value, and what is allowed.
fn value_problem(text: &Text) -> (Text, Text) {
    let message = text.in_language(Language::English);
    if let Some((_, allowed)) = split_unknown(message, "unknown variant") {
        let allowed = text!("one of: {}", "应为其中之一：{}", allowed.join(", "));
        return (
            text!("this is not a choice here", "这里不能这样写"),
            allowed,
        );
    }
    let expected = message.rsplit_once(", expected ");
    match (message.starts_with("invalid "), expected) {
        (true, Some((_, expected))) => {
            let chinese = text
                .in_language(Language::Chinese)
                .rsplit_once(", expected ");
            let chinese = chinese.map_or(expected, |(_, chinese)| chinese);
            let expected = type_in_words(expected, chinese);
            (
                text!(
                    "a value of this type does not fit here",
                    "这里不能写这种类型的值"
                ),
                text!("expected {expected}", "应为{expected:#}"),
            )
        }
        (true, None) => (
            text!("this value does not fit here", "这里不能写这个值"),
            text!(
                "see the type of the key in conf/full.toml",
                "这个键的类型见 conf/full.toml"
            ),
        ),
        // An error of a URL, or of our own types, which name what is allowed and not the value.
        (false, _) => {
            let help = value_message(message.trim());
            (
                text!("this value cannot be used", "这个值无法使用"),
                help.unwrap_or_else(|| text.clone()),
            )
        }
    }
}

/// The expected type in words, without names of Rust types. `chinese`: as types of ours say it in Chinese.
fn type_in_words(expected: &str, chinese: &str) -> Text {
    match expected {
        "a sequence" => text!("a list", "列表"),
        "a map" => text!("a table", "表"),
        "a string" | "literal string" | "path string" | "string or map" => {
            text!("a text", "文本")
        }
        "a string representing an URL" => text!(
            "a URL, such as https://host/path",
            "网址，例如 https://host/path"
        ),
        "a boolean" => text!("true or false", " true 或 false"),
        "u8" | "u16" | "u32" | "u64" | "usize" => {
            text!("a whole number, not below 0", "不小于 0 的整数")
        }
        other if other.starts_with("struct ") => text!("a table", "表"),
        other => text!("{other}", "{chinese}"),
    }
}

/// Splits ``unknown field `x`, expected one of `a`, `b` `` into `x` and the allowed names.
fn split_unknown<'a>(message: &'a str, what: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let rest = message.strip_prefix(what)?.trim_start().strip_prefix('`')?;
    let (written, rest) = rest.split_once('`')?;
    // Every other part between backticks is a name.
    Some((written, rest.split('`').skip(1).step_by(2).collect()))
}

fn text_of(path: &[PathStep]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            PathStep::Key(key) => text = below(&text, key),
            PathStep::Item(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// The problems so far.
#[derive(Default)]
struct Found {
    problems: Vec<FieldProblem>,
    /// The paths of what was taken out.
    taken: Vec<String>,
    /// The items among them: the path of the list, and the place in it.
    taken_items: Vec<(String, usize)>,
}

impl Found {
    fn add(&mut self, refused: &Refused, rest: &ConnectorTable) {
        let path = self.as_written(&refused.path);
        let at = text_of(&path);
        match &refused.missing_key {
            None => self.push(&at, refused.message.clone(), refused.help.clone()),
            Some(key) => {
                let steps: Vec<_> = refused.path.iter().map(PathStep::as_step).collect();
                let table = rest.table_at(&steps);
                let is_absent = |key: &str| table.is_none_or(|table| !table.contains_key(key));
                // The parser names the first key.
                let others = required_keys(&path).into_iter();
                for key in [key.as_str()].into_iter().chain(others) {
                    if is_absent(key) {
                        self.push(&below(&at, key), MISSING, MISSING_HELP);
                    }
                }
            }
        }
        if let Some((PathStep::Item(index), list)) = path.split_last() {
            self.taken_items.push((text_of(list), *index));
            self.taken_items.sort();
        }
        self.taken.push(at);
    }

    /// The path in the table as it was written, with the items that were taken out.
    fn as_written(&self, path: &[PathStep]) -> Vec<PathStep> {
        let mut written = Vec::with_capacity(path.len());
        for step in path {
            written.push(match step {
                PathStep::Key(key) => PathStep::Key(key.clone()),
                PathStep::Item(index) => {
                    let list = text_of(&written);
                    let taken = self.taken_items.iter().filter(|(of, _)| *of == list);
                    let place = taken.fold(*index, |place, (_, taken)| {
                        place + usize::from(*taken <= place)
                    });
                    PathStep::Item(place)
                }
            });
        }
        written
    }

    /// Adds a problem, unless it is one of what was taken out, or of something around that.
    fn push(&mut self, field: &str, message: Text, help: Text) {
        let is_around = |taken: &String| {
            let below = taken.strip_prefix(field);
            below.is_some_and(|below| below.is_empty() || below.starts_with(['.', '[']))
        };
        let problem = FieldProblem::new(field, message, help);
        if !self.taken.iter().any(is_around) && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// The keys that the table at this path must have.
fn required_keys(path: &[PathStep]) -> Vec<&'static str> {
    static SCHEMA: LazyLock<Value> =
        LazyLock::new(|| schemars::schema_for!(ConnectorConfig).to_value());
    let root = &*SCHEMA;
    let mut table = root;
    for step in path {
        let below = match step {
            PathStep::Key(key) => {
                let property = table["properties"].get(key);
                property.unwrap_or_else(|| &table["additionalProperties"])
            }
            PathStep::Item(_) => &table["items"],
        };
        table = resolved(root, below);
    }
    let required = table["required"].as_array().into_iter().flatten();
    required.filter_map(Value::as_str).collect()
}

/// The schema that a reference stands for, or a schema that may be null.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let is_null = |schema: &&Value| schema["type"] == "null";
    let of_choice = schema["anyOf"].as_array();
    let of_choice = of_choice.and_then(|all| all.iter().find(|one| !is_null(one)));
    let schema = of_choice.unwrap_or(schema);
    let reference = schema["$ref"].as_str();
    let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
    pointer
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(schema)
}
