//! Forwarding of requests to upstreams and of their responses to clients.

mod abandoned_requests;
mod ambiguous_requests;
mod ambiguous_responses;
mod bodies;
mod concurrent_clients;
mod header_case;
mod headers;
mod ntlm;
mod pools;
mod private_connections;
mod raw_targets;
mod response_addresses;
mod response_heads;
mod streams;
mod tls_setup;
mod trailers;
mod transfer_codings;
mod truncated_responses;
pub(crate) mod upgrades;
mod upstream_failures;
mod upstream_tls;
mod webdav_destinations;

use crate::upstream::{Reply, Upstream, ok};

/// An upstream that responds `fine` to every request.
async fn ok_upstream() -> Upstream {
    Upstream::start(|_| Reply::KeepAlive(ok("fine"))).await
}
