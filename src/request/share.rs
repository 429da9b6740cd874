//! `Shares`: how much of something each client address holds at the moment.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::keys;

/// How many counters a row has.
const ROW: usize = 2048;
const ROWS: usize = 2;

/// Counts by client address, in memory that does not grow with the number of addresses.
///
/// An address has one counter in each row, at a place that nobody outside can compute; the smallest
/// of them is what it holds at most. Two addresses disturb each other only where they meet in every
/// row.
pub struct Shares {
    counters: Box<[AtomicU32]>,
    /// One multiplier for each row.
    odd: [u64; ROWS],
    max: u32,
}

/// Where an address is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places([usize; ROWS]);

/// One of what an address may hold. Dropping it gives it back.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    places: Places,
}

impl Shares {
    /// Lets each address hold `max` at a time.
    pub fn new(max: usize) -> Self {
        let [first, second] = [keys::random::<8>(), keys::random::<8>()];
        Self {
            counters: (0..ROW * ROWS).map(|_| AtomicU32::new(0)).collect(),
            odd: [first, second].map(|bytes| u64::from_ne_bytes(bytes) | 1),
            max: u32::try_from(max).unwrap_or(u32::MAX),
        }
    }

    /// How many each address may hold.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// Where an address is counted. An IPv6 client has a network of 64 bits to itself, so all of it
    /// is one address.
    pub fn places(&self, client: IpAddr) -> Places {
        let key = match client.to_canonical() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            // Only networks that no client has would be taken for an IPv4 address.
            IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 64).unwrap_or(0) ^ (0xffff << 48),
        };
        Places(std::array::from_fn(|row| {
            let odd = self.odd[row];
            let mixed = (key ^ (key >> 29)).wrapping_mul(odd);
            let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(odd);
            row * ROW + usize::try_from(mixed >> 40).unwrap_or(0) % ROW
        }))
    }

    /// Counts one more, unless all that an address may hold is taken.
    pub fn add(&self, Places(places): Places) -> bool {
        let held = places.map(|at| self.counters[at].fetch_add(1, Ordering::Relaxed));
        let welcome = held.iter().any(|held| *held < self.max);
        if !welcome {
            self.give_back(Places(places));
        }
        welcome
    }

    /// Counts one less.
    pub fn give_back(&self, Places(places): Places) {
        for at in places {
            self.counters[at].fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Takes one for as long as the answer is kept.
    pub fn take(self: &Arc<Self>, client: IpAddr) -> Option<Share> {
        let places = self.places(client);
        self.add(places).then(|| Share {
            shares: Arc::clone(self),
            places,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.give_back(self.places);
    }
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares")
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_holds_its_share_and_no_more() {
        let shares = Arc::new(Shares::new(3));
        let mut held: Vec<_> = (0..3).map(|_| shares.take(ip("192.0.2.1"))).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(shares.take(ip("192.0.2.1")).is_none());
        assert!(shares.take(ip("::ffff:192.0.2.1")).is_none());
        for other in ["192.0.2.2", "2001:db8::1", "::192.0.2.1"] {
            assert!(shares.take(ip(other)).is_some(), "{other}");
        }
        held.pop();
        let again = shares.take(ip("192.0.2.1"));
        assert!(again.is_some());
        assert!(shares.take(ip("192.0.2.1")).is_none());
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        let shares = Arc::new(Shares::new(2));
        let _held = [
            shares.take(ip("2001:db8:1:2::1")),
            shares.take(ip("2001:db8:1:2:ffff::")),
        ];
        assert!(shares.take(ip("2001:db8:1:2:3:4:5:6")).is_none());
        assert!(shares.take(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn a_few_greedy_addresses_cost_nobody_else_theirs() {
        let shares = Arc::new(Shares::new(2));
        let greedy = (0..20).flat_map(|last| [last; 2]);
        let _held: Vec<_> = greedy
            .map(|last| shares.take(IpAddr::from([198, 51, 100, last])))
            .collect();
        let turned_away = (0..2_000_u32)
            .filter(|number| shares.take(IpAddr::from(number.to_be_bytes())).is_none())
            .count();
        // Both rows meet one of 20 by chance in one of some ten thousand.
        assert!(turned_away <= 5, "{turned_away}");
    }
}
