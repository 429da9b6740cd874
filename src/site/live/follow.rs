//! Follows changes of the managed settings by other nodes.

use std::sync::Arc;
use std::time::Duration;

use super::LiveSite;
use super::change::read_version;
use super::kinds::add_kinds_of_files;
use crate::site::settings::{ChangeError, Settings, SettingsError, Strictness};
use crate::site::{BuildError, Degradation, Site};
use crate::telemetry::error_chain;
use crate::text;

/// How often the newest version is read without an announcement.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// The same while the newest version is not in force.
const RETRY_EVERY: Duration = Duration::from_secs(2);

/// Why the newest version is not in force.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl LiveSite {
    /// Follows the changes of other nodes until it is dropped. If a version cannot be built here, the last
    /// one stays in force without the connectors that the newest one disables, and
    /// [`LiveSite::settings_problem`] says why.
    pub async fn follow_settings(self: Arc<Self>) {
        let mut changes = self.services.sessions.settings_changes();
        loop {
            self.catch_up().await;
            let pause = match self.settings_problem() {
                Some(_) => RETRY_EVERY,
                None => CHECK_EVERY,
            };
            // An error only says that there was no announcement in time.
            let _ = tokio::time::timeout(pause, changes.changed()).await;
            changes.borrow_and_update();
        }
    }

    /// Puts the newest version into force, if it is not yet.
    async fn catch_up(&self) {
        let newest = self.services.store.newest_managed_version().await;
        // The probes of the store report its failures.
        let Ok(newest) = newest else { return };
        if newest == self.settings().version() && self.settings_problem().is_none() {
            return;
        }
        let _one_at_a_time = self.changing.lock().await;
        if let Err(error) = self.load_newest().await {
            self.withdraw_disabled().await;
            let (served, reason) = (self.settings().version(), error_chain(&error));
            let short = text!(
                "version {newest} of the managed settings is not in force on this node, which serves version {served}",
                "托管设置的版本 {newest} 没有在本节点生效，本节点仍使用版本 {served}"
            );
            let whole = text!("{short}: {reason}", "{short:#}：{reason:#}");
            self.set_settings_problem(Some(Degradation { short, whole }));
        }
    }

    async fn load_newest(&self) -> Result<(), FollowError> {
        let site = self.site();
        let newest = self.services.store.managed_version(None).await;
        let (version, mut document) = read_version(newest.map_err(SettingsError::Store)?)?;
        let file = site.settings.file().clone();
        let kinds_added = add_kinds_of_files(&*self.services.store, &file, &mut document);
        kinds_added.await.map_err(SettingsError::Store)?;
        // What is broken at the start of this node may be well now.
        let strictness = Strictness::strict_but_for(&site.settings, &[]);
        let settings = Settings::put_together(file, version, document, &site.ring, &strictness)?;
        let problem = settings.problem();
        let ring = Arc::clone(&site.ring);
        let built = Site::build_from(settings, ring, &self.services, Some(&site)).await?;
        if built.settings.version() != site.settings.version()
            || built.settings.problem() != site.settings.problem()
        {
            self.replace_site(built);
            self.end_newly_out_of_force(&site.settings).await;
        }
        self.set_settings_problem(problem);
        Ok(())
    }

    /// Takes connectors out of force that the newest version disables or does not have any more, although the
    /// rest of it is not in force on this node.
    async fn withdraw_disabled(&self) {
        let site = self.site();
        let newest = self.services.store.managed_version(None).await;
        // The caller reports that the version cannot be read.
        let Ok(Ok((version, document))) = newest.map(read_version) else {
            return;
        };
        let withdrawn = site.settings.withdrawn_in(&document);
        if withdrawn.is_empty() {
            return;
        }
        let (settings, ring) = (site.settings.without(&withdrawn), Arc::clone(&site.ring));
        match Site::build_from(settings, ring, &self.services, Some(&site)).await {
            Ok(built) => {
                self.replace_site(built);
                self.end_newly_out_of_force(&site.settings).await;
            }
            Err(error) => {
                let error = error_chain(&error);
                tracing::error!(%error, version, "connectors that a version disables are still in force on this node");
            }
        }
    }
}
