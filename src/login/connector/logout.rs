//! `ProviderLogout`: logout at the source, started by menshen or by the source.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use url::Url;

use super::ConnectorError;
use crate::client::Client;
use crate::login::fields::Fields;
use crate::secret::Secret;
use crate::store::LogoutTarget;

/// The logout features of a source.
#[async_trait]
pub trait ProviderLogout: Send + Sync {
    /// The logout page of the source, if its metadata is in memory. Makes no network call.
    fn page(&self) -> Option<Url>;

    /// The URL that ends the source's own session (OpenID Connect RP-Initiated Logout 1.0) and then
    /// redirects the browser to `return_url` with `state`; `None` if the source has none or does not
    /// answer in time.
    async fn end_session_url(
        &self,
        id_token: Option<&Secret<String>>,
        return_url: &Url,
        state: &str,
    ) -> Option<Url>;

    /// Verifies a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6); `None` if the kind has
    /// no such tokens.
    async fn verify_logout_token(
        &self,
        _token: &str,
        _client: Option<Client>,
    ) -> Option<Result<LogoutNotice, ConnectorError>> {
        None
    }

    /// The session that a front-channel logout request ends (OpenID Connect Front-Channel Logout 1.0
    /// §3), if the request names this source and a session of it.
    fn front_channel_session(&self, _fields: &Fields) -> Option<LogoutTarget> {
        None
    }

    /// The session that a message with [`Callback::logout_message`] ends; `None` if it names none. The
    /// message is not signed: only who knows the session can name it.
    ///
    /// [`Callback::logout_message`]: super::Callback::logout_message
    fn read_logout_message(&self, _message: &str) -> Result<Option<LogoutTarget>, ConnectorError> {
        Ok(None)
    }
}

/// A verified logout message of a source.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutNotice {
    /// The message ID, by which the message is accepted once.
    pub id: String,
    /// The sessions that the source ended.
    pub target: LogoutTarget,
}

impl Debug for LogoutNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutNotice")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
