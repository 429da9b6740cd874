//! Updates cached sessions after a load, a refresh, or another login of the person.

use std::sync::Arc;

use super::Sessions;
use crate::keys::KeyRing;
use crate::people::profile::UserFields;
use crate::people::session::shared_state::IdentityState;
use crate::people::session::tokens::TokenState;
use crate::people::session::{Entitlements, Session};
use crate::store::{AdmittedIdentity, ConnectorId, SessionKey, StoreError, StoredSession, Subject};

impl Sessions {
    /// The shared state of the identity of a session, which the source confirmed when the session began.
    pub(super) fn confirmed_identity_state(
        &self,
        stored: &StoredSession,
    ) -> Result<Arc<IdentityState>, StoreError> {
        let state = self.identity_state(stored)?;
        state.confirm(stored.session.minted_at);
        Ok(state)
    }

    /// The shared state of the identity, updated with the entitlements of `stored` unless it has newer
    /// ones.
    pub(super) fn identity_state(
        &self,
        stored: &StoredSession,
    ) -> Result<Arc<IdentityState>, StoreError> {
        let fresh = entitlements_of(stored).map_err(|error| self.count_damage(error))?;
        let fresh = Arc::new(fresh);
        let key = (
            stored.session.connector.clone(),
            stored.session.subject.clone(),
        );
        let state = self
            .identities
            .get_or_insert_with(key, || IdentityState::new(Arc::clone(&fresh)));
        state.replace_unless_older(&fresh);
        Ok(state)
    }

    /// The shared state of the session's tokens, updated with those of `stored` unless it has newer ones.
    pub(super) fn token_state(
        &self,
        stored: &StoredSession,
        ring: &KeyRing,
    ) -> Option<Arc<TokenState>> {
        let stored_tokens = stored.tokens.as_ref()?;
        let key = stored.session.key;
        let state = self.tokens.get_or_insert_with(key, TokenState::default);
        state.adopt_stored(ring, &key, stored_tokens);
        if state.tokens().is_none() {
            let session = stored.session.public_id;
            tracing::warn!(%session, "the session's tokens cannot be opened with the current keys: it continues without them");
        }
        Some(state)
    }

    /// Updates the entitlements of an identity after another login, if it has cached sessions.
    pub(crate) fn update_after_login(
        &self,
        via: &ConnectorId,
        subject: &Subject,
        admitted: &AdmittedIdentity,
        fields: &UserFields,
    ) {
        let AdmittedIdentity {
            account,
            entitlements_epoch,
        } = admitted;
        let state = self.identities.get(&(via.clone(), subject.clone()));
        let is_known = state.as_ref().is_some_and(|state| {
            let known = state.entitlements.load();
            known.login == account.login && known.local == account.local
        });
        if let Some(account_state) = self.accounts.get(&account.id).filter(|_| !is_known) {
            // Every session of the account has a copy of the login name and of what menshen itself gives the
            // person: they are loaded again.
            account_state.mark_changed();
        }
        if let Some(state) = state {
            let (login, local) = (&account.login, account.local.as_ref());
            let (fields, epoch) = (fields.clone(), *entitlements_epoch);
            let fresh = Entitlements::new(account.id, login, local, via, fields, epoch);
            state.replace_after_write(&Arc::new(fresh));
        }
    }

    /// Updates the entitlements of a person after a refresh; returns the names of the changed fields.
    ///
    /// `epoch` is the version of the fields in the store; without one it is guessed.
    pub(in crate::people::session) fn update_after_refresh(
        &self,
        session: &Session,
        fields: &UserFields,
        epoch: Option<u64>,
    ) -> Vec<String> {
        let key = (session.via.clone(), session.subject.clone());
        let Some(state) = self.identities.get(&key) else {
            return Vec::new();
        };
        let before = state.entitlements.load_full();
        state.replace_fields(|current| {
            let (login, local) = (&current.login, current.local.as_ref());
            let (account, fields, via) = (session.account, fields.clone(), &session.via);
            match epoch {
                Some(epoch) => Entitlements::new(account, login, local, via, fields, epoch),
                None => {
                    let epoch = current.next_guessed_epoch(&fields);
                    Entitlements::new(account, login, local, via, fields, epoch).into_guess()
                }
            }
        });
        let changed = differences(before.source_fields(), fields);
        if !changed.is_empty() {
            // Open tunnels are checked again.
            self.notify_changes();
        }
        changed
    }

    /// Updates a session from the store after another process refreshed it.
    pub(in crate::people::session) fn adopt_stored(
        &self,
        stored: &StoredSession,
        ring: &KeyRing,
    ) -> Result<(), StoreError> {
        let identity = (
            stored.session.connector.clone(),
            stored.session.subject.clone(),
        );
        let before = self.identities.get(&identity);
        let before = before.map(|state| state.entitlements.load().epoch);
        let after = self.confirmed_identity_state(stored)?;
        self.token_state(stored, ring);
        if before.is_some_and(|before| before < after.entitlements.load().epoch) {
            self.notify_changes();
        }
        Ok(())
    }

    /// Ends a session in this process that is no longer in the store.
    pub(in crate::people::session) fn end_locally(&self, key: &SessionKey) {
        if let Some(state) = self.session_states.get(key) {
            state.end();
            self.notify_changes();
        }
    }

    /// Counts a damaged record; returns other errors unchanged.
    pub(super) fn count_damage(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Damaged { record } => self.store.report_damaged(record),
            error => error,
        }
    }

    pub(super) fn notify_changes(&self) {
        self.changes.send_modify(|number| *number += 1);
    }
}

/// Converts the stored entitlements of a session.
pub(super) fn entitlements_of(stored: &StoredSession) -> Result<Entitlements, StoreError> {
    let fields: UserFields = serde_json::from_str(&stored.entitlements)
        .map_err(|_| StoreError::Damaged { record: "identity" })?;
    Ok(Entitlements::new(
        stored.account.id,
        &stored.account.login,
        stored.account.local.as_ref(),
        &stored.session.connector,
        fields,
        stored.entitlements_epoch,
    ))
}

/// The names of the fields that differ. Their values are personal data and are not logged.
pub(in crate::people) fn differences(before: &UserFields, after: &UserFields) -> Vec<String> {
    let object = |fields| match serde_json::to_value(fields) {
        Ok(serde_json::Value::Object(object)) => object,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let (before, after) = (object(before), object(after));
    let names = before.keys().chain(after.keys());
    let mut changed: Vec<_> = names
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect();
    changed.sort_unstable();
    changed.dedup();
    changed
}
