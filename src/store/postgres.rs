//! `Postgres`: the store of several nodes that share a site.
//!
//! Two advisory locks, held until the end of their transaction: one for revocations, one for the
//! directory. A session is minted under the shared revocation lock and revoked under the exclusive one, so
//! no session is minted beside a revocation that applies to it, and the numbers of the log are drawn in
//! the order of commits. Every read is a transaction too, because only a transaction can refuse a replica.

use std::sync::Arc;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgPool, Postgres as Database};

use super::query_error::QueryError;
use super::{StoreError, StoreOptions};

mod account_changes;
mod accounts;
mod closing;
mod code;
mod coordination;
mod departments;
mod directory;
mod import;
mod listen;
mod maintenance;
mod open;
mod people_changes;
mod person_fields;
mod problem;
mod revocations;
mod roots;
mod schema;
mod sessions;
mod subject_rename;
mod tokens;
mod transaction;
mod url;

pub(super) use code::cause;
pub(super) use import::Import;
pub use problem::{ServerError, ServerProblem};
pub use url::{PostgresUrl, PostgresUrlError};

use listen::Announcements;
use transaction::{Begin, Transaction};

/// The numbers of advisory locks: "mens" and a number. [`Begin::sql`] takes number 1, for revocations, as a
/// transaction begins.
const DIRECTORY: i64 = 0x6d65_6e73_0000_0002;
const SCHEMA: i64 = 0x6d65_6e73_0000_0003;

/// What a store may do with its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    ReadWrite,
    /// Every write fails; a replica will do.
    ReadOnly,
}

/// A store in one PostgreSQL database, 13 or newer, shared by all nodes of a site.
#[derive(Debug)]
pub struct Postgres {
    pool: PgPool,
    access: Access,
    /// Whether statements are prepared once for each connection. Behind a pooler that gives each
    /// transaction another connection they are not.
    named_statements: bool,
    /// Whether revocations are announced by NOTIFY.
    notify: bool,
    announcements: Arc<Announcements>,
}

impl Postgres {
    /// Connects, and creates or migrates the tables.
    ///
    /// # Errors
    /// [`StoreError::Server`] if the server or its database cannot be used, [`StoreError::NewerSchema`] if
    /// the tables are those of a newer menshen.
    pub async fn open(url: &PostgresUrl, options: &StoreOptions) -> Result<Self, StoreError> {
        open::open(url, options).await
    }

    /// Connects for reads: nothing is created or migrated, and every write fails.
    ///
    /// # Errors
    /// As [`Self::open`], and [`StoreError::OlderSchema`] if the tables are those of an older menshen.
    pub async fn open_read_only(
        url: &PostgresUrl,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        open::open_read_only(url, options).await
    }

    /// Connects as a node would, without writing; returns a sentence about the server and the tables.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn examine(url: &PostgresUrl, options: &StoreOptions) -> Result<String, StoreError> {
        open::examine(url, options).await
    }

    /// A statement without its parameters.
    fn query(&self, sql: &'static str) -> Query<'static, Database, PgArguments> {
        sqlx::query(sql).persistent(self.named_statements)
    }

    async fn begin(&self, begin: Begin) -> Result<Transaction, QueryError> {
        Transaction::begin(&self.pool, self.access, begin, self.named_statements).await
    }

    /// The rows of a statement that only reads.
    async fn rows<'q>(
        &self,
        query: Query<'q, Database, PgArguments>,
    ) -> Result<Vec<PgRow>, QueryError> {
        let mut tx = self.begin(Begin::Reading).await?;
        let rows = query.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// The only row of a statement that only reads, if there is one.
    async fn row<'q>(
        &self,
        query: Query<'q, Database, PgArguments>,
    ) -> Result<Option<PgRow>, QueryError> {
        Ok(self.rows(query).await?.pop())
    }
}
