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

use super::refresh::REFRESHES_MAX;
use super::shared_state::{AccountState, Epoch, IdentityState, SessionState, WeakMap};
use super::tokens::{RefreshDue, TokenState};
use super::{Person, Session, SessionTimeouts};
use crate::clock::{Clock, Timestamp};
use crate::keys::{self, KeyRing};
use crate::people::cookie::{self, COOKIE_BYTES_MAX, HostFingerprint};
use crate::single_flight::SingleFlight;
use crate::store::{
    AccountId, ConnectorId, SessionKey, SessionRecord, Store, StoreError, StoredSession, Subject,
};

mod background;
mod load;
mod mint;
mod pending_revocations;
mod revocation;
mod simulated;
mod updates;

pub use mint::{MintError, MintedSession, NewLogin, OneTimeSession};
use pending_revocations::PendingRevocations;

/// How long a cookie without a session is remembered, so that the store is not asked again.
const UNKNOWN_COOKIE_TTL: Duration = Duration::from_secs(2);
/// How many such cookies are remembered.
const UNKNOWN_COOKIES_MAX: u64 = 10_000;
/// How many sessions are loaded from the store at a time.
const LOADS_MAX: usize = 64;
/// How often a session is read again when another login of its person changes it meanwhile.
const LOAD_ATTEMPTS_MAX: usize = 4;
/// How many uses may wait to be written; more are dropped, and the next use of the session tries again.
const TOUCHES_MAX: usize = 16_384;
/// A session that is not used for so long is dropped from memory, not from the store.
const CACHE_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// The hash of a whole cookie.
type CookieHash = [u8; 32];
/// The result of a read of the store, for all requests with the same cookie.
type LoadResult = Result<Loaded, Arc<StoreError>>;

/// The person of a cookie.
#[derive(Clone, Debug)]
pub enum SessionLookup {
    /// Their session counts.
    Person(Person),
    /// There is no session.
    Missing(NoSession),
}

/// Why a cookie has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// Menshen did not sign it, or it counts on another host.
    Unknown,
    /// The session is over: expired, idle, signed out or revoked.
    Ended,
}

/// The sessions of everybody who is signed in. One per process; it outlives every site.
pub struct Sessions {
    store: Arc<dyn Store>,
    clock: Clock,
    cache: Cache<CookieHash, Arc<CachedSession>>,
    unknown: Cache<CookieHash, NoSession>,
    /// By cookie and by the key ring that verified it.
    loads: SingleFlight<(CookieHash, u64), LoadResult>,
    load_permits: Semaphore,
    everyone: Epoch,
    connectors: RwLock<HashMap<ConnectorId, Arc<Epoch>>>,
    accounts: WeakMap<AccountId, AccountState>,
    identities: WeakMap<(ConnectorId, Subject), IdentityState>,
    session_states: WeakMap<SessionKey, SessionState>,
    tokens: WeakMap<SessionKey, TokenState>,
    /// The name of this process in leases.
    pub(super) lease_holder: String,
    pub(super) refresh_permits: Semaphore,
    touches: mpsc::Sender<(SessionKey, Timestamp)>,
    /// Sessions that were ended here but not yet in the store.
    pending: PendingRevocations,
    changes: watch::Sender<u64>,
    /// Grows when every session in memory must be read again.
    generation: AtomicU64,
    /// Set while the log of revocations could not be read for longer than `outage_grace`.
    log_is_stale: AtomicBool,
    outage_grace: Duration,
}

/// A session in memory with the epochs under which it was loaded.
struct CachedSession {
    session: Arc<Session>,
    host: Option<HostFingerprint>,
    confirmed_at: Timestamp,
    signed_by_first_key: bool,
    ring_epoch: u64,
    identity: Arc<IdentityState>,
    state: Arc<SessionState>,
    tokens: Option<Arc<TokenState>>,
    account: (Arc<AccountState>, u64),
    changes: u64,
    connector: (Arc<Epoch>, u64),
    everyone: u64,
    generation: u64,
}

/// What the store had.
#[derive(Clone)]
enum Loaded {
    Session(Arc<CachedSession>),
    Missing(NoSession),
}

/// The result of looking into the memory.
enum CacheLookup {
    Person(Person),
    Missing(NoSession),
    /// The store must be asked.
    Miss,
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
                .time_to_idle(CACHE_IDLE_TIMEOUT)
                .build(),
            unknown: Cache::builder()
                .max_capacity(UNKNOWN_COOKIES_MAX)
                .time_to_live(UNKNOWN_COOKIE_TTL)
                .build(),
            loads: SingleFlight::default(),
            load_permits: Semaphore::new(LOADS_MAX),
            everyone: Epoch::default(),
            connectors: RwLock::new(connectors.collect()),
            accounts: WeakMap::default(),
            identities: WeakMap::default(),
            session_states: WeakMap::default(),
            tokens: WeakMap::default(),
            lease_holder: URL_SAFE_NO_PAD.encode(keys::random::<16>()),
            refresh_permits: Semaphore::new(REFRESHES_MAX),
            touches,
            pending: PendingRevocations::default(),
            changes: watch::Sender::new(0),
            generation: AtomicU64::new(0),
            log_is_stale: AtomicBool::new(false),
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
        timeouts: &SessionTimeouts,
        value: &str,
        host: &str,
    ) -> Result<SessionLookup, Arc<StoreError>> {
        if value.len() > COOKIE_BYTES_MAX {
            return Ok(SessionLookup::Missing(NoSession::Unknown));
        }
        let hash = keys::fingerprint(&[value.as_bytes()]);
        match self.look_up(&hash, ring, timeouts, host) {
            CacheLookup::Person(person) => {
                self.ensure_log_is_fresh()?;
                return Ok(SessionLookup::Person(person));
            }
            CacheLookup::Missing(missing) => return Ok(SessionLookup::Missing(missing)),
            CacheLookup::Miss => {}
        }
        // A forged cookie dies here, without a question to the store.
        let Some(verified) = cookie::verify(ring, value) else {
            return Ok(SessionLookup::Missing(NoSession::Unknown));
        };
        if verified.handle.expires_at <= self.clock.now() {
            return Ok(SessionLookup::Missing(NoSession::Ended));
        }
        for _ in 0..LOAD_ATTEMPTS_MAX {
            let load = self.load(hash, &verified, ring, timeouts).await;
            let lost = |_| Arc::new(StoreError::Damaged { record: "session" });
            match load.map_err(lost)?? {
                Loaded::Missing(missing) => return Ok(SessionLookup::Missing(missing)),
                // What was loaded is measured like every hit: it may have been revoked meanwhile. It
                // is not read from the memory, which may have been too full to keep it.
                Loaded::Session(entry) => match self.check_entry(&entry, ring, timeouts, host) {
                    CacheLookup::Person(person) => return Ok(SessionLookup::Person(person)),
                    CacheLookup::Missing(missing) => return Ok(SessionLookup::Missing(missing)),
                    // Another login of this person was admitted meanwhile and may have changed their
                    // name: the store is read again.
                    CacheLookup::Miss => {}
                },
            }
        }
        Ok(SessionLookup::Missing(NoSession::Ended))
    }

    fn look_up(
        &self,
        hash: &CookieHash,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
        host: &str,
    ) -> CacheLookup {
        let Some(entry) = self.cache.get(hash) else {
            return self
                .unknown
                .get(hash)
                .map_or(CacheLookup::Miss, CacheLookup::Missing);
        };
        let hit = self.check_entry(&entry, ring, timeouts, host);
        if matches!(
            hit,
            CacheLookup::Missing(NoSession::Ended) | CacheLookup::Miss
        ) {
            self.cache.invalidate(hash);
        }
        hit
    }

    /// Compares the epochs under which a session was loaded with the current ones.
    fn check_entry(
        &self,
        entry: &CachedSession,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
        host: &str,
    ) -> CacheLookup {
        if entry.ring_epoch != ring.epoch()
            || entry.generation != self.generation.load(Ordering::Acquire)
        {
            return CacheLookup::Miss;
        }
        let now = self.clock.now();
        let alive = !entry.state.has_ended()
            && entry.account.0.epoch.value() == entry.account.1
            && entry.connector.0.value() == entry.connector.1
            && self.everyone.value() == entry.everyone
            && entry.session.expires_at > now;
        if !alive {
            return CacheLookup::Missing(NoSession::Ended);
        }
        if entry.account.0.changes() != entry.changes {
            // Their old login may be another person's by now, and their groups may have changed.
            return CacheLookup::Miss;
        }
        if now.since(entry.state.used_at()) >= timeouts.idle_timeout {
            // Another process may have seen them: the store is asked.
            return CacheLookup::Miss;
        }
        if entry
            .host
            .is_some_and(|mark| mark != HostFingerprint::of(host))
        {
            return CacheLookup::Missing(NoSession::Unknown);
        }
        let every_ms = i64::try_from(timeouts.idle_timeout.as_millis() / 10).unwrap_or(i64::MAX);
        if entry.state.touch(now, every_ms) {
            // When the queue is full, the next use tries again.
            let _ = self.touches.try_send((entry.session.key, now));
        }
        let due = entry.tokens.as_ref().map(|state| state.due(now));
        CacheLookup::Person(Person {
            session: Arc::clone(&entry.session),
            entitlements: entry.identity.0.load_full(),
            confirmed_at: entry.confirmed_at,
            needs_new_cookie: !entry.signed_by_first_key,
            refresh_due: due.unwrap_or(RefreshDue::NotDue),
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
    pub async fn find_stored(&self, key: &SessionKey) -> Result<Option<StoredSession>, StoreError> {
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
    fn ensure_log_is_fresh(&self) -> Result<(), Arc<StoreError>> {
        if self.log_is_stale.load(Ordering::Relaxed) {
            return Err(Arc::new(StoreError::Outage {
                for_s: self.outage_grace.as_secs(),
            }));
        }
        Ok(())
    }
}
