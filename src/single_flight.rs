//! `SingleFlight` and `Cached`: concurrent callers that need the same value share one call.
//!
//! [`SingleFlight`] runs at most one call per key at a time and caches nothing. [`Cached`] keeps one value
//! while it is fresh, and backs off after a failure.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{Map, Shared};
use tokio::task::{JoinError, JoinHandle};

mod cached;

pub use cached::{CacheLookup, Cached, CachedValue, LoadPermit};

/// Running calls, at most one per key. Clones share them.
///
/// A call runs in a task of its own, so it continues when its callers are cancelled, including the one
/// that started it. It is removed before its callers get the result; a later caller starts another
/// call. The caller must limit the number of calls and their duration.
#[derive(Clone, Debug)]
pub struct SingleFlight<K, V>(Calls<K, V>);

type Calls<K, V> = Arc<Mutex<HashMap<K, PendingCall<V>>>>;

/// The result of a running call, for one of its callers. Cancel-safe: dropping it does not stop the call.
pub type PendingCall<V> =
    Shared<Map<JoinHandle<V>, fn(Result<V, JoinError>) -> Result<V, CallLost>>>;

/// The call panicked, or the runtime is shutting down. The next caller starts another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call ended without a result")]
pub struct CallLost;

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the running call of this key, or starts `call`. Needs a Tokio runtime.
    pub fn run<F>(&self, key: K, call: impl FnOnce() -> F) -> PendingCall<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let Ok(pending) = self.try_run(key, || Ok::<_, std::convert::Infallible>(call()));
        pending
    }

    /// Joins the running call of this key, or starts `call`, which may fail to start. `call` runs under
    /// the lock of the list: it must neither block nor use the list. What the previous call of the key
    /// stored is visible to it.
    pub fn try_run<F, E>(
        &self,
        key: K,
        call: impl FnOnce() -> Result<F, E>,
    ) -> Result<PendingCall<V>, E>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut calls = lock(&self.0);
        if let Some(pending) = calls.get(&key) {
            return Ok(pending.clone());
        }
        let (call, list, listed_key) = (call()?, Arc::clone(&self.0), key.clone());
        let task = tokio::spawn(async move {
            // Created in the task: a runtime that shuts down drops the task under the lock, where dropping
            // this guard would deadlock.
            let _remove_at_end = RemoveAtEnd(list, listed_key);
            call.await
        });
        let result: fn(_) -> _ = |joined: Result<V, JoinError>| joined.map_err(|_| CallLost);
        let pending = task.map(result).shared();
        calls.insert(key, pending.clone());
        Ok(pending)
    }

    /// The running call of this key, if any.
    pub fn running_call(&self, key: &K) -> Option<PendingCall<V>> {
        lock(&self.0).get(key).cloned()
    }
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Removes a call from the list when it ends or panics.
struct RemoveAtEnd<K: Eq + Hash, V>(Calls<K, V>, K);

impl<K: Eq + Hash, V> Drop for RemoveAtEnd<K, V> {
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
    struct NumberedCalls {
        calls: SingleFlight<&'static str, usize>,
        started: Arc<AtomicUsize>,
    }

    impl NumberedCalls {
        fn run(&self, key: &'static str) -> PendingCall<usize> {
            let started = Arc::clone(&self.started);
            self.calls.run(key, || async move {
                let number = started.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(1)).await;
                number
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_of_a_key_share_one_call() {
        let calls = NumberedCalls::default();
        let results = futures_util::future::join_all((0..20).map(|_| calls.run("a"))).await;
        assert!(results.into_iter().all(|result| result == Ok(0)));
        assert_eq!((calls.run("b").await, calls.run("a").await), (Ok(1), Ok(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_do_not_wait_for_each_other() {
        let calls = NumberedCalls::default();
        let results = futures_util::future::join(calls.run("a"), calls.run("b"));
        let results = timeout(Duration::from_millis(1500), results).await.unwrap();
        assert!([(Ok(0), Ok(1)), (Ok(1), Ok(0))].contains(&results));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_continues_when_every_caller_is_cancelled() {
        let calls = NumberedCalls::default();
        let waiting = timeout(Duration::from_millis(500), calls.run("a"));
        assert!(waiting.await.is_err());
        assert_eq!(calls.run("a").await, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_fails_all_waiting_callers_and_no_later_one() {
        let calls = NumberedCalls::default();
        let run_and_panic = || {
            calls.calls.run("a", || async {
                sleep(Duration::from_secs(1)).await;
                panic!("as the test wants");
            })
        };
        let results = futures_util::future::join(run_and_panic(), calls.run("a")).await;
        assert_eq!(results, (Err(CallLost), Err(CallLost)));
        assert_eq!(calls.run("a").await, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_to_start_leaves_nothing_in_the_list() {
        let calls = NumberedCalls::default();
        let fail_to_start = || {
            let call = || Err::<std::future::Ready<usize>, _>("full");
            calls.calls.try_run("a", call)
        };
        assert_eq!(fail_to_start().unwrap_err(), "full");
        assert!(calls.calls.running_call(&"a").is_none());
        let pending = calls.run("a");
        // A running call is joined even if another could not start.
        assert!(fail_to_start().is_ok() && calls.calls.running_call(&"a").is_some());
        assert_eq!(pending.await, Ok(0));
        assert!(calls.calls.running_call(&"a").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_removed_before_its_result_arrives() {
        let calls = NumberedCalls::default();
        for number in 0..100 {
            assert_eq!(calls.run("a").await, Ok(number));
        }
        assert!(lock(&calls.calls.0).is_empty());
    }
}
