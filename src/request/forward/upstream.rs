//! `Upstream`: one server, the slots for its requests, and its idle connections.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::ForwardError;
use super::endpoint::Endpoint;
use super::http1::Http1Connection;
use super::lease::Slot;
use super::parked::{Parked, ParkedConnections, ReleasedConnection};
use super::pool_settings::PoolSettings;

/// How long other upstreams are preferred to one that could not be reached.
const AVOID_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The longest idle time of a connection for a request that must not be repeated: an upstream may
/// be about to close a connection that has been idle for longer.
const RECENT_IDLE_MAX: Duration = Duration::from_secs(1);

/// One server and the connections to it.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) endpoint: Endpoint,
    slots: Semaphore,
    /// The slots that anonymous clients may use.
    anonymous_slots: Semaphore,
    state: Mutex<UpstreamState>,
    /// Idle private connections.
    pub(super) parked: ParkedConnections,
    idle_timeout: Duration,
    idle_connections_max: usize,
    pub(super) abandoned_timeout: Duration,
    slots_max: usize,
}

#[derive(Debug, Default)]
struct UpstreamState {
    /// Each with the time from which it is idle. The most recently used connection is at the back and
    /// is reused first.
    idle_connections: VecDeque<(Box<Http1Connection>, Instant)>,
    /// Whether the task that closes expired connections is running.
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

impl Upstream {
    pub(super) fn new(endpoint: Endpoint, settings: &PoolSettings) -> Self {
        Self {
            endpoint,
            slots: Semaphore::new(settings.connections_max),
            anonymous_slots: Semaphore::new(settings.anonymous_max()),
            state: Mutex::default(),
            parked: ParkedConnections::new(settings.parked_max()),
            idle_timeout: settings.idle_timeout,
            idle_connections_max: settings.idle_max,
            abandoned_timeout: settings.abandoned_timeout,
            slots_max: settings.connections_max,
        }
    }

    pub(super) fn requests_in_progress(&self) -> usize {
        self.slots_max
            .saturating_sub(self.slots.available_permits())
    }

    /// Takes a slot if one is free.
    pub(super) fn try_slot(self: &Arc<Self>, caller_kind: CallerKind) -> Option<Slot> {
        let anonymous = match caller_kind {
            CallerKind::Authenticated => None,
            CallerKind::Anonymous => Some(self.anonymous_slots.try_acquire().ok()?),
        };
        self.slots.try_acquire().ok()?.forget();
        if let Some(anonymous) = anonymous {
            anonymous.forget();
        }
        Some(Slot::new(Arc::clone(self), caller_kind))
    }

    pub(super) async fn wait_for_slot(
        self: &Arc<Self>,
        wait_max: Duration,
        caller_kind: CallerKind,
    ) -> Result<Slot, ForwardError> {
        let anonymous = match caller_kind {
            CallerKind::Authenticated => None,
            CallerKind::Anonymous => {
                let permit = wait_for_permit(&self.anonymous_slots, wait_max).await;
                Some(permit.ok_or(ForwardError::AnonymousShare)?)
            }
        };
        let permit = wait_for_permit(&self.slots, wait_max).await;
        permit.ok_or(ForwardError::Busy)?.forget();
        if let Some(anonymous) = anonymous {
            anonymous.forget();
        }
        Ok(Slot::new(Arc::clone(self), caller_kind))
    }

    pub(super) fn release_slot(&self, caller_kind: CallerKind) {
        self.slots.add_permits(1);
        if caller_kind == CallerKind::Anonymous {
            self.anonymous_slots.add_permits(1);
        }
    }

    /// Takes an idle connection that is fresh enough.
    pub(super) fn take_idle(
        &self,
        freshness: Freshness,
        now: Instant,
    ) -> Option<Box<Http1Connection>> {
        let idle_max = match freshness {
            Freshness::Any => self.idle_timeout,
            Freshness::Recent => self.idle_timeout.min(RECENT_IDLE_MAX),
            Freshness::New => return None,
        };
        // Dropped, and so closed, after the lock is released.
        let mut expired = Vec::new();
        let mut state = self.lock_state();
        while let Some((connection, since)) = state.idle_connections.pop_back() {
            let idle = now.saturating_duration_since(since);
            if idle >= connection.effective_idle_timeout(self.idle_timeout) {
                expired.push(connection);
            } else if idle >= idle_max {
                // All others have been idle for even longer.
                state.idle_connections.push_back((connection, since));
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
        let mut state = self.lock_state();
        if state.idle_connections.len() >= self.idle_connections_max
            || self.endpoint.dialer.is_exhausted()
        {
            drop(state);
            return;
        }
        state.idle_connections.push_back((connection, now));
        state.avoided_until = None;
        let was_sweeping = std::mem::replace(&mut state.is_sweeping, true);
        drop(state);
        if !was_sweeping {
            self.start_sweeping();
        }
    }

    /// Keeps a private connection for the next request of its client, which owns the result.
    /// `None`: a limit is reached and the connection is closed. `now` is the current time.
    pub(super) fn park_private(
        self: &Arc<Self>,
        mut released: ReleasedConnection,
        now: Instant,
    ) -> Option<Arc<Parked>> {
        if self.endpoint.dialer.is_exhausted() {
            return None;
        }
        released.connection.release_buffers();
        let parked = self.parked.park(released, now)?;
        let was_sweeping = std::mem::replace(&mut self.lock_state().is_sweeping, true);
        if !was_sweeping {
            self.start_sweeping();
        }
        Some(parked)
    }

    fn start_sweeping(self: &Arc<Self>) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(sweep_periodically(Arc::downgrade(self)))),
            Err(_) => self.lock_state().is_sweeping = false,
        }
    }

    pub(super) fn avoid_for_a_while(&self) {
        self.lock_state().avoided_until = Some(Instant::now() + AVOID_AFTER_FAILURE);
    }

    pub(super) fn is_avoided(&self, now: Instant) -> bool {
        self.lock_state()
            .avoided_until
            .is_some_and(|until| now < until)
    }

    /// Closes the connections that exceeded the idle time-out or that the upstream closed. Returns
    /// whether any is still waiting.
    pub(super) fn sweep(&self) -> bool {
        let mut closed = Vec::new();
        let mut state = self.lock_state();
        for (mut connection, since) in std::mem::take(&mut state.idle_connections) {
            let idle_timeout = connection.effective_idle_timeout(self.idle_timeout);
            if since.elapsed() < idle_timeout && connection.is_alive() {
                state.idle_connections.push_back((connection, since));
            } else {
                closed.push(connection);
            }
        }
        // The lock is held, so that a connection that is parked after this starts the next sweep.
        let has_private = self.parked.sweep(self.idle_timeout);
        state.is_sweeping = has_private || !state.idle_connections.is_empty();
        state.is_sweeping
    }

    fn lock_state(&self) -> MutexGuard<'_, UpstreamState> {
        // No code that holds the lock can panic between two related changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a permit; `None` on time-out.
async fn wait_for_permit(permits: &Semaphore, wait_max: Duration) -> Option<SemaphorePermit<'_>> {
    if let Ok(permit) = permits.try_acquire() {
        return Some(permit);
    }
    let permit = timeout(wait_max, permits.acquire()).await;
    permit.ok().and_then(Result::ok)
}

/// Closes expired connections until none is waiting.
async fn sweep_periodically(upstream: Weak<Upstream>) {
    loop {
        let Some(pause) = upstream.upgrade().map(|upstream| upstream.idle_timeout / 8) else {
            return;
        };
        tokio::time::sleep(pause.max(Duration::from_millis(100))).await;
        if !upstream.upgrade().is_some_and(|upstream| upstream.sweep()) {
            return;
        }
    }
}
