//! `Resolver`: resolves host names for the whole process.
//!
//! The system's lookup blocks its thread, for half a minute if the name server does not respond.
//! Therefore each name has at most one running lookup, on its own thread: a slow name neither
//! delays other names nor occupies the threads of the runtime. A lookup that takes much longer than
//! the timeout of any name server is abandoned, and the next caller starts another.

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

/// The maximum number of running lookups. Only configured hosts and hosts that a provider names are
/// resolved, so it is reached only if very many lookups hang.
const LOOKUPS_MAX: usize = 64;
/// The maximum number of abandoned lookups. Each occupies a thread, which cannot be ended.
const ABANDONED_MAX: usize = 64;
/// How often the timeout of a lookup is doubled at most: from 60 s to 17 hours.
const DOUBLED_MAX: u32 = 10;
/// The maximum number of cached names.
const NAMES_MAX: usize = 1024;

/// The periods of lookups and their results, from the start of the lookup.
#[derive(Clone, Copy, Debug)]
struct Periods {
    /// How long addresses are used without another lookup.
    fresh: Duration,
    /// How long after that addresses are used if a new lookup fails or takes longer than
    /// `max_wait`.
    usable: Duration,
    /// How long a caller waits for a lookup if there are usable addresses.
    max_wait: Duration,
    /// How long a failure is cached.
    failure: Duration,
    /// How long a lookup may take before it is abandoned. It doubles with each abandoned lookup of
    /// a name in a row, so that one name does not occupy all threads.
    abandoned: Duration,
}

const PERIODS: Periods = Periods {
    fresh: Duration::from_secs(5),
    usable: Duration::from_secs(600),
    max_wait: Duration::from_secs(1),
    failure: Duration::from_secs(1),
    abandoned: Duration::from_secs(60),
};

/// Resolves a name and blocks the thread meanwhile.
type LookupFn = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

type Answer = Result<Arc<[IpAddr]>, ResolveError>;

/// Resolves host names and caches the results. Clones share the cache.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    system: Box<LookupFn>,
    periods: Periods,
    names: Mutex<HashMap<Arc<str>, Arc<NameEntry>>>,
    running: AtomicUsize,
    /// The number of abandoned lookups whose threads still run.
    abandoned: AtomicUsize,
}

/// A cached name: its results and its running lookup.
struct NameEntry {
    host: Arc<str>,
    state: Mutex<NameState>,
    /// The number of lookups that ended or were abandoned.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct NameState {
    good: Option<(Arc<[IpAddr]>, Instant)>,
    failed: Option<(ResolveError, Instant)>,
    running: Option<RunningLookup>,
    /// The number of lookups that were started.
    begun: u64,
    /// The number of lookups abandoned since the last response of the system.
    abandoned: u32,
}

/// The lookup for which callers wait.
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
        /// The usable addresses, and the time at which they are used if the lookup has not ended.
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

    /// A resolver with another lookup function, for tests.
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

    /// Returns the addresses of a host, at least one, in the order in which to try them. An IP
    /// address is returned as it is.
    ///
    /// The caller sets a timeout; the lookup continues for other callers.
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
            // The sender lives as long as the name.
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
            // Callers that wait for a name hold another reference to it.
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

    /// Returns a cached result, or starts a lookup unless one is running.
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
        // Subscribes after `abandon_slow`, which wakes the callers of the abandoned lookup: this
        // caller waits for the next lookup.
        let ended = name.ended.subscribe();
        let (one, begins) = match state.running {
            Some(one) => (one, false),
            None => (state.begin(now), true),
        };
        drop(state);
        if begins {
            self.start(name, one);
        }
        Next::Wait {
            ended,
            since: one.since,
            usable: good.map(|(addresses, _)| (addresses, one.since + max_wait)),
        }
    }

    /// Abandons the lookup of a name if it takes too long.
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
        tracing::error!(%host, "the system did not respond to a lookup, which was abandoned: check the name servers");
    }

    /// Abandons the slow lookups of all names, because some names may not be requested again.
    fn abandon_all_slow(&self, now: Instant) {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names.values() {
            self.abandon_slow(name, &mut name.lock(), now);
        }
    }

    /// Starts a lookup. Its end wakes the waiting callers, even if no thread could be started.
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
            tracing::error!(%error, %host, "no thread could be started to resolve a name");
        }
    }
}

/// A running lookup. Dropping it wakes the waiting callers and allows the next lookup, unless it
/// was abandoned.
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
        if state.waits_for(self.one) {
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
        // Dropping `self` takes the lock.
        drop(state);
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut state = self.name.lock();
        if state.waits_for(self.one) {
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

    /// Whether this lookup is the running one; false if it was abandoned.
    fn waits_for(&self, one: RunningLookup) -> bool {
        self.running
            .is_some_and(|waited| waited.number == one.number)
    }
}

impl NameEntry {
    fn lock(&self) -> MutexGuard<'_, NameState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of the lookup that started at `began` and has ended.
    fn outcome(&self, periods: &Periods, began: Instant, now: Instant) -> Answer {
        let state = self.lock();
        if let Some((error, _)) = &state.failed {
            return Err(error.clone());
        }
        // Older addresses remain if the lookup was abandoned or no thread could be started.
        let usable = periods.fresh + periods.usable;
        match &state.good {
            Some((addresses, since)) if *since >= began || now < *since + usable => {
                Ok(Arc::clone(addresses))
            }
            _ => Err(ResolveError::Failed {
                host: Arc::clone(&self.host),
                source: Arc::new(io::Error::other("the look-up ended without an answer")),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
