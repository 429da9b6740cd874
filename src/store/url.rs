//! `StoreUrl`: the URL of the store in the configuration.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::postgres::{PostgresUrl, PostgresUrlError};
use super::sqlite::SqliteUrl;
use crate::setting::text_schema;
use crate::text;
use crate::wording::{Text, error_of_text};

/// A database that menshen can use. Another kind is one variant here and one arm in
/// [`super::open`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreUrl {
    /// SQLite: a file on this machine, or memory.
    Sqlite(SqliteUrl),
    /// PostgreSQL: shared by several nodes.
    Postgres(PostgresUrl),
}

/// Why a text is not a valid store URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrlError {
    /// It begins with `postgres:`, but the rest does not fit.
    Postgres(PostgresUrlError),
    /// Anything else.
    Unknown,
}

impl StoreUrlError {
    fn text(&self) -> Text {
        match self {
            Self::Postgres(error) => Text::of(error),
            Self::Unknown => text!(
                "a store is sqlite:///path/to/menshen.db or postgres://user@host:5432/database",
                "数据库应写成 sqlite:///路径/menshen.db 或 postgres://用户@主机:5432/数据库"
            ),
        }
    }
}

error_of_text!(StoreUrlError);

impl From<PostgresUrlError> for StoreUrlError {
    fn from(error: PostgresUrlError) -> Self {
        Self::Postgres(error)
    }
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
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(PostgresUrl::parse(text)?)),
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
            Self::Postgres(url) => url.fmt(f),
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
    fn a_postgresql_url_names_a_user_and_a_database_and_shows_no_password() {
        let url: StoreUrl =
            "postgres://gate:pass%20word@db.corp.example:5433/menshen?sslmode=require"
                .parse()
                .unwrap();
        let shown = "postgres://gate@db.corp.example:5433/menshen?sslmode=require";
        assert_eq!(url.to_string(), shown);
        assert!(!format!("{url:?}").contains("pass"));
        for (bad, why) in [
            ("postgres://db/menshen", PostgresUrlError::Shape),
            ("postgres://gate@db", PostgresUrlError::Shape),
            ("postgres://gate@db/", PostgresUrlError::Shape),
            (
                "postgres://gate@db/m?pool=3",
                PostgresUrlError::Parameter("pool".to_owned()),
            ),
            (
                "postgres://gate@db/m?sslmode=full",
                PostgresUrlError::SslMode("full".to_owned()),
            ),
        ] {
            let refused = bad.parse::<StoreUrl>().unwrap_err();
            assert_eq!(refused, StoreUrlError::Postgres(why), "{bad}");
        }
    }

    #[test]
    fn a_connection_to_another_machine_is_exposed_unless_its_certificate_is_checked() {
        for (url, is_exposed) in [
            ("postgres://gate@db.corp.example/m", false),
            (
                "postgres://gate@db.corp.example/m?sslmode=verify-full",
                false,
            ),
            ("postgres://gate@db.corp.example/m?sslmode=require", true),
            ("postgres://gate@db.corp.example/m?sslmode=disable", true),
            ("postgres://gate@127.0.0.1/m?sslmode=disable", false),
            ("postgres://gate@localhost/m", false),
            (
                "postgres://gate@db/m?host=/run/postgresql&sslmode=disable",
                false,
            ),
        ] {
            let StoreUrl::Postgres(url) = url.parse().unwrap() else {
                panic!("{url} is PostgreSQL");
            };
            assert_eq!(url.is_exposed(), is_exposed, "{url}");
        }
    }

    #[test]
    fn what_names_no_database_is_refused() {
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
