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
