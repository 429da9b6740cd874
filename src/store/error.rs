//! `StoreError`: why an operation of the store failed.

use std::io;
use std::path::PathBuf;

use super::postgres::{self, ServerError};
use super::sqlite;
use crate::text;
use crate::wording::{Text, error_of_text, full_path};

/// Why an operation failed. Contains no personal data, except [`Self::NoAccount`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened or migrated.
    #[error("open the store {url}")]
    Open {
        /// Without credentials.
        url: String,
        #[source]
        source: sqlx::Error,
    },
    /// The file of the database does not exist and could not be created.
    #[error(transparent)]
    Create(FileCreateError),
    /// The server or its database cannot be used as it is.
    #[error(transparent)]
    Server(Box<ServerError>),
    /// The tables were written by a later version; they are not changed.
    #[error(
        "the store {url} was written by a newer menshen: tables {found}, this one knows {supported}"
    )]
    NewerSchema {
        /// Without credentials.
        url: String,
        /// The version of the tables in the store.
        found: i64,
        /// The latest version of the tables that this program knows.
        supported: i64,
    },
    /// The tables have an older schema and are opened read-only, so they cannot be migrated.
    #[error(
        "the store {url} was written by an older menshen: tables {found}, this one knows {supported}; \
         `menshen run` brings it up to date"
    )]
    OlderSchema {
        /// Without credentials.
        url: String,
        /// The version of the tables in the store.
        found: i64,
        /// The version of the tables that this program requires.
        supported: i64,
    },
    /// The file is a database of another program; it is not changed.
    #[error("the store {url} belongs to another program")]
    OtherProgram {
        /// Without credentials.
        url: String,
    },
    /// The database reported an error.
    #[error("{operation} in the store")]
    Failed {
        operation: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// The opened file was deleted or replaced: writes to it would be lost.
    #[error(
        "the store's file {} was taken away or replaced: put it back, or restart menshen",
        full_path(path)
    )]
    FileReplaced { path: PathBuf },
    /// The log of revocations could not be read for longer than `[session] store_outage_grace`.
    #[error("the store has not answered for {for_s} s")]
    Outage { for_s: u64 },
    /// menshen cannot have written the record.
    #[error("the store holds a damaged {record}")]
    Damaged {
        /// The kind of the record.
        record: &'static str,
    },
    /// The account does not exist.
    #[error("there is no account {account}")]
    NoAccount { account: super::AccountId },
    /// The database did not respond in time.
    #[error("{operation} in the store: no answer in time")]
    TimedOut { operation: &'static str },
    /// Writes are refused, because one failed a moment ago.
    #[error("writes to the store fail: {cause}")]
    WritesFail {
        /// A short description, as in [`StoreError::cause`].
        cause: &'static str,
    },
}

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
            "cannot create {path}: {error}; the folder must exist and be writable for the user that menshen \
             runs as",
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
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Open { source, .. } | Self::Failed { source, .. } => cause(source),
            Self::Create(_) => "its file cannot be created",
            Self::Server(error) => error.problem.cause(),
            Self::NewerSchema { .. } | Self::OlderSchema { .. } | Self::OtherProgram { .. } => {
                "it is not a store of this version"
            }
            Self::NoAccount { .. } => "there is no such account",
            Self::FileReplaced { .. } => "its file was taken away or replaced",
            Self::Outage { .. } | Self::TimedOut { .. } => "no answer in time",
            Self::Damaged { .. } => "a record is damaged",
            Self::WritesFail { cause } => cause,
        }
    }
}

fn cause(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::PoolTimedOut => "no answer in time",
        error => sqlite::cause(error)
            .or_else(|| postgres::cause(error))
            .unwrap_or("the log says why"),
    }
}
