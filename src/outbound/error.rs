//! `OutboundError`: why a call failed.

use super::AddressRefused;

/// Why a call failed. Never contains a URL, a query or a body.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The connection failed or timed out: DNS, network, proxy or TLS.
    #[error("connect for {call}")]
    Connect {
        call: &'static str,
        #[source]
        source: reqwest::Error,
    },
    /// Nothing was sent: the address may not be contacted.
    #[error("connect for {call}")]
    Refused {
        call: &'static str,
        #[source]
        source: AddressRefused,
    },
    /// The server accepted the connection and did not respond in time.
    #[error("{call} was not answered in time")]
    Timeout { call: &'static str },
    /// The connection broke, or the response is not HTTP.
    #[error("exchange {call}")]
    Exchange {
        call: &'static str,
        #[source]
        source: reqwest::Error,
    },
    /// The response has another status than 200.
    #[error("{call} answered with HTTP status {status} and {content_type}")]
    Status {
        call: &'static str,
        status: u16,
        /// The `Content-Type` of the response.
        content_type: String,
    },
    /// The response is not JSON, but for example a captive portal or the error page of a gateway.
    #[error("{call} answered with HTTP status 200 and something else than JSON ({content_type})")]
    NotJson {
        call: &'static str,
        /// The `Content-Type` of the response.
        content_type: String,
    },
    /// The response is JSON without a member that the call needs.
    #[error("{call} answered with JSON that lacks {missing}")]
    Incomplete {
        call: &'static str,
        /// The member that is absent or of another type.
        missing: &'static str,
    },
    /// The response is longer than the limit.
    #[error("{call} answered with more than {bytes_max} bytes")]
    TooLarge {
        call: &'static str,
        bytes_max: usize,
    },
    /// The last call failed, and its back-off lasts.
    #[error("{call} was not answered a moment ago")]
    Pausing { call: &'static str },
}

impl OutboundError {
    /// Whether the server accepted the connection and did not respond in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether there was no HTTP response.
    pub fn is_no_response(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Refused { .. }
            | Self::Timeout { .. }
            | Self::Exchange { .. }
            | Self::Pausing { .. } => true,
            Self::Status { .. }
            | Self::NotJson { .. }
            | Self::Incomplete { .. }
            | Self::TooLarge { .. } => false,
        }
    }
}
