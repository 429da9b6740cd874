//! The outcomes of logins, token checks, refreshes and reloads, which are labels of metrics.

/// The result of a login, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    Done,
    /// The authentication failed, or the person is not allowed.
    Refused,
    /// The provider or the store failed.
    Failed,
}

/// The result of a bearer token check, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerOutcome {
    Verified,
    /// The cache contains the result of an earlier verification.
    Cached,
    Refused,
    /// The issuer could not be reached.
    Unavailable,
    /// The client sent too many new tokens, so this one was not checked.
    Limited,
}

impl BearerOutcome {
    pub(super) const ALL: [Self; 5] = [
        Self::Verified,
        Self::Cached,
        Self::Refused,
        Self::Unavailable,
        Self::Limited,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Cached => "cached",
            Self::Refused => "refused",
            Self::Unavailable => "away",
            Self::Limited => "limited",
        }
    }
}

/// The result of a token refresh, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    Done,
    /// Another process had already refreshed the tokens.
    Adopted,
    /// The provider refused the refresh.
    Gone,
    /// The provider could not be reached.
    Unavailable,
    /// Other refreshes, or another process with the lease, took too long.
    Busy,
    /// The store failed.
    Store,
}

/// The result of a reload, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    Done,
    /// The new configuration is invalid, and the old one stays active.
    Refused,
}

/// The result of another program's request for the access token of menshen's own application, or of its
/// report that the source rejects the token, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppTokenOutcome {
    Issued,
    /// The source issues none.
    Failed,
    /// The admin token does not have the right.
    Refused,
    /// The program reported that the source rejects the token.
    Rejected,
    /// The program reported too often that the source rejects the token.
    Limited,
}

impl AppTokenOutcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Limited => "limited",
        }
    }
}

impl LoginOutcome {
    pub(super) const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Failed];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl RefreshOutcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Adopted => "adopted",
            Self::Gone => "gone",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::Store => "store",
        }
    }
}

impl ReloadOutcome {
    pub(super) const ALL: [Self; 2] = [Self::Done, Self::Refused];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}
