//! `SqliteUrl`: the location of a SQLite database.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// A `sqlite:` URL of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqliteUrl {
    /// `sqlite:///path/to/file`.
    File(PathBuf),
    /// `sqlite::memory:`, for tests.
    Memory,
}

impl SqliteUrl {
    /// Parses the part after `sqlite:`. Query parameters are refused: menshen chooses the options.
    pub(in crate::store) fn parse(rest: &str) -> Option<Self> {
        if matches!(rest, ":memory:" | "//:memory:") {
            return Some(Self::Memory);
        }
        let path = rest.strip_prefix("//").filter(|path| path.len() > 1)?;
        if path.contains('?') {
            return None;
        }
        // A path can contain a `?` only percent-encoded.
        let path = percent_decode_str(path).decode_utf8().ok()?;
        Some(Self::File(PathBuf::from(path.as_ref())))
    }
}

impl fmt::Display for SqliteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "sqlite://{}", path.display()),
            Self::Memory => f.write_str("sqlite::memory:"),
        }
    }
}
