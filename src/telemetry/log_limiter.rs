//! `LogLimiter`: limits a log line to once per second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Limits a log line that clients can cause to one per second. Holds the second of the last one, since
/// 1970.
#[derive(Debug, Default)]
pub struct LogLimiter(AtomicU64);

impl LogLimiter {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// `true` for one caller per second.
    pub fn allow(&self) -> bool {
        let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.allow_at(elapsed.unwrap_or_default())
    }

    fn allow_at(&self, now: Duration) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        let second = now.as_secs();
        second != last
            && self
                .0
                .compare_exchange(last, second, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_second_is_allowed() {
        let limiter = LogLimiter::default();
        let allowed: Vec<_> = [5, 5, 5, 6, 6, 9]
            .map(|second| limiter.allow_at(Duration::from_secs(second)))
            .into();
        assert_eq!(allowed, [true, false, false, true, false, true]);
    }
}
