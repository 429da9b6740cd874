//! `SpentTickets`: recently used tickets, so that a replay is refused without the store.

use std::time::Duration;

use moka::sync::Cache;

use super::TICKET_AGE_MAX_S;

/// The most tickets in memory. The store refuses a used ticket that is no longer in memory.
const SPENT_MAX: u64 = 10_000;

/// Recently used tickets, by the key that the store records. Clones share one cache.
#[derive(Clone, Debug)]
pub struct SpentTickets(Cache<[u8; 32], ()>);

impl Default for SpentTickets {
    fn default() -> Self {
        // An older ticket has expired and is refused anyway.
        let lifetime = Duration::from_secs(TICKET_AGE_MAX_S + 1);
        Self(
            Cache::builder()
                .max_capacity(SPENT_MAX)
                .time_to_live(lifetime)
                .build(),
        )
    }
}

impl SpentTickets {
    /// Marks a ticket as used; false if it was marked before. Exactly one concurrent caller succeeds.
    pub fn try_spend(&self, spend_key: &[u8; 32]) -> bool {
        self.0.entry(*spend_key).or_insert(()).is_fresh()
    }

    /// Unmarks a ticket that was not used after all.
    pub fn unspend(&self, spend_key: &[u8; 32]) {
        self.0.invalidate(spend_key);
    }
}
