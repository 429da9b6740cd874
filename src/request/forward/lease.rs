//! `Lease`: an upstream connection for one request, and that request's slot in the limits.
//!
//! A client can abort requests faster than the upstream notices. An aborted request therefore keeps
//! its slot while the upstream may still be working on it. Otherwise a client that sends and aborts
//! requests could exceed `connections_max` and its share.

use std::sync::Arc;

use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::endpoint::Endpoint;
use super::http1::Http1Connection;
use super::parked::ReleasedConnection;
use super::private::ClientBinding;
use super::upstream::{CallerKind, Upstream};
use crate::request::client_quota::QuotaGuard;

/// A connection and the slot of its request. Dropping it aborts the request; an unanswered request
/// keeps its slot until the upstream finishes it.
#[derive(Debug)]
pub(super) struct Lease {
    /// `None` once the lease has ended.
    parts: Option<(Box<Http1Connection>, Slot)>,
    /// Whether the connection carried an earlier request.
    pub(super) is_reused: bool,
    /// The client that the connection is reserved for; `None` returns it to the pool.
    pub(super) binding: Option<Box<ClientBinding>>,
}

/// One of the `connections_max` requests that an upstream may have in progress.
#[derive(Debug)]
pub(super) struct Slot {
    upstream: Arc<Upstream>,
    /// The client's share of the upstream.
    share: Option<QuotaGuard>,
    caller_kind: CallerKind,
}

impl Lease {
    pub(super) fn new(connection: Box<Http1Connection>, slot: Slot, is_reused: bool) -> Self {
        Self {
            parts: Some((connection, slot)),
            is_reused,
            binding: None,
        }
    }

    fn parts(&self) -> &(Box<Http1Connection>, Slot) {
        self.parts
            .as_ref()
            .expect("the parts are present until the lease ends")
    }

    fn parts_mut(&mut self) -> &mut (Box<Http1Connection>, Slot) {
        self.parts
            .as_mut()
            .expect("the parts are present until the lease ends")
    }

    pub(super) fn connection(&self) -> &Http1Connection {
        &self.parts().0
    }

    pub(super) fn connection_mut(&mut self) -> &mut Http1Connection {
        &mut self.parts_mut().0
    }

    pub(super) fn connection_and_endpoint(&mut self) -> (&mut Http1Connection, &Endpoint) {
        let (connection, slot) = self.parts_mut();
        (connection, &slot.upstream.endpoint)
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.parts().1.upstream.endpoint
    }

    /// The upstream as `host:port`, for the access log.
    pub(super) fn upstream_name(&self) -> HeaderValue {
        self.endpoint().authority.clone()
    }

    /// Counts the request toward its client's share.
    pub(super) fn attach_share(&mut self, share: Option<QuotaGuard>) {
        self.parts_mut().1.share = share;
    }

    /// Keeps the connection for the next request if it is reusable, and closes it otherwise. `now`
    /// is the current time.
    pub(super) fn release(mut self, now: Instant) {
        let Some((connection, mut slot)) = self
            .parts
            .take()
            .filter(|(connection, _)| connection.is_reusable())
        else {
            return;
        };
        match self.binding.take() {
            None => slot.upstream.park(connection, now),
            Some(binding) => {
                let released = ReleasedConnection {
                    connection,
                    share: slot.share.take(),
                    caller_kind: slot.caller_kind,
                };
                binding.park(released, &slot.upstream, now);
            }
        }
    }

    /// Closes the connection of a request that failed at the upstream. Returns the client's share.
    pub(super) fn close(mut self) -> Option<QuotaGuard> {
        let (_, mut slot) = self.parts.take()?;
        slot.share.take()
    }

    /// Takes the connection out of the pool, for a tunnel.
    pub(super) fn into_parts(mut self) -> (Box<Http1Connection>, Slot) {
        let parts = self.parts.take();
        parts.expect("the parts are present until the lease ends")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let unanswered = self
            .parts
            .take()
            .filter(|(connection, _)| connection.is_awaiting_response());
        if let (Some((connection, slot)), Ok(runtime)) = (unanswered, Handle::try_current()) {
            runtime.spawn(drain_abandoned(connection, slot));
        }
    }
}

/// Keeps the slot of an aborted request until the upstream finishes it or the limit of the route
/// passes. The slots bound the number of these tasks.
async fn drain_abandoned(connection: Box<Http1Connection>, slot: Slot) {
    // The connection is closed in both cases.
    let _ = timeout(slot.upstream.abandoned_timeout, connection.drain()).await;
    drop(slot);
}

impl Slot {
    /// Represents permits that were taken from the semaphores of the upstream; dropping the slot returns
    /// them.
    pub(super) fn new(upstream: Arc<Upstream>, caller_kind: CallerKind) -> Self {
        Self {
            upstream,
            share: None,
            caller_kind,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.upstream.release_slot(self.caller_kind);
    }
}
