//! `WrongPasswords`: counts wrong passwords, so that nobody can find out one by trying many.
//!
//! A count begins with a wrong password and ends after the pause. Each wrong password counts for the user
//! name that was entered, whether or not it exists, and for the client. If the source knows a person by
//! several names, it also counts for the person. While a password is verified, it
//! counts as if it were wrong; otherwise many could be tried at the same moment.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::Limited;
use crate::client::{Client, Network, network48_limit};
use crate::clock::{Clock, Timestamp};
use crate::login::config::LoginConfig;
use crate::telemetry::LogLimiter;
use crate::wording::{Text, error_of_text};

/// The most counts that are kept. If there are more, the oldest are dropped. With the default limits no
/// more than about 30,000 passwords can be tried in one pause.
const COUNTS_MAX: usize = 100_000;

/// The longest wait for the result of other passwords that are being verified.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The counts of all user names and clients.
pub(in crate::login) struct WrongPasswords {
    counts: Mutex<HashMap<Key, Count>>,
    hasher: RandomState,
    /// Notifies when a password has been verified.
    verified: Notify,
    per_login_max: u32,
    per_client_max: u32,
    pause: Duration,
    counts_max: usize,
    clock: Clock,
}

/// What wrong passwords are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// The hash of a connector and a user name.
    Login(u64),
    /// The hash of a connector and what its source calls a person.
    Person(u64),
    Client(Network),
    Network48(Network),
}

/// What the limit of wrong passwords was reached for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedFor {
    Login,
    Person,
    Client,
}

impl fmt::Display for CountedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Login => Text::fixed("this user name", "此用户名"),
            Self::Person => Text::fixed("this person", "此人"),
            Self::Client => Text::fixed("this client", "此客户端"),
        };
        fmt::Display::fmt(&text, f)
    }
}

#[derive(Debug, Default)]
struct Count {
    wrong: u32,
    /// When the first of them was found to be wrong.
    since: Option<Timestamp>,
    /// The passwords that are being verified.
    running: u32,
}

/// Why a password may not be verified now.
enum Refusal {
    /// The limit of wrong passwords is reached. The pause ends after this time.
    Wrong(CountedFor, Duration),
    /// The limit is reached if those that are being verified are wrong.
    Running(CountedFor),
}

/// Permission to verify one password. Until it is dropped, the password counts as wrong.
#[derive(Debug)]
pub struct PasswordAttempt {
    counts: Arc<WrongPasswords>,
    /// The connector, or `console`.
    connector: String,
    keys: Vec<Key>,
    is_wrong: bool,
}

/// The limit of wrong passwords of a person is reached: no further one is verified now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersonPaused;

error_of_text!(PersonPaused: "too many wrong passwords for this person, under whatever names", "此人的密码错误次数过多，不论用哪个名字");

impl PasswordAttempt {
    /// Waits until a password of this person may be verified, and counts it for them, too. `person` is what
    /// the source calls the person, whatever name was entered. Call it before the password is sent.
    pub async fn count_for(&mut self, person: &str) -> Result<(), PersonPaused> {
        let key = self.counts.person_key(&self.connector, person);
        let acquired = self.counts.acquire(&[key]).await;
        acquired.map_err(|_| PersonPaused)?;
        self.keys.push(key);
        Ok(())
    }

    /// Records that the password was wrong.
    pub fn record_wrong(mut self) {
        self.is_wrong = true;
    }
}

impl Drop for PasswordAttempt {
    fn drop(&mut self) {
        self.counts
            .finish(&self.connector, &self.keys, self.is_wrong);
    }
}

impl WrongPasswords {
    pub(in crate::login) fn new(config: &LoginConfig, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::default(),
            hasher: RandomState::new(),
            verified: Notify::new(),
            per_login_max: config.wrong_passwords_per_login.max(1),
            per_client_max: config.wrong_passwords_per_client.max(1),
            pause: config.wrong_passwords_pause.duration(),
            counts_max: COUNTS_MAX,
            clock,
        })
    }

    /// Waits until a password of this client for this user name may be verified, or refuses it. Without a
    /// client only the limit of the user name applies.
    pub(in crate::login) async fn begin(
        self: &Arc<Self>,
        connector: &str,
        login: &str,
        client: Option<Client>,
    ) -> Result<PasswordAttempt, Limited> {
        let keys = self.keys(connector, login, client);
        let refused = |(counted_for, rest): (_, Duration)| Limited::WrongPasswords {
            counted_for,
            retry_after_s: seconds(rest),
        };
        self.acquire(&keys).await.map_err(refused)?;
        Ok(PasswordAttempt {
            counts: Arc::clone(self),
            connector: connector.to_owned(),
            keys,
            is_wrong: false,
        })
    }

    /// Waits until a password may be verified for all keys, and counts it as running. Refuses it with what
    /// the limit was reached for, and the rest of the pause.
    async fn acquire(&self, keys: &[Key]) -> Result<(), (CountedFor, Duration)> {
        let mut running_for = CountedFor::Login;
        let acquired = timeout(WAIT_MAX, async {
            loop {
                // Created before the counts are read, so that no notification is missed.
                let verified = self.verified.notified();
                match self.try_begin(keys) {
                    Ok(()) => return Ok(()),
                    Err(Refusal::Wrong(counted_for, rest)) => return Err((counted_for, rest)),
                    Err(Refusal::Running(counted_for)) => running_for = counted_for,
                }
                verified.await;
            }
        });
        acquired.await.unwrap_or(Err((running_for, WAIT_MAX)))
    }

    fn person_key(&self, connector: &str, person: &str) -> Key {
        let person = (connector, person.to_lowercase());
        Key::Person(self.hasher.hash_one(person))
    }

    fn keys(&self, connector: &str, login: &str, client: Option<Client>) -> Vec<Key> {
        // Sources compare user names without case.
        let login = (connector, login.trim().to_lowercase());
        let mut keys = vec![Key::Login(self.hasher.hash_one(login))];
        keys.extend(client.map(|client| Key::Client(client.network())));
        let network48 = client.and_then(Client::network48);
        keys.extend(network48.map(Key::Network48));
        keys
    }

    fn limit(&self, key: Key) -> (u32, CountedFor) {
        match key {
            Key::Login(_) => (self.per_login_max, CountedFor::Login),
            Key::Person(_) => (self.per_login_max, CountedFor::Person),
            Key::Client(_) => (self.per_client_max, CountedFor::Client),
            Key::Network48(_) => {
                let max = network48_limit(self.per_client_max, u32::MAX);
                (max, CountedFor::Client)
            }
        }
    }

    /// Counts the password as running for all keys, or for none.
    fn try_begin(&self, keys: &[Key]) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut counts = self.lock();
        let mut refusal = None;
        for key in keys {
            let Some(count) = counts.get_mut(key) else {
                continue;
            };
            count.end_after(self.pause, now);
            let (max, counted_for) = self.limit(*key);
            if count.wrong >= max {
                let rest = count.rest(self.pause, now);
                return Err(Refusal::Wrong(counted_for, rest));
            }
            if count.wrong.saturating_add(count.running) >= max {
                refusal = Some(Refusal::Running(counted_for));
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        self.make_room(&mut counts, keys.len(), now);
        for key in keys {
            counts.entry(*key).or_default().running += 1;
        }
        Ok(())
    }

    fn finish(&self, connector: &str, keys: &[Key], is_wrong: bool) {
        let now = self.clock.now();
        let mut reached = None;
        let mut counts = self.lock();
        for key in keys {
            let count = counts.entry(*key).or_default();
            count.running = count.running.saturating_sub(1);
            count.end_after(self.pause, now);
            if is_wrong {
                count.wrong = count.wrong.saturating_add(1);
                count.since.get_or_insert(now);
                let (max, counted_for) = self.limit(*key);
                if count.wrong == max {
                    reached = Some(counted_for);
                }
            }
            if count.wrong == 0 && count.running == 0 {
                counts.remove(key);
            }
        }
        drop(counts);
        self.verified.notify_waiters();
        static LOG_LIMITER: LogLimiter = LogLimiter::new();
        if let Some(counted_for) = reached
            && LOG_LIMITER.allow()
        {
            // Without the user name: people sometimes enter their password there.
            tracing::warn!(
                connector,
                "too many wrong passwords for {counted_for}: further ones are refused for a while"
            );
        }
    }

    /// Keeps the number of counts within its limit: drops those that have ended, then the older half.
    fn make_room(&self, counts: &mut HashMap<Key, Count>, more: usize, now: Timestamp) {
        let is_full = |counts: &HashMap<_, _>| counts.len() + more > self.counts_max;
        if !is_full(counts) {
            return;
        }
        counts.retain(|_, count| {
            count.end_after(self.pause, now);
            count.wrong > 0 || count.running > 0
        });
        if !is_full(counts) {
            return;
        }
        let mut begins: Vec<_> = counts.values().filter_map(|count| count.since).collect();
        if begins.is_empty() {
            return;
        }
        let middle = begins.len() / 2;
        let newest_dropped = *begins.select_nth_unstable(middle).1;
        counts.retain(|_, count| {
            let is_newer = count.since.is_none_or(|since| since > newest_dropped);
            is_newer || count.running > 0
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for WrongPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrongPasswords").finish_non_exhaustive()
    }
}

impl Count {
    /// Begins at zero again if the pause since the first wrong password is over.
    fn end_after(&mut self, pause: Duration, now: Timestamp) {
        if self.since.is_some_and(|since| now.since(since) >= pause) {
            self.wrong = 0;
            self.since = None;
        }
    }

    /// How much of the pause is left.
    fn rest(&self, pause: Duration, now: Timestamp) -> Duration {
        let passed = self.since.map_or(pause, |since| now.since(since));
        pause.saturating_sub(passed)
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds(duration: Duration) -> u32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(whole.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
