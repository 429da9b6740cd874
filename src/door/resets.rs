//! `ResetCounter`: the streams of an HTTP/2 connection that its client reset before their responses.
//!
//! A request that is reset at once makes menshen and the upstream work and costs the client little (rapid
//! reset, CVE-2023-44487). hyper limits only streams that are reset before it hands them on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many resets a connection may have, however few of its streams get responses.
const RESETS_MAX: u32 = 200;
/// How many resets a connection may have in a [`PERIOD`], however many other streams get responses.
/// Leaving a page of images resets some hundreds; cheap requests must not excuse resets of expensive
/// ones.
const RESETS_PER_PERIOD_MAX: u32 = 1000;
const PERIOD: Duration = Duration::from_secs(10);

/// Counts the streams of one connection.
#[derive(Debug, Default)]
pub(super) struct ResetCounter {
    streams: AtomicU32,
    resets: AtomicU32,
    period: Mutex<Period>,
    exceeded_rate: AtomicBool,
}

/// The resets of the current [`PERIOD`].
#[derive(Debug, Default)]
struct Period {
    started_at: Option<Instant>,
    resets: u32,
}

impl ResetCounter {
    pub(super) fn count_stream(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_reset(&self, now: Instant) {
        self.resets.fetch_add(1, Ordering::Relaxed);
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        if period.started_at.is_none_or(|start| now >= start + PERIOD) {
            *period = Period {
                started_at: Some(now),
                resets: 0,
            };
        }
        period.resets += 1;
        if period.resets > RESETS_PER_PERIOD_MAX {
            self.exceeded_rate.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the resets exceed [`RESETS_MAX`] and half of all streams, or [`RESETS_PER_PERIOD_MAX`] in a
    /// [`PERIOD`].
    pub(super) fn are_too_many(&self) -> bool {
        let resets = self.resets.load(Ordering::Relaxed);
        resets > RESETS_MAX
            && (resets > self.streams.load(Ordering::Relaxed) / 2
                || self.exceeded_rate.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this many resets, spread evenly over `duration`, with two responses for each, are too many.
    fn are_too_many(resets: u32, duration: Duration) -> bool {
        let counter = ResetCounter::default();
        let start = Instant::now();
        for number in 0..resets {
            for _ in 0..3 {
                counter.count_stream();
            }
            counter.count_reset(start + duration * number / resets);
        }
        counter.are_too_many()
    }

    #[test]
    fn responses_excuse_resets_only_at_a_low_rate() {
        assert!(!are_too_many(RESETS_PER_PERIOD_MAX, Duration::ZERO));
        assert!(are_too_many(RESETS_PER_PERIOD_MAX + 1, Duration::ZERO));
        assert!(are_too_many(2 * RESETS_PER_PERIOD_MAX, PERIOD));
        assert!(!are_too_many(50 * RESETS_PER_PERIOD_MAX, PERIOD * 50));
        assert!(are_too_many(51 * RESETS_PER_PERIOD_MAX, PERIOD * 50));
    }

    #[test]
    fn without_responses_more_than_resets_max_resets_are_too_many() {
        let counter = ResetCounter::default();
        let now = Instant::now();
        for number in 0..=RESETS_MAX {
            assert!(!counter.are_too_many(), "{number}");
            counter.count_stream();
            counter.count_reset(now + PERIOD * number);
        }
        assert!(counter.are_too_many());
    }
}
