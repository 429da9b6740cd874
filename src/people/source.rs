//! `Source`: the provider behind a session, asked again while somebody is here. `Tokens`: what it
//! handed out.

use std::fmt;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::store::{LinkField, Subject};

/// What a provider handed out with a login. Stays on the server; only a route that asks for it
/// sends one on.
#[derive(Clone, Default)]
pub struct Tokens {
    /// Opens the provider's own interfaces.
    pub access: Option<Secret<String>>,
    /// When it ends; unknown when the provider does not say.
    pub access_expires_at: Option<Timestamp>,
    /// Buys the next ones, most often once.
    pub refresh: Option<Secret<String>>,
    /// What the provider signed about the person, as it came.
    pub id: Option<Secret<String>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("access", &self.access.is_some())
            .field("access_expires_at", &self.access_expires_at)
            .field("refresh", &self.refresh.is_some())
            .field("id", &self.id.is_some())
            .finish()
    }
}

/// The provider behind sessions: declared here, spoken upstairs by each connector that can.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// Spends the refresh token for new tokens, and asks what the person is now.
    ///
    /// Not cancel-safe: a refresh token that was on its way is spent. Run it detached.
    async fn refresh(&self, subject: &Subject, tokens: &Tokens) -> Result<Refreshed, SourceError>;
}

/// What a refresh brought.
#[derive(Clone)]
pub struct Refreshed {
    /// The new tokens, with those kept that were not replaced.
    pub tokens: Tokens,
    /// The raw profile as a login would have brought it; nothing when the provider was not asked or
    /// did not say.
    pub raw: Option<serde_json::Value>,
    /// Fields the source vouches for now.
    pub vouched: Vec<(LinkField, String)>,
}

impl fmt::Debug for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refreshed")
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// Why a refresh brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The provider no longer vouches for this person or session: it is over.
    #[error("the source no longer vouches for the session")]
    Gone(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider could not be asked, is busy, or refuses us; nothing is known of the person.
    #[error("the source could not be asked again")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
