//! The tokens of a session: sealed text that the store cannot read, and a version.

use std::fmt;

use async_trait::async_trait;

use super::{DirectoryFields, LinkField, SessionKey, StoreError};
use crate::clock::Timestamp;

/// Updates tokens. They are inserted and deleted with their session.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// Stores the result of a refresh, in one transaction, if the session is still valid and its tokens
    /// still have the version from which the refresh started.
    async fn update_tokens(&self, update: &TokenUpdate) -> Result<TokenUpdateOutcome, StoreError>;
}

/// A session's tokens, sealed by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTokens {
    /// Grows with each update; a new session has version 1.
    pub version: u64,
    /// Encrypted with the key ring and bound to the session's key.
    pub sealed: String,
}

/// New tokens from a refresh, to be kept unless another process renewed them first.
#[derive(Clone, Debug)]
pub struct TokenUpdate {
    /// The session they belong to.
    pub session: SessionKey,
    /// The version the refresh began with.
    pub version: u64,
    /// The new tokens.
    pub sealed: String,
    /// What the source says of the person now; nothing when it did not say.
    pub identity: Option<IdentityUpdate>,
    /// When the refresh ended.
    pub at: Timestamp,
}

/// What a source says of a person now, to be kept with their identity.
#[derive(Clone, Debug)]
pub struct IdentityUpdate {
    /// The mapped fields of the session's identity: a JSON object.
    pub entitlements: String,
    /// Those of them that the directory lists and searches.
    pub fields: DirectoryFields,
    /// Every vouched field; replaces those kept.
    pub vouched: Vec<(LinkField, String)>,
}

/// The outcome of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenUpdateOutcome {
    /// It is kept.
    Stored {
        /// The tokens' version now.
        version: u64,
        /// The number of the identity's fields now.
        entitlements_epoch: u64,
    },
    /// The stored version is another one: nothing was changed.
    VersionConflict,
    /// The session is over or no longer stands: nothing was changed.
    SessionGone,
}
