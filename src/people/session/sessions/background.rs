//! Background tasks: write the uses of sessions in batches, read the log of revocations, retry pending
//! revocations, delete expired rows.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Sessions;
use crate::clock::Timestamp;
use crate::store::{LogPosition, SessionKey, StoreError};

/// The interval between batches of uses.
const BATCH_EVERY: Duration = Duration::from_millis(500);
/// The delay before a failed write of uses is retried.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How often the log of revocations is read without an announcement. Half of the second within which a
/// revocation of one node holds on all.
const READ_LOG_EVERY: Duration = Duration::from_millis(500);
/// How often pending revocations are written again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// The timeout of one read of the log.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// The maximum number of log entries or uses per query.
const BATCH_MAX: usize = 1_000;
/// How often expired records are deleted.
const DELETE_EXPIRED_EVERY: Duration = Duration::from_secs(300);
/// The maximum number of rows of a kind that one round deletes.
const DELETED_ROWS_MAX: u32 = 1_000;
/// Sessions that are idle for so long are deleted, whatever the configured idle timeout is.
const IDLE_RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// The uses that wait to be written.
type Uses = mpsc::Receiver<(SessionKey, Timestamp)>;

/// What was used.
#[derive(Clone, Copy, Debug)]
enum UsedKind {
    Session,
    AccessToken,
}

impl UsedKind {
    async fn write(
        self,
        sessions: &Sessions,
        used: &[(SessionKey, Timestamp)],
    ) -> Result<(), StoreError> {
        match self {
            Self::Session => sessions.store.touch(used).await,
            Self::AccessToken => sessions.store.touch_access_tokens(used).await,
        }
    }
}

/// Starts the tasks; each ends when `sessions` is dropped.
pub(super) fn start(
    sessions: &Arc<Sessions>,
    (uses, access_token_uses): (Uses, Uses),
    log_position: LogPosition,
) {
    tokio::spawn(write_uses(
        Arc::downgrade(sessions),
        uses,
        UsedKind::Session,
    ));
    tokio::spawn(write_uses(
        Arc::downgrade(sessions),
        access_token_uses,
        UsedKind::AccessToken,
    ));
    tokio::spawn(read_log(Arc::downgrade(sessions), log_position));
    tokio::spawn(delete_expired_periodically(Arc::downgrade(sessions)));
    tokio::spawn(retry_pending(Arc::downgrade(sessions)));
}

async fn write_uses(sessions: Weak<Sessions>, mut uses: Uses, kind: UsedKind) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    // The latest use of each session that is not written yet.
    let mut unwritten = HashMap::new();
    let mut failing = false;
    loop {
        // During a failure of the store further uses wait in the channel.
        if unwritten.is_empty() {
            if uses.recv_many(&mut batch, BATCH_MAX).await == 0 {
                return;
            }
            unwritten.extend(batch.drain(..));
        }
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let uses_to_write: Vec<_> = unwritten.iter().map(|(key, at)| (*key, *at)).collect();
        match kind.write(&sessions, &uses_to_write).await {
            Ok(()) => {
                unwritten.clear();
                failing = false;
            }
            // Logged once per outage.
            Err(error) if !failing => {
                tracing::warn!(error = %crate::telemetry::error_chain(&error), ?kind, "the last uses of sessions or access tokens cannot be written: menshen tries again");
                failing = true;
            }
            Err(_) => {}
        }
        drop(sessions);
        let pause = if failing { RETRY_AFTER } else { BATCH_EVERY };
        tokio::time::sleep(pause).await;
    }
}

/// Retries the revocations that the store has not confirmed.
async fn retry_pending(sessions: Weak<Sessions>) {
    for round in 0.. {
        tokio::time::sleep(RETRY_EVERY).await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        sessions.retry_pending(round).await;
    }
}

/// Makes the cached sessions unusable when the task that reads the log ends, even by a panic: a revocation
/// of another process would not be noticed.
struct LogReaderGuard(Weak<Sessions>);

impl Drop for LogReaderGuard {
    fn drop(&mut self) {
        if let Some(sessions) = self.0.upgrade() {
            sessions
                .revocations_are_stale
                .store(true, Ordering::Relaxed);
            tracing::error!("the log of revocations is no longer read: restart menshen");
        }
    }
}

async fn read_log(sessions: Weak<Sessions>, mut last_read: LogPosition) {
    let _reader = LogReaderGuard(sessions.clone());
    let (mut failing, mut last_success) = (false, Instant::now());
    loop {
        let Some(store) = sessions
            .upgrade()
            .map(|sessions| Arc::clone(&sessions.store))
        else {
            return;
        };
        // After an announcement or the interval, whichever is first.
        let _ = tokio::time::timeout(READ_LOG_EVERY, store.log_announced()).await;
        drop(store);
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let max = u32::try_from(BATCH_MAX).unwrap_or(u32::MAX);
        let apply_next_page = sessions.apply_next_page(last_read, max);
        match tokio::time::timeout(READ_TIMEOUT, apply_next_page).await {
            // A page that was not applied completely is read again.
            Ok(Ok(position)) => {
                last_read = position;
                (failing, last_success) = (false, Instant::now());
            }
            // Logged once per outage.
            Ok(Err(error)) if !failing => {
                tracing::error!(error = %crate::telemetry::error_chain(&error), "the log of revocations cannot be read");
                failing = true;
            }
            Err(_) if !failing => {
                tracing::error!("the log of revocations was not read in time");
                failing = true;
            }
            Ok(Err(_)) | Err(_) => {}
        }
        let revocations_are_stale = last_success.elapsed() > sessions.outage_grace;
        sessions
            .revocations_are_stale
            .store(revocations_are_stale, Ordering::Relaxed);
    }
}

async fn delete_expired_periodically(sessions: Weak<Sessions>) {
    loop {
        tokio::time::sleep(DELETE_EXPIRED_EVERY).await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        if let Err(error) = sessions.delete_expired().await {
            tracing::warn!(error = %crate::telemetry::error_chain(&error), "expired records were not deleted");
        }
    }
}

impl Sessions {
    /// Deletes expired rows in rounds, so that other writes can run in between. The clock of the database
    /// decides what has expired: if that of this machine is ahead, the sessions of other nodes must stay.
    ///
    /// # Errors
    /// A round failed; the rest is deleted later.
    pub async fn delete_expired(&self) -> Result<(), StoreError> {
        let (now, difference) = self.database_time().await?;
        if let Some(difference) = difference {
            tracing::error!("{difference}: sessions end too early or too late here");
        }
        let idle_ms = i64::try_from(IDLE_RETENTION.as_millis()).unwrap_or(i64::MAX);
        let idle_before = Timestamp::from_unix_ms(now.unix_ms().saturating_sub(idle_ms));
        loop {
            let rows = self
                .store
                .delete_expired(now, idle_before, DELETED_ROWS_MAX)
                .await?;
            tracing::debug!(rows, "expired records were deleted");
            if rows < u64::from(DELETED_ROWS_MAX) {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
}
