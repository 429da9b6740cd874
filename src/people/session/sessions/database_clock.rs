//! Compares the clock of this machine with that of a database that several machines share.

use std::fmt;
use std::time::Duration;

use super::Sessions;
use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::text;

/// A smaller difference has no consequences.
const DIFFERENCE_MAX: Duration = Duration::from_secs(60);

/// The clock of this machine is wrong, or that of the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDifference {
    by: Duration,
    is_ahead: bool,
}

impl fmt::Display for ClockDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.by.as_secs();
        let text = match self.is_ahead {
            true => text!(
                "the clock of this machine is {seconds} s ahead of that of the database",
                "本机时钟比数据库快 {seconds} 秒"
            ),
            false => text!(
                "the clock of this machine is {seconds} s behind that of the database",
                "本机时钟比数据库慢 {seconds} 秒"
            ),
        };
        fmt::Display::fmt(&text, f)
    }
}

impl Sessions {
    /// The difference between the clock of this machine and that of the database, if it is large.
    ///
    /// # Errors
    /// The store failed.
    pub async fn clock_difference(&self) -> Result<Option<ClockDifference>, StoreError> {
        self.database_time().await.map(|(_, difference)| difference)
    }

    /// The time of the database's clock, and how that of this machine differs, if it does much.
    pub(super) async fn database_time(
        &self,
    ) -> Result<(Timestamp, Option<ClockDifference>), StoreError> {
        let before = self.clock.now();
        let found = self.store.database_time().await?;
        Ok(found.map_or((before, None), |found| (found, difference(before, found))))
    }
}

fn difference(own: Timestamp, database: Timestamp) -> Option<ClockDifference> {
    let (ahead, behind) = (own.since(database), database.since(own));
    let by = ahead.max(behind);
    (by > DIFFERENCE_MAX).then_some(ClockDifference {
        by,
        is_ahead: ahead > behind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_more_than_a_minute_is_reported() {
        let at = |s: i64| Timestamp::from_unix_s(1_000 + s);
        for (own, database) in [(0, 0), (60, 0), (0, 60)] {
            assert_eq!(difference(at(own), at(database)), None);
        }
        let text = |own, database| difference(at(own), at(database)).unwrap().to_string();
        assert!(text(61, 0).ends_with("is 61 s ahead of that of the database"));
        assert!(text(0, 7_200).ends_with("is 7200 s behind that of the database"));
    }
}
