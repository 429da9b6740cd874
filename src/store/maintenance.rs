//! Maintenance: whether the database works, and deleting what is over.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;

/// What a database answers about itself.
#[async_trait]
pub trait Maintenance: fmt::Debug + Send + Sync {
    /// Whether it answers at all.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Writes a little, to learn whether anything can be written.
    async fn try_write(&self) -> Result<(), StoreError>;

    /// The error for a record that was read, but that this program cannot have written.
    fn damaged(&self, record: &'static str) -> StoreError {
        StoreError::Damaged { record }
    }

    /// Deletes what is over: sessions past their end or idle since `idle_before`, spent things,
    /// marks, leases, log entries older than a day but the newest, and the oldest marks when there are
    /// too many. At most `max` rows of each;
    /// answers how many it deleted.
    async fn sweep(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError>;
}
