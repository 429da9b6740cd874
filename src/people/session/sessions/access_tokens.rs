//! Access tokens in the session cache: the session that a token stands for is cached beside the sessions
//! of cookies, with the same epochs, so whatever ends sessions ends tokens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cached_session::{CachedSession, LoadEpochs};
use super::load::session_of;
use super::pending_revocations::RevocationRequest;
use super::{CachedSessionLookup, LOAD_ATTEMPTS_MAX, LoadResult, Loaded, NoSession, Sessions};
use crate::keys::KeyRing;
use crate::people::access_tokens::UsedAccessToken;
use crate::people::session::shared_state::{AccountState, SessionState};
use crate::people::session::{Person, RefreshDue};
use crate::store::{ConnectorId, SessionKey, StoreError, StoredAccessToken, Subject};

/// How long it is cached that a token does not exist. No token comes into being later: a token is random,
/// and an ended one stays ended.
pub(super) const UNKNOWN_TOKEN_TTL: Duration = Duration::from_secs(60);
/// The maximum number of such tokens.
pub(super) const UNKNOWN_TOKENS_MAX: u64 = 10_000;
/// The maximum number of concurrent loads from the store. Loads of sessions have permits of their own, so
/// a guesser of tokens does not delay them.
pub(super) const ACCESS_TOKEN_LOADS_MAX: usize = 16;
/// How often the last use of a token is written.
const TOUCH_EVERY_MS: i64 = 3_600_000;

/// The person of an access token.
#[derive(Clone, Debug)]
pub enum AccessTokenLookup {
    Person(Person),
    /// The token never existed, or it was ended.
    Unknown,
}

impl Sessions {
    /// Finds a token in the cache; `None` if only the store knows it.
    ///
    /// # Errors
    /// The log of revocations was not read for too long. The request must be refused.
    pub fn find_cached_access_token(
        &self,
        ring: &KeyRing,
        key: &SessionKey,
    ) -> Result<Option<AccessTokenLookup>, Arc<StoreError>> {
        let Some(entry) = self.cache.get(key.as_bytes()) else {
            let is_unknown = self.unknown_access_tokens.contains_key(key);
            return Ok(is_unknown.then_some(AccessTokenLookup::Unknown));
        };
        match self.use_access_token(&entry, ring) {
            CachedSessionLookup::Person(person) => {
                self.ensure_revocations_are_fresh()?;
                Ok(Some(AccessTokenLookup::Person(person)))
            }
            CachedSessionLookup::Missing(_) => {
                self.cache.invalidate(key.as_bytes());
                self.unknown_access_tokens.insert(*key, ());
                Ok(Some(AccessTokenLookup::Unknown))
            }
            CachedSessionLookup::Miss => {
                self.cache.invalidate(key.as_bytes());
                Ok(None)
            }
        }
    }

    /// Loads a token from the store, once for all requests that wait for it. Cancel-safe: a load continues
    /// for other waiting requests.
    ///
    /// # Errors
    /// The store failed. The request must be refused.
    pub async fn load_access_token(
        self: &Arc<Self>,
        ring: &Arc<KeyRing>,
        key: &SessionKey,
    ) -> Result<AccessTokenLookup, Arc<StoreError>> {
        for _ in 0..LOAD_ATTEMPTS_MAX {
            let load = self.access_token_loads.run((*key, ring.epoch()), || {
                let (sessions, ring, key) = (Arc::clone(self), Arc::clone(ring), *key);
                async move { sessions.read_access_token(&ring, &key).await }
            });
            let panicked = |_| {
                let record = "access token";
                Arc::new(StoreError::Damaged { record })
            };
            // Checked like a cache hit, because it may have been revoked during the load.
            match load.await.map_err(panicked)?? {
                Loaded::Missing(_) => return Ok(AccessTokenLookup::Unknown),
                Loaded::Session(entry) => match self.use_access_token(&entry, ring) {
                    CachedSessionLookup::Person(person) => {
                        return Ok(AccessTokenLookup::Person(person));
                    }
                    CachedSessionLookup::Missing(_) => return Ok(AccessTokenLookup::Unknown),
                    // The account changed during the load: load again.
                    CachedSessionLookup::Miss => {}
                },
            }
        }
        Ok(AccessTokenLookup::Unknown)
    }

    /// Ends all tokens of an identity, first in this process, then in the store; returns how many the store
    /// had. Searches the whole cache, so it is too slow for requests.
    ///
    /// # Errors
    /// The store failed. The tokens have still ended in this process, and the write is retried.
    pub(in crate::people) async fn end_access_tokens(
        &self,
        via: &ConnectorId,
        subject: &Subject,
    ) -> Result<usize, StoreError> {
        self.end_cached_access_tokens(via, subject);
        let request = RevocationRequest::AccessTokens(via.clone(), subject.clone());
        let ended = self.end(request).await?;
        Ok(ended.map_or(0, |entries| entries.len()))
    }

    pub(super) fn end_cached_access_tokens(&self, via: &ConnectorId, subject: &Subject) {
        for (_, entry) in &self.cache {
            let session = &entry.session;
            let is_token = entry.access_token.is_some();
            if is_token && session.via == *via && session.subject == *subject {
                entry.state.end();
            }
        }
        self.notify_changes();
    }

    /// Uses a cached token: compares its epochs and its end, and records the use.
    fn use_access_token(&self, entry: &CachedSession, ring: &KeyRing) -> CachedSessionLookup {
        let now = self.clock.now();
        if let Some(unusable) = self.why_unusable(entry, ring, now) {
            return unusable;
        }
        if entry.state.touch(now, TOUCH_EVERY_MS) {
            // If the queue is full, the next use tries again.
            let _ = self.access_token_touches.try_send((entry.session.key, now));
        }
        CachedSessionLookup::Person(Person {
            session: Arc::clone(&entry.session),
            entitlements: entry.identity.entitlements.load_full(),
            confirmed_at: entry.confirmed_at,
            needs_new_cookie: false,
            refresh_due: RefreshDue::NotDue,
            bearer_token: None,
            access_token: entry.access_token.clone(),
            token_state: None,
        })
    }

    async fn read_access_token(&self, ring: &KeyRing, key: &SessionKey) -> LoadResult {
        let _permit = self.access_token_load_permits.acquire().await;
        for _ in 0..LOAD_ATTEMPTS_MAX {
            let unknown_ends = self.pending.unknown_ends();
            let loaded = self.read_access_token_once(ring, key).await?;
            if self.pending.unknown_ends() == unknown_ends {
                return Ok(loaded);
            }
            // The token was read before it ended, and the response that named it was lost.
            self.cache.invalidate(key.as_bytes());
        }
        Ok(Loaded::Missing(NoSession::Unknown))
    }

    async fn read_access_token_once(&self, ring: &KeyRing, key: &SessionKey) -> LoadResult {
        // The shared state is taken before the token is read, so that a revocation during the load is not
        // missed. Which account it has is known only after a first read.
        let state = self
            .session_states
            .get_or_insert_with(*key, SessionState::default);
        let Some(account_id) = self.read_usable(key).await?.map(|it| it.session.account.id) else {
            self.unknown_access_tokens.insert(*key, ());
            return Ok(Loaded::Missing(NoSession::Unknown));
        };
        let account = self
            .accounts
            .get_or_insert_with(account_id, AccountState::default);
        let account_changes = account.changes();
        let generation = self.generation.load(Ordering::Acquire);
        let Some(found) = self.read_usable(key).await? else {
            self.unknown_access_tokens.insert(*key, ());
            return Ok(Loaded::Missing(NoSession::Unknown));
        };
        let entry =
            self.cached_access_token(found, ring, state, (account, account_changes, generation));
        let entry = Arc::new(entry.map_err(Arc::new)?);
        self.cache.insert(*key.as_bytes(), Arc::clone(&entry));
        // Checked after the insertion: a later request finds the token in the cache.
        let session = &entry.session;
        let is_pending = self
            .pending
            .ends_access_tokens_of(&session.via, &session.subject);
        if is_pending {
            entry.state.end();
        }
        Ok(Loaded::Session(entry))
    }

    /// Reads a token that is neither ended nor expired, and whose account is open.
    async fn read_usable(
        &self,
        key: &SessionKey,
    ) -> Result<Option<StoredAccessToken>, Arc<StoreError>> {
        let found = self.store.access_token(key).await.map_err(Arc::new)?;
        let now = self.clock.now();
        Ok(found.filter(|found| {
            !found.session.account.closed && found.session.session.expires_at > now
        }))
    }

    fn cached_access_token(
        &self,
        found: StoredAccessToken,
        ring: &KeyRing,
        state: Arc<SessionState>,
        (account, account_changes, generation): (Arc<AccountState>, u64, u64),
    ) -> Result<CachedSession, StoreError> {
        let StoredAccessToken {
            session: found,
            name,
            routes,
        } = found;
        let connector_epoch = self.connector_epoch(&found.session.connector);
        account.epoch.raise_to(found.account.epoch);
        connector_epoch.raise_to(found.connector_epoch);
        self.everyone.raise_to(found.everyone_epoch);
        state.set_stored_use(found.session.used_at);
        // A token confirms no person: otherwise its use would put off the next question to the source.
        let identity = self.identity_state(&found)?;
        let at_load = LoadEpochs {
            ring: ring.epoch(),
            account: found.account.epoch,
            account_changes,
            connector: found.connector_epoch,
            everyone: found.everyone_epoch,
            generation,
        };
        let session =
            session_of(found.session, found.account).map_err(|error| self.count_damage(error))?;
        Ok(CachedSession {
            host: None,
            confirmed_at: session.minted_at,
            signed_by_first_key: true,
            identity,
            state,
            tokens: None,
            access_token: Some(Arc::new(UsedAccessToken { name, routes })),
            account,
            connector_epoch,
            at_load,
            session: Arc::new(session),
        })
    }
}
