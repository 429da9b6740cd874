//! `CircuitBreakers`: protect a source from too many wrong codes.
//!
//! While a breaker is open, clients that sent a wrong code are refused. Codes of other clients are
//! still sent to the source, a few at a time, so that no client can lock out the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client::{Client, Network, network48_limit};
use crate::clock::{Clock, Timestamp};
use crate::login::config::LoginConfig;
use crate::setting::Period;
use crate::store::ConnectorId;

/// The most wrong codes of one client that count, so that no client opens a breaker alone.
const BAD_CODES_PER_CLIENT_MAX: u32 = 5;

/// The most networks with wrong codes that are recorded for each connector. While there are more, an
/// open breaker refuses every client.
const NETWORKS_MAX: usize = 4_096;

/// The circuit breakers of all connectors.
#[derive(Debug)]
pub(super) struct CircuitBreakers {
    breakers: Mutex<HashMap<ConnectorId, CircuitBreaker>>,
    bad_codes_max: u32,
    pause: Period,
    clock: Clock,
}

/// Permission to send one code to the source while the breaker is open. When it is dropped, another code
/// may be sent.
#[derive(Debug)]
pub struct HalfOpenPermit {
    breakers: Arc<CircuitBreakers>,
    connector: ConnectorId,
}

/// The sender of a wrong code: a network; absent: a trusted proxy did not name the client.
type Sender = Option<Network>;

#[derive(Debug, Default)]
struct CircuitBreaker {
    consecutive_bad_codes: u32,
    bad_codes_by_sender: HashMap<Sender, u32>,
    open_until: Option<Timestamp>,
    /// The calls that run while the breaker is open.
    half_open_calls: u32,
}

impl CircuitBreakers {
    pub(super) fn new(config: &LoginConfig, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            breakers: Mutex::default(),
            bad_codes_max: config.bad_codes_max,
            pause: config.bad_codes_pause,
            clock,
        })
    }

    /// Whether a code of this client may be sent to the source; while the breaker is open, with a
    /// permit.
    pub(super) fn try_enter(
        self: &Arc<Self>,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<Option<HalfOpenPermit>, CircuitOpen> {
        let now = self.clock.now();
        let mut breakers = self.lock();
        let breaker = breakers.get_mut(connector);
        let Some(breaker) = breaker.filter(|breaker| breaker.is_open(now)) else {
            return Ok(None);
        };
        let is_admitted = !self.is_suspect(breaker, client)
            && breaker.half_open_calls < self.half_open_calls_max()
            && breaker.bad_codes_by_sender.len() < NETWORKS_MAX;
        if !is_admitted {
            return Err(CircuitOpen);
        }
        breaker.half_open_calls += 1;
        Ok(Some(HalfOpenPermit {
            breakers: Arc::clone(self),
            connector: connector.clone(),
        }))
    }

    /// Records whether the source accepted a code of this client.
    pub(super) fn record(&self, connector: &ConnectorId, client: Option<Client>, accepted: bool) {
        let now = self.clock.now();
        let mut breakers = self.lock();
        let breaker = breakers.entry(connector.clone()).or_default();
        if accepted || breaker.open_until.is_some_and(|until| until <= now) {
            *breaker = CircuitBreaker {
                half_open_calls: breaker.half_open_calls,
                ..CircuitBreaker::default()
            };
        }
        if accepted || !self.count_bad_code(breaker, client) {
            return;
        }
        breaker.consecutive_bad_codes += 1;
        if breaker.consecutive_bad_codes >= self.bad_codes_max {
            breaker.consecutive_bad_codes = 0;
            let previous = breaker.open_until.replace(now.plus(self.pause.duration()));
            if previous.is_none() {
                tracing::warn!(%connector, "too many wrong codes: logins of clients that sent one are refused for a while");
            }
        }
    }

    /// Counts a wrong code for its sender; false if the sender or its IPv6 /48 has reached its maximum.
    fn count_bad_code(&self, breaker: &mut CircuitBreaker, client: Option<Client>) -> bool {
        let senders = match client {
            None => [Some((None, u32::MAX)), None],
            Some(client) => {
                let max = self.bad_codes_per_client();
                let max_per_48 = network48_limit(max, self.bad_codes_max);
                let network48 = client.network48();
                [
                    Some((Some(client.network()), max)),
                    network48.map(|network48| (Some(network48), max_per_48)),
                ]
            }
        };
        let senders = senders.into_iter().flatten();
        let is_below_maximum = senders
            .clone()
            .all(|(sender, max)| breaker.bad_codes_of(sender) < max);
        if is_below_maximum {
            for (sender, _) in senders {
                let bad_codes = breaker.bad_codes_by_sender.entry(sender).or_default();
                *bad_codes = bad_codes.saturating_add(1);
            }
        }
        is_below_maximum
    }

    /// Whether this client sent a wrong code, or its IPv6 /48 sent as many as count for one client.
    fn is_suspect(&self, breaker: &CircuitBreaker, client: Option<Client>) -> bool {
        let Some(client) = client else {
            return breaker.bad_codes_of(None) > 0;
        };
        let bad_codes_of_48 = client
            .network48()
            .map_or(0, |network48| breaker.bad_codes_of(Some(network48)));
        breaker.bad_codes_of(Some(client.network())) > 0
            || bad_codes_of_48 >= self.bad_codes_per_client()
    }

    fn bad_codes_per_client(&self) -> u32 {
        BAD_CODES_PER_CLIENT_MAX.min(self.bad_codes_max)
    }

    fn half_open_calls_max(&self) -> u32 {
        (self.bad_codes_max / 4).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectorId, CircuitBreaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The breaker is open and refuses this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CircuitOpen;

impl CircuitBreaker {
    fn bad_codes_of(&self, sender: Sender) -> u32 {
        self.bad_codes_by_sender.get(&sender).copied().unwrap_or(0)
    }

    fn is_open(&self, now: Timestamp) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }
}

impl Drop for HalfOpenPermit {
    fn drop(&mut self) {
        let mut breakers = self.breakers.lock();
        if let Some(breaker) = breakers.get_mut(&self.connector) {
            breaker.half_open_calls = breaker.half_open_calls.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    struct TestBreakers {
        breakers: Arc<CircuitBreakers>,
        clock: Clock,
        corp: ConnectorId,
    }

    impl TestBreakers {
        /// Breakers that this many wrong codes open, for ten seconds.
        fn with_limit(bad_codes_max: u32) -> Self {
            let clock = Clock::manual(Timestamp::from_unix_s(0));
            let config = LoginConfig {
                bad_codes_max,
                ..LoginConfig::default()
            };
            Self {
                breakers: CircuitBreakers::new(&config, clock.clone()),
                clock,
                corp: "corp".parse().unwrap(),
            }
        }

        /// Records wrong codes of this client.
        fn record_wrong(&self, client: &str, times: usize) {
            for _ in 0..times {
                let client = client.parse::<IpAddr>().unwrap().into();
                self.breakers.record(&self.corp, Some(client), false);
            }
        }

        fn try_enter(&self, client: &str) -> Result<Option<HalfOpenPermit>, CircuitOpen> {
            let client = client.parse::<IpAddr>().unwrap().into();
            self.breakers.try_enter(&self.corp, Some(client))
        }

        fn is_open(&self) -> bool {
            let breakers = self.breakers.lock();
            let breaker = breakers.get(&self.corp);
            breaker.is_some_and(|breaker| breaker.is_open(self.clock.now()))
        }
    }

    #[test]
    fn wrong_codes_open_the_breaker_and_a_right_one_closes_it() {
        let test = TestBreakers::with_limit(2);
        test.record_wrong("192.0.2.1", 1);
        test.breakers.record(&test.corp, None, true);
        test.record_wrong("192.0.2.1", 1);
        assert!(!test.is_open());
        test.record_wrong("192.0.2.1", 1);
        assert!(test.is_open());
        assert!(test.try_enter("192.0.2.1").is_err());
        test.clock.advance(std::time::Duration::from_secs(11));
        assert!(matches!(test.try_enter("192.0.2.1"), Ok(None)));
        // Wrong codes from before the pause no longer count.
        test.record_wrong("192.0.2.1", 1);
        assert!(!test.is_open());
        test.record_wrong("192.0.2.1", 1);
        assert!(test.is_open());
        test.breakers.record(&test.corp, None, true);
        assert!(matches!(test.try_enter("192.0.2.1"), Ok(None)));
    }

    #[test]
    fn neither_one_client_nor_one_ipv6_48_opens_the_breaker_alone() {
        let test = TestBreakers::with_limit(20);
        test.record_wrong("192.0.2.1", 100);
        assert!(!test.is_open());
        test.breakers.record(&test.corp, None, true);
        for subnet in 0..100 {
            test.record_wrong(&format!("2001:db8:1:{subnet:x}::1"), 5);
        }
        assert!(!test.is_open());
        test.record_wrong("2001:db8:2::1", 5);
        test.record_wrong("192.0.2.1", 3);
        assert!(test.is_open());
    }

    #[test]
    fn an_open_breaker_admits_a_few_clients_without_wrong_codes_at_a_time() {
        // With a limit of 8 wrong codes, two calls may run at a time while the breaker is open.
        let test = TestBreakers::with_limit(8);
        test.record_wrong("2001:db8:1::1", 4);
        test.record_wrong("2001:db8:1:1::1", 1);
        test.record_wrong("192.0.2.1", 3);
        assert!(test.is_open());
        // A client that sent wrong codes, another address of its /64, and one of a /48 that sent many.
        for bad in ["192.0.2.1", "2001:db8:1::9", "2001:db8:1:77::1"] {
            assert!(test.try_enter(bad).is_err(), "{bad}");
        }
        let first = test.try_enter("192.0.2.2").unwrap();
        let second = test.try_enter("2001:db8:2::1").unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(test.try_enter("192.0.2.3").is_err());
        drop(first);
        assert!(matches!(test.try_enter("192.0.2.3"), Ok(Some(_))));
        // A client whose code was wrong may not send another.
        test.record_wrong("192.0.2.3", 1);
        assert!(test.try_enter("192.0.2.3").is_err());
        assert!(matches!(
            test.breakers.try_enter(&test.corp, None),
            Ok(Some(_))
        ));
    }

    #[test]
    fn requests_without_a_client_are_not_limited_as_one_client() {
        let test = TestBreakers::with_limit(8);
        for _ in 0..8 {
            test.breakers.record(&test.corp, None, false);
        }
        assert!(test.is_open());
        assert!(test.breakers.try_enter(&test.corp, None).is_err());
        assert!(matches!(test.try_enter("192.0.2.1"), Ok(Some(_))));
    }
}
