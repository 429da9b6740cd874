//! `start()`: starts menshen from a parsed configuration, for the program, the demo and the tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{Config, Warning};
use crate::door::{Address, Listeners, OwnFiles, ServeOptions, Tls};
use crate::face::admin::Health;
use crate::keys;
use crate::people::People;
use crate::people::audit_log::AuditLog;
use crate::people::session::Sessions;
use crate::request::head::Trust;
use crate::site::live::LiveSite;
use crate::site::{Degradation, Services};
use crate::store::{self, MonitoredStore, Store, StoreUrl};
use crate::telemetry::{ReloadOutcome, Telemetry};
use crate::text;
use crate::wording::Text;

/// How long [`Running::stop`] waits for running token refreshes.
const REFRESHES_DRAIN: Duration = Duration::from_secs(10);

/// How long [`Running::stop`] waits for accepted events of sources to be handled.
const EVENTS_DRAIN: Duration = Duration::from_secs(5);

/// How long [`Running::stop`] tries again to store pending revocations.
const STORE_DRAIN: Duration = Duration::from_secs(5);

/// How long [`Running::stop`] tries to store the queued audit lines.
const AUDIT_DRAIN: Duration = Duration::from_secs(5);

mod background;
mod certificates;
mod dry_run;
mod error;
mod listeners;
mod managed;
mod other_site;
pub mod watch;

use background::BackgroundTasks;
use certificates::report_certificates;
pub use dry_run::{DryRun, dry_run, examine_store, explain};
pub use error::{ExplainError, ReloadError, StartError};
use listeners::AllListeners;
pub use managed::{Export, ExportError, export, open_site};

/// A running instance of menshen. Dropping it closes everything at once; [`Running::stop`] drains first.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin_address: Option<SocketAddr>,
    console_address: Option<SocketAddr>,
    grpc_address: Option<SocketAddr>,
    live: Arc<LiveSite>,
    start_config: Config,
    tls: Option<Arc<Tls>>,
    trust: Arc<ArcSwap<Trust>>,
    header_case: Arc<AtomicBool>,
    own_files: OwnFiles,
    health: Arc<Health>,
    shutdown: CancellationToken,
    serving: TaskTracker,
    _background: BackgroundTasks,
}

/// Opens the store, builds the site, binds the sockets, and serves in the background. Logs to standard
/// output.
///
/// # Errors
/// If it fails, no socket and no task is left.
pub async fn start(config: Config, clock: Clock) -> Result<Running, StartError> {
    let telemetry = Telemetry::new(&config.log);
    start_with_telemetry(config, clock, telemetry).await
}

/// [`start`] with another destination for the log.
///
/// # Errors
/// If it fails, no socket and no task is left.
pub async fn start_with_telemetry(
    config: Config,
    clock: Clock,
    telemetry: Telemetry,
) -> Result<Running, StartError> {
    keys::install_crypto();
    let services = open_services(&config, &config.store.url, clock, telemetry).await?;
    services.audit.apply(&config.audit);
    let shutdown = CancellationToken::new();
    let telemetry = services.telemetry.clone();
    let live = LiveSite::open(config.site(), services, shutdown.clone()).await;
    let live = Arc::new(live.map_err(|error| StartError::Build(Box::new(error)))?);
    let site = live.site();
    let listeners = AllListeners::bind(&config)?;
    let health = Arc::new(Health::default());
    let trust = Arc::new(ArcSwap::new(Arc::clone(&site.trust)));
    let (tls, addresses) = (listeners.main.tls().cloned(), ip_addresses(&listeners.main));
    let header_case = Arc::clone(listeners.main.preserve_header_case());
    header_case.store(site.keeps_header_case(), Ordering::Relaxed);
    let own_files = listeners.main.own_files().clone();
    own_files.set(site.verification_files.clone());
    let admin_address = listeners.admin.as_ref().and_then(Listeners::first_ip);
    let console = listeners.console.as_ref().or(listeners.admin.as_ref());
    let console = console.filter(|_| config.console.is_some());
    let console_address = console.and_then(Listeners::first_ip);
    let grpc_address = listeners.grpc.as_ref().and_then(Listeners::first_ip);
    let serve_options = ServeOptions {
        trust: Arc::clone(&trust),
        limits: config.server.limits.clone(),
        telemetry: telemetry.clone(),
        shutdown: shutdown.clone(),
    };
    let serving = listeners.serve(&config, &live, &health, &serve_options)?;
    health.set_site_loaded();
    show_active_config(&telemetry, &config);
    if let Some(tls) = &tls {
        let services = live.services();
        report_certificates(tls, &services.telemetry, &services.clock);
    }
    let background = BackgroundTasks::start(&live, &health, tls.as_ref());
    Ok(Running {
        addresses,
        admin_address,
        console_address,
        grpc_address,
        live,
        start_config: config,
        tls,
        trust,
        header_case,
        own_files,
        health,
        shutdown,
        serving,
        _background: background,
    })
}

/// Shows in the metrics which configuration is active.
fn show_active_config(telemetry: &Telemetry, config: &Config) {
    telemetry.set_active_config(&config.hash());
}

impl Running {
    /// The bound IP addresses, with the port that the system chose for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The IP address of the `[admin]` listener, if it has one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The IP address of the listener on which the web console is, if there is one.
    pub fn console_address(&self) -> Option<SocketAddr> {
        self.console_address
    }

    /// The IP address of `[ext_authz] grpc_listen`, if it has one.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc_address
    }

    pub fn live(&self) -> &Arc<LiveSite> {
        &self.live
    }

    /// The warnings about routes that nobody could pass at the start, because neither the file nor the store has
    /// a connector.
    pub fn absent_caller_warnings(&self) -> Vec<Warning> {
        self.start_config
            .absent_caller_warnings(&self.live.settings())
    }

    /// Applies a configuration from the next request on, or refuses it as a whole. Returns the keys that
    /// have changed since the start and need a restart.
    pub async fn reload(&self, config: Config) -> Result<Vec<&'static str>, ReloadError> {
        let outcome = self.replace(&config).await;
        let telemetry = &self.live.services().telemetry;
        match &outcome {
            Ok(()) => {
                telemetry.count_reload(ReloadOutcome::Done);
                show_active_config(telemetry, &config);
                self.health.set_degraded(Vec::new());
            }
            Err(error) => {
                telemetry.count_reload(ReloadOutcome::Refused);
                let reason = crate::telemetry::error_chain(error);
                let short = Text::fixed(
                    "the last reload was refused: the configuration cannot be used",
                    "最近一次重新加载被拒绝：配置无法使用",
                );
                let whole = text!(
                    "the last reload was refused: {reason}",
                    "最近一次重新加载被拒绝：{reason:#}"
                );
                self.health.set_degraded(vec![Degradation { short, whole }]);
            }
        }
        outcome?;
        // Every reload reports all keys that need a restart, not only those that it changed.
        Ok(self.start_config.restart_needed(&config))
    }

    /// Records that the configuration of a reload could not be parsed. The caller logs why.
    pub fn note_unparsable_config(&self) {
        self.live
            .services()
            .telemetry
            .count_reload(ReloadOutcome::Refused);
        let reason = Text::fixed(
            "the last reload was refused: the configuration cannot be parsed",
            "最近一次重新加载被拒绝：无法解析配置",
        );
        self.health.set_degraded(vec![reason.into()]);
    }

    async fn replace(&self, config: &Config) -> Result<(), ReloadError> {
        let reload = self.live.begin_reload(config.site()).await;
        let reload = reload.map_err(|error| ReloadError::Build(Box::new(error)))?;
        let site = reload.site();
        if let (Some(tls), Some(files)) = (&self.tls, &config.server.tls) {
            tls.reload(files).map_err(ReloadError::Tls)?;
            let services = self.live.services();
            report_certificates(tls, &services.telemetry, &services.clock);
        }
        self.trust.store(Arc::clone(&site.trust));
        let header_case = site.keeps_header_case();
        self.header_case.store(header_case, Ordering::Relaxed);
        self.own_files.set(site.verification_files.clone());
        reload.activate().await;
        self.live.services().audit.apply(&config.audit);
        Ok(())
    }

    /// Stops accepting connections, and waits for requests in flight, for events of sources, for token
    /// refreshes, and for revocations and audit lines that are not stored, each for a limited time.
    pub async fn stop(self) {
        self.health.set_draining();
        self.shutdown.cancel();
        self.serving.wait().await;
        let Services {
            sessions,
            audit,
            telemetry,
            ..
        } = self.live.services();
        let unhandled = self.live.site().login.events().drain(EVENTS_DRAIN).await;
        if unhandled > 0 {
            tracing::warn!(
                unhandled,
                "events of sources were not handled in time: people who left are signed out by `revalidate`"
            );
        }
        sessions.drain_refreshes(REFRESHES_DRAIN).await;
        let unstored = tokio::time::timeout(STORE_DRAIN, sessions.retry_pending(0)).await;
        if unstored != Ok(0) {
            tracing::error!(
                "the store did not take all revocations: the sessions they ended are valid again after a restart"
            );
        }
        // Otherwise the node is listed until nothing was heard of it for some minutes.
        let _ = tokio::time::timeout(STORE_DRAIN, self.live.remove_node()).await;
        let unstored = audit.drain(AUDIT_DRAIN).await;
        if unstored > 0 {
            tracing::error!(
                lines = unstored,
                "the store did not take all audit lines: these are only in the log"
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

async fn open_services(
    config: &Config,
    url: &StoreUrl,
    clock: Clock,
    telemetry: Telemetry,
) -> Result<Services, StartError> {
    let options = config.store.options().map_err(StartError::StorePassword)?;
    let store = store::open(url, &options).await;
    let store = store.map_err(StartError::Store)?;
    let store: Arc<dyn Store> = MonitoredStore::new(store, telemetry.clone());
    let session = &config.session;
    let grace = session.store_outage_grace.duration();
    let cached_sessions_max = session.cached_sessions_max;
    let sessions = Sessions::open(
        Arc::clone(&store),
        clock.clone(),
        cached_sessions_max,
        grace,
    );
    let sessions = sessions.await.map_err(StartError::Store)?;
    let people = People::new(Arc::clone(&store), Arc::clone(&sessions), clock.clone());
    let audit = AuditLog::new(Arc::clone(&store), telemetry.clone(), clock.clone());
    Ok(Services {
        audit: Arc::new(audit),
        store,
        sessions,
        people,
        clock,
        telemetry,
    })
}

fn ip_addresses(listeners: &Listeners) -> Vec<SocketAddr> {
    let ips = listeners.addresses().filter_map(|address| match address {
        Address::Ip(ip) => Some(*ip),
        Address::Unix(_) | Address::Systemd(_) => None,
    });
    ips.collect()
}
