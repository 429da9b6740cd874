//! `ResponseId`: by which a response of a provider is accepted once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Timestamp;
use crate::keys;

/// The ID of a response that all processes together accept once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseId {
    pub id: String,
    /// When the response is no longer accepted for its age.
    pub accepted_until: Timestamp,
}

impl ResponseId {
    /// The ID of a response that a secret identifies, such as a ticket: its hash.
    pub fn of_secret(secret: &str, accepted_until: Timestamp) -> Self {
        // The label never changes, so that tickets stay spent when menshen is updated.
        let hash = keys::fingerprint(&[b"response", secret.as_bytes()]);
        Self {
            id: format!("hash {}", URL_SAFE_NO_PAD.encode(hash)),
            accepted_until,
        }
    }
}
