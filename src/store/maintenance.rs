//! MaintenanceStore: checks whether the database works, and deletes what has expired.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;

/// What a database answers about itself.
#[async_trait]
pub trait MaintenanceStore: fmt::Debug + Send + Sync {
    /// Reads a little, to learn whether it answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Writes a little, to learn whether anything can be written.
    async fn probe_write(&self) -> Result<(), StoreError>;

    /// Waits until another process says that it has written into the log of revocations. A database that
    /// announces nothing never answers: the log is polled as well. Cancel-safe.
    async fn log_announced(&self) {
        std::future::pending().await
    }

    /// The error for a record that this program cannot have written. A caller that reads one gets its
    /// error here, so that it is counted.
    fn report_damaged(&self, record: &'static str) -> StoreError {
        StoreError::Damaged { record }
    }

    /// Deletes what has expired: sessions past their end or idle since `idle_before`, spent things,
    /// marks, leases, entries of the log older than a day except the newest, and the oldest marks when
    /// there are too many. At most `max` rows of each; answers how many rows it deleted.
    async fn delete_expired(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError>;
}
