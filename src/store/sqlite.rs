//! `Sqlite`: the embedded store, one file on this machine.

use sqlx::SqlitePool;
use sqlx::pool::PoolConnection;

use super::StoreError;
use super::query_error::{QueryError, run};
use super::row;

mod account_changes;
mod accounts;
mod closing;
mod coordination;
mod departments;
mod directory;
mod export;
mod maintenance;
mod open;
mod opened_file;
mod people_changes;
mod person_fields;
mod result_code;
mod revocations;
mod schema;
mod sessions;
mod subject_rename;
mod tokens;
mod transaction;
mod url;

pub(super) use export::Export;
pub(super) use result_code::cause;
pub use url::SqliteUrl;

use opened_file::OpenedFile;
use transaction::WriteTransaction;

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
    /// Creates a missing file (mode 0600), but no directory. Refuses a file that is damaged, belongs to
    /// another program or has a newer schema, and leaves it unchanged.
    pub async fn open(url: &SqliteUrl) -> Result<Self, StoreError> {
        open::open(url).await
    }

    /// Opens the file read-only while another process serves from it. A store in memory is empty.
    ///
    /// Refuses what [`Sqlite::open`] refuses, and a file with an older schema.
    pub async fn open_read_only(url: &SqliteUrl) -> Result<Self, StoreError> {
        open::open_read_only(url).await
    }

    /// Waits for running operations and closes the file; every later operation fails.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Begins a transaction and holds the write lock until it ends.
    async fn begin_write(&self) -> Result<WriteTransaction, QueryError> {
        WriteTransaction::begin(&self.writer, &self.opened_file).await
    }

    /// A read connection from the pool.
    async fn reader(&self) -> Result<PoolConnection<sqlx::Sqlite>, QueryError> {
        let mut connection = self.readers.acquire().await?;
        // The pool may have opened this connection just now, after the file was replaced.
        let checked = self.opened_file.check();
        if checked.is_err() {
            connection.close_on_drop();
        }
        checked.map(|()| connection)
    }
}
