//! `WriteTransaction`: a transaction whose connection is reused only after a commit or rollback.
//!
//! A transaction can end in many ways: SQLite rolls it back when the disk is full, a commit can fail, and
//! a caller can drop its future between two statements. Closing the connection is safe in all cases:
//! SQLite rolls back what was not committed.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{SqliteConnection, SqlitePool};

use super::QueryError;
use super::opened_file::OpenedFile;

/// A transaction that holds the write lock. If it is dropped before its end, its connection is closed,
/// which rolls it back, and the pool opens another connection for the next write.
#[derive(Debug)]
pub(super) struct WriteTransaction {
    connection: PoolConnection<sqlx::Sqlite>,
    ended: bool,
}

impl WriteTransaction {
    pub(super) async fn begin(
        writer: &SqlitePool,
        opened_file: &OpenedFile,
    ) -> Result<Self, QueryError> {
        // Check before a connection is opened: opening one writes to an empty file.
        opened_file.check()?;
        // Created before BEGIN: if this future is dropped during it, a transaction may have begun.
        let mut write = Self {
            connection: writer.acquire().await?,
            ended: false,
        };
        // Check again: the pool may have opened the connection just now, in another file.
        opened_file.check()?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *write).await?;
        Ok(write)
    }

    pub(super) async fn commit(self) -> Result<(), QueryError> {
        self.end("COMMIT").await
    }

    pub(super) async fn roll_back(self) -> Result<(), QueryError> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, sql: &'static str) -> Result<(), QueryError> {
        sqlx::query(sql).execute(&mut *self).await?;
        self.ended = true;
        Ok(())
    }
}

impl Deref for WriteTransaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for WriteTransaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}
