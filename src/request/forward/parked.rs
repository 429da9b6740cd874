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
use super::pool::CallerKind;
use crate::request::client_quota::{QuotaCounters, QuotaGuard};

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
    pub(super) fn take(&self, idle_for: Duration) -> Option<Box<Http1Connection>> {
        let idle = self.idle().take()?;
        let in_time = idle.since.elapsed() < idle.connection.idle_limit(idle_for);
        in_time.then_some(idle.connection)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.idle().is_some()
    }

    fn close(&self) {
        let idle = self.idle().take();
        drop(idle);
    }

    /// Closes the connection if it exceeded the idle time-out or the upstream closed it. Returns
    /// whether it is still waiting.
    fn sweep(&self, idle_for: Duration) -> bool {
        let mut idle = self.idle();
        let is_waiting = idle.as_mut().is_some_and(|idle| {
            idle.since.elapsed() < idle.connection.idle_limit(idle_for)
                && idle.connection.is_alive()
        });
        if !is_waiting {
            *idle = None;
        }
        is_waiting
    }

    fn idle(&self) -> MutexGuard<'_, Option<IdleConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn park(
        &self,
        (connection, share, caller_kind): (Box<Http1Connection>, Option<QuotaGuard>, CallerKind),
        now: Instant,
    ) -> Option<Arc<Parked>> {
        let client = share.as_ref().map(QuotaGuard::counters);
        let mut entries = self.entries();
        entries.retain(Entry::is_waiting);
        let replaced = match self.has_room(&entries, caller_kind) {
            true => None,
            false => {
                let at = replaceable(&entries, caller_kind, client)?;
                entries.remove(at)
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

    /// Closes the oldest connection of a client, or else of its network. Returns whether there was
    /// one.
    pub(super) fn close_oldest_of(&self, client: QuotaCounters) -> bool {
        let mut entries = self.entries();
        entries.retain(Entry::is_waiting);
        let at = |is_meant: &dyn Fn(QuotaCounters) -> bool| {
            let mut clients = entries.iter().map(|entry| entry.client);
            clients.position(|other| other.is_some_and(is_meant))
        };
        let at = at(&|other| other == client).or_else(|| at(&|other| other.shares_site(client)));
        let closed = at.and_then(|at| entries.remove(at));
        drop(entries);
        closed.is_some_and(|closed| closed.close())
    }

    /// Closes the connections that exceeded the idle time-out or that the upstream closed. Returns
    /// whether any is still waiting.
    pub(super) fn sweep(&self, idle_for: Duration) -> bool {
        let mut entries = self.entries();
        entries.retain(|entry| {
            let parked = entry.parked.upgrade();
            parked.is_some_and(|parked| parked.sweep(idle_for))
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
fn replaceable(
    entries: &VecDeque<Entry>,
    caller_kind: CallerKind,
    client: Option<QuotaCounters>,
) -> Option<usize> {
    let oldest = |may: &dyn Fn(&Entry) -> bool| {
        let own = |entry: &Entry| entry.client.is_some() && entry.client == client;
        let own = entries.iter().position(|entry| may(entry) && own(entry));
        own.or_else(|| entries.iter().position(may))
    };
    let anonymous = oldest(&|entry| entry.caller_kind == CallerKind::Anonymous);
    match caller_kind {
        CallerKind::Anonymous => anonymous,
        CallerKind::Authenticated => anonymous.or_else(|| oldest(&|_| true)),
    }
}
