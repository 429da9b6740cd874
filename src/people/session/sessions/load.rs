//! Loading: a session that is not in memory is read once for all who wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{CookieHash, Entry, Load, Loaded, Missing, Sessions};
use crate::expression::Document;
use crate::keys::KeyRing;
use crate::people::cookie::Verified;
use crate::people::profile::Proof;
use crate::people::session::cell::{AccountCell, SessionCell};
use crate::people::session::{Session, Terms};
use crate::single_flight::PendingCall;
use crate::store::{Account, SessionRecord, StoreError, StoredSession};

impl Sessions {
    /// Loads a session once for all requests with the same cookie, in a task of its own.
    pub(super) fn load(
        self: &Arc<Self>,
        hash: CookieHash,
        verified: &Verified,
        ring: &Arc<KeyRing>,
        terms: &Terms,
    ) -> PendingCall<Load> {
        self.loads.run((hash, ring.epoch()), || {
            let (this, verified) = (Arc::clone(self), verified.clone());
            let (ring, terms) = (Arc::clone(ring), *terms);
            async move { this.read(hash, &verified, &ring, &terms).await }
        })
    }

    async fn read(
        &self,
        hash: CookieHash,
        verified: &Verified,
        ring: &KeyRing,
        terms: &Terms,
    ) -> Load {
        let _permit = self.load_permits.acquire().await;
        let key = verified.handle.sid.key();
        // The cells are taken before the store is read, so that a revocation meanwhile is seen.
        let cell = self.live.of(key, SessionCell::default);
        let account = self
            .accounts
            .of(verified.handle.account, AccountCell::default);
        let changes = account.changes();
        let generation = self.generation.load(Ordering::Acquire);
        let found = self.store.session(&key).await.map_err(Arc::new)?;
        let Some(found) = found.filter(|found| found.account.id == verified.handle.account) else {
            self.unknown.insert(hash, Missing::Over);
            return Ok(Loaded::Missing(Missing::Over));
        };
        let now = self.clock.now();
        cell.stored(found.session.used_at);
        let idle = now.since(cell.used_at()) >= terms.idle_timeout;
        if found.account.closed || found.session.expires_at <= now || idle {
            self.unknown.insert(hash, Missing::Over);
            return Ok(Loaded::Missing(Missing::Over));
        }
        let record = found.session.clone();
        let entry = self
            .entry(found, verified, ring, cell, (account, changes, generation))
            .map_err(Arc::new)?;
        let entry = Arc::new(entry);
        self.cache.insert(hash, Arc::clone(&entry));
        // Checked after it is in memory: an ending that comes later finds it there.
        if self.pending.ends(&record) {
            entry.cell.end();
        }
        Ok(Loaded::Entry(entry))
    }

    fn entry(
        &self,
        found: StoredSession,
        verified: &Verified,
        ring: &KeyRing,
        cell: Arc<SessionCell>,
        (account, changes, generation): (Arc<AccountCell>, u64, u64),
    ) -> Result<Entry, StoreError> {
        let connector = self.connector_epoch(&found.session.connector);
        account.epoch.raise_to(found.account.epoch);
        connector.raise_to(found.connector_epoch);
        self.everyone.raise_to(found.everyone_epoch);
        let identity = self.identity(&found)?;
        let tokens = self.tokens(&found, ring);
        let numbers = (
            found.account.epoch,
            found.connector_epoch,
            found.everyone_epoch,
        );
        let session =
            session_of(found.session, found.account).map_err(|error| self.counted(error))?;
        let session = Arc::new(session);
        Ok(Entry {
            session,
            host: verified.handle.host,
            asked_at: verified.handle.issued_at,
            by_signer: verified.by_signer,
            ring_epoch: ring.epoch(),
            identity,
            cell,
            tokens,
            account: (account, numbers.0),
            changes,
            connector: (connector, numbers.1),
            everyone: numbers.2,
            generation,
        })
    }
}

/// A session as the store keeps it, with the login of its account.
pub(super) fn session_of(record: SessionRecord, account: Account) -> Result<Session, StoreError> {
    let proof: Proof = serde_json::from_str(&record.facts)
        .map_err(|_| StoreError::Damaged { record: "session" })?;
    Ok(Session {
        public_id: record.public_id,
        key: record.key,
        account: record.account,
        login: account.login,
        via: record.connector,
        subject: record.subject,
        provider_sid: record.provider_sid,
        amr: Document::from(&serde_json::json!(proof.amr)),
        proof,
        minted_at: record.minted_at,
        expires_at: record.expires_at,
    })
}
