//! `Circuits`: a source that was asked about too many wrong codes is left alone for a while.
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

/// So many wrong codes of one client count towards an open circuit: nobody opens it alone.
const BAD_CODES_PER_CLIENT_MAX: u32 = 5;

/// So many networks that sent wrong codes are remembered for each connector; while there are more,
/// an open circuit lets nobody through.
const NETWORKS_MAX: usize = 4_096;

/// The circuits of all connectors.
#[derive(Debug)]
pub(super) struct Circuits {
    circuits: Mutex<HashMap<ConnectorId, Circuit>>,
    bad_max: u32,
    pause: Period,
    clock: Clock,
}

/// Leave to ask the source about one code while the circuit is open, until it is dropped.
#[derive(Debug)]
pub struct Trial {
    circuits: Arc<Circuits>,
    connector: ConnectorId,
}

/// Who sent wrong codes: a network, or somebody behind a proxy that names nobody.
type Sender = Option<Network>;

#[derive(Debug, Default)]
struct Circuit {
    bad_in_a_row: u32,
    bad_of: HashMap<Sender, u32>,
    open_until: Option<Timestamp>,
    /// How many trials are under way.
    trials: u32,
}

impl Circuits {
    pub(super) fn new(config: &LoginConfig, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            circuits: Mutex::default(),
            bad_max: config.bad_codes_max,
            pause: config.bad_codes_pause,
            clock,
        })
    }

    /// Whether the source may be asked about a code of this client; with a trial while the circuit
    /// is open.
    pub(super) fn enter(
        self: &Arc<Self>,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<Option<Trial>, Open> {
        let now = self.clock.now();
        let mut circuits = self.lock();
        let open = circuits.get_mut(connector);
        let Some(circuit) = open.filter(|circuit| circuit.is_open(now)) else {
            return Ok(None);
        };
        let may_try = !self.suspects(circuit, client)
            && circuit.trials < self.trials_max()
            && circuit.bad_of.len() < NETWORKS_MAX;
        if !may_try {
            return Err(Open);
        }
        circuit.trials += 1;
        Ok(Some(Trial {
            circuits: Arc::clone(self),
            connector: connector.clone(),
        }))
    }

    /// Notes whether the source took a code that a client brought.
    pub(super) fn note(&self, connector: &ConnectorId, client: Option<Client>, taken: bool) {
        let now = self.clock.now();
        let mut circuits = self.lock();
        let circuit = circuits.entry(connector.clone()).or_default();
        if taken || circuit.open_until.is_some_and(|until| until <= now) {
            *circuit = Circuit {
                trials: circuit.trials,
                ..Circuit::default()
            };
        }
        if taken || !self.counts(circuit, client) {
            return;
        }
        circuit.bad_in_a_row += 1;
        if circuit.bad_in_a_row >= self.bad_max {
            circuit.bad_in_a_row = 0;
            let again = circuit.open_until.replace(now.plus(self.pause.duration()));
            if again.is_none() {
                tracing::warn!(%connector, "too many wrong codes: whoever sent one is refused for a while");
            }
        }
    }

    /// Counts a wrong code for whoever sent it; false when all that count of theirs were counted.
    fn counts(&self, circuit: &mut Circuit, client: Option<Client>) -> bool {
        let senders = match client {
            None => [Some((None, u32::MAX)), None],
            Some(client) => {
                let own = (Some(client.network()), self.per_client());
                let site = client.site();
                let per_site = site_share(self.per_client(), self.bad_max);
                [Some(own), site.map(|site| (Some(site), per_site))]
            }
        };
        let mut senders = senders.into_iter().flatten();
        let bad = |sender| circuit.bad_of.get(&sender).copied().unwrap_or(0);
        let counts = senders.clone().all(|(sender, max)| bad(sender) < max);
        if counts {
            senders.by_ref().for_each(|(sender, _)| {
                let bad = circuit.bad_of.entry(sender).or_default();
                *bad = bad.saturating_add(1);
            });
        }
        counts
    }

    /// Whether a client sent a wrong code, or its site as many as count of one client.
    fn suspects(&self, circuit: &Circuit, client: Option<Client>) -> bool {
        let bad = |sender| circuit.bad_of.get(&sender).copied().unwrap_or(0);
        let Some(client) = client else {
            return bad(None) > 0;
        };
        let site = client.site().map_or(0, |site| bad(Some(site)));
        bad(Some(client.network())) > 0 || site >= self.per_client()
    }

    fn per_client(&self) -> u32 {
        BAD_CODES_PER_CLIENT_MAX.min(self.bad_max)
    }

    fn trials_max(&self) -> u32 {
        (self.bad_max / 4).max(1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectorId, Circuit>> {
        self.circuits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The circuit is open for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open;

impl Circuit {
    fn is_open(&self, now: Timestamp) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut circuits = self.circuits.lock();
        if let Some(circuit) = circuits.get_mut(&self.connector) {
            circuit.trials = circuit.trials.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    struct Desk {
        circuits: Arc<Circuits>,
        clock: Clock,
        corp: ConnectorId,
    }

    impl Desk {
        fn with(bad_codes_max: u32) -> Self {
            let clock = Clock::by_hand(Timestamp::from_unix_s(0));
            let config = LoginConfig {
                bad_codes_max,
                ..LoginConfig::default()
            };
            Self {
                circuits: Circuits::new(&config, clock.clone()),
                clock,
                corp: "corp".parse().unwrap(),
            }
        }

        fn wrong(&self, client: &str, times: usize) {
            for _ in 0..times {
                let client = client.parse::<IpAddr>().unwrap().into();
                self.circuits.note(&self.corp, Some(client), false);
            }
        }

        fn enter(&self, client: &str) -> Result<Option<Trial>, Open> {
            let client = client.parse::<IpAddr>().unwrap().into();
            self.circuits.enter(&self.corp, Some(client))
        }

        fn is_open(&self) -> bool {
            let circuits = self.circuits.lock();
            let circuit = circuits.get(&self.corp);
            circuit.is_some_and(|circuit| circuit.is_open(self.clock.now()))
        }
    }

    #[test]
    fn wrong_codes_open_a_circuit_and_a_good_one_closes_it() {
        let desk = Desk::with(2);
        desk.wrong("192.0.2.1", 1);
        desk.circuits.note(&desk.corp, None, true);
        desk.wrong("192.0.2.1", 1);
        assert!(!desk.is_open());
        desk.wrong("192.0.2.1", 1);
        assert!(desk.is_open());
        assert!(desk.enter("192.0.2.1").is_err());
        desk.clock.advance(std::time::Duration::from_secs(11));
        assert!(matches!(desk.enter("192.0.2.1"), Ok(None)));
        // What was wrong before the pause counts no more.
        desk.wrong("192.0.2.1", 1);
        assert!(!desk.is_open());
        desk.wrong("192.0.2.1", 1);
        assert!(desk.is_open());
        desk.circuits.note(&desk.corp, None, true);
        assert!(matches!(desk.enter("192.0.2.1"), Ok(None)));
    }

    #[test]
    fn neither_a_client_nor_a_site_opens_a_circuit_alone() {
        let desk = Desk::with(20);
        desk.wrong("192.0.2.1", 100);
        assert!(!desk.is_open());
        desk.circuits.note(&desk.corp, None, true);
        for subnet in 0..100 {
            desk.wrong(&format!("2001:db8:1:{subnet:x}::1"), 5);
        }
        assert!(!desk.is_open());
        desk.wrong("2001:db8:2::1", 5);
        desk.wrong("192.0.2.1", 3);
        assert!(desk.is_open());
    }

    #[test]
    fn an_open_circuit_lets_through_who_sent_no_wrong_code_and_a_few_at_a_time() {
        let desk = Desk::with(8);
        desk.wrong("2001:db8:1::1", 4);
        desk.wrong("2001:db8:1:1::1", 1);
        desk.wrong("192.0.2.1", 3);
        assert!(desk.is_open());
        // A /64 that sent one, and any of a site that sent many.
        for bad in ["192.0.2.1", "2001:db8:1::9", "2001:db8:1:77::1"] {
            assert!(desk.enter(bad).is_err(), "{bad}");
        }
        let first = desk.enter("192.0.2.2").unwrap();
        let second = desk.enter("2001:db8:2::1").unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(desk.enter("192.0.2.3").is_err());
        drop(first);
        assert!(matches!(desk.enter("192.0.2.3"), Ok(Some(_))));
        // One whose trial was wrong has no other.
        desk.wrong("192.0.2.3", 1);
        assert!(desk.enter("192.0.2.3").is_err());
        assert!(matches!(desk.circuits.enter(&desk.corp, None), Ok(Some(_))));
    }

    #[test]
    fn a_proxy_that_names_nobody_is_not_one_client() {
        let desk = Desk::with(8);
        for _ in 0..8 {
            desk.circuits.note(&desk.corp, None, false);
        }
        assert!(desk.is_open());
        assert!(desk.circuits.enter(&desk.corp, None).is_err());
        assert!(matches!(desk.enter("192.0.2.1"), Ok(Some(_))));
    }
}
