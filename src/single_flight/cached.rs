//! `Cached`: one value that one caller loads for all callers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::clock::{Clock, Timestamp};

/// One value with the time until which it is fresh, and the last failure with its pause. Clones
/// share both.
///
/// [`Cached::get`] returns the cached value, or gives one caller the [`LoadPermit`] to load it
/// while the others wait. Times are those of the [`Clock`]. A caller waits without a limit, unless
/// it sets a timeout around `get`.
///
/// A permit that is dropped, because its caller was cancelled or panicked, changes nothing: the
/// next waiting caller gets it. To continue a load without its caller, move the permit into a task.
#[derive(Clone, Debug)]
pub struct Cached<T, E> {
    state: Arc<Mutex<State<T, E>>>,
    turn: Arc<AsyncMutex<()>>,
    clock: Clock,
}

#[derive(Debug)]
struct State<T, E> {
    latest: Option<CachedValue<T>>,
    /// Why the last load failed, and when the next may start.
    failure: Option<(E, Timestamp)>,
}

/// The last value that was stored, fresh or not.
#[derive(Clone, Debug)]
pub struct CachedValue<T> {
    pub value: T,
    /// When it was stored.
    pub kept_at: Timestamp,
    /// When it stops being fresh.
    pub fresh_until: Timestamp,
}

/// The result of [`Cached::get`].
#[derive(Debug)]
pub enum CacheLookup<T, E> {
    /// A value that is fresh or that the caller accepts.
    Value(T),
    /// The last failure, whose pause has not ended.
    Pausing(E),
    /// Neither: the caller must load the value, and the others wait.
    LoadPermit(LoadPermit<T, E>),
}

/// The right to load the value. One caller has it at a time.
#[derive(Debug)]
pub struct LoadPermit<T, E> {
    cached: Cached<T, E>,
    _only: OwnedMutexGuard<()>,
}

impl<T: Clone, E: Clone> Cached<T, E> {
    /// An empty cache.
    pub fn new(clock: Clock) -> Self {
        let state = State {
            latest: None,
            failure: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            turn: Arc::default(),
            clock,
        }
    }

    /// A fresh value. Cancel-safe.
    pub async fn get(&self) -> CacheLookup<T, E> {
        self.get_if(|latest| self.is_fresh(latest)).await
    }

    /// A value for which `enough` is true, fresh or not. Cancel-safe.
    pub async fn get_if(&self, enough: impl Fn(&CachedValue<T>) -> bool) -> CacheLookup<T, E> {
        if let Some(known) = self.known(&enough) {
            return known;
        }
        let only = Arc::clone(&self.turn).lock_owned().await;
        let known = self.known(&enough);
        known.unwrap_or_else(|| CacheLookup::LoadPermit(self.turn(only)))
    }

    /// The permit to load a fresh value while the old one is still used; `None` if the value is
    /// fresh, a load is running, or the pause after a failure has not ended.
    pub fn try_load_permit(&self) -> Option<LoadPermit<T, E>> {
        let only = Arc::clone(&self.turn).try_lock_owned().ok()?;
        let known = self.known(&|latest| self.is_fresh(latest));
        known.is_none().then(|| self.turn(only))
    }

    /// The last value that was stored.
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

    /// Stores a value that was obtained without a permit.
    pub fn put(&self, value: T, fresh_for: Duration) {
        let now = self.clock.now();
        let mut state = self.state();
        state.failure = None;
        state.latest = Some(CachedValue {
            value,
            kept_at: now,
            fresh_until: now.plus(fresh_for),
        });
    }

    /// Drops the value if `is_it` is true for it.
    pub fn forget_if(&self, is_it: impl FnOnce(&T) -> bool) {
        self.state().latest.take_if(|latest| is_it(&latest.value));
    }

    /// The cached value or failure, if no load is necessary.
    fn known(&self, enough: &impl Fn(&CachedValue<T>) -> bool) -> Option<CacheLookup<T, E>> {
        let state = self.state();
        if let Some((error, until)) = &state.failure
            && self.clock.now() < *until
        {
            return Some(CacheLookup::Pausing(error.clone()));
        }
        let latest = state.latest.as_ref().filter(|latest| enough(latest))?;
        Some(CacheLookup::Value(latest.value.clone()))
    }

    fn turn(&self, only: OwnedMutexGuard<()>) -> LoadPermit<T, E> {
        LoadPermit {
            cached: self.clone(),
            _only: only,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone, E: Clone> LoadPermit<T, E> {
    /// Stores the loaded value for all waiting callers.
    pub fn keep(self, value: T, fresh_for: Duration) -> T {
        self.cached.put(value.clone(), fresh_for);
        value
    }

    /// Stores a failure. Until the pause ends, all callers get it and no load starts. The last
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

    struct Desk {
        cached: Cached<u32, &'static str>,
        clock: Clock,
        asked: AtomicU32,
    }

    impl Desk {
        fn new() -> Self {
            let clock = Clock::manual(Timestamp::from_unix_s(1_000));
            Self {
                cached: Cached::new(clock.clone()),
                clock,
                asked: AtomicU32::new(0),
            }
        }

        /// With a permit, loads a number or a failure within one second.
        async fn get(&self, succeeds: bool) -> Result<u32, &'static str> {
            match self.cached.get().await {
                CacheLookup::Value(value) => Ok(value),
                CacheLookup::Pausing(error) => Err(error),
                CacheLookup::LoadPermit(turn) => {
                    let number = self.asked.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_secs(1)).await;
                    if succeeds {
                        Ok(turn.keep(number, FRESH))
                    } else {
                        Err(turn.fail("down", PAUSE))
                    }
                }
            }
        }

        fn asked(&self) -> u32 {
            self.asked.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_for_all_who_wait_until_the_value_is_old() {
        let desk = Desk::new();
        let all = futures_util::future::join_all((0..20).map(|_| desk.get(true))).await;
        assert!(all.into_iter().all(|value| value == Ok(0)));
        desk.clock.advance(FRESH - Duration::from_millis(1));
        assert_eq!(desk.get(true).await, Ok(0));
        desk.clock.advance(Duration::from_millis(1));
        assert_eq!(desk.get(true).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_the_answer_for_all_until_its_pause_ends() {
        let desk = Desk::new();
        let all = futures_util::future::join_all((0..20).map(|_| desk.get(false))).await;
        assert!(all.into_iter().all(|value| value == Err("down")));
        desk.clock.advance(PAUSE - Duration::from_millis(1));
        assert_eq!(desk.get(true).await, Err("down"));
        assert_eq!(desk.asked(), 1);
        desk.clock.advance(Duration::from_millis(1));
        assert!(desk.cached.is_failing());
        assert_eq!(desk.get(true).await, Ok(1));
        assert!(!desk.cached.is_failing());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_leaves_the_last_value() {
        let desk = Desk::new();
        desk.get(true).await.unwrap();
        desk.clock.advance(FRESH);
        assert_eq!(desk.get(false).await, Err("down"));
        let latest = desk.cached.latest().unwrap();
        assert!(latest.value == 0 && !desk.cached.is_fresh(&latest));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_goes_away_lets_the_next_one_ask() {
        let desk = Desk::new();
        let leaves = timeout(Duration::from_millis(500), desk.get(true));
        let (left, value) = futures_util::future::join(leaves, desk.get(true)).await;
        assert!(left.is_err());
        assert_eq!((value, desk.asked()), (Ok(1), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_asking_that_panics_lets_the_next_one_ask() {
        let desk = Desk::new();
        let CacheLookup::LoadPermit(turn) = desk.cached.get().await else {
            panic!("nothing is known yet");
        };
        let asking = tokio::spawn(async move {
            let _turn = turn;
            panic!("as the test wants");
        });
        assert_eq!(desk.get(true).await, Ok(0));
        assert!(asking.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_asking_in_a_task_goes_on_without_its_caller() {
        let desk = Desk::new();
        let CacheLookup::LoadPermit(turn) = desk.cached.get().await else {
            panic!("nothing is known yet");
        };
        drop(tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            turn.keep(7, FRESH);
        }));
        assert_eq!((desk.get(true).await, desk.asked()), (Ok(7), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_no_longer_takes_no_turn() {
        let desk = Desk::new();
        let impatient = timeout(Duration::from_millis(500), desk.get(true));
        let (value, waited) = futures_util::future::join(desk.get(false), impatient).await;
        assert!(value == Err("down") && waited.is_err());
        desk.clock.advance(PAUSE);
        assert_eq!((desk.get(true).await, desk.asked()), (Ok(1), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_value_is_used_on_while_one_asks() {
        let desk = Desk::new();
        desk.get(true).await.unwrap();
        assert!(desk.cached.try_load_permit().is_none(), "it is fresh");
        desk.clock.advance(FRESH);
        let turn = desk.cached.try_load_permit().unwrap();
        assert!(desk.cached.try_load_permit().is_none(), "somebody asks");
        assert_eq!(desk.cached.latest().unwrap().value, 0);
        turn.fail("down", PAUSE);
        assert!(desk.cached.try_load_permit().is_none(), "it pauses");
        desk.clock.advance(PAUSE);
        assert!(desk.cached.try_load_permit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_says_which_value_is_enough() {
        let desk = Desk::new();
        desk.get(true).await.unwrap();
        let came_at = desk.clock.now();
        let newer = || desk.cached.get_if(|latest| latest.kept_at > came_at);
        let CacheLookup::LoadPermit(turn) = newer().await else {
            panic!("it was kept before the caller came");
        };
        desk.clock.advance(FRESH);
        turn.keep(8, FRESH);
        desk.clock.advance(FRESH);
        assert!(matches!(newer().await, CacheLookup::Value(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_dropped_or_replaced_without_a_turn() {
        let desk = Desk::new();
        desk.get(false).await.unwrap_err();
        desk.cached.put(5, FRESH);
        assert_eq!((desk.get(true).await, desk.asked()), (Ok(5), 1));
        desk.cached.forget_if(|value| *value == 4);
        assert_eq!(desk.get(true).await, Ok(5));
        desk.cached.forget_if(|value| *value == 5);
        assert_eq!(desk.get(true).await, Ok(1));
    }
}
