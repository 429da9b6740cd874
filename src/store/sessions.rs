//! Sessions: minted while everything they stand on stands, found only while it still does.

use std::fmt;

use async_trait::async_trait;

use super::{
    Account, AccountId, ConnectorId, SessionId, SessionKey, StoreError, StoredTokens, Subject,
};
use crate::clock::Timestamp;

/// What a database answers about sessions.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync {
    /// Inserts a session if everything it stands on still stands, in one transaction.
    async fn mint(&self, new: &NewSession) -> Result<Minted, StoreError>;

    /// The session and what it stands on; nothing when there is none, or when its person, connector
    /// or everyone was revoked since it was minted. Expired ones are returned.
    async fn session(&self, key: &SessionKey) -> Result<Option<SessionFound>, StoreError>;

    /// The key of the session that has this public id, for an administrator.
    async fn session_key(&self, public_id: &SessionId) -> Result<Option<SessionKey>, StoreError>;

    /// The sessions of one account, or all, newest first, at most `max`.
    async fn sessions(
        &self,
        account: Option<&AccountId>,
        max: u32,
    ) -> Result<Vec<SessionRecord>, StoreError>;

    /// Sets when sessions were last used, never to an earlier time; those that are gone are passed
    /// over.
    async fn touch(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), StoreError>;
}

/// A session as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// SHA-256 of the sid in the cookie.
    pub key: SessionKey,
    /// For logs, audit and the administrator.
    pub public_id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// Which connector proved them.
    pub connector: ConnectorId,
    /// What that source calls them.
    pub subject: Subject,
    /// The session's name at its provider, when there is one.
    pub provider_sid: Option<String>,
    /// What the login proved besides: acr, amr, auth_time (JSON).
    pub facts: String,
    /// When they came in.
    pub minted_at: Timestamp,
    /// When they must prove themselves again, whatever they do.
    pub expires_at: Timestamp,
    /// When they were last seen, to the precision of the batches.
    pub used_at: Timestamp,
}

/// A session together with what it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionFound {
    /// The session's row.
    pub session: SessionRecord,
    /// Its account as it is now.
    pub account: Account,
    /// The mapped fields of its identity as of the last login or refresh (JSON).
    pub entitlements: String,
    /// The number of those fields.
    pub entitlements_epoch: u64,
    /// The connector's number now.
    pub connector_epoch: u64,
    /// Everyone's number now.
    pub everyone_epoch: u64,
    /// Its tokens, when it has any.
    pub tokens: Option<StoredTokens>,
}

/// What a new session is minted from.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The row to insert.
    pub record: SessionRecord,
    /// The account's number when it was admitted.
    pub account_epoch: u64,
    /// The connector's number when the login began.
    pub connector_epoch: u64,
    /// Everyone's number when the login began.
    pub everyone_epoch: u64,
    /// When the login began: a person revoked since then is not let in.
    pub began_at: Timestamp,
    /// Its sealed tokens, kept with it.
    pub tokens: Option<String>,
    /// What is spent in the same transaction, and until when that is remembered.
    pub spends: Option<([u8; 32], Timestamp)>,
}

/// What became of a mint.
#[derive(Clone, Debug, PartialEq)]
pub enum Minted {
    /// It is inserted.
    Session,
    /// What it would spend was spent before.
    Spent,
    /// The account was closed meanwhile.
    AccountClosed,
    /// The person, the connector or everyone was revoked since the login began.
    Revoked,
    /// The provider ended this session or this person's sessions since the login began.
    LoggedOut,
}
