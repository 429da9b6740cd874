//! `PeopleFile`: the people of a connector, read from a TOML file.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::FileProblems;
use crate::keys;
use crate::people::password_hash::PasswordHash;
use crate::secret::Secret;
use crate::store::Subject;
use crate::text;
use crate::wording::{Text, error_of_text, full_path};

mod parser;

use parser::Parser;

/// The longest file, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The most problems that one error names.
const PROBLEMS_SHOWN_MAX: usize = 10;

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
        let people = Parser::parse(text, name);
        let people = people.map_err(|problems| PeopleFileError::Invalid { problems })?;
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

#[cfg(test)]
mod tests;
