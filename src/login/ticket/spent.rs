//! `SpentTickets`: the tickets that were used a moment ago, so that a replay asks no store.

use std::time::Duration;

use moka::sync::Cache;

use super::TICKET_AGE_MAX_S;

/// How many are remembered. One that was forgotten is still spent in the store.
const SPENT_MAX: u64 = 10_000;

/// The tickets that were used a moment ago, by the hash that the store keeps of them. Clones share
/// one memory.
#[derive(Clone, Debug)]
pub struct SpentTickets(Cache<[u8; 32], ()>);

impl Default for SpentTickets {
    fn default() -> Self {
        // Whatever is older is late, and nobody asks whether it was spent.
        let kept = Duration::from_secs(TICKET_AGE_MAX_S + 1);
        Self(
            Cache::builder()
                .max_capacity(SPENT_MAX)
                .time_to_live(kept)
                .build(),
        )
    }
}

impl SpentTickets {
    /// Remembers a ticket; true for the first of all who bring it at once.
    pub fn try_spend(&self, spend_key: &[u8; 32]) -> bool {
        self.0.entry(*spend_key).or_insert(()).is_fresh()
    }

    /// Forgets a ticket that was not spent after all.
    pub fn unspend(&self, spend_key: &[u8; 32]) {
        self.0.invalidate(spend_key);
    }
}
