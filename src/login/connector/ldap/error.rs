//! `LdapError`: why a directory could not be asked, or gave no answer that counts.

use std::io;

use super::ber::Malformed;
use crate::outbound::AddressRefused;
use crate::resolver::ResolveError;

/// Why a directory could not be asked. Holds no password.
#[derive(Debug, thiserror::Error)]
pub(super) enum LdapError {
    #[error("look up {address}")]
    Resolve {
        address: String,
        #[source]
        source: ResolveError,
    },
    #[error("connect to {address}")]
    AddressRefused {
        address: String,
        #[source]
        source: AddressRefused,
    },
    #[error("connect to {address}")]
    Connect {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("{address} did not answer {operation} in time")]
    Timeout {
        address: String,
        operation: &'static str,
    },
    /// The certificate is not valid for the host, or there is no TLS at all.
    #[error("establish TLS with {address}")]
    Tls {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("{address} refuses StartTLS with result {code}: {text}")]
    StartTlsRefused {
        address: String,
        code: i32,
        text: String,
    },
    /// They were sent without TLS, so they need not be from the directory.
    #[error("{address} sent bytes between its answer to StartTLS and the TLS handshake")]
    EarlyBytes { address: String },
    #[error("exchange {operation} with {address}")]
    Exchange {
        address: String,
        operation: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{address} closed the connection during {operation}")]
    Closed {
        address: String,
        operation: &'static str,
    },
    #[error("{address} sent a malformed message during {operation}")]
    Malformed {
        address: String,
        operation: &'static str,
        #[source]
        source: Malformed,
    },
    #[error("{address} answered {operation} with more than {bytes_max} bytes")]
    TooLarge {
        address: String,
        operation: &'static str,
        bytes_max: usize,
    },
    #[error("{address} answered {operation} with the message ID of another request")]
    WrongMessageId {
        address: String,
        operation: &'static str,
    },
    #[error("{address} ended the connection with a notice: result {code}: {text}")]
    Notice {
        address: String,
        code: i32,
        text: String,
    },
    /// Referrals are not followed: no password goes to another server than those of `url`.
    #[error(
        "{address} refers {operation} to another server, which menshen does not follow: {referrals}"
    )]
    Referral {
        address: String,
        operation: &'static str,
        referrals: String,
    },
    #[error("{address} refuses {operation} with result {code}: {text}")]
    Refused {
        address: String,
        operation: &'static str,
        code: i32,
        text: String,
    },
    #[error(
        "{address} refuses bind_dn {bind_dn:?} with result {code}: {text}; check bind_dn and \
         bind_password"
    )]
    ServiceBindRefused {
        address: String,
        bind_dn: String,
        code: i32,
        text: String,
    },
    /// All connections are in use.
    #[error("no connection to the directory became free in time")]
    PoolBusy,
    #[error("the directory did not answer within the time of a whole login")]
    LoginTimeout,
}

/// Stands in the log for a message of the directory that repeats the password.
pub(super) const TEXT_WITH_PASSWORD: &str = "(a message that repeats the password)";

impl LdapError {
    /// Without what the directory wrote, which repeats the password.
    pub(super) fn without_text(mut self) -> Self {
        if let Self::Notice { text, .. }
        | Self::Refused { text, .. }
        | Self::Referral {
            referrals: text, ..
        } = &mut self
        {
            TEXT_WITH_PASSWORD.clone_into(text);
        }
        self
    }

    /// Whether a connection that was idle for a while may be the cause.
    pub(super) fn is_broken_connection(&self) -> bool {
        matches!(
            self,
            Self::Exchange { .. } | Self::Closed { .. } | Self::Notice { .. }
        )
    }
}

/// The names of operations in errors.
pub(super) const CONNECT: &str = "the connection";
pub(super) const TLS_HANDSHAKE: &str = "the TLS handshake";
pub(super) const START_TLS: &str = "StartTLS";
pub(super) const BIND: &str = "the bind";
pub(super) const SEARCH: &str = "the search";
