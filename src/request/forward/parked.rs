//! Private upstream connections while they wait for the next request of their client.
//!
//! The client's connection owns them, so they close together with it. The upstream limits their
//! number and closes those that exceed the idle time-out: a connected client that sends nothing
//! keeps no connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::http1::Http1Connection;
use super::upstream::CallerKind;
use crate::request::client_quota::{QuotaCounters, QuotaGuard};

/// A private connection whose request has ended, and what it counts for.
#[derive(Debug)]
pub(super) struct ReleasedConnection {
    pub(super) connection: Box<Http1Connection>,
    /// The client's share of the upstream, which the connection keeps while it waits.
    pub(super) share: Option<QuotaGuard>,
    pub(super) caller_kind: CallerKind,
}

/// A private connection that is waiting, or a placeholder once it was taken or closed.
#[derive(Debug)]
pub(super) struct Parked(Mutex<Option<IdleConnection>>);

#[derive(Debug)]
struct IdleConnection {
    connection: Box<Http1Connection>,
    since: Instant,
    /// A waiting connection counts as one of the requests of its client.
    _share: Option<QuotaGuard>,
}

/// How many private connections to an upstream may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParkedMax {
    pub(super) all: usize,
    /// The limit for anonymous clients.
    pub(super) anonymous: usize,
}

/// The waiting private connections to one upstream, oldest first.
#[derive(Debug)]
pub(super) struct ParkedConnections {
    entries: Mutex<VecDeque<Entry>>,
    max: ParkedMax,
}

#[derive(Debug)]
struct Entry {
    parked: Weak<Parked>,
    caller_kind: CallerKind,
    /// The counters of its client.
    client: Option<QuotaCounters>,
}

impl Parked {
    /// Takes the connection, unless it was closed or exceeded the idle time-out.
    pub(super) fn take(&self, idle_timeout: Duration) -> Option<Box<Http1Connection>> {
        let idle = self.lock().take()?;
        let is_expired = idle.is_expired(idle_timeout);
        (!is_expired).then_some(idle.connection)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.lock().is_some()
    }

    fn close(&self) {
        let idle = self.lock().take();
        drop(idle);
    }

    /// Closes the connection if it exceeded the idle time-out or the upstream closed it. Returns
    /// whether it is still waiting.
    fn sweep(&self, idle_timeout: Duration) -> bool {
        let mut idle = self.lock();
        let is_waiting = idle
            .as_mut()
            .is_some_and(|idle| !idle.is_expired(idle_timeout) && idle.connection.is_alive());
        if !is_waiting {
            *idle = None;
        }
        is_waiting
    }

    fn lock(&self) -> MutexGuard<'_, Option<IdleConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleConnection {
    fn is_expired(&self, idle_timeout: Duration) -> bool {
        self.since.elapsed() >= self.connection.effective_idle_timeout(idle_timeout)
    }
}

impl ParkedConnections {
    pub(super) fn new(max: ParkedMax) -> Self {
        Self {
            entries: Mutex::default(),
            max,
        }
    }

    /// Parks a connection from `now` on. If the limit is reached, another connection is closed for
    /// it; if none may be closed, the new connection is closed and the result is `None`.
    pub(super) fn park(&self, released: ReleasedConnection, now: Instant) -> Option<Arc<Parked>> {
        let ReleasedConnection {
            connection,
            share,
            caller_kind,
        } = released;
        let client = share.as_ref().map(QuotaGuard::counters);
        let mut entries = self.entries();
        entries.retain(Entry::is_waiting);
        let replaced = match self.has_room(&entries, caller_kind) {
            true => None,
            false => {
                let index = replaceable_index(&entries, caller_kind, client)?;
                entries.remove(index)
            }
        };
        let parked = Arc::new(Parked(Mutex::new(Some(IdleConnection {
            connection,
            since: now,
            _share: share,
        }))));
        entries.push_back(Entry {
            parked: Arc::downgrade(&parked),
            caller_kind,
            client,
        });
        drop(entries);
        if let Some(replaced) = replaced {
            replaced.close();
        }
        Some(parked)
    }

    fn has_room(&self, entries: &VecDeque<Entry>, caller_kind: CallerKind) -> bool {
        let anonymous = entries
            .iter()
            .filter(|entry| entry.caller_kind == CallerKind::Anonymous);
        entries.len() < self.max.all
            && (caller_kind == CallerKind::Authenticated || anonymous.count() < self.max.anonymous)
    }

    /// Closes the oldest connection of a client, or else of its IPv6 /48. Returns whether there was one.
    pub(super) fn close_oldest_of(&self, client: QuotaCounters) -> bool {
        let mut entries = self.entries();
        entries.retain(Entry::is_waiting);
        let oldest = |matches: &dyn Fn(QuotaCounters) -> bool| {
            let mut clients = entries.iter().map(|entry| entry.client);
            clients.position(|other| other.is_some_and(matches))
        };
        let index = oldest(&|other| other == client)
            .or_else(|| oldest(&|other| other.shares_network48(client)));
        let removed = index.and_then(|index| entries.remove(index));
        drop(entries);
        removed.is_some_and(|entry| entry.close())
    }

    /// Closes the connections that exceeded the idle time-out or that the upstream closed. Returns
    /// whether any is still waiting.
    pub(super) fn sweep(&self, idle_timeout: Duration) -> bool {
        let mut entries = self.entries();
        entries.retain(|entry| {
            let parked = entry.parked.upgrade();
            parked.is_some_and(|parked| parked.sweep(idle_timeout))
        });
        !entries.is_empty()
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let entries = self.entries();
        entries.iter().filter(|entry| entry.is_waiting()).count()
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_waiting(&self) -> bool {
        self.parked
            .upgrade()
            .is_some_and(|parked| parked.is_waiting())
    }

    /// Returns whether the connection still existed.
    fn close(&self) -> bool {
        let parked = self.parked.upgrade();
        parked.is_some_and(|parked| {
            parked.close();
            true
        })
    }
}

/// The index of the connection to close for a new one. Connections of authenticated callers are
/// never closed for anonymous ones, and the client's own connections are closed first.
fn replaceable_index(
    entries: &VecDeque<Entry>,
    caller_kind: CallerKind,
    client: Option<QuotaCounters>,
) -> Option<usize> {
    let oldest = |may_close: &dyn Fn(&Entry) -> bool| {
        let is_of_client = |entry: &Entry| entry.client.is_some() && entry.client == client;
        let mut of_client = entries.iter();
        of_client
            .position(|entry| may_close(entry) && is_of_client(entry))
            .or_else(|| entries.iter().position(may_close))
    };
    let anonymous = oldest(&|entry| entry.caller_kind == CallerKind::Anonymous);
    match caller_kind {
        CallerKind::Anonymous => anonymous,
        CallerKind::Authenticated => anonymous.or_else(|| oldest(&|_| true)),
    }
}
