//! `Version`: one version of the managed settings, as it is kept.

use super::document::ManagedDocument;
use crate::clock::Timestamp;

/// Who made a version, when, and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    pub number: u64,
    pub made_at: Timestamp,
    /// Who made it.
    pub author: String,
    /// `api`, `console` or `command`.
    pub means: String,
    /// The names of the changed fields.
    pub fields: Vec<String>,
}

/// A version with its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub summary: VersionSummary,
    /// With sealed secrets. [`super::SealedTable::masked`] shows a connector without them.
    pub document: ManagedDocument,
}
