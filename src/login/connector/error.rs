//! `ConnectorError`: why a login went no further, and what the source said.

use crate::issuer::IssuerError;
use crate::outbound;

/// Why a login went no further.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The code is spent or too old: begin once more, by itself, once.
    #[error("the source no longer takes this code")]
    Stale(#[source] SourceRefusal),
    /// The login at the source came to no end in time, and there is no code: begin once more, by
    /// itself, once.
    #[error("the login at the source took too long")]
    Expired(#[source] SourceRefusal),
    /// They did not prove who they are, or may not come. Shown kindly, logged with its reason.
    #[error("the source does not vouch for this person: {why}")]
    Refused {
        /// What to tell them.
        why: RefusalReason,
        /// What the source said.
        #[source]
        source: SourceRefusal,
    },
    /// The source refuses us, not them. The remedy is for the administrator.
    #[error("the source refuses this site; remedy: {remedy}")]
    Misconfigured {
        /// What to change, and where.
        remedy: String,
        /// What the source said.
        #[source]
        source: SourceRefusal,
    },
    /// The source asks us to slow down or is busy.
    #[error("the source is busy or limits this site")]
    Busy(#[source] SourceRefusal),
    /// The source could not be asked. Not their doing.
    #[error("the source could not be asked")]
    Unreachable(#[source] outbound::OutboundError),
    /// The source's issuer did not say what it is, or its keys. Not their doing.
    #[error("the source's issuer could not be asked")]
    Issuer(#[source] IssuerError),
}

impl ConnectorError {
    /// Whether the source said nothing at all.
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

/// Why a source does not vouch for a person; each has its own words on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// They said no at the source.
    Declined,
    /// The user name and the password do not belong together. Whether the name is known is not told.
    WrongPassword,
    /// They are not a member of the organisation.
    NotMember,
    /// Their membership is disabled, not activated or ended.
    Inactive,
    /// They are a member, but not where the application may be used.
    OutOfRange,
    /// What came back makes no sense: a parameter twice, none at all, or a proof that proves
    /// nothing.
    BadAnswer,
    /// They proved themselves less, or longer ago, than was asked for.
    InsufficientProof,
    /// The source was asked to show nothing, and could not say who it is without showing something.
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

/// What a source said when it refused; holds no code, token or secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call} answered {code}: {message}")]
pub struct SourceRefusal {
    /// Which of its calls.
    pub call: &'static str,
    /// Its code.
    pub code: i64,
    /// Its words, bounded.
    pub message: String,
}
