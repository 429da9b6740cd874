//! `EventQueue`: events of sources that wait to be handled. The source has its response already.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connector::{DirectoryChange, DirectoryEvent};
use crate::keys;
use crate::store::ConnectorId;
use schedule::{QueuedEvent, Schedule};

mod schedule;

/// How long a repeated delivery is recognized in memory.
const RECENT_TTL: Duration = Duration::from_secs(600);
/// The most events that are recognized in memory. The store recognizes the others.
const RECENT_MAX: u64 = 100_000;
/// How often the store may refuse what an event leads to before the event is given up.
const REFUSALS_MAX: u32 = 5;

/// The waiting events of all connectors. Clones share them; a reload of the configuration keeps them.
#[derive(Clone)]
pub struct EventQueue(Arc<Queue>);

struct Queue {
    schedule: Mutex<Schedule>,
    changed: Notify,
    /// The IDs of events that were accepted recently.
    recent_ids: Cache<[u8; 32], ()>,
}

/// Whether an event was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It was added to the queue.
    Queued,
    /// It was delivered before, or it reports nothing that concerns sessions.
    Ignored,
}

/// The queue has as many events as it may have. The source delivers the event again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many events wait to be handled")]
pub struct QueueFull;

/// An event that is being handled. If it is dropped by a panic, the event is lost.
pub(super) struct RunningEvent {
    queue: EventQueue,
    event: QueuedEvent,
}

impl Default for EventQueue {
    fn default() -> Self {
        Self(Arc::new(Queue {
            schedule: Mutex::default(),
            changed: Notify::new(),
            recent_ids: Cache::builder()
                .max_capacity(RECENT_MAX)
                .time_to_live(RECENT_TTL)
                .build(),
        }))
    }
}

impl fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue").finish_non_exhaustive()
    }
}

impl EventQueue {
    /// Adds an event, unless it was added before. `max` limits the waiting events.
    pub fn accept(
        &self,
        connector: &ConnectorId,
        event: DirectoryEvent,
        max: usize,
    ) -> Result<Accepted, QueueFull> {
        let DirectoryEvent { id, change } = event;
        let Some(change) = change else {
            return Ok(Accepted::Ignored);
        };
        // Connectors of one organisation receive the same events.
        let id = keys::fingerprint(&[connector.as_str().as_bytes(), &id]);
        let mut schedule = self.schedule();
        if self.0.recent_ids.contains_key(&id) {
            return Ok(Accepted::Ignored);
        }
        if schedule.waiting() >= max {
            return Err(QueueFull);
        }
        self.0.recent_ids.insert(id, ());
        schedule.add(connector, id, change);
        drop(schedule);
        self.0.changed.notify_waiters();
        Ok(Accepted::Queued)
    }

    /// Waits for the next event that is due. Cancel-safe.
    pub(super) async fn next(&self) -> RunningEvent {
        loop {
            let changed = self.0.changed.notified();
            let due_at = match self.schedule().take_due(Instant::now()) {
                Ok(event) => {
                    return RunningEvent {
                        queue: self.clone(),
                        event,
                    };
                }
                Err(due_at) => due_at,
            };
            match due_at {
                // Either way the queue is looked at again.
                Some(at) => drop(tokio::time::timeout_at(at, changed).await),
                None => changed.await,
            }
        }
    }

    /// Waits until every event is handled, at most `patience`; returns how many are left.
    pub async fn drain(&self, patience: Duration) -> usize {
        let drained = async {
            loop {
                let changed = self.0.changed.notified();
                if self.schedule().unfinished() == 0 {
                    return;
                }
                changed.await;
            }
        };
        // The events that are left are counted below.
        let _ = tokio::time::timeout(patience, drained).await;
        self.schedule().unfinished()
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        let schedule = self.0.schedule.lock();
        schedule.unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningEvent {
    pub(super) fn connector(&self) -> &ConnectorId {
        &self.event.connector
    }

    pub(super) fn id(&self) -> &[u8; 32] {
        &self.event.id
    }

    pub(super) fn change(&self) -> &DirectoryChange {
        &self.event.change
    }

    /// Whether the event is handled for the first time.
    pub(super) fn is_first_attempt(&self) -> bool {
        self.event.failures == 0
    }

    /// Records that the event was handled, and ends the pause of its source.
    pub(super) fn finish(self) {
        self.queue.schedule().end_pause(&self.event.connector);
    }

    /// Adds the event to the queue again, because the source or the store failed.
    pub(super) fn retry(self) {
        let now = Instant::now();
        let event = self.event.after_failure(now);
        let mut schedule = self.queue.schedule();
        schedule.pause(&event.connector, now);
        schedule.push(event);
    }

    /// Whether the store has refused what this event leads to for the last time.
    pub(super) fn is_refused_for_good(&self) -> bool {
        self.event.refusals + 1 >= REFUSALS_MAX
    }

    /// Adds the event to the queue again, because the store refused what it leads to. Other events of the
    /// source do not wait for it.
    pub(super) fn retry_alone(self) {
        let mut event = self.event.after_failure(Instant::now());
        event.refusals += 1;
        self.queue.schedule().push(event);
    }
}

impl Drop for RunningEvent {
    fn drop(&mut self) {
        self.queue.schedule().remove_running(&self.event);
        self.queue.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
