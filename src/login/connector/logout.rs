//! `ProviderLogout`: logout at the source, started by menshen or by the source.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use url::Url;

use super::{ConnectorError, Delivery};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::login::fields::Fields;
use crate::secret::Secret;
use crate::store::LogoutTarget;

/// The logout features of a source.
#[async_trait]
pub trait ProviderLogout: Send + Sync {
    /// The logout page of the source, if its metadata is in memory. Makes no network call.
    fn page(&self) -> Option<Url>;

    /// The message that ends the source's own session (OpenID Connect RP-Initiated Logout 1.0, a
    /// `LogoutRequest` of SAML 2.0) and lets it redirect the browser to `return_url` with `state`; `None` if
    /// the source has no such page or does not answer in time. `id_token` is [`ProviderTokens::id`] of the
    /// session.
    ///
    /// [`ProviderTokens::id`]: crate::people::provider_tokens::ProviderTokens::id
    async fn end_session(
        &self,
        id_token: Option<&Secret<String>>,
        return_url: &Url,
        state: &str,
    ) -> Option<Delivery>;

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

    /// Verifies a message to the logout URL, `/saml/{connector}/logout`; `None` if the kind has no such URL.
    async fn receive_logout(
        &self,
        _message: LogoutMessage<'_>,
    ) -> Option<Result<ReceivedLogout, ConnectorError>> {
        None
    }
}

/// A message to the logout URL of a connector.
#[derive(Clone, Copy, Debug)]
pub enum LogoutMessage<'a> {
    /// The query, as it was received.
    Query(&'a str),
    Form(&'a Fields),
}

/// What a message to the logout URL means.
#[derive(Debug)]
pub enum ReceivedLogout {
    /// The source ended sessions. The notice is accepted once; the answer is for the source, if it can get
    /// one.
    Request {
        notice: LogoutNotice,
        answer: Option<Delivery>,
    },
    /// The answer of the source to a message of [`ProviderLogout::end_session`].
    Answer {
        /// Whether the source ended its session.
        is_confirmed: bool,
        /// The `state` of that message.
        state: Option<String>,
    },
}

/// A verified logout message of a source.
#[derive(Clone, PartialEq, Eq)]
pub struct LogoutNotice {
    /// The message ID, by which the message is accepted once.
    pub id: String,
    /// The sessions that the source ended.
    pub target: LogoutTarget,
    /// When the message is no longer accepted for its age. Until then it must be remembered as used.
    pub accepted_until: Timestamp,
}

impl Debug for LogoutNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutNotice")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
