//! How many logins are begun and finished, and how many wrong codes a source is asked about.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::config::LoginConfig;
use crate::client::network_of;
use crate::clock::{Clock, Timestamp};
use crate::store::ConnectorId;

/// So many client addresses are remembered before those that are full again are forgotten.
const CLIENTS_MAX: usize = 20_000;

/// So many wrong codes of one client count towards a short circuit: nobody opens it alone.
const BAD_CODES_PER_CLIENT_MAX: u32 = 5;

/// What a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A login begins.
    Begin,
    /// A login is finished.
    Finish,
    /// A ticket is redeemed: as often as logins are finished, and counted apart from them.
    Ticket,
}

/// Why a step is not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// This client address does it too often.
    #[error("too many logins from this address")]
    Client,
    /// Everybody together does it too often.
    #[error("too many logins in all")]
    All,
    /// Too many codes were wrong: the source is not asked for a while.
    #[error("too many wrong codes: the source is not asked for a while")]
    Circuit,
}

/// The limits of a process. They outlive a reload while their settings stay.
#[derive(Debug)]
pub struct Limits {
    config: LoginConfig,
    begins: Pair,
    finishes: Pair,
    tickets: Pair,
    circuits: Mutex<HashMap<ConnectorId, Circuit>>,
    clock: Clock,
}

#[derive(Debug)]
struct Pair {
    client: DefaultKeyedRateLimiter<IpAddr>,
    all: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
}

#[derive(Debug, Default)]
struct Circuit {
    bad_in_a_row: u32,
    /// Whose they were; as long as `bad_in_a_row` at most.
    bad_of: HashMap<IpAddr, u32>,
    open_until: Option<Timestamp>,
}

impl Limits {
    /// From the settings.
    pub fn new(config: &LoginConfig, clock: Clock) -> Self {
        Self {
            begins: Pair::new(
                config.begins_per_client_per_minute,
                config.begins_per_minute,
            ),
            finishes: Pair::new(
                config.finishes_per_client_per_minute,
                config.finishes_per_minute,
            ),
            tickets: Pair::new(
                config.finishes_per_client_per_minute,
                config.finishes_per_minute,
            ),
            circuits: Mutex::default(),
            config: config.clone(),
            clock,
        }
    }

    /// Whether these are the limits of such settings.
    pub fn is_of(&self, config: &LoginConfig) -> bool {
        self.config == *config
    }

    /// Takes one step, or says why not.
    pub fn take(&self, step: Step, client: IpAddr) -> Result<(), Limited> {
        let pair = match step {
            Step::Begin => &self.begins,
            Step::Finish => &self.finishes,
            Step::Ticket => &self.tickets,
        };
        if pair.client.len() > CLIENTS_MAX {
            pair.client.retain_recent();
        }
        pair.client
            .check_key(&network_of(client))
            .map_err(|_| Limited::Client)?;
        pair.all.check().map_err(|_| Limited::All)
    }

    /// Whether a source may be asked about a code.
    pub fn may_ask(&self, connector: &ConnectorId) -> Result<(), Limited> {
        let circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let open = circuits
            .get(connector)
            .and_then(|circuit| circuit.open_until);
        if open.is_some_and(|until| self.clock.now() < until) {
            Err(Limited::Circuit)
        } else {
            Ok(())
        }
    }

    /// Notes whether the source took a code that a client brought.
    pub fn asked(&self, connector: &ConnectorId, client: IpAddr, taken: bool) {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = circuits.entry(connector.clone()).or_default();
        if taken {
            *circuit = Circuit::default();
            return;
        }
        let of_client = circuit.bad_of.entry(network_of(client)).or_default();
        if *of_client >= BAD_CODES_PER_CLIENT_MAX.min(self.config.bad_codes_max) {
            return;
        }
        *of_client += 1;
        circuit.bad_in_a_row += 1;
        if circuit.bad_in_a_row >= self.config.bad_codes_max {
            circuit.bad_in_a_row = 0;
            circuit.bad_of.clear();
            circuit.open_until = Some(
                self.clock
                    .now()
                    .plus(self.config.bad_codes_pause.duration()),
            );
            tracing::warn!(%connector, "too many wrong codes: the source is not asked for a while");
        }
    }
}

impl Pair {
    fn new(client: u32, all: u32) -> Self {
        let quota = |n: u32| Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
        Self {
            client: RateLimiter::keyed(quota(client)),
            all: RateLimiter::direct(quota(all)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let config = LoginConfig {
            begins_per_client_per_minute: 2,
            begins_per_minute: 3,
            bad_codes_max: 2,
            ..LoginConfig::default()
        };
        Limits::new(&config, Clock::by_hand(Timestamp::from_unix_s(0)))
    }

    #[test]
    fn one_client_and_all_clients_are_limited_apart() {
        let limits = limits();
        let (a, b): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        assert_eq!(limits.take(Step::Begin, a), Ok(()));
        assert_eq!(limits.take(Step::Begin, a), Ok(()));
        assert_eq!(limits.take(Step::Begin, a), Err(Limited::Client));
        assert_eq!(limits.take(Step::Begin, b), Ok(()));
        assert_eq!(limits.take(Step::Begin, b), Err(Limited::All));
        assert_eq!(limits.take(Step::Finish, a), Ok(()));
    }

    #[test]
    fn one_network_of_ipv6_is_one_client() {
        let limits = limits();
        for last in 1..=2u16 {
            let ip = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
            assert_eq!(limits.take(Step::Begin, ip), Ok(()));
        }
        let third = IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]);
        assert_eq!(limits.take(Step::Begin, third), Err(Limited::Client));
    }

    #[test]
    fn wrong_codes_open_a_short_circuit_and_a_good_one_closes_the_count() {
        let limits = limits();
        let corp: ConnectorId = "corp".parse().unwrap();
        let client = IpAddr::from([192, 0, 2, 1]);
        limits.asked(&corp, client, false);
        limits.asked(&corp, client, true);
        limits.asked(&corp, client, false);
        assert_eq!(limits.may_ask(&corp), Ok(()));
        limits.asked(&corp, client, false);
        assert_eq!(limits.may_ask(&corp), Err(Limited::Circuit));
        limits.clock.advance(std::time::Duration::from_secs(11));
        assert_eq!(limits.may_ask(&corp), Ok(()));
    }
    #[test]
    fn one_client_alone_opens_no_circuit_that_needs_more() {
        let config = LoginConfig {
            bad_codes_max: 8,
            ..LoginConfig::default()
        };
        let limits = Limits::new(&config, Clock::by_hand(Timestamp::from_unix_s(0)));
        let corp: ConnectorId = "corp".parse().unwrap();
        for _ in 0..100 {
            limits.asked(&corp, IpAddr::from([192, 0, 2, 1]), false);
        }
        assert_eq!(limits.may_ask(&corp), Ok(()));
        for _ in 0..3 {
            limits.asked(&corp, IpAddr::from([192, 0, 2, 2]), false);
        }
        assert_eq!(limits.may_ask(&corp), Err(Limited::Circuit));
    }
}
