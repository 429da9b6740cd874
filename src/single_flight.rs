//! `SingleFlight` and `Cached`: concurrent callers share one call and its result.
//!
//! [`SingleFlight`] runs one call per key at a time and stores no result. [`Cached`] stores one value
//! while it is fresh, and pauses after a failure.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{Map, Shared};
use tokio::task::{JoinError, JoinHandle};

mod cached;

pub use cached::{CacheLookup, Cached, CachedValue, LoadPermit};

/// The running calls, at most one per key. Clones share them.
///
/// A call runs in its own task, so it continues when any caller is dropped, even the one that started
/// it. It is removed from the map before its callers get the result; a later caller starts a new call.
/// The caller must limit the number and the duration of calls.
#[derive(Clone, Debug)]
pub struct SingleFlight<K, V>(Calls<K, V>);

type Calls<K, V> = Arc<Mutex<HashMap<K, PendingCall<V>>>>;

/// A future of the result of a call, for one caller. Dropping it does not cancel the call.
pub type PendingCall<V> =
    Shared<Map<JoinHandle<V>, fn(Result<V, JoinError>) -> Result<V, CallLost>>>;

/// The call panicked, or the runtime is shutting down. The next caller starts a new call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call ended without an answer")]
pub struct CallLost;

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the running call of this key, or starts `call`. Must run in a Tokio runtime.
    pub fn run<F>(&self, key: K, call: impl FnOnce() -> F) -> PendingCall<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let Ok(flight) = self.try_run(key, || Ok::<_, std::convert::Infallible>(call()));
        flight
    }

    /// As [`Self::run`], but `call` may return an error instead of a future. `call` is invoked only if
    /// no call of this key is running, and under the lock of the map: it must not block and not use
    /// this object. It sees everything that earlier calls of the key stored.
    pub fn try_run<F, E>(
        &self,
        key: K,
        call: impl FnOnce() -> Result<F, E>,
    ) -> Result<PendingCall<V>, E>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut calls = lock(&self.0);
        if let Some(flight) = calls.get(&key) {
            return Ok(flight.clone());
        }
        let (call, listed) = (call()?, (Arc::clone(&self.0), key.clone()));
        let task = tokio::spawn(async move {
            // Created inside the task: a runtime that shuts down drops this future in `spawn`, under
            // the lock, and the guard would take the lock again.
            let _listed = Listed(listed.0, listed.1);
            call.await
        });
        let answer: fn(_) -> _ = |joined: Result<V, JoinError>| joined.map_err(|_| CallLost);
        let flight = task.map(answer).shared();
        calls.insert(key, flight.clone());
        Ok(flight)
    }

    /// The running call of this key, if any.
    pub fn under_way(&self, key: &K) -> Option<PendingCall<V>> {
        lock(&self.0).get(key).cloned()
    }
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Removes a call from the map when it ends, also by a panic.
struct Listed<K: Eq + Hash, V>(Calls<K, V>, K);

impl<K: Eq + Hash, V> Drop for Listed<K, V> {
    fn drop(&mut self) {
        lock(&self.0).remove(&self.1);
    }
}

fn lock<K, V>(calls: &Calls<K, V>) -> MutexGuard<'_, HashMap<K, PendingCall<V>>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    /// Calls that take a second and return the number of earlier calls.
    #[derive(Default)]
    struct Calls {
        calls: SingleFlight<&'static str, usize>,
        begun: Arc<AtomicUsize>,
    }

    impl Calls {
        fn run(&self, key: &'static str) -> PendingCall<usize> {
            let begun = Arc::clone(&self.begun);
            self.calls.run(key, || async move {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
                number
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_ask_for_a_key_share_one_call() {
        let calls = Calls::default();
        let all = futures_util::future::join_all((0..20).map(|_| calls.run("a"))).await;
        assert!(all.into_iter().all(|answer| answer == Ok(0)));
        assert_eq!((calls.run("b").await, calls.run("a").await), (Ok(1), Ok(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_do_not_wait_for_each_other() {
        let calls = Calls::default();
        let both = futures_util::future::join(calls.run("a"), calls.run("b"));
        let both = timeout(Duration::from_millis(1500), both).await.unwrap();
        assert!([(Ok(0), Ok(1)), (Ok(1), Ok(0))].contains(&both));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_goes_on_when_every_caller_is_gone() {
        let calls = Calls::default();
        let waiting = timeout(Duration::from_millis(500), calls.run("a"));
        assert!(waiting.await.is_err());
        assert_eq!(calls.run("a").await, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_reaches_all_who_wait_and_nobody_who_asks_later() {
        let calls = Calls::default();
        let panics = || {
            calls.calls.run("a", || async {
                sleep(Duration::from_secs(1)).await;
                panic!("as the test wants");
            })
        };
        let both = futures_util::future::join(panics(), calls.run("a")).await;
        assert_eq!(both, (Err(CallLost), Err(CallLost)));
        assert_eq!(calls.run("a").await, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_declines_to_start_leaves_nothing_behind() {
        let calls = Calls::default();
        let declines = || {
            let call = || Err::<std::future::Ready<usize>, _>("full");
            calls.calls.try_run("a", call)
        };
        assert_eq!(declines().unwrap_err(), "full");
        assert!(calls.calls.under_way(&"a").is_none());
        let flight = calls.run("a");
        // A running call is joined; `call` is not invoked.
        assert!(declines().is_ok() && calls.calls.under_way(&"a").is_some());
        assert_eq!(flight.await, Ok(0));
        assert!(calls.calls.under_way(&"a").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_off_the_list_when_its_answer_comes() {
        let calls = Calls::default();
        for number in 0..100 {
            assert_eq!(calls.run("a").await, Ok(number));
        }
        assert!(lock(&calls.calls.0).is_empty());
    }
}
