//! `Resolver`: DNS look-ups of the whole process.
//!
//! The look-up of the system blocks its thread, for half a minute if the name server does not respond.
//! So each name has at most one running look-up, on a thread of its own: a look-up that hangs neither
//! delays other names nor uses up the runtime's threads for files. A look-up that takes too long is
//! abandoned, and the next caller starts another.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

mod error;
mod lookup;
mod name_entry;

pub use error::ResolveError;

use lookup::Lookup;
use name_entry::{NameEntry, NameState, RunningLookup};

/// The most running look-ups. Only configured hosts and those that a provider names are looked up, so the
/// limit is reached only if very many of them hang.
const LOOKUPS_MAX: usize = 64;
/// The most abandoned look-ups. Each holds a thread that cannot be stopped.
const ABANDONED_MAX: usize = 64;
/// How often `Periods::abandoned_after` is doubled at most: from a minute to 17 hours.
const DOUBLINGS_MAX: u32 = 10;
/// The most cached names.
const NAMES_MAX: usize = 1024;

/// How long results of a look-up are used, from its start.
#[derive(Clone, Copy, Debug)]
struct Periods {
    /// How long addresses are used without another look-up.
    fresh_for: Duration,
    /// How much longer they are used if a new look-up fails or takes longer than `wait_for_refresh`.
    usable_for: Duration,
    /// How long a caller waits for a new look-up while there are usable addresses.
    wait_for_refresh: Duration,
    /// How long a failure is returned without another look-up.
    failure_cached_for: Duration,
    /// How long a look-up may take before it is abandoned. The time doubles with each abandoned look-up
    /// in a row, so that one name does not use up the threads.
    abandoned_after: Duration,
}

const PERIODS: Periods = Periods {
    fresh_for: Duration::from_secs(5),
    usable_for: Duration::from_secs(600),
    wait_for_refresh: Duration::from_secs(1),
    failure_cached_for: Duration::from_secs(1),
    abandoned_after: Duration::from_secs(60),
};

/// A blocking look-up.
type LookupFn = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

type LookupResult = Result<Arc<[IpAddr]>, ResolveError>;

/// Looks up host names and caches their addresses. Clones share the cache.
#[derive(Clone)]
pub struct Resolver(Arc<SharedResolver>);

/// The state that all clones of a [`Resolver`] share.
struct SharedResolver {
    lookup_fn: Box<LookupFn>,
    periods: Periods,
    names: Mutex<HashMap<Arc<str>, Arc<NameEntry>>>,
    running_count: AtomicUsize,
    /// Abandoned look-ups whose threads still run. `running_count` does not include them.
    abandoned_count: AtomicUsize,
}

/// What a caller does next.
enum NextStep {
    Return(LookupResult),
    Wait {
        /// Changes when the look-up ends or is abandoned.
        ended_count: watch::Receiver<u64>,
        started_at: Instant,
        /// The last known addresses, to be used if the look-up does not end before this time.
        fallback: Option<(Arc<[IpAddr]>, Instant)>,
    },
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// The resolver of this process, which uses the operating system.
    pub fn system() -> Self {
        static SYSTEM: LazyLock<Resolver> =
            LazyLock::new(|| Resolver::with_periods(system_lookup, PERIODS));
        SYSTEM.clone()
    }

    /// A resolver with another look-up, for tests.
    #[cfg(test)]
    pub(crate) fn with_lookup(
        lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self::with_periods(lookup, PERIODS)
    }

    fn with_periods(
        lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
        periods: Periods,
    ) -> Self {
        Self(Arc::new(SharedResolver {
            lookup_fn: Box::new(lookup),
            periods,
            names: Mutex::default(),
            running_count: AtomicUsize::new(0),
            abandoned_count: AtomicUsize::new(0),
        }))
    }

    /// The addresses of a host, at least one, in the order in which to try them. An IP address is returned
    /// as it is.
    ///
    /// The caller must set a time-out. The look-up continues for other callers.
    pub async fn resolve(&self, host: &str) -> Result<Arc<[IpAddr]>, ResolveError> {
        if let Ok(ip) = host.parse() {
            return Ok(Arc::from([ip]));
        }
        let entry = self.0.entry_of(host);
        let (mut ended_count, started_at, fallback) = match self.0.next_step(&entry, Instant::now())
        {
            NextStep::Return(result) => return result,
            NextStep::Wait {
                ended_count,
                started_at,
                fallback,
            } => (ended_count, started_at, fallback),
        };
        let result = || entry.result(&self.0.periods, started_at, Instant::now());
        let Some((addresses, wait_until)) = fallback else {
            // An error is impossible: `entry` owns the sender.
            let _ = ended_count.changed().await;
            return result();
        };
        if timeout_at(wait_until, ended_count.changed()).await.is_err() {
            tracing::warn!(%host, "the name server does not respond: the last known addresses are used");
            return Ok(addresses);
        }
        result().or_else(|error| use_last_addresses(addresses, &error))
    }
}

/// Logs the error and returns the last known addresses.
fn use_last_addresses(addresses: Arc<[IpAddr]>, error: &ResolveError) -> LookupResult {
    let cause = std::error::Error::source(error).map(tracing::field::display);
    tracing::warn!(%error, cause, "the last known addresses are used");
    Ok(addresses)
}

fn system_lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (host, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}

impl SharedResolver {
    fn entry_of(&self, host: &str) -> Arc<NameEntry> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = names.get(host) {
            return Arc::clone(entry);
        }
        if names.len() >= NAMES_MAX {
            // Names with waiting callers or a running look-up stay.
            names.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        let host: Arc<str> = host.into();
        let entry = Arc::new(NameEntry {
            host: Arc::clone(&host),
            state: Mutex::default(),
            ended_count: watch::Sender::new(0),
        });
        names.insert(host, Arc::clone(&entry));
        entry
    }

    /// Returns a cached result, or makes sure that a look-up is running.
    fn next_step(self: &Arc<Self>, entry: &Arc<NameEntry>, now: Instant) -> NextStep {
        let periods = self.periods;
        let mut state = entry.lock();
        let last_success = state.last_success.clone();
        if let Some((addresses, started_at)) = &last_success
            && now < *started_at + periods.fresh_for
        {
            return NextStep::Return(Ok(Arc::clone(addresses)));
        }
        let usable_for = periods.fresh_for + periods.usable_for;
        let usable = last_success
            .filter(|(_, started_at)| now < *started_at + usable_for)
            .map(|(addresses, _)| addresses);
        if let Some((error, started_at)) = &state.last_failure
            && now < *started_at + periods.failure_cached_for
        {
            let error = error.clone();
            drop(state);
            return NextStep::Return(match usable {
                Some(addresses) => use_last_addresses(addresses, &error),
                None => Err(error),
            });
        }
        self.abandon_slow(entry, &mut state, now);
        // Abandoning increments the count. A subscription before it would end this caller's wait.
        let ended_count = entry.ended_count.subscribe();
        let (running, is_new) = match state.running {
            Some(running) => (running, false),
            None => (state.begin(now), true),
        };
        drop(state);
        if is_new {
            self.start(entry, running);
        }
        let started_at = running.started_at;
        NextStep::Wait {
            ended_count,
            started_at,
            fallback: usable.map(|addresses| (addresses, started_at + periods.wait_for_refresh)),
        }
    }

    /// Abandons the look-up of a name if it takes too long.
    fn abandon_slow(&self, entry: &NameEntry, state: &mut NameState, now: Instant) {
        let doublings = state.abandoned_in_a_row.min(DOUBLINGS_MAX);
        let abandoned_after = self.periods.abandoned_after * (1 << doublings);
        let is_slow = |running: RunningLookup| now >= running.started_at + abandoned_after;
        if !state.running.is_some_and(is_slow) {
            return;
        }
        state.running = None;
        state.abandoned_in_a_row += 1;
        self.running_count.fetch_sub(1, Ordering::Relaxed);
        self.abandoned_count.fetch_add(1, Ordering::Relaxed);
        entry.ended_count.send_modify(|count| *count += 1);
        let host = &entry.host;
        tracing::error!(%host, "a look-up of the system does not end: it is abandoned");
    }

    /// Abandons the slow look-ups of all names: those without callers are abandoned nowhere else.
    fn abandon_all_slow(&self, now: Instant) {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in names.values() {
            self.abandon_slow(entry, &mut entry.lock(), now);
        }
    }

    /// Starts a look-up. However it ends, the waiting callers are woken.
    fn start(self: &Arc<Self>, entry: &Arc<NameEntry>, running: RunningLookup) {
        if self.running_count.load(Ordering::Relaxed) >= LOOKUPS_MAX {
            self.abandon_all_slow(running.started_at);
        }
        let others = self.running_count.fetch_add(1, Ordering::Relaxed);
        let lookup = Lookup {
            shared: Arc::clone(self),
            entry: Arc::clone(entry),
            running,
        };
        let host = Arc::clone(&entry.host);
        if self.abandoned_count.load(Ordering::Relaxed) >= ABANDONED_MAX {
            return lookup.store_result(Err(ResolveError::Stuck { host }));
        }
        if others >= LOOKUPS_MAX {
            return lookup.store_result(Err(ResolveError::Busy { host }));
        }
        let thread = thread::Builder::new().name("resolver".to_owned());
        if let Err(error) = thread.spawn(move || lookup.run()) {
            tracing::error!(%error, %host, "the thread for a look-up cannot be started");
        }
    }
}

#[cfg(test)]
mod tests;
