//! `Draft`: a connector that is built from saved or unsaved settings, to be tried and not to be used.

use serde_json::Value;

use super::error::{ChangeError, FieldProblem};
use super::hosts;
use super::table::ConnectorTable;
use crate::clock::Timestamp;
use crate::login::ConnectorEntry;
use crate::login::connector::{ConnectorConfig, Finding};
use crate::outbound::Reach;
use crate::people::profile::{MappingConfig, ProfileMappingError};
use crate::people::session::{Person, SessionTimeouts};
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

    /// The person right after a first login with a profile, for trying what routes send about them.
    ///
    /// # Errors
    /// A login with this profile would fail.
    pub fn person(
        &self,
        profile: &Value,
        timeouts: &SessionTimeouts,
        now: Timestamp,
    ) -> Result<Person, ProfileMappingError> {
        self.entry.preview_person(profile, timeouts, now)
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
        match unsaved {
            Some(table) => {
                let site = self.site();
                let merged = site.settings.merged(id, table, &site.ring)?.0;
                // It may have the ID of a connector of the file, and is not from there.
                let reach = site.settings.file.managed.reach();
                self.draft_of(id, Some(&merged.table), &merged.connector, reach)
            }
            None => {
                let (table, connector) = self.saved(id)?;
                self.draft_of(id, table.as_ref(), &connector, self.reach_of_saved(id))
            }
        }
    }

    /// Builds a connector of the saved settings with another mapping, as [`Self::draft`] does.
    ///
    /// # Errors
    /// There is no such connector, or the settings cannot be used.
    pub fn draft_with_mapping(
        &self,
        id: &ConnectorId,
        mapping: MappingConfig,
    ) -> Result<Draft, ChangeError> {
        let (table, mut connector) = self.saved(id)?;
        connector.mapping = mapping;
        self.draft_of(id, table.as_ref(), &connector, self.reach_of_saved(id))
    }

    fn reach_of_saved(&self, id: &ConnectorId) -> Reach {
        let site = self.site();
        let file = &site.settings.file;
        match file.connectors.contains_key(id) {
            true => Reach::Everywhere,
            false => file.managed.reach(),
        }
    }

    /// The saved settings of a connector, with its secrets, and its table if there is one.
    fn saved(
        &self,
        id: &ConnectorId,
    ) -> Result<(Option<ConnectorTable>, ConnectorConfig), ChangeError> {
        let site = self.site();
        let settings = &site.settings;
        if let Some(connector) = settings.file.connectors.get(id) {
            return Ok((settings.table(id), connector.clone()));
        }
        let former = settings.former(id, &site.ring)?;
        let former = former.ok_or_else(|| ChangeError::NotFound(id.clone()))?;
        Ok((Some(former.table), former.connector))
    }

    fn draft_of(
        &self,
        id: &ConnectorId,
        table: Option<&ConnectorTable>,
        connector: &ConnectorConfig,
        reach: Reach,
    ) -> Result<Draft, ChangeError> {
        let hosts = hosts::of(connector, table);
        let built = self
            .site()
            .build_draft(id, connector, reach, self.services());
        let entry = built.map_err(|error| {
            let problem = FieldProblem {
                connector: Some(id.clone()),
                field: String::new(),
                message: error.reason(),
                help: None,
            };
            ChangeError::CannotBuild(vec![problem])
        })?;
        Ok(Draft { entry, hosts })
    }
}
