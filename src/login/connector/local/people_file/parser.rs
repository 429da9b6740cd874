//! Parses the text of a people file.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::{FileProblem, Person};
use crate::keys;
use crate::people::local_people::fields::{LIST_FIELDS, TEXT_FIELDS};
use crate::people::password_hash::{InvalidHash, PasswordHash};
use crate::people::profile::is_fixed_field;
use crate::setting::{line_column, toml_message};
use crate::store::{LoginName, Subject};
use crate::text;
use crate::wording::Text;

/// How deeply the value of a key may be nested.
const NESTED_MAX: usize = 8;

/// Parses a file and collects its problems.
pub(super) struct Parser<'a> {
    text: &'a str,
    /// The file's name in errors.
    name: &'a str,
    problems: Vec<FileProblem>,
}

impl<'a> Parser<'a> {
    /// The people of a file, or all its problems in the order of the file.
    pub(super) fn parse(text: &'a str, name: &'a str) -> Result<Vec<Person>, Vec<FileProblem>> {
        let mut parser = Self {
            text,
            name,
            problems: Vec::new(),
        };
        let people = parser.people();
        let mut problems = parser.problems;
        if problems.is_empty() {
            return Ok(people);
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Err(problems)
    }

    fn refuse(&mut self, span: Range<usize>, message: Text) {
        let (line, column) = line_column(self.text, span.start);
        self.problems.push(FileProblem {
            file: self.name.to_owned(),
            line,
            column,
            message,
            span,
        });
    }

    fn people(&mut self) -> Vec<Person> {
        let document = match DeTable::parse(self.text) {
            Ok(document) => document.into_inner(),
            Err(error) => {
                self.refuse(
                    error.span().unwrap_or(0..0),
                    toml_message(error.message().trim_end()),
                );
                return Vec::new();
            }
        };
        let mut tables: Vec<_> = document.into_iter().collect();
        tables.sort_by_key(|(key, _)| key.span().start);
        let mut first_lines: HashMap<String, usize> = HashMap::new();
        let mut people = Vec::new();
        for (key, value) in &tables {
            let login: &str = key.get_ref();
            let DeValue::Table(table) = value.get_ref() else {
                let message = text!(
                    "`{login}` is not a table: write [LOGIN] before the keys of a person",
                    "`{login}` 不是表：请在此人的键之前写 [登录名]"
                );
                self.refuse(key.span(), message);
                continue;
            };
            let (line, _) = line_column(self.text, key.span().start);
            if let Some(first) = first_lines.insert(login.to_lowercase(), line) {
                let message = text!(
                    "the login `{login}` is in line {first} already: login names are compared without \
                     case",
                    "登录名 `{login}` 已在第 {first} 行出现：登录名不区分大小写"
                );
                self.refuse(key.span(), message);
                continue;
            }
            people.extend(self.person(login, key.span(), table));
        }
        people
    }

    /// `None` if the table has a problem.
    fn person(&mut self, login: &str, span: Range<usize>, table: &DeTable<'_>) -> Option<Person> {
        let problems_before = self.problems.len();
        if let Err(error) = login.parse::<LoginName>() {
            self.refuse(span.clone(), Text::of(&error));
        }
        let is_nested = |value: &DeValue<'_>| matches!(value, DeValue::Table(_));
        if !table.contains_key("password")
            && !table.is_empty()
            && table.values().all(|value| is_nested(value.get_ref()))
        {
            let message = text!(
                "`{login}` has no password; write a login with a dot in quotes: [\"{login}.…\"]",
                "`{login}` 没有密码；带点的登录名请加引号：[\"{login}.…\"]"
            );
            self.refuse(span, message);
            return None;
        }
        let mut profile = Map::new();
        profile.insert("login".to_owned(), Value::from(login));
        let (mut password, mut is_disabled) = (None, false);
        for (key, value) in table {
            let (name, at) = (&**key.get_ref(), value.span());
            match (name, value.get_ref()) {
                ("password", DeValue::String(text)) => match PasswordHash::parse(text) {
                    Ok(hash) => password = Some(Arc::new(hash)),
                    Err(error) => self.refuse(at, invalid_hash_message(error)),
                },
                ("password", _) => self.refuse(at, must_be_text(name)),
                ("disabled", DeValue::Boolean(disabled)) => is_disabled = *disabled,
                ("disabled", _) => self.refuse(at, NO_BOOLEAN),
                (name, value) => match field(name, value) {
                    Ok(value) => {
                        profile.insert(name.to_owned(), value);
                    }
                    Err(InvalidField::Key(message)) => self.refuse(key.span(), message),
                    Err(InvalidField::Value(message)) => self.refuse(at, message),
                },
            }
        }
        if !table.contains_key("password") {
            self.refuse(
                span.clone(),
                text!("`{login}` has no password", "`{login}` 没有密码"),
            );
        }
        let subject = login.to_lowercase().parse::<Subject>();
        if let Err(error) = &subject {
            self.refuse(span, Text::of(error));
        }
        if self.problems.len() > problems_before {
            return None;
        }
        let (subject, password) = (subject.ok()?, password?);
        let credential = [subject.as_str().as_bytes(), password.id()];
        Some(Person {
            credential: URL_SAFE_NO_PAD.encode(keys::fingerprint(&credential)),
            subject,
            password,
            is_disabled,
            profile,
        })
    }
}

const NO_BOOLEAN: Text = Text::fixed(
    "`disabled` must be true or false",
    "`disabled` 应为 true 或 false",
);

fn must_be_text(name: &str) -> Text {
    text!(
        "`{name}` must be a text in quotes",
        "`{name}` 应为带引号的文本"
    )
}

fn invalid_hash_message(error: InvalidHash) -> Text {
    let remedy = match error {
        InvalidHash::TooCostly => text!(
            "at most m=1048576 with m·t ≤ 4194304, and cost 16 for bcrypt",
            "m 最多 1048576，且 m·t ≤ 4194304；bcrypt 的 cost 最多 16"
        ),
        _ => text!("`menshen passwd` prints one", "可用 `menshen passwd` 生成"),
    };
    text!(
        "this password cannot be used: {error}; {remedy}",
        "这个密码无法使用：{error:#}；{remedy:#}"
    )
}

/// Which part of a line is invalid, and why.
enum InvalidField {
    Key(Text),
    Value(Text),
}

/// The value of any key except `password` and `disabled`.
fn field(name: &str, value: &DeValue<'_>) -> Result<Value, InvalidField> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_allowed) {
        let message = text!(
            "the key `{name}` must be letters, digits and _, at most 64",
            "键 `{name}` 应由字母、数字和 _ 组成，最多 64 个字符"
        );
        return Err(InvalidField::Key(message));
    }
    if TEXT_FIELDS.contains(&name) {
        return match value {
            DeValue::String(text) => Ok(Value::from(&**text)),
            _ => Err(InvalidField::Value(must_be_text(name))),
        };
    }
    if LIST_FIELDS.contains(&name) {
        let texts = match value {
            DeValue::String(text) => Some(vec![Value::from(&**text)]),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(Value::from))
                .collect(),
            _ => None,
        };
        let message = text!(
            "`{name}` must be a list of texts: [\"…\", \"…\"]",
            "`{name}` 应为文本列表：[\"…\", \"…\"]"
        );
        return texts.map(Value::Array).ok_or(InvalidField::Value(message));
    }
    if is_fixed_field(name) {
        let message = text!(
            "`{name}` cannot be set in a people file",
            "人员文件中不能设置 `{name}`"
        );
        return Err(InvalidField::Key(message));
    }
    json(value, NESTED_MAX).ok_or_else(|| {
        let message = text!(
            "the value of `{name}` cannot be used: it is nested, or no number",
            "`{name}` 的值无法使用：嵌套过深，或不是数字"
        );
        InvalidField::Value(message)
    })
}

/// The value as JSON. `None` if it is nested too deeply, or a number that JSON does not have.
fn json(value: &DeValue<'_>, nested_max: usize) -> Option<Value> {
    let deeper = nested_max.checked_sub(1)?;
    Some(match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Integer(number) => {
            Value::from(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok()?;
            Value::Number(serde_json::Number::from_f64(number)?)
        }
        DeValue::Boolean(boolean) => Value::from(*boolean),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items
            .iter()
            .map(|item| json(item.get_ref(), deeper))
            .collect::<Option<_>>()
            .map(Value::Array)?,
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref(), deeper)?)))
            .collect::<Option<_>>()
            .map(Value::Object)?,
    })
}
