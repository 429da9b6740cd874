//! The steps of every operation, written once for all SQL databases.
//!
//! Each file holds the statements of one area and their order in a transaction. A statement is written for
//! all databases: `$1` is its first value. What differs between databases is in their folders, behind
//! [`Database`] and [`Transaction`].

use std::fmt;

use sqlx::SqlSafeStr;

use super::query_error::{QueryError, run};
use super::{AccountId, SessionKey, row};
use crate::clock::Timestamp;

mod access_tokens;
mod account_changes;
mod accounts;
mod administrators;
mod admission;
mod audit_log;
mod closing;
mod coordination;
mod departments;
mod directory;
mod directory_sync;
mod identity_removal;
mod local_entitlements;
mod local_people;
mod maintenance;
mod managed_settings;
mod nodes;
mod people_import;
mod people_query;
mod person_edit;
mod person_fields;
mod provider_logout;
mod revocations;
mod sessions;
mod statement;
mod subject_rename;
mod tokens;
mod value;
mod vouched_fields;

use row::Columns;
pub(super) use value::Value;
use value::values;

/// A database that runs the steps. The traits of a store are implemented for every such database.
pub(super) trait Database: fmt::Debug + Send + Sync + 'static {
    type Transaction: Transaction;

    /// The function `(text, part)` that returns where a part of a text begins; 0 if it is not there.
    const POSITION_FUNCTION: &'static str;

    fn begin(
        &self,
        begin: Begin,
    ) -> impl Future<Output = Result<Self::Transaction, QueryError>> + Send;

    /// Sets the last use of sessions, and when their people were seen last, never to an earlier time.
    fn set_last_uses(
        &self,
        used: &[(SessionKey, Timestamp)],
    ) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Deletes expired rows, as [`super::MaintenanceStore::delete_expired`] describes; returns their number.
    fn delete_expired_rows(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> impl Future<Output = Result<u64, QueryError>> + Send;

    /// The time of the clock of the database; `None` if that is the clock of this machine.
    fn clock(&self) -> impl Future<Output = Result<Option<Timestamp>, QueryError>> + Send;

    /// Waits until another process announces an entry of the log of revocations. Cancel-safe.
    fn next_announcement(&self) -> impl Future<Output = ()> + Send;

    /// The rows of a statement that only reads.
    fn read_rows(
        &self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Row<Self>>, QueryError>> + Send {
        async move {
            let mut tx = self.begin(Begin::Reading).await?;
            let rows = tx.rows(sql, values).await?;
            tx.commit().await?;
            Ok(rows)
        }
    }

    /// The only row of a statement that only reads, if there is one.
    fn read_row(
        &self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Option<Row<Self>>, QueryError>> + Send {
        async move { Ok(self.read_rows(sql, values).await?.pop()) }
    }
}

/// A row of a database.
type Row<D> = <<D as Database>::Transaction as Transaction>::Row;

/// How a transaction begins, and what it locks until its end.
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

/// A transaction. If it is dropped before its end, nothing of it is stored.
///
/// Locks are taken in one order: that of [`Begin`], the directory, an account, then rows that belong to it.
pub(super) trait Transaction: Send + Sized {
    type Row: Columns + Send + Sync;

    /// Whether a transaction that writes excludes all others that write. Then no other lock is needed,
    /// and what it has read is true until its end.
    const HAS_ONE_WRITER: bool;

    /// Deletes the sessions of a connector (`$1`) that belong to a session of the provider (`$2`), or to a
    /// subject (`$3`) and no known session of the provider, or, if `$2` is absent, to the subject. Returns
    /// their keys.
    const DELETE_LOGGED_OUT_SESSIONS: &'static str;

    /// All rows of a statement.
    fn rows(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Self::Row>, QueryError>> + Send;

    /// The first row of a statement, if there is one.
    fn row(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Option<Self::Row>, QueryError>> + Send;

    /// The row of a statement that always has one.
    fn only_row(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Self::Row, QueryError>> + Send {
        async move {
            let found = self.row(sql, values).await?;
            found.ok_or(QueryError::Sql(sqlx::Error::RowNotFound))
        }
    }

    /// Runs a statement; returns the number of rows that it changed.
    fn execute(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, QueryError>> + Send;

    /// Waits until no other transaction changes the directory, and keeps others from changing it.
    fn lock_directory(&mut self) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Locks an account before its identities, so that no two transactions wait for each other.
    fn lock_account(
        &mut self,
        account: &AccountId,
    ) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Tells other nodes, when the transaction commits, that the log of revocations has a new entry.
    fn announce_revocation(&mut self) -> impl Future<Output = Result<(), QueryError>> + Send;

    fn commit(self) -> impl Future<Output = Result<(), QueryError>> + Send;

    fn roll_back(self) -> impl Future<Output = Result<(), QueryError>> + Send;
}
