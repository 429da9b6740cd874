//! `Lease`: a connection to an upstream for one request, and the right to have that request under way.
//!
//! A client can give up a request faster than an upstream notices. As long as the upstream may still
//! work on it, the request counts as under way: else one client, by asking and giving up, could have
//! far more of them at the upstream than `connections_max` and its share allow.

use std::sync::Arc;

use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::connect::Target;
use super::pool::{Upstream, Who};
use super::private::Place;
use super::wire::Wire;
use crate::request::share::Share;

/// The right to one connection of an upstream, and the connection. Dropping it gives the request up:
/// what was not answered yet stays counted until the upstream is done with it.
#[derive(Debug)]
pub(super) struct Lease {
    /// There until the lease ends.
    held: Option<(Box<Wire>, Slot)>,
    /// Whether the connection has served before.
    pub(super) reused: bool,
    /// Where it waits for its client's next request; absent: in the pool, for anybody's.
    pub(super) private: Option<Box<Place>>,
}

/// One of the requests that may be under way at an upstream.
#[derive(Debug)]
pub(super) struct Slot {
    upstream: Arc<Upstream>,
    /// Of what the client may have under way.
    share: Option<Share>,
    who: Who,
}

impl Lease {
    pub(super) fn new(wire: Box<Wire>, slot: Slot, reused: bool) -> Self {
        Self {
            held: Some((wire, slot)),
            reused,
            private: None,
        }
    }

    fn held(&self) -> &(Box<Wire>, Slot) {
        self.held.as_ref().expect("only what ends a lease takes it")
    }

    fn held_mut(&mut self) -> &mut (Box<Wire>, Slot) {
        self.held.as_mut().expect("only what ends a lease takes it")
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.held().0
    }

    pub(super) fn wire_mut(&mut self) -> &mut Wire {
        &mut self.held_mut().0
    }

    /// The connection, and where it leads.
    pub(super) fn wire_and_target(&mut self) -> (&mut Wire, &Target) {
        let (wire, slot) = self.held_mut();
        (wire, &slot.upstream.target)
    }

    pub(super) fn target(&self) -> &Target {
        &self.held().1.upstream.target
    }

    /// The name of the upstream, for the record.
    pub(super) fn upstream_name(&self) -> HeaderValue {
        self.target().authority.clone()
    }

    /// Counts the request to its client, too.
    pub(super) fn count(&mut self, share: Option<Share>) {
        self.held_mut().1.share = share;
    }

    /// Keeps the connection for the next request where it is free for it, and closes it elsewhere.
    /// `now` is the time.
    pub(super) fn release(mut self, now: Instant) {
        let Some((wire, mut slot)) = self.held.take().filter(|(wire, _)| wire.is_free()) else {
            return;
        };
        match self.private.take() {
            None => slot.upstream.park(wire, now),
            Some(place) => {
                let held = (wire, slot.share.take(), slot.who);
                place.keep(held, &slot.upstream, now);
            }
        }
    }

    /// Closes the connection, because the upstream had its time or is done with the request. Answers
    /// the client's share.
    pub(super) fn close(mut self) -> Option<Share> {
        let (_, mut slot) = self.held.take()?;
        slot.share.take()
    }

    /// Takes the connection out of the pool, for what is no longer HTTP.
    pub(super) fn into_parts(mut self) -> (Box<Wire>, Slot) {
        self.held.take().expect("only what ends a lease takes it")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let given_up = self.held.take().filter(|(wire, _)| wire.is_under_way());
        if let (Some((wire, slot)), Ok(runtime)) = (given_up, Handle::try_current()) {
            runtime.spawn(outlast(wire, slot));
        }
    }
}

/// Counts a request that was given up until the upstream is done with it. There are never more of
/// these than slots.
async fn outlast(wire: Box<Wire>, slot: Slot) {
    // Whether the upstream was done or took too long: its connection is closed now.
    let _ = timeout(slot.upstream.abandoned, wire.outlast()).await;
    drop(slot);
}

impl Slot {
    /// A slot for which a permit of the upstream was taken.
    pub(super) fn taken(upstream: Arc<Upstream>, who: Who) -> Self {
        Self {
            upstream,
            share: None,
            who,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.upstream.free_slot(self.who);
    }
}
