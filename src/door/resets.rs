//! `Resets`: the streams of an HTTP/2 connection that its client gave up before they were answered.
//!
//! Asking and giving up at once makes work for us and the upstream and costs the client next to nothing
//! (CVE-2023-44487). The library counts only what is reset before we see it.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many unanswered streams a connection may reset, however few others it has.
const RESETS_MAX: u32 = 200;

/// Counts the streams of one connection.
#[derive(Debug, Default)]
pub(super) struct Resets {
    streams: AtomicU32,
    unanswered: AtomicU32,
}

impl Resets {
    pub(super) fn count_stream(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_reset(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether more than the maximum, and more than half of all streams, were given up.
    pub(super) fn are_too_many(&self) -> bool {
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        unanswered > RESETS_MAX && unanswered > self.streams.load(Ordering::Relaxed) / 2
    }
}
