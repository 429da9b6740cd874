//! A kind of connector that comes from outside this crate.

use std::sync::Arc;

use super::Kind;

/// A kind of connector that comes from outside this crate. Two are the same if one is a clone of the
/// other.
///
/// No document can name one: a program puts it in place after it read its configuration, by
/// [`ConnectorConfig::with_kind`]. `menshen` itself never does; the tests bring sources of their own in
/// this way, and these speak as every kind does.
///
/// [`ConnectorConfig::with_kind`]: super::ConnectorConfig::with_kind
#[derive(Clone, Debug)]
pub(super) struct ExternalKind(pub(super) Arc<dyn Kind>);

impl PartialEq for ExternalKind {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
