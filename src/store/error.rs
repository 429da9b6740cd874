//! `StoreError`: why an operation of the store failed.

use std::io;
use std::path::PathBuf;

use super::postgres::{self, ServerError};
use super::sqlite;
use crate::text;
use crate::wording::{Text, error_of_text, full_path};

/// Why an operation failed. Contains no personal data, except [`Self::NoAccount`].
#[derive(Debug)]
pub enum StoreError {
    /// The database could not be opened or migrated.
    Open {
        /// Without credentials.
        url: String,
        source: sqlx::Error,
    },
    /// The file of the database does not exist and could not be created.
    Create(FileCreateError),
    /// The server or its database cannot be used as it is.
    Server(Box<ServerError>),
    /// The tables were written by a later version; they are not changed.
    NewerSchema {
        /// Without credentials.
        url: String,
        /// The version of the tables in the store.
        found: i64,
        /// The latest version of the tables that this program knows.
        supported: i64,
    },
    /// The tables have an older schema and are opened read-only, so they cannot be migrated.
    OlderSchema {
        /// Without credentials.
        url: String,
        /// The version of the tables in the store.
        found: i64,
        /// The version of the tables that this program requires.
        supported: i64,
    },
    /// The file is a database of another program; it is not changed.
    OtherProgram {
        /// Without credentials.
        url: String,
    },
    /// The database reported an error.
    Failed {
        operation: &'static str,
        source: sqlx::Error,
    },
    /// The opened file was deleted or replaced: writes to it would be lost.
    FileReplaced { path: PathBuf },
    /// The log of revocations could not be read for longer than `[session] store_outage_grace`.
    Outage { for_s: u64 },
    /// menshen cannot have written the record.
    Damaged {
        /// The kind of the record.
        record: &'static str,
    },
    /// The account does not exist.
    NoAccount { account: super::AccountId },
    /// The database did not respond in time.
    TimedOut { operation: &'static str },
    /// Writes are refused, because one failed a moment ago.
    WritesFail {
        /// A short description, as in [`StoreError::cause`].
        cause: Text,
    },
}

impl StoreError {
    fn text(&self) -> Text {
        match self {
            Self::Open { url, source } => {
                let why = reported(source);
                text!(
                    "open the store {url}: {why}",
                    "无法打开数据库 {url}：{why:#}"
                )
            }
            Self::Create(source) => Text::of(source),
            Self::Server(source) => Text::of(&**source),
            Self::NewerSchema {
                url,
                found,
                supported,
            } => text!(
                "the store {url} was written by a newer menshen: tables {found}, this one knows \
                 {supported}",
                "数据库 {url} 由更新版本的 menshen 写入：表的版本是 {found}，本程序只支持到 {supported}"
            ),
            Self::OlderSchema {
                url,
                found,
                supported,
            } => text!(
                "the store {url} was written by an older menshen: tables {found}, this one knows \
                 {supported}; `menshen run` brings it up to date",
                "数据库 {url} 由较旧版本的 menshen 写入：表的版本是 {found}，本程序需要 \
                 {supported}；`menshen run` 会升级它"
            ),
            Self::OtherProgram { url } => text!(
                "the store {url} belongs to another program",
                "数据库 {url} 属于别的程序"
            ),
            Self::Failed { operation, source } => {
                let why = reported(source);
                text!(
                    "{operation} in the store: {why}",
                    "数据库操作 `{operation}` 失败：{why:#}"
                )
            }
            Self::FileReplaced { path } => text!(
                "the store's file {} was taken away or replaced: put it back, or restart menshen",
                "数据库文件 {} 被移走或替换：请放回原处，或重启 menshen",
                full_path(path)
            ),
            Self::Outage { for_s } => text!(
                "the store has not answered for {for_s} s",
                "数据库已有 {for_s} 秒没有响应"
            ),
            Self::Damaged { record } => text!(
                "the store holds a damaged {record}",
                "数据库中有损坏的记录：`{record}`"
            ),
            Self::NoAccount { account } => {
                text!("there is no account {account}", "没有账号 {account}")
            }
            Self::TimedOut { operation } => text!(
                "{operation} in the store: no answer in time",
                "数据库操作 `{operation}` 没有按时得到响应"
            ),
            Self::WritesFail { cause } => text!(
                "writes to the store fail: {cause}",
                "写入数据库失败：{cause:#}"
            ),
        }
    }
}

error_of_text!(StoreError);

/// Why the file of a database could not be created.
#[derive(Debug)]
pub struct FileCreateError {
    pub path: PathBuf,
    pub error: io::Error,
}

impl FileCreateError {
    fn text(&self) -> Text {
        let (path, error) = (full_path(&self.path), &self.error);
        text!(
            "cannot create {path}: {error}; the folder must exist and be writable for the user that \
             menshen runs as",
            "无法创建 {path}：{error}；目录必须存在，运行 menshen 的用户必须可写"
        )
    }
}

error_of_text!(FileCreateError);

impl StoreError {
    /// Whether a retry returns the same error.
    pub fn is_definitive(&self) -> bool {
        matches!(self, Self::NoAccount { .. })
    }

    /// Whether the database refuses the record itself, as too long or against a constraint, or the stored
    /// one is damaged: a retry fails as well, and other records are not concerned.
    pub fn is_about_record(&self) -> bool {
        match self {
            Self::Failed { source, .. } => {
                sqlite::refuses_record(source) || postgres::refuses_record(source)
            }
            Self::Damaged { .. } | Self::NoAccount { .. } => true,
            _ => false,
        }
    }

    /// A short description for the health page, without details of this machine.
    pub fn cause(&self) -> Text {
        match self {
            Self::Open { source, .. } | Self::Failed { source, .. } => cause(source),
            Self::Create(_) => Text::fixed("its file cannot be created", "无法创建它的文件"),
            Self::Server(error) => error.problem.cause(),
            Self::NewerSchema { .. } | Self::OlderSchema { .. } | Self::OtherProgram { .. } => {
                Text::fixed("it is not a store of this version", "库中表的版本不符")
            }
            Self::NoAccount { .. } => Text::fixed("there is no such account", "没有这个账号"),
            Self::FileReplaced { .. } => Text::fixed(
                "its file was taken away or replaced",
                "它的文件被移走或替换",
            ),
            Self::Outage { .. } | Self::TimedOut { .. } => {
                Text::fixed("no answer in time", "没有按时得到响应")
            }
            Self::Damaged { .. } => Text::fixed("a record is damaged", "有记录已损坏"),
            Self::WritesFail { cause } => cause.clone(),
        }
    }
}

fn cause(error: &sqlx::Error) -> Text {
    known_cause(error).unwrap_or(Text::fixed("the log says why", "原因见日志"))
}

fn known_cause(error: &sqlx::Error) -> Option<Text> {
    match error {
        sqlx::Error::PoolTimedOut => Some(Text::fixed("no answer in time", "没有按时得到响应")),
        error => sqlite::cause(error).or_else(|| postgres::cause(error)),
    }
}

/// What the database reported. Its words are English.
fn reported(error: &sqlx::Error) -> Text {
    match known_cause(error) {
        Some(why) => text!("{error}", "{why:#}（`{error}`）"),
        None => text!("{error}", "`{error}`"),
    }
}
