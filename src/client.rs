//! What counts as one client where something is limited for each.

use std::net::IpAddr;

/// The network that one client is taken to have to itself: an IPv4 address, or 64 bits of IPv6,
/// within which a client may choose a new address for every request.
pub fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
