//! Background tasks: write the uses of sessions in batches, read the log of revocations, retry pending
//! revocations, delete expired rows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};

use super::Sessions;
use crate::background_task::restart_after_panics;
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

/// Starts the tasks; each ends when `sessions` is dropped, and is started again after a panic. What a task
/// must not forget is kept outside of it.
pub(super) fn start(
    sessions: &Arc<Sessions>,
    (uses, access_token_uses): (Uses, Uses),
    log_position: LogPosition,
) {
    for (what, uses, kind) in [
        ("uses of sessions", uses, UsedKind::Session),
        (
            "uses of access tokens",
            access_token_uses,
            UsedKind::AccessToken,
        ),
    ] {
        let (sessions, uses) = (Arc::downgrade(sessions), Arc::new(Mutex::new(uses)));
        tokio::spawn(restart_after_panics(what, move || {
            write_uses(Weak::clone(&sessions), Arc::clone(&uses), kind)
        }));
    }
    let progress = Arc::new(Mutex::new(LogProgress {
        last_read: log_position,
        last_success: Instant::now(),
    }));
    let reader = Arc::downgrade(sessions);
    tokio::spawn(restart_after_panics("log of revocations", move || {
        read_log(Weak::clone(&reader), Arc::clone(&progress))
    }));
    let deleter = Arc::downgrade(sessions);
    tokio::spawn(restart_after_panics(
        "deletion of expired records",
        move || delete_expired_periodically(Weak::clone(&deleter)),
    ));
    let (retrier, rounds) = (Arc::downgrade(sessions), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(restart_after_panics("pending revocations", move || {
        retry_pending(Weak::clone(&retrier), Arc::clone(&rounds))
    }));
}

/// Writes the uses of sessions or access tokens. After a panic those that were being written are dropped,
/// because one of them may be its cause; the next use of each session is written.
async fn write_uses(sessions: Weak<Sessions>, uses: Arc<Mutex<Uses>>, kind: UsedKind) {
    let mut uses = uses.lock().await;
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

/// Retries the revocations that the store has not confirmed. `rounds` also counts those that panicked, so
/// that a revocation that causes a panic does not stay the first one and block the others.
async fn retry_pending(sessions: Weak<Sessions>, rounds: Arc<AtomicUsize>) {
    loop {
        tokio::time::sleep(RETRY_EVERY).await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let round = rounds.fetch_add(1, Ordering::Relaxed);
        sessions.retry_pending(round).await;
    }
}

/// How far the log of revocations was read.
struct LogProgress {
    last_read: LogPosition,
    last_success: Instant,
}

/// Makes the cached sessions unusable when the task that reads the log panics, until it reads the log again: a
/// revocation of another process would not be noticed. At the end of the process the runtime drops the task,
/// too.
struct LogReaderGuard(Weak<Sessions>);

impl Drop for LogReaderGuard {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(sessions) = self.0.upgrade()
        {
            sessions
                .revocations_are_stale
                .store(true, Ordering::Relaxed);
            tracing::error!("the log of revocations is not read: sessions are refused until it is");
        }
    }
}

async fn read_log(sessions: Weak<Sessions>, progress: Arc<Mutex<LogProgress>>) {
    let _guard = LogReaderGuard(sessions.clone());
    let mut progress = progress.lock().await;
    let mut failing = false;
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
        let apply_next_page = sessions.apply_next_page(progress.last_read, max);
        match tokio::time::timeout(READ_TIMEOUT, apply_next_page).await {
            // A page that was not applied completely is read again.
            Ok(Ok(position)) => {
                progress.last_read = position;
                progress.last_success = Instant::now();
                failing = false;
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
        let revocations_are_stale = progress.last_success.elapsed() > sessions.outage_grace;
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
