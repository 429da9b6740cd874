//! `Rates`: limits how often each client does something, in memory of fixed size.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Client, Network, site_share};

/// The number of buckets in a row.
const ROW: usize = 16_384;
const ROWS: usize = 2;
/// The period of a rate, in microseconds.
const MINUTE_US: u64 = 60_000_000;

/// A rate limit for each client, and a higher one for the /48 of each IPv6 client.
///
/// A network has one leaky bucket in each row, at an index that clients cannot predict. It is within
/// its limit if one of them has room, so two networks affect each other only if they share a bucket in
/// every row.
pub struct Rates {
    /// When each bucket will be empty, in microseconds since `start`.
    buckets: Box<[AtomicU64]>,
    hasher: RandomState,
    start: Instant,
    client_cost_us: u64,
    site_cost_us: u64,
}

impl Rates {
    /// Allows each client `client` events per minute. `all` bounds the rate of a /48.
    pub fn per_minute(client: u32, all: u32) -> Self {
        let cost = |times: u32| MINUTE_US / u64::from(times.max(1));
        Self {
            buckets: (0..ROW * ROWS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            start: Instant::now(),
            client_cost_us: cost(client),
            site_cost_us: cost(site_share(client, all)),
        }
    }

    /// Counts one more event; false if the client or its /48 has reached its limit.
    pub fn take(&self, client: Client) -> bool {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.take_at(client, now)
    }

    fn take_at(&self, client: Client, now: u64) -> bool {
        let own = client.network();
        if !self.fill(own, self.client_cost_us, now) {
            return false;
        }
        let Some(site) = client.site() else {
            return true;
        };
        let taken = self.fill(site, self.site_cost_us, now);
        if !taken {
            // An event that is refused for the /48 is not counted for the client.
            self.give_back(own, self.client_cost_us);
        }
        taken
    }

    /// Fills every bucket of a network that has room; false if none has.
    fn fill(&self, network: Network, cost: u64, now: u64) -> bool {
        let filled = self.places(network).map(|at| {
            let more = |empty_at: u64| {
                let filled = empty_at.max(now).saturating_add(cost);
                (filled <= now.saturating_add(MINUTE_US)).then_some(filled)
            };
            let bucket = &self.buckets[at];
            let filled = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
            filled.is_ok()
        });
        filled.contains(&true)
    }

    fn give_back(&self, network: Network, cost: u64) {
        for at in self.places(network) {
            let less = |empty_at: u64| Some(empty_at.saturating_sub(cost));
            let bucket = &self.buckets[at];
            let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    fn places(&self, network: Network) -> [usize; ROWS] {
        let hash = self.hasher.hash_one(network);
        std::array::from_fn(|row| {
            let part = hash >> (row * 32) & 0xffff_ffff;
            row * ROW + usize::try_from(part).unwrap_or(0) % ROW
        })
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn of(text: &str) -> Client {
        Client::from(text.parse::<IpAddr>().unwrap())
    }

    fn taken(rates: &Rates, client: &str, now: u64) -> usize {
        (0..1_000)
            .filter(|_| rates.take_at(of(client), now))
            .count()
    }

    #[test]
    fn a_client_has_its_rate_at_once_and_gets_it_back_in_time() {
        let rates = Rates::per_minute(6, 1_000);
        assert_eq!(taken(&rates, "192.0.2.1", 0), 6);
        assert_eq!(taken(&rates, "::ffff:192.0.2.1", 0), 0);
        assert_eq!(taken(&rates, "192.0.2.2", 0), 6);
        assert_eq!(taken(&rates, "192.0.2.1", MINUTE_US / 6 - 1), 0);
        assert_eq!(taken(&rates, "192.0.2.1", MINUTE_US / 6), 1);
        assert_eq!(taken(&rates, "192.0.2.1", 10 * MINUTE_US), 6);
    }

    #[test]
    fn a_site_has_the_rate_of_three_clients() {
        let rates = Rates::per_minute(6, 1_000);
        let of_site: usize = (0..100)
            .map(|subnet| taken(&rates, &format!("2001:db8:1:{subnet}::1"), 0))
            .sum();
        assert_eq!(of_site, 18);
        assert_eq!(taken(&rates, "2001:db8:2:1::1", 0), 6);
        assert_eq!(taken(&rates, "192.0.2.1", 0), 6);
        // An event that was refused for the /48 was not counted for its client.
        let soon = MINUTE_US / 18;
        assert_eq!(taken(&rates, "2001:db8:1:99::1", soon), 1);
    }

    #[test]
    fn many_greedy_clients_cost_nobody_else_theirs() {
        let rates = Rates::per_minute(2, 1_000);
        for client in 0..20_u32 {
            let client = Client::from(IpAddr::from(client.to_be_bytes()));
            for _ in 0..3 {
                rates.take_at(client, 0);
            }
        }
        let others = 1_000..3_000_u32;
        let refused = others.filter(|client| {
            let client = Client::from(IpAddr::from(client.to_be_bytes()));
            !rates.take_at(client, 0)
        });
        // By chance a client shares both buckets with a greedy one once in half a million.
        assert!(refused.count() <= 2);
    }
}
