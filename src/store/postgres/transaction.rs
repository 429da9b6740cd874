//! `Transaction`: a transaction whose connection is reused only after a commit or rollback.
//!
//! A caller can drop its future between two statements, or stop waiting for an answer. Closing the
//! connection is safe in all cases: the server rolls back what was not committed.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Executor as _, PgPool, Postgres as Database};

use super::{Access, DIRECTORY, QueryError};

/// How a transaction begins, and what it locks until its end.
///
/// A transaction that writes limits the time of a statement and the time between two statements, so that
/// a node that stops in the middle holds a lock for 10 s at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Reads only.
    Reading,
    /// Writes rows that are not ordered by a lock.
    Writing,
    /// Mints or renews: no revocation is written meanwhile.
    BesideRevocations,
    /// Revokes: nothing is minted, renewed or revoked meanwhile.
    Revoking,
}

macro_rules! begin {
    ($($then:literal)?) => {
        concat!(
            "BEGIN; SET LOCAL statement_timeout = '10s'; ",
            "SET LOCAL idle_in_transaction_session_timeout = '10s'; ",
            $($then)?
        )
    };
}

impl Begin {
    fn sql(self, access: Access) -> &'static str {
        match self {
            _ if access == Access::ReadOnly => "BEGIN READ ONLY",
            // A replica refuses it: its data may be old, and a revoked session would still be valid.
            Self::Reading => "BEGIN READ WRITE",
            Self::Writing => begin!(),
            Self::BesideRevocations => {
                begin!("SELECT pg_advisory_xact_lock_shared(7882828162982215681)")
            }
            Self::Revoking => begin!("SELECT pg_advisory_xact_lock(7882828162982215681)"),
        }
    }
}

/// A transaction. If it is dropped before its end, its connection is closed.
#[derive(Debug)]
pub(super) struct Transaction {
    connection: PoolConnection<Database>,
    named_statements: bool,
    is_ended: bool,
}

impl Transaction {
    pub(super) async fn begin(
        pool: &PgPool,
        access: Access,
        begin: Begin,
        named_statements: bool,
    ) -> Result<Self, QueryError> {
        let mut tx = Self {
            connection: pool.acquire().await?,
            named_statements,
            is_ended: false,
        };
        tx.connection.execute(begin.sql(access)).await?;
        Ok(tx)
    }

    /// A statement without its parameters.
    pub(super) fn query(&self, sql: &'static str) -> Query<'static, Database, PgArguments> {
        sqlx::query(sql).persistent(self.named_statements)
    }

    /// Waits until no other transaction changes the directory, and keeps others from changing it.
    pub(super) async fn lock_directory(&mut self) -> Result<(), QueryError> {
        let query = self.query("SELECT pg_advisory_xact_lock($1)");
        query.bind(DIRECTORY).execute(&mut *self.connection).await?;
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<(), QueryError> {
        self.end("COMMIT").await
    }

    pub(super) async fn roll_back(self) -> Result<(), QueryError> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, sql: &'static str) -> Result<(), QueryError> {
        self.connection.execute(sql).await?;
        self.is_ended = true;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_ended {
            self.connection.close_on_drop();
        }
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
            let sql = begin.sql(Access::ReadWrite);
            assert!(sql.ends_with(&format!("{lock}{number})")), "{sql}");
            assert_eq!(begin.sql(Access::ReadOnly), "BEGIN READ ONLY");
        }
    }
}
