//! Parses local people to import, from CSV with a header, from JSON, or from a file of `htpasswd`. Every bad
//! line is reported.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::fields::{LIST_FIELDS, TEXT_FIELDS};
use super::{LocalPersonChange, subject_of};
use crate::people::import::{LineProblem, as_utf8, csv, problem, without_problems};
use crate::people::password_hash::PasswordHash;
use crate::secret::Secret;
use crate::store::LoginName;

/// The most people of one import. They are written in one transaction, for which logins wait.
pub const LOCAL_IMPORT_MAX: usize = 5_000;

/// The longest name of a column that an error shows, in bytes.
const NAME_BYTES_MAX: usize = 32;

/// Separates the elements of a list in a CSV file.
const LIST_SEPARATOR: char = ';';

/// People to import, each with its line in the file or its place in a JSON array.
#[derive(Debug)]
pub struct LocalImport {
    pub people: Vec<(LoginName, LocalPersonChange)>,
    /// The line of each person.
    pub lines: Vec<usize>,
}

/// A line, and its person or why there is none.
type NumberedPerson = (usize, Result<(LoginName, LocalPersonChange), String>);

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
            let why = format!("more than {LOCAL_IMPORT_MAX} people: split the file");
            return Err(problem(1, why));
        }
        Self::from_people(people)
    }

    fn from_people(people: Vec<NumberedPerson>) -> Result<Self, Vec<LineProblem>> {
        let mut first_lines = HashMap::new();
        let people = people.into_iter().map(|(line, person)| {
            let person = person.and_then(|person| {
                let subject = subject_of(person.0.as_str()).map_err(|error| error.to_string())?;
                match first_lines.insert(subject, line) {
                    Some(first) => Err(format!("the login is in line {first} already")),
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

fn htpasswd_person(line: &str) -> Result<(LoginName, LocalPersonChange), String> {
    let (login, hash) = line
        .split_once(':')
        .ok_or("not a line of htpasswd: login:hash")?;
    if !hash.starts_with("$2") {
        return Err("not a hash of bcrypt: `htpasswd -B` makes one".to_owned());
    }
    let change = LocalPersonChange {
        password_hash: Some(hash_of(hash)?),
        ..LocalPersonChange::default()
    };
    Ok((login_of(login)?, change))
}

fn json_people(text: &str) -> Result<Vec<NumberedPerson>, Vec<LineProblem>> {
    let people: Vec<Value> = serde_json::from_str(text).map_err(|error| {
        let why = "not a JSON array of objects".to_owned();
        problem(error.line().max(1), why)
    })?;
    let people = people.into_iter().zip(1..);
    Ok(people
        .map(|(person, place)| (place, json_person(person)))
        .collect())
}

fn json_person(person: Value) -> Result<(LoginName, LocalPersonChange), String> {
    let Value::Object(members) = person else {
        return Err("not an object".to_owned());
    };
    let (mut login, mut change) = (None, LocalPersonChange::default());
    for (name, value) in members {
        let text = || {
            value
                .as_str()
                .ok_or_else(|| format!("{name} must be a text"))
        };
        let boolean = || {
            let boolean = value.as_bool();
            boolean.ok_or_else(|| format!("{name} must be true or false"))
        };
        match name.as_str() {
            "login" => login = Some(login_of(text()?)?),
            _ if value.is_null() => {}
            "password" => change.password_hash = Some(hash_of(text()?)?),
            "disabled" => change.disabled = Some(boolean()?),
            "must_change" => change.must_change = Some(boolean()?),
            "attributes" => {
                let Value::Object(attributes) = value else {
                    return Err("attributes must be an object".to_owned());
                };
                add_attributes(&mut change.fields, attributes)?;
            }
            field if TEXT_FIELDS.contains(&field) || LIST_FIELDS.contains(&field) => {
                change.fields.insert(name, value);
            }
            _ => {
                let key = shown_name(&name).unwrap_or_else(|| "of a person".to_owned());
                return Err(format!("the key {key} is unknown"));
            }
        }
    }
    let login = login.ok_or("there is no login")?;
    Ok((login, checked(change)?))
}

/// Adds attributes to the fields of a person.
///
/// # Errors
/// One has the name of a field.
pub fn add_attributes(
    fields: &mut Map<String, Value>,
    attributes: Map<String, Value>,
) -> Result<(), String> {
    for (name, value) in attributes {
        if !super::fields::is_attribute(&name) {
            return Err(format!("{name} is a field and no attribute"));
        }
        fields.insert(name, value);
    }
    Ok(())
}

fn csv_people(text: &str) -> Result<Vec<NumberedPerson>, Vec<LineProblem>> {
    let mut records = csv::records(text);
    let Some((line, header)) = records.next() else {
        let why = "the file is empty: the first line names the columns".to_owned();
        return Err(problem(1, why));
    };
    let header = header.map_err(|why| problem(line, why.to_owned()))?;
    let header: Vec<_> = header
        .iter()
        .map(|name| name.trim().to_lowercase())
        .collect();
    check_header(&header).map_err(|why| problem(line, why))?;
    // One more than allowed shows that there are too many.
    let records = records.take(LOCAL_IMPORT_MAX + 1);
    let people = records.map(|(line, record)| {
        let person = record.map_err(str::to_owned);
        (line, person.and_then(|record| csv_person(&header, record)))
    });
    Ok(people.collect())
}

fn check_header(header: &[String]) -> Result<(), String> {
    const OTHERS: [&str; 4] = ["login", "password", "disabled", "must_change"];
    for (at, name) in header.iter().enumerate() {
        let mut known = OTHERS.iter().chain(&TEXT_FIELDS).chain(&LIST_FIELDS);
        if !known.any(|known| known == name) || header[..at].contains(name) {
            let known = [&OTHERS[..], &TEXT_FIELDS, &LIST_FIELDS]
                .concat()
                .join(", ");
            let column = shown_name(name).unwrap_or_else(|| format!("number {}", at + 1));
            return Err(format!(
                "the column {column} is unknown or there twice; known are {known}"
            ));
        }
    }
    match header.iter().any(|name| name == "login") {
        true => Ok(()),
        false => Err("the header has no column \"login\"".to_owned()),
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
) -> Result<(LoginName, LocalPersonChange), String> {
    if record.len() != header.len() {
        let (found, expected) = (record.len(), header.len());
        return Err(format!("{found} fields instead of {expected}"));
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
    let login = login.ok_or("there is no login")?;
    Ok((login, checked(change)?))
}

/// The change, if its fields can be stored: a field that is wrong is reported at its line.
fn checked(change: LocalPersonChange) -> Result<LocalPersonChange, String> {
    for (name, value) in &change.fields {
        super::fields::checked(name, value)?;
    }
    Ok(change)
}

fn boolean(name: &str, text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{name} must be true or false")),
    }
}

fn login_of(text: &str) -> Result<LoginName, String> {
    LoginName::try_from(text.to_owned()).map_err(|error| error.to_string())
}

/// A hash that can be verified.
fn hash_of(text: &str) -> Result<Secret<String>, String> {
    PasswordHash::parse_to_store(text)
        .map_err(|error| format!("the password: {error}; `menshen passwd` prints a hash"))?;
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests;
