//! Coordination among processes that share a store: the key ring, one-time values and leases.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Operations at which only one of several processes succeeds.
#[async_trait]
pub trait CoordinationStore: fmt::Debug + Send + Sync {
    /// The key ring, signing key first. If there is none yet, `candidate` becomes the only key.
    async fn load_or_create_keys(
        &self,
        candidate: &Secret<String>,
    ) -> Result<Vec<Secret<String>>, StoreError>;

    /// Spends a one-time value: true for the first caller only. The value is remembered at least until
    /// `until`.
    async fn spend(&self, value_hash: &[u8; 32], until: Timestamp) -> Result<bool, StoreError>;

    /// Whether a one-time value was spent and is still remembered.
    async fn is_spent(&self, value_hash: &[u8; 32]) -> Result<bool, StoreError>;

    /// Takes or renews a lease until `until`; false while another holder has it at `at`.
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Until when somebody has a lease; `None` if nobody took it, or it has ended and was deleted.
    async fn lease_end(&self, name: &str) -> Result<Option<Timestamp>, StoreError>;
}
