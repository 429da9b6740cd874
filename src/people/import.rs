//! Parses people to import, from CSV with a header or from JSON. Every bad line is reported.

use std::collections::HashMap;

use serde::Deserialize;

use super::directory_fields::TEXT_CHARS_MAX;
use super::normalized_fields;
use crate::store::{ConnectorId, IMPORTED_MAX, ImportedPerson, LinkField, LoginName, Subject};
use crate::text;
use crate::wording::Text;

pub(super) mod csv;

/// The names of the columns of a CSV file, and of the fields of a JSON object.
const COLUMNS: [&str; 6] = ["login", "name", "email", "mobile", "connector", "subject"];

/// The most problems that are reported.
const PROBLEMS_MAX: usize = 1_000;

/// Why a file is refused; those of local people are refused for the same reasons.
pub(super) const NOT_UTF_8: Text = Text::fixed(
    "not UTF-8: save the file as UTF-8",
    "不是 UTF-8：请把文件保存为 UTF-8",
);
pub(super) const EMPTY_FILE: Text = Text::fixed(
    "the file is empty: the first line names the columns",
    "文件是空的：第一行应写列名",
);
pub(super) const NO_LOGIN_COLUMN: Text =
    Text::fixed("the header has no column \"login\"", "第一行没有“login”列");

/// Why a record of a CSV file is refused.
pub(super) fn other_number_of_fields(found: usize, expected: usize) -> Text {
    text!(
        "{found} fields instead of {expected}",
        "有 {found} 个字段，应为 {expected} 个"
    )
}

/// People to import, each with its line in a CSV file or its place in a JSON array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub people: Vec<ImportedPerson>,
    /// The line of each person.
    pub lines: Vec<usize>,
}

/// Why a line cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineProblem {
    /// The line in a CSV file, or the place in a JSON array; both count from 1.
    pub line: usize,
    pub why: Text,
}

/// A person as the file gives it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Row {
    login: String,
    name: Option<String>,
    email: Option<String>,
    mobile: Option<String>,
    connector: Option<String>,
    subject: Option<String>,
}

/// A line, and its row or why there is none.
type NumberedRow = (usize, Result<Row, Text>);

impl Import {
    /// Parses a CSV file (RFC 4180, UTF-8, with a header) or a JSON array of objects. `is_known` says
    /// whether a connector exists.
    ///
    /// # Errors
    /// All lines that cannot be imported, in their order.
    pub fn parse(
        text: &[u8],
        is_known: impl Fn(&ConnectorId) -> bool,
    ) -> Result<Self, Vec<LineProblem>> {
        let text = as_utf8(text)?;
        let rows = match text.trim_start().starts_with(['[', '{']) {
            true => json_rows(text)?,
            false => csv_rows(text)?,
        };
        if rows.len() > IMPORTED_MAX {
            let why = text!(
                "more than {IMPORTED_MAX} people: split the file",
                "超过 {IMPORTED_MAX} 人：请分成几个文件"
            );
            return Err(problem(1, why));
        }
        Self::from_rows(rows, is_known)
    }

    fn from_rows(
        rows: Vec<NumberedRow>,
        is_known: impl Fn(&ConnectorId) -> bool,
    ) -> Result<Self, Vec<LineProblem>> {
        let mut logins = HashMap::new();
        let mut subjects = HashMap::new();
        let people = rows.into_iter().map(|(line, row)| {
            let person = row
                .and_then(|row| person(row, &is_known))
                .and_then(|person| {
                    let what = Text::fixed("the login", "登录名");
                    unique(&mut logins, person.login.folded(), line, &what)?;
                    if let Some((connector, Some(subject))) = &person.expected {
                        let identity = (connector.clone(), subject.clone());
                        let what = Text::fixed("the subject", "subject ");
                        unique(&mut subjects, identity, line, &what)?;
                    }
                    Ok(person)
                });
            (line, person)
        });
        let (lines, people) = without_problems(people)?;
        Ok(Self { people, lines })
    }
}

pub(super) fn problem(line: usize, why: Text) -> Vec<LineProblem> {
    vec![LineProblem { line, why }]
}

/// The text of a file, without a byte order mark.
pub(super) fn as_utf8(file: &[u8]) -> Result<&str, Vec<LineProblem>> {
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        problem(line, NOT_UTF_8)
    })
}

/// The line of each person, and the people.
///
/// # Errors
/// All lines without a person, at most [`PROBLEMS_MAX`].
pub(super) fn without_problems<P>(
    people: impl Iterator<Item = (usize, Result<P, Text>)>,
) -> Result<(Vec<usize>, Vec<P>), Vec<LineProblem>> {
    let (mut lines, mut found, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for (line, person) in people {
        match person {
            Ok(person) => {
                lines.push(line);
                found.push(person);
            }
            Err(why) => problems.push(LineProblem { line, why }),
        }
    }
    problems.truncate(PROBLEMS_MAX);
    match problems.is_empty() {
        true => Ok((lines, found)),
        false => Err(problems),
    }
}

fn unique<K: Eq + std::hash::Hash>(
    seen: &mut HashMap<K, usize>,
    key: K,
    line: usize,
    what: &Text,
) -> Result<(), Text> {
    match seen.insert(key, line) {
        Some(first) => Err(text!(
            "{what} is in line {first} already",
            "{what:#}已出现在第 {first} 行"
        )),
        None => Ok(()),
    }
}

fn json_rows(text: &str) -> Result<Vec<NumberedRow>, Vec<LineProblem>> {
    let values: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| {
        let why = text!(
            "not a JSON array of objects: {error}",
            "不是由对象组成的 JSON 数组：`{error}`"
        );
        problem(error.line().max(1), why)
    })?;
    let row = |value| {
        let row = serde_json::from_value(value);
        row.map_err(|error| text!("{error}", "对象不正确：`{error}`"))
    };
    Ok(values
        .into_iter()
        .enumerate()
        .map(|(at, value)| (at + 1, row(value)))
        .collect())
}

fn csv_rows(text: &str) -> Result<Vec<NumberedRow>, Vec<LineProblem>> {
    let mut records = csv::records(text);
    let Some((line, header)) = records.next() else {
        return Err(problem(1, EMPTY_FILE));
    };
    let header = header.map_err(|why| problem(line, why))?;
    let header: Vec<_> = header
        .iter()
        .map(|name| name.trim().to_lowercase())
        .collect();
    for (at, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name.as_str()) || header[..at].contains(name) {
            let known = COLUMNS.join(", ");
            let why = text!(
                "the column \"{name}\" is unknown or there twice; known are {known}",
                "列“{name}”未知，或出现了两次；可用的列：{known}"
            );
            return Err(problem(line, why));
        }
    }
    if !header.iter().any(|name| name == "login") {
        return Err(problem(line, NO_LOGIN_COLUMN));
    }
    let row = |record: Result<Vec<String>, Text>| {
        let record = record?;
        if record.len() != header.len() {
            return Err(other_number_of_fields(record.len(), header.len()));
        }
        let mut row = Row::default();
        for (name, value) in header.iter().zip(record) {
            match name.as_str() {
                "login" => row.login = value,
                "name" => row.name = Some(value),
                "email" => row.email = Some(value),
                "mobile" => row.mobile = Some(value),
                "connector" => row.connector = Some(value),
                _ => row.subject = Some(value),
            }
        }
        Ok(row)
    };
    // One more than allowed shows that there are too many.
    let rows = records.take(IMPORTED_MAX + 1);
    Ok(rows.map(|(line, record)| (line, row(record))).collect())
}

fn person(row: Row, is_known: impl Fn(&ConnectorId) -> bool) -> Result<ImportedPerson, Text> {
    let login = LoginName::try_from(row.login).map_err(|error| Text::of(&error))?;
    let name = text("name", row.name)?;
    let email = text("email", row.email)?;
    let mobile = text("mobile", row.mobile)?;
    let connector = text("connector", row.connector)?;
    let subject = text("subject", row.subject)?;
    let connector = connector
        .map(|id| match id.parse() {
            Ok(connector) if is_known(&connector) => Ok(connector),
            Ok(_) | Err(_) => Err(text!("there is no connector \"{id}\"", "没有认证源“{id}”")),
        })
        .transpose()?;
    let subject = subject
        .map(|subject| Subject::try_from(subject).map_err(|error| Text::of(&error)))
        .transpose()?;
    let expected = match (connector, subject) {
        (Some(connector), subject) => Some((connector, subject)),
        (None, None) => None,
        (None, Some(_)) => {
            return Err(Text::fixed(
                "a subject needs its connector",
                "写了 subject 就必须写认证源",
            ));
        }
    };
    Ok(ImportedPerson {
        login,
        vouched: vouched(email.as_deref(), mobile.as_deref()),
        name,
        email,
        mobile,
        expected,
    })
}

/// A field without white space at its ends; an empty one is absent.
fn text(field: &str, value: Option<String>) -> Result<Option<String>, Text> {
    let Some(value) = value else { return Ok(None) };
    let value = value.trim();
    if value.chars().count() > TEXT_CHARS_MAX || value.chars().any(char::is_control) {
        return Err(text!(
            "{field} is longer than {TEXT_CHARS_MAX} characters or has control characters",
            "{field} 超过 {TEXT_CHARS_MAX} 个字符，或含有控制字符"
        ));
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// E-mail address and mobile number as they are compared when an identity is linked.
pub(super) fn vouched(email: Option<&str>, mobile: Option<&str>) -> Vec<(LinkField, String)> {
    let fields = [(LinkField::Email, email), (LinkField::Mobile, mobile)];
    let fields: Vec<_> = fields
        .into_iter()
        .filter_map(|(field, value)| Some((field, value?.to_owned())))
        .collect();
    normalized_fields(&fields)
}

#[cfg(test)]
mod tests;
