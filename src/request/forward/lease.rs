//! `Lease`: a connection to an upstream for one request, and the right to have that request under way.
//!
//! A client can give up a request faster than an upstream notices. As long as the upstream may still
//! work on it, the request counts as under way: else one client, by asking and giving up, could have
//! far more of them at the upstream than `connections_max` and its share allow.

use std::sync::Arc;

use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::endpoint::Endpoint;
use super::http1::Http1Connection;
use super::pool::{CallerKind, Upstream};
use super::private::ClientBinding;
use crate::request::client_quota::QuotaGuard;

/// The right to one connection of an upstream, and the connection. Dropping it gives the request up:
/// what was not answered yet stays counted until the upstream is done with it.
#[derive(Debug)]
pub(super) struct Lease {
    /// There until the lease ends.
    parts: Option<(Box<Http1Connection>, Slot)>,
    /// Whether the connection has served before.
    pub(super) is_reused: bool,
    /// Where it waits for its client's next request; absent: in the pool, for anybody's.
    pub(super) binding: Option<Box<ClientBinding>>,
}

/// One of the requests that may be under way at an upstream.
#[derive(Debug)]
pub(super) struct Slot {
    upstream: Arc<Upstream>,
    /// Of what the client may have under way.
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
            .expect("only what ends a lease takes it")
    }

    fn parts_mut(&mut self) -> &mut (Box<Http1Connection>, Slot) {
        self.parts
            .as_mut()
            .expect("only what ends a lease takes it")
    }

    pub(super) fn connection(&self) -> &Http1Connection {
        &self.parts().0
    }

    pub(super) fn connection_mut(&mut self) -> &mut Http1Connection {
        &mut self.parts_mut().0
    }

    /// The connection, and where it leads.
    pub(super) fn connection_and_endpoint(&mut self) -> (&mut Http1Connection, &Endpoint) {
        let (connection, slot) = self.parts_mut();
        (connection, &slot.upstream.endpoint)
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.parts().1.upstream.endpoint
    }

    /// The name of the upstream, for the record.
    pub(super) fn upstream_name(&self) -> HeaderValue {
        self.endpoint().authority.clone()
    }

    /// Counts the request to its client, too.
    pub(super) fn attach_share(&mut self, share: Option<QuotaGuard>) {
        self.parts_mut().1.share = share;
    }

    /// Keeps the connection for the next request where it is free for it, and closes it elsewhere.
    /// `now` is the time.
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
                let parts = (connection, slot.share.take(), slot.caller_kind);
                binding.park(parts, &slot.upstream, now);
            }
        }
    }

    /// Closes the connection, because the upstream had its time or is done with the request. Answers
    /// the client's share.
    pub(super) fn close(mut self) -> Option<QuotaGuard> {
        let (_, mut slot) = self.parts.take()?;
        slot.share.take()
    }

    /// Takes the connection out of the pool, for what is no longer HTTP.
    pub(super) fn into_parts(mut self) -> (Box<Http1Connection>, Slot) {
        self.parts.take().expect("only what ends a lease takes it")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let given_up = self
            .parts
            .take()
            .filter(|(connection, _)| connection.is_awaiting_response());
        if let (Some((connection, slot)), Ok(runtime)) = (given_up, Handle::try_current()) {
            runtime.spawn(drain_abandoned(connection, slot));
        }
    }
}

/// Counts a request that was given up until the upstream is done with it. There are never more of
/// these than slots.
async fn drain_abandoned(connection: Box<Http1Connection>, slot: Slot) {
    // Whether the upstream was done or took too long: its connection is closed now.
    let _ = timeout(slot.upstream.abandoned, connection.drain()).await;
    drop(slot);
}

impl Slot {
    /// A slot for which a permit of the upstream was taken.
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
