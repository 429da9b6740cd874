use std::net::Ipv4Addr;
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

type Found = io::Result<Vec<IpAddr>>;

/// A system whose look-ups end when a test says what they find.
struct System {
    asked: Receiver<String>,
    finds: Sender<Found>,
    resolver: Resolver,
}

/// Addresses that are asked for again at once, and usable for ever.
const STALE: Periods = Periods {
    fresh: Duration::ZERO,
    usable: Duration::from_secs(3600),
    patience: Duration::ZERO,
    failure: Duration::ZERO,
};

fn system(periods: Periods) -> System {
    let (asks, asked) = channel();
    let (finds, found) = channel();
    let found = Mutex::new(found);
    let resolver = Resolver::with(
        move |host: &str| {
            // Nobody may look any more when the test has ended.
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
async fn an_address_is_its_own_answer() {
    let system = system(PERIODS);
    for address in ["192.0.2.1", "2001:db8::1"] {
        let found = system.resolver.resolve(address).await.unwrap();
        assert_eq!(found[0].to_string(), address);
    }
    assert!(system.asked.try_recv().is_err());
}

#[tokio::test]
async fn all_who_ask_for_a_name_share_one_look_up_and_its_answer() {
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
async fn a_name_that_hangs_delays_no_other() {
    let gate = Arc::new(Barrier::new(2));
    let closed = Arc::clone(&gate);
    let resolver = Resolver::asking(move |host| {
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
    // It hangs: nobody asks a second time.
    for _ in 0..10 {
        assert_eq!(*resolve().await.unwrap(), [ip(1)]);
    }
    assert_eq!(system.asked.iter().take(2).count(), 2);
    assert!(system.asked.try_recv().is_err());
    // It fails, and it finds something else once it is back.
    system.finds.send(failure()).unwrap();
    assert_eq!(*resolve().await.unwrap(), [ip(1)]);
    system.finds.send(Ok(vec![ip(2)])).unwrap();
    let mut found = resolve().await.unwrap();
    while *found != [ip(2)] {
        assert_eq!(*found, [ip(1)]);
        // Look-ups that were begun meanwhile fail.
        let _ = system.finds.send(failure());
        tokio::task::yield_now().await;
        found = resolve().await.unwrap();
    }
}

#[tokio::test]
async fn a_new_address_is_used_as_soon_as_the_name_server_says_so() {
    let periods = Periods {
        patience: Duration::from_secs(3600),
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
async fn addresses_of_long_ago_are_not_used() {
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
async fn a_failure_is_the_answer_for_a_moment() {
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
async fn more_names_than_may_be_looked_up_at_once_are_refused() {
    let gate = Arc::new(Barrier::new(LOOKUPS_MAX + 1));
    let closed = Arc::clone(&gate);
    let resolver = Resolver::asking(move |_| {
        closed.wait();
        Ok(vec![ip(1)])
    });
    let mut waiting: Vec<_> = (0..LOOKUPS_MAX)
        .map(|name| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve(&format!("{name}.test")).await })
        })
        .collect();
    while resolver.0.under_way.load(Ordering::Relaxed) < LOOKUPS_MAX {
        tokio::task::yield_now().await;
    }
    let refused = resolver.resolve("more.test").await;
    assert!(matches!(refused, Err(ResolveError::Busy { .. })));
    gate.wait();
    for one in waiting.drain(..) {
        assert!(one.await.unwrap().is_ok());
    }
}
