//! `Resolver`: DNS look-ups of the whole process.
//!
//! The look-up of the system blocks its thread, for half a minute if the name server does not respond.
//! So each name has at most one running look-up, on a thread of its own: names that hang neither delay
//! other names nor use up the threads for files. A look-up that takes longer than any name server is
//! abandoned, and the next caller starts another.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

mod error;

pub use error::ResolveError;

/// The most running look-ups. Only configured hosts and those that a provider names are looked up, so the
/// limit is reached only if very many of them hang.
const LOOKUPS_MAX: usize = 64;
/// The most abandoned look-ups. Each holds a thread that cannot be stopped.
const ABANDONED_MAX: usize = 64;
/// How often `Periods::abandoned` is doubled at most: to half a day.
const DOUBLED_MAX: u32 = 10;
/// The most cached names.
const NAMES_MAX: usize = 1024;

/// How long results of a look-up are used, from its start.
#[derive(Clone, Copy, Debug)]
struct Periods {
    /// How long addresses are used without another look-up.
    fresh: Duration,
    /// How much longer they are used if a new look-up fails or takes longer than `max_wait`.
    usable: Duration,
    /// How long a caller waits for a look-up while there are usable addresses.
    max_wait: Duration,
    /// How long a failure is returned without another look-up.
    failure: Duration,
    /// How long a look-up may take before it is abandoned. The time doubles with each abandoned look-up
    /// in a row, so that one name does not use up the threads.
    abandoned: Duration,
}

const PERIODS: Periods = Periods {
    fresh: Duration::from_secs(5),
    usable: Duration::from_secs(600),
    max_wait: Duration::from_secs(1),
    failure: Duration::from_secs(1),
    abandoned: Duration::from_secs(60),
};

/// A blocking look-up.
type LookupFn = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

type Answer = Result<Arc<[IpAddr]>, ResolveError>;

/// Looks up host names and caches their addresses. Clones share the cache.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    system: Box<LookupFn>,
    periods: Periods,
    names: Mutex<HashMap<Arc<str>, Arc<NameEntry>>>,
    running: AtomicUsize,
    /// Abandoned look-ups whose threads still run. `running` does not include them.
    abandoned: AtomicUsize,
}

/// The cache entry of a name.
struct NameEntry {
    host: Arc<str>,
    state: Mutex<NameState>,
    /// The number of look-ups that ended or were abandoned; callers wait for its change.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct NameState {
    good: Option<(Arc<[IpAddr]>, Instant)>,
    failed: Option<(ResolveError, Instant)>,
    running: Option<RunningLookup>,
    /// The number of look-ups that were started.
    begun: u64,
    /// Look-ups abandoned in a row.
    abandoned: u32,
}

/// The look-up that callers wait for.
#[derive(Clone, Copy)]
struct RunningLookup {
    number: u64,
    since: Instant,
}

/// What a caller does next.
enum Next {
    Answer(Answer),
    Wait {
        ended: watch::Receiver<u64>,
        /// When the lookup started.
        since: Instant,
        /// Addresses to use if the look-up takes longer than until this time.
        usable: Option<(Arc<[IpAddr]>, Instant)>,
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
            LazyLock::new(|| Resolver::with(system_lookup, PERIODS));
        SYSTEM.clone()
    }

    /// A resolver with another look-up, for tests.
    #[cfg(test)]
    pub(crate) fn with_lookup(
        system: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self::with(system, PERIODS)
    }

    fn with(
        system: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
        periods: Periods,
    ) -> Self {
        Self(Arc::new(Inner {
            system: Box::new(system),
            periods,
            names: Mutex::default(),
            running: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
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
        let name = self.0.name(host);
        let (mut ended, since, usable) = match self.0.next(&name, Instant::now()) {
            Next::Answer(answer) => return answer,
            Next::Wait {
                ended,
                since,
                usable,
            } => (ended, since, usable),
        };
        let outcome = || name.outcome(&self.0.periods, since, Instant::now());
        let Some((addresses, until)) = usable else {
            // An error is impossible: `name` owns the sender.
            let _ = ended.changed().await;
            return outcome();
        };
        if timeout_at(until, ended.changed()).await.is_err() {
            tracing::warn!(%host, "the name server does not respond: the last known addresses are used");
            return Ok(addresses);
        }
        outcome().or_else(|error| still_usable(addresses, &error))
    }
}

/// Logs the error and returns the last known addresses.
fn still_usable(addresses: Arc<[IpAddr]>, error: &ResolveError) -> Answer {
    let cause = std::error::Error::source(error).map(tracing::field::display);
    tracing::warn!(%error, cause, "the last known addresses are used");
    Ok(addresses)
}

fn system_lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (host, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}

impl Inner {
    fn name(&self, host: &str) -> Arc<NameEntry> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = names.get(host) {
            return Arc::clone(name);
        }
        if names.len() >= NAMES_MAX {
            // Names with waiting callers or a running look-up stay.
            names.retain(|_, name| Arc::strong_count(name) > 1);
        }
        let host: Arc<str> = host.into();
        let name = Arc::new(NameEntry {
            host: Arc::clone(&host),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
        });
        names.insert(host, Arc::clone(&name));
        name
    }

    /// Returns a cached result, or makes sure that a look-up is running.
    fn next(self: &Arc<Self>, name: &Arc<NameEntry>, now: Instant) -> Next {
        let Periods {
            fresh,
            usable,
            max_wait,
            failure,
            ..
        } = self.periods;
        let mut state = name.lock();
        let good = state.good.clone();
        if let Some((addresses, since)) = &good
            && now < *since + fresh
        {
            return Next::Answer(Ok(Arc::clone(addresses)));
        }
        let good = good.filter(|(_, since)| now < *since + fresh + usable);
        if let Some((error, since)) = &state.failed
            && now < *since + failure
        {
            let error = error.clone();
            drop(state);
            let addresses = good.map(|(addresses, _)| addresses);
            return Next::Answer(match addresses {
                Some(addresses) => still_usable(addresses, &error),
                None => Err(error),
            });
        }
        self.abandon_slow(name, &mut state, now);
        // Subscribed after abandoning, which wakes the waiting callers: this caller waits for the next end.
        let ended = name.ended.subscribe();
        let (lookup, is_new) = match state.running {
            Some(lookup) => (lookup, false),
            None => (state.begin(now), true),
        };
        drop(state);
        if is_new {
            self.start(name, lookup);
        }
        Next::Wait {
            ended,
            since: lookup.since,
            usable: good.map(|(addresses, _)| (addresses, lookup.since + max_wait)),
        }
    }

    /// Abandons the look-up of a name if it takes too long.
    fn abandon_slow(&self, name: &NameEntry, state: &mut NameState, now: Instant) {
        let abandoned = self.periods.abandoned * (1 << state.abandoned.min(DOUBLED_MAX));
        if state.running.is_none_or(|one| now < one.since + abandoned) {
            return;
        }
        state.running = None;
        state.abandoned += 1;
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.abandoned.fetch_add(1, Ordering::Relaxed);
        name.ended.send_modify(|ended| *ended += 1);
        let host = &name.host;
        tracing::error!(%host, "a look-up of the system does not end: it is abandoned");
    }

    /// Abandons the slow look-ups of all names: some may have no further caller.
    fn abandon_all_slow(&self, now: Instant) {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names.values() {
            self.abandon_slow(name, &mut name.lock(), now);
        }
    }

    /// Starts a look-up. However it ends, the waiting callers are woken.
    fn start(self: &Arc<Self>, name: &Arc<NameEntry>, one: RunningLookup) {
        if self.running.load(Ordering::Relaxed) >= LOOKUPS_MAX {
            self.abandon_all_slow(one.since);
        }
        let others = self.running.fetch_add(1, Ordering::Relaxed);
        let lookup = Lookup {
            shared: Arc::clone(self),
            name: Arc::clone(name),
            one,
        };
        let host = Arc::clone(&name.host);
        if self.abandoned.load(Ordering::Relaxed) >= ABANDONED_MAX {
            return lookup.end(Err(ResolveError::Stuck { host }));
        }
        if others >= LOOKUPS_MAX {
            return lookup.end(Err(ResolveError::Busy { host }));
        }
        let thread = thread::Builder::new().name("resolver".to_owned());
        if let Err(error) = thread.spawn(move || lookup.run()) {
            tracing::error!(%error, %host, "the thread for a look-up cannot be started");
        }
    }
}

/// A look-up. Dropping it wakes the waiting callers and allows the next look-up, unless it was abandoned.
struct Lookup {
    shared: Arc<Inner>,
    name: Arc<NameEntry>,
    one: RunningLookup,
}

impl Lookup {
    fn run(self) {
        let host = Arc::clone(&self.name.host);
        let found = match (self.shared.system)(&host) {
            Ok(addresses) if addresses.is_empty() => Err(ResolveError::Empty { host }),
            Ok(addresses) => Ok(addresses.into()),
            Err(error) => Err(ResolveError::Failed {
                host,
                source: Arc::new(error),
            }),
        };
        self.end(found);
    }

    fn end(self, found: Answer) {
        let mut state = self.name.lock();
        if state.is_running(self.one) {
            if !matches!(
                found,
                Err(ResolveError::Stuck { .. } | ResolveError::Busy { .. })
            ) {
                state.abandoned = 0;
            }
            match found {
                Ok(addresses) => {
                    state.good = Some((addresses, self.one.since));
                    state.failed = None;
                }
                Err(error) => state.failed = Some((error, self.one.since)),
            }
        }
        // `drop` of `self` takes the lock.
        drop(state);
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut state = self.name.lock();
        if state.is_running(self.one) {
            state.running = None;
            self.shared.running.fetch_sub(1, Ordering::Relaxed);
            self.name.ended.send_modify(|ended| *ended += 1);
        } else {
            self.shared.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl NameState {
    fn begin(&mut self, now: Instant) -> RunningLookup {
        self.begun += 1;
        let one = RunningLookup {
            number: self.begun,
            since: now,
        };
        *self.running.insert(one)
    }

    /// Whether this look-up is the running one, so was not abandoned.
    fn is_running(&self, one: RunningLookup) -> bool {
        self.running
            .is_some_and(|waited| waited.number == one.number)
    }
}

impl NameEntry {
    fn lock(&self) -> MutexGuard<'_, NameState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of the look-up that started at `began` and has just ended.
    fn outcome(&self, periods: &Periods, began: Instant, now: Instant) -> Answer {
        let state = self.lock();
        if let Some((error, _)) = &state.failed {
            return Err(error.clone());
        }
        // If the look-up was abandoned or had no thread, older addresses may be left.
        let usable = periods.fresh + periods.usable;
        match &state.good {
            Some((addresses, since)) if *since >= began || now < *since + usable => {
                Ok(Arc::clone(addresses))
            }
            _ => Err(ResolveError::Failed {
                host: Arc::clone(&self.host),
                source: Arc::new(io::Error::other("the look-up ended without a result")),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
