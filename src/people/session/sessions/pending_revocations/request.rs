//! `RevocationRequest`: which sessions to end, and why.

use crate::clock::Timestamp;
use crate::store::{
    AccountId, Closing, ConnectorId, LogoutTarget, RevocationScope, Subject, session_group,
};

/// A request that ends sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum RevocationRequest {
    Revoke(RevocationScope),
    CloseAccount(AccountId, Closing),
    /// A logout at a provider.
    ProviderLogout {
        connector: ConnectorId,
        target: LogoutTarget,
        message_id: Option<[u8; 32]>,
        until: Timestamp,
    },
    /// Ends the access tokens of an identity.
    AccessTokens(ConnectorId, Subject),
}

impl RevocationRequest {
    /// The sessions that end; `None` if only the store can find them.
    pub(super) fn scope(&self) -> Option<RevocationScope> {
        match self {
            Self::Revoke(scope) => Some(scope.clone()),
            Self::CloseAccount(account, _) => Some(RevocationScope::Account(*account)),
            Self::ProviderLogout { .. } | Self::AccessTokens(..) => None,
        }
    }

    /// Whether the request is unauthenticated: no signed message of the provider came with it.
    pub(super) fn is_unauthenticated(&self) -> bool {
        self.unauthenticated_logout().is_some()
    }

    /// The connector and the provider's session ID of an unauthenticated logout.
    pub(super) fn unauthenticated_logout(&self) -> Option<(&ConnectorId, &str)> {
        match self {
            Self::ProviderLogout {
                connector,
                target: LogoutTarget::Session(sid),
                message_id: None,
                ..
            } => Some((connector, sid)),
            Self::ProviderLogout { .. }
            | Self::Revoke(_)
            | Self::CloseAccount(..)
            | Self::AccessTokens(..) => None,
        }
    }
}

/// Whether a logout ends a session; the same rule as in the store.
pub(super) fn matches_session(
    target: &LogoutTarget,
    provider_sid: Option<&str>,
    subject: &Subject,
) -> bool {
    match target {
        LogoutTarget::Session(sid) => provider_sid == Some(sid),
        LogoutTarget::Sessions(sids) => {
            provider_sid.is_some_and(|own| sids.iter().any(|sid| sid == own))
        }
        LogoutTarget::SessionAndSubject {
            sid,
            subject: ended,
        } => provider_sid.map_or(ended == subject, |own_sid| own_sid == sid),
        LogoutTarget::Subject(ended) => ended == subject,
        LogoutTarget::SessionGroup(group) => {
            provider_sid.and_then(session_group) == Some(group.as_str())
        }
    }
}
