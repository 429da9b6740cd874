//! `NameEntry`: the cached result of a name, and its running look-up.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::{LookupResult, Periods, ResolveError};

/// The cache entry of a name.
pub(super) struct NameEntry {
    pub(super) host: Arc<str>,
    pub(super) state: Mutex<NameState>,
    /// The number of look-ups that ended or were abandoned; callers wait for its change.
    pub(super) ended_count: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct NameState {
    /// The addresses of the last look-up that succeeded, and when it started.
    pub(super) last_success: Option<(Arc<[IpAddr]>, Instant)>,
    /// The error of the last look-up, if it failed, and when it started.
    pub(super) last_failure: Option<(ResolveError, Instant)>,
    pub(super) running: Option<RunningLookup>,
    /// The number of look-ups that were started.
    started_count: u64,
    pub(super) abandoned_in_a_row: u32,
}

/// The look-up that callers wait for.
#[derive(Clone, Copy)]
pub(super) struct RunningLookup {
    number: u64,
    pub(super) started_at: Instant,
}

impl NameState {
    pub(super) fn begin(&mut self, now: Instant) -> RunningLookup {
        self.started_count += 1;
        let running = RunningLookup {
            number: self.started_count,
            started_at: now,
        };
        *self.running.insert(running)
    }

    /// Whether this look-up is the one that runs. An abandoned one is not.
    pub(super) fn is_running(&self, running: RunningLookup) -> bool {
        self.running
            .is_some_and(|current| current.number == running.number)
    }
}

impl NameEntry {
    pub(super) fn lock(&self) -> MutexGuard<'_, NameState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The result of the look-up that started at `started_at` and has just ended.
    pub(super) fn result(
        &self,
        periods: &Periods,
        started_at: Instant,
        now: Instant,
    ) -> LookupResult {
        let state = self.lock();
        if let Some((error, _)) = &state.last_failure {
            return Err(error.clone());
        }
        // If the look-up was abandoned or had no thread, older addresses may be left.
        let usable_for = periods.fresh_for + periods.usable_for;
        match &state.last_success {
            Some((addresses, since)) if *since >= started_at || now < *since + usable_for => {
                Ok(Arc::clone(addresses))
            }
            _ => Err(ResolveError::Failed {
                host: Arc::clone(&self.host),
                source: Arc::new(io::Error::other("the look-up ended without a result")),
            }),
        }
    }
}
