//! `PoolSettings`: the upstreams of a route and the limits of the connections to them.

use std::time::Duration;

use super::parked::ParkedMax;
use super::tls::UpstreamTls;
use crate::request::route::UpstreamUrl;

/// The settings of a pool. A reload that does not change them keeps the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The servers; the load is balanced between several.
    pub upstreams: Vec<UpstreamUrl>,
    /// The time-out for opening a connection or waiting for a slot.
    pub connect_timeout: Duration,
    /// The idle time-out of a connection, unless the upstream's `Keep-Alive` header is shorter.
    pub idle_timeout: Duration,
    /// The maximum number of idle connections to each upstream.
    pub idle_max: usize,
    /// The maximum number of idle private connections to each upstream.
    pub private_max: usize,
    /// The maximum number of those for anonymous clients.
    pub private_anonymous_max: usize,
    /// How long a request that its client aborted counts as in progress, unless the upstream
    /// finishes it earlier.
    pub abandoned_timeout: Duration,
    /// The maximum number of requests in progress at each upstream.
    pub connections_max: usize,
    /// The percentage of the requests at all upstreams together that one client may have in progress.
    pub client_share_max_percent: u8,
    /// The percentage of the requests at each upstream that all anonymous clients together may have in
    /// progress.
    pub anonymous_share_max_percent: u8,
    /// TLS settings for `https` upstreams; `None` trusts the system's certificate authorities.
    pub tls: Option<UpstreamTls>,
}

impl PoolSettings {
    /// Default limits for these upstreams.
    pub fn new(upstreams: Vec<UpstreamUrl>, connect_timeout: Duration) -> Self {
        Self {
            upstreams,
            connect_timeout,
            idle_timeout: Duration::from_secs(30),
            idle_max: 64,
            private_max: 256,
            private_anonymous_max: 64,
            abandoned_timeout: Duration::from_secs(10),
            connections_max: 1024,
            client_share_max_percent: 75,
            anonymous_share_max_percent: 75,
            tls: None,
        }
    }

    /// How many requests anonymous clients may have in progress together at each upstream.
    pub(super) fn anonymous_max(&self) -> usize {
        percentage(self.connections_max, self.anonymous_share_max_percent)
    }

    /// How many requests one client may have in progress at all upstreams together, and how many
    /// all clients may have.
    pub(super) fn client_max_and_all(&self) -> (usize, usize) {
        let all = self.connections_max.saturating_mul(self.upstreams.len());
        (percentage(all, self.client_share_max_percent), all)
    }

    pub(super) fn parked_max(&self) -> ParkedMax {
        ParkedMax {
            all: self.private_max,
            anonymous: self.private_anonymous_max,
        }
    }
}

/// A percentage of a number, at least 1.
fn percentage(number: usize, percent: u8) -> usize {
    (number.saturating_mul(percent.into()) / 100).max(1)
}
