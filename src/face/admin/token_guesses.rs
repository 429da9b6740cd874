//! `TokenGuesses`: limits how many wrong tokens a client may send to the admin API.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::tokens::{AdminToken, AdminTokens};
use crate::client::{Client, Rates};
use crate::telemetry::LogLimiter;
use crate::wording::{Text, error_of_text};

/// Why a request gets no access to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenRefused {
    Missing,
    Wrong,
    /// The client sent too many wrong tokens. The one of this request was not looked at.
    TooMany,
}

impl TokenRefused {
    fn text(&self) -> Text {
        match self {
            Self::Missing => Text::fixed("the request has no token", "请求没有令牌"),
            Self::Wrong => Text::fixed("the token is wrong", "令牌不正确"),
            Self::TooMany => Text::fixed(
                "too many wrong tokens of this client",
                "此客户端发送的错误令牌过多",
            ),
        }
    }
}

error_of_text!(TokenRefused);

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
