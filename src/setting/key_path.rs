//! `KeyPath`: names a value of the configuration by the keys and array indices that lead to it.

use std::fmt;

/// A path of keys and array indices, such as `route[2].allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath<'a>(Vec<Step<'a>>);

/// One element of a [`KeyPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value of a key in a table.
    Key(&'a str),
    /// The item of an array with this index.
    Item(usize),
}

impl<'a> KeyPath<'a> {
    /// The path of these keys from the root.
    pub fn of<const N: usize>(keys: [&'a str; N]) -> Self {
        Self(keys.into_iter().map(Step::Key).collect())
    }

    /// Appends a path that is relative to this one.
    pub fn join(mut self, below: Self) -> Self {
        self.0.extend(below.0);
        self
    }

    /// Appends a key.
    pub fn key(mut self, key: &'a str) -> Self {
        self.0.push(Step::Key(key));
        self
    }

    pub fn steps(&self) -> &[Step<'a>] {
        &self.0
    }

    /// Appends an array index.
    pub fn item(mut self, index: usize) -> Self {
        self.0.push(Step::Item(index));
        self
    }
}

impl fmt::Display for KeyPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
