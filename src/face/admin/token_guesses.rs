//! `TokenGuesses`: limits how many wrong tokens a client may send to the admin API.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::tokens::{AdminToken, AdminTokens};
use crate::client::{Client, Rates};
use crate::telemetry::LogLimiter;

/// Why a request gets no access to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenRefused {
    #[error("the request has no token")]
    Missing,
    #[error("the token is wrong")]
    Wrong,
    /// The client sent too many wrong tokens. The one of this request was not looked at.
    #[error("too many wrong tokens of this client")]
    TooMany,
}

/// The wrong tokens of each client, in memory of a fixed size.
pub(super) struct TokenGuesses {
    wrong_tokens: Rates,
    limit_log: LogLimiter,
}

impl TokenGuesses {
    pub(super) fn new(per_client_per_minute: u32) -> Self {
        Self {
            wrong_tokens: Rates::per_minute(per_client_per_minute, u32::MAX),
            limit_log: LogLimiter::default(),
        }
    }

    /// The token of a request, unless its client reached the limit. A client without an address is on a
    /// unix socket, whose permissions say who may connect.
    pub(super) fn find<'a>(
        &self,
        tokens: &'a AdminTokens,
        headers: &HeaderMap,
        client: Option<IpAddr>,
    ) -> Result<&'a AdminToken, TokenRefused> {
        let client = client.map(|address| Client::new(address, false));
        if client.is_some_and(|client| !self.wrong_tokens.take(client)) {
            return Err(TokenRefused::TooMany);
        }
        let Some(token) = tokens.find(headers) else {
            return Err(match headers.contains_key(AUTHORIZATION) {
                true => TokenRefused::Wrong,
                false => TokenRefused::Missing,
            });
        };
        // A right token does not count.
        if let Some(client) = client {
            self.wrong_tokens.refund(client);
        }
        Ok(token)
    }

    /// Logs that a client reached the limit.
    pub(super) fn log_limit(&self, client: Option<IpAddr>) {
        if self.limit_log.allow() {
            tracing::warn!(
                ?client,
                "a client sent too many wrong tokens to the admin API: its requests are refused for a while"
            );
        }
    }
}
