//! `ConnectorError`: why a login failed at its source.

use crate::issuer::IssuerError;
use crate::outbound;

/// Why a login failed at its source.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The code was used or has expired. The login restarts once, automatically.
    #[error("the source no longer takes this code")]
    Stale(#[source] SourceRefusal),
    /// The login page of the source timed out, so there is no code. The login restarts once,
    /// automatically.
    #[error("the login at the source took too long")]
    Expired(#[source] SourceRefusal),
    /// The source does not confirm this person. The page shows a friendly text, the log the reason.
    #[error("the source does not vouch for this person: {why}")]
    Refused {
        why: RefusalReason,
        #[source]
        source: SourceRefusal,
    },
    /// The source rejects our settings. The remedy is for the administrator.
    #[error("the source refuses this site; remedy: {remedy}")]
    Misconfigured {
        remedy: String,
        #[source]
        source: SourceRefusal,
    },
    /// The source is overloaded or rate-limits us.
    #[error("the source is busy or limits this site")]
    Busy(#[source] SourceRefusal),
    /// The source gave no usable response.
    #[error("the source cannot be reached")]
    Unreachable(#[source] outbound::OutboundError),
    /// The metadata or the keys of the source's issuer could not be loaded.
    #[error("the source's issuer cannot be reached")]
    Issuer(#[source] IssuerError),
}

impl ConnectorError {
    /// Whether there was no response at all.
    pub fn is_no_response(&self) -> bool {
        match self {
            Self::Unreachable(error) => error.is_no_response(),
            Self::Issuer(error) => error.is_no_response(),
            Self::Stale(_)
            | Self::Expired(_)
            | Self::Refused { .. }
            | Self::Misconfigured { .. }
            | Self::Busy(_) => false,
        }
    }
}

/// Why a source does not confirm a person. Each reason has its own page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The person cancelled the login at the source.
    Declined,
    /// The user name or the password is wrong; the page does not say which.
    WrongPassword,
    /// The person is not a member of the organisation.
    NotMember,
    /// The membership is disabled, not activated or ended.
    Inactive,
    /// The person is a member, but outside the scope of the application.
    OutOfRange,
    /// The response is invalid: a parameter is missing or repeated, or a signature does not match.
    BadAnswer,
    /// The authentication is weaker or older than the route demands.
    InsufficientProof,
    /// A silent login failed because the source must show a page.
    InteractionRequired,
}

impl std::fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Declined => "declined",
            Self::WrongPassword => "wrong user name or password",
            Self::NotMember => "not a member",
            Self::Inactive => "inactive",
            Self::OutOfRange => "out of range",
            Self::BadAnswer => "bad answer",
            Self::InsufficientProof => "proved too little",
            Self::InteractionRequired => "nobody the source knows without asking",
        })
    }
}

/// The error that a source answered. Holds no code, token or secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call} answered {code}: {message}")]
pub struct SourceRefusal {
    /// The name of the API call.
    pub call: &'static str,
    /// The error code of the source, or the HTTP status.
    pub code: i64,
    /// The error message of the source, limited in length.
    pub message: String,
}
