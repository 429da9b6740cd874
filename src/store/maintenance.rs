//! Health probes, and deletion of expired rows.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;

/// How long entries of the log are kept. A process that did not read the log for longer must reload its
/// sessions.
pub(super) const LOG_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the history of accounts is kept: two years.
pub(super) const HISTORY_RETENTION: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);

/// How long a node is kept that reports nothing.
pub(super) const NODE_RETENTION: Duration = Duration::from_secs(10 * 60);

/// How many marks of logouts at providers are kept; of more, those that expire first are deleted.
pub(super) const LOGOUT_MARKS_MAX: i64 = 1_000_000;

/// How many marks of unauthenticated front-channel logouts are kept for each connector.
pub(super) const FRONT_CHANNEL_MARKS_MAX: i64 = 50_000;

/// Probes the database and deletes expired rows.
#[async_trait]
pub trait MaintenanceStore: fmt::Debug + Send + Sync {
    /// Reads a row to check that the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Writes a row to check that writes work.
    async fn probe_write(&self) -> Result<(), StoreError>;

    /// Waits until another process has announced an entry of the log of revocations. Never returns if the
    /// database has no announcements: the log is polled as well. Cancel-safe.
    async fn log_announced(&self) {
        std::future::pending().await
    }

    /// Returns the error for a record that menshen cannot have written, and counts it.
    fn report_damaged(&self, record: &'static str) -> StoreError {
        StoreError::Damaged { record }
    }

    /// The time of the clock of the database; `None` if that is the clock of this machine.
    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// Deletes at most `max` rows of each kind, and returns the number of deleted rows:
    ///
    /// * sessions that have expired or are idle since `idle_before`, and expired sessions of the console;
    /// * access tokens that have expired or were ended before `idle_before`;
    /// * expired one-time values, logout marks and leases, and the oldest logout marks if there are too many;
    /// * nodes that have reported nothing for ten minutes;
    /// * log entries older than a day, except the newest.
    async fn delete_expired(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError>;
}
