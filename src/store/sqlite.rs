//! `Sqlite`: the embedded store, one file on this machine.

use std::path::PathBuf;

use sqlx::SqlitePool;
use sqlx::pool::PoolConnection;

use super::{AccountId, StoreError};

mod accounts;
mod code;
mod maintenance;
mod once;
mod open;
mod opened_file;
mod revocations;
mod row;
mod schema;
mod sessions;
mod tokens;
mod url;
mod write;

pub(super) use code::cause;
pub use url::SqliteUrl;

use opened_file::OpenedFile;
use write::Write;

/// A store in one SQLite file: one connection writes, a few read beside it (WAL).
///
/// Several processes of one machine may share the file. A write that was answered survives the
/// end of the process; when the power fails the last moments may be lost, never the file
/// (`synchronous = NORMAL`).
#[derive(Debug)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    opened_file: OpenedFile,
    /// Keeps a database in memory alive.
    _memory: Option<sqlx::SqliteConnection>,
}

impl Sqlite {
    /// Opens the file, or an empty store in memory.
    ///
    /// A missing file is made (mode 0600), a missing directory is not. A file that is damaged, not
    /// ours, or written by a newer version is refused and left as it is.
    pub async fn open(url: &SqliteUrl) -> Result<Self, StoreError> {
        open::open(url).await
    }

    /// Opens a file to be read only, beside the process that serves with it. Memory is empty.
    ///
    /// What [`Sqlite::open`] refuses is refused, and a file of an older version, too.
    pub async fn open_read_only(url: &SqliteUrl) -> Result<Self, StoreError> {
        open::open_read_only(url).await
    }

    /// Waits for running questions and closes the file; every later question fails.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Begins a transaction; no other writes until it ends.
    async fn write(&self) -> Result<Write, Failure> {
        Write::begin(&self.writer, &self.opened_file).await
    }

    /// A connection that reads.
    async fn read(&self) -> Result<PoolConnection<sqlx::Sqlite>, Failure> {
        let mut connection = self.readers.acquire().await?;
        // Checked after it is opened: the pool may have opened it a moment ago, in another file.
        let checked = self.opened_file.check();
        if checked.is_err() {
            connection.close_on_drop();
        }
        checked.map(|()| connection)
    }
}

/// Why a question failed; [`ask`] adds which question it was.
#[derive(Debug)]
enum Failure {
    Sql(sqlx::Error),
    Damaged(&'static str),
    Moved(PathBuf),
    NoAccount(AccountId),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } => Self::Damaged("record"),
            error => Self::Sql(error),
        }
    }
}

/// Answers one question; the error says which question failed.
async fn ask<T>(
    question: &'static str,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, StoreError> {
    answer.await.map_err(|failure| match failure {
        Failure::Sql(source) => StoreError::Failed { question, source },
        Failure::Damaged(record) => StoreError::Damaged { record },
        Failure::NoAccount(account) => StoreError::NoAccount { account },
        Failure::Moved(path) => StoreError::Moved { path },
    })
}
