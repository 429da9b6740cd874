//! What goes on behind the requests: uses are written in batches, revocations of others are read.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Sessions;
use crate::clock::Timestamp;
use crate::store::SessionKey;

/// How long uses are collected before they are written.
const BATCH_EVERY: Duration = Duration::from_millis(500);
/// How often the log of revocations is read.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many entries of the log, and how many uses, one question carries.
const BATCH_MAX: usize = 1_000;
/// How often what is over is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(300);
/// Rows that are idle for so long are deleted, whatever the configured idle timeout was.
const IDLE_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Starts the tasks; each ends when the sessions are dropped.
pub(super) fn start(
    sessions: &Arc<Sessions>,
    touched: mpsc::Receiver<(SessionKey, Timestamp)>,
    log_number: i64,
) {
    tokio::spawn(write_uses(Arc::downgrade(sessions), touched));
    tokio::spawn(read_log(Arc::downgrade(sessions), log_number));
    tokio::spawn(sweep(Arc::downgrade(sessions)));
}

async fn write_uses(
    sessions: Weak<Sessions>,
    mut touched: mpsc::Receiver<(SessionKey, Timestamp)>,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while touched.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let latest: HashMap<_, _> = batch.drain(..).collect();
        let used: Vec<_> = latest.into_iter().collect();
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        if let Err(error) = sessions.store.touch(&used).await {
            tracing::warn!(error = %crate::telemetry::chain(&error), "uses of sessions were not written");
        }
        drop(sessions);
        tokio::time::sleep(BATCH_EVERY).await;
    }
}

/// Whoever no longer reads the log may not vouch for anybody, however the reading ended.
struct Reader(Weak<Sessions>);

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(sessions) = self.0.upgrade() {
            sessions.silent.store(true, Ordering::Relaxed);
            tracing::error!("the log of revocations is no longer read: restart menshen");
        }
    }
}

async fn read_log(sessions: Weak<Sessions>, mut number: i64) {
    let _reader = Reader(sessions.clone());
    let (mut failing, mut last_good) = (false, Instant::now());
    loop {
        tokio::time::sleep(POLL_EVERY).await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let max = u32::try_from(BATCH_MAX).unwrap_or(u32::MAX);
        let asked = sessions.store.revocations_after(number, max);
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(entries)) => {
                for entry in &entries {
                    number = number.max(entry.number);
                    sessions.apply(entry);
                }
                (failing, last_good) = (false, Instant::now());
            }
            // Said once, not every second of an outage.
            Ok(Err(error)) if !failing => {
                tracing::error!(error = %crate::telemetry::chain(&error), "the log of revocations cannot be read");
                failing = true;
            }
            Err(_) if !failing => {
                tracing::error!("the log of revocations was not read in time");
                failing = true;
            }
            Ok(Err(_)) | Err(_) => {}
        }
        let silent = last_good.elapsed() > sessions.outage_grace;
        sessions.silent.store(silent, Ordering::Relaxed);
    }
}

async fn sweep(sessions: Weak<Sessions>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(sessions) = sessions.upgrade() else {
            return;
        };
        let now = sessions.clock.now();
        let idle_ms = i64::try_from(IDLE_KEPT.as_millis()).unwrap_or(i64::MAX);
        let idle_before = Timestamp::from_unix_ms(now.unix_ms().saturating_sub(idle_ms));
        match sessions.store.sweep(now, idle_before, 10_000).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "what is over was deleted"),
            Err(error) => {
                tracing::warn!(error = %crate::telemetry::chain(&error), "what is over was not deleted");
            }
        }
    }
}
