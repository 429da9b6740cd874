//! Ending: by the person, an administrator, a provider, or another process.

use super::Sessions;
use crate::clock::Timestamp;
use crate::people::session::cell::SessionCell;
use crate::store::{AccountId, ConnectorId, LogoutMark, Revocation, Scope, StoreError};

impl Sessions {
    /// Ends sessions: in the store, in this memory, and for every tunnel that stands on them.
    pub async fn revoke(&self, scope: &Scope) -> Result<(), StoreError> {
        // The memory of a session that is being ended forgets it first: a load that is under way
        // finds the cell ended, and the store's answer comes too late to matter.
        if let Scope::Session(key) = scope {
            self.live.of(*key, SessionCell::default).end();
        }
        let revocation = self.store.revoke(scope, self.clock.now()).await?;
        self.apply(&revocation);
        Ok(())
    }

    /// A provider ended one of its sessions, or all of a person's: ours that stand on it end, and a
    /// login that began before and comes back until `until` mints none. Answers how many ended; nothing when this `notice` was
    /// taken before.
    pub async fn end_at_provider(
        &self,
        connector: &ConnectorId,
        mark: &LogoutMark,
        notice: Option<&[u8; 32]>,
        until: Timestamp,
    ) -> Result<Option<usize>, StoreError> {
        let now = self.clock.now();
        let store = &self.store;
        let ended = store.end_at_provider(connector, mark, notice, now, until);
        let Some(ended) = ended.await? else {
            return Ok(None);
        };
        for revocation in &ended {
            self.apply(revocation);
        }
        Ok(Some(ended.len()))
    }

    /// Closes an account and ends its sessions, or opens it again; false when there is none.
    pub async fn close_account(
        &self,
        account: &AccountId,
        closed: bool,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let Some(revocation) = self.store.close_account(account, closed, now).await? else {
            return Ok(false);
        };
        self.apply(&revocation);
        Ok(true)
    }

    /// Takes over one entry of the log of revocations.
    pub(super) fn apply(&self, revocation: &Revocation) {
        match &revocation.scope {
            Scope::Session(key) => {
                if let Some(cell) = self.live.known(key) {
                    cell.end();
                }
            }
            Scope::Account(account) => {
                if let Some(cell) = self.accounts.known(account) {
                    cell.epoch.raise_to(revocation.epoch);
                }
            }
            Scope::Connector(connector) => {
                self.connector_epoch(connector).raise_to(revocation.epoch);
            }
            Scope::Everyone => {
                self.everyone.raise_to(revocation.epoch);
            }
        }
        self.changes.send_modify(|number| *number += 1);
    }
}
