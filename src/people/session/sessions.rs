//! `Sessions`: finds, mints and revokes sessions. A cache hit compares epochs; a cache miss loads the
//! session from the store, once for all waiting requests.

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
use super::{Person, SessionTimeouts};
use crate::clock::{Clock, Timestamp};
use crate::keys::{self, KeyRing};
use crate::people::cookie::{self, COOKIE_BYTES_MAX, HostFingerprint};
use crate::single_flight::SingleFlight;
use crate::store::{
    AccessTokenOwner, AccountId, ConnectorId, ListedSession, SessionKey, SessionsQuery, Store,
    StoreError, StoredSession, Subject,
};

mod access_tokens;
mod background;
mod cached_session;
mod confirmations;
mod database_clock;
mod load;
mod mint;
mod pending_revocations;
mod revocation;
mod simulated;
mod stored_person;
mod updates;

pub use access_tokens::AccessTokenLookup;
use access_tokens::{ACCESS_TOKEN_LOADS_MAX, UNKNOWN_TOKEN_TTL, UNKNOWN_TOKENS_MAX};
use cached_session::CachedSession;
pub use confirmations::SourceQuestion;
pub use database_clock::ClockDifference;
pub use mint::{MintError, MintedSession, NewLogin, OneTimeSession};
use pending_revocations::PendingRevocations;
pub(in crate::people) use updates::differences;

/// How long it is cached that a validly signed cookie has no session.
const WITHOUT_SESSION_TTL: Duration = Duration::from_secs(2);
/// The maximum number of such cookies.
const WITHOUT_SESSION_MAX: u64 = 10_000;
/// The maximum number of concurrent loads from the store.
const LOADS_MAX: usize = 64;
/// How often a session is loaded at most, if it changes during each load.
const LOAD_ATTEMPTS_MAX: usize = 4;
/// How many uses may wait to be written. Further uses are dropped; the next use of the session tries again.
const TOUCHES_MAX: usize = 16_384;
/// After so long without a use a session is dropped from the cache, but not from the store.
const CACHE_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// The most sessions of the console whose tokens are kept in memory.
const CONSOLE_TOKENS_MAX: u64 = 1_000;

/// The hash of the complete value of a cookie or an access token.
type CookieHash = [u8; 32];
/// The result of a load, shared by all requests with the same cookie or access token.
type LoadResult = Result<Loaded, Arc<StoreError>>;

/// The result of [`Sessions::find`].
#[derive(Clone, Debug)]
pub enum SessionLookup {
    /// The session is valid.
    Person(Person),
    /// There is no session.
    Missing(NoSession),
}

/// Why a cookie has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// The cookie is forged, or valid only on another host.
    Unknown,
    /// The session has expired, was idle too long, or was ended.
    Ended,
}

/// The sessions and their cache. One per process; configuration reloads keep it.
pub struct Sessions {
    store: Arc<dyn Store>,
    clock: Clock,
    cache: Cache<CookieHash, Arc<CachedSession>>,
    /// Validly signed cookies without a session.
    without_session: Cache<CookieHash, NoSession>,
    /// By cookie and epoch of the key ring.
    loads: SingleFlight<(CookieHash, u64), LoadResult>,
    load_permits: Semaphore,
    /// The keys of access tokens that do not exist or were ended.
    unknown_access_tokens: Cache<SessionKey, ()>,
    access_token_loads: SingleFlight<(SessionKey, u64), LoadResult>,
    access_token_load_permits: Semaphore,
    /// The epoch of everyone, and those of the connectors.
    everyone: Epoch,
    connectors: RwLock<HashMap<ConnectorId, Arc<Epoch>>>,
    /// The state that cached sessions share.
    accounts: WeakMap<AccountId, AccountState>,
    identities: WeakMap<(ConnectorId, Subject), IdentityState>,
    session_states: WeakMap<SessionKey, SessionState>,
    tokens: WeakMap<SessionKey, TokenState>,
    /// Those of sessions of the console, which no cached session holds: when they are refreshed again after a
    /// failure is not to be forgotten between two requests.
    console_tokens: Cache<SessionKey, Arc<TokenState>>,
    /// Identifies this process in leases.
    pub(super) lease_holder: String,
    pub(super) refresh_permits: Semaphore,
    /// Uses of sessions that wait to be written to the store.
    touches: mpsc::Sender<(SessionKey, Timestamp)>,
    access_token_touches: mpsc::Sender<(SessionKey, Timestamp)>,
    /// Revocations that the store has not confirmed yet.
    pending: PendingRevocations,
    /// Notifies whenever a session may have ended.
    changes: watch::Sender<u64>,
    /// The last change of departments of each connector, as its number in the log.
    department_changes: watch::Sender<HashMap<ConnectorId, i64>>,
    /// The last announced change of the managed settings, as its number in the log.
    settings_changes: watch::Sender<i64>,
    /// Grows when all cached sessions must be reloaded.
    generation: AtomicU64,
    /// Whether the log of revocations could not be read for longer than `outage_grace`.
    revocations_are_stale: AtomicBool,
    outage_grace: Duration,
}

/// The result of a successful load.
#[derive(Clone)]
enum Loaded {
    Session(Arc<CachedSession>),
    Missing(NoSession),
}

/// The result of a cache lookup.
enum CachedSessionLookup {
    Person(Person),
    Missing(NoSession),
    /// The session must be loaded from the store.
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
    /// Reads the epochs and starts the background tasks, which end when this is dropped.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Clock,
        cached_sessions_max: u64,
        outage_grace: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        let now = store.epochs().await?;
        let (touches, touches_receiver) = mpsc::channel(TOUCHES_MAX);
        let (access_token_touches, access_token_touches_receiver) = mpsc::channel(TOUCHES_MAX);
        let connectors = now.connectors.iter().map(|(id, number)| {
            let epoch = Epoch::default();
            epoch.raise_to(*number);
            (id.clone(), Arc::new(epoch))
        });
        let sessions = Arc::new(Self {
            store,
            clock,
            cache: Cache::builder()
                .max_capacity(cached_sessions_max)
                .time_to_idle(CACHE_IDLE_TIMEOUT)
                .build(),
            without_session: Cache::builder()
                .max_capacity(WITHOUT_SESSION_MAX)
                .time_to_live(WITHOUT_SESSION_TTL)
                .build(),
            loads: SingleFlight::default(),
            load_permits: Semaphore::new(LOADS_MAX),
            unknown_access_tokens: Cache::builder()
                .max_capacity(UNKNOWN_TOKENS_MAX)
                .time_to_live(UNKNOWN_TOKEN_TTL)
                .build(),
            access_token_loads: SingleFlight::default(),
            access_token_load_permits: Semaphore::new(ACCESS_TOKEN_LOADS_MAX),
            everyone: Epoch::default(),
            connectors: RwLock::new(connectors.collect()),
            accounts: WeakMap::default(),
            identities: WeakMap::default(),
            session_states: WeakMap::default(),
            tokens: WeakMap::default(),
            console_tokens: Cache::builder()
                .max_capacity(CONSOLE_TOKENS_MAX)
                .time_to_idle(CACHE_IDLE_TIMEOUT)
                .build(),
            lease_holder: URL_SAFE_NO_PAD.encode(keys::random::<16>()),
            refresh_permits: Semaphore::new(REFRESHES_MAX),
            touches,
            access_token_touches,
            pending: PendingRevocations::default(),
            changes: watch::Sender::new(0),
            department_changes: watch::Sender::default(),
            settings_changes: watch::Sender::default(),
            generation: AtomicU64::new(0),
            revocations_are_stale: AtomicBool::new(false),
            outage_grace,
        });
        sessions.everyone.raise_to(now.everyone);
        background::start(
            &sessions,
            (touches_receiver, access_token_touches_receiver),
            now.log_position,
        );
        Ok(sessions)
    }

    /// Finds the session of a cookie on a host: in the cache by the hash of the whole cookie value, which
    /// needs no signature check, otherwise in the store. Cancel-safe: a load continues for other waiting
    /// requests.
    ///
    /// # Errors
    /// The store failed, or its log of revocations was not read for too long. The request must be refused.
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
        match self.find_cached(&hash, ring, timeouts, host) {
            CachedSessionLookup::Person(person) => {
                self.ensure_revocations_are_fresh()?;
                return Ok(SessionLookup::Person(person));
            }
            CachedSessionLookup::Missing(missing) => return Ok(SessionLookup::Missing(missing)),
            CachedSessionLookup::Miss => {}
        }
        // A forged cookie causes no load from the store.
        let Some(verified) = cookie::verify(ring, value) else {
            return Ok(SessionLookup::Missing(NoSession::Unknown));
        };
        if verified.claims.expires_at <= self.clock.now() {
            return Ok(SessionLookup::Missing(NoSession::Ended));
        }
        for _ in 0..LOAD_ATTEMPTS_MAX {
            let load = self.load(hash, &verified, ring, timeouts).await;
            let load_panicked = |_| Arc::new(StoreError::Damaged { record: "session" });
            match load.map_err(load_panicked)?? {
                Loaded::Missing(missing) => return Ok(SessionLookup::Missing(missing)),
                // Checked like a cache hit, because it may have been revoked during the load. The cache
                // is not read again: it may have evicted the session.
                Loaded::Session(entry) => match self.use_entry(&entry, ring, timeouts, host) {
                    CachedSessionLookup::Person(person) => {
                        return Ok(SessionLookup::Person(person));
                    }
                    CachedSessionLookup::Missing(missing) => {
                        return Ok(SessionLookup::Missing(missing));
                    }
                    // The session changed during the load, for example by another login of the person.
                    CachedSessionLookup::Miss => {}
                },
            }
        }
        Ok(SessionLookup::Missing(NoSession::Ended))
    }

    fn find_cached(
        &self,
        hash: &CookieHash,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
        host: &str,
    ) -> CachedSessionLookup {
        let Some(entry) = self.cache.get(hash) else {
            return self
                .without_session
                .get(hash)
                .map_or(CachedSessionLookup::Miss, CachedSessionLookup::Missing);
        };
        let found = self.use_entry(&entry, ring, timeouts, host);
        if matches!(
            found,
            CachedSessionLookup::Missing(NoSession::Ended) | CachedSessionLookup::Miss
        ) {
            self.cache.invalidate(hash);
        }
        found
    }

    /// Uses a cached session: compares its epochs, times and host, and records the use. The signature of
    /// the cookie was verified when the entry was loaded under the same key ring.
    fn use_entry(
        &self,
        entry: &CachedSession,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
        host: &str,
    ) -> CachedSessionLookup {
        let now = self.clock.now();
        if let Some(unusable) = self.why_unusable(entry, ring, now) {
            return unusable;
        }
        if now.since(entry.state.used_at()) >= timeouts.idle_timeout {
            // Another process may have used the session: load it again.
            return CachedSessionLookup::Miss;
        }
        if entry
            .host
            .is_some_and(|fingerprint| fingerprint != HostFingerprint::of(host))
        {
            return CachedSessionLookup::Missing(NoSession::Unknown);
        }
        // In the store the last use may be late by a tenth of the idle timeout.
        let write_every_ms =
            i64::try_from(timeouts.idle_timeout.as_millis() / 10).unwrap_or(i64::MAX);
        if entry.state.touch(now, write_every_ms) {
            // If the queue is full, the next use tries again.
            let _ = self.touches.try_send((entry.session.key, now));
        }
        let due = entry.tokens.as_ref().map(|state| state.due(now));
        CachedSessionLookup::Person(Person {
            session: Arc::clone(&entry.session),
            entitlements: entry.identity.entitlements.load_full(),
            confirmed_at: entry.confirmed_at,
            needs_new_cookie: !entry.signed_by_first_key,
            refresh_due: due.unwrap_or(RefreshDue::NotDue),
            bearer_token: None,
            access_token: None,
            token_state: entry.tokens.clone(),
        })
    }

    /// Compares the epochs and the end of a cached entry; `None` if they allow its use.
    #[inline]
    fn why_unusable(
        &self,
        entry: &CachedSession,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Option<CachedSessionLookup> {
        let at_load = &entry.at_load;
        if at_load.ring != ring.epoch()
            || at_load.generation != self.generation.load(Ordering::Acquire)
        {
            return Some(CachedSessionLookup::Miss);
        }
        let is_valid = !entry.state.has_ended()
            && entry.account.epoch.value() == at_load.account
            && entry.connector_epoch.value() == at_load.connector
            && self.everyone.value() == at_load.everyone
            && entry.session.expires_at > now;
        if !is_valid {
            return Some(CachedSessionLookup::Missing(NoSession::Ended));
        }
        // The login name may belong to another account now, and the groups may have changed.
        (entry.account.changes() != at_load.account_changes).then_some(CachedSessionLookup::Miss)
    }

    /// The epochs of the connector and of everyone, for a login that begins now.
    pub fn epochs_of(&self, connector: &ConnectorId) -> (u64, u64) {
        let connector = self.connector_epoch(connector);
        (connector.number(), self.everyone.number())
    }

    fn connector_epoch(&self, connector: &ConnectorId) -> Arc<Epoch> {
        let epochs = self
            .connectors
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(epoch) = epochs.get(connector) {
            return Arc::clone(epoch);
        }
        drop(epochs);
        let mut epochs = self
            .connectors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(epochs.entry(connector.clone()).or_default())
    }

    /// Changes whenever a session may have ended, so that open streams and tunnels are authorized again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Loads a session from the store, even if it has expired; `None` if it was ended.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn find_stored(&self, key: &SessionKey) -> Result<Option<StoredSession>, StoreError> {
        self.store.session(key).await
    }

    /// The sessions that match, newest first.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn list(&self, query: &SessionsQuery) -> Result<Vec<ListedSession>, StoreError> {
        self.store.sessions(query).await
    }

    /// The subjects of a connector that have sessions, each with the provider sessions to which these belong.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn subjects_with_sessions(
        &self,
        connector: &ConnectorId,
    ) -> Result<Vec<(Subject, Option<String>)>, StoreError> {
        self.store.subjects_with_sessions(connector).await
    }

    /// The access tokens of a connector that nobody ended, with their people.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn access_token_owners(
        &self,
        connector: &ConnectorId,
    ) -> Result<Vec<AccessTokenOwner>, StoreError> {
        self.store.access_token_owners(connector).await
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The number of cached sessions. Runs pending cache maintenance first, so it is too slow for requests.
    pub fn cached(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    /// Fails if the log of revocations was not read for too long: another process may have revoked a cached
    /// session.
    fn ensure_revocations_are_fresh(&self) -> Result<(), Arc<StoreError>> {
        if self.revocations_are_stale.load(Ordering::Relaxed) {
            return Err(Arc::new(StoreError::Outage {
                for_s: self.outage_grace.as_secs(),
            }));
        }
        Ok(())
    }
}
