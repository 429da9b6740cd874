//! `Transaction`: a transaction that writes is reused only after a commit or rollback.
//!
//! A transaction can end in many ways: SQLite rolls it back when the disk is full, a commit can fail, and
//! a caller can drop its future between two statements. Closing the connection is safe in all cases:
//! SQLite rolls back what was not committed.

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{SqlSafeStr, SqlitePool};

use super::QueryError;
use super::opened_file::OpenedFile;
use crate::store::AccountId;
use crate::store::sql::{self, Value};

/// A connection that reads, or a transaction that holds the write lock. If a transaction is dropped before
/// its end, its connection is closed, which rolls it back, and the pool opens another connection for the
/// next write.
#[derive(Debug)]
pub(in crate::store) struct Transaction {
    connection: PoolConnection<sqlx::Sqlite>,
    /// Whether a transaction has begun, and has not ended.
    is_open: bool,
}

impl Transaction {
    /// Reads without BEGIN: each statement reads its own snapshot.
    pub(super) async fn read(
        readers: &SqlitePool,
        opened_file: &OpenedFile,
    ) -> Result<Self, QueryError> {
        let mut connection = readers.acquire().await?;
        // The pool may have opened this connection just now, after the file was replaced.
        if let Err(error) = opened_file.check() {
            connection.close_on_drop();
            return Err(error);
        }
        Ok(Self {
            connection,
            is_open: false,
        })
    }

    pub(super) async fn write(
        writer: &SqlitePool,
        opened_file: &OpenedFile,
    ) -> Result<Self, QueryError> {
        // Check before a connection is opened: opening one writes to an empty file.
        opened_file.check()?;
        // Created before BEGIN: if this future is dropped during it, a transaction may have begun.
        let mut tx = Self {
            connection: writer.acquire().await?,
            is_open: true,
        };
        // Check again: the pool may have opened the connection just now, in another file.
        opened_file.check()?;
        let begin = sqlx::query("BEGIN IMMEDIATE");
        begin.execute(&mut *tx.connection).await?;
        Ok(tx)
    }

    async fn end(mut self, sql: &'static str) -> Result<(), QueryError> {
        if self.is_open {
            sqlx::query(sql).execute(&mut *self.connection).await?;
            self.is_open = false;
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.close_on_drop();
        }
    }
}

impl sql::Transaction for Transaction {
    type Row = SqliteRow;

    const HAS_ONE_WRITER: bool = true;

    // With OR between the two, SQLite would read every session of the connector.
    const DELETE_LOGGED_OUT_SESSIONS: &'static str = "DELETE FROM menshen_session WHERE key IN \
        (SELECT key FROM menshen_session WHERE connector = $1 AND provider_sid = $2 UNION ALL \
        SELECT key FROM menshen_session WHERE connector = $1 AND subject = $3 \
        AND ($2 IS NULL OR provider_sid IS NULL)) RETURNING key";

    async fn rows(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> Result<Vec<SqliteRow>, QueryError> {
        let query = statement(sql, values);
        Ok(query.fetch_all(&mut *self.connection).await?)
    }

    async fn row(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> Result<Option<SqliteRow>, QueryError> {
        let query = statement(sql, values);
        Ok(query.fetch_optional(&mut *self.connection).await?)
    }

    async fn execute(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> Result<u64, QueryError> {
        let query = statement(sql, values);
        let done = query.execute(&mut *self.connection).await?;
        Ok(done.rows_affected())
    }

    async fn lock_directory(&mut self) -> Result<(), QueryError> {
        Ok(())
    }

    async fn lock_account(&mut self, _account: &AccountId) -> Result<(), QueryError> {
        Ok(())
    }

    /// Other processes look into the log at intervals.
    async fn announce_revocation(&mut self) -> Result<(), QueryError> {
        Ok(())
    }

    async fn commit(self) -> Result<(), QueryError> {
        self.end("COMMIT").await
    }

    async fn roll_back(self) -> Result<(), QueryError> {
        self.end("ROLLBACK").await
    }
}

fn statement(
    sql: impl SqlSafeStr,
    values: &[Value<'_>],
) -> Query<'static, sqlx::Sqlite, SqliteArguments> {
    let mut query = sqlx::query(sql);
    for value in values {
        query = match value {
            Value::Bytes(bytes) => query.bind(*bytes),
            Value::Text(text) => query.bind(text.as_deref()),
            Value::Number(number) => query.bind(*number),
            Value::Boolean(boolean) => query.bind(*boolean),
        };
    }
    query
}

#[cfg(test)]
mod tests {
    use crate::keys;
    use crate::store::{CoordinationStore as _, Sqlite, SqliteUrl};

    use super::super::Database as _;
    use super::sql::{Begin, Transaction as _};
    use crate::clock::Timestamp;

    #[tokio::test]
    async fn a_transaction_that_is_rolled_back_leaves_the_writer_open() {
        let db = Sqlite::open(&SqliteUrl::Memory).await.unwrap();
        // A temporary table is gone with its connection.
        let run = async |sql: &'static str| {
            let mut writer = db.writer.acquire().await.unwrap();
            sqlx::query(sql).execute(&mut *writer).await
        };
        run("CREATE TEMP TABLE mark (id INTEGER)").await.unwrap();
        let tx = db.begin(Begin::Writing).await.unwrap();
        tx.roll_back().await.unwrap();
        run("INSERT INTO temp.mark (id) VALUES (1)").await.unwrap();
        drop(db.begin(Begin::Writing).await.unwrap());
        run("INSERT INTO temp.mark (id) VALUES (1)")
            .await
            .expect_err("a transaction that is dropped closes its connection");
        let until = Timestamp::from_unix_s(1);
        assert!(db.spend(&keys::random(), until).await.unwrap());
    }
}
