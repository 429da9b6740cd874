//! Sessions. A revocation of the account, the connector or everyone ends them.

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;

use super::{
    Account, AccountId, ConnectorId, LoginName, SessionId, SessionKey, StoreError, StoredTokens,
    Subject,
};
use crate::clock::Timestamp;

/// Reads and writes sessions.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync {
    /// Inserts a session, in one transaction, unless one of the reasons of [`MintOutcome`] forbids it.
    async fn mint(&self, new: &NewSession) -> Result<MintOutcome, StoreError>;

    /// The session with its account and identity. `None` if it does not exist, or if its account, its
    /// connector or everyone was revoked since it was minted. Expired sessions are returned, too.
    async fn session(&self, key: &SessionKey) -> Result<Option<StoredSession>, StoreError>;

    /// The key of the session with this public ID.
    async fn session_key(&self, public_id: &SessionId) -> Result<Option<SessionKey>, StoreError>;

    /// Whether a session exists that was minted from this session of the provider.
    async fn has_provider_session(
        &self,
        connector: &ConnectorId,
        provider_sid: &str,
    ) -> Result<bool, StoreError>;

    /// The subjects of a connector that have sessions, each with the provider sessions to which these belong;
    /// each pair once. Includes sessions that have expired or were revoked but are still stored.
    async fn subjects_with_sessions(
        &self,
        connector: &ConnectorId,
    ) -> Result<Vec<(Subject, Option<String>)>, StoreError>;

    /// The sessions that match, newest first.
    async fn sessions(&self, query: &SessionsQuery) -> Result<Vec<ListedSession>, StoreError>;

    /// Sets the last use of sessions, and when their people were seen last, never to an earlier time.
    /// Ignores sessions that do not exist.
    async fn touch(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), StoreError>;
}

/// A stored session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// SHA-256 of the sid in the cookie.
    pub key: SessionKey,
    /// Names the session in logs and in the admin API; it does not authenticate.
    pub public_id: SessionId,
    pub account: AccountId,
    /// The connector of the login.
    pub connector: ConnectorId,
    /// The subject identifier at the provider.
    pub subject: Subject,
    /// The session ID at the provider (`sid` in OpenID Connect), if there is one.
    pub provider_sid: Option<String>,
    /// acr, amr and auth_time of the login (JSON).
    pub auth_context: String,
    pub minted_at: Timestamp,
    /// The absolute end, even if the session is in use.
    pub expires_at: Timestamp,
    /// The last use; written in batches, so it may be some seconds old.
    pub used_at: Timestamp,
}

/// Which sessions are listed. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionsQuery {
    pub account: Option<AccountId>,
    pub connector: Option<ConnectorId>,
    /// The most sessions.
    pub max: u32,
}

/// A session with its person and its origin, as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedSession {
    pub session: SessionRecord,
    pub login: LoginName,
    /// The name of the person in the directory.
    pub name: Option<String>,
    pub origin: SessionOrigin,
}

/// From where the login of a session was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOrigin {
    /// The address of the client; absent if it is not known.
    pub address: Option<IpAddr>,
    /// The User-Agent header; absent if there was none.
    pub user_agent: Option<String>,
}

/// A session with its account, its identity and the current epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSession {
    pub session: SessionRecord,
    /// The account in its current state.
    pub account: Account,
    /// The mapped fields from the last login or refresh of the identity: a JSON object.
    pub entitlements: String,
    /// The version of those fields.
    pub entitlements_epoch: u64,
    /// The connector's current epoch.
    pub connector_epoch: u64,
    /// The current epoch of everyone.
    pub everyone_epoch: u64,
    /// The provider's tokens, if there are any.
    pub tokens: Option<StoredTokens>,
}

/// A session to mint, with the epochs at the start of its login.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub record: SessionRecord,
    pub origin: SessionOrigin,
    /// The account's epoch when it was admitted.
    pub account_epoch: u64,
    /// The connector's epoch when the login began.
    pub connector_epoch: u64,
    /// The epoch of everyone when the login began.
    pub everyone_epoch: u64,
    /// The start of the login: no session is minted if one of the three was revoked since then.
    pub began_at: Timestamp,
    /// Whether `provider_sid` must name the current password of a local person.
    pub needs_current_password: bool,
    /// The sealed tokens of the provider.
    pub tokens: Option<String>,
    /// A one-time value to spend in the same transaction, and until when it is remembered.
    pub spend_once: Option<([u8; 32], Timestamp)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MintOutcome {
    /// The session is inserted.
    Session,
    /// The one-time value was spent before.
    Spent,
    /// The account was closed during the login.
    AccountClosed,
    /// The account, the connector or everyone was revoked since the login began.
    Revoked,
    /// The provider ended this session or this person's sessions since the login began.
    LoggedOut,
}
