//! `LoginError`: why a login could not begin or finish.

use super::connector::{ConnectorError, RefusalReason};
use super::limits::Limited;
use super::pending::{PendingError, PendingTooLarge};
use crate::people::AdmitError;
use crate::people::session::MintError;
use crate::store::{LoginName, Subject};

/// Why a login could not begin or finish.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("no connector has this ID")]
    UnknownConnector,
    /// A rate limit or an open circuit breaker.
    #[error("logins are limited now")]
    Limited(#[source] Limited),
    /// This browser did not begin the login, or its flow cookie is lost.
    #[error("the callback does not belong to a login of this browser")]
    Pending(#[source] PendingError),
    /// The pending login is too long for the flow cookies.
    #[error("the pending login is too large")]
    TooLarge(#[source] PendingTooLarge),
    /// The connector or its source failed.
    #[error("cannot verify the person")]
    Connector(#[source] ConnectorError),
    /// An entry token or its flow was used before.
    #[error("the token was used before")]
    AlreadyUsed,
    /// The person was not admitted to an account.
    #[error("cannot admit the person")]
    Admit {
        /// The subject that the source confirmed.
        subject: Subject,
        #[source]
        source: AdmitError,
    },
    /// No session was minted.
    #[error("cannot mint a session for the person")]
    Mint {
        /// The subject that the source confirmed.
        subject: Subject,
        #[source]
        source: MintError,
    },
    /// The task panicked, or the process is shutting down.
    #[error("the login was interrupted")]
    TaskFailed,
}

impl LoginError {
    /// The subject that the source confirmed, if it did.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Admit { subject, .. } | Self::Mint { subject, .. } => Some(subject),
            Self::UnknownConnector
            | Self::Limited(_)
            | Self::Pending(_)
            | Self::TooLarge(_)
            | Self::Connector(_)
            | Self::AlreadyUsed
            | Self::TaskFailed => None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connector(error) => matches!(
                error,
                ConnectorError::Unavailable(_)
                    | ConnectorError::Busy(_)
                    | ConnectorError::NoUsableResponse(_)
                    | ConnectorError::MetadataUnavailable(_)
                    | ConnectorError::Issuer(_)
            ),
            Self::Admit { source, .. } => matches!(source, AdmitError::Store(_)),
            Self::Mint { source, .. } => matches!(source, MintError::Store(_)),
            Self::Limited(_) | Self::TaskFailed => true,
            Self::UnknownConnector | Self::Pending(_) | Self::TooLarge(_) | Self::AlreadyUsed => {
                false
            }
        }
    }

    /// Whether the user name or the password is wrong.
    pub fn is_wrong_password(&self) -> bool {
        matches!(self, Self::Connector(error) if error.is_wrong_password())
    }

    /// Whether the password is right, but must be changed first.
    pub fn is_password_expired(&self) -> bool {
        matches!(
            self,
            Self::Connector(ConnectorError::Refused {
                why: RefusalReason::PasswordExpired,
                ..
            })
        )
    }

    /// When the same request may succeed, in seconds, if that is known.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Limited(Limited::WrongPasswords { retry_after_s, .. }) => Some(*retry_after_s),
            _ => None,
        }
    }

    /// Whether a repetition of the response would always get this error. A wrong password may become
    /// right, if an administrator changes it at the source.
    pub(super) fn is_final(&self) -> bool {
        !self.is_wrong_password() && !self.is_transient()
    }

    /// The login name, if the error is that it has no account or belongs to another account.
    pub fn login(&self) -> Option<&LoginName> {
        match self {
            Self::Admit { source, .. } => match source {
                AdmitError::Unknown { login }
                | AdmitError::AmbiguousLink { login, .. }
                | AdmitError::LoginTaken { login, .. } => Some(login),
                AdmitError::Map(_)
                | AdmitError::Closed { .. }
                | AdmitError::LocalPersonChanged
                | AdmitError::Store(_) => None,
            },
            _ => None,
        }
    }
}
