//! Revokes sessions for a person, an administrator, a provider or another process.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::Sessions;
use super::pending_revocations::RevocationRequest;
use crate::clock::Timestamp;
use crate::store::{
    AccountId, Closing, ConnectorId, LogPosition, LogoutTarget, Reopening, Revocation,
    RevocationPage, RevocationScope, SessionId, SessionKey, StoreError, Subject, SubjectRename,
    SubjectRenameOutcome,
};
use crate::telemetry::error_chain;

impl Sessions {
    /// Revokes sessions in memory, with their open tunnels, and in the store.
    ///
    /// # Errors
    /// The store failed. The sessions have still ended in this process, and the write is retried until it
    /// succeeds.
    pub async fn revoke(&self, scope: &RevocationScope) -> Result<(), StoreError> {
        self.end(RevocationRequest::Revoke(scope.clone()))
            .await
            .map(drop)
    }

    /// Whether menshen has a session that belongs to this session of the provider.
    pub async fn has_provider_session(
        &self,
        connector: &ConnectorId,
        provider_sid: &str,
    ) -> Result<bool, StoreError> {
        self.store
            .has_provider_session(connector, provider_sid)
            .await
    }

    /// Applies a logout at a provider: ends the matching sessions, and until `until` refuses sessions of
    /// matching logins that began before the logout. Returns the number of ended sessions; `None` if
    /// `message_id` was used before.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub async fn apply_provider_logout(
        &self,
        connector: &ConnectorId,
        target: &LogoutTarget,
        message_id: Option<&[u8; 32]>,
        until: Timestamp,
    ) -> Result<Option<usize>, StoreError> {
        let request = RevocationRequest::ProviderLogout {
            connector: connector.clone(),
            target: target.clone(),
            message_id: message_id.copied(),
            until,
        };
        let ended = self.end(request).await?;
        Ok(ended.map(|entries| entries.len()))
    }

    /// Ends the sessions and access tokens of an identity, and until `until` refuses sessions of its logins that
    /// began before. Returns how many ended.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub(in crate::people) async fn end_identity(
        &self,
        via: &ConnectorId,
        subject: &Subject,
        until: Timestamp,
    ) -> Result<usize, StoreError> {
        let target = LogoutTarget::Subject(subject.clone());
        let ended = self.apply_provider_logout(via, &target, None, until).await;
        // After the sessions, because a session makes tokens as long as it lasts. Both have ended in this
        // process even if the store failed, and both writes are retried.
        let tokens = self.end_access_tokens(via, subject).await;
        Ok(ended?.unwrap_or(0) + tokens?)
    }

    /// The key of the session with this public ID. If the store fails, searches the cache.
    pub async fn session_key(
        &self,
        public_id: &SessionId,
    ) -> Result<Option<SessionKey>, StoreError> {
        let error = match self.store.session_key(public_id).await {
            Ok(key) => return Ok(key),
            Err(error) => error,
        };
        let mut cached = self.cache.iter().map(|(_, entry)| entry);
        let found = cached.find(|entry| entry.session.public_id == *public_id);
        found.map_or(Err(error), |entry| Ok(Some(entry.session.key)))
    }

    /// Closes an account and ends its sessions; false if it does not exist.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub(in crate::people) async fn close_account(
        &self,
        account: &AccountId,
        closing: &Closing,
    ) -> Result<bool, StoreError> {
        let request = RevocationRequest::CloseAccount(*account, closing.clone());
        Ok(self.end(request).await?.is_some())
    }

    /// Reopens an account; `None` if it does not exist.
    ///
    /// # Errors
    /// The store failed: the account stays closed.
    pub(in crate::people) async fn reopen_account(
        &self,
        account: &AccountId,
        by: &str,
    ) -> Result<Option<Reopening>, StoreError> {
        let now = self.clock.now();
        let Some(reopening) = self.store.reopen_account(account, by, now).await? else {
            return Ok(None);
        };
        self.apply(&reopening.log_position);
        // A pending closure would close the account again, so it is removed; the sessions that it ended
        // stay ended.
        for closing in self.pending.closings_of(account) {
            let scope = RevocationScope::Account(*account);
            let ended = self.end(RevocationRequest::Revoke(scope)).await;
            self.remove(&closing);
            ended?;
        }
        Ok(Some(reopening))
    }

    /// Reopens an account that a directory sync of this connector closed; false for every other account.
    ///
    /// # Errors
    /// The store failed: the account stays closed.
    pub(in crate::people) async fn reopen_after_sync(
        &self,
        account: &AccountId,
        connector: &ConnectorId,
        by: &str,
    ) -> Result<bool, StoreError> {
        // A closing that waits to be stored is newer than what the sync read.
        if !self.pending.closings_of(account).is_empty() {
            return Ok(false);
        }
        let now = self.clock.now();
        let reopened = self.store.reopen_after_sync(account, connector, by, now);
        let Some(reopening) = reopened.await? else {
            return Ok(false);
        };
        self.apply(&reopening.log_position);
        Ok(true)
    }

    /// Gives an identity its new subject; its sessions continue.
    ///
    /// # Errors
    /// The store failed: nothing has changed.
    pub(in crate::people) async fn rename_subject(
        &self,
        rename: &SubjectRename,
    ) -> Result<SubjectRenameOutcome, StoreError> {
        let outcome = self.store.rename_subject(rename, self.clock.now()).await?;
        if let SubjectRenameOutcome::Renamed { log_position, .. } = &outcome {
            self.apply(log_position);
        }
        Ok(outcome)
    }

    /// Applies entries of the log of revocations that a change of the managed settings has written.
    pub fn apply_entries(&self, entries: &[Revocation]) {
        for entry in entries {
            self.apply(entry);
        }
    }

    /// Notifies when there may be a new version of the managed settings.
    pub fn settings_changes(&self) -> watch::Receiver<i64> {
        self.settings_changes.subscribe()
    }

    /// Makes the cached sessions of a changed account be loaded from the store again.
    pub(in crate::people) fn apply_change(&self, log_position: &Revocation) {
        self.apply(log_position);
    }

    /// Reads the log of revocations after `last_read` and applies the entries, at most `max`. Returns the
    /// last entry that was applied.
    ///
    /// # Errors
    /// The store failed. The page must be read again.
    pub(super) async fn apply_next_page(
        &self,
        last_read: LogPosition,
        max: u32,
    ) -> Result<LogPosition, StoreError> {
        let page = self.store.revocations_after(last_read.number, max).await?;
        if page.start != Some(last_read) {
            return self.discard_cached_state(last_read).await;
        }
        self.apply_page(&page).await?;
        Ok(page.end.unwrap_or(last_read))
    }

    /// Makes all that is cached be loaded from the store again, because revocations may be missing from what
    /// was read of the log. Returns the newest entry of the log, which the new state includes.
    ///
    /// The epochs are read first: a session that is loaded meanwhile would be compared with epochs of another
    /// copy of the database, and be refused although it is valid.
    async fn discard_cached_state(
        &self,
        last_read: LogPosition,
    ) -> Result<LogPosition, StoreError> {
        let read = self.store.epochs().await;
        // Without the epochs no cached session can be trusted, either.
        let now = read.inspect_err(|_| self.discard_cached_sessions())?;
        // The store may have lower epochs than this process, and a session with them is valid.
        self.everyone.set(now.everyone);
        let mut stored: HashMap<_, _> = now.connectors.into_iter().collect();
        let mut connectors = self
            .connectors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for (connector, epoch) in &*connectors {
            epoch.set(stored.remove(connector).unwrap_or(0));
        }
        for (connector, number) in stored {
            connectors.entry(connector).or_default().set(number);
        }
        drop(connectors);
        // The next load of a session raises the epoch of its account.
        for account in self.accounts.values() {
            account.epoch.set(0);
        }
        // The numbers of the log may begin again at a lower one.
        self.department_changes.send_modify(HashMap::clear);
        // The managed settings may be older, too.
        self.settings_changes.send_replace(now.log_position.number);
        self.identities.clear();
        self.tokens.clear();
        self.discard_cached_sessions();
        tracing::error!(
            last_read = last_read.number,
            newest = now.log_position.number,
            "the log of revocations does not have the entry that was read last: the database was replaced by an older copy, or it could not be read for longer than the log is kept. All sessions are loaded from the store again. After a restore, sessions that ended since the backup are valid again: end all sessions (POST /api/revoke)"
        );
        Ok(now.log_position)
    }

    /// Makes cached sessions be loaded from the store again, also those that are being loaded.
    fn discard_cached_sessions(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.notify_changes();
    }

    /// Applies a page of the log of revocations. A damaged row may concern any session, so after one all
    /// cached sessions are loaded from the store again.
    ///
    /// # Errors
    /// The page has a damaged row and the epochs could not be read. The page must be applied again.
    pub(super) async fn apply_page(&self, page: &RevocationPage) -> Result<(), StoreError> {
        for entry in &page.entries {
            self.apply(entry);
        }
        if page.damaged.is_empty() {
            return Ok(());
        }
        self.discard_cached_sessions();
        let now = self.store.epochs().await?;
        self.everyone.raise_to(now.everyone);
        for (connector, number) in &now.connectors {
            self.connector_epoch(connector).raise_to(*number);
        }
        self.notify_changes();
        for number in &page.damaged {
            let error = self.store.report_damaged("revocation");
            tracing::error!(number, error = %error_chain(&error), "a row of the log of revocations cannot be read: every session is read from the store again");
        }
        Ok(())
    }

    /// Tells all processes that departments of the source of a connector changed.
    ///
    /// # Errors
    /// The store failed: no process knows of it.
    pub async fn announce_department_change(
        &self,
        connector: &ConnectorId,
    ) -> Result<(), StoreError> {
        let logged = self
            .store
            .log_department_change(connector, self.clock.now());
        self.apply(&logged.await?);
        Ok(())
    }

    /// The last change of departments of each connector, by any process. A number that is new to the caller
    /// is a change.
    pub fn department_changes(&self) -> watch::Receiver<HashMap<ConnectorId, i64>> {
        self.department_changes.subscribe()
    }

    /// Applies one entry of the log of revocations.
    pub(super) fn apply(&self, revocation: &Revocation) {
        if revocation.is_settings_change() {
            self.settings_changes.send_replace(revocation.number);
            return;
        }
        if let Some(connector) = revocation.department_change() {
            self.department_changes.send_if_modified(|last| {
                let last = last.entry(connector.clone()).or_default();
                let is_new = *last < revocation.number;
                *last = revocation.number.max(*last);
                is_new
            });
            return;
        }
        match &revocation.scope {
            RevocationScope::Session(key) => {
                if let Some(state) = self.session_states.get(key) {
                    state.end();
                }
            }
            RevocationScope::Account(account) => {
                // An entry with the current epoch says that the account changed: its sessions are loaded
                // again.
                if let Some(state) = self.accounts.get(account) {
                    state.epoch.raise_to(revocation.epoch);
                    state.mark_changed();
                }
            }
            RevocationScope::Connector(connector) => {
                self.connector_epoch(connector).raise_to(revocation.epoch);
            }
            RevocationScope::Everyone => {
                self.everyone.raise_to(revocation.epoch);
            }
        }
        self.notify_changes();
    }
}
