//! `Cached`: one cached value, which one caller loads for all that need it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::clock::{Clock, Timestamp};

/// A value with the time until which it is fresh, and the last failure with the pause that follows it.
/// Clones share them.
///
/// It does not load the value itself: [`Cached::get`] returns the cached value, or gives one caller the
/// [`LoadPermit`] while the others wait. Times are those of the [`Clock`]. A caller waits without limit
/// unless it puts a timeout around `get`.
///
/// A permit that is dropped, because its caller was cancelled or panicked, goes to the next waiting
/// caller. To continue loading without the caller, move the permit into a task.
#[derive(Clone, Debug)]
pub struct Cached<T, E> {
    state: Arc<Mutex<State<T, E>>>,
    loading: Arc<AsyncMutex<()>>,
    clock: Clock,
}

#[derive(Debug)]
struct State<T, E> {
    latest: Option<CachedValue<T>>,
    /// The last failure, and the end of the pause after it.
    failure: Option<(E, Timestamp)>,
}

/// The last value that was stored, fresh or not.
#[derive(Clone, Debug)]
pub struct CachedValue<T> {
    pub value: T,
    pub stored_at: Timestamp,
    pub fresh_until: Timestamp,
}

/// The result of a lookup.
#[derive(Debug)]
pub enum CacheLookup<T, E> {
    /// A cached value.
    Value(T),
    /// A load failed, and the pause after it has not ended.
    RecentFailure(E),
    /// Neither: this caller loads the value, and the others wait.
    LoadPermit(LoadPermit<T, E>),
}

/// The right to load the value. One caller has it at a time.
#[derive(Debug)]
pub struct LoadPermit<T, E> {
    cached: Cached<T, E>,
    _guard: OwnedMutexGuard<()>,
}

impl<T: Clone, E: Clone> Cached<T, E> {
    pub fn new(clock: Clock) -> Self {
        let state = State {
            latest: None,
            failure: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            loading: Arc::default(),
            clock,
        }
    }

    /// Looks up a fresh value. Cancel-safe.
    pub async fn get(&self) -> CacheLookup<T, E> {
        self.get_if(|latest| self.is_fresh(latest)).await
    }

    /// Looks up a value that `accepts` returns true for, fresh or not. Cancel-safe.
    pub async fn get_if(&self, accepts: impl Fn(&CachedValue<T>) -> bool) -> CacheLookup<T, E> {
        if let Some(found) = self.lookup(&accepts) {
            return found;
        }
        let guard = Arc::clone(&self.loading).lock_owned().await;
        let found = self.lookup(&accepts);
        found.unwrap_or_else(|| CacheLookup::LoadPermit(self.permit(guard)))
    }

    /// A permit to load a fresh value while others use the old one; `None` if the value is fresh, another
    /// caller is loading, or the pause after a failure has not ended.
    pub fn try_load_permit(&self) -> Option<LoadPermit<T, E>> {
        let guard = Arc::clone(&self.loading).try_lock_owned().ok()?;
        let found = self.lookup(&|latest| self.is_fresh(latest));
        found.is_none().then(|| self.permit(guard))
    }

    /// The last value that was stored, fresh or not.
    pub fn latest(&self) -> Option<CachedValue<T>> {
        self.state().latest.clone()
    }

    fn is_fresh(&self, latest: &CachedValue<T>) -> bool {
        self.clock.now() < latest.fresh_until
    }

    /// Whether the last load failed, however long ago.
    pub fn is_failing(&self) -> bool {
        self.state().failure.is_some()
    }

    /// Stores a value without a permit.
    pub fn set(&self, value: T, fresh_for: Duration) {
        let now = self.clock.now();
        let mut state = self.state();
        state.failure = None;
        state.latest = Some(CachedValue {
            value,
            stored_at: now,
            fresh_until: now.plus(fresh_for),
        });
    }

    /// Makes the value old, so that the next caller of [`Self::get`] loads another one. [`Self::latest`]
    /// still returns it.
    pub fn expire(&self) {
        let now = self.clock.now();
        if let Some(latest) = &mut self.state().latest {
            latest.fresh_until = latest.fresh_until.min(now);
        }
    }

    /// Ends the pause after a failure, because the next load may succeed.
    pub fn end_pause(&self) {
        self.state().failure = None;
    }

    /// Removes the value if `matches` returns true for it.
    pub fn remove_if(&self, matches: impl FnOnce(&T) -> bool) {
        self.state().latest.take_if(|latest| matches(&latest.value));
    }

    /// The value or the failure that makes a load unnecessary.
    fn lookup(&self, accepts: &impl Fn(&CachedValue<T>) -> bool) -> Option<CacheLookup<T, E>> {
        let state = self.state();
        if let Some((error, until)) = &state.failure
            && self.clock.now() < *until
        {
            return Some(CacheLookup::RecentFailure(error.clone()));
        }
        let latest = state.latest.as_ref().filter(|latest| accepts(latest))?;
        Some(CacheLookup::Value(latest.value.clone()))
    }

    fn permit(&self, guard: OwnedMutexGuard<()>) -> LoadPermit<T, E> {
        LoadPermit {
            cached: self.clone(),
            _guard: guard,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone, E: Clone> LoadPermit<T, E> {
    /// Stores the value for all waiting callers, and returns it.
    pub fn store(self, value: T, fresh_for: Duration) -> T {
        self.cached.set(value.clone(), fresh_for);
        value
    }

    /// Stores the failure: until the end of `pause` every caller gets it, and no load starts. The last
    /// value is kept.
    pub fn fail(self, error: E, pause: Duration) -> E {
        let until = self.cached.clock.now().plus(pause);
        self.cached.state().failure = Some((error.clone(), until));
        error
    }
}

#[cfg(test)]
mod tests;
