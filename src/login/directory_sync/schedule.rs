//! Runs syncs in the background: of everything at each interval, and of what events name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::lease::ScheduleMark;
use super::{SyncRefused, SyncRequest};
use crate::clock::Timestamp;
use crate::login::{ConnectorEntry, Login};
use crate::people::directory_sync::{SyncOutcome, SyncReport, SyncScope};
use crate::store::{ConnectorId, StoreError};
use crate::telemetry::error_chain;

/// How often is looked whether a sync is due, as a part of the interval, and the limits.
const LOOKS_PER_INTERVAL: u32 = 20;
const LOOK_EVERY_MIN: Duration = Duration::from_millis(100);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(30);
/// The time in which further events join the same sync.
const EVENTS_GATHER_FOR: Duration = Duration::from_millis(500);
/// The pause after a sync that failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(60);
/// The pause while another process syncs the connector.
const BUSY_PAUSE: Duration = Duration::from_secs(5);

/// Syncs until it is dropped. `current` returns the logins of the active configuration.
pub async fn sync_directories(current: impl Fn() -> Login) {
    let mut tasks: HashMap<ConnectorId, JoinHandle<Option<Instant>>> = HashMap::new();
    let mut paused_until: HashMap<ConnectorId, Instant> = HashMap::new();
    loop {
        let login = current();
        let pause = login.look_pause();
        if timeout(pause, login.directory_syncs.0.changed.added())
            .await
            .is_ok()
        {
            sleep(EVENTS_GATHER_FOR).await;
        }
        let login = current();
        let ended: Vec<_> = tasks
            .iter()
            .filter(|(_, task)| task.is_finished())
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended {
            if let Some(task) = tasks.remove(&id)
                && let Ok(Some(until)) = task.await
            {
                paused_until.insert(id, until);
            }
        }
        paused_until.retain(|_, until| *until > Instant::now());
        for entry in login.entries() {
            let every = entry.features.directory_sync.and_then(|it| it.every);
            let is_paused = paused_until.contains_key(&entry.id) || tasks.contains_key(&entry.id);
            if let Some(every) = every.filter(|_| !is_paused) {
                let (login, entry) = (login.clone(), Arc::clone(entry));
                let id = entry.id.clone();
                let task = async move { login.sync_what_is_due(&entry, every).await };
                tasks.insert(id, tokio::spawn(task));
            }
        }
    }
}

impl Login {
    /// Lets the schedule read a part of a connector again, because an event named it. Without a schedule
    /// nothing is read.
    pub(in crate::login) fn request_sync(&self, entry: &ConnectorEntry, part: SyncScope) {
        let settings = entry.features.directory_sync;
        if settings.is_some_and(|settings| settings.every.is_some()) {
            self.directory_syncs.0.changed.add(&entry.id, part);
        }
    }

    /// When the schedule of a connector syncs everything next; `None`: it is due now. Whether the connector has
    /// a schedule is not asked.
    ///
    /// # Errors
    /// The store failed.
    pub async fn next_sync(&self, entry: &ConnectorEntry) -> Result<Option<Timestamp>, StoreError> {
        self.mark_of(entry).next().await
    }

    fn mark_of<'a>(&'a self, entry: &'a ConnectorEntry) -> ScheduleMark<'a> {
        ScheduleMark {
            people: &self.people,
            clock: &self.clock,
            connector: &entry.id,
        }
    }

    fn look_pause(&self) -> Duration {
        let settings = self.entries.iter();
        let intervals = settings.filter_map(|entry| entry.features.directory_sync?.every);
        let shortest = intervals.min().map(|every| every / LOOKS_PER_INTERVAL);
        let pause = shortest.unwrap_or(LOOK_EVERY_MAX);
        pause.clamp(LOOK_EVERY_MIN, LOOK_EVERY_MAX)
    }

    /// Syncs everything if the interval is over, otherwise what events named. Returns until when the
    /// connector is left alone after a failure.
    async fn sync_what_is_due(&self, entry: &ConnectorEntry, every: Duration) -> Option<Instant> {
        let mark = self.mark_of(entry);
        let parts = self.directory_syncs.0.changed.take(&entry.id);
        let is_due = match mark.is_due().await {
            Ok(is_due) => is_due,
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "whether a directory sync is due is unknown");
                false
            }
        };
        if is_due {
            return self.sync_on_schedule(entry, &mark, every).await;
        }
        let mut paused_until = None;
        for part in parts {
            let report = self.sync_now(entry, part.clone(), "event of the source");
            // Other failures are repaired by the next sync of everything.
            if report
                .await
                .is_some_and(|report| report.outcome == SyncOutcome::Busy)
            {
                self.directory_syncs.0.changed.add(&entry.id, part);
                paused_until = Some(Instant::now() + BUSY_PAUSE);
            }
        }
        paused_until
    }

    async fn sync_on_schedule(
        &self,
        entry: &ConnectorEntry,
        mark: &ScheduleMark<'_>,
        every: Duration,
    ) -> Option<Instant> {
        let begun = Instant::now();
        let report = self
            .sync_now(entry, SyncScope::Everything, "schedule")
            .await;
        let pause = match report.map(|report| report.outcome) {
            Some(SyncOutcome::Done | SyncOutcome::Refused) => {
                match mark.set(every.saturating_sub(begun.elapsed())).await {
                    Ok(_) => return None,
                    Err(_) => FAILURE_PAUSE,
                }
            }
            Some(SyncOutcome::Busy) => BUSY_PAUSE,
            Some(SyncOutcome::Failed | SyncOutcome::NotFound) | None => FAILURE_PAUSE,
        };
        Some(Instant::now() + pause.min(every))
    }

    /// Syncs after the running sync of this process, if there is one. `None` if there is no directory, or
    /// the task of the sync failed.
    async fn sync_now(
        &self,
        entry: &ConnectorEntry,
        scope: SyncScope,
        by: &str,
    ) -> Option<Arc<SyncReport>> {
        let request = SyncRequest {
            scope,
            dry_run: false,
            force: false,
            by: by.to_owned(),
        };
        loop {
            match self.start_sync(&entry.id, request.clone()) {
                Ok(running) => return running.report().await,
                Err(SyncRefused::Running { .. }) => {
                    let status = self.sync_status(&entry.id).ok()?;
                    if let Some(running) = status.running {
                        running.report().await;
                    }
                }
                Err(
                    SyncRefused::UnknownConnector(_)
                    | SyncRefused::NoDirectory(_)
                    | SyncRefused::NoSuchId { .. },
                ) => return None,
            }
        }
    }
}
