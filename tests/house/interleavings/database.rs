//! `Database`: a model of what a store keeps. Each method is one transaction. `agreement` checks that its
//! answers are those of SQLite.

use std::collections::{HashMap, HashSet};

use menshen::clock::Timestamp;
use menshen::store::{
    Account, AccountId, Admission, AdmissionOutcome, AdmittedIdentity, ConnectorId, EditOutcome,
    LoginName, LogoutTarget, MintOutcome, NewSession, PersonEdit, Revocation, RevocationScope,
    SessionKey, SessionRecord, StoreError, StoredSession, StoredTokens, Subject, TokenUpdate,
    TokenUpdateOutcome,
};

use super::node::ProviderAnswer;
use super::record::Record;

mod revocations;

/// A connector, and the subject of a person there.
pub(super) type IdentityKey = (ConnectorId, Subject);

/// The content of a database.
#[derive(Clone, Default)]
pub(super) struct Database {
    accounts: HashMap<AccountId, AccountRow>,
    identities: HashMap<IdentityKey, IdentityRow>,
    former_identities: HashMap<IdentityKey, IdentityRow>,
    sessions: Vec<SessionRow>,
    /// Of connectors; `None` is everyone.
    epochs: HashMap<Option<ConnectorId>, EpochRow>,
    log: Vec<Revocation>,
    marks: Vec<LogoutMark>,
    spent: HashSet<[u8; 32]>,
    leases: HashMap<String, (String, Timestamp)>,
    /// What the provider answers to token refreshes.
    pub(super) provider_answer: ProviderAnswer,
    pub(super) record: Record,
}

#[derive(Clone)]
struct AccountRow {
    account: Account,
    raised_at: Option<Timestamp>,
}

#[derive(Clone)]
struct IdentityRow {
    account: AccountId,
    /// Whether it names the account, as the one with which the account was created.
    names: bool,
    fields: String,
    version: u64,
}

#[derive(Clone)]
struct SessionRow {
    record: SessionRecord,
    account_epoch: u64,
    connector_epoch: u64,
    everyone_epoch: u64,
    tokens: Option<StoredTokens>,
}

#[derive(Clone, Default)]
struct EpochRow {
    number: u64,
    raised_at: Option<Timestamp>,
}

/// A logout at a provider, which prevents sessions of logins that began before it.
#[derive(Clone)]
struct LogoutMark {
    connector: ConnectorId,
    target: LogoutTarget,
    at: Timestamp,
}

/// Whether a logout at a provider ends a session.
pub(super) fn logout_ends(target: &LogoutTarget, session: &SessionRecord) -> bool {
    let own_sid = session.provider_sid.as_ref();
    match target {
        LogoutTarget::Session(sid) => own_sid == Some(sid),
        LogoutTarget::Sessions(sids) => own_sid.is_some_and(|own| sids.contains(own)),
        LogoutTarget::SessionAndSubject { sid, subject } => match own_sid {
            Some(own) => own == sid,
            None => session.subject == *subject,
        },
        LogoutTarget::Subject(subject) => session.subject == *subject,
        LogoutTarget::SessionGroup(group) => {
            own_sid.is_some_and(|own| own.starts_with(&format!("{group}.")))
        }
    }
}

/// The lowest version of fields that are stored at this time.
fn version_at(at: Timestamp) -> u64 {
    at.unix_ms().try_into().unwrap()
}

impl Database {
    /// Inserts a person who has signed in before.
    pub(super) fn insert_person(&mut self, account: Account, admission: &Admission) {
        let identity = (admission.connector.clone(), admission.subject.clone());
        let row = IdentityRow {
            account: account.id,
            names: !self.accounts.contains_key(&account.id),
            fields: admission.entitlements.clone(),
            version: version_at(admission.at),
        };
        self.record.add_fields(&identity, row.version, &row.fields);
        self.record.add_login(account.id, &account.login);
        self.identities.insert(identity, row);
        let raised_at = None;
        let row = AccountRow { account, raised_at };
        self.accounts.insert(row.account.id, row);
    }

    /// The position of the newest entry of the log.
    pub(super) fn log_number(&self) -> i64 {
        self.log.last().map_or(0, |entry| entry.number)
    }

    pub(super) fn admit(&mut self, admission: Admission) -> Result<AdmissionOutcome, StoreError> {
        let identity = (admission.connector, admission.subject);
        let Some(row) = self.identities.get(&identity) else {
            return Ok(AdmissionOutcome::Unknown);
        };
        let (id, renames) = (
            row.account,
            row.names && admission.is_login && admission.sync,
        );
        let account = &self.accounts[&id].account;
        if account.closed {
            return Ok(AdmissionOutcome::Closed(id));
        }
        let mut is_changed = false;
        if renames && account.login != admission.login && self.is_free(&admission.login, id) {
            self.set_login(id, admission.login);
            is_changed = true;
        }
        self.record.add_login_found(id);
        let row = self.identities.get_mut(&identity).unwrap();
        if admission.sync && row.fields != admission.entitlements {
            row.version += 1;
            row.fields = admission.entitlements;
            is_changed = true;
        }
        let entitlements_epoch = row.version;
        self.record.add_fields(&identity, row.version, &row.fields);
        if is_changed {
            self.announce_change(id);
        }
        Ok(AdmissionOutcome::Account(AdmittedIdentity {
            account: self.accounts[&id].account.clone(),
            entitlements_epoch,
        }))
    }

    /// Tells other nodes that an account with sessions changed.
    fn announce_change(&mut self, id: AccountId) {
        if self.sessions.iter().any(|row| row.record.account == id) {
            let epoch = self.accounts[&id].account.epoch;
            self.append_to_log(RevocationScope::Account(id), epoch);
        }
    }

    /// Whether nobody else has a login name.
    fn is_free(&self, login: &LoginName, id: AccountId) -> bool {
        let mut others = self.accounts.iter().filter(|(other, _)| **other != id);
        others.all(|(_, row)| row.account.login.folded() != login.folded())
    }

    /// Gives an account a login name that nobody else has.
    fn set_login(&mut self, id: AccountId, login: LoginName) {
        let account = &mut self.accounts.get_mut(&id).unwrap().account;
        self.record.add_login(id, &login);
        account.login = login;
    }

    pub(super) fn identities(
        &mut self,
        account: AccountId,
    ) -> Result<Vec<(ConnectorId, Subject, String)>, StoreError> {
        let rows = self.identities.iter();
        let own = rows.filter(|(_, row)| row.account == account);
        let own =
            own.map(|((via, subject), row)| (via.clone(), subject.clone(), row.fields.clone()));
        Ok(own.collect())
    }

    pub(super) fn account_by_identity(
        &mut self,
        connector: ConnectorId,
        subject: Subject,
    ) -> Result<Option<Account>, StoreError> {
        let row = self.identities.get(&(connector, subject));
        Ok(row.map(|row| self.accounts[&row.account].account.clone()))
    }

    pub(super) fn edit_person(
        &mut self,
        account: AccountId,
        edit: PersonEdit,
        _by: String,
        _at: Timestamp,
    ) -> Result<EditOutcome, StoreError> {
        let Some(row) = self.accounts.get(&account) else {
            return Ok(EditOutcome::Unknown);
        };
        let Some(login) = edit.login.filter(|login| *login != row.account.login) else {
            return Ok(EditOutcome::Stored { log_position: None });
        };
        let identities = self.identities.values_mut();
        for row in identities.chain(self.former_identities.values_mut()) {
            row.names &= row.account != account;
        }
        self.set_login(account, login);
        let epoch = self.accounts[&account].account.epoch;
        Ok(EditOutcome::Stored {
            log_position: Some(self.append_to_log(RevocationScope::Account(account), epoch)),
        })
    }

    pub(super) fn mint(&mut self, new: NewSession) -> Result<MintOutcome, StoreError> {
        if let Some(refused) = self.why_not_minted(&new) {
            return Ok(refused);
        }
        if let Some((value, _)) = new.spend_once
            && !self.spent.insert(value)
        {
            return Ok(MintOutcome::Spent);
        }
        self.record.add_session(&new.record);
        self.sessions.push(SessionRow {
            record: new.record,
            account_epoch: new.account_epoch,
            connector_epoch: new.connector_epoch,
            everyone_epoch: new.everyone_epoch,
            tokens: new.tokens.map(|sealed| StoredTokens { version: 1, sealed }),
        });
        Ok(MintOutcome::Session)
    }

    fn why_not_minted(&self, new: &NewSession) -> Option<MintOutcome> {
        let NewSession {
            record, began_at, ..
        } = new;
        let row = self.accounts.get(&record.account);
        let Some(row) = row.filter(|row| !row.account.closed) else {
            return Some(MintOutcome::AccountClosed);
        };
        let is_current = |epoch: &EpochRow, number| {
            epoch.number == number && epoch.raised_at.is_none_or(|raised| raised < *began_at)
        };
        let account = EpochRow {
            number: row.account.epoch,
            raised_at: row.raised_at,
        };
        let is_current = is_current(&account, new.account_epoch)
            && is_current(&self.epoch(Some(&record.connector)), new.connector_epoch)
            && is_current(&self.epoch(None), new.everyone_epoch);
        if !is_current {
            return Some(MintOutcome::Revoked);
        }
        let is_logged_out = |mark: &LogoutMark| {
            mark.connector == record.connector
                && mark.at >= *began_at
                && logout_ends(&mark.target, record)
        };
        if self.marks.iter().any(is_logged_out) {
            return Some(MintOutcome::LoggedOut);
        }
        let identity = (record.connector.clone(), record.subject.clone());
        let owner = self.identities.get(&identity).map(|row| row.account);
        (owner != Some(record.account)).then_some(MintOutcome::Revoked)
    }

    pub(super) fn session(&mut self, key: SessionKey) -> Result<Option<StoredSession>, StoreError> {
        Ok(self.valid_session(key))
    }

    /// The session, if no revocation has ended it.
    pub(super) fn valid_session(&self, key: SessionKey) -> Option<StoredSession> {
        let row = self.sessions.iter().find(|row| row.record.key == key)?;
        let record = &row.record;
        let account = &self.accounts[&record.account].account;
        let identity = (record.connector.clone(), record.subject.clone());
        let identity = self.identities.get(&identity)?;
        let connector_epoch = self.epoch(Some(&record.connector)).number;
        let everyone_epoch = self.epoch(None).number;
        let is_valid = account.epoch == row.account_epoch
            && identity.account == account.id
            && connector_epoch == row.connector_epoch
            && everyone_epoch == row.everyone_epoch;
        is_valid.then(|| StoredSession {
            session: record.clone(),
            account: account.clone(),
            entitlements: identity.fields.clone(),
            entitlements_epoch: identity.version,
            connector_epoch,
            everyone_epoch,
            tokens: row.tokens.clone(),
        })
    }

    pub(super) fn update_tokens(
        &mut self,
        update: TokenUpdate,
    ) -> Result<TokenUpdateOutcome, StoreError> {
        let valid = self.valid_session(update.session);
        let valid = valid.filter(|it| !it.account.closed && it.session.expires_at > update.at);
        let Some(valid) = valid else {
            return Ok(TokenUpdateOutcome::SessionGone);
        };
        let rows = &mut self.sessions;
        let row = rows.iter_mut().find(|row| row.record.key == update.session);
        let tokens = row.and_then(|row| row.tokens.as_mut());
        let Some(tokens) = tokens.filter(|tokens| tokens.version == update.version) else {
            return Ok(TokenUpdateOutcome::VersionConflict);
        };
        tokens.version += 1;
        tokens.sealed = update.sealed;
        let version = tokens.version;
        let key = (valid.session.connector, valid.session.subject);
        let identity = self.identities.get_mut(&key).unwrap();
        let mut is_changed = false;
        if let Some(now) = update.identity
            && now.entitlements != identity.fields
        {
            identity.version += 1;
            identity.fields = now.entitlements;
            is_changed = true;
        }
        let entitlements_epoch = identity.version;
        self.record
            .add_fields(&key, identity.version, &identity.fields);
        if is_changed {
            self.announce_change(valid.account.id);
        }
        Ok(TokenUpdateOutcome::Stored {
            version,
            entitlements_epoch,
        })
    }

    pub(super) fn lease(
        &mut self,
        name: String,
        holder: String,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let held = self.leases.get(&name);
        let is_free = held.is_none_or(|(by, end)| *by == holder || *end <= at);
        if is_free {
            self.leases.insert(name, (holder, until));
        }
        Ok(is_free)
    }

    fn epoch(&self, connector: Option<&ConnectorId>) -> EpochRow {
        self.epochs
            .get(&connector.cloned())
            .cloned()
            .unwrap_or_default()
    }
}
