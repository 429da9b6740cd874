//! The nodes of a site: the running processes that share the store.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use crate::clock::Timestamp;

/// Keeps what each node says about itself. A node of which nothing was heard for ten minutes is deleted with
/// what has expired.
#[async_trait]
pub trait NodeStore: fmt::Debug + Send + Sync {
    /// Stores what a node says about itself, in place of what it said before.
    async fn report_node(&self, node: &NodeRecord) -> Result<(), StoreError>;

    /// Deletes a node, which stops.
    async fn remove_node(&self, id: &str) -> Result<(), StoreError>;

    /// The nodes by their names, at most `max`.
    async fn nodes(&self, max: u32) -> Result<Vec<NodeRecord>, StoreError>;
}

/// What a node says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// Random, of one process.
    pub id: String,
    /// The name of its machine.
    pub name: String,
    pub program_version: String,
    /// The version of the managed settings that it serves; 0: there is none.
    pub settings_version: u64,
    /// Why it does not serve the newest version as a whole: in English, and on a second line in Chinese.
    pub problem: Option<String>,
    pub started_at: Timestamp,
    /// When it last said this.
    pub seen_at: Timestamp,
}
