//! `Rates`: limits how often each client does something, in memory that does not grow with the clients.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Client, Network, network48_limit};

/// The number of buckets in a row. All buckets together take 256 KiB.
const BUCKETS_PER_ROW: usize = 16_384;
const ROWS: usize = 2;
/// The period of the rates, in microseconds.
const MINUTE_US: u64 = 60_000_000;

/// A rate limit for each client, and a higher one for the /48 of each IPv6 client.
///
/// Each client (an IPv4 address or an IPv6 /64; with `count_by_address`, an IPv6 address) and each IPv6 /48
/// is a network. A hash with a random key gives each network one leaky bucket in each row. A network is
/// refused only when all of its buckets are full, so other networks affect it only if each of its buckets
/// is shared with one of them.
pub struct Rates {
    /// When each bucket will be empty, in microseconds after `start`.
    buckets: Box<[AtomicU64]>,
    hasher: RandomState,
    start: Instant,
    client_cost_us: u64,
    network48_cost_us: u64,
}

impl Rates {
    /// Allows each client `client` times per minute. `limit_of_all_clients` is enforced elsewhere; here it
    /// only lowers the limit of a /48.
    pub fn per_minute(client: u32, limit_of_all_clients: u32) -> Self {
        let cost_us = |times: u32| MINUTE_US / u64::from(times.max(1));
        Self {
            buckets: (0..BUCKETS_PER_ROW * ROWS)
                .map(|_| AtomicU64::new(0))
                .collect(),
            hasher: RandomState::new(),
            start: Instant::now(),
            client_cost_us: cost_us(client),
            network48_cost_us: cost_us(network48_limit(client, limit_of_all_clients)),
        }
    }

    /// Counts one use. Returns false if the client or its /48 has reached its limit.
    pub fn take(&self, client: Client) -> bool {
        let now_us = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.take_at(client, now_us)
    }

    /// Takes back one use that was counted.
    pub fn refund(&self, client: Client) {
        self.give_back(client.network(), self.client_cost_us);
        if let Some(network48) = client.network48() {
            self.give_back(network48, self.network48_cost_us);
        }
    }

    fn take_at(&self, client: Client, now_us: u64) -> bool {
        let network = client.network();
        if !self.fill(network, self.client_cost_us, now_us) {
            return false;
        }
        let Some(network48) = client.network48() else {
            return true;
        };
        let taken = self.fill(network48, self.network48_cost_us, now_us);
        if !taken {
            // What the limit of the /48 refuses does not count for the client.
            self.give_back(network, self.client_cost_us);
        }
        taken
    }

    /// Adds to every bucket of a network that is not full. Returns false if all are full.
    fn fill(&self, network: Network, cost_us: u64, now_us: u64) -> bool {
        let filled = self.buckets_of(network).map(|index| {
            let add = |empty_at_us: u64| {
                let later_us = empty_at_us.max(now_us).saturating_add(cost_us);
                (later_us <= now_us.saturating_add(MINUTE_US)).then_some(later_us)
            };
            let bucket = &self.buckets[index];
            let filled = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
            filled.is_ok()
        });
        filled.contains(&true)
    }

    fn give_back(&self, network: Network, cost_us: u64) {
        for index in self.buckets_of(network) {
            let subtract = |empty_at_us: u64| Some(empty_at_us.saturating_sub(cost_us));
            let bucket = &self.buckets[index];
            let _ = bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
        }
    }

    fn buckets_of(&self, network: Network) -> [usize; ROWS] {
        let hash = self.hasher.hash_one(network);
        std::array::from_fn(|row| {
            let part = hash >> (row * 32) & 0xffff_ffff;
            row * BUCKETS_PER_ROW + usize::try_from(part).unwrap_or(0) % BUCKETS_PER_ROW
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

    /// How often the client at this address can take at this time.
    fn taken(rates: &Rates, address: &str, now_us: u64) -> usize {
        let client = Client::from(address.parse::<IpAddr>().unwrap());
        (0..1_000).filter(|_| rates.take_at(client, now_us)).count()
    }

    #[test]
    fn a_client_may_use_its_rate_at_once_and_regains_it_over_time() {
        let rates = Rates::per_minute(6, 1_000);
        assert_eq!(taken(&rates, "192.0.2.1", 0), 6);
        assert_eq!(taken(&rates, "::ffff:192.0.2.1", 0), 0);
        assert_eq!(taken(&rates, "192.0.2.2", 0), 6);
        assert_eq!(taken(&rates, "192.0.2.1", MINUTE_US / 6 - 1), 0);
        assert_eq!(taken(&rates, "192.0.2.1", MINUTE_US / 6), 1);
        assert_eq!(taken(&rates, "192.0.2.1", 10 * MINUTE_US), 6);
    }

    #[test]
    fn a_network48_has_the_rate_of_three_clients() {
        let rates = Rates::per_minute(6, 1_000);
        let of_network48: usize = (0..100)
            .map(|subnet| taken(&rates, &format!("2001:db8:1:{subnet}::1"), 0))
            .sum();
        assert_eq!(of_network48, 18);
        assert_eq!(taken(&rates, "2001:db8:2:1::1", 0), 6);
        assert_eq!(taken(&rates, "192.0.2.1", 0), 6);
        // The refusals for the /48 did not count for the client.
        let soon = MINUTE_US / 18;
        assert_eq!(taken(&rates, "2001:db8:1:99::1", soon), 1);
    }

    #[test]
    fn clients_at_their_limit_do_not_reduce_the_rate_of_others() {
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
        // The chance that a client shares both buckets with one of the 20 is one in half a million.
        assert!(refused.count() <= 2);
    }
}
