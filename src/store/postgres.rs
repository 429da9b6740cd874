//! `Postgres`: the store of several nodes that share a site.
//!
//! Two advisory locks, held until the end of their transaction: one for revocations, one for the
//! directory. A session is minted under the shared revocation lock and revoked under the exclusive one, so
//! no session is minted beside a revocation that applies to it, and the numbers of the log are drawn in
//! the order of commits. Every read is a transaction too, because only a transaction can refuse a replica.

use std::sync::Arc;

use sqlx::PgPool;

use super::query_error::QueryError;
use super::sql::{Begin, Database};
use super::{SessionKey, StoreError, StoreOptions};
use crate::clock::Timestamp;
use crate::wording::Text;

mod code;
mod import;
mod last_uses;
mod listen;
mod maintenance;
mod open;
mod problem;
mod roots;
mod schema;
mod transaction;
mod url;

pub(super) use code::{cause, refuses_record};
pub(super) use import::Import;
pub use problem::{ServerError, ServerProblem};
pub use url::{PostgresUrl, PostgresUrlError};

use listen::Announcements;
use transaction::Transaction;

/// The numbers of advisory locks: "mens" and a number. [`transaction`] takes number 1, for revocations, as a
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
    /// Whether revocations are announced by NOTIFY, and statements are prepared once for each connection.
    /// Neither works behind a pooler that gives each transaction another connection.
    keeps_connections: bool,
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
    pub async fn examine(url: &PostgresUrl, options: &StoreOptions) -> Result<Text, StoreError> {
        open::examine(url, options).await
    }
}

impl Database for Postgres {
    type Transaction = Transaction;

    const POSITION_FUNCTION: &'static str = "strpos";

    async fn begin(&self, begin: Begin) -> Result<Transaction, QueryError> {
        Transaction::begin(&self.pool, self.access, begin, self.keeps_connections).await
    }

    async fn set_last_uses(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), QueryError> {
        last_uses::set(self, used).await
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
        maintenance::clock(self).await.map(Some)
    }

    async fn next_announcement(&self) {
        if self.keeps_connections {
            self.announcements.next().await;
        } else {
            std::future::pending().await
        }
    }
}
