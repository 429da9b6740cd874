//! Loads a session from the store, once for all requests that wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::cached_session::{CachedSession, LoadEpochs};
use super::{CookieHash, LOAD_ATTEMPTS_MAX, LoadResult, Loaded, NoSession, Sessions};
use crate::expression::Document;
use crate::keys::KeyRing;
use crate::people::cookie::VerifiedCookie;
use crate::people::profile::AuthContext;
use crate::people::session::shared_state::{AccountState, SessionState};
use crate::people::session::{Session, SessionTimeouts};
use crate::single_flight::PendingCall;
use crate::store::{Account, SessionRecord, StoreError, StoredSession};

impl Sessions {
    /// Loads a session once for all requests with the same cookie, in its own task.
    pub(super) fn load(
        self: &Arc<Self>,
        hash: CookieHash,
        verified: &VerifiedCookie,
        ring: &Arc<KeyRing>,
        timeouts: &SessionTimeouts,
    ) -> PendingCall<LoadResult> {
        self.loads.run((hash, ring.epoch()), || {
            let (sessions, verified) = (Arc::clone(self), verified.clone());
            let (ring, timeouts) = (Arc::clone(ring), *timeouts);
            async move {
                sessions
                    .load_from_store(hash, &verified, &ring, &timeouts)
                    .await
            }
        })
    }

    async fn load_from_store(
        &self,
        hash: CookieHash,
        verified: &VerifiedCookie,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
    ) -> LoadResult {
        let _permit = self.load_permits.acquire().await;
        for _ in 0..LOAD_ATTEMPTS_MAX {
            let unknown_ends = self.pending.unknown_ends();
            let loaded = self.load_once(hash, verified, ring, timeouts).await?;
            if self.pending.unknown_ends() == unknown_ends {
                return Ok(loaded);
            }
            // The session was read before a logout at a provider ended it, and the response that named it
            // was lost.
            self.cache.invalidate(&hash);
        }
        Ok(Loaded::Missing(NoSession::Ended))
    }

    async fn load_once(
        &self,
        hash: CookieHash,
        verified: &VerifiedCookie,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
    ) -> LoadResult {
        let key = verified.claims.sid.key();
        // The shared state is taken first, so that a revocation during the load is not missed.
        let state = self
            .session_states
            .get_or_insert_with(key, SessionState::default);
        let account = self
            .accounts
            .get_or_insert_with(verified.claims.account, AccountState::default);
        let account_changes = account.changes();
        let generation = self.generation.load(Ordering::Acquire);
        let stored = self.store.session(&key).await.map_err(Arc::new)?;
        let Some(stored) = stored.filter(|stored| stored.account.id == verified.claims.account)
        else {
            self.without_session.insert(hash, NoSession::Ended);
            return Ok(Loaded::Missing(NoSession::Ended));
        };
        let now = self.clock.now();
        state.set_stored_use(stored.session.used_at);
        let is_idle = now.since(state.used_at()) >= timeouts.idle_timeout;
        if stored.account.closed || stored.session.expires_at <= now || is_idle {
            self.without_session.insert(hash, NoSession::Ended);
            return Ok(Loaded::Missing(NoSession::Ended));
        }
        let record = stored.session.clone();
        let entry = self
            .cached_session(
                stored,
                verified,
                ring,
                state,
                (account, account_changes, generation),
            )
            .map_err(Arc::new)?;
        let entry = Arc::new(entry);
        self.cache.insert(hash, Arc::clone(&entry));
        // Checked after the insertion: a later revocation finds the session in the cache.
        if self.pending.includes(&record) {
            entry.state.end();
        }
        Ok(Loaded::Session(entry))
    }

    fn cached_session(
        &self,
        stored: StoredSession,
        verified: &VerifiedCookie,
        ring: &KeyRing,
        state: Arc<SessionState>,
        (account, account_changes, generation): (Arc<AccountState>, u64, u64),
    ) -> Result<CachedSession, StoreError> {
        let connector_epoch = self.connector_epoch(&stored.session.connector);
        account.epoch.raise_to(stored.account.epoch);
        connector_epoch.raise_to(stored.connector_epoch);
        self.everyone.raise_to(stored.everyone_epoch);
        let identity = self.confirmed_identity_state(&stored)?;
        let tokens = self.token_state(&stored, ring);
        let at_load = LoadEpochs {
            ring: ring.epoch(),
            account: stored.account.epoch,
            account_changes,
            connector: stored.connector_epoch,
            everyone: stored.everyone_epoch,
            generation,
        };
        let session =
            session_of(stored.session, stored.account).map_err(|error| self.count_damage(error))?;
        let session = Arc::new(session);
        Ok(CachedSession {
            session,
            host: verified.claims.host,
            confirmed_at: verified.claims.confirmed_at,
            signed_by_first_key: verified.signed_by_first_key,
            identity,
            state,
            tokens,
            access_token: None,
            account,
            connector_epoch,
            at_load,
        })
    }
}

/// Converts a stored session and its account.
pub(super) fn session_of(record: SessionRecord, account: Account) -> Result<Session, StoreError> {
    let auth_context: AuthContext = serde_json::from_str(&record.auth_context)
        .map_err(|_| StoreError::Damaged { record: "session" })?;
    Ok(Session {
        public_id: record.public_id,
        key: record.key,
        account: record.account,
        login: account.login,
        via: record.connector,
        subject: record.subject,
        provider_sid: record.provider_sid,
        amr: Document::from(&serde_json::json!(auth_context.amr)),
        auth_context,
        minted_at: record.minted_at,
        expires_at: record.expires_at,
    })
}
