//! `Bucket`: leave to write lines that strangers can cause, and a count of those left out.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Lets `at_once` lines pass, and then so many in a second; counts the others.
#[derive(Debug)]
pub(super) struct TokenBucket {
    burst: f64,
    per_second: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    refilled_at: Instant,
    suppressed: u64,
}

impl TokenBucket {
    pub(super) fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst: burst.into(),
            per_second: per_second.into(),
            state: Mutex::new(State {
                tokens: burst.into(),
                refilled_at: Instant::now(),
                suppressed: 0,
            }),
        }
    }

    /// Whether a line may be written: how many were left out before it, or nothing.
    pub(super) fn take(&self) -> Option<u64> {
        self.take_at(Instant::now())
    }

    /// How many were left out, for a line that is written in any case.
    pub(super) fn take_suppressed(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.suppressed)
    }

    fn take_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(state.refilled_at);
        state.tokens = (state.tokens + elapsed.as_secs_f64() * self.per_second).min(self.burst);
        state.refilled_at = now;
        if state.tokens < 1.0 {
            state.suppressed += 1;
            return None;
        }
        state.tokens -= 1.0;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_counted_and_written_at_a_pace() {
        let bucket = TokenBucket::new(3, 2);
        let start = Instant::now();
        let taken: Vec<_> = (0..5).map(|_| bucket.take_at(start)).collect();
        assert_eq!(taken, [Some(0), Some(0), Some(0), None, None]);
        let later = start + Duration::from_millis(500);
        assert_eq!(
            [bucket.take_at(later), bucket.take_at(later)],
            [Some(2), None]
        );
        assert_eq!(bucket.take_suppressed(), 1);
        // A quiet time fills it, and no further.
        let much_later = start + Duration::from_secs(3600);
        let taken: Vec<_> = (0..4).map(|_| bucket.take_at(much_later)).collect();
        assert_eq!(taken, [Some(0), Some(0), Some(0), None]);
    }
}
