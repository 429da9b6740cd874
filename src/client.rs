//! `Client`: what counts as one client for limits per client.
//!
//! An IPv4 client is one address, also in the IPv4-mapped form. An IPv6 client may use a new address of
//! its /64 for every request, and an organization has a whole /48 (a *site* in this module): both
//! networks are counted, and the /48 has a larger share than the /64. With `count_by_address` an IPv6
//! client is one address, too.

use std::fmt;
use std::net::IpAddr;

mod rates;

pub use rates::Rates;

/// The prefix length of the network that is taken to belong to one IPv6 client.
const CLIENT_BITS: u8 = 64;
/// The prefix length of the network that is taken to belong to one IPv6 site.
const SITE_BITS: u8 = 48;

/// The share of a site as a multiple of a client's, before the bound of [`site_share`].
const SITE_SHARES: u32 = 3;

/// A client, and how it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    address: IpAddr,
    by_address: bool,
}

/// A network that a client is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Client {
    /// The client at this address. With `by_address` an IPv6 client is counted by its address alone.
    pub fn new(address: IpAddr, by_address: bool) -> Self {
        Self {
            address: address.to_canonical(),
            by_address,
        }
    }

    /// The network of this client alone: an IPv4 address, an IPv6 /64, or a single IPv6 address.
    pub fn network(self) -> Network {
        match self.address {
            IpAddr::V6(_) if !self.by_address => Network::of(self.address, CLIENT_BITS),
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

    /// The /48 of an IPv6 client; none for a client that is counted by its address.
    pub fn site(self) -> Option<Network> {
        let has_site = self.address.is_ipv6() && !self.by_address;
        has_site.then(|| Network::of(self.address, SITE_BITS))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// A client without `count_by_address`.
#[cfg(test)]
impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self::new(address, false)
    }
}

impl Network {
    /// A number for hash tables. It is unique among the networks of one kind: IPv6 networks with the
    /// number of an IPv4 address are not in use. Only two single IPv6 addresses may share a number.
    pub fn number(self) -> u64 {
        /// An odd factor, which spreads differences of the lower half over all bits.
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        match self.address {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                let [upper, lower] = [bits >> 64, bits & u128::from(u64::MAX)]
                    .map(|half| u64::try_from(half).unwrap_or(0));
                upper ^ (0xffff << 48) ^ lower.wrapping_mul(ODD)
            }
        }
    }

    /// The network of an IPv6 client with this prefix length.
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

/// The limit of a site, where one client may have `share` of `all`: several shares, but at most one
/// share and half of the rest.
pub const fn site_share(share: u32, all: u32) -> u32 {
    let several = share.saturating_mul(SITE_SHARES);
    let bounded = share.saturating_add(all.saturating_sub(share) / 2);
    if several < bounded { several } else { bounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_ipv4_address_is_one_client_however_it_is_written() {
        let v4 = client("192.0.2.1").network();
        assert_eq!(v4, client("::ffff:192.0.2.1").network());
        assert_ne!(v4, client("192.0.2.2").network());
        assert_ne!(v4, client("::192.0.2.1").network());
        for written in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!(client(written).site(), None, "{written}");
        }
    }

    #[test]
    fn an_ipv6_client_that_is_counted_by_its_address_has_no_neighbours() {
        let of = |text: &str| Client::new(text.parse().unwrap(), true);
        let (one, other) = (of("fd00:1:2:3::1"), of("fd00:1:2:3::2"));
        assert_eq!((one.site(), other.site()), (None, None));
        assert_ne!(one.network(), other.network());
        assert_ne!(one.network().number(), other.network().number());
        assert_ne!(one.network(), client("fd00:1:2:3::1").network());
        let (v4, mapped) = (of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(v4.network(), mapped.network());
        assert_eq!(v4.network(), client("192.0.2.1").network());
    }

    #[test]
    fn an_ipv6_client_is_counted_with_its_64_and_with_its_48() {
        let of = |text| (client(text).network(), client(text).site());
        let (own, site) = of("2001:db8:1:2::1");
        assert_eq!(of("2001:db8:1:2:ffff:ffff:ffff:ffff"), (own, site));
        let (other, same_site) = of("2001:db8:1:3::1");
        assert_ne!(other, own);
        assert_eq!(same_site, site);
        assert_ne!(of("2001:db8:2:2::1").1, site);
        // The first /64 of a site is not the site.
        let (first, site) = of("2001:db8:1::1");
        assert_ne!(Some(first), site);
    }

    #[test]
    fn a_site_has_more_than_a_client_and_never_all() {
        assert_eq!(site_share(60, 6_000), 180);
        assert_eq!(site_share(10_000, 20_000), 15_000);
        assert_eq!(site_share(768, 1_024), 896);
        assert_eq!(site_share(5, 20), 12);
        assert_eq!(site_share(10_000, u32::MAX), 30_000);
        // If one client may have all, so may a site.
        assert_eq!(site_share(20, 20), 20);
        assert_eq!(site_share(30, 20), 30);
    }
}
