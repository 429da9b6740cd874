//! `PeopleFile`: the people of a connector, read from a TOML file.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::super::FileProblems;
use crate::keys;
use crate::people::local_people::fields::{LIST_FIELDS, TEXT_FIELDS};
use crate::people::password_hash::{InvalidHash, PasswordHash};
use crate::people::profile::is_fixed_field;
use crate::secret::Secret;
use crate::setting::syntax_text;
use crate::store::{LoginName, Subject};
use crate::text;
use crate::wording::{Text, error_of_text, full_path};

/// The longest file.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The most problems that one error names.
const PROBLEMS_SHOWN_MAX: usize = 10;

/// How deeply the value of a key may be nested.
const NESTED_MAX: usize = 8;

/// The people of a connector.
pub(super) struct PeopleFile {
    people: Vec<Person>,
    /// The positions in `people`, by the login name in lower case.
    positions: HashMap<String, usize>,
    /// Selects the hash that is computed for an unknown login name.
    selector: [u8; 32],
    nobody: Arc<PasswordHash>,
}

/// One person of the file.
pub(super) struct Person {
    /// The login name in lower case.
    pub(super) subject: Subject,
    pub(super) password: Arc<PasswordHash>,
    /// Names the person with this password.
    pub(super) credential: String,
    pub(super) is_disabled: bool,
    /// `login` as it is written in the file, and the further keys except `password` and `disabled`.
    pub(super) profile: Map<String, Value>,
}

impl fmt::Debug for PeopleFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeopleFile({})", self.people.len())
    }
}

/// Why a file of people is refused.
#[derive(Debug)]
pub enum PeopleFileError {
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    TooLong {
        path: PathBuf,
    },
    Invalid {
        problems: Vec<FileProblem>,
    },
}

impl PeopleFileError {
    fn text(&self) -> Text {
        match self {
            Self::Unreadable { path, .. } => text!(
                "read the people file {}",
                "无法读取人员文件 {}",
                full_path(path)
            ),
            Self::TooLong { path } => text!(
                "the people file {} is longer than {FILE_BYTES_MAX} bytes",
                "人员文件 {} 超过 {FILE_BYTES_MAX} 字节",
                full_path(path)
            ),
            Self::Invalid { problems } => listed(problems),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::TooLong { .. } | Self::Invalid { .. } => None,
        }
    }
}

error_of_text!(PeopleFileError, caused);

/// A problem at one place of the file. Contains no password and no hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub message: Text,
    /// In bytes.
    span: Range<usize>,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            span: _,
        } = self;
        match f.alternate() {
            true => write!(f, "{file}:{line}:{column}：{message:#}"),
            false => write!(f, "{file}:{line}:{column}: {message}"),
        }
    }
}

/// The first problems, each in a line of its own.
fn listed(problems: &[FileProblem]) -> Text {
    let shown = problems.iter().take(PROBLEMS_SHOWN_MAX).map(Text::of);
    let more = problems.len().saturating_sub(PROBLEMS_SHOWN_MAX);
    let more = (more > 0).then(|| text!("and {more} more", "还有 {more} 处"));
    let lines: Vec<_> = shown.chain(more).collect();
    Text::join(&lines, &Text::same("\n"))
}

impl PeopleFile {
    pub(super) fn read(path: &Path) -> Result<Self, PeopleFileError> {
        let unreadable = |source| PeopleFileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > FILE_BYTES_MAX {
            return Err(PeopleFileError::TooLong {
                path: path.to_owned(),
            });
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?);
        Self::parse(&text, &full_path(path))
    }

    /// Parses the text of a file; `name` is the file's name in errors.
    fn parse(text: &str, name: &str) -> Result<Self, PeopleFileError> {
        let mut parser = Parser {
            text,
            name,
            problems: Vec::new(),
        };
        let people = parser.people();
        if !parser.problems.is_empty() {
            let mut problems = parser.problems;
            problems.sort_by_key(|problem| (problem.line, problem.column));
            return Err(PeopleFileError::Invalid { problems });
        }
        let positions = people.iter().enumerate();
        let positions = positions
            .map(|(position, person)| (person.subject.as_str().to_owned(), position))
            .collect();
        let ids: Vec<_> = people.iter().map(|person| person.password.id()).collect();
        Ok(Self {
            selector: keys::fingerprint(&ids),
            positions,
            people,
            nobody: Arc::new(PasswordHash::of_nobody()),
        })
    }

    /// What is wrong inside of a file that can be read; `None` if nothing is.
    pub(super) fn problems(path: &Path) -> Option<FileProblems> {
        let PeopleFileError::Invalid { problems } = Self::read(path).err()? else {
            return None;
        };
        let text = Secret::new(std::fs::read_to_string(path).ok()?);
        let problems = problems.into_iter();
        // The file may have changed meanwhile.
        let is_there = |problem: &FileProblem| text.expose().get(problem.span.clone()).is_some();
        let problems = problems.filter(is_there);
        Some(FileProblems {
            name: path.display().to_string(),
            problems: problems
                .map(|problem| (problem.span, problem.message))
                .collect(),
            text,
        })
    }

    pub(super) fn people(&self) -> &[Person] {
        &self.people
    }

    /// The person with this login name, compared without case.
    pub(super) fn find(&self, login: &str) -> Option<&Person> {
        let position = self.positions.get(&login.to_lowercase())?;
        self.people.get(*position)
    }

    /// The hash to compute for an unknown login name: always the same one for the same name, so that it
    /// costs what the hash of a person costs.
    pub(super) fn hash_for_unknown(&self, login: &str) -> &Arc<PasswordHash> {
        let selected = keys::fingerprint(&[&self.selector, login.to_lowercase().as_bytes()]);
        let [a, b, c, d, ..] = selected;
        let number = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0);
        let position = number.checked_rem(self.people.len());
        let person = position.and_then(|position| self.people.get(position));
        person.map_or(&self.nobody, |person| &person.password)
    }
}

/// Parses a file and collects its problems.
struct Parser<'a> {
    text: &'a str,
    name: &'a str,
    problems: Vec<FileProblem>,
}

impl Parser<'_> {
    fn refuse(&mut self, span: Range<usize>, message: Text) {
        let before = &self.text[..self.text.floor_char_boundary(span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.problems.push(FileProblem {
            file: self.name.to_owned(),
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
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
                    syntax_text(error.message().trim_end()),
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
            let line = 1 + self.text[..key.span().start].matches('\n').count();
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

#[cfg(test)]
mod tests;
