//! The kept versions of the managed settings.

use super::LiveSite;
use crate::site::settings::{ManagedDocument, SettingsError, Version, VersionSummary};
use crate::store::{ManagedVersionRecord, Store};

impl LiveSite {
    /// The versions before `before`, the newest first, at most `max`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn versions(
        &self,
        before: Option<u64>,
        max: u32,
    ) -> Result<Vec<VersionSummary>, SettingsError> {
        let versions = self.services.store.managed_versions(before, max).await;
        let versions = versions.map_err(SettingsError::Store)?;
        Ok(versions.into_iter().map(VersionSummary::from).collect())
    }

    /// A version with its content; `None` if there is none, or it is no longer kept.
    ///
    /// # Errors
    /// The store failed, or the version is damaged.
    pub async fn version(&self, number: u64) -> Result<Option<Version>, SettingsError> {
        stored_version(&*self.services.store, Some(number)).await
    }
}

/// A version of a store; absent: the newest one. `None` if there is none, or it is no longer kept.
///
/// # Errors
/// The store failed, or the version is damaged.
pub async fn stored_version(
    store: &dyn Store,
    number: Option<u64>,
) -> Result<Option<Version>, SettingsError> {
    let found = store.managed_version(number).await;
    let Some(found) = found.map_err(SettingsError::Store)? else {
        return Ok(None);
    };
    let number = found.record.number;
    Ok(Some(Version {
        document: ManagedDocument::parse(number, &found.document)?,
        summary: found.record.into(),
    }))
}

impl From<ManagedVersionRecord> for VersionSummary {
    fn from(record: ManagedVersionRecord) -> Self {
        Self {
            number: record.number,
            made_at: record.made_at,
            author: record.author,
            means: record.means,
            fields: record.fields,
        }
    }
}
