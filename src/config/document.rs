//! `Document`: the values of a TOML text with their places, from which the configuration is deserialized.
//!
//! Values that cannot be used are taken out one after the other, so that one run finds all problems
//! ([`super::read`]). The places of the other values do not change.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::setting::{KeyPath, Step};

mod deserialize;
mod leaves;
mod value_error;

pub(super) use leaves::Leaf;
pub(super) use value_error::{Found, OwnedStep, Reason, ValueError};

/// The values of a text. It may hold secrets, so it has no `Debug`.
#[derive(Clone, Default)]
pub(super) struct Document {
    root: Node,
    /// Paths of what was taken out because it cannot be used.
    taken_out: Vec<Vec<OwnedStep>>,
    /// Paths of keys that do not exist.
    unknown_keys: Vec<Vec<OwnedStep>>,
}

/// A value and its place in the text.
#[derive(Clone)]
pub(super) struct Node {
    value: Value,
    span: Range<usize>,
}

#[derive(Clone)]
enum Value {
    Text(String),
    /// `None`: it has more than 128 bits.
    Integer(Option<i128>),
    Float(f64),
    Boolean(bool),
    Date,
    Array(Vec<Node>),
    /// In the order of the text.
    Table(Vec<Entry>),
    /// An item of an array that was taken out; the others keep their numbers.
    TakenOut,
}

#[derive(Clone)]
struct Entry {
    key: String,
    key_span: Range<usize>,
    node: Node,
}

/// A part of `key = value`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let table = DeTable::parse(text)?;
        let span = table.span();
        Ok(Self {
            root: Node {
                value: Value::of(DeValue::Table(table.into_inner())),
                span,
            },
            taken_out: Vec::new(),
            unknown_keys: Vec::new(),
        })
    }

    /// The value from which a type is deserialized.
    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Whether nothing below this top-level key was taken out.
    pub(super) fn is_complete(&self, key: &str) -> bool {
        let is_below = |path: &Vec<OwnedStep>| path.first().is_some_and(|step| step.is_key(key));
        !self.taken_out.iter().any(is_below)
    }

    /// Whether exactly this value was taken out.
    pub(super) fn was_taken_out(&self, path: &[OwnedStep]) -> bool {
        self.taken_out.iter().any(|taken| taken == path)
    }

    /// Whether something at this path or below it was taken out, so that the value is not that of the text.
    pub(super) fn is_incomplete_at(&self, key_path: &KeyPath<'_>) -> bool {
        let mut taken = self.taken_out.iter().chain(&self.unknown_keys);
        taken.any(|taken| is_at_or_below(taken, key_path))
    }

    /// Whether a value at this path or below it was taken out. Keys that do not exist do not count.
    pub(super) fn has_lost_values(&self, key_path: &KeyPath<'_>) -> bool {
        let mut taken = self.taken_out.iter();
        taken.any(|taken| is_at_or_below(taken, key_path))
    }

    /// Whether a value below this path was taken out.
    pub(super) fn has_lost_values_in(&self, path: &[OwnedStep]) -> bool {
        let mut taken = self.taken_out.iter();
        taken.any(|taken| taken.len() > path.len() && taken.starts_with(path))
    }

    /// Notes that this value is not the one of the text.
    pub(super) fn mark_incomplete(&mut self, path: &[OwnedStep]) {
        self.taken_out.push(path.to_vec());
    }

    /// Takes out a key that does not exist. Returns whether it was there.
    pub(super) fn take_out_unknown_key(&mut self, path: &[OwnedStep]) -> bool {
        self.unknown_keys.push(path.to_vec());
        self.remove(path)
    }

    /// Takes out a value that cannot be used. Returns whether it was there.
    pub(super) fn take_out(&mut self, path: &[OwnedStep]) -> bool {
        self.taken_out.push(path.to_vec());
        self.remove(path)
    }

    fn remove(&mut self, path: &[OwnedStep]) -> bool {
        let Some((last, parents)) = path.split_last() else {
            return false;
        };
        let Some(parent) = self.root.descendant_mut(parents) else {
            return false;
        };
        match (last, &mut parent.value) {
            (OwnedStep::Key(name), Value::Table(entries)) => {
                let length = entries.len();
                entries.retain(|entry| entry.key != *name);
                entries.len() < length
            }
            (OwnedStep::Item(index), Value::Array(items)) => match items.get_mut(*index) {
                Some(item) => {
                    item.value = Value::TakenOut;
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// Writes a value of some type into a table that lacks it, at the place of the table. Returns whether there is
    /// a type with this number.
    pub(super) fn fill_in(&mut self, table: &[OwnedStep], key: &str, number: usize) -> bool {
        let value = match number {
            0 => Value::Text(String::new()),
            1 => Value::Integer(Some(1)),
            2 => Value::Boolean(false),
            3 => Value::Array(Vec::new()),
            _ => return false,
        };
        self.set(table, key, value);
        true
    }

    /// Writes a text into a table that lacks it.
    pub(super) fn fill_in_text(&mut self, table: &[OwnedStep], key: &str, text: &str) {
        self.set(table, key, Value::Text(text.to_owned()));
    }

    fn set(&mut self, table: &[OwnedStep], key: &str, value: Value) {
        let Some(node) = self.root.descendant_mut(table) else {
            return;
        };
        let span = node.span.clone();
        if let Value::Table(entries) = &mut node.value {
            entries.retain(|entry| entry.key != key);
            entries.push(Entry {
                key: key.to_owned(),
                key_span: span.clone(),
                node: Node { value, span },
            });
        }
    }

    /// The byte range of a value or its key; the error is that of the innermost table around it.
    pub(super) fn find(
        &self,
        key_path: &KeyPath<'_>,
        part: Part,
    ) -> Result<Range<usize>, Range<usize>> {
        let mut span = 0..0;
        let mut current = &self.root;
        for (index, step) in key_path.steps().iter().enumerate() {
            let is_last = index + 1 == key_path.steps().len();
            current = match (step, &current.value) {
                (Step::Key(name), Value::Table(entries)) => {
                    let entry = entries.iter().find(|entry| entry.key == *name);
                    let Entry { key_span, node, .. } = entry.ok_or(span)?;
                    // A value that is missing is reported at the key of the table around it, not at all
                    // lines of the table.
                    let is_around =
                        matches!(node.value, Value::Table(_) | Value::Array(_)) && !is_last;
                    span = match is_around || (is_last && part == Part::Key) {
                        true => key_span.clone(),
                        false => node.span.clone(),
                    };
                    node
                }
                (Step::Item(item), Value::Array(items)) => {
                    let is_there = |node: &&Node| !matches!(node.value, Value::TakenOut);
                    let node = items.iter().filter(is_there).nth(*item).ok_or(span)?;
                    span = node.span.clone();
                    node
                }
                _ => return Err(span),
            };
        }
        Ok(span)
    }
}

impl Default for Node {
    /// An empty table.
    fn default() -> Self {
        Self {
            value: Value::Table(Vec::new()),
            span: 0..0,
        }
    }
}

impl Node {
    fn of(value: toml::Spanned<DeValue<'_>>) -> Self {
        let span = value.span();
        Self {
            value: Value::of(value.into_inner()),
            span,
        }
    }

    fn descendant_mut(&mut self, path: &[OwnedStep]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |node, step| match (step, &mut node.value) {
                (OwnedStep::Key(name), Value::Table(entries)) => {
                    let mut entries = entries.iter_mut();
                    let entry = entries.find(|entry| entry.key == *name);
                    entry.map(|entry| &mut entry.node)
                }
                (OwnedStep::Item(index), Value::Array(items)) => items.get_mut(*index),
                _ => None,
            })
    }
}

impl Value {
    fn of(value: DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.into_owned()),
            DeValue::Integer(integer) => {
                Self::Integer(i128::from_str_radix(integer.as_str(), integer.radix()).ok())
            }
            DeValue::Float(float) => Self::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Self::Boolean(value),
            DeValue::Datetime(_) => Self::Date,
            DeValue::Array(items) => Self::Array(items.into_iter().map(Node::of).collect()),
            DeValue::Table(table) => {
                let entries = table.into_iter().map(|(key, value)| Entry {
                    key_span: key.span(),
                    key: key.into_inner().into_owned(),
                    node: Node::of(value),
                });
                let mut entries: Vec<_> = entries.collect();
                entries.sort_by_key(|entry| entry.key_span.start);
                Self::Table(entries)
            }
        }
    }
}
/// Whether a path is this key path, or below it.
fn is_at_or_below(path: &[OwnedStep], key_path: &KeyPath<'_>) -> bool {
    let steps = key_path.steps();
    let mut pairs = steps.iter().zip(path);
    path.len() >= steps.len()
        && pairs.all(|(step, taken)| match (step, taken) {
            (Step::Key(name), OwnedStep::Key(taken)) => name == taken,
            (Step::Item(index), OwnedStep::Item(taken)) => index == taken,
            _ => false,
        })
}
