//! `Reach`: which addresses a client may contact.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::text;
use crate::wording::{Text, error_of_text};

/// Which addresses a client may contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    #[default]
    Everywhere,
    /// All addresses except link-local ones and others at which clouds serve metadata and credentials to their
    /// machines.
    NoMetadata,
}

/// An address that may not be contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRefused(pub IpAddr);

error_of_text!(AddressRefused);

/// Addresses of metadata services that are not link-local: Alibaba Cloud, Volcengine, Azure, Oracle Cloud.
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(100, 96, 0, 96),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The same over IPv6: AWS (the second address has the credentials of pods), Google Cloud, Oracle Cloud, Scaleway,
/// Linode.
const METADATA_V6: [Ipv6Addr; 6] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1),
];

/// The prefix of IPv4 addresses behind NAT64 (RFC 6052 §2.1).
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The prefix that a network uses for its own NAT64 (RFC 8215).
const LOCAL_NAT64: [u16; 3] = [0x64, 0xff9b, 1];

/// The prefix of 6to4, before an IPv4 address (RFC 3056 §2).
const SIX_TO_FOUR: u16 = 0x2002;

impl AddressRefused {
    fn text(&self) -> Text {
        let ip = self.0;
        text!(
            "{ip} is link-local or gives cloud metadata, and a connector that is not in the file does not \
             contact it: see [managed] allow_metadata_addresses",
            "{ip} 是链路本地地址或云平台的元数据地址，不在配置文件中的认证源不会连接它：见 [managed] allow_metadata_addresses"
        )
    }
}

impl Reach {
    /// Whether this address may be contacted.
    pub fn includes(self, ip: IpAddr) -> bool {
        self == Self::Everywhere || !is_metadata(ip)
    }

    /// The addresses of a list that may be contacted.
    ///
    /// # Errors
    /// None of them may be contacted.
    pub fn of_addresses(self, ips: &[IpAddr]) -> Result<Vec<IpAddr>, AddressRefused> {
        let (included, refused): (Vec<_>, Vec<_>) = ips.iter().partition(|ip| self.includes(**ip));
        match (included.is_empty(), refused.first()) {
            (true, Some(refused)) => Err(AddressRefused(*refused)),
            _ => Ok(included),
        }
    }

    /// Refuses a URL whose host is such an address. Names are looked up by the client.
    pub(super) fn check_url(self, url: &Url) -> Result<(), AddressRefused> {
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
            Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        match self.includes(ip) {
            true => Ok(()),
            false => Err(AddressRefused(ip)),
        }
    }
}

fn is_metadata(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || METADATA_V4.contains(&ip),
        IpAddr::V6(ip) => match ip.segments() {
            [a, b, c, d, e, f, high, low] if [a, b, c, d, e, f] == NAT64 => {
                is_metadata_v4(high, low)
            }
            // Most networks that have this prefix use all of its first 96 bits, and so end with the IPv4 address.
            [a, b, c, .., high, low] if [a, b, c] == LOCAL_NAT64 => is_metadata_v4(high, low),
            [SIX_TO_FOUR, high, low, ..] => is_metadata_v4(high, low),
            _ => ip.is_unicast_link_local() || METADATA_V6.contains(&ip),
        },
    }
}

/// Whether the IPv4 address with these two halves is one of metadata.
fn is_metadata_v4(high: u16, low: u16) -> bool {
    let bits = u32::from(high) << 16 | u32::from(low);
    is_metadata(IpAddr::V4(bits.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_out_of_reach_in_every_spelling() {
        for ip in [
            "169.254.169.254",
            "169.254.0.23",
            "100.100.100.200",
            "168.63.129.16",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert!(!Reach::NoMetadata.includes(ip), "{ip}");
            assert!(Reach::Everywhere.includes(ip), "{ip}");
        }
        for ip in [
            "127.0.0.1",
            "10.0.0.7",
            "100.100.100.201",
            "::1",
            "fd00::1",
            "64:ff9b::a00:7",
            "64:ff9b:1::a00:7",
            "2002:a00:7::1",
        ] {
            assert!(Reach::NoMetadata.includes(ip.parse().unwrap()), "{ip}");
        }
        for url in [
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://[::ffff:a9fe:a9fe]/",
        ] {
            let url = Url::parse(url).unwrap();
            assert!(Reach::NoMetadata.check_url(&url).is_err(), "{url}");
        }
        assert!(
            Reach::NoMetadata
                .check_url(&Url::parse("http://corp.example/").unwrap())
                .is_ok()
        );
    }

    #[test]
    fn of_several_addresses_the_others_remain() {
        let ips: Vec<IpAddr> = ["169.254.169.254", "10.0.0.7"]
            .map(|ip| ip.parse().unwrap())
            .into();
        assert_eq!(Reach::NoMetadata.of_addresses(&ips), Ok(vec![ips[1]]));
        assert_eq!(
            Reach::NoMetadata.of_addresses(&ips[..1]),
            Err(AddressRefused(ips[0]))
        );
        assert_eq!(Reach::Everywhere.of_addresses(&ips), Ok(ips));
    }
}
