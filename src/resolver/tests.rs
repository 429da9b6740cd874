use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

type Found = io::Result<Vec<IpAddr>>;

/// A system whose look-ups end when the test sends their result.
struct System {
    asked: Receiver<String>,
    finds: Sender<Found>,
    resolver: Resolver,
}

/// Addresses that are stale at once and stay usable.
const STALE: Periods = Periods {
    fresh: Duration::ZERO,
    usable: Duration::from_secs(3600),
    max_wait: Duration::ZERO,
    failure: Duration::ZERO,
    abandoned: Duration::from_secs(60),
};

fn system(periods: Periods) -> System {
    let (asks, asked) = channel();
    let (finds, found) = channel();
    let found = Mutex::new(found);
    let resolver = Resolver::with(
        move |host: &str| {
            // The test may have ended.
            let _ = asks.send(host.to_owned());
            let found = found.lock().unwrap();
            found.recv().unwrap_or_else(|_| failure())
        },
        periods,
    );
    System {
        asked,
        finds,
        resolver,
    }
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn failure() -> Found {
    Err(io::Error::other("Temporary failure in name resolution"))
}

#[tokio::test]
async fn an_ip_address_is_returned_as_it_is() {
    let system = system(PERIODS);
    for address in ["192.0.2.1", "2001:db8::1"] {
        let found = system.resolver.resolve(address).await.unwrap();
        assert_eq!(found[0].to_string(), address);
    }
    assert!(system.asked.try_recv().is_err());
}

#[tokio::test]
async fn concurrent_callers_share_one_look_up_and_its_result() {
    let system = system(PERIODS);
    let asking = |_| {
        let resolver = system.resolver.clone();
        tokio::spawn(async move { resolver.resolve("app.test").await })
    };
    let all: Vec<_> = (0..100).map(asking).collect();
    tokio::task::yield_now().await;
    system.finds.send(Ok(vec![ip(1), ip(2)])).unwrap();
    for one in all {
        assert_eq!(*one.await.unwrap().unwrap(), [ip(1), ip(2)]);
    }
    assert_eq!(system.asked.try_iter().collect::<Vec<_>>(), ["app.test"]);
}

#[tokio::test]
async fn a_look_up_that_hangs_delays_no_other_name() {
    let gate = Arc::new(Barrier::new(2));
    let closed = Arc::clone(&gate);
    let resolver = Resolver::with_lookup(move |host| {
        if host == "hangs.test" {
            closed.wait();
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
    gate.wait();
    for one in waiting {
        assert_eq!(*one.await.unwrap().unwrap(), [ip(1)]);
    }
}

#[tokio::test]
async fn the_last_addresses_are_used_while_the_name_server_hangs_or_fails() {
    let system = system(STALE);
    let resolve = || system.resolver.resolve("app.test");
    system.finds.send(Ok(vec![ip(1)])).unwrap();
    assert_eq!(*resolve().await.unwrap(), [ip(1)]);
    // The look-up hangs: no second one starts.
    for _ in 0..10 {
        assert_eq!(*resolve().await.unwrap(), [ip(1)]);
    }
    assert_eq!(system.asked.iter().take(2).count(), 2);
    assert!(system.asked.try_recv().is_err());
    // It fails; the next one succeeds with another address.
    system.finds.send(failure()).unwrap();
    assert_eq!(*resolve().await.unwrap(), [ip(1)]);
    system.finds.send(Ok(vec![ip(2)])).unwrap();
    let mut found = resolve().await.unwrap();
    while *found != [ip(2)] {
        assert_eq!(*found, [ip(1)]);
        // Look-ups that started meanwhile fail.
        let _ = system.finds.send(failure());
        tokio::task::yield_now().await;
        found = resolve().await.unwrap();
    }
}

#[tokio::test]
async fn a_new_address_is_used_at_once() {
    let periods = Periods {
        max_wait: Duration::from_secs(3600),
        ..STALE
    };
    let system = system(periods);
    for last in 1..10 {
        system.finds.send(Ok(vec![ip(last)])).unwrap();
        let found = system.resolver.resolve("app.test").await.unwrap();
        assert_eq!(*found, [ip(last)]);
    }
}

#[tokio::test]
async fn addresses_beyond_their_usable_time_are_not_used() {
    let periods = Periods {
        usable: Duration::ZERO,
        ..STALE
    };
    let system = system(periods);
    system.finds.send(Ok(vec![ip(1)])).unwrap();
    assert!(system.resolver.resolve("app.test").await.is_ok());
    system.finds.send(failure()).unwrap();
    let error = system.resolver.resolve("app.test").await.unwrap_err();
    assert_eq!(error.to_string(), "look up app.test");
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("Temporary failure"), "{cause}");
}

#[tokio::test]
async fn a_failure_is_cached_for_a_short_time() {
    let periods = Periods {
        failure: Duration::from_secs(3600),
        ..PERIODS
    };
    let system = system(periods);
    system.finds.send(failure()).unwrap();
    for _ in 0..10 {
        assert!(system.resolver.resolve("app.test").await.is_err());
    }
    assert_eq!(system.asked.try_iter().count(), 1);
}

#[tokio::test]
async fn a_name_without_addresses_is_an_error() {
    let system = system(PERIODS);
    system.finds.send(Ok(Vec::new())).unwrap();
    let error = system.resolver.resolve("app.test").await.unwrap_err();
    assert_eq!(error.to_string(), "app.test has no address");
}

#[tokio::test]
async fn look_ups_beyond_the_limit_are_refused() {
    let gate = Arc::new(Barrier::new(LOOKUPS_MAX + 1));
    let closed = Arc::clone(&gate);
    let resolver = Resolver::with_lookup(move |_| {
        closed.wait();
        Ok(vec![ip(1)])
    });
    let mut waiting: Vec<_> = (0..LOOKUPS_MAX)
        .map(|name| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve(&format!("{name}.test")).await })
        })
        .collect();
    while resolver.0.running.load(Ordering::Relaxed) < LOOKUPS_MAX {
        tokio::task::yield_now().await;
    }
    let refused = resolver.resolve("more.test").await;
    assert!(matches!(refused, Err(ResolveError::Busy { .. })));
    gate.wait();
    for one in waiting.drain(..) {
        assert!(one.await.unwrap().is_ok());
    }
}

/// A resolver whose look-ups of names that begin with `hangs` end when the test lets them.
fn hanging() -> (Resolver, Sender<()>, Arc<AtomicUsize>) {
    let (ends, end) = channel();
    let end = Mutex::new(end);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolver = Resolver::with_lookup(move |host| {
        count.fetch_add(1, Ordering::Relaxed);
        if host.starts_with("hangs") {
            // The test may have ended.
            let _ = end.lock().unwrap().recv();
            return Ok(vec![ip(9)]);
        }
        Ok(vec![ip(1)])
    });
    (resolver, ends, asked)
}

/// Starts or joins the look-up of a name.
fn begin(resolver: &Resolver, host: &str, now: Instant) -> watch::Receiver<u64> {
    match resolver.0.next(&resolver.0.name(host), now) {
        Next::Wait { ended, .. } => ended,
        Next::Answer(answer) => panic!("{host} {answer:?}"),
    }
}

async fn outcome(resolver: &Resolver, host: &str, now: Instant) -> Answer {
    let _ = begin(resolver, host, now).changed().await;
    resolver.0.name(host).outcome(&PERIODS, now, now)
}

#[tokio::test]
async fn a_look_up_that_never_returns_is_abandoned_and_another_begins() {
    let hangs = Arc::new(Barrier::new(2));
    let (first, asked) = (Arc::clone(&hangs), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    let resolver = Resolver::with_lookup(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => {
            first.wait();
            Ok(vec![ip(9)])
        }
        _ => Ok(vec![ip(1)]),
    });
    let now = Instant::now();
    let mut waits = begin(&resolver, "app.test", now);
    while asked.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // Until then all callers wait for the same look-up.
    let almost = now + PERIODS.abandoned - Duration::from_millis(1);
    begin(&resolver, "app.test", almost);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let later = now + PERIODS.abandoned;
    let found = outcome(&resolver, "app.test", later).await;
    assert_eq!(*found.unwrap(), [ip(1)]);
    // Callers that wait for the abandoned look-up are woken.
    waits.changed().await.unwrap();
    assert_eq!(resolver.0.abandoned.load(Ordering::Relaxed), 1);
    // When it ends after all, its result is ignored.
    hangs.wait();
    while resolver.0.abandoned.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    let found = resolver.0.name("app.test").outcome(&PERIODS, later, later);
    assert_eq!(*found.unwrap(), [ip(1)]);
    assert_eq!(resolver.0.running.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_name_that_hangs_for_days_blocks_no_other() {
    let (resolver, _ends, _) = hanging();
    let now = Instant::now();
    for minute in 0..3 * 24 * 60 {
        begin(
            &resolver,
            "hangs.test",
            now + Duration::from_secs(60 * minute),
        );
    }
    assert!(resolver.0.abandoned.load(Ordering::Relaxed) < ABANDONED_MAX / 2);
    let found = outcome(&resolver, "app.test", now + Duration::from_secs(3 * 86400)).await;
    assert_eq!(*found.unwrap(), [ip(1)]);
}

#[tokio::test]
async fn abandoned_look_ups_have_a_limit_of_their_own() {
    let (resolver, ends, _) = hanging();
    let now = Instant::now();
    for name in 0..LOOKUPS_MAX {
        begin(&resolver, &format!("hangs{name}.test"), now);
    }
    let busy = outcome(&resolver, "more.test", now).await;
    assert!(matches!(busy, Err(ResolveError::Busy { .. })), "{busy:?}");
    // Those names have no further callers, but other names can be looked up.
    let later = now + PERIODS.abandoned;
    resolver.0.abandon_all_slow(later);
    assert_eq!(resolver.0.abandoned.load(Ordering::Relaxed), ABANDONED_MAX);
    let stuck = outcome(&resolver, "app.test", later).await.unwrap_err();
    assert!(matches!(stuck, ResolveError::Stuck { .. }), "{stuck:?}");
    assert!(stuck.to_string().contains("has not answered 64 earlier"));
    // When one of them ends, names are looked up again.
    ends.send(()).unwrap();
    while resolver.0.abandoned.load(Ordering::Relaxed) == ABANDONED_MAX {
        tokio::task::yield_now().await;
    }
    let found = outcome(&resolver, "app.test", later + PERIODS.failure).await;
    assert_eq!(*found.unwrap(), [ip(1)]);
}

#[tokio::test]
async fn slow_look_ups_without_callers_are_abandoned_for_new_ones() {
    let (resolver, _ends, _) = hanging();
    let now = Instant::now();
    // All but one are slow when the next name is looked up.
    for name in 0..LOOKUPS_MAX {
        let since = match name {
            0 => now + PERIODS.abandoned,
            _ => now,
        };
        begin(&resolver, &format!("hangs{name}.test"), since);
    }
    let later = now + PERIODS.abandoned;
    let first = outcome(&resolver, "app.test", later).await;
    assert_eq!(*first.unwrap(), [ip(1)]);
    assert_eq!(resolver.0.running.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn addresses_that_are_too_old_are_no_result() {
    let system = system(PERIODS);
    system.finds.send(Ok(vec![ip(1)])).unwrap();
    let now = Instant::now();
    let found = outcome(&system.resolver, "app.test", now).await;
    assert_eq!(*found.unwrap(), [ip(1)]);
    let name = system.resolver.0.name("app.test");
    let usable = now + PERIODS.fresh + PERIODS.usable;
    let almost = usable - Duration::from_millis(1);
    // For look-ups that started later and have no result.
    assert!(name.outcome(&PERIODS, almost, almost).is_ok());
    assert!(name.outcome(&PERIODS, usable, usable).is_err());
    assert!(name.outcome(&PERIODS, now, usable).is_ok());
}
