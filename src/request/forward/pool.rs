//! `Pool`: the upstreams behind one or more routes, load balancing between them, and their reusable
//! connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use tokio::time::{Instant, timeout};

use super::dialer::Dialer;
use super::endpoint::{self, Endpoint};
use super::http1::Http1Connection;
use super::lease::{Lease, Slot};
use super::pool_settings::PoolSettings;
use super::upstream::{CallerKind, Freshness, Upstream};
use super::{BuildError, ForwardError, Phase};
use crate::client::Client;
use crate::request::client_quota::{ClientQuota, QuotaGuard};
use crate::telemetry::LogLimiter;

/// How many upstreams are tried for one request.
const ATTEMPTS_MAX: usize = 3;

/// How long to wait before the only upstream is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// The upstreams behind one or more routes.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: PoolSettings,
    upstreams: Vec<Arc<Upstream>>,
    next_search_start: AtomicUsize,
    /// The requests in progress of each client.
    client_quota: Arc<ClientQuota>,
    /// Limits the warnings about clients that reach a limit.
    limit_log: LogLimiter,
}

impl Pool {
    pub(super) fn new(settings: PoolSettings, dialer: &Dialer) -> Result<Self, BuildError> {
        let tls = settings.tls.as_ref();
        let server_name = tls.and_then(|tls| tls.server_name.as_ref());
        let mut client_config = tls.map(|tls| Arc::clone(&tls.client_config));
        let mut client_config = || match &client_config {
            Some(config) => Ok(Arc::clone(config)),
            None => {
                let config = endpoint::system_tls_config()?;
                Ok(Arc::clone(client_config.insert(config)))
            }
        };
        let upstreams = settings
            .upstreams
            .iter()
            .map(|url| {
                let endpoint = Endpoint::new(url, &mut client_config, server_name, dialer)?;
                Ok(Arc::new(Upstream::new(endpoint, &settings)))
            })
            .collect::<Result<Vec<_>, BuildError>>()?;
        let (client_max, all) = settings.client_max_and_all();
        Ok(Self {
            settings,
            upstreams,
            next_search_start: AtomicUsize::new(0),
            client_quota: Arc::new(ClientQuota::new(client_max, all)),
            limit_log: LogLimiter::default(),
        })
    }

    /// The upstreams as `host:port`, in the order of the configuration.
    pub(super) fn upstream_names(&self) -> Vec<HeaderValue> {
        let endpoints = self.upstreams.iter().map(|upstream| &upstream.endpoint);
        endpoints
            .map(|endpoint| endpoint.authority.clone())
            .collect()
    }

    /// Counts a request toward a client's share. `None` is a trusted proxy that does not name its
    /// client; it is not limited.
    pub(super) fn take_share(
        &self,
        client: Option<Client>,
    ) -> Result<Option<QuotaGuard>, ForwardError> {
        let Some(client) = client else {
            return Ok(None);
        };
        let share = self.client_quota.take(client);
        let share = share.or_else(|| self.take_share_of_parked(client));
        if share.is_none() && self.limit_log.allow() {
            let max = self.client_quota.max();
            tracing::warn!(%client, key = "upstream_share", max, "a request was refused: its client already has as many requests in progress at the upstream as it may have");
        }
        share.map(Some).ok_or(ForwardError::ClientShare)
    }

    /// Closes an idle private connection of the client, and counts the request in its place.
    fn take_share_of_parked(&self, client: Client) -> Option<QuotaGuard> {
        let counters = self.client_quota.counters(client);
        let mut upstreams = self.upstreams.iter();
        let is_closed = upstreams.any(|upstream| upstream.parked.close_oldest_of(counters));
        is_closed.then(|| self.client_quota.take(client)).flatten()
    }

    /// Whether an upstream belongs to this pool. After a reload the same address may belong to
    /// another pool.
    pub(super) fn contains(&self, upstream: &Arc<Upstream>) -> bool {
        let mut upstreams = self.upstreams.iter();
        upstreams.any(|member| Arc::ptr_eq(member, upstream))
    }

    /// Waits until one more request may be in progress at an upstream.
    pub(super) async fn wait_for_slot(
        &self,
        upstream: &Arc<Upstream>,
        caller_kind: CallerKind,
    ) -> Result<Slot, ForwardError> {
        let slot = upstream
            .wait_for_slot(self.settings.connect_timeout, caller_kind)
            .await;
        if matches!(slot, Err(ForwardError::AnonymousShare)) && self.limit_log.allow() {
            tracing::warn!(
                upstream = ?upstream.endpoint.authority,
                key = "upstream_share_anonymous",
                "a request was refused: anonymous clients already have as many requests in progress at the upstream as they may have"
            );
        }
        slot
    }

    /// The index from which the next request searches for the upstream with the fewest requests. It
    /// increases with each request, so that upstreams with equally few take turns.
    pub(super) fn next_search_start(&self) -> usize {
        self.next_search_start.fetch_add(1, Ordering::Relaxed)
    }

    /// Leases an idle connection to the upstream with the fewest requests; `None` if that needs
    /// waiting or a new connection.
    pub(super) fn try_lease(
        &self,
        freshness: Freshness,
        caller_kind: CallerKind,
        search_from: usize,
        now: Instant,
    ) -> Option<Lease> {
        let upstream = &self.upstreams[self.least_loaded(search_from, &[])?];
        let slot = upstream.try_slot(caller_kind)?;
        let connection = upstream.take_idle(freshness, now)?;
        Some(Lease::new(connection, slot, true))
    }

    /// Leases a connection to the upstream with the fewest requests, and opens one if necessary.
    ///
    /// If that fails, nothing was sent, so the next upstream is tried; a single upstream is tried
    /// twice.
    pub(super) async fn lease(
        &self,
        freshness: Freshness,
        caller_kind: CallerKind,
        search_from: usize,
    ) -> Result<Lease, ForwardError> {
        let mut tried = Vec::new();
        let mut first_error = None;
        loop {
            let index = self
                .least_loaded(search_from, &tried)
                .ok_or(ForwardError::NoUpstream)?;
            let upstream = &self.upstreams[index];
            let slot = self.wait_for_slot(upstream, caller_kind).await?;
            if let Some(connection) = upstream.take_idle(freshness, Instant::now()) {
                return Ok(Lease::new(connection, slot, true));
            }
            let wait_max = self.settings.connect_timeout;
            let socket = upstream.endpoint.dialer.acquire_socket(wait_max).await?;
            let error = match timeout(wait_max, upstream.endpoint.connect(socket)).await {
                Ok(Ok(transport)) => {
                    return Ok(Lease::new(Http1Connection::new(transport), slot, false));
                }
                Ok(Err(error))
                    if self.upstreams.len() == 1
                        && first_error.is_none()
                        && is_transient(&error) =>
                {
                    drop(slot);
                    first_error = Some(error);
                    tokio::time::sleep(RETRY_DELAY).await;
                    continue;
                }
                Ok(Err(error)) => ForwardError::Unreachable(first_error.take().unwrap_or(error)),
                Err(_) => ForwardError::Timeout(Phase::Connect),
            };
            upstream.avoid_for_a_while();
            tried.push(index);
            if tried.len() == self.upstreams.len().min(ATTEMPTS_MAX) {
                return Err(error);
            }
        }
    }

    /// The number of requests in progress at each upstream.
    #[cfg(test)]
    pub(super) fn requests_in_progress(&self) -> Vec<usize> {
        self.upstreams
            .iter()
            .map(|upstream| upstream.requests_in_progress())
            .collect()
    }

    /// The number of idle private connections to each upstream.
    #[cfg(test)]
    pub(super) fn parked_counts(&self) -> Vec<usize> {
        let upstreams = self.upstreams.iter();
        upstreams.map(|upstream| upstream.parked.count()).collect()
    }

    /// Closes the expired idle connections to each upstream.
    #[cfg(test)]
    pub(super) fn sweep(&self) {
        for upstream in &self.upstreams {
            upstream.sweep();
        }
    }

    /// The index of the upstream with the fewest requests; upstreams that failed recently come
    /// last.
    fn least_loaded(&self, search_from: usize, tried: &[usize]) -> Option<usize> {
        let count = self.upstreams.len();
        if count == 1 {
            return tried.is_empty().then_some(0);
        }
        let now = Instant::now();
        let order = (0..count).map(|index| search_from.wrapping_add(index) % count);
        order
            .filter(|index| !tried.contains(index))
            .min_by_key(|index| {
                (
                    self.upstreams[*index].is_avoided(now),
                    self.upstreams[*index].requests_in_progress(),
                )
            })
    }
}

/// Whether a retry may succeed, as with an upstream that is restarting. A rejected certificate
/// stays rejected.
fn is_transient(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    )
}
