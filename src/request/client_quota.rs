//! `ClientQuota`: limits how many of something each client address holds at a time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::client::{Client, Network, network48_limit};
use crate::keys;

/// With these sizes, 20 other networks cover both counters of about one network in ten thousand.
const COUNTERS_PER_ROW: usize = 2048;
const ROWS: usize = 2;

/// Counts by client address in memory of fixed size.
///
/// An IPv6 client is counted for its /64 and for its /48. The /48 may hold more than one client, but
/// everything only if a single client may.
pub struct ClientQuota {
    clients: CounterTable,
    networks48: CounterTable,
}

/// The indices of the counters of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaCounters {
    client: CounterIndices,
    /// The /48 of an IPv6 client.
    network48: Option<CounterIndices>,
}

/// One counted unit; dropping it releases the unit.
#[derive(Debug)]
pub struct QuotaGuard {
    quota: Arc<ClientQuota>,
    counters: QuotaCounters,
}

/// Counters of networks: a count-min sketch.
///
/// A network has one counter in each row, at an index that clients cannot predict. The smallest of its
/// counters is an upper bound of what it holds. Other networks affect it only if each of its counters is
/// shared with one of them.
struct CounterTable {
    counters: Box<[AtomicU32]>,
    /// One random hash multiplier per row.
    multipliers: [u64; ROWS],
    max: u32,
}

/// The indices of a network's counters in the table.
type CounterIndices = [u16; ROWS];

impl ClientQuota {
    /// Lets each client hold `max` of `all` units at a time.
    pub fn new(max: usize, all: usize) -> Self {
        let [max, all] = [max, all].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Self {
            clients: CounterTable::new(max),
            networks48: CounterTable::new(network48_limit(max, all)),
        }
    }

    /// How many units each client may hold.
    pub fn max(&self) -> u32 {
        self.clients.max
    }

    /// The counters of a client.
    pub fn counters(&self, client: Client) -> QuotaCounters {
        QuotaCounters {
            client: self.clients.counters(client.network()),
            network48: client
                .network48()
                .map(|network48| self.networks48.counters(network48)),
        }
    }

    /// Counts one more unit. Returns false if the client or its /48 already holds all it may.
    pub fn add(&self, counters: QuotaCounters) -> bool {
        if !self.clients.add(counters.client) {
            return false;
        }
        let fits = counters
            .network48
            .is_none_or(|network48| self.networks48.add(network48));
        if !fits {
            self.clients.release(counters.client);
        }
        fits
    }

    /// Counts one unit less.
    pub fn release(&self, counters: QuotaCounters) {
        self.clients.release(counters.client);
        if let Some(network48) = counters.network48 {
            self.networks48.release(network48);
        }
    }

    /// Counts one unit until the guard is dropped; `None` if the client holds all it may.
    pub fn take(self: &Arc<Self>, client: Client) -> Option<QuotaGuard> {
        let counters = self.counters(client);
        self.add(counters).then(|| QuotaGuard {
            quota: Arc::clone(self),
            counters,
        })
    }
}

impl QuotaGuard {
    /// The counters of its client.
    pub fn counters(&self) -> QuotaCounters {
        self.counters
    }
}

impl QuotaCounters {
    /// Whether both are IPv6 clients in the same /48.
    pub fn shares_network48(self, other: Self) -> bool {
        self.network48.is_some() && self.network48 == other.network48
    }
}

impl CounterTable {
    fn new(max: u32) -> Self {
        Self {
            counters: (0..COUNTERS_PER_ROW * ROWS)
                .map(|_| AtomicU32::new(0))
                .collect(),
            multipliers: [keys::random::<8>(), keys::random::<8>()]
                .map(|bytes| u64::from_ne_bytes(bytes) | 1),
            max,
        }
    }

    fn counters(&self, network: Network) -> CounterIndices {
        let number = network.number();
        std::array::from_fn(|row| {
            let multiplier = self.multipliers[row];
            let mixed = (number ^ (number >> 29)).wrapping_mul(multiplier);
            let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(multiplier);
            let index = row * COUNTERS_PER_ROW
                + usize::try_from(mixed >> 40).unwrap_or(0) % COUNTERS_PER_ROW;
            u16::try_from(index).unwrap_or_default()
        })
    }

    fn add(&self, counters: CounterIndices) -> bool {
        let held = counters.map(|index| self.counter(index).fetch_add(1, Ordering::Relaxed));
        let fits = held.iter().any(|held| *held < self.max);
        if !fits {
            self.release(counters);
        }
        fits
    }

    fn release(&self, counters: CounterIndices) {
        for index in counters {
            self.counter(index).fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn counter(&self, index: u16) -> &AtomicU32 {
        &self.counters[usize::from(index)]
    }
}

impl Drop for QuotaGuard {
    fn drop(&mut self) {
        self.quota.release(self.counters);
    }
}

impl fmt::Debug for ClientQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientQuota")
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn client(text: &str) -> Client {
        Client::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_address_holds_its_quota_and_no_more() {
        let quota = Arc::new(ClientQuota::new(3, 1_000));
        let mut held: Vec<_> = (0..3).map(|_| quota.take(client("192.0.2.1"))).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(quota.take(client("192.0.2.1")).is_none());
        assert!(quota.take(client("::ffff:192.0.2.1")).is_none());
        for other in ["192.0.2.2", "2001:db8::1", "::192.0.2.1"] {
            assert!(quota.take(client(other)).is_some(), "{other}");
        }
        held.pop();
        let again = quota.take(client("192.0.2.1"));
        assert!(again.is_some());
        assert!(quota.take(client("192.0.2.1")).is_none());
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        let quota = Arc::new(ClientQuota::new(2, 1_000));
        let _held = [
            quota.take(client("2001:db8:1:2::1")),
            quota.take(client("2001:db8:1:2:ffff::")),
        ];
        assert!(quota.take(client("2001:db8:1:2:3:4:5:6")).is_none());
        assert!(quota.take(client("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn a_network_of_48_bits_holds_more_than_a_client_and_never_all() {
        for (max, all, per_network) in [(2, 1_000, 6), (4, 8, 6), (3, 4, 3)] {
            let quota = Arc::new(ClientQuota::new(max, all));
            let clients = (0..50).flat_map(|subnet| [subnet; 4]);
            let held: Vec<_> = clients
                .filter_map(|subnet| quota.take(client(&format!("2001:db8:1:{subnet}::1"))))
                .collect();
            assert_eq!(held.len(), per_network, "{max} of {all}");
            for other in ["2001:db8:2::1", "192.0.2.1", "2001:db8:100::1"] {
                assert!(quota.take(client(other)).is_some(), "{other}");
            }
            drop(held);
            // A unit refused for the /48 was not counted for the client.
            let again: Vec<_> = (0..max)
                .map(|_| quota.take(client("2001:db8:1:49::1")))
                .collect();
            assert!(again.iter().all(Option::is_some), "{max} of {all}");
        }
    }

    #[test]
    fn a_few_greedy_addresses_do_not_exhaust_the_quota_of_others() {
        let quota = Arc::new(ClientQuota::new(2, 1_000));
        let greedy = (0..20).flat_map(|last| [last; 2]);
        let _held: Vec<_> = greedy
            .map(|last| quota.take(IpAddr::from([198, 51, 100, last]).into()))
            .collect();
        let refused = (0..2_000_u32)
            .map(|number| Client::from(IpAddr::from(number.to_be_bytes())))
            .filter(|client| quota.take(*client).is_none())
            .count();
        // By chance the 20 addresses cover both counters of about one other address in ten thousand.
        assert!(refused <= 5, "{refused}");
    }
}
