//! `Clock`: the time of the system or, in tests, a time that the test sets.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Saturates at the largest time.
    pub const fn from_unix_s(s: i64) -> Self {
        Self(s.saturating_mul(1000))
    }

    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn unix_s(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The beginning of a day; `None` if there is no such day.
    pub fn of_utc_date(year: i64, month: i64, day: i64) -> Option<Self> {
        let is_date = (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
        is_date.then(|| Self::from_unix_s(days_since_1970(year, month, day) * 86_400))
    }

    /// Adds a duration; saturates at the largest time.
    pub fn plus(self, duration: Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ms))
    }

    /// The duration since `earlier`; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339, UTC, to the millisecond.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (
            self.unix_s().div_euclid(86_400),
            self.unix_s().rem_euclid(86_400),
        );
        let (year, month, day) = gregorian_date(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.unix_ms().rem_euclid(1000),
        )
    }
}

/// The source of the current time. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Clock(ClockKind);

#[derive(Clone, Debug, Default)]
enum ClockKind {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The clock of the operating system.
    pub fn system() -> Self {
        Self(ClockKind::System)
    }

    /// A clock for tests, which only [`Clock::advance`] moves.
    pub fn manual(start: Timestamp) -> Self {
        Self(ClockKind::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            ClockKind::System => {
                let elapsed = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
            }
            ClockKind::Manual(ms) => Timestamp(ms.load(Ordering::Relaxed)),
        }
    }

    /// Waits. A manual clock advances by this time at once.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            ClockKind::System => tokio::time::sleep(duration).await,
            ClockKind::Manual(_) => self.advance(duration),
        }
    }

    /// Advances a manual clock; does nothing to the system's clock.
    pub fn advance(&self, duration: Duration) {
        if let ClockKind::Manual(ms) = &self.0 {
            let step = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            ms.fetch_add(step, Ordering::Relaxed);
        }
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The computation starts years in March, so that the leap day is the last day of a year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// The Gregorian date (year, month, day) of a number of days after 1970-01-01. The computation starts
/// years in March, so that the leap day is the last day of a year.
fn gregorian_date(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    let since_march_0 = days + 719_468;
    let (era, day) = (
        since_march_0.div_euclid(DAYS_PER_400_YEARS),
        since_march_0.rem_euclid(DAYS_PER_400_YEARS),
    );
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let january_or_later = month >= 10;
    let month = if january_or_later {
        month - 9
    } else {
        month + 3
    };
    (
        era * 400 + year + i64::from(january_or_later),
        month,
        day_of_month,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_a_later_time_is_zero() {
        let now = Timestamp::from_unix_s(100);
        assert_eq!(now.since(now.plus(Duration::from_secs(5))), Duration::ZERO);
        assert_eq!(
            now.plus(Duration::from_secs(5)).since(now),
            Duration::from_secs(5)
        );
    }

    #[test]
    fn a_timestamp_is_displayed_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_unix_ms(ms).to_string(), text);
        }
    }

    #[test]
    fn a_manual_clock_moves_only_when_it_is_advanced() {
        let clock = Clock::manual(Timestamp::from_unix_s(7));
        let clone = clock.clone();
        clock.advance(Duration::from_secs(3));
        assert_eq!(clone.now(), Timestamp::from_unix_s(10));
    }

    #[tokio::test]
    async fn a_sleep_advances_a_manual_clock_and_keeps_nobody_waiting() {
        let clock = Clock::manual(Timestamp::from_unix_s(7));
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), Timestamp::from_unix_s(3607));
    }

    #[test]
    fn times_saturate_at_the_largest_one() {
        let end = Timestamp::from_unix_ms(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::from_unix_s(i64::MAX).unix_ms(), i64::MAX);
    }
}
