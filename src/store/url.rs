//! `StoreUrl`: the URL of the store in the configuration.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::sqlite::SqliteUrl;
use crate::setting::text_schema;

/// A database that menshen can use. Another kind is one variant here and one arm in
/// [`super::open`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreUrl {
    /// SQLite: a file on this machine, or memory.
    Sqlite(SqliteUrl),
}

/// Why a text is not a valid store URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// A database that a later version will support.
    #[error(
        "this version of menshen does not speak to PostgreSQL yet: write sqlite:///path/to/menshen.db"
    )]
    Postgres,
    /// Anything else.
    #[error("a store is sqlite:///path/to/menshen.db")]
    Unknown,
}

impl StoreUrl {
    /// A store that is empty when it is opened and lost when it is closed.
    pub const MEMORY: Self = Self::Sqlite(SqliteUrl::Memory);
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        match text.split_once(':') {
            Some(("sqlite", rest)) => SqliteUrl::parse(rest)
                .map(Self::Sqlite)
                .ok_or(StoreUrlError::Unknown),
            Some(("postgres" | "postgresql", _)) => Err(StoreUrlError::Postgres),
            Some(_) | None => Err(StoreUrlError::Unknown),
        }
    }
}

impl TryFrom<String> for StoreUrl {
    type Error = StoreUrlError;

    fn try_from(text: String) -> Result<Self, StoreUrlError> {
        text.parse()
    }
}

/// As it is written in the configuration, but without credentials.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => url.fmt(f),
        }
    }
}

text_schema! {
    StoreUrl: "sqlite:///path/to/menshen.db",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_a_later_version_is_refused_as_such() {
        for url in ["postgres://u:p@db/menshen", "postgresql://db/menshen"] {
            assert_eq!(url.parse::<StoreUrl>(), Err(StoreUrlError::Postgres));
        }
        for bad in [
            "",
            "sqlite:",
            "sqlite://",
            "sqlite:///",
            "sqlite:menshen.db",
            "sqlite:///menshen.db?mode=ro",
            "sqlite:///menshen%FF.db",
            "mysql://a",
            "/var/lib/menshen.db",
        ] {
            assert_eq!(
                bad.parse::<StoreUrl>(),
                Err(StoreUrlError::Unknown),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_file_and_memory_are_told_apart() {
        let file = |path: &str| Ok(StoreUrl::Sqlite(SqliteUrl::File(path.into())));
        for (url, is) in [
            ("sqlite:///var/lib/menshen.db", file("/var/lib/menshen.db")),
            ("sqlite://menshen.db", file("menshen.db")),
            ("sqlite:///a%20b%3F.db", file("/a b?.db")),
            ("sqlite::memory:", Ok(StoreUrl::MEMORY)),
            ("sqlite://:memory:", Ok(StoreUrl::MEMORY)),
        ] {
            assert_eq!(url.parse(), is, "{url}");
        }
        let shown = "sqlite:///var/lib/menshen.db".parse::<StoreUrl>();
        assert_eq!(shown.unwrap().to_string(), "sqlite:///var/lib/menshen.db");
        assert_eq!(StoreUrl::MEMORY.to_string(), "sqlite::memory:");
    }
}
