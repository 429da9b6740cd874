//! `Sessions`: finds, mints and revokes sessions. A cache hit compares epochs; a cache miss loads the
//! session from the store, once for all waiting requests.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use tokio::sync::{Semaphore, mpsc, watch};

use super::refresh::REFRESHES_MAX;
use super::shared_state::{AccountState, Epoch, IdentityState, SessionState, WeakMap};
use super::tokens::TokenState;
use crate::clock::{Clock, Timestamp};
use crate::keys;
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
mod lookup;
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
use lookup::{CachedSessionLookup, Loaded};
pub use lookup::{NoSession, SessionLookup};
pub use mint::{MintError, MintedSession, NewLogin, OneTimeSession};
use pending_revocations::PendingRevocations;
pub(in crate::people) use updates::differences;

/// How long it is cached that a validly signed cookie has no session.
const WITHOUT_SESSION_TTL: Duration = Duration::from_secs(2);
/// The maximum number of such cookies.
const WITHOUT_SESSION_MAX: u64 = 10_000;
/// The maximum number of concurrent loads from the store.
const LOADS_MAX: usize = 64;
/// How often a session or an access token is loaded at most, if it changes during each load.
const LOAD_ATTEMPTS_MAX: usize = 4;
/// How many uses may wait to be written. Further uses are dropped; the next use of the session tries again.
const TOUCHES_MAX: usize = 16_384;
/// How long a session stays in the cache without a use. It stays in the store.
const CACHE_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);

/// The most sessions of the console whose tokens are kept in memory.
const CONSOLE_TOKENS_MAX: u64 = 1_000;

/// The hash of the complete value of a cookie or an access token.
type CookieHash = [u8; 32];
/// The result of a load, shared by all requests with the same cookie or access token.
type LoadResult = Result<Loaded, Arc<StoreError>>;

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
}
