//! `ResetCounter`: counts the streams of an HTTP/2 connection that the client resets before the response.
//!
//! Requests that are reset at once cost menshen and the upstream work and the client almost nothing
//! (CVE-2023-44487). The HTTP/2 library counts only streams that are reset before menshen receives
//! them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many unanswered streams a connection may reset at any share and rate.
const RESETS_MAX: u32 = 200;
/// How many it may reset in a [`PERIOD`], even if most streams are answered. Leaving a page with many
/// images resets some hundreds. The limit stops clients that hide resets of expensive requests among
/// many answered cheap ones.
const FAST_MAX: u32 = 1000;
const PERIOD: Duration = Duration::from_secs(10);

/// Counts the streams of one connection.
#[derive(Debug, Default)]
pub(super) struct ResetCounter {
    streams: AtomicU32,
    unanswered: AtomicU32,
    period: Mutex<Period>,
    too_fast: AtomicBool,
}

/// The resets of the current period.
#[derive(Debug, Default)]
struct Period {
    since: Option<Instant>,
    resets: u32,
}

impl ResetCounter {
    pub(super) fn count_stream(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_reset(&self, now: Instant) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        if period.since.is_none_or(|since| now >= since + PERIOD) {
            *period = Period {
                since: Some(now),
                resets: 0,
            };
        }
        period.resets += 1;
        if period.resets > FAST_MAX {
            self.too_fast.store(true, Ordering::Relaxed);
        }
    }

    /// Whether more than [`RESETS_MAX`] streams were reset, and these were more than half of all
    /// streams, or more than [`FAST_MAX`] in one period.
    pub(super) fn are_too_many(&self) -> bool {
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        unanswered > RESETS_MAX
            && (unanswered > self.streams.load(Ordering::Relaxed) / 2
                || self.too_fast.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `resets` at even intervals within this time are too many, with two answered streams for
    /// each.
    fn too_many(resets: u32, within: Duration) -> bool {
        let counted = ResetCounter::default();
        let began = Instant::now();
        for number in 0..resets {
            for _ in 0..3 {
                counted.count_stream();
            }
            counted.count_reset(began + within * number / resets);
        }
        counted.are_too_many()
    }

    #[test]
    fn answered_streams_excuse_resets_only_while_they_are_slow() {
        assert!(!too_many(FAST_MAX, Duration::ZERO));
        assert!(too_many(FAST_MAX + 1, Duration::ZERO));
        assert!(too_many(2 * FAST_MAX, PERIOD));
        assert!(!too_many(50 * FAST_MAX, PERIOD * 50));
        assert!(too_many(51 * FAST_MAX, PERIOD * 50));
    }

    #[test]
    fn without_answers_the_share_decides() {
        let counted = ResetCounter::default();
        let now = Instant::now();
        for number in 0..=RESETS_MAX {
            assert!(!counted.are_too_many(), "{number}");
            counted.count_stream();
            counted.count_reset(now + PERIOD * number);
        }
        assert!(counted.are_too_many());
    }
}
