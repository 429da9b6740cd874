//! `ExternalKind`: a kind of connector from outside this crate.

use std::sync::Arc;

use super::Kind;

/// A kind of connector from outside this crate. Two are equal if they share one value.
///
/// No configuration file can name such a kind. A program sets it with [`ConnectorConfig::with_kind`] after
/// it has read its configuration. Only the tests do so.
///
/// [`ConnectorConfig::with_kind`]: super::ConnectorConfig::with_kind
#[derive(Clone, Debug)]
pub(super) struct ExternalKind(pub(super) Arc<dyn Kind>);

impl PartialEq for ExternalKind {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
