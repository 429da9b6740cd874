//! Limits that limit nothing, or that exceed those of the operating system.

use ipnet::{IpNet, Ipv6Net};

use super::Warnings;
use crate::open_files::OpenFiles;
use crate::setting::KeyPath;
use crate::setting::Period;

/// The longest time for which a response may outlive its session without a warning.
const JUDGED_AGAIN_AFTER_MAX_WITHOUT_WARNING: Period = Period::s(300);

/// Only a few of the largest organisations have an IPv6 network with a shorter prefix.
const ORGANISATION_BITS: u8 = 32;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let limits = &warnings.config.server.limits;
    let table = KeyPath::of(["server", "limits"]);
    if limits.upstream_share == 100 {
        let text = "one client can use all connections of an application: use less than 100";
        warnings.add(&table.clone().key("upstream_share"), text);
    }
    if limits.upstream_share_anonymous == 100 {
        let text = "clients without a session can use all connections of an application: use less \
                    than 100";
        warnings.add(&table.clone().key("upstream_share_anonymous"), text);
    }
    if limits.connections_per_client_max >= limits.connections_max {
        let text = "one client can use all connections: use less than connections_max";
        warnings.add(&table.clone().key("connections_per_client_max"), text);
    }
    for (index, range) in limits.count_by_address.iter().enumerate() {
        if matches!(range.network(), IpNet::V6(network) if exceeds_one_organisation(network)) {
            let text = "a client with a whole network in this range has one share of every limit for \
                        each of its addresses: name only networks of yours";
            warnings.add(&table.clone().key("count_by_address").item(index), text);
        }
    }
    if limits.judged_again_after > JUDGED_AGAIN_AFTER_MAX_WITHOUT_WARNING {
        let text = "a streamed response goes on for up to this time after the end of its session: the \
                    default is 10s";
        warnings.add(&table.key("judged_again_after"), text);
    }
}

/// Whether a network is larger than that of one organisation, and not private (`fc00::/7`).
fn exceeds_one_organisation(network: Ipv6Net) -> bool {
    let is_private = network.prefix_len() >= 7 && network.addr().is_unique_local();
    network.prefix_len() < ORGANISATION_BITS && !is_private
}

/// Warns if `connections_max` is set and exceeds the limit of open files. The default is lowered without
/// a warning.
pub(super) fn open_files(warnings: &mut Warnings<'_>, files: OpenFiles) {
    let connections_max = warnings.config.server.limits.connections_max;
    let key_path = KeyPath::of(["server", "limits"]).key("connections_max");
    if connections_max > files.clients && warnings.config.source.contains(&key_path) {
        let text = format!(
            "only {} are possible: this process may open {} files; raise its hard limit (LimitNOFILE= \
             of a systemd unit)",
            files.clients, files.limit
        );
        warnings.add(&key_path, text);
    }
}
