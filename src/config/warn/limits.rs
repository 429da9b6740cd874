//! Limits that are written so wide that they limit nothing, or do not fit into those of the system.

use ipnet::{IpNet, Ipv6Net};

use super::Warnings;
use crate::open_files::OpenFiles;
use crate::setting::Period;
use crate::setting::Place;

/// An answer may outlive its session for no longer than this without a warning.
const JUDGED_AGAIN_AFTER_MAX: Period = Period::s(300);

/// No organisation has a wider IPv6 network than one with so many bits, but for a few of the largest.
const ORGANISATION_BITS: u8 = 32;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let limits = &warnings.config.server.limits;
    let table = Place::of(["server", "limits"]);
    if limits.upstream_share == 100 {
        let text = "one client can keep everybody else from an application: leave some of it";
        warnings.add(&table.clone().key("upstream_share"), text);
    }
    if limits.upstream_share_anonymous == 100 {
        let text = "strangers on public routes can keep everybody who is signed in from an \
                    application: leave some of it";
        warnings.add(&table.clone().key("upstream_share_anonymous"), text);
    }
    if limits.connections_per_client_max >= limits.connections_max {
        let text = "one client can keep everybody else from connecting: leave some of \
                    connections_max";
        warnings.add(&table.clone().key("connections_per_client_max"), text);
    }
    for (at, one) in limits.count_by_address.iter().enumerate() {
        if matches!(one.network(), IpNet::V6(network) if holds_strangers(network)) {
            let text = "whoever has a network of their own in there has as many shares of every limit \
                        as it has addresses: name only networks of yours";
            warnings.add(&table.clone().key("count_by_address").item(at), text);
        }
    }
    if limits.judged_again_after > JUDGED_AGAIN_AFTER_MAX {
        let text = "what an application streams outlives its session by so much: the default is \
                    10s";
        warnings.add(&table.key("judged_again_after"), text);
    }
}

/// Whether a network is wider than what one organisation gets, and not a private one (`fc00::/7`).
fn holds_strangers(network: Ipv6Net) -> bool {
    let is_private = network.prefix_len() >= 7 && network.addr().is_unique_local();
    network.prefix_len() < ORGANISATION_BITS && !is_private
}

/// The default is lowered to what fits without a word.
pub(super) fn open_files(warnings: &mut Warnings<'_>, files: OpenFiles) {
    let wanted = warnings.config.server.limits.connections_max;
    let place = Place::of(["server", "limits"]).key("connections_max");
    if wanted > files.clients && warnings.config.source.contains(&place) {
        let text = format!(
            "only {} fit: this process may open {} files; raise its hard limit, which is \
             LimitNOFILE= of a systemd unit",
            files.clients, files.limit
        );
        warnings.add(&place, text);
    }
}
