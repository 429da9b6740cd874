//! `LoginError`: why a login could not begin or finish.

use super::connector::{ConnectorError, RefusalReason};
use super::limits::Limited;
use super::pending::{PendingError, PendingTooLarge};
use crate::people::AdmitError;
use crate::people::session::MintError;
use crate::store::{LoginName, Subject};
use crate::wording::{Text, error_of_text};

/// Why a login could not begin or finish.
#[derive(Debug)]
pub enum LoginError {
    UnknownConnector,
    /// A rate limit or an open circuit breaker.
    Limited(Limited),
    /// This browser did not begin the login, or its flow cookie is lost.
    Pending(PendingError),
    /// The pending login is too long for the flow cookies.
    TooLarge(PendingTooLarge),
    /// The connector or its source failed.
    Connector(ConnectorError),
    /// An entry token or its flow was used before.
    AlreadyUsed,
    /// The person was not admitted to an account.
    Admit {
        /// The subject that the source confirmed.
        subject: Subject,
        source: AdmitError,
    },
    /// No session was minted.
    Mint {
        /// The subject that the source confirmed.
        subject: Subject,
        source: MintError,
    },
    /// The task panicked, or the process is shutting down.
    TaskFailed,
}

impl LoginError {
    fn text(&self) -> Text {
        match self {
            Self::UnknownConnector => {
                Text::fixed("no connector has this ID", "没有这个 ID 的认证源")
            }
            Self::Limited(_) => Text::fixed("logins are limited now", "登录受到限制"),
            Self::Pending(_) => Text::fixed(
                "the callback does not belong to a login of this browser",
                "回调不属于此浏览器的登录",
            ),
            Self::TooLarge(_) => {
                Text::fixed("the pending login is too large", "进行中的登录数据过长")
            }
            Self::Connector(_) => Text::fixed("cannot verify the person", "无法验证此人"),
            Self::AlreadyUsed => Text::fixed("the token was used before", "令牌已经用过"),
            Self::Admit { .. } => Text::fixed("cannot admit the person", "无法接纳此人"),
            Self::Mint { .. } => {
                Text::fixed("cannot mint a session for the person", "无法为此人建立会话")
            }
            Self::TaskFailed => Text::fixed("the login was interrupted", "登录被中断"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Limited(source) => Some(source),
            Self::Pending(source) => Some(source),
            Self::TooLarge(source) => Some(source),
            Self::Connector(source) => Some(source),
            Self::Admit { source, .. } => Some(source),
            Self::Mint { source, .. } => Some(source),
            Self::UnknownConnector | Self::AlreadyUsed | Self::TaskFailed => None,
        }
    }
}

error_of_text!(LoginError, caused);

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
