//! Rate limits for logins, limits of wrong passwords, and circuit breakers for sources that get too many
//! wrong codes.

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
use crate::text;
use crate::wording::{Text, error_of_text};

mod circuit_breaker;
mod wrong_passwords;

pub use circuit_breaker::HalfOpenPermit;
pub use wrong_passwords::{CountedFor, PasswordAttempt, PersonPaused};

use circuit_breaker::CircuitBreakers;
pub(super) use wrong_passwords::WrongPasswords;

/// The most front-channel logouts of unknown sessions that are recorded for one connector in a minute.
/// A logout must stay stored for eleven minutes, as long as a login that it ends may be pending. In that
/// time at most 48,000 are recorded, including a burst; the store keeps 50,000 for each connector.
const LOGOUTS_PER_CONNECTOR_MAX: u32 = 4_000;

/// How many clients may deliver events at their limit: sources send them from several addresses.
const EVENT_CLIENTS: u32 = 10;

/// A rate-limited step of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Begin,
    Finish,
    /// A ticket is redeemed. Has the limit of [`Step::Finish`] and its own counter.
    Ticket,
    /// An entry token is redeemed. Has the limit of [`Step::Finish`] and its own counter, because anybody
    /// can send invalid tokens, and these must not use up the logins of other connectors.
    EntryToken,
}

/// Why a step is refused now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    Client,
    All,
    /// The circuit breaker is open for this client.
    Circuit,
    WrongPasswords {
        counted_for: CountedFor,
        /// When the next password may be tried.
        retry_after_s: u32,
    },
}

impl Limited {
    fn text(&self) -> Text {
        match self {
            Self::Client => Text::fixed("too many logins from this address", "此地址的登录过多"),
            Self::All => Text::fixed("too many logins of all clients", "所有客户端的登录过多"),
            Self::Circuit => Text::fixed(
                "too many wrong codes: the circuit breaker is open",
                "错误的授权码过多：登录已暂停",
            ),
            Self::WrongPasswords { counted_for, .. } => text!(
                "too many wrong passwords for {counted_for}",
                "{counted_for:#}的密码错误次数过多"
            ),
        }
    }
}

error_of_text!(Limited);

/// The limits of a process. A reload keeps them while their settings stay the same.
#[derive(Debug)]
pub struct Limits {
    config: LoginConfig,
    begins: RateLimits,
    finishes: RateLimits,
    tickets: RateLimits,
    entry_tokens: RateLimits,
    events: EventLimits,
    logouts: LogoutLimits,
    breakers: Arc<CircuitBreakers>,
    wrong_passwords: Arc<WrongPasswords>,
}

#[derive(Debug)]
struct RateLimits {
    client: Rates,
    all: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
}

/// The limits of requests to `/events`. Requests that are not from the source are counted for each client
/// address; its events have a limit of their own for each connector.
#[derive(Debug)]
struct EventLimits {
    client: Rates,
    /// Requests whose client a trusted proxy did not name.
    unnamed: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    verified: RateLimiter<ConnectorId, DashMapStateStore<ConnectorId>, DefaultClock>,
}

/// The limits of front-channel logouts. Any client can send them for any connector, so each connector
/// has its own limit.
#[derive(Debug)]
struct LogoutLimits {
    client: Rates,
    connector: RateLimiter<ConnectorId, DashMapStateStore<ConnectorId>, DefaultClock>,
}

impl Limits {
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
            entry_tokens: finishes(),
            events: EventLimits::new(config),
            logouts: LogoutLimits::new(config),
            breakers: CircuitBreakers::new(config, clock.clone()),
            wrong_passwords: WrongPasswords::new(config, clock),
            config: config.clone(),
        }
    }

    /// Whether these limits were built from equal settings.
    pub fn matches_config(&self, config: &LoginConfig) -> bool {
        self.config.has_same_limits(config)
    }

    /// The most events that may wait to be handled.
    pub fn waiting_events_max(&self) -> usize {
        usize::try_from(self.config.waiting_events_max).unwrap_or(usize::MAX)
    }

    /// Counts a step, or refuses it. Without a client only the limit of all clients applies.
    pub fn acquire(&self, step: Step, client: Option<Client>) -> Result<(), Limited> {
        let limits = match step {
            Step::Begin => &self.begins,
            Step::Finish => &self.finishes,
            Step::Ticket => &self.tickets,
            Step::EntryToken => &self.entry_tokens,
        };
        if client.is_some_and(|client| !limits.client.take(client)) {
            return Err(Limited::Client);
        }
        limits.all.check().map_err(|_| Limited::All)
    }

    /// Counts a request to `/events` before it is read, or refuses it.
    pub fn acquire_event_request(&self, client: Option<Client>) -> Result<(), Limited> {
        let EventLimits {
            client: client_rates,
            unnamed,
            ..
        } = &self.events;
        match client {
            Some(client) if client_rates.take(client) => Ok(()),
            Some(_) => Err(Limited::Client),
            None => unnamed.check().map_err(|_| Limited::All),
        }
    }

    /// Counts a request to `/events` that the source has signed, or refuses it.
    pub fn acquire_verified_event(&self, connector: &ConnectorId) -> Result<(), Limited> {
        let acquired = self.events.verified.check_key(connector);
        acquired.map_err(|_| Limited::All)
    }

    /// Counts a logout of an unknown session, or refuses it.
    pub fn acquire_logout(
        &self,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<(), Limited> {
        let LogoutLimits {
            client: client_rates,
            connector: connector_rates,
        } = &self.logouts;
        if client.is_some_and(|client| !client_rates.take(client)) {
            return Err(Limited::Client);
        }
        let acquired = connector_rates.check_key(connector);
        acquired.map_err(|_| Limited::All)
    }

    /// Whether a code of this client may be sent to the source. Hold the permit until the source has
    /// answered.
    pub fn enter_circuit(
        &self,
        connector: &ConnectorId,
        client: Option<Client>,
    ) -> Result<Option<HalfOpenPermit>, Limited> {
        let entered = self.breakers.try_enter(connector, client);
        entered.map_err(|circuit_breaker::CircuitOpen| Limited::Circuit)
    }

    /// Waits until a password of this client may be verified, or refuses it. Hold the attempt until the
    /// password is verified, and tell it if the password was wrong.
    pub async fn begin_password_attempt(
        &self,
        connector: &ConnectorId,
        login: &str,
        client: Option<Client>,
    ) -> Result<PasswordAttempt, Limited> {
        let wrong_passwords = &self.wrong_passwords;
        wrong_passwords
            .begin(connector.as_str(), login, client)
            .await
    }

    /// Records whether the source accepted a code of this client.
    pub fn record_code(&self, connector: &ConnectorId, client: Option<Client>, accepted: bool) {
        self.breakers.record(connector, client, accepted);
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

impl EventLimits {
    fn new(config: &LoginConfig) -> Self {
        let per_client = config.events_per_client_per_minute;
        let all = per_client.saturating_mul(EVENT_CLIENTS);
        Self {
            client: Rates::per_minute(per_client, all),
            unnamed: RateLimiter::direct(quota(all)),
            verified: RateLimiter::dashmap(quota(all)),
        }
    }
}

impl LogoutLimits {
    fn new(config: &LoginConfig) -> Self {
        let per_connector = config.finishes_per_minute.min(LOGOUTS_PER_CONNECTOR_MAX);
        Self {
            client: Rates::per_minute(config.finishes_per_client_per_minute, per_connector),
            connector: RateLimiter::dashmap(quota(per_connector)),
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

    /// Limits of two begins for each client and three for all clients.
    fn limits() -> Limits {
        let config = LoginConfig {
            begins_per_client_per_minute: 2,
            begins_per_minute: 3,
            ..LoginConfig::default()
        };
        Limits::new(&config, Clock::manual(Timestamp::from_unix_s(0)))
    }

    #[test]
    fn one_client_and_all_clients_have_separate_limits() {
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
    fn each_connector_has_its_own_limit_of_logouts() {
        let config = LoginConfig {
            finishes_per_minute: 1_000_000,
            ..LoginConfig::default()
        };
        let limits = Limits::new(&config, Clock::manual(Timestamp::from_unix_s(0)));
        let [one, other] = ["one", "other"].map(|id| id.parse().unwrap());
        let allowed = (0..9_000).filter(|_| limits.acquire_logout(&one, None).is_ok());
        // Time passes while the test runs, so the limit refills a little.
        assert!((4_000..9_000).contains(&allowed.count()));
        assert_eq!(limits.acquire_logout(&other, None), Ok(()));
    }

    #[test]
    fn requests_of_strangers_never_use_up_the_events_of_a_source() {
        let config = LoginConfig {
            events_per_client_per_minute: 3,
            ..LoginConfig::default()
        };
        let limits = Limits::new(&config, Clock::manual(Timestamp::from_unix_s(0)));
        let client = |n| Some(IpAddr::from([192, 0, 2, n]).into());
        for n in 0..200 {
            assert_eq!(limits.acquire_event_request(client(n)), Ok(()));
        }
        for allowed in [Ok(()), Ok(()), Err(Limited::Client)] {
            assert_eq!(limits.acquire_event_request(client(0)), allowed);
        }
        while limits.acquire_event_request(None).is_ok() {}
        let [corp, other] = ["corp", "other"].map(|id| id.parse().unwrap());
        while limits.acquire_verified_event(&other).is_ok() {}
        assert_eq!(limits.acquire_event_request(client(201)), Ok(()));
        assert_eq!(limits.acquire_verified_event(&corp), Ok(()));
    }

    #[test]
    fn a_request_without_a_client_counts_towards_the_limit_of_all() {
        let limits = limits();
        for _ in 0..3 {
            assert_eq!(limits.acquire(Step::Begin, None), Ok(()));
        }
        assert_eq!(limits.acquire(Step::Begin, None), Err(Limited::All));
    }
}
