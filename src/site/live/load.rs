//! Loads the file and the managed settings together, at the start and at a reload.

use std::sync::Arc;

use tokio::sync::MutexGuard;
use tokio_util::sync::CancellationToken;

use super::LiveSite;
use super::change::read_version;
use super::kinds::add_kinds_of_files;
use crate::keys::KeyRing;
use crate::site::settings::{ManagedDocument, Origin, Settings, SettingsError, Strictness};
use crate::site::{BuildError, Config, Services, Site, build_key_ring};
use crate::store::Store;
use crate::telemetry::error_chain;

/// The most versions that are read at once.
const PAGE_MAX: u32 = 100;

/// A site that is built from another file and not active yet. No other reload and no change of the managed
/// settings begins before it is dropped.
#[derive(Debug)]
pub struct Reload<'a> {
    live: &'a LiveSite,
    site: Site,
    _one_at_a_time: MutexGuard<'a, ()>,
}

impl Reload<'_> {
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Makes the site the active one.
    pub async fn activate(self) {
        let before = self.live.settings();
        self.live.replace_site(self.site);
        self.live.end_newly_out_of_force(&before).await;
        self.live.begin_use().await;
    }
}

impl LiveSite {
    /// Builds the site of a file and of the managed settings of the store. A managed connector that cannot
    /// be built is left out; the log names it.
    ///
    /// # Errors
    /// The file alone cannot be built, or the managed settings cannot be read or opened.
    pub async fn open(
        config: Config,
        services: Services,
        shutdown: CancellationToken,
    ) -> Result<Self, BuildError> {
        let site = load(&config, &services, None).await?;
        let live = Self::new(site, services, shutdown);
        live.begin_use().await;
        Ok(live)
    }

    /// Builds the site of another file and of the newest managed settings. The caller activates it, or
    /// drops it.
    ///
    /// # Errors
    /// As [`Self::open`]. The active site is kept.
    pub async fn begin_reload(&self, config: Config) -> Result<Reload<'_>, BuildError> {
        let one_at_a_time = self.changing.lock().await;
        let site = load(&config, &self.services, Some(&self.site())).await?;
        Ok(Reload {
            live: self,
            site,
            _one_at_a_time: one_at_a_time,
        })
    }

    /// What follows when other settings of the file have come into force.
    async fn begin_use(&self) {
        let site = self.site();
        self.note_problems(&site.settings);
        self.end_out_of_force().await;
        self.note_kinds_of_file().await;
        if let Err(error) = reseal(&*self.services.store, &site.ring).await {
            tracing::error!(error = %error_chain(&error), "secrets of managed connectors are not sealed with the new session key yet: keep the old one");
        }
    }

    /// Logs which managed connectors are out of force, and why.
    fn note_problems(&self, settings: &Settings) {
        for info in settings.connectors() {
            if info.shadowed
                && let Some(Origin::File(at)) = settings.connector(&info.id).map(|info| info.origin)
            {
                tracing::warn!(
                    connector = %info.id,
                    "{at} has a connector with the ID of a managed one: that of the file counts; delete the managed one, or rename that of the file"
                );
            }
        }
        self.set_settings_problem(settings.problem());
    }
}

/// Builds a site from a file and the newest managed settings.
pub(in crate::site) async fn load(
    config: &Config,
    services: &Services,
    previous: Option<&Site>,
) -> Result<Site, BuildError> {
    let ring = Arc::new(build_key_ring(config, &*services.store, previous).await?);
    let newest = services.store.managed_version(None).await;
    let newest = newest.map_err(SettingsError::Store)?;
    let (version, mut document) = read_version(newest)?;
    let kinds_added = add_kinds_of_files(&*services.store, config, &mut document);
    kinds_added.await.map_err(SettingsError::Store)?;
    let document = document.resealed(&ring).unwrap_or(document);
    let mut settings = Settings::put_together(
        config.clone(),
        version,
        document,
        &ring,
        &Strictness::Tolerant,
    )?;
    loop {
        let ring = Arc::clone(&ring);
        let error = match Site::build_from(settings.clone(), ring, services, previous).await {
            Ok(site) => return Ok(site),
            Err(error) => error,
        };
        match error.connector().cloned() {
            Some(id) if settings.is_managed_in_force(&id) => {
                settings.take_out_of_force(&id, error.reason());
            }
            _ => return Err(error),
        }
    }
}

/// Seals the secrets of all kept versions with the first key of the ring. A version that cannot be opened
/// stays as it is: only a rollback to it fails.
async fn reseal(store: &dyn Store, ring: &KeyRing) -> Result<(), SettingsError> {
    let mut before = None;
    loop {
        let page = store.managed_versions(before, PAGE_MAX).await;
        let page = page.map_err(SettingsError::Store)?;
        for record in &page {
            let found = store.managed_version(Some(record.number)).await;
            let Some(found) = found.map_err(SettingsError::Store)? else {
                continue;
            };
            let document = ManagedDocument::parse(record.number, &found.document);
            let resealed = document.ok().and_then(|document| document.resealed(ring));
            if let Some(resealed) = resealed {
                let after = resealed.to_json();
                let written = store.reseal_managed_version(record.number, &found.document, &after);
                written.await.map_err(SettingsError::Store)?;
            }
        }
        match page.last() {
            Some(last) => before = Some(last.number),
            None => return Ok(()),
        }
    }
}
