//! The result codes of SQLite (<https://sqlite.org/rescode.html>).

use sqlx::sqlite::SqliteError;

const BUSY: i32 = 5;

/// The primary code of an error, whatever its extended code; nothing for an error that is not SQLite's.
fn primary(error: &sqlx::Error) -> Option<i32> {
    let sqlx::Error::Database(error) = error else {
        return None;
    };
    let error = error.try_downcast_ref::<SqliteError>()?;
    let code = sqlx::error::DatabaseError::code(error)?
        .parse::<i32>()
        .ok()?;
    Some(code & 0xff)
}

/// Whether another process holds the lock.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    primary(error) == Some(BUSY)
}

/// What an error means to an operator; nothing when only the log can say it.
pub(in crate::store) fn cause(error: &sqlx::Error) -> Option<&'static str> {
    match primary(error)? {
        BUSY | 6 => Some("another process holds the lock"),
        8 => Some("it is read-only"),
        10 => Some("the disk fails (I/O error)"),
        11 | 26 => Some("the file is damaged"),
        13 => Some("the disk is full"),
        14 => Some("the file cannot be opened"),
        _ => None,
    }
}
