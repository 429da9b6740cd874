//! `Pool`: the upstreams of a route, load balancing between them, and their reusable connections.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::dialer::Dialer;
use super::endpoint::{self, Endpoint};
use super::http1::Http1Connection;
use super::lease::{Lease, Slot};
use super::parked::{Parked, ParkedConnections, ParkedMax};
use super::private::ClientBinding;
use super::tls::UpstreamTls;
use super::{BuildError, ForwardError, Phase};
use crate::client::Client;
use crate::request::client_quota::{ClientQuota, QuotaGuard};
use crate::request::route::UpstreamUrl;
use crate::telemetry::LogLimiter;

/// How long other upstreams are preferred to one that could not be reached.
const AVOIDED_FOR: Duration = Duration::from_secs(5);

/// How many upstreams are tried for one request.
const ATTEMPTS_MAX: usize = 3;

/// The longest idle time of a connection for a request that must not be repeated: an upstream may
/// be about to close a connection that has been idle for longer.
const RECENT_AGE_MAX: Duration = Duration::from_secs(1);

/// How long to wait before the only upstream is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// The settings of a pool. A reload that does not change them keeps the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The load is balanced between several.
    pub upstreams: Vec<UpstreamUrl>,
    /// The time-out for opening a connection or waiting for a slot.
    pub connect: Duration,
    /// The idle time-out of a connection, unless the upstream's `Keep-Alive` header is shorter.
    pub idle: Duration,
    /// The maximum number of idle connections to each upstream.
    pub idle_max: usize,
    /// The maximum number of idle private connections to each upstream.
    pub private_max: usize,
    /// The maximum number of those for anonymous clients.
    pub private_anonymous_max: usize,
    /// How long a request that its client aborted counts as in progress, unless the upstream
    /// finishes it earlier.
    pub abandoned: Duration,
    /// The maximum number of requests in progress at each upstream.
    pub connections_max: usize,
    /// The percentage of these that one client address may have.
    pub client_share: u8,
    /// The percentage of these that all anonymous clients may have together.
    pub anonymous_share: u8,
    /// TLS settings for `https` upstreams; `None` trusts the system's certificate authorities.
    pub tls: Option<UpstreamTls>,
}

impl PoolSettings {
    /// Default limits for these upstreams.
    pub fn new(upstreams: Vec<UpstreamUrl>, connect: Duration) -> Self {
        Self {
            upstreams,
            connect,
            idle: Duration::from_secs(30),
            idle_max: 64,
            private_max: 256,
            private_anonymous_max: 64,
            abandoned: Duration::from_secs(10),
            connections_max: 1024,
            client_share: 75,
            anonymous_share: 75,
            tls: None,
        }
    }
}

/// The upstreams behind one or more routes.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: PoolSettings,
    upstreams: Vec<Arc<Upstream>>,
    next_offset: AtomicUsize,
    /// The requests in progress of each client.
    shares: Arc<ClientQuota>,
    warnings: LogLimiter,
}

/// One server and the connections to it.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) endpoint: Endpoint,
    slots: Semaphore,
    /// The slots that anonymous clients may use.
    anonymous: Semaphore,
    idle: Mutex<IdleConnections>,
    /// Idle private connections.
    parked: ParkedConnections,
    idle_for: Duration,
    idle_max: usize,
    pub(super) abandoned: Duration,
    slots_max: usize,
}

#[derive(Debug, Default)]
struct IdleConnections {
    /// The most recently used connection is at the back and is reused first.
    connections: VecDeque<(Box<Http1Connection>, Instant)>,
    is_sweeping: bool,
    avoided_until: Option<Instant>,
}

/// Which idle connections a request may reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Any open connection.
    Any,
    /// A connection that was used within the last second.
    Recent,
    /// None: the request gets a new connection.
    New,
}

/// The kind of caller that limits apply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerKind {
    /// A signed-in person or a program with a token.
    Authenticated,
    /// An anonymous caller; a public route may have any number of them.
    Anonymous,
}

impl Pool {
    pub(super) fn new(settings: PoolSettings, dialer: &Dialer) -> Result<Self, BuildError> {
        let own = settings.tls.as_ref();
        let name = own.and_then(|own| own.server_name.as_ref());
        let mut tls = own.map(|own| Arc::clone(&own.client));
        let mut trust = || match &tls {
            Some(config) => Ok(Arc::clone(config)),
            None => {
                let config = endpoint::system_tls_config()?;
                Ok(Arc::clone(tls.insert(config)))
            }
        };
        let anonymous_max = percent(settings.connections_max, settings.anonymous_share);
        let parked_max = ParkedMax {
            all: settings.private_max,
            anonymous: settings.private_anonymous_max,
        };
        let upstreams = settings
            .upstreams
            .iter()
            .map(|url| {
                Ok(Arc::new(Upstream {
                    endpoint: Endpoint::new(url, &mut trust, name, dialer)?,
                    slots: Semaphore::new(settings.connections_max),
                    anonymous: Semaphore::new(anonymous_max),
                    idle: Mutex::default(),
                    parked: ParkedConnections::new(parked_max),
                    idle_for: settings.idle,
                    idle_max: settings.idle_max,
                    abandoned: settings.abandoned,
                    slots_max: settings.connections_max,
                }))
            })
            .collect::<Result<Vec<_>, BuildError>>()?;
        let all = settings.connections_max.saturating_mul(upstreams.len());
        let most = percent(all, settings.client_share);
        Ok(Self {
            settings,
            upstreams,
            next_offset: AtomicUsize::new(0),
            shares: Arc::new(ClientQuota::new(most, all)),
            warnings: LogLimiter::default(),
        })
    }

    /// The upstreams as `host:port`, in the order of the configuration.
    pub(super) fn names(&self) -> Vec<HeaderValue> {
        let targets = self.upstreams.iter().map(|upstream| &upstream.endpoint);
        targets.map(|endpoint| endpoint.authority.clone()).collect()
    }

    /// Counts a request toward a client's share. `None` is a trusted proxy that does not name its
    /// client; it is not limited.
    pub(super) fn share(&self, client: Option<Client>) -> Result<Option<QuotaGuard>, ForwardError> {
        let Some(client) = client else {
            return Ok(None);
        };
        let share = self.shares.take(client);
        let share = share.or_else(|| self.share_from_parked(client));
        if share.is_none() && self.warnings.allow() {
            let max = self.shares.max();
            tracing::warn!(%client, key = "upstream_share", max, "a request was refused: its client already has as many requests in progress at the upstream as it may have");
        }
        share.map(Some).ok_or(ForwardError::ClientShare)
    }

    /// Closes an idle private connection of the client and takes over its share for a request.
    fn share_from_parked(&self, client: Client) -> Option<QuotaGuard> {
        let places = self.shares.counters(client);
        let mut upstreams = self.upstreams.iter();
        let closed = upstreams.any(|upstream| upstream.parked.close_oldest_of(places));
        closed.then(|| self.shares.take(client)).flatten()
    }

    /// Whether an upstream belongs to this pool. After a reload the same address may belong to
    /// another pool.
    pub(super) fn contains(&self, upstream: &Arc<Upstream>) -> bool {
        self.upstreams.iter().any(|own| Arc::ptr_eq(own, upstream))
    }

    /// Leases a private connection that was waiting for its client.
    pub(super) async fn lease_private(
        &self,
        (connection, upstream): (Box<Http1Connection>, Arc<Upstream>),
        binding: Box<ClientBinding>,
        caller_kind: CallerKind,
    ) -> Result<Lease, ForwardError> {
        let slot = self.slot(&upstream, caller_kind).await?;
        let mut lease = Lease::new(connection, slot, true);
        lease.binding = Some(binding);
        Ok(lease)
    }

    async fn slot(
        &self,
        upstream: &Arc<Upstream>,
        caller_kind: CallerKind,
    ) -> Result<Slot, ForwardError> {
        let slot = upstream.slot(self.settings.connect, caller_kind).await;
        if matches!(slot, Err(ForwardError::AnonymousShare)) && self.warnings.allow() {
            tracing::warn!(
                upstream = ?upstream.endpoint.authority,
                key = "upstream_share_anonymous",
                "a request was refused: anonymous clients already have as many requests in progress at the upstream as they may have"
            );
        }
        slot
    }

    /// The index of the upstream that wins ties in the next request; it rotates.
    pub(super) fn next_offset(&self) -> usize {
        self.next_offset.fetch_add(1, Ordering::Relaxed)
    }

    /// Leases an idle connection to the upstream with the fewest requests; `None` if that needs
    /// waiting or a new connection.
    pub(super) fn try_lease(
        &self,
        freshness: Freshness,
        caller_kind: CallerKind,
        offset: usize,
        now: Instant,
    ) -> Option<Lease> {
        let upstream = &self.upstreams[self.least_loaded(offset, &[])?];
        let slot = upstream.try_slot(caller_kind)?;
        let connection = upstream.take(freshness, now)?;
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
        offset: usize,
    ) -> Result<Lease, ForwardError> {
        let mut tried = Vec::new();
        let mut first_error = None;
        loop {
            let index = self
                .least_loaded(offset, &tried)
                .ok_or(ForwardError::NoUpstream)?;
            let upstream = &self.upstreams[index];
            let slot = self.slot(upstream, caller_kind).await?;
            if let Some(connection) = upstream.take(freshness, Instant::now()) {
                return Ok(Lease::new(connection, slot, true));
            }
            let wait_max = self.settings.connect;
            let socket = upstream.endpoint.dialer.acquire_socket(wait_max).await?;
            let error = match timeout(wait_max, upstream.endpoint.connect(socket)).await {
                Ok(Ok(io)) => return Ok(Lease::new(Http1Connection::new(io), slot, false)),
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
    pub(super) fn load(&self) -> Vec<usize> {
        self.upstreams
            .iter()
            .map(|upstream| upstream.in_flight())
            .collect()
    }

    /// The number of idle private connections to each upstream.
    #[cfg(test)]
    pub(super) fn parked(&self) -> Vec<usize> {
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
    fn least_loaded(&self, offset: usize, tried: &[usize]) -> Option<usize> {
        let count = self.upstreams.len();
        if count == 1 {
            return tried.is_empty().then_some(0);
        }
        let now = Instant::now();
        let order = (0..count).map(|at| offset.wrapping_add(at) % count);
        order.filter(|at| !tried.contains(at)).min_by_key(|at| {
            (
                self.upstreams[*at].is_avoided(now),
                self.upstreams[*at].in_flight(),
            )
        })
    }
}

impl Upstream {
    fn in_flight(&self) -> usize {
        self.slots_max
            .saturating_sub(self.slots.available_permits())
    }

    /// Takes a slot if one is free.
    fn try_slot(self: &Arc<Self>, caller_kind: CallerKind) -> Option<Slot> {
        let anonymous = match caller_kind {
            CallerKind::Authenticated => None,
            CallerKind::Anonymous => Some(self.anonymous.try_acquire().ok()?),
        };
        self.slots.try_acquire().ok()?.forget();
        if let Some(anonymous) = anonymous {
            anonymous.forget();
        }
        Some(Slot::new(Arc::clone(self), caller_kind))
    }

    async fn slot(
        self: &Arc<Self>,
        wait_max: Duration,
        caller_kind: CallerKind,
    ) -> Result<Slot, ForwardError> {
        let anonymous = match caller_kind {
            CallerKind::Authenticated => None,
            CallerKind::Anonymous => {
                let permit = permit(&self.anonymous, wait_max).await;
                Some(permit.ok_or(ForwardError::AnonymousShare)?)
            }
        };
        let permit = permit(&self.slots, wait_max).await;
        permit.ok_or(ForwardError::Busy)?.forget();
        if let Some(anonymous) = anonymous {
            anonymous.forget();
        }
        Ok(Slot::new(Arc::clone(self), caller_kind))
    }

    pub(super) fn release_slot(&self, caller_kind: CallerKind) {
        self.slots.add_permits(1);
        if caller_kind == CallerKind::Anonymous {
            self.anonymous.add_permits(1);
        }
    }

    fn take(&self, freshness: Freshness, now: Instant) -> Option<Box<Http1Connection>> {
        let age_max = match freshness {
            Freshness::Any => self.idle_for,
            Freshness::Recent => self.idle_for.min(RECENT_AGE_MAX),
            Freshness::New => return None,
        };
        // Dropped, and so closed, after the lock is released.
        let mut expired = Vec::new();
        let mut idle = self.idle();
        while let Some((connection, since)) = idle.connections.pop_back() {
            let age = now.saturating_duration_since(since);
            if age >= connection.idle_limit(self.idle_for) {
                expired.push(connection);
            } else if age >= age_max {
                // All others have been idle for even longer.
                idle.connections.push_back((connection, since));
                return None;
            } else {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request. `now` is the current time.
    pub(super) fn park(self: &Arc<Self>, mut connection: Box<Http1Connection>, now: Instant) {
        connection.release_buffers();
        let mut idle = self.idle();
        if idle.connections.len() >= self.idle_max || self.endpoint.dialer.is_exhausted() {
            drop(idle);
            return;
        }
        idle.connections.push_back((connection, now));
        idle.avoided_until = None;
        let sweep = !std::mem::replace(&mut idle.is_sweeping, true);
        drop(idle);
        if sweep {
            self.start_sweeping();
        }
    }

    /// Keeps a private connection for the next request of its client, which owns the result.
    /// `None`: a limit is reached and the connection is closed. `now` is the current time.
    pub(super) fn park_private(
        self: &Arc<Self>,
        (mut connection, share, caller_kind): (
            Box<Http1Connection>,
            Option<QuotaGuard>,
            CallerKind,
        ),
        now: Instant,
    ) -> Option<Arc<Parked>> {
        if self.endpoint.dialer.is_exhausted() {
            return None;
        }
        connection.release_buffers();
        let parked = self.parked.park((connection, share, caller_kind), now)?;
        let sweep = !std::mem::replace(&mut self.idle().is_sweeping, true);
        if sweep {
            self.start_sweeping();
        }
        Some(parked)
    }

    fn start_sweeping(self: &Arc<Self>) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(sweep_periodically(Arc::downgrade(self)))),
            Err(_) => self.idle().is_sweeping = false,
        }
    }

    fn avoid_for_a_while(&self) {
        self.idle().avoided_until = Some(Instant::now() + AVOIDED_FOR);
    }

    fn is_avoided(&self, now: Instant) -> bool {
        self.idle().avoided_until.is_some_and(|until| now < until)
    }

    /// Closes the connections that exceeded the idle time-out or that the upstream closed. Returns
    /// whether any is still waiting.
    fn sweep(&self) -> bool {
        let mut closed = Vec::new();
        let mut idle = self.idle();
        for (mut connection, since) in std::mem::take(&mut idle.connections) {
            if since.elapsed() < connection.idle_limit(self.idle_for) && connection.is_alive() {
                idle.connections.push_back((connection, since));
            } else {
                closed.push(connection);
            }
        }
        // The lock is held, so that a connection that is parked after this starts the next sweep.
        let private = self.parked.sweep(self.idle_for);
        idle.is_sweeping = private || !idle.connections.is_empty();
        idle.is_sweeping
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, IdleConnections> {
        // No code that holds the lock can panic between two related changes.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A percentage of a number, at least 1.
fn percent(all: usize, share: u8) -> usize {
    (all.saturating_mul(share.into()) / 100).max(1)
}

/// Waits for a permit; `None` on time-out.
async fn permit(permits: &Semaphore, wait_max: Duration) -> Option<SemaphorePermit<'_>> {
    if let Ok(permit) = permits.try_acquire() {
        return Some(permit);
    }
    let waited = timeout(wait_max, permits.acquire()).await;
    waited.ok().and_then(Result::ok)
}

/// Whether a retry may succeed, as with an upstream that is restarting. A rejected certificate
/// stays rejected.
fn is_transient(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    )
}

/// Closes expired connections until none is waiting.
async fn sweep_periodically(upstream: Weak<Upstream>) {
    loop {
        let Some(pause) = upstream.upgrade().map(|upstream| upstream.idle_for / 8) else {
            return;
        };
        tokio::time::sleep(pause.max(Duration::from_millis(100))).await;
        if !upstream.upgrade().is_some_and(|upstream| upstream.sweep()) {
            return;
        }
    }
}
