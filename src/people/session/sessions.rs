//! `Sessions`: the sessions of everybody who is signed in. A hit in memory compares epochs; a miss asks
//! the store, once for all who wait.

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
    AccountId, ConnectorId, SessionKey, SessionRecord, Store, StoreError, StoredSession, Subject,
};

mod background;
mod ending;
mod load;
mod mint;
mod pending;
mod simulated;
mod updates;

pub use mint::{MintError, Minting, NewLogin, Once};
use pending::PendingEndings;

/// How long a cookie without a session is remembered, so that the store is not asked again.
const UNKNOWN_FOR: Duration = Duration::from_secs(2);
/// How many such cookies are remembered.
const UNKNOWN_MAX: u64 = 10_000;
/// How many sessions are loaded from the store at a time.
const LOADS_MAX: usize = 64;
/// How often a session is read again when another login of its person changes it meanwhile.
const LOOKS_MAX: usize = 4;
/// How many uses may wait to be written; more are dropped, and the next use of the session tries again.
const TOUCHES_MAX: usize = 16_384;
/// A session that is not used for so long is dropped from memory, not from the store.
const CACHED_FOR: Duration = Duration::from_secs(3600);

/// The hash of a whole cookie.
type CookieHash = [u8; 32];
/// The result of a read of the store, for all requests with the same cookie.
type Load = Result<Loaded, Arc<StoreError>>;

/// The person of a cookie.
#[derive(Clone, Debug)]
pub enum Found {
    /// Their session counts.
    Person(Person),
    /// There is no session.
    Missing(Missing),
}

/// Why a cookie has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Menshen did not sign it, or it counts on another host.
    Unknown,
    /// The session is over: expired, idle, signed out or revoked.
    Over,
}

/// The sessions of everybody who is signed in. One per process; it outlives every site.
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
    /// The name of this process in leases.
    pub(super) holder: String,
    pub(super) refresh_permits: Semaphore,
    touches: mpsc::Sender<(SessionKey, Timestamp)>,
    /// Sessions that were ended here but not yet in the store.
    pending: PendingEndings,
    changes: watch::Sender<u64>,
    /// Grows when every session in memory must be read again.
    generation: AtomicU64,
    /// Set while the log of revocations could not be read for longer than `outage_grace`.
    silent: AtomicBool,
    outage_grace: Duration,
}

/// A session in memory with the epochs under which it was loaded.
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

/// The result of looking into the memory.
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
    /// Reads the epochs and starts the background work, which ends when this is dropped.
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
            pending: PendingEndings::default(),
            changes: watch::Sender::new(0),
            generation: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            outage_grace,
        });
        sessions.everyone.raise_to(now.everyone);
        background::start(&sessions, touched, now.log_number);
        Ok(sessions)
    }

    /// Finds the session of a cookie, on a host. Cancel-safe: a load goes on for the others who wait.
    ///
    /// # Errors
    /// The store failed, or its log of revocations has not been read for too long. The request must not
    /// pass.
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
                self.ensure_log_is_read()?;
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
                // What was loaded is measured like every hit: it may have been revoked meanwhile. It
                // is not read from the memory, which may have been too full to keep it.
                Loaded::Entry(entry) => match self.measure(&entry, ring, terms, host) {
                    Hit::Person(person) => return Ok(Found::Person(person)),
                    Hit::Missing(missing) => return Ok(Found::Missing(missing)),
                    // Another login of this person was admitted meanwhile and may have changed their
                    // name: the store is read again.
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

    /// Compares the epochs under which a session was loaded with the current ones.
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
            // Their old login may be another person's by now, and their groups may have changed.
            return Hit::Ask;
        }
        if now.since(entry.cell.used_at()) >= terms.idle_timeout {
            // Another process may have seen them: the store is asked.
            return Hit::Ask;
        }
        if entry.host.is_some_and(|mark| mark != HostMark::of(host)) {
            return Hit::Missing(Missing::Unknown);
        }
        let every_ms = i64::try_from(terms.idle_timeout.as_millis() / 10).unwrap_or(i64::MAX);
        if entry.cell.touch(now, every_ms) {
            // When the queue is full, the next use tries again.
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

    /// The epochs of the connector and of everyone, for a login that begins now.
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

    /// Changes whenever a session may be over, so that open connections are judged again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A session as the store keeps it, whether or not it has expired; nothing when it was ended.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn stored(&self, key: &SessionKey) -> Result<Option<StoredSession>, StoreError> {
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

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How many sessions are in memory. Too slow for requests: the cache does its pending work first,
    /// because only then is the count right.
    pub fn cached(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    /// Fails when the log of revocations has not been read for too long: a session in memory may have
    /// been revoked by another process.
    fn ensure_log_is_read(&self) -> Result<(), Arc<StoreError>> {
        if self.silent.load(Ordering::Relaxed) {
            return Err(Arc::new(StoreError::Outage {
                for_s: self.outage_grace.as_secs(),
            }));
        }
        Ok(())
    }
}
