//! Upstreams with host names, and name servers that do not respond.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::resolver::Resolver;

fn upstream_at(host: &str, port: u16) -> UpstreamUrl {
    UpstreamUrl::Tcp {
        tls: false,
        host: host.to_owned(),
        port,
    }
}

fn forwarder_with(upstream: UpstreamUrl, connect: Duration, resolver: &Resolver) -> Forwarder {
    let settings = PoolSettings::new(vec![upstream], connect);
    let dialer = Dialer::new(resolver.clone(), 1_000);
    Forwarder::build_with(vec![settings], None, &dialer).unwrap()
}

/// Resolves every name to the loopback address; `hangs.test` blocks until the test ends. The second result
/// counts the look-ups of `hangs.test`.
fn resolver_that_hangs(end_of_test: Receiver<()>) -> (Resolver, Arc<AtomicUsize>) {
    let end_of_test = Mutex::new(end_of_test);
    let look_ups = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&look_ups);
    let resolver = Resolver::with_lookup(move |host| {
        if host == "hangs.test" {
            counter.fetch_add(1, Ordering::Relaxed);
            let _ = end_of_test.lock().unwrap().recv();
        }
        Ok(vec![IpAddr::from(Ipv4Addr::LOCALHOST)])
    });
    (resolver, look_ups)
}

#[tokio::test]
async fn a_hanging_name_look_up_delays_nothing_else_and_is_done_once() {
    let (end_test, end_of_test) = channel::<()>();
    let (resolver, look_ups) = resolver_that_hangs(end_of_test);
    let port = start_echo_server().await;
    let to_hanging_name = forwarder_with(
        upstream_at("hangs.test", port),
        Duration::from_millis(300),
        &resolver,
    );
    let to_other_name = forwarder_with(
        upstream_at("app.test", port),
        Duration::from_secs(30),
        &resolver,
    );
    // More than the runtime has blocking threads.
    let all = (0..600).map(|_| send(&to_hanging_name, route(), request(Method::GET, "")));
    let all = futures_util::future::join_all(all);
    let others = async {
        for _ in 0..10 {
            assert!(
                send(&to_other_name, route(), request(Method::GET, ""))
                    .await
                    .is_ok()
            );
            // File operations use the blocking threads.
            tokio::fs::metadata("/").await.unwrap();
        }
    };
    let (all, ()) = tokio::join!(all, others);
    for result in all {
        assert!(
            matches!(result, Err(ForwardError::Timeout(Phase::Connect))),
            "{result:?}"
        );
    }
    assert_eq!(look_ups.load(Ordering::Relaxed), 1);
    drop(end_test);
}

#[tokio::test]
async fn an_upstream_whose_name_cannot_be_resolved_is_unreachable() {
    let resolver = Resolver::with_lookup(|_| Err(io::Error::other("Name or service not known")));
    let forwarder = forwarder_with(
        upstream_at("no.test", 80),
        Duration::from_secs(30),
        &resolver,
    );
    let error = send(&forwarder, route(), request(Method::GET, "")).await;
    let error = error.unwrap_err();
    assert!(matches!(error, ForwardError::Unreachable(_)), "{error:?}");
    let chain = crate::telemetry::error_chain(&error).to_string();
    assert_eq!(
        chain,
        "the upstream cannot be reached: look up no.test: Name or service not known"
    );
}

#[tokio::test]
async fn the_next_address_of_a_name_is_tried_when_one_is_unreachable() {
    let port = start_echo_server().await;
    // Nothing listens on the first address.
    let addresses = [Ipv4Addr::new(127, 9, 9, 9), Ipv4Addr::LOCALHOST];
    let resolver = Resolver::with_lookup(move |_| Ok(addresses.map(IpAddr::from).to_vec()));
    let forwarder = forwarder_with(
        upstream_at("app.test", port),
        Duration::from_secs(30),
        &resolver,
    );
    let answer = send(&forwarder, route(), request(Method::GET, "")).await;
    assert!(answer.is_ok(), "{answer:?}");
}
