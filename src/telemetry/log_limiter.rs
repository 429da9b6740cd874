//! `LogLimiter`: leave to say something, once a second, so that a flood of one thing floods no log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Gives leave to speak at most once a second. For lines that strangers can cause.
#[derive(Debug, Default)]
pub struct LogLimiter(AtomicU64);

impl LogLimiter {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether now is the time: true for one caller a second.
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
    fn one_line_a_second_is_said() {
        let log_limiter = LogLimiter::default();
        let said: Vec<_> = [5, 5, 5, 6, 6, 9]
            .map(|s| log_limiter.allow_at(Duration::from_secs(s)))
            .into();
        assert_eq!(said, [true, false, false, true, false, true]);
    }
}
