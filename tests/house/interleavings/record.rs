//! `Record`: which call changed what in the database, from which the promises are judged.

use std::collections::{HashMap, HashSet};

use menshen::store::{AccountId, LoginName, RevocationScope, SessionKey, SessionRecord};

use super::database::IdentityKey;

/// Who called the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) node: usize,
    /// The act; `None` for a background task.
    pub(super) act: Option<usize>,
}

/// Everything that was ever written.
#[derive(Clone, Default)]
pub(super) struct Record {
    /// Who makes the current call.
    pub(super) caller: Caller,
    minted: Vec<SessionRecord>,
    fields: HashMap<IdentityKey, Vec<(u64, String)>>,
    logins: HashMap<AccountId, Vec<LoginName>>,
    ended_by_entry: HashMap<i64, Vec<SessionKey>>,
    ended_by_act: HashMap<usize, HashSet<SessionKey>>,
    fields_by_act: HashMap<usize, (IdentityKey, u64)>,
    /// The login name that an act wrote or found, as its number among those of the account.
    login_by_act: HashMap<usize, (AccountId, usize)>,
    /// By the token refreshes of a node, which run in a background task.
    fields_by_node: HashMap<usize, (IdentityKey, u64)>,
    /// The position in the log at which a node last read the epochs.
    epochs_read: HashMap<usize, i64>,
}

impl Record {
    pub(super) fn add_session(&mut self, session: &SessionRecord) {
        self.minted.push(session.clone());
    }

    pub(super) fn add_fields(&mut self, identity: &IdentityKey, version: u64, fields: &str) {
        let versions = self.fields.entry(identity.clone()).or_default();
        if versions.last().is_none_or(|(last, _)| *last < version) {
            versions.push((version, fields.to_owned()));
        }
        let written = (identity.clone(), version);
        match self.caller.act {
            Some(act) => self.fields_by_act.insert(act, written),
            None => self.fields_by_node.insert(self.caller.node, written),
        };
    }

    pub(super) fn add_login(&mut self, account: AccountId, login: &LoginName) {
        self.logins.entry(account).or_default().push(login.clone());
        self.add_login_found(account);
    }

    /// The current act has found the newest login name of an account.
    pub(super) fn add_login_found(&mut self, account: AccountId) {
        let last = self.logins[&account].len() - 1;
        if let Some(act) = self.caller.act {
            self.login_by_act.insert(act, (account, last));
        }
    }

    /// Records an entry of the log. It ends all sessions of its scope that were minted before.
    pub(super) fn add_revocation(&mut self, number: i64, scope: &RevocationScope) {
        let ended = self.minted.iter().filter(|session| match scope {
            RevocationScope::Session(key) => session.key == *key,
            RevocationScope::Account(account) => session.account == *account,
            RevocationScope::Connector(connector) => session.connector == *connector,
            RevocationScope::Everyone => true,
        });
        let ended: Vec<_> = ended.map(|session| session.key).collect();
        if let Some(act) = self.caller.act {
            self.ended_by_act.entry(act).or_default().extend(&ended);
        }
        self.ended_by_entry.insert(number, ended);
    }

    pub(super) fn add_epochs_read(&mut self, number: i64) {
        self.epochs_read.insert(self.caller.node, number);
    }

    pub(super) fn epochs_read(&self, node: usize) -> i64 {
        self.epochs_read.get(&node).copied().unwrap_or(0)
    }

    /// The sessions that match, whether ended or not.
    pub(super) fn sessions(&self, matches: impl Fn(&SessionRecord) -> bool) -> Vec<SessionKey> {
        let matching = self.minted.iter().filter(|session| matches(session));
        matching.map(|session| session.key).collect()
    }

    /// The sessions that the entries of the log up to `number` ended.
    pub(super) fn ended_by_log(&self, number: i64) -> Vec<SessionKey> {
        let entries = self.ended_by_entry.iter();
        let read = entries.filter(|(entry, _)| **entry <= number);
        read.flat_map(|(_, ended)| ended).copied().collect()
    }

    pub(super) fn ended_by_act(&self, act: usize) -> Vec<SessionKey> {
        let ended = self.ended_by_act.get(&act);
        ended.into_iter().flatten().copied().collect()
    }

    /// The version of the fields that an act wrote or found.
    pub(super) fn fields_by_act(&self, act: usize) -> Option<(IdentityKey, u64)> {
        self.fields_by_act.get(&act).cloned()
    }

    /// The version of the fields after the last token refresh of a node.
    pub(super) fn fields_by_refresh(&self, node: usize) -> Option<(IdentityKey, u64)> {
        self.fields_by_node.get(&node).cloned()
    }

    /// The versions with these fields, the oldest first. Empty if they were never stored.
    pub(super) fn versions_of(&self, identity: &IdentityKey, fields: &str) -> Vec<u64> {
        let versions = self.fields.get(identity).into_iter().flatten();
        let same = versions.filter(|(_, stored)| stored == fields);
        same.map(|(version, _)| *version).collect()
    }

    pub(super) fn login_by_act(&self, act: usize) -> Option<(AccountId, usize)> {
        self.login_by_act.get(&act).copied()
    }

    /// The numbers of this login name among those of the account, the oldest first.
    pub(super) fn login_numbers(
        &self,
        account: &AccountId,
        login: &LoginName,
    ) -> impl Iterator<Item = usize> {
        let logins = self.logins.get(account).into_iter().flatten();
        let same = logins.enumerate().filter(move |(_, known)| *known == login);
        same.map(|(number, _)| number)
    }
}
