//! `CircuitBreakers`: a source that was asked about too many wrong codes is left alone for a while.
//!
//! Whoever sent a wrong code is refused meanwhile. Everybody else is still asked about, a few at a
//! time, so that nobody keeps others from logging in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::client::{Client, Network, site_share};
use crate::clock::{Clock, Timestamp};
use crate::login::config::LoginConfig;
use crate::setting::Period;
use crate::store::ConnectorId;

/// So many wrong codes of one client count towards an open breaker: nobody opens it alone.
const BAD_CODES_PER_CLIENT_MAX: u32 = 5;

/// So many networks that sent wrong codes are remembered for each connector; while there are more,
/// an open breaker lets nobody through.
const NETWORKS_MAX: usize = 4_096;

/// The breakers of all connectors.
#[derive(Debug)]
pub(super) struct CircuitBreakers {
    breakers: Mutex<HashMap<ConnectorId, CircuitBreaker>>,
    bad_max: u32,
    pause: Period,
    clock: Clock,
}

/// Leave to ask the source about one code while the breaker is open, until it is dropped.
#[derive(Debug)]
pub struct HalfOpenPermit {
    breakers: Arc<CircuitBreakers>,
    connector: ConnectorId,
}

/// Who sent wrong codes: a network, or somebody behind a proxy that names nobody.
type Sender = Option<Network>;

#[derive(Debug, Default)]
struct CircuitBreaker {
    consecutive_bad_codes: u32,
    bad_codes_by_sender: HashMap<Sender, u32>,
    open_until: Option<Timestamp>,
    /// How many half_open_calls are under way.
    half_open_calls: u32,
}

impl CircuitBreakers {
    pub(super) fn new(config: &LoginConfig, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            breakers: Mutex::default(),
            bad_max: config.bad_codes_max,
            pause: config.bad_codes_pause,
            clock,
        })
    }

    /// Whether the source may be asked about a code of this client; with a trial while the breaker
    /// is open.
    pub(super) fn try_enter(
        self: &Arc<Self>,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<Option<HalfOpenPermit>, CircuitOpen> {
        let now = self.clock.now();
        let mut breakers = self.lock();
        let open = breakers.get_mut(connector);
        let Some(breaker) = open.filter(|breaker| breaker.is_open(now)) else {
            return Ok(None);
        };
        let may_try = !self.is_suspect(breaker, client)
            && breaker.half_open_calls < self.half_open_calls_max()
            && breaker.bad_codes_by_sender.len() < NETWORKS_MAX;
        if !may_try {
            return Err(CircuitOpen);
        }
        breaker.half_open_calls += 1;
        Ok(Some(HalfOpenPermit {
            breakers: Arc::clone(self),
            connector: connector.clone(),
        }))
    }

    /// Notes whether the source took a code that a client brought.
    pub(super) fn record(&self, connector: &ConnectorId, client: Option<Client>, taken: bool) {
        let now = self.clock.now();
        let mut breakers = self.lock();
        let breaker = breakers.entry(connector.clone()).or_default();
        if taken || breaker.open_until.is_some_and(|until| until <= now) {
            *breaker = CircuitBreaker {
                half_open_calls: breaker.half_open_calls,
                ..CircuitBreaker::default()
            };
        }
        if taken || !self.count_bad_code(breaker, client) {
            return;
        }
        breaker.consecutive_bad_codes += 1;
        if breaker.consecutive_bad_codes >= self.bad_max {
            breaker.consecutive_bad_codes = 0;
            let again = breaker.open_until.replace(now.plus(self.pause.duration()));
            if again.is_none() {
                tracing::warn!(%connector, "too many wrong codes: whoever sent one is refused for a while");
            }
        }
    }

    /// Counts a wrong code for whoever sent it; false when all that count of theirs were counted.
    fn count_bad_code(&self, breaker: &mut CircuitBreaker, client: Option<Client>) -> bool {
        let senders = match client {
            None => [Some((None, u32::MAX)), None],
            Some(client) => {
                let own = (Some(client.network()), self.bad_codes_per_client());
                let site = client.site();
                let per_site = site_share(self.bad_codes_per_client(), self.bad_max);
                [Some(own), site.map(|site| (Some(site), per_site))]
            }
        };
        let mut senders = senders.into_iter().flatten();
        let bad = |sender| {
            breaker
                .bad_codes_by_sender
                .get(&sender)
                .copied()
                .unwrap_or(0)
        };
        let count_bad_code = senders.clone().all(|(sender, max)| bad(sender) < max);
        if count_bad_code {
            senders.by_ref().for_each(|(sender, _)| {
                let bad = breaker.bad_codes_by_sender.entry(sender).or_default();
                *bad = bad.saturating_add(1);
            });
        }
        count_bad_code
    }

    /// Whether a client sent a wrong code, or its site as many as count of one client.
    fn is_suspect(&self, breaker: &CircuitBreaker, client: Option<Client>) -> bool {
        let bad = |sender| {
            breaker
                .bad_codes_by_sender
                .get(&sender)
                .copied()
                .unwrap_or(0)
        };
        let Some(client) = client else {
            return bad(None) > 0;
        };
        let site = client.site().map_or(0, |site| bad(Some(site)));
        bad(Some(client.network())) > 0 || site >= self.bad_codes_per_client()
    }

    fn bad_codes_per_client(&self) -> u32 {
        BAD_CODES_PER_CLIENT_MAX.min(self.bad_max)
    }

    fn half_open_calls_max(&self) -> u32 {
        (self.bad_max / 4).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectorId, CircuitBreaker>> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The breaker is open for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CircuitOpen;

impl CircuitBreaker {
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
        fn with(bad_codes_max: u32) -> Self {
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

        fn wrong(&self, client: &str, times: usize) {
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
    fn wrong_codes_open_a_circuit_and_a_good_one_closes_it() {
        let test = TestBreakers::with(2);
        test.wrong("192.0.2.1", 1);
        test.breakers.record(&test.corp, None, true);
        test.wrong("192.0.2.1", 1);
        assert!(!test.is_open());
        test.wrong("192.0.2.1", 1);
        assert!(test.is_open());
        assert!(test.try_enter("192.0.2.1").is_err());
        test.clock.advance(std::time::Duration::from_secs(11));
        assert!(matches!(test.try_enter("192.0.2.1"), Ok(None)));
        // What was wrong before the pause count_bad_code no more.
        test.wrong("192.0.2.1", 1);
        assert!(!test.is_open());
        test.wrong("192.0.2.1", 1);
        assert!(test.is_open());
        test.breakers.record(&test.corp, None, true);
        assert!(matches!(test.try_enter("192.0.2.1"), Ok(None)));
    }

    #[test]
    fn neither_a_client_nor_a_site_opens_a_circuit_alone() {
        let test = TestBreakers::with(20);
        test.wrong("192.0.2.1", 100);
        assert!(!test.is_open());
        test.breakers.record(&test.corp, None, true);
        for subnet in 0..100 {
            test.wrong(&format!("2001:db8:1:{subnet:x}::1"), 5);
        }
        assert!(!test.is_open());
        test.wrong("2001:db8:2::1", 5);
        test.wrong("192.0.2.1", 3);
        assert!(test.is_open());
    }

    #[test]
    fn an_open_circuit_lets_through_who_sent_no_wrong_code_and_a_few_at_a_time() {
        let test = TestBreakers::with(8);
        test.wrong("2001:db8:1::1", 4);
        test.wrong("2001:db8:1:1::1", 1);
        test.wrong("192.0.2.1", 3);
        assert!(test.is_open());
        // A /64 that sent one, and any of a site that sent many.
        for bad in ["192.0.2.1", "2001:db8:1::9", "2001:db8:1:77::1"] {
            assert!(test.try_enter(bad).is_err(), "{bad}");
        }
        let first = test.try_enter("192.0.2.2").unwrap();
        let second = test.try_enter("2001:db8:2::1").unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(test.try_enter("192.0.2.3").is_err());
        drop(first);
        assert!(matches!(test.try_enter("192.0.2.3"), Ok(Some(_))));
        // One whose trial was wrong has no other.
        test.wrong("192.0.2.3", 1);
        assert!(test.try_enter("192.0.2.3").is_err());
        assert!(matches!(
            test.breakers.try_enter(&test.corp, None),
            Ok(Some(_))
        ));
    }

    #[test]
    fn a_proxy_that_names_nobody_is_not_one_client() {
        let test = TestBreakers::with(8);
        for _ in 0..8 {
            test.breakers.record(&test.corp, None, false);
        }
        assert!(test.is_open());
        assert!(test.breakers.try_enter(&test.corp, None).is_err());
        assert!(matches!(test.try_enter("192.0.2.1"), Ok(Some(_))));
    }
}
