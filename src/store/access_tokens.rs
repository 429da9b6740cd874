//! Access tokens: what a person gives a program that can neither sign in nor hold a cookie.
//!
//! A revocation of the account, the connector or everyone ends them as it ends sessions, and
//! [`super::RevocationScope::Session`] with the key of a token ends that token.

use std::fmt;

use async_trait::async_trait;

use super::{
    AccountId, ConnectorId, Revocation, SessionId, SessionKey, StoreError, StoredSession, Subject,
};
use crate::clock::Timestamp;

/// Reads and writes access tokens.
#[async_trait]
pub trait AccessTokenStore: fmt::Debug + Send + Sync {
    /// Inserts a token for the person of a session, in one transaction, unless one of the reasons of
    /// [`AccessTokenOutcome`] forbids it. The person has at most `max` tokens.
    async fn create_access_token(
        &self,
        new: &NewAccessToken,
        max: u32,
    ) -> Result<AccessTokenOutcome, StoreError>;

    /// The token with its account and identity. `None` if it does not exist or was ended, or if its
    /// account, its connector or everyone was revoked since it was made. Expired tokens are returned,
    /// too.
    async fn access_token(&self, key: &SessionKey)
    -> Result<Option<StoredAccessToken>, StoreError>;

    /// The tokens of an account that are neither ended nor revoked and expire after `at`, newest first,
    /// at most `max`.
    async fn access_tokens(
        &self,
        account: &AccountId,
        at: Timestamp,
        max: u32,
    ) -> Result<Vec<AccessTokenRecord>, StoreError>;

    /// The tokens of a connector that nobody ended, ordered by subject. Includes those that have expired or
    /// were revoked but are still stored.
    async fn access_token_owners(
        &self,
        connector: &ConnectorId,
    ) -> Result<Vec<AccessTokenOwner>, StoreError>;

    /// Ends all tokens of an identity. Returns the entries of the log of revocations.
    async fn end_access_tokens(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
        at: Timestamp,
    ) -> Result<Vec<Revocation>, StoreError>;

    /// Sets the last use of tokens, never to an earlier time. Ignores tokens that do not exist.
    async fn touch_access_tokens(&self, used: &[(SessionKey, Timestamp)])
    -> Result<(), StoreError>;
}

/// A stored access token.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessTokenRecord {
    /// SHA-256 of the token.
    pub key: SessionKey,
    /// Names the token in logs and in the admin API; it does not authenticate.
    pub public_id: SessionId,
    pub account: AccountId,
    /// The connector of the session in which it was made.
    pub connector: ConnectorId,
    /// The subject identifier at the provider.
    pub subject: Subject,
    /// The name that the person gave it.
    pub name: String,
    /// The names of the routes that it opens; `None`: every route that allows access tokens.
    pub routes: Option<Vec<String>>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// The last use; it may be an hour old.
    pub used_at: Option<Timestamp>,
}

/// Whose an access token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenOwner {
    /// SHA-256 of the token.
    pub key: SessionKey,
    pub subject: Subject,
    /// The session at the provider to which the session belonged in which the token was made.
    pub provider_sid: Option<String>,
}

/// A token to insert.
#[derive(Clone, Debug)]
pub struct NewAccessToken {
    /// SHA-256 of the token.
    pub key: SessionKey,
    pub public_id: SessionId,
    /// The session of the person who makes it; account, connector and subject come from it.
    pub session: SessionKey,
    pub name: String,
    /// The names of the routes that it opens; `None`: every route that allows access tokens.
    pub routes: Option<Vec<String>>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A token with its account and identity, in the form of a session that the token stands for. It began
/// when the session began in which the token was made, and it has neither a session at the provider nor
/// tokens of the provider.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAccessToken {
    pub session: StoredSession,
    pub name: String,
    /// As in [`AccessTokenRecord`].
    pub routes: Option<Vec<String>>,
}

/// The outcome of inserting a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenOutcome {
    Created,
    /// The session was ended, or its account closed, in the meantime.
    SessionEnded,
    /// The person has as many tokens as allowed.
    TooMany,
}
