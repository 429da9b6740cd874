//! `LiveSite::plan`: what a change of the managed settings would do.

use super::LiveSite;
use super::change::AuditTexts;
use super::ended::{back_in_force, newly_out_of_force};
use crate::site::Site;
use crate::site::settings::{
    Author, Change, ChangeError, Edited, Planned, Precondition, Settings, Strictness,
};
use crate::store::ConnectorId;

/// A change that is checked and built, and not yet in force.
pub(super) struct BuiltChange {
    pub(super) site: Site,
    /// What the store keeps of the new version.
    pub(super) document: String,
    /// The names of the changed fields.
    pub(super) fields: Vec<String>,
    /// The connectors whose sessions end.
    pub(super) ended: Vec<ConnectorId>,
}

impl LiveSite {
    /// What a change would do. It is checked and built as [`Self::change`] does it, and then dropped.
    ///
    /// # Errors
    /// Those of [`Self::change`].
    pub async fn plan(
        &self,
        change: &Change,
        precondition: Precondition,
    ) -> Result<Planned, ChangeError> {
        let base = self.newest_settings().await?;
        let built = self.build_change(&base, change, precondition).await?;
        Ok(match built {
            Some(built) => Planned {
                version: base.version() + 1,
                fields: built.fields,
            },
            None => Planned {
                version: base.version(),
                fields: Vec::new(),
            },
        })
    }

    /// The same for somebody who asks over HTTP: one at a time, as changes are, because each builds a site. Writes
    /// an audit record, also of a refusal, because whoever tries settings learns what the file says of them.
    ///
    /// # Errors
    /// Those of [`Self::change`].
    pub async fn plan_for(
        &self,
        change: &Change,
        precondition: Precondition,
        author: &Author,
    ) -> Result<Planned, ChangeError> {
        let _one_at_a_time = self.changing.lock().await;
        let planned = self.plan(change, precondition).await;
        let texts = match &planned {
            Ok(_) => AuditTexts::of_plan(change, author),
            Err(error) => AuditTexts::of_refused_plan(change, author, error),
        };
        let at = self.services.clock.now();
        let record = texts.record(change, author, at);
        self.services.telemetry.audit(&record);
        planned
    }

    /// Checks and builds the version after `base`; `None` if the change changes nothing.
    pub(super) async fn build_change(
        &self,
        base: &Settings,
        change: &Change,
        precondition: Precondition,
    ) -> Result<Option<BuiltChange>, ChangeError> {
        let site = self.site();
        let older = match change {
            Change::Rollback { version } => Some(self.older_document(*version).await?),
            _ => None,
        };
        let edited = base.edit(change, precondition, older, &site.ring)?;
        let Some(Edited {
            document,
            fields,
            touched,
        }) = edited
        else {
            return Ok(None);
        };
        let json = document.to_json();
        let strictness = Strictness::strict_but_for(base, &touched);
        let (file, version) = (base.file().clone(), base.version() + 1);
        let settings = Settings::put_together(file, version, document, &site.ring, &strictness)?;
        let mut ended = newly_out_of_force(base, &settings);
        ended.extend(back_in_force(base, &settings));
        Ok(Some(BuiltChange {
            site: self.build(settings, &site.ring, &site, &touched).await?,
            document: json,
            fields,
            ended,
        }))
    }
}
