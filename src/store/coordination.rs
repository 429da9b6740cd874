//! What may happen only once among all processes: a key ring is made, a ticket is spent, a lease is
//! taken.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// What a database answers when only one caller may succeed.
#[async_trait]
pub trait CoordinationStore: fmt::Debug + Send + Sync {
    /// The key ring, signer first; when there is none yet, `candidate` becomes the only key.
    async fn load_or_create_keys(
        &self,
        candidate: &Secret<String>,
    ) -> Result<Vec<Secret<String>>, StoreError>;

    /// Spends something once: true for the first caller. Remembered at least until `until`.
    async fn spend(&self, value_hash: &[u8; 32], until: Timestamp) -> Result<bool, StoreError>;

    /// Takes or renews a lease until `until`; false when another holder has it past `at`.
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
}
