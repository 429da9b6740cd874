//! Updates of sessions in memory: by a load, by another login of the person, by a refresh.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Sessions;
use crate::keys::KeyRing;
use crate::people::profile::Fields;
use crate::people::session::cell::IdentityCell;
use crate::people::session::tokens::TokenCell;
use crate::people::session::{Entitlements, Session};
use crate::store::{Account, ConnectorId, SessionKey, StoreError, StoredSession, Subject};

impl Sessions {
    /// The cell of a session's identity, at least as new as what was found.
    pub(super) fn identity(&self, found: &StoredSession) -> Result<Arc<IdentityCell>, StoreError> {
        let fresh = entitlements_of(found).map_err(|error| self.counted(error))?;
        let fresh = Arc::new(fresh);
        let key = (
            found.session.connector.clone(),
            found.session.subject.clone(),
        );
        let cell = self
            .identities
            .of(key, || IdentityCell(ArcSwap::new(Arc::clone(&fresh))));
        cell.at_least(&fresh);
        Ok(cell)
    }

    /// The cell of a session's tokens, at least as new as what was found.
    pub(super) fn tokens(&self, found: &StoredSession, ring: &KeyRing) -> Option<Arc<TokenCell>> {
        let stored = found.tokens.as_ref()?;
        let key = found.session.key;
        let cell = self.tokens.of(key, TokenCell::default);
        cell.read(ring, &key, stored);
        if cell.tokens().is_none() {
            let session = found.session.public_id;
            tracing::warn!(%session, "the session's tokens cannot be opened with the current keys: it continues without them");
        }
        Some(cell)
    }

    /// Updates the entitlements of an identity that has sessions in memory, after another login.
    pub(crate) fn logged_in(
        &self,
        via: &ConnectorId,
        subject: &Subject,
        account: &Account,
        fields: &Fields,
    ) {
        let cell = self.identities.known(&(via.clone(), subject.clone()));
        let current = cell.as_ref().map(|cell| cell.0.load());
        let same_login = current.as_ref().is_some_and(|it| it.login == account.login);
        let same = same_login && current.as_ref().is_some_and(|it| it.fields == *fields);
        if let Some(known) = self.accounts.known(&account.id).filter(|_| !same) {
            // Their sessions are read again. The store may have written the fields of a refresh before
            // or after these: only it knows which are the last.
            known.may_have_changed();
        }
        let (Some(cell), Some(current)) = (&cell, current) else {
            return;
        };
        if !same {
            let epoch = current.guess_next(fields);
            let fresh = Entitlements::new(account.id, &account.login, via, fields.clone(), epoch);
            cell.0.store(Arc::new(fresh.guessed()));
        }
    }

    /// Updates the entitlements of a person after a refresh; answers the names of the fields that
    /// changed.
    ///
    /// `epoch` is the version that the store gave the fields; without one it is guessed.
    pub(in crate::people::session) fn refreshed(
        &self,
        session: &Session,
        fields: &Fields,
        epoch: Option<u64>,
    ) -> Vec<String> {
        let key = (session.via.clone(), session.subject.clone());
        let Some(cell) = self.identities.known(&key) else {
            return Vec::new();
        };
        let before = cell.0.load_full();
        let (account, login) = (session.account, &before.login);
        let numbered =
            |epoch| Entitlements::new(account, login, &session.via, fields.clone(), epoch);
        let fresh = match epoch {
            Some(epoch) => numbered(epoch),
            None => numbered(before.guess_next(fields)).guessed(),
        };
        cell.refreshed(&Arc::new(fresh));
        let changed = differences(&before.fields, fields);
        if !changed.is_empty() {
            // Open tunnels are judged again.
            self.changed();
        }
        changed
    }

    /// Updates a session after another process refreshed it.
    pub(in crate::people::session) fn overtaken_by(
        &self,
        found: &StoredSession,
        ring: &KeyRing,
    ) -> Result<(), StoreError> {
        let identity = (
            found.session.connector.clone(),
            found.session.subject.clone(),
        );
        let before = self.identities.known(&identity);
        let before = before.map(|cell| cell.0.load().epoch);
        let after = self.identity(found)?;
        self.tokens(found, ring);
        if before.is_some_and(|before| before < after.0.load().epoch) {
            self.changed();
        }
        Ok(())
    }

    /// Ends a session here that the store no longer has.
    pub(in crate::people::session) fn is_over(&self, key: &SessionKey) {
        if let Some(cell) = self.live.known(key) {
            cell.end();
            self.changed();
        }
    }

    /// Counts a record that cannot be read.
    pub(super) fn counted(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Damaged { record } => self.store.report_damaged(record),
            error => error,
        }
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|number| *number += 1);
    }
}

/// The entitlements of a session, as the store keeps them.
pub(super) fn entitlements_of(found: &StoredSession) -> Result<Entitlements, StoreError> {
    let fields: Fields = serde_json::from_str(&found.entitlements)
        .map_err(|_| StoreError::Damaged { record: "identity" })?;
    Ok(Entitlements::new(
        found.account.id,
        &found.account.login,
        &found.session.connector,
        fields,
        found.entitlements_epoch,
    ))
}

/// The names of the fields that differ; never their values, which are personal.
fn differences(before: &Fields, after: &Fields) -> Vec<String> {
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
