//! `Resolver`: looks host names up for the whole process.
//!
//! The system's look-up blocks its thread, for half a minute when the name server does not answer.
//! So each name has at most one look-up under way, on a thread of its own: names that hang neither
//! delay other names nor take the threads that files and the runtime need.

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

/// How many look-ups may be under way. Only configured hosts and those that a provider names are
/// looked up, so this is reached only when very many of them hang.
const LOOKUPS_MAX: usize = 64;
/// How many names are remembered.
const NAMES_MAX: usize = 1024;

/// How long the answers of a look-up count, from its beginning.
#[derive(Clone, Copy, Debug)]
struct Periods {
    /// So long nobody asks again.
    fresh: Duration,
    /// So long after that the addresses are used where a new look-up fails or takes longer than
    /// `patience`.
    usable: Duration,
    /// How long somebody waits for a look-up while there are usable addresses.
    patience: Duration,
    /// How long a failure is the answer before there is another look-up.
    failure: Duration,
}

const PERIODS: Periods = Periods {
    fresh: Duration::from_secs(5),
    usable: Duration::from_secs(600),
    patience: Duration::from_secs(1),
    failure: Duration::from_secs(1),
};

/// Why a name has no addresses.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ResolveError {
    /// The look-up failed.
    #[error("look up {host}")]
    Failed {
        /// The name.
        host: Arc<str>,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// The name has no address.
    #[error("{host} has no address")]
    Empty {
        /// The name.
        host: Arc<str>,
    },
    /// Too many other names are being looked up.
    #[error("look up {host}: {LOOKUPS_MAX} other names are being looked up")]
    Busy {
        /// The name.
        host: Arc<str>,
    },
}

/// Asks for the addresses of a name, and blocks meanwhile.
type System = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

type Answer = Result<Arc<[IpAddr]>, ResolveError>;

/// The addresses of the names that this process connects to. Clones share them.
#[derive(Clone)]
pub struct Resolver(Arc<Shared>);

struct Shared {
    system: Box<System>,
    periods: Periods,
    names: Mutex<HashMap<Arc<str>, Arc<Name>>>,
    under_way: AtomicUsize,
}

/// What is known of one name.
struct Name {
    host: Arc<str>,
    state: Mutex<State>,
    /// Counts the look-ups that ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    good: Option<(Arc<[IpAddr]>, Instant)>,
    failed: Option<(ResolveError, Instant)>,
    under_way_since: Option<Instant>,
}

/// What to do for somebody who asks.
enum Next {
    Answer(Answer),
    Wait {
        ended: watch::Receiver<u64>,
        /// What to use when the look-up takes longer than that.
        usable: Option<(Arc<[IpAddr]>, Instant)>,
    },
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// The one of this process, which asks the operating system.
    pub fn system() -> Self {
        static SYSTEM: LazyLock<Resolver> =
            LazyLock::new(|| Resolver::with(system_lookup, PERIODS));
        SYSTEM.clone()
    }

    /// One that asks somebody else, for tests.
    #[cfg(test)]
    pub(crate) fn asking(
        system: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self::with(system, PERIODS)
    }

    fn with(
        system: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
        periods: Periods,
    ) -> Self {
        Self(Arc::new(Shared {
            system: Box::new(system),
            periods,
            names: Mutex::default(),
            under_way: AtomicUsize::new(0),
        }))
    }

    /// The addresses of a host, in the order in which they should be tried; never none. An address
    /// is its own answer.
    ///
    /// The caller limits how long this may take; the look-up goes on for others who ask.
    pub async fn resolve(&self, host: &str) -> Result<Arc<[IpAddr]>, ResolveError> {
        if let Ok(ip) = host.parse() {
            return Ok(Arc::from([ip]));
        }
        let name = self.0.name(host);
        let (mut ended, usable) = match self.0.next(&name, Instant::now()) {
            Next::Answer(answer) => return answer,
            Next::Wait { ended, usable } => (ended, usable),
        };
        let Some((addresses, until)) = usable else {
            // The sender lives as long as the name.
            let _ = ended.changed().await;
            return name.outcome();
        };
        if timeout_at(until, ended.changed()).await.is_err() {
            tracing::warn!(%host, "the name server does not answer: the last known addresses are used");
            return Ok(addresses);
        }
        name.outcome()
            .or_else(|error| still_usable(addresses, &error))
    }
}

/// Uses the last known addresses because of an error.
fn still_usable(addresses: Arc<[IpAddr]>, error: &ResolveError) -> Answer {
    let cause = std::error::Error::source(error).map(tracing::field::display);
    tracing::warn!(%error, cause, "the last known addresses are used");
    Ok(addresses)
}

fn system_lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (host, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}

impl Shared {
    fn name(&self, host: &str) -> Arc<Name> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = names.get(host) {
            return Arc::clone(name);
        }
        if names.len() >= NAMES_MAX {
            // Whoever waits for one of them has it, too.
            names.retain(|_, name| Arc::strong_count(name) > 1);
        }
        let host: Arc<str> = host.into();
        let name = Arc::new(Name {
            host: Arc::clone(&host),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
        });
        names.insert(host, Arc::clone(&name));
        name
    }

    /// Answers from what is known, or makes sure that a look-up is under way.
    fn next(self: &Arc<Self>, name: &Arc<Name>, now: Instant) -> Next {
        let Periods {
            fresh,
            usable,
            patience,
            failure,
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
        let (ended, begins) = (name.ended.subscribe(), state.under_way_since.is_none());
        let since = *state.under_way_since.get_or_insert(now);
        drop(state);
        if begins {
            self.start(name, now);
        }
        Next::Wait {
            ended,
            usable: good.map(|(addresses, _)| (addresses, since + patience)),
        }
    }

    /// Begins a look-up. However it ends, those who wait for it are woken.
    fn start(self: &Arc<Self>, name: &Arc<Name>, began: Instant) {
        let others = self.under_way.fetch_add(1, Ordering::Relaxed);
        let lookup = Lookup {
            shared: Arc::clone(self),
            name: Arc::clone(name),
            began,
        };
        if others >= LOOKUPS_MAX {
            let host = Arc::clone(&name.host);
            return lookup.end(Err(ResolveError::Busy { host }));
        }
        let thread = thread::Builder::new().name("resolver".to_owned());
        if let Err(error) = thread.spawn(move || lookup.run()) {
            tracing::error!(%error, host = %name.host, "no thread can be started to look a name up");
        }
    }
}

/// A look-up under way. Dropping it wakes those who wait and lets the next one begin.
struct Lookup {
    shared: Arc<Shared>,
    name: Arc<Name>,
    began: Instant,
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
        match found {
            Ok(addresses) => {
                state.good = Some((addresses, self.began));
                state.failed = None;
            }
            Err(error) => state.failed = Some((error, self.began)),
        }
        // Dropping `self` takes the lock.
        drop(state);
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.shared.under_way.fetch_sub(1, Ordering::Relaxed);
        self.name.lock().under_way_since = None;
        self.name.ended.send_modify(|ended| *ended += 1);
    }
}

impl Name {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the look-up that just ended found.
    fn outcome(&self) -> Answer {
        let state = self.lock();
        match (&state.failed, &state.good) {
            (Some((error, _)), _) => Err(error.clone()),
            (None, Some((addresses, _))) => Ok(Arc::clone(addresses)),
            (None, None) => Err(ResolveError::Failed {
                host: Arc::clone(&self.host),
                source: Arc::new(io::Error::other("the look-up ended without an answer")),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
