//! The SQLSTATE codes of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use std::borrow::Cow;

use sqlx::postgres::PgDatabaseError;

/// What an error means to an operator; nothing when only the log can say it.
pub(in crate::store) fn cause(error: &sqlx::Error) -> Option<&'static str> {
    if matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_)) {
        return Some("the database cannot be reached");
    }
    let sqlx::Error::Database(error) = error else {
        return None;
    };
    error.try_downcast_ref::<PgDatabaseError>()?;
    match error.code().as_deref()? {
        "53100" => Some("the disk is full"),
        "53300" => Some("the database has no connection left"),
        "25006" => Some("it is read-only"),
        "58030" | "XX001" | "XX002" => Some("the disk fails or a table is damaged"),
        "42501" => Some("the database user lacks a permission"),
        "57P01" | "57P02" | "57P03" => Some("the database restarts"),
        "57014" | "55P03" | "25P03" => Some("no answer in time"),
        "42P01" | "42703" => Some("it is not a store of this version"),
        code if code.starts_with("28") => Some("the database refuses the user or the password"),
        code if code.starts_with("08") => Some("the database cannot be reached"),
        _ => None,
    }
}

/// Whether the database refuses the record: its data is invalid, against a constraint or too long.
pub(in crate::store) fn refuses_record(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    let is_own = error.try_downcast_ref::<PgDatabaseError>().is_some();
    let code = error.code().unwrap_or_default();
    is_own
        && ["22", "23", "54"]
            .iter()
            .any(|class| code.starts_with(class))
}

/// Whether a table does not exist.
pub(super) fn is_undefined_table(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    error.code() == Some(Cow::Borrowed("42P01"))
}
