//! `Lookup`: one look-up of a name, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::name_entry::{NameEntry, RunningLookup};
use super::{LookupResult, ResolveError, SharedResolver};

/// A look-up. Dropping it wakes the waiting callers and allows the next look-up, unless it was abandoned.
pub(super) struct Lookup {
    pub(super) shared: Arc<SharedResolver>,
    pub(super) entry: Arc<NameEntry>,
    pub(super) running: RunningLookup,
}

impl Lookup {
    pub(super) fn run(self) {
        let host = Arc::clone(&self.entry.host);
        let result = match (self.shared.lookup_fn)(&host) {
            Ok(addresses) if addresses.is_empty() => Err(ResolveError::Empty { host }),
            Ok(addresses) => Ok(addresses.into()),
            Err(error) => Err(ResolveError::Failed {
                host,
                source: Arc::new(error),
            }),
        };
        self.store_result(result);
    }

    pub(super) fn store_result(self, result: LookupResult) {
        let mut state = self.entry.lock();
        if state.is_running(self.running) {
            if !matches!(
                result,
                Err(ResolveError::Stuck { .. } | ResolveError::Busy { .. })
            ) {
                state.abandoned_in_a_row = 0;
            }
            match result {
                Ok(addresses) => {
                    state.last_success = Some((addresses, self.running.started_at));
                    state.last_failure = None;
                }
                Err(error) => state.last_failure = Some((error, self.running.started_at)),
            }
        }
        // `drop` of `self` takes the lock.
        drop(state);
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut state = self.entry.lock();
        if state.is_running(self.running) {
            state.running = None;
            self.shared.running_count.fetch_sub(1, Ordering::Relaxed);
            self.entry.ended_count.send_modify(|count| *count += 1);
        } else {
            self.shared.abandoned_count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
