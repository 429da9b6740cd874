//! `start()`: a parsed configuration → a running menshen. The program, the demo and the tests start
//! the very same thing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::Config;
use crate::door::{Address, BindError, Listeners, ServeOptions, Tls, TlsError};
use crate::face::admin::Health;
use crate::keys;
use crate::people::People;
use crate::people::directory::{Directory, SimulateError};
use crate::people::session::Sessions;
use crate::request::explain::{self, ExplainQuery, Explanation};
use crate::request::head::Trust;
use crate::secret::SecretError;
use crate::site::live::LiveSite;
use crate::site::{self, Services, Site};
use crate::store::{self, MonitoredStore, Store, StoreError, StoreUrl};
use crate::telemetry::{ReloadOutcome, Telemetry};

/// How long a process that stops waits for refreshes of tokens.
const REFRESHES_DRAIN: Duration = Duration::from_secs(10);

/// How long a process that stops tries to store what was ended and is not stored yet.
const STORE_DRAIN: Duration = Duration::from_secs(5);

mod listeners;
pub mod watch;

use listeners::AllListeners;

/// Why menshen did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error("open the store")]
    Store(#[source] StoreError),
    /// The configuration could not be built.
    #[error("build the site")]
    Build(#[source] Box<site::BuildError>),
    /// A socket could not be bound.
    #[error("open the door")]
    Bind(#[source] BindError),
    /// What is no address to listen at.
    #[error("{key}: {why}")]
    Address {
        /// Where it is written.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The administrator's token.
    #[error("[admin] token")]
    AdminToken(#[source] SecretError),
}

/// Why a reload was refused. What was served before is served on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration could not be built.
    #[error("build the site")]
    Build(#[source] Box<site::BuildError>),
    /// The certificates.
    #[error("read the certificates")]
    Tls(#[source] TlsError),
}

/// Why a request was not explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The configuration could not be built.
    #[error(transparent)]
    Start(StartError),
    /// The database could not be read.
    #[error("look at the store")]
    Store(#[source] StoreError),
    /// Nobody is known by that login.
    #[error(transparent)]
    Simulate(SimulateError),
}

/// A running menshen. Dropping it closes everything at once; [`Running::stop`] drains first.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin_address: Option<SocketAddr>,
    grpc_address: Option<SocketAddr>,
    live: Arc<LiveSite>,
    started: Config,
    reloading: tokio::sync::Mutex<()>,
    tls: Option<Arc<Tls>>,
    trust: Arc<ArcSwap<Trust>>,
    header_case: Arc<AtomicBool>,
    health: Arc<Health>,
    shutdown: CancellationToken,
    serving: TaskTracker,
}

/// Opens the store, builds the site, binds, and serves in the background. Records go to standard
/// output.
///
/// # Errors
/// Nothing is left behind when it fails: no socket, no task.
pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    let telemetry = Telemetry::new(&config.log);
    start_with_telemetry(config, clock, telemetry).await
}

/// The same with its records wherever `telemetry` writes them.
///
/// # Errors
/// Nothing is left behind when it fails: no socket, no task.
pub async fn start_with_telemetry(
    config: Config,
    clock: Clock,
    telemetry: Telemetry,
) -> Result<Running, StartError> {
    keys::install_crypto();
    let shared = open(&config, &config.store.url, clock, telemetry).await?;
    let site = Site::build(&config.site(), &shared, None)
        .await
        .map_err(|error| StartError::Build(Box::new(error)))?;
    let listeners = AllListeners::bind(&config)?;
    let health = Arc::new(Health::default());
    let shutdown = CancellationToken::new();
    let trust = Arc::new(ArcSwap::new(Arc::clone(&site.trust)));
    let (tls, addresses) = (listeners.main.tls().cloned(), ips(&listeners.main));
    let header_case = Arc::clone(listeners.main.header_case());
    header_case.store(site.keeps_header_case(), Ordering::Relaxed);
    let admin_address = listeners.admin.as_ref().and_then(Listeners::ip);
    let grpc_address = listeners.grpc.as_ref().and_then(Listeners::ip);
    let telemetry = shared.telemetry.clone();
    let live = Arc::new(LiveSite::new(site, shared, shutdown.clone()));
    let front = ServeOptions {
        trust: Arc::clone(&trust),
        limits: config.server.limits.clone(),
        telemetry: telemetry.clone(),
        shutdown: shutdown.clone(),
    };
    let serving = listeners.open(&config, &live, &health, &front)?;
    health.set_site_loaded();
    telemetry.set_active_config(&config.hash());
    Ok(Running {
        addresses,
        admin_address,
        grpc_address,
        live,
        started: config,
        reloading: tokio::sync::Mutex::new(()),
        tls,
        trust,
        header_case,
        health,
        shutdown,
        serving,
    })
}

/// Builds everything a configuration names, and binds nothing: what `menshen check` does. The store
/// is not touched; secrets and certificates are read.
pub async fn dry_run(config: &Config) -> Result<(Site, Services), StartError> {
    keys::install_crypto();
    let telemetry = Telemetry::new(&config.log);
    let shared = open(config, &StoreUrl::MEMORY, Clock::system(), telemetry).await?;
    let site = Site::build(&config.site(), &shared, None)
        .await
        .map_err(|error| StartError::Build(Box::new(error)))?;
    if let Some(tls) = &config.server.tls {
        Tls::load(tls).map_err(|error| StartError::Bind(BindError::Tls(error)))?;
    }
    if let Some(admin) = &config.admin {
        if let Some(token) = &admin.token {
            token.read().map_err(StartError::AdminToken)?;
        }
        listeners::address("[admin] listen", &admin.listen)?;
    }
    Ok((site, shared))
}

/// Explains a request by a configuration, beside whoever serves with it: nothing is bound, and the
/// store is only looked at, and only to know somebody.
pub async fn explain(config: &Config, query: &ExplainQuery) -> Result<Explanation, ExplainError> {
    let (site, shared) = dry_run(config).await.map_err(ExplainError::Start)?;
    let directory = match query.names_login() {
        true => {
            let store = store::open_read_only(&config.store.url).await;
            Directory::new(store.map_err(ExplainError::Store)? as _)
        }
        false => shared.people.directory().clone(),
    };
    let now = shared.clock.now();
    explain::explain(&site.decision_parts(), &directory, query, now)
        .await
        .map_err(ExplainError::Simulate)
}

impl Running {
    /// The IP addresses it listens at; the port that was found for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where the administrator's listener is, when it is an IP address.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where Envoy may ask over gRPC alone, when it is an IP address.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc_address
    }

    /// What is served.
    pub fn live(&self) -> &Arc<LiveSite> {
        &self.live
    }

    /// Serves another configuration from the next request on, or refuses it whole. Answers what it
    /// changes that only a restart applies.
    pub async fn reload(&self, config: Config) -> Result<Vec<&'static str>, ReloadError> {
        let _one_at_a_time = self.reloading.lock().await;
        let outcome = self.replace(&config).await;
        let telemetry = &self.live.services().telemetry;
        match &outcome {
            Ok(()) => {
                telemetry.count_reload(ReloadOutcome::Done);
                telemetry.set_active_config(&config.hash());
                self.health.set_degraded(Vec::new());
            }
            Err(error) => {
                telemetry.count_reload(ReloadOutcome::Refused);
                let reason = crate::telemetry::error_chain(error).to_string();
                self.health
                    .set_degraded(vec![format!("the last reload was refused: {reason}")]);
            }
        }
        outcome?;
        // Compared with how it started: what waits for a restart is told at every reload.
        Ok(self.started.restart_needed(&config))
    }

    /// Notes that there was a configuration that could not even be parsed. The log says why.
    pub fn refuse(&self) {
        self.live
            .services()
            .telemetry
            .count_reload(ReloadOutcome::Refused);
        let reason = "the last reload was refused: the configuration does not parse";
        self.health.set_degraded(vec![reason.to_owned()]);
    }

    async fn replace(&self, config: &Config) -> Result<(), ReloadError> {
        let (parts, old) = (config.site(), self.live.site());
        let site = Site::build(&parts, self.live.services(), Some(&old)).await;
        let site = site.map_err(|error| ReloadError::Build(Box::new(error)))?;
        if let (Some(tls), Some(files)) = (&self.tls, &config.server.tls) {
            tls.reload(files).map_err(ReloadError::Tls)?;
        }
        self.trust.store(Arc::clone(&site.trust));
        let header_case = site.keeps_header_case();
        self.header_case.store(header_case, Ordering::Relaxed);
        self.live.replace_site(site);
        Ok(())
    }

    /// Accepts no more, lets requests in flight end within the drain time, and refreshes of tokens
    /// within some seconds more, and returns.
    pub async fn stop(self) {
        self.health.set_draining();
        self.shutdown.cancel();
        self.serving.wait().await;
        let Services {
            sessions,
            telemetry,
            ..
        } = self.live.services();
        sessions.drain_refreshes(REFRESHES_DRAIN).await;
        let left = tokio::time::timeout(STORE_DRAIN, sessions.retry_pending(0)).await;
        if left != Ok(0) {
            tracing::error!(
                "sessions that were ended count again after a restart: the store did not take it"
            );
        }
        telemetry.flush();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn open(
    config: &Config,
    url: &StoreUrl,
    clock: Clock,
    telemetry: Telemetry,
) -> Result<Services, StartError> {
    let store = store::open(url).await.map_err(StartError::Store)?;
    let store: Arc<dyn Store> = MonitoredStore::new(store, telemetry.clone());
    let session = &config.session;
    let grace = session.store_outage_grace.duration();
    let cached_max = session.cached_sessions_max;
    let sessions = Sessions::open(Arc::clone(&store), clock.clone(), cached_max, grace);
    let sessions = sessions.await.map_err(StartError::Store)?;
    let people = People::new(Arc::clone(&store), Arc::clone(&sessions), clock.clone());
    Ok(Services {
        store,
        sessions,
        people,
        clock,
        telemetry,
    })
}

fn ips(door: &Listeners) -> Vec<SocketAddr> {
    let ips = door.addresses().filter_map(|address| match address {
        Address::Ip(ip) => Some(*ip),
        Address::Unix(_) | Address::Systemd(_) => None,
    });
    ips.collect()
}
