//! `ManagedDocument`: the managed settings of one version, as the store has them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SettingsError;
use super::table::{ConnectorTable, SealedTable};
use crate::keys::KeyRing;
use crate::store::ConnectorId;

/// The managed settings of one version. Its JSON is what the store keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagedDocument {
    pub connectors: BTreeMap<ConnectorId, ManagedConnector>,
    /// Whether connectors of the file are enabled, if the file does not say it.
    pub enabled: BTreeMap<ConnectorId, bool>,
    pub login: ManagedLogin,
    /// The kind of every connector that there has ever been: an ID may come again only as the same kind.
    pub kinds: BTreeMap<ConnectorId, String>,
}

/// A connector that the store has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ManagedConnector {
    /// The version in which it was last changed.
    pub etag: u64,
    pub settings: SealedTable,
    /// The fields of HENGSHI's API from which the settings were made, as they were sent and without secrets.
    /// Absent: they were made otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hengshi: Option<Map<String, Value>>,
}

/// Managed choices of `[login]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagedLogin {
    /// The version in which one was last changed.
    pub etag: u64,
    pub default: Option<ConnectorId>,
    pub order: Vec<ConnectorId>,
}

impl ManagedDocument {
    /// The document of a version of the store.
    ///
    /// # Errors
    /// It is not such JSON.
    pub(in crate::site) fn parse(version: u64, json: &str) -> Result<Self, SettingsError> {
        serde_json::from_str(json).map_err(|_| SettingsError::Damaged { version })
    }

    /// The text that the store keeps.
    pub(in crate::site) fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The settings of a connector with [`super::SECRET_MARKER`] in place of secrets.
    pub fn table(&self, id: &ConnectorId) -> Option<ConnectorTable> {
        Some(self.connectors.get(id)?.settings.masked())
    }

    /// The settings of a connector with its secrets.
    pub(super) fn opened(
        &self,
        id: &ConnectorId,
        ring: &KeyRing,
    ) -> Option<Result<ConnectorTable, SettingsError>> {
        let managed = self.connectors.get(id)?;
        let opened = managed.settings.open(ring, id);
        Some(opened.map_err(|field| SettingsError::Sealed {
            id: id.clone(),
            field,
        }))
    }

    /// The document with all secrets sealed by the first key of the ring; `None` if they are already.
    /// Secrets that no key opens stay as they are.
    pub(in crate::site) fn resealed(&self, ring: &KeyRing) -> Option<Self> {
        let mut document = self.clone();
        let mut is_changed = false;
        for (id, managed) in &mut document.connectors {
            if let Some(resealed) = managed.settings.resealed(ring, id) {
                managed.settings = resealed;
                is_changed = true;
            }
        }
        is_changed.then_some(document)
    }
}
