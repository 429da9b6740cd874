//! `Unreported`: logout messages that a retry used, after their providers were told that the store failed.

use std::time::Duration;

use moka::sync::Cache;

use super::RevocationRequest;

/// How long a provider may take to repeat a message. An older one is refused for its age.
const KEPT_FOR: Duration = Duration::from_secs(900);
/// The maximum number of messages.
const MESSAGES_MAX: u64 = 10_000;

/// The IDs of the messages.
#[derive(Debug)]
pub(super) struct Unreported(Cache<[u8; 32], ()>);

impl Default for Unreported {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(MESSAGES_MAX)
                .time_to_live(KEPT_FOR)
                .build(),
        )
    }
}

impl Unreported {
    pub(super) fn insert(&self, request: &RevocationRequest) {
        if let Some(id) = message_id(request) {
            self.0.insert(*id, ());
        }
    }

    /// Whether the message is one of these: true once.
    pub(super) fn take(&self, request: &RevocationRequest) -> bool {
        message_id(request).is_some_and(|id| self.0.remove(id).is_some())
    }
}

fn message_id(request: &RevocationRequest) -> Option<&[u8; 32]> {
    match request {
        RevocationRequest::ProviderLogout { message_id, .. } => message_id.as_ref(),
        RevocationRequest::Revoke(_)
        | RevocationRequest::CloseAccount(..)
        | RevocationRequest::AccessTokens(..) => None,
    }
}
