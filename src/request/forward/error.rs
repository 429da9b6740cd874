//! Why a request got no response from an upstream, and why a pool cannot be built.

use std::fmt;
use std::io;

use crate::request::BodyError;
use crate::text;
use crate::wording::{Text, error_of_text};

/// What a request was waiting for when it timed out: names the time-out of the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A connection to the upstream.
    Connect,
    /// More of the client's request body, or the upstream's reading of it.
    RequestBody,
    /// The head of the response.
    Response,
    /// More of the response body.
    ResponseBody,
}

/// Why a request got no response from an upstream.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error("the route has no upstream")]
    NoUpstream,
    /// `CONNECT` or `TRACE`, which no route forwards.
    #[error("the method is never forwarded")]
    Method,
    /// The wait timed out, for one of the `connections_max` requests of the upstream to end or for a free
    /// socket.
    #[error("every connection to the upstream is in use")]
    Busy,
    #[error("the client has as many requests in progress as one client may have")]
    ClientShare,
    #[error("anonymous clients have as many requests in progress as they may have together")]
    AnonymousShare,
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] io::Error),
    /// A wait took longer than the route allows.
    #[error("timed out while {0}")]
    Timeout(Phase),
    /// The upstream closed the connection before it responded, or during the response body.
    #[error("the upstream closed the connection early")]
    UpstreamDisconnected(#[source] BodyError),
    /// The head of the response is not HTTP, too large or ambiguous.
    #[error("the upstream's response is invalid")]
    InvalidResponse(#[source] BodyError),
    #[error("the request body is larger than body_bytes_max, which is {bytes_max} bytes")]
    TooLarge {
        bytes_max: u64,
        /// Whether part of the body reached the upstream: a chunked body does not announce its
        /// length.
        partly_sent: bool,
    },
    #[error("the client aborted its request")]
    ClientAborted,
}

impl ForwardError {
    /// The reason in the metrics, if the upstream failed.
    pub fn upstream_failure(&self) -> Option<&'static str> {
        match self {
            Self::Timeout(Phase::RequestBody) => None,
            Self::Unreachable(_) => Some("unreachable"),
            Self::Busy => Some("busy"),
            Self::Timeout(_) => Some("timeout"),
            Self::UpstreamDisconnected(_) => Some("disconnected"),
            Self::InvalidResponse(_) => Some("invalid response"),
            Self::NoUpstream
            | Self::Method
            | Self::ClientShare
            | Self::AnonymousShare
            | Self::TooLarge { .. }
            | Self::ClientAborted => None,
        }
    }

    /// The exceeded key of `[server.limits]`, if there is one.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::ClientShare => Some("upstream_share"),
            Self::AnonymousShare => Some("upstream_share_anonymous"),
            _ => None,
        }
    }

    /// Whether the client, and not the upstream, ended the request.
    pub(super) fn is_caused_by_client(&self) -> bool {
        matches!(
            self,
            Self::ClientAborted | Self::TooLarge { .. } | Self::Timeout(Phase::RequestBody)
        )
    }
}

/// Why a connection pool cannot be built.
#[derive(Debug)]
pub enum BuildError {
    Name { name: String },
    Tls(rustls::Error),
}

impl BuildError {
    fn text(&self) -> Text {
        match self {
            Self::Name { name } => text!(
                "`{name}` is not a valid host name for an upstream",
                "`{name}` 不能作为上游的主机名"
            ),
            Self::Tls(_) => Text::fixed("set up TLS to the upstream", "无法配置到上游的 TLS"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tls(source) => Some(source),
            Self::Name { .. } => None,
        }
    }
}

error_of_text!(BuildError, caused);

#[derive(Debug, thiserror::Error)]
#[error("the upstream switched to a protocol that the client did not request")]
pub(super) struct UnrequestedUpgrade;

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting to the upstream",
            Self::RequestBody => "forwarding the request body",
            Self::Response => "waiting for the upstream's response",
            Self::ResponseBody => "waiting for more of the upstream's response body",
        })
    }
}
