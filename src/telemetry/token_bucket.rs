//! `TokenBucket`: limits the rate of log lines and counts the suppressed ones.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Allows a burst of lines, then a number per second; counts the suppressed lines.
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

    /// The number of lines suppressed before this one, or `None` if this one is suppressed.
    pub(super) fn take(&self) -> Option<u64> {
        self.take_at(Instant::now())
    }

    /// The number of suppressed lines, for a line that is not limited. Resets it.
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
    fn lines_above_the_rate_are_suppressed_and_counted() {
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
        // An idle bucket refills up to the burst.
        let much_later = start + Duration::from_secs(3600);
        let taken: Vec<_> = (0..4).map(|_| bucket.take_at(much_later)).collect();
        assert_eq!(taken, [Some(0), Some(0), Some(0), None]);
    }
}
