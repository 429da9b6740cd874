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
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{sleep, timeout};

    use super::*;

    const FRESH: Duration = Duration::from_secs(600);
    const PAUSE: Duration = Duration::from_secs(2);

    struct Loader {
        cached: Cached<u32, &'static str>,
        clock: Clock,
        loads: AtomicU32,
    }

    impl Loader {
        fn new() -> Self {
            let clock = Clock::manual(Timestamp::from_unix_s(1_000));
            Self {
                cached: Cached::new(clock.clone()),
                clock,
                loads: AtomicU32::new(0),
            }
        }

        /// Looks the value up; a load takes a second and returns its number, or fails.
        async fn get(&self, succeeds: bool) -> Result<u32, &'static str> {
            match self.cached.get().await {
                CacheLookup::Value(value) => Ok(value),
                CacheLookup::RecentFailure(error) => Err(error),
                CacheLookup::LoadPermit(permit) => {
                    let number = self.loads.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_secs(1)).await;
                    if succeeds {
                        Ok(permit.store(number, FRESH))
                    } else {
                        Err(permit.fail("down", PAUSE))
                    }
                }
            }
        }

        fn loads(&self) -> u32 {
            self.loads.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_share_a_load_until_the_value_is_old() {
        let loader = Loader::new();
        let values = futures_util::future::join_all((0..20).map(|_| loader.get(true))).await;
        assert!(values.into_iter().all(|value| value == Ok(0)));
        loader.clock.advance(FRESH - Duration::from_millis(1));
        assert_eq!(loader.get(true).await, Ok(0));
        loader.clock.advance(Duration::from_millis(1));
        assert_eq!(loader.get(true).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn every_caller_gets_the_failure_until_its_pause_ends() {
        let loader = Loader::new();
        let values = futures_util::future::join_all((0..20).map(|_| loader.get(false))).await;
        assert!(values.into_iter().all(|value| value == Err("down")));
        loader.clock.advance(PAUSE - Duration::from_millis(1));
        assert_eq!(loader.get(true).await, Err("down"));
        assert_eq!(loader.loads(), 1);
        loader.clock.advance(Duration::from_millis(1));
        assert!(loader.cached.is_failing());
        assert_eq!(loader.get(true).await, Ok(1));
        assert!(!loader.cached.is_failing());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_the_last_value() {
        let loader = Loader::new();
        loader.get(true).await.unwrap();
        loader.clock.advance(FRESH);
        assert_eq!(loader.get(false).await, Err("down"));
        let latest = loader.cached.latest().unwrap();
        assert!(latest.value == 0 && !loader.cached.is_fresh(&latest));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_load_lets_the_next_caller_load() {
        let loader = Loader::new();
        let cancelled = timeout(Duration::from_millis(500), loader.get(true));
        let (cancelled, value) = futures_util::future::join(cancelled, loader.get(true)).await;
        assert!(cancelled.is_err());
        assert_eq!((value, loader.loads()), (Ok(1), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_panics_lets_the_next_caller_load() {
        let loader = Loader::new();
        let CacheLookup::LoadPermit(permit) = loader.cached.get().await else {
            panic!("nothing is cached yet");
        };
        let loading = tokio::spawn(async move {
            let _permit = permit;
            panic!("as the test wants");
        });
        assert_eq!(loader.get(true).await, Ok(0));
        assert!(loading.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_in_a_task_continues_without_its_caller() {
        let loader = Loader::new();
        let CacheLookup::LoadPermit(permit) = loader.cached.get().await else {
            panic!("nothing is cached yet");
        };
        drop(tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            permit.store(7, FRESH);
        }));
        assert_eq!((loader.get(true).await, loader.loads()), (Ok(7), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_stopped_waiting_gets_no_permit() {
        let loader = Loader::new();
        let impatient = timeout(Duration::from_millis(500), loader.get(true));
        let (value, waited) = futures_util::future::join(loader.get(false), impatient).await;
        assert!(value == Err("down") && waited.is_err());
        loader.clock.advance(PAUSE);
        assert_eq!((loader.get(true).await, loader.loads()), (Ok(1), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_value_stays_available_during_a_load() {
        let loader = Loader::new();
        loader.get(true).await.unwrap();
        assert!(loader.cached.try_load_permit().is_none(), "it is fresh");
        loader.clock.advance(FRESH);
        let permit = loader.cached.try_load_permit().unwrap();
        assert!(
            loader.cached.try_load_permit().is_none(),
            "another caller is loading"
        );
        assert_eq!(loader.cached.latest().unwrap().value, 0);
        permit.fail("down", PAUSE);
        assert!(
            loader.cached.try_load_permit().is_none(),
            "the pause has not ended"
        );
        loader.clock.advance(PAUSE);
        assert!(loader.cached.try_load_permit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_chooses_which_values_it_accepts() {
        let loader = Loader::new();
        loader.get(true).await.unwrap();
        let called_at = loader.clock.now();
        let newer = || loader.cached.get_if(|latest| latest.stored_at > called_at);
        let CacheLookup::LoadPermit(permit) = newer().await else {
            panic!("the cached value is older than the caller");
        };
        loader.clock.advance(FRESH);
        permit.store(8, FRESH);
        loader.clock.advance(FRESH);
        assert!(matches!(newer().await, CacheLookup::Value(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_removed_or_replaced_without_a_permit() {
        let loader = Loader::new();
        loader.get(false).await.unwrap_err();
        loader.cached.set(5, FRESH);
        assert_eq!((loader.get(true).await, loader.loads()), (Ok(5), 1));
        loader.cached.remove_if(|value| *value == 4);
        assert_eq!(loader.get(true).await, Ok(5));
        loader.cached.remove_if(|value| *value == 5);
        assert_eq!(loader.get(true).await, Ok(1));
    }
}
