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
    /// Deletes a session, or raises a number, and writes it into the log; answers the entry. The
    /// tokens of all it ends are deleted. An account that is not there is [`StoreError::NoAccount`].
    async fn revoke(&self, scope: &Scope, at: Timestamp) -> Result<Revocation, StoreError>;

    /// A provider ended a session of its own or all of a subject: deletes ours that stand on it,
    /// writes each into the log, and notes it until `until`, so that a login that is under way mints
    /// none; in one transaction. Answers the entries; nothing at all happens and nothing is
    /// answered when `notice`, which it spends, was spent before. Without a notice anybody may have
    /// said so: of the sessions that no session here stands on only the latest are noted, and none
    /// when `until` is not after `at`.
    async fn end_at_provider(
        &self,
        connector: &ConnectorId,
        mark: &LogoutMark,
        notice: Option<&[u8; 32]>,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError>;

    /// Everyone's and the connectors' numbers.
    async fn epochs(&self) -> Result<EpochsNow, StoreError>;

    /// The log after entry `number`, at most `max` rows.
    async fn revocations_after(&self, number: i64, max: u32) -> Result<LogPart, StoreError>;
}

/// Whose sessions are revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
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
    pub scope: Scope,
    /// The scope's new number; zero for a session, which is simply gone.
    pub epoch: u64,
}

/// A part of the log of revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPart {
    /// Its entries, oldest first.
    pub entries: Vec<Revocation>,
    /// The numbers of rows that nobody can read.
    pub damaged: Vec<i64>,
}

/// Everyone's and the connectors' numbers, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochsNow {
    /// Everyone's.
    pub everyone: u64,
    /// The connectors' that were ever revoked; all others are at zero.
    pub connectors: Vec<(ConnectorId, u64)>,
    /// The last entry of the log those numbers include.
    pub log_number: i64,
}

/// What a provider ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogoutMark {
    /// One session of its own.
    ProviderSession(String),
    /// One session of its own, and whose it is: what this person has here that stands on no session
    /// by its name may stand on this one.
    SessionOf {
        /// Its name.
        sid: String,
        /// Whose it is.
        subject: Subject,
    },
    /// All sessions of a person.
    Subject(Subject),
}
