//! `NewTokens`: how many tokens that are not known yet one client may bring.
//!
//! Anybody can make up tokens without end, and an issuer answers only so many questions at a time.
//! A client that brings too many is refused before anything is asked on its account, and never has
//! more than its share of the questions under way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;

use super::config::IssuerConfig;
use super::introspection::QUESTIONS_MAX;
use crate::client::network_of;

/// How many of an issuer's questions are asked on one client's account at a time.
const QUESTIONS_PER_CLIENT_MAX: usize = QUESTIONS_MAX / 4;

/// So many clients are remembered before those are forgotten that have their whole rate again.
const CLIENTS_MAX: usize = 20_000;

/// Which limit a client has reached: a key of `[issuer.NAME]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    PerMinute,
    AtOnce,
}

impl Limit {
    /// The key.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::PerMinute => "new_tokens_per_client_per_minute",
            Self::AtOnce => "new_tokens_per_client_at_once",
        }
    }
}

/// What the clients of one issuer's tokens have under way.
pub(super) struct NewTokens {
    per_minute: DefaultKeyedRateLimiter<IpAddr>,
    at_once: u32,
    clients: Mutex<HashMap<IpAddr, UnderWay>>,
}

/// What one client has under way; never nothing.
struct UnderWay {
    tokens: u32,
    questions: Arc<Semaphore>,
}

/// Leave to verify one token on a client's account, until it is dropped.
pub(super) struct Place {
    all: Arc<NewTokens>,
    client: IpAddr,
    questions: Arc<Semaphore>,
}

impl NewTokens {
    pub(super) fn new(config: &IssuerConfig) -> Arc<Self> {
        let per_minute = NonZeroU32::new(config.new_tokens_per_client_per_minute);
        let quota = Quota::per_minute(per_minute.unwrap_or(NonZeroU32::MIN));
        Arc::new(Self {
            per_minute: RateLimiter::keyed(quota),
            at_once: config.new_tokens_per_client_at_once,
            clients: Mutex::default(),
        })
    }

    /// Counts one more token of this client, or says which limit it has reached.
    pub(super) fn take(self: &Arc<Self>, client: IpAddr) -> Result<Place, Limit> {
        let client = network_of(client);
        let mut clients = self.clients();
        let tokens = clients.get(&client).map_or(0, |it| it.tokens);
        if tokens >= self.at_once {
            return Err(Limit::AtOnce);
        }
        if self.per_minute.len() > CLIENTS_MAX {
            self.per_minute.retain_recent();
        }
        if self.per_minute.check_key(&client).is_err() {
            return Err(Limit::PerMinute);
        }
        let under_way = clients.entry(client).or_insert_with(|| UnderWay {
            tokens: 0,
            questions: Arc::new(Semaphore::new(QUESTIONS_PER_CLIENT_MAX)),
        });
        under_way.tokens += 1;
        Ok(Place {
            all: Arc::clone(self),
            client,
            questions: Arc::clone(&under_way.questions),
        })
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, UnderWay>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// One permit for each question that may be asked on this client's account now.
    pub(super) fn questions(&self) -> &Semaphore {
        &self.questions
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut clients = self.all.clients();
        let Some(under_way) = clients.get_mut(&self.client) else {
            return;
        };
        under_way.tokens = under_way.tokens.saturating_sub(1);
        if under_way.tokens == 0 {
            clients.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_tokens(lines: &str) -> Arc<NewTokens> {
        let config = format!("url = 'https://id.corp.example'\naudiences = ['menshen']\n{lines}");
        NewTokens::new(&toml::from_str(&config).unwrap())
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
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
        assert!(all.clients().is_empty());
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
}
