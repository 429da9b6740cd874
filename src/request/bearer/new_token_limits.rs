//! `NewTokenLimits`: limits how many tokens that are not cached one client may send.
//!
//! Anyone can invent any number of tokens, and an issuer handles a limited number of requests at a time.
//! A client that sends too many is refused without a request to the issuer, and neither the client nor
//! its /48 ever has more than its share of the running introspections. All new tokens together leave
//! some introspections to tokens that were valid before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use super::config::IssuerConfig;
use super::introspection::INTROSPECTIONS_MAX;
use crate::client::{Client, Network, Rates, network48_limit};

/// How many new tokens of an issuer may be in verification at a time.
const NEW_TOKENS_MAX: u32 = 750;

/// How many of an issuer's introspections new tokens may use.
const NEW_TOKEN_INTROSPECTIONS_MAX: u32 = INTROSPECTIONS_MAX / 4 * 3;

/// How many of these one client may use: at least twelve clients are needed to use all.
const INTROSPECTIONS_PER_CLIENT_MAX: u32 = INTROSPECTIONS_MAX / 16;

/// The limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    PerMinute,
    AtOnce,
    AllClients,
}

impl Limit {
    /// The configuration key of the limit.
    pub(super) const fn key(self) -> Option<&'static str> {
        match self {
            Self::PerMinute => Some("new_tokens_per_client_per_minute"),
            Self::AtOnce => Some("new_tokens_per_client_at_once"),
            Self::AllClients => None,
        }
    }
}

/// The new tokens of one issuer that are in verification, by client.
pub(super) struct NewTokenLimits {
    per_minute: Rates,
    at_once: u32,
    introspections: Semaphore,
    in_progress: Mutex<InProgress>,
}

/// The new tokens in verification. `networks` contains only networks with such a token, so at most two
/// for each token.
#[derive(Default)]
struct InProgress {
    all: u32,
    networks: HashMap<Network, NetworkUse>,
}

/// What one network uses. The entry is removed when `tokens` is zero.
struct NetworkUse {
    tokens: u32,
    introspections: Arc<Semaphore>,
}

/// Permission to verify one new token, which counts as in verification until this is dropped.
pub(super) struct NewTokenSlot {
    limits: Arc<NewTokenLimits>,
    /// The networks it counts for, and the introspection permits of each.
    networks: Vec<(Network, Arc<Semaphore>)>,
}

/// Permission to send one introspection request for a new token.
pub(super) struct IntrospectionPermit<'a> {
    _networks: Vec<SemaphorePermit<'a>>,
    _all: SemaphorePermit<'a>,
}

impl NewTokenLimits {
    pub(super) fn new(config: &IssuerConfig) -> Arc<Self> {
        Arc::new(Self {
            per_minute: Rates::per_minute(config.new_tokens_per_client_per_minute, u32::MAX),
            at_once: config.new_tokens_per_client_at_once,
            introspections: Semaphore::new(permit_count(NEW_TOKEN_INTROSPECTIONS_MAX)),
            in_progress: Mutex::default(),
        })
    }

    /// Counts one more token of this client, or returns the limit that is reached. Tokens from a
    /// proxy that does not name its client count only for all clients together.
    pub(super) fn take(self: &Arc<Self>, client: Option<Client>) -> Result<NewTokenSlot, Limit> {
        let networks = client.map_or([None, None], |client| {
            let network48_tokens = network48_limit(self.at_once, NEW_TOKENS_MAX);
            let network48_introspections =
                network48_limit(INTROSPECTIONS_PER_CLIENT_MAX, NEW_TOKEN_INTROSPECTIONS_MAX);
            let network48 = client.network48();
            [
                Some((
                    client.network(),
                    self.at_once,
                    INTROSPECTIONS_PER_CLIENT_MAX,
                )),
                network48.map(|network48| (network48, network48_tokens, network48_introspections)),
            ]
        });
        let mut in_progress = self.in_progress();
        if in_progress.all >= NEW_TOKENS_MAX {
            return Err(Limit::AllClients);
        }
        let tokens_of = |network| {
            let network_use = in_progress.networks.get(&network);
            network_use.map_or(0, |network_use| network_use.tokens)
        };
        let mut limits = networks.iter().flatten();
        if limits.any(|(network, max, _)| tokens_of(*network) >= *max) {
            return Err(Limit::AtOnce);
        }
        if client.is_some_and(|client| !self.per_minute.take(client)) {
            return Err(Limit::PerMinute);
        }
        in_progress.all += 1;
        let networks = networks.into_iter().flatten();
        let networks = networks.map(|(network, _, introspections)| {
            let network_use = in_progress.networks.entry(network);
            let network_use = network_use.or_insert_with(|| NetworkUse {
                tokens: 0,
                introspections: Arc::new(Semaphore::new(permit_count(introspections))),
            });
            network_use.tokens += 1;
            (network, Arc::clone(&network_use.introspections))
        });
        let networks = networks.collect();
        Ok(NewTokenSlot {
            limits: Arc::clone(self),
            networks,
        })
    }

    fn in_progress(&self) -> MutexGuard<'_, InProgress> {
        self.in_progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn permit_count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(Semaphore::MAX_PERMITS)
}

impl NewTokenSlot {
    /// Waits until the client, and new tokens as a whole, may use one more introspection.
    pub(super) async fn introspection_permit(
        &self,
    ) -> Result<IntrospectionPermit<'_>, AcquireError> {
        let mut networks = Vec::with_capacity(self.networks.len());
        for (_, introspections) in &self.networks {
            networks.push(introspections.acquire().await?);
        }
        Ok(IntrospectionPermit {
            _networks: networks,
            _all: self.limits.introspections.acquire().await?,
        })
    }
}

impl Drop for NewTokenSlot {
    fn drop(&mut self) {
        let mut in_progress = self.limits.in_progress();
        in_progress.all = in_progress.all.saturating_sub(1);
        for (network, _) in &self.networks {
            let Some(network_use) = in_progress.networks.get_mut(network) else {
                continue;
            };
            network_use.tokens = network_use.tokens.saturating_sub(1);
            if network_use.tokens == 0 {
                in_progress.networks.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// The limits of an issuer with these settings.
    fn limits_with(settings: &str) -> Arc<NewTokenLimits> {
        let config =
            format!("url = 'https://id.corp.example'\naudiences = ['menshen']\n{settings}");
        NewTokenLimits::new(&toml::from_str(&config).unwrap())
    }

    fn ipv4_client(last_octet: u8) -> Option<Client> {
        Some(IpAddr::from([192, 0, 2, last_octet]).into())
    }

    fn client(text: &str) -> Option<Client> {
        text.parse::<IpAddr>().ok().map(Client::from)
    }

    #[test]
    fn a_client_gets_its_slots_back_and_takes_none_from_another() {
        let limits = limits_with("new_tokens_per_client_at_once = 3");
        let mut held: Vec<_> = (0..3)
            .map(|_| limits.take(ipv4_client(1)).unwrap())
            .collect();
        assert_eq!(limits.take(ipv4_client(1)).err(), Some(Limit::AtOnce));
        assert!(limits.take(ipv4_client(2)).is_ok());
        held.pop();
        assert!(limits.take(ipv4_client(1)).is_ok());
        held.clear();
        let in_progress = limits.in_progress();
        assert!(in_progress.networks.is_empty() && in_progress.all == 0);
    }

    #[test]
    fn each_client_has_a_rate_limit_of_its_own() {
        let limits = limits_with("new_tokens_per_client_per_minute = 5");
        let taken = (0..20)
            .filter(|_| limits.take(ipv4_client(1)).is_ok())
            .count();
        // The rate limit recovers while the test runs.
        assert!((5..=6).contains(&taken), "{taken}");
        assert_eq!(limits.take(ipv4_client(1)).err(), Some(Limit::PerMinute));
        assert!(limits.take(ipv4_client(2)).is_ok());
    }

    #[test]
    fn an_ipv6_network_of_48_bits_has_the_slots_of_three_clients() {
        let limits = limits_with("new_tokens_per_client_at_once = 3");
        let clients = (0..20).map(|subnet| client(&format!("2001:db8:1:{subnet}::1")));
        let held: Vec<_> = clients
            .filter_map(|client| limits.take(client).ok())
            .collect();
        assert_eq!(held.len(), 9);
        assert!(limits.take(client("2001:db8:2::1")).is_ok());
    }

    #[test]
    fn a_proxy_that_names_no_client_is_limited_as_all_clients_together() {
        let limits = limits_with("new_tokens_per_client_at_once = 3");
        let held: Vec<_> = (0..NEW_TOKENS_MAX + 9)
            .filter_map(|_| limits.take(None).ok())
            .collect();
        assert_eq!(held.len(), NEW_TOKENS_MAX as usize);
        assert_eq!(limits.take(ipv4_client(1)).err(), Some(Limit::AllClients));
        drop(held);
        assert!(limits.take(ipv4_client(1)).is_ok());
    }
}
