//! Parses local people to import, from CSV with a header, from JSON, or from a file of `htpasswd`. Every bad
//! line is reported.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fields::{LIST_FIELDS, TEXT_FIELDS};
use super::{LocalPersonChange, subject_of};
use crate::people::import::{
    EMPTY_FILE, LineProblem, NO_LOGIN_COLUMN, as_utf8, csv, other_number_of_fields, problem,
    without_problems,
};
use crate::people::password_hash::PasswordHash;
use crate::secret::Secret;
use crate::store::LoginName;
use crate::text;
use crate::wording::Text;

/// The most people of one import. They are written in one transaction, for which logins wait.
pub const LOCAL_IMPORT_MAX: usize = 5_000;

/// The longest name of a column that an error shows, in bytes.
const NAME_BYTES_MAX: usize = 32;

/// Separates the elements of a list in a CSV file.
const LIST_SEPARATOR: char = ';';

const NO_LOGIN: Text = Text::fixed("there is no login", "没有登录名");

/// People to import, each with its line in the file or its place in a JSON array.
#[derive(Debug)]
pub struct LocalImport {
    pub people: Vec<(LoginName, LocalPersonChange)>,
    /// The line of each person.
    pub lines: Vec<usize>,
}

/// A line, and its person or why there is none.
type NumberedPerson = (usize, Result<(LoginName, LocalPersonChange), Text>);

/// The format of an import.
enum Format {
    Csv,
    Json,
    Htpasswd,
}

impl LocalImport {
    /// # Errors
    /// All lines that cannot be imported, in their order. No password and no hash is part of them.
    pub fn parse(text: &[u8]) -> Result<Self, Vec<LineProblem>> {
        let text = as_utf8(text)?;
        let people = match format_of(text) {
            Format::Json => json_people(text)?,
            Format::Htpasswd => htpasswd_people(text),
            Format::Csv => csv_people(text)?,
        };
        if people.len() > LOCAL_IMPORT_MAX {
            let why = text!(
                "more than {LOCAL_IMPORT_MAX} people: split the file",
                "超过 {LOCAL_IMPORT_MAX} 人：请分成几个文件"
            );
            return Err(problem(1, why));
        }
        Self::from_people(people)
    }

    fn from_people(people: Vec<NumberedPerson>) -> Result<Self, Vec<LineProblem>> {
        let mut first_lines = HashMap::new();
        let people = people.into_iter().map(|(line, person)| {
            let person = person.and_then(|person| {
                let subject = subject_of(person.0.as_str()).map_err(|error| Text::of(&error))?;
                match first_lines.insert(subject, line) {
                    Some(first) => Err(text!(
                        "the login is in line {first} already",
                        "登录名已出现在第 {first} 行"
                    )),
                    None => Ok(person),
                }
            });
            (line, person)
        });
        let (lines, people) = without_problems(people)?;
        Ok(Self { people, lines })
    }
}

fn format_of(text: &str) -> Format {
    if text.trim_start().starts_with(['[', '{']) {
        return Format::Json;
    }
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    // A hash of any kind: in a header it would be the name of a column, which an error shows.
    match first.is_some_and(|line| line.contains(':') && !line.contains(',')) {
        true => Format::Htpasswd,
        false => Format::Csv,
    }
}

fn htpasswd_people(text: &str) -> Vec<NumberedPerson> {
    let lines = text.lines().zip(1..);
    let lines = lines.map(|(line, number)| (number, line.trim_end_matches('\r')));
    let entries = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let people = entries.take(LOCAL_IMPORT_MAX + 1).map(|(number, line)| {
        let person = htpasswd_person(line);
        (number, person)
    });
    people.collect()
}

fn htpasswd_person(line: &str) -> Result<(LoginName, LocalPersonChange), Text> {
    let (login, hash) = line.split_once(':').ok_or(Text::fixed(
        "not a line of htpasswd: login:hash",
        "不是 htpasswd 的一行：应为 登录名:哈希",
    ))?;
    if !hash.starts_with("$2") {
        return Err(Text::fixed(
            "not a hash of bcrypt: `htpasswd -B` makes one",
            "不是 bcrypt 哈希：`htpasswd -B` 可以生成",
        ));
    }
    let change = LocalPersonChange {
        password_hash: Some(hash_of(hash)?),
        ..LocalPersonChange::default()
    };
    Ok((login_of(login)?, change))
}

fn json_people(text: &str) -> Result<Vec<NumberedPerson>, Vec<LineProblem>> {
    let people: Vec<Value> = serde_json::from_str(text).map_err(|error| {
        let why = Text::fixed("not a JSON array of objects", "不是由对象组成的 JSON 数组");
        problem(error.line().max(1), why)
    })?;
    let people = people.into_iter().zip(1..);
    Ok(people
        .map(|(person, place)| (place, json_person(person)))
        .collect())
}

fn json_person(person: Value) -> Result<(LoginName, LocalPersonChange), Text> {
    let Value::Object(members) = person else {
        return Err(Text::fixed("not an object", "不是对象"));
    };
    let (mut login, mut change) = (None, LocalPersonChange::default());
    for (name, value) in members {
        let text = || value.as_str().ok_or_else(|| no_text(&name));
        let boolean = || value.as_bool().ok_or_else(|| no_boolean(&name));
        match name.as_str() {
            "login" => login = Some(login_of(text()?)?),
            _ if value.is_null() => {}
            "password" => change.password_hash = Some(hash_of(text()?)?),
            "disabled" => change.disabled = Some(boolean()?),
            "must_change" => change.must_change = Some(boolean()?),
            "attributes" => {
                let Value::Object(attributes) = value else {
                    return Err(Text::fixed(
                        "attributes must be an object",
                        "attributes 应为对象",
                    ));
                };
                add_attributes(&mut change.fields, attributes)?;
            }
            field if TEXT_FIELDS.contains(&field) || LIST_FIELDS.contains(&field) => {
                change.fields.insert(name, value);
            }
            _ => {
                return Err(match shown_name(&name) {
                    Some(key) => text!("the key {key} is unknown", "键 {key} 未知"),
                    None => Text::fixed("the key of a person is unknown", "有一个人员的键未知"),
                });
            }
        }
    }
    let login = login.ok_or(NO_LOGIN)?;
    Ok((login, checked(change)?))
}

/// Adds attributes to the fields of a person.
///
/// # Errors
/// One has the name of a field.
pub fn add_attributes(
    fields: &mut Map<String, Value>,
    attributes: Map<String, Value>,
) -> Result<(), Text> {
    for (name, value) in attributes {
        if !super::fields::is_attribute(&name) {
            return Err(text!(
                "{name} is a field and no attribute",
                "{name} 是字段，不是属性"
            ));
        }
        fields.insert(name, value);
    }
    Ok(())
}

fn csv_people(text: &str) -> Result<Vec<NumberedPerson>, Vec<LineProblem>> {
    let mut records = csv::records(text);
    let Some((line, header)) = records.next() else {
        return Err(problem(1, EMPTY_FILE));
    };
    let header = header.map_err(|why| problem(line, why))?;
    let header: Vec<_> = header
        .iter()
        .map(|name| name.trim().to_lowercase())
        .collect();
    check_header(&header).map_err(|why| problem(line, why))?;
    // One more than allowed shows that there are too many.
    let records = records.take(LOCAL_IMPORT_MAX + 1);
    let people =
        records.map(|(line, record)| (line, record.and_then(|record| csv_person(&header, record))));
    Ok(people.collect())
}

fn check_header(header: &[String]) -> Result<(), Text> {
    const OTHERS: [&str; 4] = ["login", "password", "disabled", "must_change"];
    for (at, name) in header.iter().enumerate() {
        let mut known = OTHERS.iter().chain(&TEXT_FIELDS).chain(&LIST_FIELDS);
        if !known.any(|known| known == name) || header[..at].contains(name) {
            let known = [&OTHERS[..], &TEXT_FIELDS, &LIST_FIELDS]
                .concat()
                .join(", ");
            let number = at + 1;
            let column = match shown_name(name) {
                Some(name) => text!("{name}", "列 {name} "),
                None => text!("number {number}", "第 {number} 列"),
            };
            return Err(text!(
                "the column {column} is unknown or there twice; known are {known}",
                "{column:#}未知，或出现了两次；可用的列：{known}"
            ));
        }
    }
    match header.iter().any(|name| name == "login") {
        true => Ok(()),
        false => Err(NO_LOGIN_COLUMN),
    }
}

/// The name of an unknown column or key in quotes, if it looks like a name: a file without a header has a person
/// there, with the hash of their password.
fn shown_name(name: &str) -> Option<String> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (is_plain && (1..=NAME_BYTES_MAX).contains(&name.len())).then(|| format!("\"{name}\""))
}

fn csv_person(
    header: &[String],
    record: Vec<String>,
) -> Result<(LoginName, LocalPersonChange), Text> {
    if record.len() != header.len() {
        return Err(other_number_of_fields(record.len(), header.len()));
    }
    let (mut login, mut change) = (None, LocalPersonChange::default());
    for (name, value) in header.iter().zip(record) {
        let value = value.trim();
        match name.as_str() {
            "login" => login = Some(login_of(value)?),
            // What is empty stays as it is.
            _ if value.is_empty() => {}
            "password" => change.password_hash = Some(hash_of(value)?),
            "disabled" => change.disabled = Some(boolean(name, value)?),
            "must_change" => change.must_change = Some(boolean(name, value)?),
            list if LIST_FIELDS.contains(&list) => {
                let items = value.split(LIST_SEPARATOR).map(Value::from);
                change.fields.insert(name.clone(), items.collect());
            }
            _ => {
                change.fields.insert(name.clone(), Value::from(value));
            }
        }
    }
    let login = login.ok_or(NO_LOGIN)?;
    Ok((login, checked(change)?))
}

/// The change, if its fields can be stored: a field that is wrong is reported at its line.
fn checked(change: LocalPersonChange) -> Result<LocalPersonChange, Text> {
    for (name, value) in &change.fields {
        super::fields::checked(name, value)?;
    }
    Ok(change)
}

fn boolean(name: &str, text: &str) -> Result<bool, Text> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(no_boolean(name)),
    }
}

fn no_boolean(name: &str) -> Text {
    text!("{name} must be true or false", "{name} 应为 true 或 false")
}

fn no_text(name: &str) -> Text {
    text!("{name} must be a text", "{name} 应为文本")
}

fn login_of(text: &str) -> Result<LoginName, Text> {
    LoginName::try_from(text.to_owned()).map_err(|error| Text::of(&error))
}

/// A hash that can be verified.
fn hash_of(text: &str) -> Result<Secret<String>, Text> {
    PasswordHash::parse_to_store(text).map_err(|error| {
        text!(
            "the password: {error}; `menshen passwd` prints a hash",
            "密码：{error:#}；`menshen passwd` 可以输出哈希"
        )
    })?;
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests;
