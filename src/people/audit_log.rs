//! `AuditLog`: the audit trail in the store, beside the one in the log. Whoever writes an audit record never
//! waits for it: a task takes the lines from the queue of [`Telemetry`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::{Clock, Timestamp};
use crate::keys;
use crate::setting::Period;
use crate::store::{AuditQuery, SessionId, Store, StoreError, StoredAuditLine};
use crate::telemetry::{AuditLine, Telemetry, UnstoredAudit, error_chain};

/// How long lines are collected before they are stored together.
const BATCH_EVERY: Duration = Duration::from_millis(250);
/// The most lines of a transaction.
const BATCH_LINES_MAX: usize = 200;
/// The pause after a full batch, so that other writes can run in between.
const FULL_BATCH_PAUSE: Duration = Duration::from_millis(10);
/// The delay before lines that were not stored are sent again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often old lines are deleted.
const DELETE_EVERY: Duration = Duration::from_secs(300);
/// The most lines that one transaction deletes.
const DELETED_LINES_MAX: u32 = 1_000;
/// The most transactions of one deletion; the rest is deleted by later ones.
const DELETIONS_MAX: u32 = 1_000;
/// The lease of the node that deletes old lines.
const LEASE: &str = "audit_deletion";

/// `[audit]`: the audit trail in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// How long the database keeps audit lines, for `menshen audit` and `/api/audit` of `[admin]`. The log
    /// has every line in any case. `"0s"`: the database gets no lines, and those that it has are deleted.
    pub keep: Period,
    /// The most audit lines that the database keeps. Of more, the oldest are deleted before `keep` has
    /// passed: first those that anonymous clients cause, such as refused logins, last those of administrators.
    pub lines_max: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            keep: Period::s(180 * 86_400),
            lines_max: 20_000_000,
        }
    }
}

/// The audit trail in the store. One per process; configuration reloads keep it.
#[derive(Debug)]
pub struct AuditLog {
    store: Arc<dyn Store>,
    telemetry: Telemetry,
    clock: Clock,
    config: Mutex<AuditConfig>,
    /// Names this process in the IDs of its lines.
    process: [u8; 8],
    /// Names this process as the holder of a lease.
    holder: String,
    /// Held while lines are stored.
    storing: tokio::sync::Mutex<()>,
}

impl AuditLog {
    /// Lines are stored from the first [`Self::apply`] on.
    pub fn new(store: Arc<dyn Store>, telemetry: Telemetry, clock: Clock) -> Self {
        Self {
            store,
            telemetry,
            clock,
            config: Mutex::default(),
            process: keys::random(),
            holder: SessionId::new(keys::random()).to_string(),
            storing: tokio::sync::Mutex::default(),
        }
    }

    /// Applies the settings, at the start and at a reload.
    pub fn apply(&self, config: &AuditConfig) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = *config;
        match config.keep.duration().is_zero() {
            true => self.telemetry.stop_queueing_audit_lines(),
            false => self.telemetry.queue_audit_lines(self.process),
        }
    }

    /// The lines that match.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn search(&self, query: &AuditQuery) -> Result<Vec<StoredAuditLine>, StoreError> {
        self.store.audit_lines(query).await
    }

    /// Stores the queued lines before the process ends, and tries again until the time is over. Returns how
    /// many lines are left, which only the log has.
    pub async fn drain(&self, within: Duration) -> usize {
        let stored = async {
            loop {
                match self.store_batch().await {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(BATCH_EVERY).await,
                }
            }
        };
        // What is left is counted below.
        let _ = tokio::time::timeout(within, stored).await;
        let left = self.telemetry.audit_lines_waiting();
        if left > 0 {
            let lines = u64::try_from(left).unwrap_or(u64::MAX);
            let why = UnstoredAudit::Shutdown;
            self.telemetry.count_unstored_audit(why, lines);
        }
        left
    }

    /// Deletes the lines that are too old or too many, in rounds, so that other writes can run in between.
    /// Only one of the nodes does it at a time. The clock of the database decides what is too old.
    ///
    /// # Errors
    /// A round failed; the rest is deleted later.
    pub async fn delete_old(&self) -> Result<u64, StoreError> {
        let now = self.store.database_time().await?;
        let now = now.unwrap_or_else(|| self.clock.now());
        let until = now.plus(DELETE_EVERY);
        if !self.store.lease(LEASE, &self.holder, now, until).await? {
            return Ok(0);
        }
        let config = *self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let before = oldest_kept(now, config.keep.duration());
        let mut old = 0;
        for _ in 0..DELETIONS_MAX {
            let max = DELETED_LINES_MAX;
            let deleted = self.store.delete_audit_lines(before, max).await?;
            old += deleted;
            if deleted < u64::from(max) {
                break;
            }
            tokio::task::yield_now().await;
        }
        let excess = self.delete_excess(config.lines_max).await?;
        tracing::debug!(old, excess, "old audit lines were deleted from the store");
        if excess > 0 {
            tracing::warn!(
                lines = excess,
                "audit lines were deleted from the store before [audit] keep has passed, because there \
                 are more than [audit] lines_max"
            );
        }
        Ok(old + excess)
    }

    /// Deletes the lines beyond the newest `kept`: first those that anonymous clients can cause, so that these
    /// replace no others, and last those of administrators.
    async fn delete_excess(&self, kept: u32) -> Result<u64, StoreError> {
        let (mut all, mut rounds) = (0, 0);
        for (cause, lines) in self.store.excess_audit_lines(kept).await? {
            let mut left = lines;
            while left > 0 && rounds < DELETIONS_MAX {
                let max = u32::try_from(left)
                    .unwrap_or(u32::MAX)
                    .min(DELETED_LINES_MAX);
                let deleted = self.store.delete_oldest_audit_lines(cause, max).await?;
                if deleted == 0 {
                    break;
                }
                (all, left) = (all + deleted, left.saturating_sub(deleted));
                rounds += 1;
                tokio::task::yield_now().await;
            }
        }
        Ok(all)
    }

    /// Stores the oldest queued lines. Returns how many it took from the queue.
    async fn store_batch(&self) -> Result<usize, StoreError> {
        let _one_at_a_time = self.storing.lock().await;
        let lines = self.telemetry.queued_audit_lines(BATCH_LINES_MAX);
        let Some(last) = lines.last() else {
            return Ok(0);
        };
        match self.store.add_audit_lines(&lines).await {
            // The others of the batch are not to be lost with the one that is refused.
            Err(error) if error.is_about_record() => self.store_one_by_one(&lines).await?,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let dropped = self.telemetry.remove_audit_lines(last.id);
        if dropped > 0 {
            tracing::warn!(
                lines = dropped,
                "the store takes audit lines again; those of the meantime are only in the log"
            );
        }
        Ok(lines.len())
    }

    async fn store_one_by_one(&self, lines: &[AuditLine]) -> Result<(), StoreError> {
        for line in lines {
            match self.store.add_audit_lines(std::slice::from_ref(line)).await {
                Err(error) if error.is_about_record() => {
                    let why = UnstoredAudit::Refused;
                    self.telemetry.count_unstored_audit(why, 1);
                    tracing::error!(
                        error = %error_chain(&error),
                        event = line.event.as_str(),
                        "the store refuses an audit line, which is only in the log"
                    );
                }
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// The time before which lines are deleted.
fn oldest_kept(now: Timestamp, keep: Duration) -> Timestamp {
    if keep.is_zero() {
        return Timestamp::from_unix_ms(i64::MAX);
    }
    let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(now.unix_ms().saturating_sub(keep_ms))
}

/// Stores audit lines in batches. Never ends; what it has not stored stays in the queue, also after a panic.
pub async fn store_audit_lines(log: Arc<AuditLog>) {
    let (mut failing, mut pause) = (false, BATCH_EVERY);
    loop {
        log.telemetry.audit_line_queued().await;
        tokio::time::sleep(pause).await;
        pause = match log.store_batch().await {
            Ok(lines) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("audit lines are stored again");
                }
                match lines < BATCH_LINES_MAX {
                    true => BATCH_EVERY,
                    false => FULL_BATCH_PAUSE,
                }
            }
            Err(error) => {
                // Logged once per outage.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        error = %error_chain(&error),
                        "audit lines cannot be stored: they wait in memory, and menshen tries again"
                    );
                }
                RETRY_AFTER
            }
        };
    }
}

/// Deletes old audit lines at intervals.
pub async fn delete_old_audit_lines(log: Arc<AuditLog>) {
    loop {
        tokio::time::sleep(DELETE_EVERY).await;
        if let Err(error) = log.delete_old().await {
            tracing::warn!(error = %error_chain(&error), "old audit lines were not deleted");
        }
    }
}
