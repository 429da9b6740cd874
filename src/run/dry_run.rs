//! The commands that build a site without serving it: `check` and `explain`.

use std::sync::Arc;

use super::{ExplainError, StartError, listeners, managed, open_services};
use crate::clock::Clock;
use crate::config::Config;
use crate::door::{BindError, Tls};
use crate::keys;
use crate::people::directory::Directory;
use crate::request::explain::{self, ExplainQuery, Explanation};
use crate::site::{Services, Site};
use crate::store::{self, Store, StoreError, StoreUrl};
use crate::telemetry::Telemetry;
use crate::wording::Text;

/// What [`dry_run`] has built.
#[derive(Debug)]
pub struct DryRun {
    pub site: Site,
    /// Their store is in memory.
    pub services: Services,
    /// Why the managed settings could not be read, so that the site has none. A store that does not exist yet
    /// has none either, and is no reason.
    pub unread_store: Option<StoreError>,
}

/// Builds everything that a configuration names, for `menshen check`. Reads secrets and certificates, and the
/// managed settings if the store answers; binds no socket, and uses a store in memory.
///
/// # Errors
/// menshen would not start: the site cannot be built, or another program or a newer menshen wrote the store.
pub async fn dry_run(config: &Config) -> Result<DryRun, StartError> {
    keys::install_crypto();
    let telemetry = Telemetry::new(&config.log);
    let services = open_services(config, &StoreUrl::MEMORY, Clock::system(), telemetry).await?;
    let unread_store = managed::copy_settings(config, &services).await?;
    let site = Site::build_with_managed(&config.site(), &services).await;
    let site = site.map_err(|error| StartError::Build(Box::new(error)))?;
    if let Some(tls) = &config.server.tls {
        Tls::load(tls).map_err(|error| StartError::Bind(BindError::Tls(error)))?;
    }
    if let Some(admin) = &config.admin {
        admin.check_tokens().map_err(StartError::AdminToken)?;
        listeners::address("[admin] listen", &admin.listen)?;
    }
    let console = config.console.as_ref();
    if let Some(listen) = console.and_then(|console| console.listen.as_deref()) {
        listeners::address("[console] listen", listen)?;
    }
    Ok(DryRun {
        site,
        services,
        unread_store,
    })
}

/// Contacts the database server of the store without writing, for `menshen check --online`. `None` if the
/// store is a file.
///
/// # Errors
/// The password cannot be read.
pub async fn examine_store(
    config: &Config,
) -> Result<Option<Result<Text, StoreError>>, StartError> {
    let options = config.store.options().map_err(StartError::StorePassword)?;
    Ok(store::examine_server(&config.store.url, &options).await)
}

/// Explains the decision about a request. Binds no socket; reads the store only if the query names a
/// person, and never writes to it. A server with the same configuration may be running.
pub async fn explain(config: &Config, query: &ExplainQuery) -> Result<Explanation, ExplainError> {
    let DryRun { site, services, .. } = dry_run(config).await.map_err(ExplainError::Start)?;
    let directory = match query.names_login() {
        true => {
            let store = open_read_only_store(config).await;
            Directory::new(store.map_err(|error| match error {
                StartError::Store(error) => ExplainError::Store(error),
                error => ExplainError::Start(error),
            })? as _)
        }
        false => services.people.directory().clone(),
    };
    let now = services.clock.now();
    explain::explain(&site.explain_context(), &directory, query, now)
        .await
        .map_err(ExplainError::Simulate)
}

/// Opens the store of a configuration read-only; a server may be running.
pub(super) async fn open_read_only_store(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    let options = config.store.options().map_err(StartError::StorePassword)?;
    let store = store::open_read_only(&config.store.url, &options).await;
    store.map_err(StartError::Store)
}
