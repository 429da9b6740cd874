//! `Sessions`: who is here. A hit compares numbers; a miss asks the store, once for all who wait.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use tokio::sync::{Semaphore, mpsc, watch};

use super::cell::{AccountCell, Cells, Epoch, IdentityCell, SessionCell};
use super::refresh::REFRESHES_MAX;
use super::tokens::{Due, TokenCell};
use super::{Person, Session, Terms};
use crate::clock::{Clock, Timestamp};
use crate::keys::{self, KeyRing};
use crate::people::cookie::{self, COOKIE_BYTES_MAX, HostMark};
use crate::single_flight::SingleFlight;
use crate::store::{
    AccountId, ConnectorId, SessionFound, SessionKey, SessionRecord, Store, StoreError, Subject,
};

mod background;
mod ending;
mod held;
mod load;
mod mint;
mod simulated;
mod told;

use held::Held;
pub use mint::{MintError, Minting, NewLogin, Once};

/// How long a cookie whose session the store does not know is remembered as such.
const UNKNOWN_FOR: Duration = Duration::from_secs(2);
/// How many such cookies are remembered.
const UNKNOWN_MAX: u64 = 10_000;
/// How many sessions are loaded from the store at a time.
const LOADS_MAX: usize = 64;
/// How often a session is looked for again while logins of the same person overtake the look.
const LOOKS_MAX: usize = 4;
/// How many uses may wait to be written; more are written later.
const TOUCHES_MAX: usize = 16_384;
/// A session that nobody used for so long leaves the memory, not the store.
const CACHED_FOR: Duration = Duration::from_secs(3600);

/// The hash of a whole cookie.
type CookieHash = [u8; 32];
/// What everybody who asks for the same cookie gets from one look into the store.
type Load = Result<Loaded, Arc<StoreError>>;

/// Who a cookie belongs to.
#[derive(Clone, Debug)]
pub enum Found {
    /// Somebody who is here.
    Person(Person),
    /// Nobody.
    Missing(Missing),
}

/// Why a cookie belongs to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It was never ours, or counts on another host.
    Unknown,
    /// It was, and is over: expired, idle, signed out, revoked.
    Over,
}

/// Everybody who is here. One per process; it outlives every site.
pub struct Sessions {
    store: Arc<dyn Store>,
    clock: Clock,
    cache: Cache<CookieHash, Arc<Entry>>,
    unknown: Cache<CookieHash, Missing>,
    /// By cookie and by the key ring that verified it.
    loads: SingleFlight<(CookieHash, u64), Load>,
    load_permits: Semaphore,
    everyone: Epoch,
    connectors: RwLock<HashMap<ConnectorId, Arc<Epoch>>>,
    accounts: Cells<AccountId, AccountCell>,
    identities: Cells<(ConnectorId, Subject), IdentityCell>,
    live: Cells<SessionKey, SessionCell>,
    tokens: Cells<SessionKey, TokenCell>,
    /// Who this process is to the others that ask for the same leases.
    pub(super) holder: String,
    pub(super) refresh_permits: Semaphore,
    touches: mpsc::Sender<(SessionKey, Timestamp)>,
    /// What was ended and is not stored yet.
    held: Held,
    changes: watch::Sender<u64>,
    /// Grows when everything in memory must be read again.
    generation: AtomicU64,
    /// Set while the store has not been heard of for longer than sessions may count without it.
    silent: AtomicBool,
    outage_grace: Duration,
}

/// A session in memory with the numbers it was loaded under.
struct Entry {
    session: Arc<Session>,
    host: Option<HostMark>,
    asked_at: Timestamp,
    by_signer: bool,
    ring_epoch: u64,
    identity: Arc<IdentityCell>,
    cell: Arc<SessionCell>,
    tokens: Option<Arc<TokenCell>>,
    account: (Arc<AccountCell>, u64),
    changes: u64,
    connector: (Arc<Epoch>, u64),
    everyone: u64,
    generation: u64,
}

/// What the store had.
#[derive(Clone)]
enum Loaded {
    Entry(Arc<Entry>),
    Missing(Missing),
}

/// What a look into the memory says.
enum Hit {
    Person(Person),
    Missing(Missing),
    /// The store must be asked.
    Ask,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("cached", &self.cache.entry_count())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Reads the numbers and starts the background work, which ends when this is dropped.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Clock,
        cached_max: u64,
        outage_grace: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        let now = store.epochs().await?;
        let (touches, touched) = mpsc::channel(TOUCHES_MAX);
        let connectors = now.connectors.iter().map(|(id, number)| {
            let epoch = Epoch::default();
            epoch.raise_to(*number);
            (id.clone(), Arc::new(epoch))
        });
        let sessions = Arc::new(Self {
            store,
            clock,
            cache: Cache::builder()
                .max_capacity(cached_max)
                .time_to_idle(CACHED_FOR)
                .build(),
            unknown: Cache::builder()
                .max_capacity(UNKNOWN_MAX)
                .time_to_live(UNKNOWN_FOR)
                .build(),
            loads: SingleFlight::default(),
            load_permits: Semaphore::new(LOADS_MAX),
            everyone: Epoch::default(),
            connectors: RwLock::new(connectors.collect()),
            accounts: Cells::default(),
            identities: Cells::default(),
            live: Cells::default(),
            tokens: Cells::default(),
            holder: URL_SAFE_NO_PAD.encode(keys::random::<16>()),
            refresh_permits: Semaphore::new(REFRESHES_MAX),
            touches,
            held: Held::default(),
            changes: watch::Sender::new(0),
            generation: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            outage_grace,
        });
        sessions.everyone.raise_to(now.everyone);
        background::start(&sessions, touched, now.log_number);
        Ok(sessions)
    }

    /// Who a cookie belongs to, on a host. Cancel-safe: a load goes on for the others who wait.
    ///
    /// # Errors
    /// The store could not be asked, or has not been heard of for too long: nobody may pass on that.
    pub async fn find(
        self: &Arc<Self>,
        ring: &Arc<KeyRing>,
        terms: &Terms,
        value: &str,
        host: &str,
    ) -> Result<Found, Arc<StoreError>> {
        if value.len() > COOKIE_BYTES_MAX {
            return Ok(Found::Missing(Missing::Unknown));
        }
        let hash = keys::fingerprint(&[value.as_bytes()]);
        match self.hit(&hash, ring, terms, host) {
            Hit::Person(person) => {
                self.heard_of_the_store()?;
                return Ok(Found::Person(person));
            }
            Hit::Missing(missing) => return Ok(Found::Missing(missing)),
            Hit::Ask => {}
        }
        // A forged cookie dies here, without a question to the store.
        let Some(verified) = cookie::verify(ring, value) else {
            return Ok(Found::Missing(Missing::Unknown));
        };
        if verified.handle.expires_at <= self.clock.now() {
            return Ok(Found::Missing(Missing::Over));
        }
        for _ in 0..LOOKS_MAX {
            let load = self.load(hash, &verified, ring, terms).await;
            let lost = |_| Arc::new(StoreError::Damaged { record: "session" });
            match load.map_err(lost)?? {
                Loaded::Missing(missing) => return Ok(Found::Missing(missing)),
                // What was loaded is measured like every hit: it may have been revoked meanwhile.
                // It is not looked for in the memory, which may be too full to have kept it.
                Loaded::Entry(entry) => match self.measure(&entry, ring, terms, host) {
                    Hit::Person(person) => return Ok(Found::Person(person)),
                    Hit::Missing(missing) => return Ok(Found::Missing(missing)),
                    // Another login of theirs was admitted while we looked: it may have renamed
                    // them, and the store knows.
                    Hit::Ask => {}
                },
            }
        }
        Ok(Found::Missing(Missing::Over))
    }

    fn hit(&self, hash: &CookieHash, ring: &KeyRing, terms: &Terms, host: &str) -> Hit {
        let Some(entry) = self.cache.get(hash) else {
            return self.unknown.get(hash).map_or(Hit::Ask, Hit::Missing);
        };
        let hit = self.measure(&entry, ring, terms, host);
        if matches!(hit, Hit::Missing(Missing::Over) | Hit::Ask) {
            self.cache.invalidate(hash);
        }
        hit
    }

    /// Compares the numbers a session was loaded under with the current ones.
    fn measure(&self, entry: &Entry, ring: &KeyRing, terms: &Terms, host: &str) -> Hit {
        if entry.ring_epoch != ring.epoch()
            || entry.generation != self.generation.load(Ordering::Acquire)
        {
            return Hit::Ask;
        }
        let now = self.clock.now();
        let alive = !entry.cell.has_ended()
            && entry.account.0.epoch.now() == entry.account.1
            && entry.connector.0.now() == entry.connector.1
            && self.everyone.now() == entry.everyone
            && entry.session.expires_at > now;
        if !alive {
            return Hit::Missing(Missing::Over);
        }
        if entry.account.0.changes() != entry.changes {
            // Their old login may be somebody else's by now, their old groups not theirs.
            return Hit::Ask;
        }
        if now.since(entry.cell.used_at()) >= terms.idle_timeout {
            // Another node may have seen them: the store knows.
            return Hit::Ask;
        }
        if entry.host.is_some_and(|mark| mark != HostMark::of(host)) {
            return Hit::Missing(Missing::Unknown);
        }
        let every_ms = i64::try_from(terms.idle_timeout.as_millis() / 10).unwrap_or(i64::MAX);
        if entry.cell.touch(now, every_ms) {
            // A full queue loses nothing: the next use asks again.
            let _ = self.touches.try_send((entry.session.key, now));
        }
        let due = entry.tokens.as_ref().map(|cell| cell.due(now));
        Hit::Person(Person {
            session: Arc::clone(&entry.session),
            entitlements: entry.identity.0.load_full(),
            asked_at: entry.asked_at,
            sign_again: !entry.by_signer,
            due: due.unwrap_or(Due::Nothing),
            token: None,
            tokens: entry.tokens.clone(),
        })
    }

    /// The connector's number and everyone's, for a login that begins now.
    pub fn epochs_of(&self, connector: &ConnectorId) -> (u64, u64) {
        let connector = self.connector_epoch(connector);
        (connector.number(), self.everyone.number())
    }

    fn connector_epoch(&self, connector: &ConnectorId) -> Arc<Epoch> {
        let known = self
            .connectors
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(epoch) = known.get(connector) {
            return Arc::clone(epoch);
        }
        drop(known);
        let mut known = self
            .connectors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(connector.clone()).or_default())
    }

    /// Tells whenever somebody's session may be over; whoever holds a connection open asks again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A session as the store keeps it, whether or not it has expired; nothing when it was ended.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn stored(&self, key: &SessionKey) -> Result<Option<SessionFound>, StoreError> {
        self.store.session(key).await
    }

    /// The sessions of one account, or all, newest first, at most `max`.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn list(
        &self,
        account: Option<&AccountId>,
        max: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        self.store.sessions(account, max).await
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The time they are measured by.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How many sessions are in memory. Not for the path of a request: it tidies up first, because
    /// the cache counts what came and went only then.
    pub fn cached(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    /// Revocations come through the store: who has not heard of it for long may not vouch.
    fn heard_of_the_store(&self) -> Result<(), Arc<StoreError>> {
        if self.silent.load(Ordering::Relaxed) {
            return Err(Arc::new(StoreError::Silent {
                for_s: self.outage_grace.as_secs(),
            }));
        }
        Ok(())
    }
}
