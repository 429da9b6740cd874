//! How many logins are begun and finished, and how many wrong codes a source is asked about.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::config::LoginConfig;
use crate::client::{Client, Rates};
use crate::clock::Clock;
use crate::store::ConnectorId;

mod circuit_breaker;

pub use circuit_breaker::HalfOpenPermit;

use circuit_breaker::CircuitBreakers;

/// How many front-channel logouts of sessions that are not known here are noted for one connector in
/// a minute. What comes within the eleven minutes that a login and its logout are remembered, and as
/// many at once before, fits into the 50,000 that the store keeps for each connector: no login under
/// way outlives a logout that was noted.
const LOGOUTS_PER_CONNECTOR_MAX: u32 = 4_000;

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
    begins: RateLimits,
    finishes: RateLimits,
    tickets: RateLimits,
    logouts: Logouts,
    breakers: Arc<CircuitBreakers>,
}

#[derive(Debug)]
struct RateLimits {
    client: Rates,
    all: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
}

/// Logouts that browsers bring. Anybody may bring them for any connector, so each connector has its
/// own number.
#[derive(Debug)]
struct Logouts {
    client: Rates,
    connector: RateLimiter<ConnectorId, DashMapStateStore<ConnectorId>, DefaultClock>,
}

impl Limits {
    /// From the settings.
    pub fn new(config: &LoginConfig, clock: Clock) -> Self {
        let finishes = || {
            RateLimits::new(
                config.finishes_per_client_per_minute,
                config.finishes_per_minute,
            )
        };
        Self {
            begins: RateLimits::new(
                config.begins_per_client_per_minute,
                config.begins_per_minute,
            ),
            finishes: finishes(),
            tickets: finishes(),
            logouts: Logouts::new(config),
            breakers: CircuitBreakers::new(config, clock),
            config: config.clone(),
        }
    }

    /// Whether these are the limits of such settings.
    pub fn matches_config(&self, config: &LoginConfig) -> bool {
        self.config == *config
    }

    /// Takes one step, or says why not. A proxy that names nobody is counted among all only.
    pub fn acquire(&self, step: Step, client: Option<Client>) -> Result<(), Limited> {
        let pair = match step {
            Step::Begin => &self.begins,
            Step::Finish => &self.finishes,
            Step::Ticket => &self.tickets,
        };
        if client.is_some_and(|client| !pair.client.take(client)) {
            return Err(Limited::Client);
        }
        pair.all.check().map_err(|_| Limited::All)
    }

    /// Takes one more logout of a session that is not known here, or says why not.
    pub fn acquire_logout(
        &self,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<(), Limited> {
        let Logouts {
            client: of_client,
            connector: of_connector,
        } = &self.logouts;
        if client.is_some_and(|client| !of_client.take(client)) {
            return Err(Limited::Client);
        }
        let taken = of_connector.check_key(connector);
        taken.map_err(|_| Limited::All)
    }

    /// Whether a source may be asked about a code of this client. What is answered is kept until the
    /// source has answered.
    pub fn enter_circuit(
        &self,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<Option<HalfOpenPermit>, Limited> {
        let entered = self.breakers.try_enter(connector, client);
        entered.map_err(|circuit_breaker::CircuitOpen| Limited::Circuit)
    }

    /// Notes whether the source took a code that a client brought.
    pub fn record_code(&self, connector: &ConnectorId, client: Option<Client>, taken: bool) {
        self.breakers.record(connector, client, taken);
    }
}

impl RateLimits {
    fn new(client: u32, all: u32) -> Self {
        Self {
            client: Rates::per_minute(client, all),
            all: RateLimiter::direct(quota(all)),
        }
    }
}

impl Logouts {
    fn new(config: &LoginConfig) -> Self {
        let all = config.finishes_per_minute.min(LOGOUTS_PER_CONNECTOR_MAX);
        Self {
            client: Rates::per_minute(config.finishes_per_client_per_minute, all),
            connector: RateLimiter::dashmap(quota(all)),
        }
    }
}

fn quota(per_minute: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::clock::Timestamp;

    fn limits() -> Limits {
        let config = LoginConfig {
            begins_per_client_per_minute: 2,
            begins_per_minute: 3,
            ..LoginConfig::default()
        };
        Limits::new(&config, Clock::manual(Timestamp::from_unix_s(0)))
    }

    #[test]
    fn one_client_and_all_clients_are_limited_apart() {
        let limits = limits();
        let (a, b) = (
            Some(IpAddr::from([192, 0, 2, 1]).into()),
            Some(IpAddr::from([192, 0, 2, 2]).into()),
        );
        assert_eq!(limits.acquire(Step::Begin, a), Ok(()));
        assert_eq!(limits.acquire(Step::Begin, a), Ok(()));
        assert_eq!(limits.acquire(Step::Begin, a), Err(Limited::Client));
        assert_eq!(limits.acquire(Step::Begin, b), Ok(()));
        assert_eq!(limits.acquire(Step::Begin, b), Err(Limited::All));
        assert_eq!(limits.acquire(Step::Finish, a), Ok(()));
    }

    #[test]
    fn each_connector_has_its_own_number_of_logouts() {
        let config = LoginConfig {
            finishes_per_minute: 1_000_000,
            ..LoginConfig::default()
        };
        let limits = Limits::new(&config, Clock::manual(Timestamp::from_unix_s(0)));
        let [one, other] = ["one", "other"].map(|id| id.parse().unwrap());
        let noted = (0..9_000).filter(|_| limits.acquire_logout(&one, None).is_ok());
        // Time passes while the test runs.
        assert!((4_000..9_000).contains(&noted.count()));
        assert_eq!(limits.acquire_logout(&other, None), Ok(()));
    }

    #[test]
    fn whoever_is_not_named_is_counted_among_all() {
        let limits = limits();
        for _ in 0..3 {
            assert_eq!(limits.acquire(Step::Begin, None), Ok(()));
        }
        assert_eq!(limits.acquire(Step::Begin, None), Err(Limited::All));
    }
}
