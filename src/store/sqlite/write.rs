//! `Write`: one transaction. Its connection is used again only when the transaction ended cleanly.
//!
//! A transaction can end in many ways: SQLite rolls it back by itself when the disk is full, a commit
//! can fail, and a caller can drop its future between two statements. Whoever keeps the connection
//! must know which of these happened. Whoever closes it need not: SQLite rolls back what was not
//! committed.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{SqliteConnection, SqlitePool};

use super::Trouble;
use super::place::Place;

/// A transaction that holds the write lock. When it is dropped before its end, its connection is
/// closed, which rolls it back; the pool opens another connection for the next write.
#[derive(Debug)]
pub(super) struct Write {
    connection: PoolConnection<sqlx::Sqlite>,
    ended: bool,
}

impl Write {
    pub(super) async fn begin(writer: &SqlitePool, place: &Place) -> Result<Self, Trouble> {
        // Before one is opened: to open it is to write to an empty file.
        place.check()?;
        // Guarded before BEGIN: whoever gives up during it may have begun a transaction, too.
        let mut write = Self {
            connection: writer.acquire().await?,
            ended: false,
        };
        // And after: it may have been opened a moment ago, in another file.
        place.check()?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *write).await?;
        Ok(write)
    }

    /// Keeps what was written.
    pub(super) async fn commit(self) -> Result<(), Trouble> {
        self.end("COMMIT").await
    }

    /// Ends a transaction that wrote nothing.
    pub(super) async fn leave(self) -> Result<(), Trouble> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, sql: &'static str) -> Result<(), Trouble> {
        sqlx::query(sql).execute(&mut *self).await?;
        self.ended = true;
        Ok(())
    }
}

impl Deref for Write {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}
