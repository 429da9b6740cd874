//! The result codes of SQLite (<https://sqlite.org/rescode.html>).

use sqlx::sqlite::SqliteError;

use crate::wording::Text;

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
pub(in crate::store) fn cause(error: &sqlx::Error) -> Option<Text> {
    match primary(error)? {
        BUSY | 6 => Some(Text::fixed(
            "another process holds the lock",
            "别的进程持有锁",
        )),
        8 => Some(Text::fixed("it is read-only", "它是只读的")),
        10 => Some(Text::fixed(
            "the disk fails (I/O error)",
            "磁盘出错（I/O 错误）",
        )),
        11 | 26 => Some(Text::fixed("the file is damaged", "文件已损坏")),
        13 => Some(Text::fixed("the disk is full", "磁盘已满")),
        14 => Some(Text::fixed("the file cannot be opened", "无法打开文件")),
        _ => None,
    }
}
