//! `ExternalKind`: a kind of connector from outside this crate.

use std::sync::Arc;

use super::Kind;

/// A kind of connector from outside this crate. Two are equal if they share one value.
///
/// A document cannot name one: a program sets it after it has read its configuration, with
/// [`ConnectorConfig::with_kind`]. Only the tests do so.
///
/// [`ConnectorConfig::with_kind`]: super::ConnectorConfig::with_kind
#[derive(Clone, Debug)]
pub(super) struct ExternalKind(pub(super) Arc<dyn Kind>);

impl PartialEq for ExternalKind {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
