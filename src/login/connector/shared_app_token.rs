//! `SharedAppToken`: gives the access token of an application to other programs of its owner.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::ConnectorError;
use crate::secret::Secret;

/// Gives the access token of the application to other programs of its owner. A source issues such a token
/// seldom, so programs that each request their own exhaust the limit or end each other's token.
#[async_trait]
pub trait SharedAppToken: fmt::Debug + Send + Sync {
    /// The token that menshen itself uses; requests one if there is none.
    async fn app_token(&self) -> Result<CurrentAppToken, ConnectorError>;

    /// Discards the current token if it is `rejected`, because the source rejects it. The next call of
    /// [`Self::app_token`] then requests a new one.
    fn discard_app_token(&self, rejected: &str) -> Result<(), DiscardedRecently>;
}

/// The token of an application.
#[derive(Clone, Debug)]
pub struct CurrentAppToken {
    pub token: Arc<Secret<String>>,
    /// How long menshen uses it before it requests the next one.
    pub usable_for: Duration,
}

/// A token was discarded a short time ago, so this one is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token was discarded a short time ago: the next one can be in {} s", .retry_after.as_secs())]
pub struct DiscardedRecently {
    pub retry_after: Duration,
}
