//! Revocations by an administrator, a person or a provider, and the log from which other processes
//! learn them.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{AccountId, ConnectorId, SessionKey, StoreError, Subject};
use crate::clock::Timestamp;

/// Writes revocations and reads their log.
#[async_trait]
pub trait RevocationStore: fmt::Debug + Send + Sync {
    /// Deletes a session or raises an epoch, deletes the tokens of the revoked sessions, and returns the
    /// new entry of the log. Fails with [`StoreError::NoAccount`] if the account does not exist.
    async fn revoke(
        &self,
        scope: &RevocationScope,
        at: Timestamp,
    ) -> Result<Revocation, StoreError>;

    /// Applies a logout at a provider, in one transaction: deletes the matching sessions, adds an entry to
    /// the log for each, and stores a mark until `until`, so that a pending login mints no session. Returns
    /// the entries of the log.
    ///
    /// `message_id` is spent; if it was spent before, nothing changes and the result is `None`. Without it
    /// the request is unauthenticated: for unknown provider sessions only the newest marks of each
    /// connector are kept, and none is stored if `until` is not after `at`.
    async fn apply_provider_logout(
        &self,
        connector: &ConnectorId,
        target: &LogoutTarget,
        message_id: Option<&[u8; 32]>,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError>;

    /// Adds an entry to the log that says that departments of the source of a connector changed, and returns
    /// it.
    async fn log_department_change(
        &self,
        connector: &ConnectorId,
        at: Timestamp,
    ) -> Result<Revocation, StoreError>;

    /// The epochs of everyone and of the connectors.
    async fn epochs(&self) -> Result<CurrentEpochs, StoreError>;

    /// The entries of the log after `number`, at most `max`. The caller must compare
    /// [`RevocationPage::start`] with the entry that it has read.
    async fn revocations_after(&self, number: i64, max: u32) -> Result<RevocationPage, StoreError>;
}

/// The sessions that a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RevocationScope {
    /// One session.
    Session(SessionKey),
    /// All sessions of one account.
    Account(AccountId),
    /// All sessions that began at one connector.
    Connector(ConnectorId),
    /// All sessions.
    Everyone,
}

/// One entry of the log of revocations, in commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The position in the log.
    pub number: i64,
    pub scope: RevocationScope,
    /// The scope's new epoch; zero for a session, which is deleted, and for entries that end no session: a
    /// connector whose departments changed, and everyone after a change of the managed settings.
    pub epoch: u64,
}

impl Revocation {
    /// Whether it says that there is a new version of the managed settings.
    pub fn is_settings_change(&self) -> bool {
        // The epoch after a revocation is at least 1.
        self.scope == RevocationScope::Everyone && self.epoch == 0
    }

    /// The connector of a change of departments.
    pub fn department_change(&self) -> Option<&ConnectorId> {
        match &self.scope {
            // The epoch after a revocation is at least 1.
            RevocationScope::Connector(connector) if self.epoch == 0 => Some(connector),
            _ => None,
        }
    }
}

/// An entry of the log up to which a process has read. The default is before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    pub number: i64,
    /// The hash of the entry's content. After a restore of the database another entry may have the number.
    pub fingerprint: [u8; 32],
}

/// A part of the log of revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationPage {
    /// The entry after which the page begins, as it is in the log now; `None` if the log does not have it.
    pub start: Option<LogPosition>,
    /// The last entry of the page, even if it is damaged; `None` if the page is empty.
    pub end: Option<LogPosition>,
    /// Its entries, oldest first.
    pub entries: Vec<Revocation>,
    /// The numbers of rows that cannot be read.
    pub damaged: Vec<i64>,
}

/// The epochs of everyone and of the connectors at one moment. An epoch grows with each revocation:
/// sessions minted under a lower one no longer count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentEpochs {
    /// The epoch of everyone.
    pub everyone: u64,
    /// The epochs of the connectors that were ever revoked; all others are zero.
    pub connectors: Vec<(ConnectorId, u64)>,
    /// The last entry of the log that these epochs include.
    pub log_position: LogPosition,
}

/// The sessions that a logout at a provider ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogoutTarget {
    /// One session of the provider.
    Session(String),
    /// Several sessions of the provider, of which one signed message says that all have ended.
    Sessions(Vec<String>),
    /// One session of the provider, and its subject: it also ends the subject's sessions for which no
    /// provider session is known.
    SessionAndSubject {
        /// The session ID at the provider.
        sid: String,
        subject: Subject,
    },
    /// All sessions of a person.
    Subject(Subject),
    /// All sessions of the provider whose IDs begin with this text and a dot: those of one person, if the
    /// subject is not what the provider calls the person.
    SessionGroup(String),
}

/// The group of an ID of a session at the provider: what stands before the first dot.
pub fn session_group(provider_sid: &str) -> Option<&str> {
    Some(provider_sid.split_once('.')?.0)
}
