//! The SQLSTATE codes of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use std::borrow::Cow;

use sqlx::postgres::PgDatabaseError;

use crate::wording::Text;

/// What an error means to an operator; nothing when only the log can say it.
pub(in crate::store) fn cause(error: &sqlx::Error) -> Option<Text> {
    if matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_)) {
        return Some(Text::fixed(
            "the database cannot be reached",
            "无法访问数据库",
        ));
    }
    let sqlx::Error::Database(error) = error else {
        return None;
    };
    error.try_downcast_ref::<PgDatabaseError>()?;
    match error.code().as_deref()? {
        "53100" => Some(Text::fixed("the disk is full", "磁盘已满")),
        "53300" => Some(Text::fixed(
            "the database has no connection left",
            "数据库的连接已用完",
        )),
        "25006" => Some(Text::fixed("it is read-only", "它是只读的")),
        "58030" | "XX001" | "XX002" => Some(Text::fixed(
            "the disk fails or a table is damaged",
            "磁盘出错，或表已损坏",
        )),
        "42501" => Some(Text::fixed(
            "the database user lacks a permission",
            "数据库用户权限不足",
        )),
        "57P01" | "57P02" | "57P03" => Some(Text::fixed("the database restarts", "数据库正在重启")),
        "57014" | "55P03" | "25P03" => Some(Text::fixed("no answer in time", "没有按时得到响应")),
        "42P01" | "42703" => Some(Text::fixed(
            "it is not a store of this version",
            "库中表的版本不符",
        )),
        code if code.starts_with("28") => Some(Text::fixed(
            "the database refuses the user or the password",
            "数据库拒绝了用户名或密码",
        )),
        code if code.starts_with("08") => Some(Text::fixed(
            "the database cannot be reached",
            "无法访问数据库",
        )),
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
