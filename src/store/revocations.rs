//! Revocations: sessions ended by an administrator, their person or their provider, and the log that
//! tells it to the other processes.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{AccountId, ConnectorId, SessionKey, StoreError, Subject};
use crate::clock::Timestamp;

/// What a database answers about revocations.
#[async_trait]
pub trait RevocationStore: fmt::Debug + Send + Sync {
    /// Deletes a session, or raises an epoch, and writes it into the log; answers the entry. The tokens
    /// of all sessions that end are deleted. An account that does not exist is
    /// [`StoreError::NoAccount`].
    async fn revoke(
        &self,
        scope: &RevocationScope,
        at: Timestamp,
    ) -> Result<Revocation, StoreError>;

    /// A provider ended one of its sessions, or all sessions of a subject. In one transaction: deletes
    /// the sessions here that came from them, writes each into the log, and keeps a mark until `until`,
    /// so that a login under way mints no session. Answers the entries of the log.
    ///
    /// `message_id` is spent; when it was spent before, nothing changes and nothing is answered. Without a
    /// logout message anybody may have sent the request: of provider sessions from which no session here came,
    /// only the latest marks of each connector are kept, and none when `until` is not after
    /// `at`.
    async fn apply_provider_logout(
        &self,
        connector: &ConnectorId,
        target: &LogoutTarget,
        message_id: Option<&[u8; 32]>,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError>;

    /// The epochs of everyone and of the connectors.
    async fn epochs(&self) -> Result<CurrentEpochs, StoreError>;

    /// The log after entry `number`, at most `max` rows.
    async fn revocations_after(&self, number: i64, max: u32) -> Result<RevocationPage, StoreError>;
}

/// Whose sessions are revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RevocationScope {
    /// One session.
    Session(SessionKey),
    /// All of one account's.
    Account(AccountId),
    /// All that came through one connector.
    Connector(ConnectorId),
    /// All.
    Everyone,
}

/// One entry of the log of revocations, in commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the log.
    pub number: i64,
    /// Whose sessions.
    pub scope: RevocationScope,
    /// The scope's new epoch; zero for a session, which is deleted.
    pub epoch: u64,
}

/// A part of the log of revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationPage {
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
    pub log_number: i64,
}

/// What a provider ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogoutTarget {
    /// One session of its own.
    Session(String),
    /// One session of its own, and its subject: sessions of this person here that name no provider
    /// session may have come from it.
    SessionAndSubject {
        /// The provider's name for the session.
        sid: String,
        /// The person it belongs to.
        subject: Subject,
    },
    /// All sessions of a person.
    Subject(Subject),
}
