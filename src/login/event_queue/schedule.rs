//! `Schedule`: which of the waiting events is handled next, and which sources are paused.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::login::connector::DirectoryChange;
use crate::store::ConnectorId;

/// The pause after a first failure, and the longest. It doubles with each failure.
pub(super) const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The events that wait or are being handled.
#[derive(Default)]
pub(super) struct Schedule {
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
pub(super) struct QueuedEvent {
    /// Grows in the order in which events are accepted.
    number: u64,
    pub(super) connector: ConnectorId,
    pub(super) id: [u8; 32],
    pub(super) change: DirectoryChange,
    pub(super) failures: u32,
    /// How often the store refused what the source says about the person.
    pub(super) refusals: u32,
    not_before: Instant,
}

impl QueuedEvent {
    /// The same event, to be handled again after a pause.
    pub(super) fn after_failure(&self, now: Instant) -> Self {
        Self {
            failures: self.failures.saturating_add(1),
            not_before: now + back_off(self.failures),
            ..self.clone()
        }
    }
}

impl Schedule {
    /// Adds an event that is accepted now.
    pub(super) fn add(&mut self, connector: &ConnectorId, id: [u8; 32], change: DirectoryChange) {
        let number = self.next_number;
        self.next_number += 1;
        self.push(QueuedEvent {
            number,
            connector: connector.clone(),
            id,
            change,
            failures: 0,
            refusals: 0,
            not_before: Instant::now(),
        });
    }

    pub(super) fn waiting(&self) -> usize {
        self.deletions.len() + self.others.len()
    }

    pub(super) fn unfinished(&self) -> usize {
        self.waiting() + self.running.len()
    }

    pub(super) fn push(&mut self, event: QueuedEvent) {
        match event.change {
            DirectoryChange::PersonDeleted(_) => self.deletions.push_back(event),
            DirectoryChange::PersonUpdated(_)
            | DirectoryChange::PersonRenamed { .. }
            | DirectoryChange::PersonAdded(_)
            | DirectoryChange::Department(_) => self.others.push_back(event),
        }
    }

    /// The first event that is due; otherwise when the next one is.
    pub(super) fn take_due(&mut self, now: Instant) -> Result<QueuedEvent, Option<Instant>> {
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

    /// Removes an event from those that are being handled.
    pub(super) fn remove_running(&mut self, event: &QueuedEvent) {
        self.running
            .retain(|running| running.number != event.number);
    }

    /// Pauses the events of a source that failed.
    pub(super) fn pause(&mut self, connector: &ConnectorId, now: Instant) {
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

    pub(super) fn end_pause(&mut self, connector: &ConnectorId) {
        self.pauses.remove(connector);
    }
}

fn back_off(failures: u32) -> Duration {
    let pause = PAUSE_MIN.saturating_mul(1 << failures.min(16));
    pause.min(PAUSE_MAX)
}
