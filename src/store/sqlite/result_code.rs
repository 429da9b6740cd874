//! The result codes of SQLite (<https://sqlite.org/rescode.html>).

use sqlx::sqlite::SqliteError;

const BUSY: i32 = 5;

/// The primary result code of an error; `None` if the error is not SQLite's.
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

/// Whether the database refuses the record: it is too long, against a constraint or of another type.
pub(in crate::store) fn refuses_record(error: &sqlx::Error) -> bool {
    matches!(primary(error), Some(18..=20))
}

/// A short description for the health page; `None` for other codes.
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
