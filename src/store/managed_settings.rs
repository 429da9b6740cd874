//! The versions of the managed settings: connectors and choices that the admin API and the console change.

use std::fmt;

use async_trait::async_trait;

use super::{ConnectorId, Revocation, StoreError};
use crate::clock::Timestamp;
use crate::telemetry::AuditLine;

/// Reads and adds versions of the managed settings. A version never changes, except that its secrets are
/// sealed again when the session key has changed.
#[async_trait]
pub trait ManagedSettingsStore: fmt::Debug + Send + Sync {
    /// The number of the newest version; 0: there is none.
    async fn newest_managed_version(&self) -> Result<u64, StoreError>;

    /// A version; absent: the newest one. `None`: there is none, or it is no longer kept.
    async fn managed_version(
        &self,
        number: Option<u64>,
    ) -> Result<Option<ManagedVersion>, StoreError>;

    /// The versions before `before`, the newest first, at most `max`.
    async fn managed_versions(
        &self,
        before: Option<u64>,
        max: u32,
    ) -> Result<Vec<ManagedVersionRecord>, StoreError>;

    /// Adds a version, ends the sessions of the connectors that it takes out of force, deletes versions that
    /// are no longer kept, and announces it in the log of revocations, in one transaction. Returns the
    /// entries of the log; `None` if the newest version is not `new.after`: then nothing changes.
    async fn add_managed_version(
        &self,
        new: &NewManagedVersion<'_>,
    ) -> Result<Option<Vec<Revocation>>, StoreError>;

    /// The kinds of the connectors that files had, as the last ones said them.
    async fn connector_kinds(&self) -> Result<Vec<(ConnectorId, String)>, StoreError>;

    /// Remembers the kinds of the connectors of a file.
    async fn note_connector_kinds(&self, kinds: &[(ConnectorId, String)])
    -> Result<(), StoreError>;

    /// Replaces the document of a version by the same one with secrets that another key sealed; false if the
    /// stored document is not `before`.
    async fn reseal_managed_version(
        &self,
        number: u64,
        before: &str,
        after: &str,
    ) -> Result<bool, StoreError>;
}

/// Who made a version, when, and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedVersionRecord {
    pub number: u64,
    pub made_at: Timestamp,
    pub author: String,
    /// By what it was made: `api`, `console` or `command`.
    pub means: String,
    /// The names of the changed fields.
    pub fields: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedVersion {
    pub record: ManagedVersionRecord,
    /// The settings (JSON); their secrets are sealed.
    pub document: String,
}

/// A version to add.
#[derive(Clone, Debug)]
pub struct NewManagedVersion<'a> {
    /// The number of the version from which it was made; it gets the next one.
    pub after: u64,
    pub made_at: Timestamp,
    pub author: &'a str,
    pub means: &'static str,
    pub fields: &'a [String],
    pub document: &'a str,
    /// The connectors whose sessions end.
    pub ended: &'a [ConnectorId],
    /// How many versions are kept, with this one.
    pub versions_kept: u32,
    /// The line of the audit trail about the change, which is stored with it or not at all.
    pub audit: Option<&'a AuditLine>,
}
