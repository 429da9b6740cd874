//! Tests with look-ups that the test ends.

use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

type SystemResult = io::Result<Vec<IpAddr>>;

/// A system whose look-ups end when the test sends their result.
struct System {
    /// The hosts whose look-up started.
    requested: Receiver<String>,
    /// Ends the next look-up with this result.
    results: Sender<SystemResult>,
    resolver: Resolver,
}

/// Addresses that are stale at once and stay usable.
const STALE: Periods = Periods {
    fresh_for: Duration::ZERO,
    usable_for: Duration::from_secs(3600),
    wait_for_refresh: Duration::ZERO,
    failure_cached_for: Duration::ZERO,
    abandoned_after: Duration::from_secs(60),
};

fn system(periods: Periods) -> System {
    let (request, requested) = channel();
    let (results, next_result) = channel();
    let next_result = Mutex::new(next_result);
    let resolver = Resolver::with_periods(
        move |host: &str| {
            // The test may have ended.
            let _ = request.send(host.to_owned());
            let next_result = next_result.lock().unwrap();
            next_result.recv().unwrap_or_else(|_| failure())
        },
        periods,
    );
    System {
        requested,
        results,
        resolver,
    }
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn failure() -> SystemResult {
    Err(io::Error::other("Temporary failure in name resolution"))
}

#[tokio::test]
async fn an_ip_address_is_returned_as_it_is() {
    let system = system(PERIODS);
    for address in ["192.0.2.1", "2001:db8::1"] {
        let found = system.resolver.resolve(address).await.unwrap();
        assert_eq!(found[0].to_string(), address);
    }
    assert!(system.requested.try_recv().is_err());
}

#[tokio::test]
async fn concurrent_callers_share_one_look_up_and_its_result() {
    let system = system(PERIODS);
    let start_call = |_| {
        let resolver = system.resolver.clone();
        tokio::spawn(async move { resolver.resolve("app.test").await })
    };
    let calls: Vec<_> = (0..100).map(start_call).collect();
    tokio::task::yield_now().await;
    system.results.send(Ok(vec![ip(1), ip(2)])).unwrap();
    for call in calls {
        assert_eq!(*call.await.unwrap().unwrap(), [ip(1), ip(2)]);
    }
    assert_eq!(
        system.requested.try_iter().collect::<Vec<_>>(),
        ["app.test"]
    );
}

#[tokio::test]
async fn a_look_up_that_hangs_delays_no_other_name() {
    let release = Arc::new(Barrier::new(2));
    let released = Arc::clone(&release);
    let resolver = Resolver::with_lookup(move |host| {
        if host == "hangs.test" {
            released.wait();
        }
        Ok(vec![ip(1)])
    });
    let waiting: Vec<_> = (0..2000)
        .map(|_| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve("hangs.test").await })
        })
        .collect();
    for other in 0..100 {
        let found = resolver.resolve(&format!("{other}.test")).await;
        assert_eq!(*found.unwrap(), [ip(1)]);
    }
    assert!(waiting.iter().all(|one| !one.is_finished()));
    release.wait();
    for one in waiting {
        assert_eq!(*one.await.unwrap().unwrap(), [ip(1)]);
    }
}

#[tokio::test]
async fn the_last_addresses_are_used_while_the_name_server_hangs_or_fails() {
    let system = system(STALE);
    let resolve = || system.resolver.resolve("app.test");
    system.results.send(Ok(vec![ip(1)])).unwrap();
    assert_eq!(*resolve().await.unwrap(), [ip(1)]);
    // The second look-up hangs: no third one starts.
    for _ in 0..10 {
        assert_eq!(*resolve().await.unwrap(), [ip(1)]);
    }
    assert_eq!(system.requested.iter().take(2).count(), 2);
    assert!(system.requested.try_recv().is_err());
    // It fails; the next one succeeds with another address.
    system.results.send(failure()).unwrap();
    assert_eq!(*resolve().await.unwrap(), [ip(1)]);
    system.results.send(Ok(vec![ip(2)])).unwrap();
    let mut found = resolve().await.unwrap();
    while *found != [ip(2)] {
        assert_eq!(*found, [ip(1)]);
        // Look-ups that started meanwhile fail.
        let _ = system.results.send(failure());
        tokio::task::yield_now().await;
        found = resolve().await.unwrap();
    }
}

#[tokio::test]
async fn a_new_address_is_used_at_once() {
    let periods = Periods {
        wait_for_refresh: Duration::from_secs(3600),
        ..STALE
    };
    let system = system(periods);
    for last in 1..10 {
        system.results.send(Ok(vec![ip(last)])).unwrap();
        let found = system.resolver.resolve("app.test").await.unwrap();
        assert_eq!(*found, [ip(last)]);
    }
}

#[tokio::test]
async fn addresses_beyond_their_usable_time_are_not_used() {
    let periods = Periods {
        usable_for: Duration::ZERO,
        ..STALE
    };
    let system = system(periods);
    system.results.send(Ok(vec![ip(1)])).unwrap();
    assert!(system.resolver.resolve("app.test").await.is_ok());
    system.results.send(failure()).unwrap();
    let error = system.resolver.resolve("app.test").await.unwrap_err();
    assert_eq!(error.to_string(), "look up app.test");
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("Temporary failure"), "{cause}");
}

#[tokio::test]
async fn a_failure_is_cached_for_a_short_time() {
    let periods = Periods {
        failure_cached_for: Duration::from_secs(3600),
        ..PERIODS
    };
    let system = system(periods);
    system.results.send(failure()).unwrap();
    for _ in 0..10 {
        assert!(system.resolver.resolve("app.test").await.is_err());
    }
    assert_eq!(system.requested.try_iter().count(), 1);
}

#[tokio::test]
async fn a_name_without_addresses_is_an_error() {
    let system = system(PERIODS);
    system.results.send(Ok(Vec::new())).unwrap();
    let error = system.resolver.resolve("app.test").await.unwrap_err();
    assert_eq!(error.to_string(), "app.test has no address");
}

#[tokio::test]
async fn look_ups_beyond_the_limit_are_refused() {
    let release = Arc::new(Barrier::new(LOOKUPS_MAX + 1));
    let released = Arc::clone(&release);
    let resolver = Resolver::with_lookup(move |_| {
        released.wait();
        Ok(vec![ip(1)])
    });
    let waiting: Vec<_> = (0..LOOKUPS_MAX)
        .map(|name| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve(&format!("{name}.test")).await })
        })
        .collect();
    while resolver.0.running_count.load(Ordering::Relaxed) < LOOKUPS_MAX {
        tokio::task::yield_now().await;
    }
    let refused = resolver.resolve("more.test").await;
    assert!(matches!(refused, Err(ResolveError::Busy { .. })));
    release.wait();
    for one in waiting {
        assert!(one.await.unwrap().is_ok());
    }
}

/// A resolver whose look-ups of names that begin with `hangs` end one by one when the test sends a
/// signal, or when the sender is dropped.
fn resolver_that_hangs() -> (Resolver, Sender<()>) {
    let (end_one, ended) = channel();
    let ended = Mutex::new(ended);
    let resolver = Resolver::with_lookup(move |host| {
        if host.starts_with("hangs") {
            // An error means that the sender was dropped.
            let _ = ended.lock().unwrap().recv();
            return Ok(vec![ip(9)]);
        }
        Ok(vec![ip(1)])
    });
    (resolver, end_one)
}

/// Starts the look-up of a name, or joins the running one; the result changes when it ends.
fn start_or_join(resolver: &Resolver, host: &str, now: Instant) -> watch::Receiver<u64> {
    match resolver.0.next_step(&resolver.0.entry_of(host), now) {
        NextStep::Wait { ended_count, .. } => ended_count,
        NextStep::Return(result) => panic!("{host} {result:?}"),
    }
}

struct LookupTimes {
    started_at: Instant,
    read_at: Instant,
}

/// What a caller reads at `read_at` as the result of the look-up that began at `started_at`.
fn result(entry: &NameEntry, times: LookupTimes) -> LookupResult {
    entry.result(&PERIODS, times.started_at, times.read_at)
}

/// The result of a look-up that begins, ends and is read at the same time.
async fn lookup_at(resolver: &Resolver, host: &str, now: Instant) -> LookupResult {
    let _ = start_or_join(resolver, host, now).changed().await;
    let times = LookupTimes {
        started_at: now,
        read_at: now,
    };
    result(&resolver.0.entry_of(host), times)
}

#[tokio::test]
async fn a_look_up_that_never_returns_is_abandoned_and_another_begins() {
    let release_first = Arc::new(Barrier::new(2));
    let (released, lookups) = (Arc::clone(&release_first), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&lookups);
    let resolver = Resolver::with_lookup(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => {
            released.wait();
            Ok(vec![ip(9)])
        }
        _ => Ok(vec![ip(1)]),
    });
    let now = Instant::now();
    let mut first_caller = start_or_join(&resolver, "app.test", now);
    while lookups.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // Before it is abandoned, all callers wait for the same look-up.
    let almost = now + PERIODS.abandoned_after - Duration::from_millis(1);
    start_or_join(&resolver, "app.test", almost);
    assert_eq!(lookups.load(Ordering::Relaxed), 1);
    let later = now + PERIODS.abandoned_after;
    let found = lookup_at(&resolver, "app.test", later).await;
    assert_eq!(*found.unwrap(), [ip(1)]);
    // Callers that wait for the abandoned look-up are woken.
    first_caller.changed().await.unwrap();
    assert_eq!(resolver.0.abandoned_count.load(Ordering::Relaxed), 1);
    // When it ends after all, its result is ignored.
    release_first.wait();
    while resolver.0.abandoned_count.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    let times = LookupTimes {
        started_at: later,
        read_at: later,
    };
    let found = result(&resolver.0.entry_of("app.test"), times);
    assert_eq!(*found.unwrap(), [ip(1)]);
    assert_eq!(resolver.0.running_count.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_name_that_hangs_for_days_blocks_no_other() {
    let (resolver, _end_one) = resolver_that_hangs();
    let now = Instant::now();
    for minute in 0..3 * 24 * 60 {
        start_or_join(
            &resolver,
            "hangs.test",
            now + Duration::from_secs(60 * minute),
        );
    }
    // Each abandoned look-up doubles the time until the next one is abandoned.
    assert!(resolver.0.abandoned_count.load(Ordering::Relaxed) < ABANDONED_MAX / 2);
    let found = lookup_at(&resolver, "app.test", now + Duration::from_secs(3 * 86400)).await;
    assert_eq!(*found.unwrap(), [ip(1)]);
}

#[tokio::test]
async fn abandoned_look_ups_have_a_limit_of_their_own() {
    let (resolver, end_one) = resolver_that_hangs();
    let now = Instant::now();
    for name in 0..LOOKUPS_MAX {
        start_or_join(&resolver, &format!("hangs{name}.test"), now);
    }
    let busy = lookup_at(&resolver, "more.test", now).await;
    assert!(matches!(busy, Err(ResolveError::Busy { .. })), "{busy:?}");
    // All of them are abandoned, which reaches the limit: no name can be looked up until one of them
    // ends.
    let later = now + PERIODS.abandoned_after;
    resolver.0.abandon_all_slow(later);
    assert_eq!(
        resolver.0.abandoned_count.load(Ordering::Relaxed),
        ABANDONED_MAX
    );
    let stuck = lookup_at(&resolver, "app.test", later).await.unwrap_err();
    assert!(matches!(stuck, ResolveError::Stuck { .. }), "{stuck:?}");
    assert!(stuck.to_string().contains("has not answered 64 earlier"));
    // When one of them ends, names are looked up again.
    end_one.send(()).unwrap();
    while resolver.0.abandoned_count.load(Ordering::Relaxed) == ABANDONED_MAX {
        tokio::task::yield_now().await;
    }
    let found = lookup_at(&resolver, "app.test", later + PERIODS.failure_cached_for).await;
    assert_eq!(*found.unwrap(), [ip(1)]);
}

#[tokio::test]
async fn slow_look_ups_without_callers_are_abandoned_for_new_ones() {
    let (resolver, _end_one) = resolver_that_hangs();
    let now = Instant::now();
    // All but one are slow when the next name is looked up.
    for name in 0..LOOKUPS_MAX {
        let since = match name {
            0 => now + PERIODS.abandoned_after,
            _ => now,
        };
        start_or_join(&resolver, &format!("hangs{name}.test"), since);
    }
    let later = now + PERIODS.abandoned_after;
    let first = lookup_at(&resolver, "app.test", later).await;
    assert_eq!(*first.unwrap(), [ip(1)]);
    assert_eq!(resolver.0.running_count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn addresses_that_are_too_old_are_no_result() {
    let system = system(PERIODS);
    system.results.send(Ok(vec![ip(1)])).unwrap();
    let now = Instant::now();
    let found = lookup_at(&system.resolver, "app.test", now).await;
    assert_eq!(*found.unwrap(), [ip(1)]);
    let entry = system.resolver.0.entry_of("app.test");
    let unusable_from = now + PERIODS.fresh_for + PERIODS.usable_for;
    let almost = unusable_from - Duration::from_millis(1);
    let is_ok = |times| result(&entry, times).is_ok();
    // As if a look-up had begun at `almost` and ended without a result: the older addresses still count.
    // At `unusable_from` they do not.
    assert!(is_ok(LookupTimes {
        started_at: almost,
        read_at: almost,
    }));
    assert!(!is_ok(LookupTimes {
        started_at: unusable_from,
        read_at: unusable_from,
    }));
    // The addresses come from the look-up that started at `now`, whose callers always get them.
    assert!(is_ok(LookupTimes {
        started_at: now,
        read_at: unusable_from,
    }));
}
