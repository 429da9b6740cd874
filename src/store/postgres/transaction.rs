//! `Transaction`: a transaction whose connection is reused only after a commit or rollback.
//!
//! A caller can drop its future between two statements, or stop waiting for an answer. Closing the
//! connection is safe in all cases: the server rolls back what was not committed.

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Executor as _, PgPool, SqlSafeStr};

use super::{Access, DIRECTORY, QueryError, listen};
use crate::store::AccountId;
use crate::store::sql::{self, Begin, Value};

macro_rules! begin {
    ($($then:literal)?) => {
        concat!(
            "BEGIN; SET LOCAL statement_timeout = '10s'; ",
            "SET LOCAL idle_in_transaction_session_timeout = '10s'; ",
            $($then)?
        )
    };
}

/// The first statements. A transaction that writes limits the time of a statement and the time between two
/// statements, so that a node that stops in the middle holds a lock for 10 s at most.
fn begin_sql(begin: Begin, access: Access) -> &'static str {
    match begin {
        _ if access == Access::ReadOnly => "BEGIN READ ONLY",
        // A replica refuses it: its data may be old, and a revoked session would still be valid.
        Begin::Reading => "BEGIN READ WRITE",
        Begin::Writing => begin!(),
        Begin::BesideRevocations => {
            begin!("SELECT pg_advisory_xact_lock_shared(7882828162982215681)")
        }
        Begin::Revoking => begin!("SELECT pg_advisory_xact_lock(7882828162982215681)"),
    }
}

/// A transaction. If it is dropped before its end, its connection is closed.
#[derive(Debug)]
pub(in crate::store) struct Transaction {
    connection: PoolConnection<sqlx::Postgres>,
    /// As in [`super::Postgres`].
    keeps_connections: bool,
    is_ended: bool,
}

impl Transaction {
    pub(super) async fn begin(
        pool: &PgPool,
        access: Access,
        begin: Begin,
        keeps_connections: bool,
    ) -> Result<Self, QueryError> {
        let mut tx = Self {
            connection: pool.acquire().await?,
            keeps_connections,
            is_ended: false,
        };
        tx.connection.execute(begin_sql(begin, access)).await?;
        Ok(tx)
    }

    /// A statement without its values.
    pub(super) fn query(
        &self,
        sql: impl SqlSafeStr,
    ) -> Query<'static, sqlx::Postgres, PgArguments> {
        sqlx::query(sql).persistent(self.keeps_connections)
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    fn statement(
        &self,
        sql: impl SqlSafeStr,
        values: &[Value<'_>],
    ) -> Query<'static, sqlx::Postgres, PgArguments> {
        let mut query = self.query(sql);
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

    async fn end(mut self, sql: &'static str) -> Result<(), QueryError> {
        self.connection.execute(sql).await?;
        self.is_ended = true;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_ended {
            self.connection.close_on_drop();
        }
    }
}

impl sql::Transaction for Transaction {
    type Row = PgRow;

    const HAS_ONE_WRITER: bool = false;

    /// Rows are locked in one order, as in [`super::last_uses`].
    const DELETE_LOGGED_OUT_SESSIONS: &'static str = "DELETE FROM menshen_session WHERE key IN \
        (SELECT key FROM menshen_session WHERE connector = $1 AND (provider_sid = $2 \
        OR (subject = $3 AND ($2 IS NULL OR provider_sid IS NULL))) \
        ORDER BY key FOR UPDATE) RETURNING key";

    async fn rows(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> Result<Vec<PgRow>, QueryError> {
        let query = self.statement(sql, values);
        Ok(query.fetch_all(&mut *self.connection).await?)
    }

    async fn row(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> Result<Option<PgRow>, QueryError> {
        let query = self.statement(sql, values);
        Ok(query.fetch_optional(&mut *self.connection).await?)
    }

    async fn execute(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> Result<u64, QueryError> {
        let query = self.statement(sql, values);
        let done = query.execute(&mut *self.connection).await?;
        Ok(done.rows_affected())
    }

    async fn lock_directory(&mut self) -> Result<(), QueryError> {
        let sql = "SELECT pg_advisory_xact_lock($1)";
        self.execute(sql, &[DIRECTORY.into()]).await.map(drop)
    }

    async fn lock_account(&mut self, account: &AccountId) -> Result<(), QueryError> {
        let sql = "SELECT id FROM menshen_account WHERE id = $1 FOR NO KEY UPDATE";
        self.execute(sql, &[account.into()]).await.map(drop)
    }

    async fn announce_revocation(&mut self) -> Result<(), QueryError> {
        if self.keeps_connections {
            let sql = "SELECT pg_notify($1, '')";
            self.execute(sql, &[listen::CHANNEL.into()]).await?;
        }
        Ok(())
    }

    async fn commit(self) -> Result<(), QueryError> {
        self.end("COMMIT").await
    }

    async fn roll_back(self) -> Result<(), QueryError> {
        self.end("ROLLBACK").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_locks_what_its_kind_says() {
        let number = 0x6d65_6e73_0000_0001_i64.to_string();
        for (begin, lock) in [
            (Begin::BesideRevocations, "pg_advisory_xact_lock_shared("),
            (Begin::Revoking, "pg_advisory_xact_lock("),
        ] {
            let sql = begin_sql(begin, Access::ReadWrite);
            assert!(sql.ends_with(&format!("{lock}{number})")), "{sql}");
            assert_eq!(begin_sql(begin, Access::ReadOnly), "BEGIN READ ONLY");
        }
    }
}
