//! `ResetCounter`: the streams of an HTTP/2 connection that its client reset before their responses.
//!
//! A request that is reset at once makes menshen and the upstream work and costs the client little (rapid
//! reset, CVE-2023-44487). hyper limits only streams that are reset before it hands them on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Resets that a connection may have in any case.
const RESETS_MAX: u32 = 200;
/// Resets that a connection may have in a [`PERIOD`], however many other streams get responses. Leaving
/// a page of images resets some hundreds; cheap requests must not excuse resets of expensive ones.
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

/// The resets of the current [`PERIOD`].
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

    /// Whether the resets exceed [`RESETS_MAX`] and half of all streams, or [`FAST_MAX`] in a [`PERIOD`].
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

    /// Whether `resets` at even distances `within` a time, with two responses for each, are too many.
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
    fn responses_excuse_resets_only_at_a_low_rate() {
        assert!(!too_many(FAST_MAX, Duration::ZERO));
        assert!(too_many(FAST_MAX + 1, Duration::ZERO));
        assert!(too_many(2 * FAST_MAX, PERIOD));
        assert!(!too_many(50 * FAST_MAX, PERIOD * 50));
        assert!(too_many(51 * FAST_MAX, PERIOD * 50));
    }

    #[test]
    fn without_responses_a_small_number_of_resets_is_too_many() {
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
