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

use crate::keys;
use crate::people::local_people::fields::{LIST_FIELDS, TEXT_FIELDS};
use crate::people::password_hash::{InvalidHash, PasswordHash};
use crate::people::profile::is_fixed_field;
use crate::store::{LoginName, Subject};
use crate::wording::full_path;

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
#[derive(Debug, thiserror::Error)]
pub enum PeopleFileError {
    #[error("read the people file {}", full_path(path))]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the people file {} is longer than {FILE_BYTES_MAX} bytes",
        full_path(path)
    )]
    TooLong { path: PathBuf },
    #[error("{}", Problems(problems))]
    Invalid { problems: Vec<FileProblem> },
}

/// A problem at one place of the file. Contains no password and no hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub message: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")
    }
}

struct Problems<'a>(&'a [FileProblem]);

impl fmt::Display for Problems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(PROBLEMS_SHOWN_MAX).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.0.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
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
    fn refuse(&mut self, span: Range<usize>, message: impl Into<String>) {
        let before = &self.text[..self.text.floor_char_boundary(span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.problems.push(FileProblem {
            file: self.name.to_owned(),
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            message: message.into(),
        });
    }

    fn people(&mut self) -> Vec<Person> {
        let document = match DeTable::parse(self.text) {
            Ok(document) => document.into_inner(),
            Err(error) => {
                self.refuse(error.span().unwrap_or(0..0), error.message().trim_end());
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
                let message =
                    format!("`{login}` is not a table: write [LOGIN] before the keys of a person");
                self.refuse(key.span(), message);
                continue;
            };
            let line = 1 + self.text[..key.span().start].matches('\n').count();
            if let Some(first) = first_lines.insert(login.to_lowercase(), line) {
                let message = format!(
                    "the login `{login}` is in line {first} already: login names are compared without \
                     case"
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
            self.refuse(span.clone(), error.to_string());
        }
        let is_nested = |value: &DeValue<'_>| matches!(value, DeValue::Table(_));
        if !table.contains_key("password")
            && !table.is_empty()
            && table.values().all(|value| is_nested(value.get_ref()))
        {
            let message = format!(
                "`{login}` has no password; write a login with a dot in quotes: [\"{login}.…\"]"
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
                ("password", _) => self.refuse(at, "`password` must be a text in quotes"),
                ("disabled", DeValue::Boolean(disabled)) => is_disabled = *disabled,
                ("disabled", _) => self.refuse(at, "`disabled` must be true or false"),
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
            self.refuse(span.clone(), format!("`{login}` has no password"));
        }
        let subject = login.to_lowercase().parse::<Subject>();
        if let Err(error) = &subject {
            self.refuse(span, error.to_string());
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

fn invalid_hash_message(error: InvalidHash) -> String {
    let remedy = match error {
        InvalidHash::TooCostly => "at most m=1048576 with m·t ≤ 4194304, and cost 16 for bcrypt",
        _ => "`menshen passwd` prints one",
    };
    format!("this password cannot be used: {error}; {remedy}")
}

enum InvalidField {
    Key(String),
    Value(String),
}

/// The value of any key except `password` and `disabled`.
fn field(name: &str, value: &DeValue<'_>) -> Result<Value, InvalidField> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_allowed) {
        let message = format!("the key `{name}` must be letters, digits and _, at most 64");
        return Err(InvalidField::Key(message));
    }
    if TEXT_FIELDS.contains(&name) {
        return match value {
            DeValue::String(text) => Ok(Value::from(&**text)),
            _ => {
                let message = format!("`{name}` must be a text in quotes");
                Err(InvalidField::Value(message))
            }
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
        let message = format!("`{name}` must be a list of texts: [\"…\", \"…\"]");
        return texts.map(Value::Array).ok_or(InvalidField::Value(message));
    }
    if is_fixed_field(name) {
        let message = format!("`{name}` cannot be set in a people file");
        return Err(InvalidField::Key(message));
    }
    json(value, NESTED_MAX).ok_or_else(|| {
        let message = format!("the value of `{name}` cannot be used: it is nested, or no number");
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
