//! `AuditQueue`: the audit lines that wait until the store has them. Adding one never waits: the queue is
//! bounded, and a line that does not fit is counted. The log has every line in any case.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{AuditEvent, AuditRecord, Telemetry};
use crate::clock::Timestamp;

/// The most waiting lines.
const LINES_MAX: usize = 20_000;
/// The most waiting lines with which a line of an anonymous client is accepted.
const LINES_WITH_ANONYMOUS_MAX: usize = LINES_MAX / 2;
/// The most bytes of waiting lines.
const BYTES_MAX: usize = 32 << 20;
/// The length up to which a line is stored as the log has it. In a longer one the texts are truncated.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// The length to which the texts of a line that is too long are truncated.
const TEXT_BYTES_MAX: usize = 1024;

/// A line of the audit trail for the store: the line of the log with the Chinese words of its reason and error, and
/// by what it is found.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Unique, so that a line that is sent to the store twice is stored once.
    pub id: AuditLineId,
    pub at: Timestamp,
    pub event: AuditEvent,
    pub connector: Option<String>,
    pub login: Option<String>,
    /// The ID of the account, which stays when its login changes.
    pub account: Option<String>,
    pub cause: AuditCause,
    /// One JSON object, without a line end.
    pub json: String,
}

/// Who caused a line. If the store has too many, those of anonymous clients are deleted first, and those of
/// administrators last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditCause {
    /// A client that is not signed in.
    Anonymous,
    Person,
    /// Somebody who changed something, or used the console.
    Administrator,
}

impl AuditCause {
    /// All causes, in the order in which their lines are deleted.
    pub const ALL: [Self; 3] = [Self::Anonymous, Self::Person, Self::Administrator];

    fn of(audit: &AuditRecord<'_>) -> Self {
        let is_of_settings = matches!(audit.event, AuditEvent::Config | AuditEvent::Console);
        match is_of_settings || audit.by.is_some() {
            true => Self::Administrator,
            false => Self::Person,
        }
    }

    /// The number in the store.
    pub const fn number(self) -> i64 {
        match self {
            Self::Anonymous => 0,
            Self::Person => 1,
            Self::Administrator => 2,
        }
    }
}

/// Names a line: eight random bytes of its process, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLineId([u8; 16]);

/// Why a line is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnstoredAudit {
    /// Too many lines wait.
    QueueFull,
    /// The database refuses the line itself.
    Refused,
    /// The process ends while the store does not answer.
    Shutdown,
}

impl UnstoredAudit {
    pub(super) const ALL: [Self; 3] = [Self::QueueFull, Self::Refused, Self::Shutdown];

    /// The value in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::Refused => "refused",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Debug for AuditLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLine")
            .field("id", &self.id)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

impl AuditLineId {
    fn new(process: [u8; 8], number: u64) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&process);
        id[8..].copy_from_slice(&number.to_be_bytes());
        Self(id)
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The waiting lines.
#[derive(Default)]
pub(super) struct AuditQueue {
    state: Mutex<State>,
    /// Wakes the task that stores lines.
    pushed: Notify,
}

#[derive(Default)]
struct State {
    /// The random bytes of this process; `None` while lines are not stored.
    process: Option<[u8; 8]>,
    next_number: u64,
    lines: VecDeque<AuditLine>,
    bytes: usize,
    /// The lines that did not fit since the store last took one.
    dropped: u64,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits, or lines are not stored.
    Done,
    /// It did not fit; `first`: it is the first one since the store last took a line.
    Dropped { first: bool },
}

impl fmt::Debug for AuditQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditQueue").finish_non_exhaustive()
    }
}

impl AuditQueue {
    /// Adds the line of a record, which `written` holds as the log has it.
    pub(super) fn push(
        &self,
        audit: &AuditRecord<'_>,
        is_anonymous: bool,
        suppressed: u64,
        written: &[u8],
    ) -> Pushed {
        let mut state = self.lock();
        let Some(mut line) = state.line(audit, suppressed, written) else {
            return Pushed::Done;
        };
        let mut lines_max = LINES_MAX;
        if is_anonymous {
            line.cause = AuditCause::Anonymous;
            lines_max = LINES_WITH_ANONYMOUS_MAX;
        }
        if state.lines.len() >= lines_max || state.bytes + line.json.len() > BYTES_MAX {
            state.dropped += 1;
            let first = state.dropped == 1;
            return Pushed::Dropped { first };
        }
        state.bytes += line.json.len();
        state.lines.push_back(line);
        drop(state);
        self.pushed.notify_one();
        Pushed::Done
    }

    /// The number of lines that did not fit since the store last took one.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The line of a record; `None` while lines are not stored.
    fn line(
        &mut self,
        audit: &AuditRecord<'_>,
        suppressed: u64,
        written: &[u8],
    ) -> Option<AuditLine> {
        let id = AuditLineId::new(self.process?, self.next_number);
        self.next_number += 1;
        let text = |written: &[u8]| String::from_utf8_lossy(written.trim_ascii_end()).into_owned();
        let json = match written.len() <= LINE_BYTES_MAX {
            true => {
                let mut json = text(written);
                audit.push_chinese(&mut json, TEXT_BYTES_MAX);
                json
            }
            false => {
                let mut truncated = Vec::new();
                audit.write_limited(&mut truncated, suppressed, TEXT_BYTES_MAX);
                text(&truncated)
            }
        };
        Some(AuditLine {
            id,
            at: audit.at,
            event: audit.event,
            connector: audit.connector.map(str::to_owned),
            login: audit.login.map(str::to_owned),
            account: audit.account.map(ToString::to_string),
            cause: AuditCause::of(audit),
            json,
        })
    }
}

impl Telemetry {
    /// From now on audit lines are queued for the store. `process`: random bytes, the same at each call.
    pub fn queue_audit_lines(&self, process: [u8; 8]) {
        self.0.audit_queue.lock().process = Some(process);
    }

    /// From now on audit lines are only logged; those that wait are not stored.
    pub fn stop_queueing_audit_lines(&self) {
        let mut state = self.0.audit_queue.lock();
        state.process = None;
        state.lines.clear();
        (state.bytes, state.dropped) = (0, 0);
    }

    /// Waits until a line is queued. Cancel-safe.
    pub async fn audit_line_queued(&self) {
        while self.0.audit_queue.lock().lines.is_empty() {
            self.0.audit_queue.pushed.notified().await;
        }
    }

    /// The oldest queued lines, at most `max`. They stay in the queue.
    pub fn queued_audit_lines(&self, max: usize) -> Vec<AuditLine> {
        let state = self.0.audit_queue.lock();
        state.lines.iter().take(max).cloned().collect()
    }

    /// Removes the lines up to this one, which the store has taken. Returns the number of lines that did not
    /// fit into the queue since the store last took one.
    pub fn remove_audit_lines(&self, last: AuditLineId) -> u64 {
        let mut state = self.0.audit_queue.lock();
        // Nobody else removes lines of the front, but all of them may be gone: lines are not stored any more.
        if let Some(at) = state.lines.iter().position(|line| line.id == last) {
            let removed = state.lines.drain(..=at);
            let bytes: usize = removed.map(|line| line.json.len()).sum();
            state.bytes -= bytes;
        }
        std::mem::take(&mut state.dropped)
    }

    /// How many lines are queued.
    pub fn audit_lines_waiting(&self) -> usize {
        self.0.audit_queue.lock().lines.len()
    }

    /// The line of a record, for a transaction that stores it with the change that it records; `None` while
    /// lines are not stored. After the commit, [`Self::log_stored_audit`] writes it into the log.
    pub fn audit_line(&self, audit: &AuditRecord<'_>) -> Option<AuditLine> {
        let mut written = Vec::new();
        audit.write(&mut written, 0);
        self.0.audit_queue.lock().line(audit, 0, &written)
    }
}

#[cfg(test)]
mod tests;
