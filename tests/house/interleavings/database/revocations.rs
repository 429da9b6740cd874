//! How sessions end, and the log from which other nodes learn it.

use menshen::clock::Timestamp;
use menshen::store::{
    AccountId, Closing, ConnectorId, CurrentEpochs, LogPosition, LogoutTarget, Reopening,
    Revocation, RevocationPage, RevocationScope, StoreError,
};

use super::{Database, IdentityKey, IdentityRow, LogoutMark, SessionRow, logout_ends, version_at};

impl Database {
    pub(in super::super) fn close_account(
        &mut self,
        account: AccountId,
        closing: Closing,
        at: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        let Some(row) = self.accounts.get_mut(&account) else {
            return Ok(None);
        };
        row.account.closed = true;
        if let Some(identity) = closing.gone
            && self
                .identities
                .get(&identity)
                .is_some_and(|row| row.account == account)
        {
            let row = self.identities.remove(&identity).unwrap();
            self.former_identities.insert(identity.clone(), row);
            let is_other = |row: &SessionRow| {
                (&row.record.connector, &row.record.subject) != (&identity.0, &identity.1)
            };
            self.sessions.retain(is_other);
        }
        let scope = RevocationScope::Account(account);
        self.revoke(scope, at).map(Some)
    }

    pub(in super::super) fn reopen_account(
        &mut self,
        account: AccountId,
        _by: String,
        at: Timestamp,
    ) -> Result<Option<Reopening>, StoreError> {
        let number = self.log_number();
        let Some(row) = self.accounts.get_mut(&account) else {
            return Ok(None);
        };
        let current = Revocation {
            number,
            scope: RevocationScope::Account(account),
            epoch: row.account.epoch,
        };
        if row.account.closed {
            row.account.closed = false;
            let of_account = |(_, row): &(&IdentityKey, &IdentityRow)| row.account == account;
            let former = self.former_identities.iter().filter(of_account);
            let former: Vec<_> = former
                .map(|(key, row)| (key.clone(), row.clone()))
                .collect();
            for (key, mut row) in former {
                row.version = (row.version + 1).max(version_at(at));
                self.record.add_fields(&key, row.version, &row.fields);
                self.former_identities.remove(&key);
                self.identities.insert(key, row);
            }
        }
        let taken = Vec::new();
        Ok(Some(Reopening {
            log_position: current,
            taken,
        }))
    }

    pub(in super::super) fn revoke(
        &mut self,
        scope: RevocationScope,
        at: Timestamp,
    ) -> Result<Revocation, StoreError> {
        let epoch = match &scope {
            RevocationScope::Session(key) => {
                self.sessions.retain(|row| row.record.key != *key);
                0
            }
            RevocationScope::Account(account) => {
                let no_account = StoreError::NoAccount { account: *account };
                let row = self.accounts.get_mut(account).ok_or(no_account)?;
                row.account.epoch += 1;
                row.raised_at = row.raised_at.max(Some(at));
                row.account.epoch
            }
            RevocationScope::Connector(connector) => self.raise(Some(connector), at),
            RevocationScope::Everyone => self.raise(None, at),
        };
        for row in &mut self.sessions {
            let ends = match &scope {
                RevocationScope::Session(_) => false,
                RevocationScope::Account(account) => row.record.account == *account,
                RevocationScope::Connector(connector) => row.record.connector == *connector,
                RevocationScope::Everyone => true,
            };
            if ends {
                row.tokens = None;
            }
        }
        self.record.add_revocation(self.log_number() + 1, &scope);
        Ok(self.append_to_log(scope, epoch))
    }

    pub(in super::super) fn apply_provider_logout(
        &mut self,
        connector: ConnectorId,
        target: LogoutTarget,
        message_id: Option<[u8; 32]>,
        (at, until): (Timestamp, Timestamp),
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        if let Some(message_id) = message_id
            && !self.spent.insert(message_id)
        {
            return Ok(None);
        }
        let ended = self
            .sessions
            .iter()
            .map(|row| &row.record)
            .filter(|record| record.connector == connector && logout_ends(&target, record));
        let ended: Vec<_> = ended.map(|record| record.key).collect();
        let is_unauthenticated = message_id.is_none() && matches!(target, LogoutTarget::Session(_));
        if !(is_unauthenticated && ended.is_empty() && at >= until) {
            let mark = LogoutMark {
                connector,
                target,
                at,
            };
            self.marks.push(mark);
        }
        let mut entries = Vec::new();
        for key in ended {
            entries.push(self.revoke(RevocationScope::Session(key), at)?);
        }
        Ok(Some(entries))
    }

    pub(in super::super) fn epochs(&mut self) -> Result<CurrentEpochs, StoreError> {
        let connectors = self.epochs.iter().filter_map(|(connector, row)| {
            let connector = connector.clone()?;
            Some((connector, row.number))
        });
        let connectors = connectors.collect();
        self.record.add_epochs_read(self.log_number());
        Ok(CurrentEpochs {
            everyone: self.epoch(None).number,
            connectors,
            log_position: self.position(self.log_number()).unwrap_or_default(),
        })
    }

    pub(in super::super) fn revocations_after(
        &mut self,
        number: i64,
        max: u32,
    ) -> Result<RevocationPage, StoreError> {
        let entries = self.log.iter().filter(|entry| entry.number > number);
        let entries: Vec<_> = entries.take(max as usize).cloned().collect();
        Ok(RevocationPage {
            start: self.position(number),
            end: entries.last().and_then(|entry| self.position(entry.number)),
            entries,
            damaged: Vec::new(),
        })
    }

    fn raise(&mut self, connector: Option<&ConnectorId>, at: Timestamp) -> u64 {
        let row = self.epochs.entry(connector.cloned()).or_default();
        row.number += 1;
        row.raised_at = row.raised_at.max(Some(at));
        row.number
    }

    /// The position of an entry; `None` if there is no such entry. The log is never restored, so that the
    /// number alone determines the fingerprint.
    fn position(&self, number: i64) -> Option<LogPosition> {
        if number == 0 {
            return Some(LogPosition::default());
        }
        let mut entries = self.log.iter();
        entries.any(|entry| entry.number == number).then(|| {
            let fingerprint = [number.to_le_bytes()[0]; 32];
            LogPosition {
                number,
                fingerprint,
            }
        })
    }

    pub(super) fn append_to_log(&mut self, scope: RevocationScope, epoch: u64) -> Revocation {
        let number = self.log_number() + 1;
        let entry = Revocation {
            number,
            scope,
            epoch,
        };
        self.log.push(entry.clone());
        entry
    }
}
