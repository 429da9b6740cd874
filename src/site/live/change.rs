//! `LiveSite::change`: changes the managed settings.

use std::sync::Arc;

use super::LiveSite;
use super::kinds::add_kinds_of_files;
use super::plan::BuiltChange;
use crate::clock::Timestamp;
use crate::keys::KeyRing;
use crate::site::settings::{
    Author, Change, ChangeError, Changed, FieldProblem, ManagedDocument, Precondition, Settings,
    SettingsError, Strictness,
};
use crate::site::{BuildError, Site};
use crate::store::{ConnectorId, ManagedVersion, NewManagedVersion};
use crate::telemetry::{AuditEvent, AuditRecord, error_chain};
use crate::text;
use crate::wording::Text;

/// How often a change starts again because another node was first.
const ATTEMPTS_MAX: usize = 64;

impl LiveSite {
    /// Changes the managed settings. When it returns, the change is in force on this node, and within a
    /// second on all others. Writes an audit record, also of a refusal.
    ///
    /// # Errors
    /// Nothing has changed: neither the store nor the site.
    ///
    /// # Cancel safety
    /// If the future is dropped, the change is made as a whole or not at all. One that was stored comes into
    /// force as on another node, with [`LiveSite::follow_settings`].
    pub async fn change(
        &self,
        change: Change,
        precondition: Precondition,
        author: &Author,
    ) -> Result<Changed, ChangeError> {
        let _one_at_a_time = self.changing.lock().await;
        let changed = self.attempt(&change, precondition, author).await;
        if let Err(error) = &changed {
            let texts = AuditTexts::of_refusal(&change, author, error);
            let at = self.services.clock.now();
            let record = texts.record(&change, author, at);
            self.services.telemetry.audit(&record);
        }
        changed
    }

    async fn attempt(
        &self,
        change: &Change,
        precondition: Precondition,
        author: &Author,
    ) -> Result<Changed, ChangeError> {
        for _ in 0..ATTEMPTS_MAX {
            let base = self.newest_settings().await?;
            if let Some(changed) = self.change_from(base, change, precondition, author).await? {
                return Ok(changed);
            }
        }
        Err(ChangeError::Contended)
    }

    /// The newest settings: those in force, unless another node has changed them.
    pub(super) async fn newest_settings(&self) -> Result<Arc<Settings>, ChangeError> {
        let site = self.site();
        let store = &self.services.store;
        let newest = store.newest_managed_version().await;
        if newest.map_err(ChangeError::Store)? == site.settings.version() {
            return Ok(Arc::clone(&site.settings));
        }
        let newest = store.managed_version(None).await;
        let newest = newest.map_err(ChangeError::Store)?;
        let (version, mut document) = read_version(newest)?;
        let file = site.settings.file().clone();
        let kinds_added = add_kinds_of_files(&**store, &file, &mut document);
        kinds_added.await.map_err(ChangeError::Store)?;
        let (ring, strictness) = (&site.ring, Strictness::Tolerant);
        Settings::put_together(file, version, document, ring, &strictness).map(Arc::new)
    }

    /// Makes the version after `base`; `None` if another node has made one meanwhile.
    async fn change_from(
        &self,
        base: Arc<Settings>,
        change: &Change,
        precondition: Precondition,
        author: &Author,
    ) -> Result<Option<Changed>, ChangeError> {
        let number = base.version() + 1;
        let (made_at, telemetry) = (self.services.clock.now(), &self.services.telemetry);
        let Some(built) = self.build_change(&base, change, precondition).await? else {
            let texts = AuditTexts::of_change(change, author, base.version(), &[]);
            telemetry.audit(&texts.record(change, author, made_at));
            return Ok(Some(Changed {
                version: base.version(),
                settings: base,
                fields: Vec::new(),
            }));
        };
        let BuiltChange {
            site,
            document,
            fields,
            ended,
        } = built;
        let texts = AuditTexts::of_change(change, author, number, &fields);
        let line = telemetry.audit_line(&texts.record(change, author, made_at));
        let new = NewManagedVersion {
            after: base.version(),
            made_at,
            author: &author.name,
            means: author.means.as_str(),
            fields: &fields,
            document: &document,
            ended: &ended,
            versions_kept: base.file().managed.versions_kept.get(),
            audit: line.as_ref(),
        };
        let added = self.services.store.add_managed_version(&new).await;
        let Some(entries) = added.map_err(ChangeError::Store)? else {
            return Ok(None);
        };
        telemetry.log_stored_audit(&texts.record(change, author, made_at));
        let settings = Arc::clone(&site.settings);
        self.replace_site(site);
        self.services.sessions.apply_entries(&entries);
        self.set_settings_problem(None);
        Ok(Some(Changed {
            settings,
            version: number,
            fields,
        }))
    }

    pub(super) async fn older_document(
        &self,
        version: u64,
    ) -> Result<ManagedDocument, ChangeError> {
        let found = self.services.store.managed_version(Some(version)).await;
        let found = found.map_err(ChangeError::Store)?;
        let found = found.ok_or(ChangeError::NoVersion(version))?;
        Ok(read_version(Some(found))?.1)
    }

    /// Builds the site of changed settings.
    pub(super) async fn build(
        &self,
        settings: Settings,
        ring: &Arc<KeyRing>,
        previous: &Site,
        touched: &[ConnectorId],
    ) -> Result<Site, ChangeError> {
        let mut settings = settings;
        loop {
            let built = Site::build_from(
                settings.clone(),
                Arc::clone(ring),
                &self.services,
                Some(previous),
            );
            let error = match built.await {
                Ok(site) => return Ok(site),
                Err(error) => error,
            };
            let problem = field_problem(&error);
            // A connector that could not be built before does not prevent the change of another one.
            match error.connector().cloned() {
                Some(id) if previous.settings.is_broken(&id) && !touched.contains(&id) => {
                    settings.take_out_of_force(&id, Text::of(&problem));
                }
                _ => return Err(ChangeError::CannotBuild(vec![problem])),
            }
        }
    }
}

/// What the audit record of a change says.
pub(super) struct AuditTexts {
    reason: Text,
    /// The names of the changed fields.
    fields: String,
    version: Option<u64>,
}

impl AuditTexts {
    fn of_change(change: &Change, author: &Author, version: u64, fields: &[String]) -> Self {
        Self {
            reason: {
                let means = author.means.text();
                text!("{change} through the {means}", "通过{means:#}：{change:#}")
            },
            fields: fields.join(", "),
            version: Some(version),
        }
    }

    fn of_refusal(change: &Change, author: &Author, error: &ChangeError) -> Self {
        Self {
            reason: {
                let (means, why) = (author.means.text(), error_chain(error));
                text!(
                    "refused: {change} through the {means}: {why}",
                    "被拒绝：通过{means:#}：{change:#}：{why:#}"
                )
            },
            fields: String::new(),
            version: None,
        }
    }

    /// Nothing was changed.
    pub(super) fn of_plan(change: &Change, author: &Author) -> Self {
        Self {
            reason: {
                let means = author.means.text();
                text!(
                    "dry run: {change} through the {means}",
                    "试运行：通过{means:#}：{change:#}"
                )
            },
            fields: String::new(),
            version: None,
        }
    }

    pub(super) fn of_refused_plan(change: &Change, author: &Author, error: &ChangeError) -> Self {
        let refusal = Self::of_refusal(change, author, error);
        Self {
            reason: {
                let refused = &refusal.reason;
                text!("dry run: {refused}", "试运行：{refused:#}")
            },
            ..refusal
        }
    }

    pub(super) fn record<'a>(
        &'a self,
        change: &'a Change,
        author: &'a Author,
        at: Timestamp,
    ) -> AuditRecord<'a> {
        AuditRecord {
            connector: change.connector().map(ConnectorId::as_str),
            client: author.client,
            by: Some(&author.name),
            reason: Some(&self.reason),
            version: self.version,
            changed: (!self.fields.is_empty()).then_some(&*self.fields),
            ..AuditRecord::new(AuditEvent::Config, at)
        }
    }
}

/// The number and the content of a version; no version is number 0.
pub(super) fn read_version(
    version: Option<ManagedVersion>,
) -> Result<(u64, ManagedDocument), SettingsError> {
    let Some(version) = version else {
        return Ok((0, ManagedDocument::default()));
    };
    let number = version.record.number;
    Ok((number, ManagedDocument::parse(number, &version.document)?))
}

/// Why a site cannot be built, as a problem of its connector.
fn field_problem(error: &BuildError) -> FieldProblem {
    FieldProblem {
        connector: error.connector().cloned(),
        field: String::new(),
        message: error.reason(),
        help: None,
    }
}
