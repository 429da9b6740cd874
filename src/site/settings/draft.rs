//! `Draft`: a connector that is built from saved or unsaved settings, to be tried and not to be used.

use serde_json::Value;

use super::error::{ChangeError, FieldProblem};
use super::hosts;
use super::table::ConnectorTable;
use crate::login::ConnectorEntry;
use crate::login::connector::Finding;
use crate::site::live::LiveSite;
use crate::store::ConnectorId;

/// A connector that is built to be tried. Nobody signs in with it.
#[derive(Debug)]
pub struct Draft {
    entry: ConnectorEntry,
    /// The hosts that the settings name.
    hosts: Vec<String>,
}

/// What the mapping makes of a profile for one field.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewedField {
    pub field: String,
    /// `null` if the profile has no value for it; the error of the expression.
    pub value: Result<Value, String>,
}

impl Draft {
    /// What the source says to the settings, as `check --online` prints it. Contacts the source:
    /// [`LiveSite::examine`] also writes who asked for it.
    pub(in crate::site) async fn examine(&self) -> Vec<Finding> {
        self.entry.connector.examine().await
    }

    /// The fields that the mapping of the connector makes of a profile.
    pub fn preview(&self, profile: &Value) -> Vec<PreviewedField> {
        let fields = self.entry.preview_mapping(profile).into_iter();
        fields
            .map(|(field, value)| PreviewedField { field, value })
            .collect()
    }

    /// The connector, with what is known of it without a network call.
    pub fn entry(&self) -> &ConnectorEntry {
        &self.entry
    }

    /// The hosts that the settings name.
    pub(in crate::site) fn hosts(&self) -> &[String] {
        &self.hosts
    }
}

impl LiveSite {
    /// Builds a connector to try it: of the saved settings, of the file or managed, or of unsaved ones, which
    /// keep secrets as [`super::Change::Put`] does. Changes nothing.
    ///
    /// # Errors
    /// There is no such connector, or the settings cannot be used.
    pub fn draft(
        &self,
        id: &ConnectorId,
        unsaved: Option<&ConnectorTable>,
    ) -> Result<Draft, ChangeError> {
        let site = self.site();
        let settings = &site.settings;
        let in_file = settings.file.connectors.get(id);
        let (table, connector) = match (unsaved, in_file) {
            (Some(table), _) => {
                let merged = settings.merged(id, table, &site.ring)?.0;
                (Some(merged.table), merged.connector)
            }
            (None, Some(connector)) => (settings.table(id), connector.clone()),
            (None, None) => {
                let former = settings.former(id, &site.ring)?;
                let former = former.ok_or_else(|| ChangeError::NotFound(id.clone()))?;
                (Some(former.table), former.connector)
            }
        };
        let hosts = hosts::of(&connector, table.as_ref());
        let built = site.build_draft(id, &connector, self.services());
        let entry = built.map_err(|error| {
            let problem = FieldProblem {
                connector: Some(id.clone()),
                field: String::new(),
                message: error.reason().into(),
                help: None,
            };
            ChangeError::CannotBuild(vec![problem])
        })?;
        Ok(Draft { entry, hosts })
    }
}
