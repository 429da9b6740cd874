//! `ChangeLimits`: how often an account makes and ends access tokens. Each change waits for locks of the
//! store, and the end of a token wakes all nodes, so one session must not cause them without bound.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::store::AccountId;

/// The maximum number of changes of an account in [`PERIOD`].
const CHANGES_MAX: usize = 10;
const PERIOD: Duration = Duration::from_secs(60);
/// How long a person waits whose other change is still running.
const RUNNING_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The maximum number of accounts in memory. If there are more, further ones wait.
const ACCOUNTS_MAX: usize = 10_000;

/// Limits changes by account: [`CHANGES_MAX`] in [`PERIOD`], and one at a time.
#[derive(Debug, Default)]
pub(super) struct ChangeLimits {
    accounts: Mutex<HashMap<AccountId, AccountChanges>>,
}

/// The recent changes of an account.
#[derive(Debug, Default)]
struct AccountChanges {
    /// When they began; at most [`CHANGES_MAX`].
    began: Vec<Timestamp>,
    is_running: bool,
}

/// The account changed tokens too often, or another change of it is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account makes and ends access tokens too often")]
pub struct TooManyChanges {
    pub retry_after: Duration,
}

/// Permits one change. The next one of the account can begin after this is dropped.
#[derive(Debug)]
pub struct ChangePermit<'a> {
    limits: &'a ChangeLimits,
    account: AccountId,
}

impl Drop for ChangePermit<'_> {
    fn drop(&mut self) {
        if let Some(changes) = self.limits.lock().get_mut(&self.account) {
            changes.is_running = false;
        }
    }
}

impl AccountChanges {
    /// Forgets what began before the period. A time in the future is forgotten, too: the clock was set back.
    fn forget_old(&mut self, now: Timestamp) {
        let is_recent = |began: &Timestamp| *began <= now && now.since(*began) < PERIOD;
        self.began.retain(is_recent);
    }

    fn is_idle(&self) -> bool {
        self.began.is_empty() && !self.is_running
    }
}

impl ChangeLimits {
    pub(super) fn begin(
        &self,
        account: &AccountId,
        clock: &Clock,
    ) -> Result<ChangePermit<'_>, TooManyChanges> {
        let now = clock.now();
        let mut accounts = self.lock();
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(account) {
            accounts.retain(|_, changes| {
                changes.forget_old(now);
                !changes.is_idle()
            });
            if accounts.len() >= ACCOUNTS_MAX {
                let retry_after = PERIOD;
                return Err(TooManyChanges { retry_after });
            }
        }
        let changes = accounts.entry(*account).or_default();
        changes.forget_old(now);
        if changes.is_running {
            let retry_after = RUNNING_RETRY_AFTER;
            return Err(TooManyChanges { retry_after });
        }
        if let Some(oldest) = changes.began.first()
            && changes.began.len() >= CHANGES_MAX
        {
            let retry_after = PERIOD.saturating_sub(now.since(*oldest));
            return Err(TooManyChanges { retry_after });
        }
        changes.began.push(now);
        changes.is_running = true;
        Ok(ChangePermit {
            limits: self,
            account: *account,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, AccountChanges>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u32) -> AccountId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        AccountId::new(bytes)
    }

    #[test]
    fn an_account_has_ten_changes_in_a_minute_and_one_at_a_time() {
        let (limits, clock) = (
            ChangeLimits::default(),
            Clock::manual(Timestamp::from_unix_s(0)),
        );
        let running = limits.begin(&account(0), &clock).unwrap();
        let second = limits.begin(&account(0), &clock);
        assert_eq!(second.unwrap_err().retry_after, RUNNING_RETRY_AFTER);
        drop(running);
        clock.advance(Duration::from_secs(20));
        for _ in 1..CHANGES_MAX {
            assert!(limits.begin(&account(0), &clock).is_ok());
        }
        let refused = limits.begin(&account(0), &clock).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(40));
        assert!(limits.begin(&account(1), &clock).is_ok());
        clock.advance(Duration::from_secs(40));
        assert!(limits.begin(&account(0), &clock).is_ok());
        assert!(limits.begin(&account(0), &clock).is_err());
    }

    #[test]
    fn memory_is_bounded_and_idle_accounts_make_room() {
        let (limits, clock) = (
            ChangeLimits::default(),
            Clock::manual(Timestamp::from_unix_s(0)),
        );
        let max = u32::try_from(ACCOUNTS_MAX).unwrap();
        for number in 0..max {
            assert!(limits.begin(&account(number), &clock).is_ok());
        }
        assert!(limits.begin(&account(max), &clock).is_err());
        assert!(limits.begin(&account(0), &clock).is_ok());
        clock.advance(PERIOD);
        assert!(limits.begin(&account(max), &clock).is_ok());
        assert_eq!(limits.lock().len(), 1);
    }
}
