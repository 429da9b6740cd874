//! `NewTokens`: how many tokens that are not known yet one client may bring.
//!
//! Anybody can make up tokens without end, and an issuer answers only so many questions at a time.
//! A client that brings too many is refused before anything is asked on its account, and never has
//! more than its share of the questions under way; nor has its /48. All new tokens together leave
//! some of the questions to tokens that counted before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use super::config::IssuerConfig;
use super::introspection::QUESTIONS_MAX;
use crate::client::{Client, Network, Rates, site_share};

/// How many new tokens may be under way to being verified.
const NEW_MAX: u32 = 750;

/// How many of an issuer's questions are asked about new tokens at a time.
const NEW_QUESTIONS_MAX: u32 = QUESTIONS_MAX / 4 * 3;

/// How many of them are asked on one client's account: few enough that it takes many networks to
/// take all places.
const QUESTIONS_PER_CLIENT_MAX: u32 = QUESTIONS_MAX / 16;

/// Which limit is reached: a key of `[issuer.NAME]`, or that of all clients together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    PerMinute,
    AtOnce,
    All,
}

impl Limit {
    /// The key by which a client is limited.
    pub(super) const fn key(self) -> Option<&'static str> {
        match self {
            Self::PerMinute => Some("new_tokens_per_client_per_minute"),
            Self::AtOnce => Some("new_tokens_per_client_at_once"),
            Self::All => None,
        }
    }
}

/// What the clients of one issuer's tokens have under way.
pub(super) struct NewTokens {
    per_minute: Rates,
    at_once: u32,
    questions: Semaphore,
    under_way: Mutex<UnderWay>,
}

/// What is under way: as many networks as tokens at most, or twice as many.
#[derive(Default)]
struct UnderWay {
    all: u32,
    networks: HashMap<Network, OfNetwork>,
}

/// What one network has under way; never nothing.
struct OfNetwork {
    tokens: u32,
    questions: Arc<Semaphore>,
}

/// Leave to verify one token on a client's account, until it is dropped.
pub(super) struct Place {
    all: Arc<NewTokens>,
    /// The networks it is counted for, and one permit for each question that may be asked on the
    /// account of each.
    networks: Vec<(Network, Arc<Semaphore>)>,
}

/// Leave to ask one question about a new token.
pub(super) struct Turn<'a> {
    _networks: Vec<SemaphorePermit<'a>>,
    _all: SemaphorePermit<'a>,
}

impl NewTokens {
    pub(super) fn new(config: &IssuerConfig) -> Arc<Self> {
        Arc::new(Self {
            per_minute: Rates::per_minute(config.new_tokens_per_client_per_minute, u32::MAX),
            at_once: config.new_tokens_per_client_at_once,
            questions: Semaphore::new(permits(NEW_QUESTIONS_MAX)),
            under_way: Mutex::default(),
        })
    }

    /// Counts one more token of this client, or says which limit is reached. A proxy that names nobody
    /// is no client: its tokens are counted among all.
    pub(super) fn take(self: &Arc<Self>, client: Option<Client>) -> Result<Place, Limit> {
        let networks = client.map_or([None, None], |client| {
            let per_site = site_share(self.at_once, NEW_MAX);
            let questions = site_share(QUESTIONS_PER_CLIENT_MAX, NEW_QUESTIONS_MAX);
            let own = client.network();
            [
                Some((own, self.at_once, QUESTIONS_PER_CLIENT_MAX)),
                client.site().map(|site| (site, per_site, questions)),
            ]
        });
        let mut under_way = self.under_way();
        if under_way.all >= NEW_MAX {
            return Err(Limit::All);
        }
        let held = |network| under_way.networks.get(&network).map_or(0, |it| it.tokens);
        let mut limits = networks.iter().flatten();
        if limits.any(|(network, max, _)| held(*network) >= *max) {
            return Err(Limit::AtOnce);
        }
        if client.is_some_and(|client| !self.per_minute.take(client)) {
            return Err(Limit::PerMinute);
        }
        under_way.all += 1;
        let networks = networks.into_iter().flatten();
        let networks = networks.map(|(network, _, questions)| {
            let of_network = under_way.networks.entry(network);
            let of_network = of_network.or_insert_with(|| OfNetwork {
                tokens: 0,
                questions: Arc::new(Semaphore::new(permits(questions))),
            });
            of_network.tokens += 1;
            (network, Arc::clone(&of_network.questions))
        });
        let networks = networks.collect();
        Ok(Place {
            all: Arc::clone(self),
            networks,
        })
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn permits(number: u32) -> usize {
    usize::try_from(number).unwrap_or(Semaphore::MAX_PERMITS)
}

impl Place {
    /// Waits until one more question may be asked on this client's account, and about new tokens.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, AcquireError> {
        let mut networks = Vec::with_capacity(self.networks.len());
        for (_, questions) in &self.networks {
            networks.push(questions.acquire().await?);
        }
        Ok(Turn {
            _networks: networks,
            _all: self.all.questions.acquire().await?,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.all.under_way();
        under_way.all = under_way.all.saturating_sub(1);
        for (network, _) in &self.networks {
            let Some(of_network) = under_way.networks.get_mut(network) else {
                continue;
            };
            of_network.tokens = of_network.tokens.saturating_sub(1);
            if of_network.tokens == 0 {
                under_way.networks.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn new_tokens(lines: &str) -> Arc<NewTokens> {
        let config = format!("url = 'https://id.corp.example'\naudiences = ['menshen']\n{lines}");
        NewTokens::new(&toml::from_str(&config).unwrap())
    }

    fn client(last: u8) -> Option<Client> {
        Some(IpAddr::from([192, 0, 2, last]).into())
    }

    fn of(text: &str) -> Option<Client> {
        text.parse::<IpAddr>().ok().map(Client::from)
    }

    #[test]
    fn a_client_gets_its_places_back_and_takes_none_from_another() {
        let all = new_tokens("new_tokens_per_client_at_once = 3");
        let mut held: Vec<_> = (0..3).map(|_| all.take(client(1)).unwrap()).collect();
        assert_eq!(all.take(client(1)).err(), Some(Limit::AtOnce));
        assert!(all.take(client(2)).is_ok());
        held.pop();
        assert!(all.take(client(1)).is_ok());
        held.clear();
        let under_way = all.under_way();
        assert!(under_way.networks.is_empty() && under_way.all == 0);
    }

    #[test]
    fn a_client_has_a_rate_that_another_does_not_share() {
        let all = new_tokens("new_tokens_per_client_per_minute = 5");
        let taken = (0..20).filter(|_| all.take(client(1)).is_ok()).count();
        // Time passes while the test runs.
        assert!((5..=6).contains(&taken), "{taken}");
        assert_eq!(all.take(client(1)).err(), Some(Limit::PerMinute));
        assert!(all.take(client(2)).is_ok());
    }

    #[test]
    fn a_site_has_no_more_than_three_clients() {
        let all = new_tokens("new_tokens_per_client_at_once = 3");
        let of_site = (0..20).map(|subnet| of(&format!("2001:db8:1:{subnet}::1")));
        let held: Vec<_> = of_site.filter_map(|client| all.take(client).ok()).collect();
        assert_eq!(held.len(), 9);
        assert!(all.take(of("2001:db8:2::1")).is_ok());
    }

    #[test]
    fn a_proxy_that_names_nobody_is_not_one_client_and_has_not_all() {
        let all = new_tokens("new_tokens_per_client_at_once = 3");
        let held: Vec<_> = (0..NEW_MAX + 9)
            .filter_map(|_| all.take(None).ok())
            .collect();
        assert_eq!(held.len(), 750);
        assert_eq!(all.take(client(1)).err(), Some(Limit::All));
        drop(held);
        assert!(all.take(client(1)).is_ok());
    }
}
