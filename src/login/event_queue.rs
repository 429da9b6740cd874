//! `EventQueue`: events of sources that wait to be handled. The source has its response already.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connector::{DirectoryChange, DirectoryEvent};
use crate::keys;
use crate::store::ConnectorId;

/// How long a repeated delivery is recognized in memory.
const RECENT_TTL: Duration = Duration::from_secs(600);
/// The most events that are recognized in memory. The store recognizes the others.
const RECENT_MAX: u64 = 100_000;
/// How often the store may refuse what an event leads to before the event is given up.
const REFUSALS_MAX: u32 = 5;
/// The pause after a first failure, and the longest. It doubles with each failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The waiting events of all connectors. Clones share them; a reload of the configuration keeps them.
#[derive(Clone)]
pub struct EventQueue(Arc<Queue>);

struct Queue {
    state: Mutex<State>,
    changed: Notify,
    /// The IDs of events that were accepted recently.
    recent_ids: Cache<[u8; 32], ()>,
}

#[derive(Default)]
struct State {
    /// Reported deletions, which are handled first, but after earlier renames of the same person.
    deletions: VecDeque<QueuedEvent>,
    others: VecDeque<QueuedEvent>,
    /// The events that are being handled.
    running: Vec<QueuedEvent>,
    /// The number of the next event.
    next_number: u64,
    /// The sources that failed, and until when they get no event.
    pauses: HashMap<ConnectorId, SourcePause>,
}

#[derive(Clone, Copy)]
struct SourcePause {
    until: Instant,
    /// The failures in a row.
    failures: u32,
}

#[derive(Clone)]
struct QueuedEvent {
    /// Grows in the order in which events are accepted.
    number: u64,
    connector: ConnectorId,
    id: [u8; 32],
    change: DirectoryChange,
    failures: u32,
    /// How often the store refused what the source says about the person.
    refusals: u32,
    not_before: Instant,
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
            state: Mutex::default(),
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
        let mut state = self.state();
        if self.0.recent_ids.contains_key(&id) {
            return Ok(Accepted::Ignored);
        }
        if state.waiting() >= max {
            return Err(QueueFull);
        }
        self.0.recent_ids.insert(id, ());
        let number = state.next_number;
        state.next_number += 1;
        state.push(QueuedEvent {
            number,
            connector: connector.clone(),
            id,
            change,
            failures: 0,
            refusals: 0,
            not_before: Instant::now(),
        });
        drop(state);
        self.0.changed.notify_waiters();
        Ok(Accepted::Queued)
    }

    /// Waits for the next event that is due. Cancel-safe.
    pub(super) async fn next(&self) -> RunningEvent {
        loop {
            let changed = self.0.changed.notified();
            let due_at = match self.state().take_due(Instant::now()) {
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
                if self.state().unfinished() == 0 {
                    return;
                }
                changed.await;
            }
        };
        // The events that are left are counted below.
        let _ = tokio::time::timeout(patience, drained).await;
        self.state().unfinished()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waiting(&self) -> usize {
        self.deletions.len() + self.others.len()
    }

    fn unfinished(&self) -> usize {
        self.waiting() + self.running.len()
    }

    fn push(&mut self, event: QueuedEvent) {
        match event.change {
            DirectoryChange::PersonDeleted(_) => self.deletions.push_back(event),
            DirectoryChange::PersonUpdated(_)
            | DirectoryChange::PersonRenamed { .. }
            | DirectoryChange::PersonAdded(_)
            | DirectoryChange::Department(_) => self.others.push_back(event),
        }
    }

    /// The first event that is due; otherwise when the next one is.
    fn take_due(&mut self, now: Instant) -> Result<QueuedEvent, Option<Instant>> {
        let due_at = |event: &QueuedEvent| {
            let pause = self.pauses.get(&event.connector);
            pause.map_or(event.not_before, |pause| pause.until.max(event.not_before))
        };
        let is_due = |event: &QueuedEvent| due_at(event) <= now;
        let may_begin = |event: &QueuedEvent| is_due(event) && !self.has_earlier_rename(event);
        let deletion = self.deletions.iter().position(may_begin);
        let other = self.others.iter().position(is_due);
        // A deletion that waits for a rename is not due at a time: the end of the rename wakes the worker.
        let waiting = self.deletions.iter().chain(&self.others).map(due_at);
        let next = waiting.filter(|at| *at > now).min();
        let taken = match (deletion, other) {
            (Some(index), _) => self.deletions.remove(index),
            (None, Some(index)) => self.others.remove(index),
            (None, None) => None,
        };
        let event = taken.ok_or(next)?;
        self.running.push(event.clone());
        Ok(event)
    }

    /// Whether a rename of the person whom this event reports as deleted was accepted before and is not
    /// handled yet: until it is, the account has another subject.
    fn has_earlier_rename(&self, deletion: &QueuedEvent) -> bool {
        let DirectoryChange::PersonDeleted(deleted) = &deletion.change else {
            return false;
        };
        self.others.iter().chain(&self.running).any(|event| {
            event.number < deletion.number
                && event.connector == deletion.connector
                && matches!(&event.change, DirectoryChange::PersonRenamed { from, to }
                    if from == deleted || to == deleted)
        })
    }

    /// Pauses the events of a source that failed.
    fn pause(&mut self, connector: &ConnectorId, now: Instant) {
        let pause = self.pauses.get(connector).copied();
        // Events that were handled at the same time count as one failure.
        if pause.is_some_and(|pause| pause.until > now) {
            return;
        }
        let failures = pause.map_or(0, |pause| pause.failures);
        let until = now + back_off(failures);
        let failures = failures.saturating_add(1);
        self.pauses
            .insert(connector.clone(), SourcePause { until, failures });
    }
}

fn back_off(failures: u32) -> Duration {
    let pause = PAUSE_MIN.saturating_mul(1 << failures.min(16));
    pause.min(PAUSE_MAX)
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
        self.queue.state().pauses.remove(&self.event.connector);
    }

    /// Adds the event to the queue again, because the source or the store failed.
    pub(super) fn retry(self) {
        let now = Instant::now();
        let event = self.after_failure(now);
        let mut state = self.queue.state();
        state.pause(&event.connector, now);
        state.push(event);
    }

    /// Whether the store has refused what this event leads to for the last time.
    pub(super) fn is_refused_for_good(&self) -> bool {
        self.event.refusals + 1 >= REFUSALS_MAX
    }

    /// Adds the event to the queue again, because the store refused what it leads to. Other events of the
    /// source do not wait for it.
    pub(super) fn retry_alone(self) {
        let mut event = self.after_failure(Instant::now());
        event.refusals += 1;
        self.queue.state().push(event);
    }

    fn after_failure(&self, now: Instant) -> QueuedEvent {
        let mut event = self.event.clone();
        event.not_before = now + back_off(event.failures);
        event.failures = event.failures.saturating_add(1);
        event
    }
}

impl Drop for RunningEvent {
    fn drop(&mut self) {
        let number = self.event.number;
        let mut state = self.queue.state();
        state.running.retain(|event| event.number != number);
        drop(state);
        self.queue.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector() -> ConnectorId {
        "corp".parse().unwrap()
    }

    fn event(number: u8, change: DirectoryChange) -> DirectoryEvent {
        DirectoryEvent {
            id: [number; 32],
            change: Some(change),
        }
    }

    fn updated(number: u8) -> DirectoryEvent {
        let subject = format!("ww1:{number}").parse().unwrap();
        event(number, DirectoryChange::PersonUpdated(subject))
    }

    fn deleted(number: u8) -> DirectoryEvent {
        let subject = format!("ww1:{number}").parse().unwrap();
        event(number, DirectoryChange::PersonDeleted(subject))
    }

    #[tokio::test(start_paused = true)]
    async fn deletions_are_handled_first_and_each_event_once() {
        let queue = EventQueue::default();
        for event in [updated(1), updated(2), deleted(3), deleted(4), updated(1)] {
            queue.accept(&connector(), event, 4).unwrap();
        }
        let without_change = DirectoryEvent {
            id: [9; 32],
            change: None,
        };
        let accepted = queue.accept(&connector(), without_change, 4);
        assert_eq!(accepted, Ok(Accepted::Ignored));
        for expected in [deleted(3), deleted(4), updated(1), updated(2)] {
            let running = queue.next().await;
            assert_eq!(Some(running.change()), expected.change.as_ref());
            running.finish();
        }
        let accepted = queue.accept(&connector(), deleted(3), 4);
        assert_eq!(accepted, Ok(Accepted::Ignored));
        // Each connector has its own events, even with the same ID.
        let other_connector = "other".parse().unwrap();
        let accepted = queue.accept(&other_connector, deleted(3), 4);
        assert_eq!(accepted, Ok(Accepted::Queued));
        queue.next().await.finish();
        assert_eq!(queue.drain(Duration::ZERO).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_waits_for_an_earlier_rename_of_the_same_person() {
        let queue = EventQueue::default();
        let renamed = |number: u8, to: u8| {
            let subject = |number| format!("ww1:{number}").parse().unwrap();
            let (from, to) = (subject(number), subject(to));
            event(100 + number, DirectoryChange::PersonRenamed { from, to })
        };
        // The rename of 7 comes after the deletion of 7: that is another person's.
        for event in [
            renamed(1, 2),
            deleted(2),
            deleted(3),
            deleted(7),
            renamed(7, 8),
        ] {
            queue.accept(&connector(), event, 9).unwrap();
        }
        for expected in [deleted(3), deleted(7)] {
            let running = queue.next().await;
            assert_eq!(Some(running.change()), expected.change.as_ref());
            running.finish();
        }
        // The deletion also waits while the rename runs, and when it is repeated.
        let rename = queue.next().await;
        assert_eq!(Some(rename.change()), renamed(1, 2).change.as_ref());
        let other = queue.next().await;
        assert_eq!(Some(other.change()), renamed(7, 8).change.as_ref());
        other.finish();
        rename.retry();
        let rename = queue.next().await;
        assert_eq!(Some(rename.change()), renamed(1, 2).change.as_ref());
        rename.finish();
        let running = queue.next().await;
        assert_eq!(Some(running.change()), deleted(2).change.as_ref());
        running.finish();
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_does_not_fit_may_be_delivered_again() {
        let queue = EventQueue::default();
        queue.accept(&connector(), updated(1), 1).unwrap();
        assert_eq!(queue.accept(&connector(), updated(2), 1), Err(QueueFull));
        queue.next().await.finish();
        let accepted = queue.accept(&connector(), updated(2), 1);
        assert_eq!(accepted, Ok(Accepted::Queued));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_fails_is_paused_twice_as_long_each_time() {
        let queue = EventQueue::default();
        queue.accept(&connector(), updated(1), 9).unwrap();
        queue.next().await.retry();
        let mut failed_at = Instant::now();
        for pause_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            let running = queue.next().await;
            assert_eq!(failed_at.elapsed().as_secs(), pause_s);
            assert!(!running.is_first_attempt());
            failed_at = Instant::now();
            running.retry();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_the_store_refuses_is_given_up_and_delays_no_other() {
        let queue = EventQueue::default();
        queue.accept(&connector(), deleted(1), 9).unwrap();
        let mut attempts = 1;
        loop {
            let running = queue.next().await;
            if running.is_refused_for_good() {
                running.finish();
                break;
            }
            running.retry_alone();
            attempts += 1;
            let begun = Instant::now();
            queue.accept(&connector(), updated(attempts), 9).unwrap();
            let other = queue.next().await;
            assert_eq!(begun.elapsed(), Duration::ZERO);
            other.finish();
        }
        assert_eq!(u32::from(attempts), REFUSALS_MAX);
        assert_eq!(queue.drain(Duration::ZERO).await, 0);
        let accepted = queue.accept(&connector(), deleted(1), 9);
        assert_eq!(accepted, Ok(Accepted::Ignored));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_fails_does_not_delay_another() {
        let queue = EventQueue::default();
        let other_connector: ConnectorId = "other".parse().unwrap();
        queue.accept(&connector(), deleted(1), 9).unwrap();
        queue.next().await.retry();
        queue.accept(&connector(), deleted(2), 9).unwrap();
        queue.accept(&other_connector, updated(3), 9).unwrap();
        let begun = Instant::now();
        let running = queue.next().await;
        assert_eq!(
            (running.connector(), begun.elapsed()),
            (&other_connector, Duration::ZERO)
        );
        running.finish();
        // The source of the other two events is paused, and one success ends the pause.
        let running = queue.next().await;
        assert!(begun.elapsed() >= PAUSE_MIN);
        running.finish();
        queue.next().await.finish();
        assert_eq!(begun.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_running_events_and_counts_those_left() {
        let queue = EventQueue::default();
        queue.accept(&connector(), updated(1), 9).unwrap();
        let running = queue.next().await;
        let drains = {
            let queue = queue.clone();
            tokio::spawn(async move { queue.drain(Duration::from_secs(60)).await })
        };
        tokio::task::yield_now().await;
        running.finish();
        assert_eq!(drains.await.unwrap(), 0);
        queue.accept(&connector(), updated(2), 9).unwrap();
        assert_eq!(queue.drain(Duration::from_secs(5)).await, 1);
    }
}
