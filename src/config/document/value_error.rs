//! `ValueError`: why a value of the document does not fit, and where.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Expected, Unexpected};

use crate::wording::Text;

/// A value that its type does not accept.
#[derive(Clone, Debug)]
pub(in crate::config) struct ValueError {
    pub(in crate::config) reason: Reason,
    /// The byte range of the value, or of its key. Absent: the whole document.
    pub(in crate::config) span: Option<Range<usize>>,
    /// From the inside out.
    steps: Vec<OwnedStep>,
}

/// A [`crate::setting::Step`] that owns its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum OwnedStep {
    Key(String),
    Item(usize),
}

#[derive(Clone, Debug)]
pub(in crate::config) enum Reason {
    UnknownKey {
        written: String,
        allowed: &'static [&'static str],
    },
    NoChoice {
        written: String,
        allowed: &'static [&'static str],
    },
    /// A key of the table that has no value.
    Missing(&'static str),
    WrongType {
        found: Found,
        expected: Text,
    },
    /// The type is right, but not the value. It may repeat the value only if it is a number.
    Other(Text),
}

/// The type of a value in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Found {
    Boolean,
    Integer(Option<i128>),
    Float,
    /// A text that holds a whole number.
    QuotedNumber,
    Text,
    Array,
    Table,
    Date,
    Other,
}

impl OwnedStep {
    /// The name of the key. Absent: an item of a list.
    pub(in crate::config) fn as_key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Item(_) => None,
        }
    }

    pub(in crate::config) fn is_key(&self, name: &str) -> bool {
        self.as_key() == Some(name)
    }
}

impl ValueError {
    fn new(reason: Reason) -> Self {
        Self {
            reason,
            span: None,
            steps: Vec::new(),
        }
    }

    /// The error of a value inside of another one, at this place.
    pub(super) fn inside(mut self, step: OwnedStep, span: &Range<usize>) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self.steps.push(step);
        self
    }

    /// The path of the value from the root; for [`Reason::Missing`], that of the table.
    pub(in crate::config) fn path(&self) -> Vec<OwnedStep> {
        self.steps.iter().rev().cloned().collect()
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.reason)
    }
}

impl std::error::Error for ValueError {}

impl de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Reason::Other(Text::of(&message)))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Reason::WrongType {
            found: Found::of(&unexpected),
            expected: Text::of(expected),
        })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(written: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(Reason::NoChoice {
            written: written.to_owned(),
            allowed,
        })
    }

    fn unknown_field(written: &str, allowed: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownKey {
            written: written.to_owned(),
            allowed,
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Reason::Missing(field))
    }
}

impl Found {
    fn of(unexpected: &Unexpected<'_>) -> Self {
        match unexpected {
            Unexpected::Bool(_) => Self::Boolean,
            Unexpected::Unsigned(number) => Self::Integer(Some((*number).into())),
            Unexpected::Signed(number) => Self::Integer(Some((*number).into())),
            Unexpected::Float(_) => Self::Float,
            Unexpected::Str(text) if text.parse::<i128>().is_ok() => Self::QuotedNumber,
            Unexpected::Str(_) | Unexpected::Char(_) => Self::Text,
            Unexpected::Seq => Self::Array,
            Unexpected::Map | Unexpected::StructVariant => Self::Table,
            Unexpected::Other("date") => Self::Date,
            Unexpected::Other("integer") => Self::Integer(None),
            _ => Self::Other,
        }
    }
}
