//! What the store keeps of a session's tokens: sealed text it cannot read, and a number.

use std::fmt;

use async_trait::async_trait;

use super::{LinkField, SessionKey, StoreError};
use crate::clock::Timestamp;

/// What a database answers about tokens. They are inserted and deleted with their session.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// Keeps what a refresh brought, in one transaction, if the session still stands and its tokens
    /// are of the version the refresh began with.
    async fn renew(&self, renewal: &Renewal) -> Result<Renewed, StoreError>;
}

/// A session's tokens, sealed by whoever minted or renewed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTokens {
    /// Counts the renewals: one at the mint.
    pub version: u64,
    /// Opens only with the house's keys and this session's key.
    pub sealed: String,
}

/// What a refresh brought, to be kept if nobody else was faster.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// Whose.
    pub session: SessionKey,
    /// The version the refresh began with.
    pub version: u64,
    /// The new tokens.
    pub sealed: String,
    /// What the source says of the person now; nothing when it did not say.
    pub said: Option<Said>,
    /// When.
    pub at: Timestamp,
}

/// What a source says of a person now.
#[derive(Clone, Debug)]
pub struct Said {
    /// The mapped fields (JSON), for the session's identity.
    pub entitlements: String,
    /// Every vouched field, instead of those kept.
    pub vouched: Vec<(LinkField, String)>,
}

/// What became of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It is kept.
    Stored {
        /// The tokens' version now.
        version: u64,
        /// The number of the identity's fields now.
        entitlements_epoch: u64,
    },
    /// Another version is there, or none: nothing was changed.
    Overtaken,
    /// The session is over or no longer stands: nothing was changed.
    SessionGone,
}
