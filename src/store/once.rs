//! What happens once among all processes: the key ring is made, something is spent, a lease is held.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// What a database answers where only one process, or one request, may be the first.
#[async_trait]
pub trait OnceStore: fmt::Debug + Send + Sync {
    /// The key ring kept here, signer first; `candidate` is kept when there is none yet.
    async fn keys(&self, candidate: &Secret<String>) -> Result<Vec<Secret<String>>, StoreError>;

    /// Spends something once: true for the first who asks, until `until` and after.
    async fn spend(&self, what: &[u8; 32], until: Timestamp) -> Result<bool, StoreError>;

    /// Takes or renews a lease for one holder; false when another holds it past `at`.
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
}
