//! `Sqlite`: the embedded store, one file on this machine.

use sqlx::SqlitePool;

use super::query_error::QueryError;
use super::sql::{Begin, Database, Transaction as _};
use super::{SessionKey, StoreError};
use crate::clock::Timestamp;

mod export;
mod maintenance;
mod open;
mod opened_file;
mod result_code;
mod schema;
mod transaction;
mod url;

pub(super) use export::Export;
pub(super) use result_code::{cause, refuses_record};
pub use url::SqliteUrl;

use opened_file::OpenedFile;
use transaction::Transaction;

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
}

impl Database for Sqlite {
    type Transaction = Transaction;

    const POSITION_FUNCTION: &'static str = "instr";

    async fn begin(&self, begin: Begin) -> Result<Transaction, QueryError> {
        match begin {
            Begin::Reading => Transaction::read(&self.readers, &self.opened_file).await,
            Begin::Writing | Begin::BesideRevocations | Begin::Revoking => {
                Transaction::write(&self.writer, &self.opened_file).await
            }
        }
    }

    async fn set_last_uses(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), QueryError> {
        let mut tx = self.begin(Begin::Writing).await?;
        for (key, at) in used {
            for sql in [
                "UPDATE menshen_session SET used_at = max(used_at, $2) WHERE key = $1",
                "UPDATE menshen_account SET seen_at = max(coalesce(seen_at, $2), $2) \
                 WHERE id = (SELECT account FROM menshen_session WHERE key = $1)",
            ] {
                tx.execute(sql, &[key.into(), (*at).into()]).await?;
            }
        }
        tx.commit().await
    }

    async fn delete_expired_rows(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, QueryError> {
        maintenance::delete_expired_rows(self, at, idle_before, max).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>, QueryError> {
        Ok(None)
    }

    /// Nothing is announced: the log is polled.
    async fn next_announcement(&self) {
        std::future::pending().await
    }
}
