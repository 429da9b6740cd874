//! What counts as one client for limits per client; the HTTP client is in `outbound`.
//!
//! An IPv4 client is one address, also if it is written as an IPv4-mapped IPv6 address. An IPv6 client
//! can use any address of its /64, and often any /64 of its /48, so both networks are counted; the limit
//! of the /48 is higher. In the networks of `count_by_address`, an IPv6 client is one address, too.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::LazyLock;

mod rates;

pub use rates::Rates;

/// The prefix length of the network that one IPv6 client is assumed to have.
const CLIENT_BITS: u8 = 64;
/// The prefix length of the network that one organisation is assumed to have.
const NETWORK48_BITS: u8 = 48;

/// The limit of a /48, as a multiple of the limit of a client; [`network48_limit`] lowers it.
const NETWORK48_CLIENTS: u32 = 3;

/// A client address, and whether it is counted alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    address: IpAddr,
    is_counted_by_address: bool,
}

/// A network that limits count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Client {
    /// `is_counted_by_address`: an IPv6 address is counted alone, not with its /64 and /48.
    pub fn new(address: IpAddr, is_counted_by_address: bool) -> Self {
        Self {
            address: address.to_canonical(),
            is_counted_by_address,
        }
    }

    /// The network that counts as this client: an IPv4 address, an IPv6 /64, or an IPv6 address.
    pub fn network(self) -> Network {
        match self.address {
            IpAddr::V6(_) if !self.is_counted_by_address => Network::of(self.address, CLIENT_BITS),
            IpAddr::V6(_) => Network {
                address: self.address,
                bits: 128,
            },
            IpAddr::V4(_) => Network {
                address: self.address,
                bits: 32,
            },
        }
    }

    /// The /48 of an IPv6 client, unless the client is counted by its address.
    pub fn network48(self) -> Option<Network> {
        let is_counted = self.address.is_ipv6() && !self.is_counted_by_address;
        is_counted.then(|| Network::of(self.address, NETWORK48_BITS))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// A client that `count_by_address` does not contain.
#[cfg(test)]
impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self::new(address, false)
    }
}

impl Network {
    /// A number to count the network by. It is unique among IPv4 addresses, and among networks of the
    /// same prefix length up to /64. For a longer prefix it is a hash with a key of this process: nobody
    /// can choose an address that has the number of another one.
    pub fn number(self) -> u64 {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        match self.address {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) if self.bits > CLIENT_BITS => KEY.hash_one(ip.to_bits()),
            IpAddr::V6(ip) => {
                let upper = u64::try_from(ip.to_bits() >> 64).unwrap_or(0);
                // Keeps global unicast networks, 2000::/3, apart from the numbers of IPv4 addresses.
                upper ^ (0xffff << 48)
            }
        }
    }

    /// The network of an IPv6 address with this prefix length.
    fn of(client: IpAddr, bits: u8) -> Self {
        let address = match client {
            IpAddr::V6(ip) => {
                let mask = u128::MAX << (128 - u32::from(bits));
                IpAddr::from((ip.to_bits() & mask).to_be_bytes())
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        Self { address, bits }
    }
}

/// The limit of a /48, if a client may have `client_limit` of `all`: three times as much as a client, but
/// at most half of what the client leaves to others besides its own limit.
pub const fn network48_limit(client_limit: u32, all: u32) -> u32 {
    let several = client_limit.saturating_mul(NETWORK48_CLIENTS);
    let bounded = client_limit.saturating_add(all.saturating_sub(client_limit) / 2);
    if several < bounded { several } else { bounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_ipv4_mapped_address_is_the_same_client_as_the_ipv4_address() {
        let v4 = client("192.0.2.1").network();
        assert_eq!(v4, client("::ffff:192.0.2.1").network());
        assert_ne!(v4, client("192.0.2.2").network());
        assert_ne!(v4, client("::192.0.2.1").network());
        for written in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!(client(written).network48(), None, "{written}");
        }
    }

    #[test]
    fn an_ipv6_client_that_is_counted_by_its_address_shares_no_network() {
        let counted_alone = |text: &str| Client::new(text.parse().unwrap(), true);
        let one = counted_alone("fd00:1:2:3::1");
        let other = counted_alone("fd00:1:2:3::2");
        assert_eq!((one.network48(), other.network48()), (None, None));
        assert_ne!(one.network(), other.network());
        assert_ne!(one.network().number(), other.network().number());
        assert_ne!(one.network(), client("fd00:1:2:3::1").network());
        let v4 = counted_alone("192.0.2.1");
        let mapped = counted_alone("::ffff:192.0.2.1");
        assert_eq!(v4.network(), mapped.network());
        assert_eq!(v4.network(), client("192.0.2.1").network());
    }

    #[test]
    fn no_address_can_be_chosen_that_has_the_number_of_another() {
        let number = |text: &str| {
            let client = Client::new(text.parse().unwrap(), true);
            client.network().number()
        };
        // The upper half xor the lower half times 0x9e3779b97f4a7c15 is the same for each pair.
        for (victim, chosen) in [
            ("fd00:1:2:3::1", "fd00:1:2:4:2a64:745b:3459:a64a"),
            ("fd00:1:2:4:2a64:745b:3459:a64a", "fd00:1:2:3::1"),
        ] {
            assert_ne!(number(victim), number(chosen), "{victim} {chosen}");
            assert_eq!(number(victim), number(victim), "the number is stable");
        }
    }

    #[test]
    fn an_ipv6_client_is_counted_with_its_64_and_with_its_48() {
        let networks = |text| (client(text).network(), client(text).network48());
        let (own, network48) = networks("2001:db8:1:2::1");
        assert_eq!(
            networks("2001:db8:1:2:ffff:ffff:ffff:ffff"),
            (own, network48)
        );
        let (other, same_network48) = networks("2001:db8:1:3::1");
        assert_ne!(other, own);
        assert_eq!(same_network48, network48);
        assert_ne!(networks("2001:db8:2:2::1").1, network48);
        // The first /64 of a /48 has the same address but another prefix length.
        let (first, network48) = networks("2001:db8:1::1");
        assert_ne!(Some(first), network48);
    }

    #[test]
    fn a_network48_has_more_than_a_client_and_never_all() {
        assert_eq!(network48_limit(60, 6_000), 180);
        assert_eq!(network48_limit(10_000, 20_000), 15_000);
        assert_eq!(network48_limit(768, 1_024), 896);
        assert_eq!(network48_limit(5, 20), 12);
        assert_eq!(network48_limit(10_000, u32::MAX), 30_000);
        // If one client may use everything, so may a /48.
        assert_eq!(network48_limit(20, 20), 20);
        assert_eq!(network48_limit(30, 20), 30);
    }
}
