//! The managed settings of the store, for commands beside a running server or without one.

use tokio_util::sync::CancellationToken;

use super::dry_run::open_read_only_store;
use super::{StartError, open_services};
use crate::clock::Clock;
use crate::config::Config;
use crate::keys;
use crate::site::live::{LiveSite, stored_version};
use crate::site::settings::{ManagedDocument, SecretPlaces, SettingsError, StoredSecret};
use crate::site::{BuildError, Services, build_key_ring};
use crate::store::{NewManagedVersion, SqliteUrl, Store, StoreError, StoreUrl};
use crate::telemetry::Telemetry;
use crate::text;
use crate::wording::{Text, error_of_text};

/// Why nothing was exported.
#[derive(Debug)]
pub enum ExportError {
    Start(StartError),
    Settings(SettingsError),
    NoVersion(u64),
    /// The session keys cannot be read.
    Keys(BuildError),
}

impl ExportError {
    fn text(&self) -> Text {
        match self {
            Self::Start(error) => Text::of(error),
            Self::Settings(error) => Text::of(error),
            Self::NoVersion(number) => text!(
                "there is no version {number}, or it is no longer kept",
                "没有版本 {number}，或者已不再保留"
            ),
            Self::Keys(_) => Text::fixed("read the session keys", "无法读取会话密钥"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) => std::error::Error::source(error),
            Self::Settings(error) => std::error::Error::source(error),
            Self::Keys(source) => Some(source),
            Self::NoVersion(_) => None,
        }
    }
}

error_of_text!(ExportError, caused);

impl From<StartError> for ExportError {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<SettingsError> for ExportError {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error)
    }
}

/// What `menshen export` writes.
#[derive(Debug)]
pub struct Export {
    /// The version; 0: there is none yet.
    pub version: u64,
    pub toml: String,
    /// The secrets, if they go to files.
    pub secrets: Vec<StoredSecret>,
}

/// Reads a version of the managed settings, and its secrets if they go to files; absent: the newest version.
/// Writes nothing; a server may be running. A store that does not exist yet has no settings.
///
/// # Errors
/// The store cannot be read, there is no such version, or a secret cannot be opened.
pub async fn export(
    config: &Config,
    version: Option<u64>,
    places: &SecretPlaces,
) -> Result<Export, ExportError> {
    keys::install_crypto();
    let found = match is_missing(config).await {
        true => None,
        false => {
            let store = open_read_only_store(config).await?;
            let found = stored_version(&*store, version).await?;
            found.map(|found| (found, store))
        }
    };
    let Some((found, store)) = found else {
        return match version {
            Some(number) => Err(ExportError::NoVersion(number)),
            None => Ok(Export {
                version: 0,
                toml: ManagedDocument::default().to_toml(places),
                secrets: Vec::new(),
            }),
        };
    };
    let secrets = match places {
        SecretPlaces::Environment => Vec::new(),
        SecretPlaces::Files(_) => {
            let ring = build_key_ring(&config.site(), &*store, None).await;
            let ring = ring.map_err(ExportError::Keys)?;
            found.document.stored_secrets(places, &ring)?
        }
    };
    Ok(Export {
        version: found.summary.number,
        toml: found.document.to_toml(places),
        secrets,
    })
}

/// Opens the site of a configuration with its store, for a change by a command; binds no socket. A server that
/// is running follows the change. Audit lines go to the store only: the log belongs to the server.
///
/// # Errors
/// The store cannot be opened, or the site cannot be built.
pub async fn open_site(config: &Config) -> Result<LiveSite, StartError> {
    keys::install_crypto();
    let telemetry = Telemetry::writing_to(&config.log, Box::new(std::io::sink()));
    let (url, clock) = (&config.store.url, Clock::system());
    let services = open_services(config, url, clock, telemetry).await?;
    services.audit.apply(&config.audit);
    let live = LiveSite::open(config.site(), services, CancellationToken::new()).await;
    live.map_err(|error| StartError::Build(Box::new(error)))
}

/// Copies the newest managed settings and the stored session key into the store of `services`, which is in
/// memory. Returns why they cannot be read, if they cannot.
///
/// # Errors
/// menshen would not start with this store.
pub(super) async fn copy_settings(
    config: &Config,
    services: &Services,
) -> Result<Option<StoreError>, StartError> {
    if is_missing(config).await {
        return Ok(None);
    }
    let store = match open_read_only_store(config).await {
        Ok(store) => store,
        // The database is there, and menshen has never been started with it.
        Err(StartError::Store(StoreError::OlderSchema { found: 0, .. })) => return Ok(None),
        Err(StartError::Store(
            error @ (StoreError::NewerSchema { .. } | StoreError::OtherProgram { .. }),
        )) => return Err(StartError::Store(error)),
        Err(StartError::Store(error)) => return Ok(Some(error)),
        Err(error) => return Err(error),
    };
    let newest = match store.managed_version(None).await {
        Ok(Some(newest)) => newest,
        Ok(None) => return Ok(None),
        Err(error) => return Ok(Some(error)),
    };
    copy_key(&*store, services).await?;
    let copy = NewManagedVersion {
        after: 0,
        made_at: newest.record.made_at,
        author: &newest.record.author,
        means: "command",
        fields: &newest.record.fields,
        document: &newest.document,
        ended: &[],
        versions_kept: 1,
        audit: None,
    };
    let added = services.store.add_managed_version(&copy).await;
    added.map_err(StartError::Store)?;
    Ok(None)
}

async fn copy_key(store: &dyn Store, services: &Services) -> Result<(), StartError> {
    let keys = store.load_or_create_keys(&keys::generate()).await;
    // A store without a key has no secrets that it sealed.
    for key in keys.unwrap_or_default().iter().take(1) {
        let copied = services.store.load_or_create_keys(key).await;
        copied.map_err(StartError::Store)?;
    }
    Ok(())
}

/// Whether the store is a file that does not exist yet.
async fn is_missing(config: &Config) -> bool {
    match &config.store.url {
        StoreUrl::Sqlite(SqliteUrl::File(path)) => {
            matches!(tokio::fs::try_exists(path).await, Ok(false))
        }
        StoreUrl::Sqlite(SqliteUrl::Memory) => true,
        StoreUrl::Postgres(_) => false,
    }
}
