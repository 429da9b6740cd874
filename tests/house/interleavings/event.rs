//! `Event`: one step of a schedule, and which other steps it commutes with.

use super::gated_store::CallId;

/// Something that the explorer lets happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Start(usize),
    /// The database executes a call.
    Execute(CallId),
    /// The answer reaches the caller.
    Answer(CallId),
    /// The caller learns that the call failed.
    Fail(CallId),
    /// A node reads the log of revocations; it has not applied it yet.
    ReadLog(usize),
}

/// An action, and what it touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) action: Action,
    pub(super) touches: Touches,
}

/// Two events commute if neither changes what the other touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touches {
    /// The memory of a node.
    pub(super) node: Option<usize>,
    pub(super) reads_database: bool,
    pub(super) writes_database: bool,
    pub(super) clock: bool,
    pub(super) failures: bool,
}

impl Event {
    /// Whether the order of the two makes no difference.
    pub(super) fn commutes_with(&self, other: &Self) -> bool {
        let (a, b) = (&self.touches, &other.touches);
        let same_node = a.node.is_some() && a.node == b.node;
        let same_database = (a.writes_database && (b.reads_database || b.writes_database))
            || (b.writes_database && a.reads_database);
        let (same_clock, same_failures) = (a.clock && b.clock, a.failures && b.failures);
        !(same_node || same_database || same_clock || same_failures)
    }
}
