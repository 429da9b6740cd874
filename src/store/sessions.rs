//! Sessions: minted and found only while neither their person, their connector nor everyone has been
//! revoked.

use std::fmt;

use async_trait::async_trait;

use super::{
    Account, AccountId, ConnectorId, SessionId, SessionKey, StoreError, StoredTokens, Subject,
};
use crate::clock::Timestamp;

/// What a database answers about sessions.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync {
    /// Inserts a session, in one transaction, unless one of the reasons of [`MintOutcome`] forbids it.
    async fn mint(&self, new: &NewSession) -> Result<MintOutcome, StoreError>;

    /// The session, its account and its identity; nothing when there is none, or when its person,
    /// connector or everyone was revoked since it was minted. Expired sessions are answered, too.
    async fn session(&self, key: &SessionKey) -> Result<Option<StoredSession>, StoreError>;

    /// The key of the session that has this public id, for an administrator.
    async fn session_key(&self, public_id: &SessionId) -> Result<Option<SessionKey>, StoreError>;

    /// Whether a session here came from a session of a provider.
    async fn has_provider_session(
        &self,
        connector: &ConnectorId,
        provider_sid: &str,
    ) -> Result<bool, StoreError>;

    /// The sessions of one account, or all, newest first, at most `max`.
    async fn sessions(
        &self,
        account: Option<&AccountId>,
        max: u32,
    ) -> Result<Vec<SessionRecord>, StoreError>;

    /// Sets when sessions were last used, never to an earlier time. Sessions that do not exist are
    /// ignored.
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
    pub auth_context: String,
    /// When it was minted.
    pub minted_at: Timestamp,
    /// Its absolute end, however much it is used.
    pub expires_at: Timestamp,
    /// When it was last used; written in batches, so it may be some seconds old.
    pub used_at: Timestamp,
}

/// A session with its account, its identity and the current epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSession {
    /// The session itself.
    pub session: SessionRecord,
    /// Its account as it is now.
    pub account: Account,
    /// The mapped fields of its identity as of the last login or refresh (JSON).
    pub entitlements: String,
    /// The version of those fields.
    pub entitlements_epoch: u64,
    /// The connector's current epoch.
    pub connector_epoch: u64,
    /// The current epoch of everyone.
    pub everyone_epoch: u64,
    /// Its tokens, when it has any.
    pub tokens: Option<StoredTokens>,
}

/// A session to be minted, with the epochs under which its login began.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session.
    pub record: SessionRecord,
    /// The account's epoch when it was admitted.
    pub account_epoch: u64,
    /// The connector's epoch when the login began.
    pub connector_epoch: u64,
    /// The epoch of everyone when the login began.
    pub everyone_epoch: u64,
    /// When the login began: no session is minted if one of the three was revoked since then.
    pub began_at: Timestamp,
    /// Its sealed tokens.
    pub tokens: Option<String>,
    /// What is spent in the same transaction, and until when that is remembered.
    pub spend_once: Option<([u8; 32], Timestamp)>,
}

/// The outcome of minting.
#[derive(Clone, Debug, PartialEq)]
pub enum MintOutcome {
    /// The session is inserted.
    Session,
    /// The thing to spend was spent before.
    Spent,
    /// The account was closed meanwhile.
    AccountClosed,
    /// The person, the connector or everyone was revoked since the login began.
    Revoked,
    /// The provider ended this session or this person's sessions since the login began.
    LoggedOut,
}
