//! What counts as one client where something is limited for each.
//!
//! An IPv4 client is one address, also where it is written as IPv6. An IPv6 client may choose a new
//! address in its /64 for every request, and whoever has a whole site has a /48: both networks are
//! counted, and the /48 has a larger share than the /64.

use std::net::IpAddr;

mod rates;

pub use rates::Rates;

/// The bits of a network that one IPv6 client is taken to have to itself.
const CLIENT_BITS: u8 = 64;
/// The bits of a network that one IPv6 site is taken to have to itself.
const SITE_BITS: u8 = 48;

/// How many shares of a client a whole site has, as long as that leaves something for others.
const SITE_SHARES: u32 = 3;

/// A network that a client is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network that one client has to itself: an IPv4 address or an IPv6 /64.
    pub fn of_client(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V6(_) => Self::of(client, CLIENT_BITS),
            address @ IpAddr::V4(_) => Self { address, bits: 32 },
        }
    }

    /// The /48 around an IPv6 client. An IPv4 client has none: its neighbours are other clients.
    pub fn of_site(client: IpAddr) -> Option<Self> {
        let is_v6 = client.to_canonical().is_ipv6();
        is_v6.then(|| Self::of(client, SITE_BITS))
    }

    /// A number that no other network of the same kind has: IPv6 networks whose number is also that
    /// of an IPv4 address are nobody's.
    pub fn number(self) -> u64 {
        match self.address {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> 64).unwrap_or(0) ^ (0xffff << 48),
        }
    }

    /// The network of an IPv6 client with so many bits.
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

/// What a whole site may have of `all` where one client may have `share`: several shares, and never
/// more than half of what one client leaves to others.
pub const fn site_share(share: u32, all: u32) -> u32 {
    let several = share.saturating_mul(SITE_SHARES);
    let bounded = share.saturating_add(all.saturating_sub(share) / 2);
    if several < bounded { several } else { bounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv4_address_is_one_client_however_it_is_written() {
        let v4 = Network::of_client(ip("192.0.2.1"));
        assert_eq!(v4, Network::of_client(ip("::ffff:192.0.2.1")));
        assert_ne!(v4, Network::of_client(ip("192.0.2.2")));
        assert_ne!(v4, Network::of_client(ip("::192.0.2.1")));
        for written in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert_eq!(Network::of_site(ip(written)), None, "{written}");
        }
    }

    #[test]
    fn an_ipv6_client_is_counted_with_its_64_and_with_its_48() {
        let of = |text| (Network::of_client(ip(text)), Network::of_site(ip(text)));
        let (client, site) = of("2001:db8:1:2::1");
        assert_eq!(of("2001:db8:1:2:ffff:ffff:ffff:ffff"), (client, site));
        let (other, same_site) = of("2001:db8:1:3::1");
        assert_ne!(other, client);
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
        // Where one client may have all, so may a site.
        assert_eq!(site_share(20, 20), 20);
        assert_eq!(site_share(30, 20), 30);
    }
}
