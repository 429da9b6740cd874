//! Reads a text: all its problems in one run, and the value of what remains without them.

use serde::de::DeserializeOwned;

use super::document::{Document, OwnedStep, Reason};
use super::error::Problem;
use super::parse_error::value_problem;
use super::syntax;
use super::text::ConfigText;

/// The most values that are taken out of a document until it fits.
const PASSES_MAX: usize = 200;
/// The value in place of an `external_url` that cannot be used, so that everything else is checked nevertheless.
const NO_EXTERNAL_URL: &str = "https://menshen.invalid";
/// Tables whose tables or items do not need each other.
const TABLES_OF_ENTRIES: [&str; 3] = ["connector", "issuer", "route"];

/// What was read of a text.
pub(super) struct Read<T> {
    /// The text, with the values that remain.
    pub(super) source: ConfigText,
    /// The value without everything that `problems` names. Absent: nothing can be made of the rest.
    pub(super) value: Option<T>,
    pub(super) problems: Vec<Problem>,
}

/// Reads a value of a text. Whatever does not fit is taken out, and the rest is read again, until it fits.
pub(super) fn read<T: DeserializeOwned>(text: &str, name: &str) -> Read<T> {
    let mut reader = match Document::parse(text) {
        Ok(document) => Reader {
            source: ConfigText::new(text, name, document),
            problems: Vec::new(),
            filled_in: Vec::new(),
        },
        Err(error) => {
            let source = ConfigText::new(text, name, Document::default());
            let problems = syntax::problems(&source, &error);
            return Read {
                source,
                value: None,
                problems,
            };
        }
    };
    let value = reader.read();
    Read {
        source: reader.source,
        value,
        problems: reader.problems,
    }
}

struct Reader {
    source: ConfigText,
    problems: Vec<Problem>,
    /// Values that stand for keys which are missing, to find what else is missing in the same table.
    filled_in: Vec<FilledIn>,
}

/// A value that stands for a key which is missing.
struct FilledIn {
    table: Vec<OwnedStep>,
    key: &'static str,
    /// The number of its type, for [`Document::fill_in`].
    number: usize,
}

impl Reader {
    fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        for _ in 0..PASSES_MAX {
            let error = match T::deserialize(self.source.document.root()) {
                Ok(value) if self.filled_in.is_empty() => return Some(value),
                Ok(_) => {
                    for filled_in in std::mem::take(&mut self.filled_in) {
                        self.take_out_around(&filled_in.table);
                    }
                    continue;
                }
                Err(error) => error,
            };
            let (path, problem) = (error.path(), value_problem(&self.source, &error));
            let can_continue = match error.reason {
                _ if self.is_filled_in(&path) => self.fill_in_another(&path),
                Reason::Missing(key) => {
                    let mut missing = path.clone();
                    missing.push(OwnedStep::Key(key.to_owned()));
                    // A value that was taken out is missing, but not in the text.
                    let is_known = self.source.document.was_taken_out(&missing);
                    if !is_known {
                        self.problems.push(problem);
                    }
                    self.go_on_without(&path, key, is_known)
                }
                reason => {
                    // A list whose items were taken out may only be empty because of that.
                    if !self.source.document.has_lost_values_in(&path) {
                        self.problems.push(problem);
                    }
                    let document = self.source.document_mut();
                    match reason {
                        // Some types read their keys themselves; the path is that of the whole value.
                        Reason::UnknownKey { written, .. }
                            if path.last().is_some_and(|last| last.is_key(&written)) =>
                        {
                            document.take_out_unknown_key(&path)
                        }
                        _ => document.take_out(&path),
                    }
                }
            };
            if !can_continue {
                return None;
            }
        }
        None
    }

    /// Continues without a key that its table needs. Returns whether this is possible.
    fn go_on_without(&mut self, table: &[OwnedStep], key: &'static str, is_known: bool) -> bool {
        if table.is_empty() {
            return false;
        }
        if table.len() == 1 && key == "external_url" {
            let document = self.source.document_mut();
            document.fill_in_text(table, key, NO_EXTERNAL_URL);
            document.mark_incomplete(table);
            return true;
        }
        if is_known {
            return self.take_out_around(table);
        }
        self.filled_in.push(FilledIn {
            table: table.to_vec(),
            key,
            number: 0,
        });
        self.source.document_mut().fill_in(table, key, 0)
    }

    /// Whether a value was filled in at this path, or around it.
    fn is_filled_in(&self, path: &[OwnedStep]) -> bool {
        self.filled_in
            .iter()
            .any(|filled_in| filled_in.is_around(path))
    }

    /// Tries a value of another type in the place of one that was filled in and does not fit. If none fits, takes
    /// out the table around it.
    fn fill_in_another(&mut self, path: &[OwnedStep]) -> bool {
        let mut filled_in = self.filled_in.iter_mut();
        let Some(found) = filled_in.find(|filled_in| filled_in.is_around(path)) else {
            return false;
        };
        found.number += 1;
        let (table, key, number) = (found.table.clone(), found.key, found.number);
        self.source.document_mut().fill_in(&table, key, number) || self.take_out_around(&table)
    }

    /// Takes out a table that lacks something, or the connector, issuer or route that it belongs to. Returns
    /// whether it was there.
    fn take_out_around(&mut self, table: &[OwnedStep]) -> bool {
        let is_entry = |step: &OwnedStep| TABLES_OF_ENTRIES.iter().any(|name| step.is_key(name));
        let entry = match table {
            [first, _, ..] if is_entry(first) => &table[..2],
            table => table,
        };
        self.filled_in
            .retain(|filled_in| !filled_in.table.starts_with(entry));
        self.source.document_mut().take_out(entry)
    }
}

impl FilledIn {
    fn is_around(&self, path: &[OwnedStep]) -> bool {
        path.strip_prefix(self.table.as_slice())
            .and_then(<[_]>::first)
            .is_some_and(|step| step.is_key(self.key))
    }
}
