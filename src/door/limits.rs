//! `[server.limits]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::address_network::AddressNetwork;
use crate::setting::Period;

/// `[server.limits]`: limits for all clients together and for each client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerLimits {
    /// Connections that are served at a time, tunnels included; further connections wait. The number
    /// is lower if the process may not open enough files: menshen raises its limit of open files to
    /// the hard limit, reserves 256, and gives clients three eighths of the rest. One client address
    /// then has at most half of these connections.
    pub connections_max: usize,
    /// Connections that one client address may hold; a further connection is closed. For this limit and all
    /// other limits per client, an IPv6 /64 is one address, and its /48 may hold as much as three clients but
    /// never all of `connections_max`, unless `count_by_address` contains it. `trusted_proxies` are not
    /// limited.
    pub connections_per_client_max: usize,
    /// IPv6 networks in which each address is a client of its own, as each IPv4 address is: for an
    /// intranet whose people share a /64 or a /48. A client that can use many addresses there has a
    /// separate limit for each. A reload applies it. Absent: none.
    pub count_by_address: Vec<AddressNetwork>,
    /// Concurrent requests of one client address; a further request is answered with 503.
    pub requests_per_client_max: usize,
    /// Concurrent requests of one HTTP/2 connection; further requests wait.
    pub streams_max: u32,
    /// Percentage of the concurrent requests to the upstreams of a route that one client address may
    /// use; a further request is answered with 503. Behind `trusted_proxies` this is the client that
    /// they name.
    pub upstream_share: u8,
    /// Percentage of the concurrent requests to the upstreams of a route that all requests without a
    /// session and without a bearer token may use together; a further request waits as it would for
    /// a connection, and is then answered with 503. The rest is reserved for people who are signed
    /// in and for programs with a token.
    pub upstream_share_anonymous: u8,
    /// Time from the opening of a connection to the end of the head of its first request.
    pub header_read: Period,
    /// Time from the end of a response to the end of the head of the next request.
    pub keep_alive: Period,
    /// Interval over which the speed of a client is measured while menshen waits for it. The request
    /// of a client that is too slow is aborted; over HTTP/1.1 its connection is closed.
    pub progress_interval: Period,
    /// Bytes of a request's body that a client must send in each interval.
    pub upload_bytes_min: u32,
    /// Bytes of a response that a client must read in each interval.
    pub download_bytes_min: u32,
    /// Age from which a response or an upload that is still running is checked again as WebSockets
    /// are: it is aborted when its session ends, or when a new configuration no longer allows it.
    pub judged_again_after: Period,
    /// Time that requests in flight have to finish when menshen stops.
    pub drain: Period,
    /// Maximum size of the head of a request, in bytes; a longer head is answered with 431.
    pub header_bytes_max: usize,
}

impl ServerLimits {
    /// The smallest read buffer that hyper accepts for HTTP/1.1.
    pub(super) const BUFFER_BYTES_MIN: usize = 8192;
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_client_max: 10_000,
            count_by_address: Vec::new(),
            requests_per_client_max: 10_000,
            streams_max: 128,
            upstream_share: 75,
            upstream_share_anonymous: 75,
            header_read: Period::s(30),
            keep_alive: Period::s(75),
            progress_interval: Period::s(60),
            upload_bytes_min: 16 * 1024,
            download_bytes_min: 16 * 1024,
            judged_again_after: Period::s(10),
            drain: Period::s(30),
            header_bytes_max: 64 * 1024,
        }
    }
}
