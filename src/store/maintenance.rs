//! Health probes, and deletion of expired rows.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;

/// Probes the database and deletes expired rows.
#[async_trait]
pub trait MaintenanceStore: fmt::Debug + Send + Sync {
    /// Reads a row to check that the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Writes a row to check that writes work.
    async fn probe_write(&self) -> Result<(), StoreError>;

    /// Waits until another process says that it has written into the log of revocations. A database that
    /// announces nothing never answers: the log is polled as well. Cancel-safe.
    async fn log_announced(&self) {
        std::future::pending().await
    }

    /// Returns the error for a record that menshen cannot have written, and counts it.
    fn report_damaged(&self, record: &'static str) -> StoreError {
        StoreError::Damaged { record }
    }

    /// Deletes sessions that have expired or are idle since `idle_before`, expired one-time values, logout
    /// marks and leases, log entries older than a day except the newest, and the oldest logout marks if
    /// there are too many. Deletes at most `max` rows of each kind; returns the number of deleted rows.
    async fn delete_expired(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError>;
}
