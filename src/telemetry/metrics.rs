//! The metrics and their output in the OpenMetrics format.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::loss_metrics::LossCollector;
use super::named_counters::NamedCounters;
use super::outcomes::{
    AppTokenOutcome, BearerOutcome, LoginOutcome, RefreshOutcome, ReloadOutcome,
};
use super::route_metrics::RouteMetrics;
use super::{AccessRecord, FaceLabel, StreamKind, Telemetry, UnstoredAudit, VerdictLabel};

/// The upper bounds of the histogram buckets in seconds: from a cached decision to a time-out.
const BUCKETS_S: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
pub(super) const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) type Labels = Vec<(&'static str, String)>;

/// All metrics. The counters that every request updates are looked up once, at the start.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    /// By face, verdict and status class.
    requests: [[[Counter; 5]; 3]; 3],
    /// By face.
    durations: [Histogram; 3],
    pub(super) routes: RouteMetrics,
    pub(super) logins: NamedCounters,
    pub(super) bearers: NamedCounters,
    pub(super) refreshes: NamedCounters,
    pub(super) app_tokens: NamedCounters,
    reloads: Family<Labels, Counter>,
    config: Family<Labels, Gauge>,
    config_epoch: Gauge,
    connections: Gauge,
    tunnels: Gauge,
    sessions_cached: Gauge<u64, AtomicU64>,
    store_errors: Counter,
    login_loops: Counter,
    costly_requests: Counter,
    limits: Family<Labels, Counter>,
    unstored_audit: Family<Labels, Counter>,
    ended: Family<Labels, Counter>,
    certificates: Family<Labels, Gauge>,
}

/// The counters of one issuer's tokens. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct BearerCounters([Counter; 5]);

impl BearerCounters {
    pub fn count(&self, outcome: BearerOutcome) {
        self.0[outcome as usize].inc();
    }
}

/// Counts something in a gauge until it is dropped.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(super) fn new(loss_collector: LossCollector) -> Self {
        let mut registry = Registry::with_prefix("menshen");
        registry.register_collector(Box::new(loss_collector));
        let requests = Family::<Labels, Counter>::default();
        let durations = Family::<Labels, Histogram>::new_with_constructor(histogram as fn() -> _);
        let request_counter = |face: FaceLabel, verdict: VerdictLabel, status: &str| {
            requests.get_or_create_owned(&vec![
                ("face", face.as_str().to_owned()),
                ("verdict", verdict.as_str().to_owned()),
                ("status", status.to_owned()),
            ])
        };
        let metrics = Self {
            requests: FaceLabel::ALL.map(|face| {
                VerdictLabel::ALL.map(|verdict| {
                    STATUS_CLASSES.map(|class| request_counter(face, verdict, class))
                })
            }),
            durations: FaceLabel::ALL.map(|face| {
                durations.get_or_create_owned(&vec![("face", face.as_str().to_owned())])
            }),
            routes: RouteMetrics::register(&mut registry),
            logins: NamedCounters::default(),
            bearers: NamedCounters::default(),
            refreshes: NamedCounters::default(),
            app_tokens: NamedCounters::default(),
            reloads: Family::default(),
            config: Family::default(),
            config_epoch: Gauge::default(),
            connections: Gauge::default(),
            tunnels: Gauge::default(),
            sessions_cached: Gauge::default(),
            store_errors: Counter::default(),
            login_loops: Counter::default(),
            costly_requests: Counter::default(),
            limits: Family::default(),
            unstored_audit: Family::default(),
            ended: Family::default(),
            certificates: Family::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests with a response", requests);
        let (name, help) = (
            "request_duration",
            "Time from a request to the head of its response",
        );
        registry.register_with_unit(name, help, Unit::Seconds, durations);
        metrics.register(&mut registry);
        // Alerts compare with the time before the first refused reload or unstored line.
        for outcome in ReloadOutcome::ALL {
            metrics.reload_counter(outcome);
        }
        for why in UnstoredAudit::ALL {
            metrics.unstored_audit_counter(why);
        }
        Self {
            registry,
            ..metrics
        }
    }

    fn register(&self, all: &mut Registry) {
        all.register("logins", "Logins by their outcome", self.logins.family());
        let help = "Bearer tokens that were received, by the outcome of their check";
        all.register("bearers", help, self.bearers.family());
        let help = "Token refreshes by their outcome";
        all.register("refreshes", help, self.refreshes.family());
        let help = "Requests of other programs for the access token that the source issues to \
                    menshen's own application, and their reports that the source rejects it, by outcome";
        all.register("app_tokens", help, self.app_tokens.family());
        all.register(
            "reloads",
            "Reloads of the configuration",
            self.reloads.clone(),
        );
        all.register(
            "config",
            "The active configuration, by its hash",
            self.config.clone(),
        );
        all.register(
            "config_epoch",
            "Number of configurations that were active so far",
            self.config_epoch.clone(),
        );
        all.register(
            "connections",
            "Open client connections",
            self.connections.clone(),
        );
        all.register("tunnels", "Open upgraded connections", self.tunnels.clone());
        all.register(
            "sessions_cached",
            "Sessions in the cache",
            self.sessions_cached.clone(),
        );
        all.register(
            "store_errors",
            "Failed store operations",
            self.store_errors.clone(),
        );
        let help = "Logins that were stopped because of a redirect loop";
        all.register("login_loops", help, self.login_loops.clone());
        let help =
            "Requests that were denied because evaluating a rule or a header exceeds its limit";
        all.register("costly_requests", help, self.costly_requests.clone());
        let help = "Requests and connections that were refused or ended by a limit, by its configuration key";
        all.register("limits_reached", help, self.limits.clone());
        let help = "Audit lines that are only in the log and not in the store, by the reason";
        all.register("audit_lines_unstored", help, self.unstored_audit.clone());
        let help =
            "Responses and tunnels that were ended because their requests are no longer allowed";
        all.register("ended", help, self.ended.clone());
        let (name, help) = (
            "certificate_expiry",
            "When a certificate of the TLS listeners expires, in Unix time",
        );
        all.register_with_unit(name, help, Unit::Seconds, self.certificates.clone());
    }

    pub(super) fn count_request(&self, access: &AccessRecord<'_>) {
        let class = usize::from(access.status / 100).clamp(1, STATUS_CLASSES.len()) - 1;
        let (face, verdict) = (access.face as usize, access.verdict as usize);
        self.requests[face][verdict][class].inc();
        self.durations[face].observe(access.took.as_secs_f64());
        if let Some(counters) = access.route_counters {
            counters.count(class, access.upstream_took);
        }
    }

    fn reload_counter(&self, outcome: ReloadOutcome) -> Counter {
        let labels = vec![("outcome", outcome.as_str().to_owned())];
        self.reloads.get_or_create_owned(&labels)
    }

    fn unstored_audit_counter(&self, why: UnstoredAudit) -> Counter {
        let labels = vec![("reason", why.as_str().to_owned())];
        self.unstored_audit.get_or_create_owned(&labels)
    }

    fn login_counter(&self, connector: &str, outcome: LoginOutcome) -> Counter {
        let labels = vec![
            ("connector", connector.to_owned()),
            ("outcome", outcome.as_str().to_owned()),
        ];
        self.logins.counter(labels)
    }

    pub(super) fn count_stream_end(&self, kind: StreamKind) {
        let labels = vec![("what", kind.as_str().to_owned())];
        self.ended.get_or_create(&labels).inc();
    }
}

impl Telemetry {
    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut page = String::with_capacity(8 * 1024);
        if text::encode(&mut page, &self.0.metrics.registry).is_err() {
            // Writing to memory cannot fail. If it does, the page is empty: without `# EOF` a scraper
            // rejects it.
            page.clear();
        }
        page
    }

    /// Counts an open connection until the result is dropped.
    pub fn track_connection(&self) -> GaugeGuard {
        increment_until_dropped(&self.0.metrics.connections)
    }

    /// Counts an open tunnel until the result is dropped.
    pub fn track_tunnel(&self) -> GaugeGuard {
        increment_until_dropped(&self.0.metrics.tunnels)
    }

    /// Shows the logins of a connector as 0 before the first one: alerts compare with the time before the
    /// first failure.
    pub fn show_logins(&self, connector: &str) {
        for outcome in LoginOutcome::ALL {
            self.0.metrics.login_counter(connector, outcome);
        }
    }

    pub fn count_login(&self, connector: &str, outcome: LoginOutcome) {
        self.0.metrics.login_counter(connector, outcome).inc();
    }

    /// The counters of one issuer's bearer tokens; `""` for tokens of unknown issuers.
    pub fn bearer_counters(&self, issuer: &str) -> BearerCounters {
        BearerCounters(BearerOutcome::ALL.map(|outcome| {
            let labels = vec![
                ("issuer", issuer.to_owned()),
                ("outcome", outcome.as_str().to_owned()),
            ];
            self.0.metrics.bearers.counter(labels)
        }))
    }

    pub fn count_refresh(&self, connector: &str, outcome: RefreshOutcome) {
        let labels = vec![
            ("connector", connector.to_owned()),
            ("outcome", outcome.as_str().to_owned()),
        ];
        self.0.metrics.refreshes.counter(labels).inc();
    }

    pub fn count_app_token(&self, connector: &str, outcome: AppTokenOutcome) {
        let labels = vec![
            ("connector", connector.to_owned()),
            ("outcome", outcome.as_str().to_owned()),
        ];
        self.0.metrics.app_tokens.counter(labels).inc();
    }

    /// Counts a login that was stopped because of a redirect loop.
    pub fn count_login_loop(&self) {
        self.0.metrics.login_loops.inc();
    }

    /// Counts a request that was denied because evaluating its expressions exceeds the limit.
    pub fn count_costly_request(&self) {
        self.0.metrics.costly_requests.inc();
    }

    /// Counts a request or a connection that was refused or ended by the limit of a configuration
    /// key.
    pub fn count_limit_reached(&self, key: &'static str) {
        let labels = vec![("key", key.to_owned())];
        self.0.metrics.limits.get_or_create(&labels).inc();
    }

    /// Counts audit lines that are only in the log.
    pub fn count_unstored_audit(&self, why: UnstoredAudit, lines: u64) {
        self.0.metrics.unstored_audit_counter(why).inc_by(lines);
    }

    /// Counts a failed store operation.
    pub fn count_store_error(&self) {
        self.0.metrics.store_errors.inc();
    }

    /// Sets the number of cached sessions.
    pub fn set_sessions_cached(&self, sessions: u64) {
        self.0.metrics.sessions_cached.set(sessions);
    }

    pub fn count_reload(&self, outcome: ReloadOutcome) {
        self.0.metrics.reload_counter(outcome).inc();
    }

    /// Replaces the certificates of the TLS listeners: the file of each, and when it expires in Unix time.
    pub fn set_certificates(&self, certificates: &[(String, i64)]) {
        let expiries = &self.0.metrics.certificates;
        expiries.clear();
        for (path, expiry_unix_s) in certificates {
            let labels = vec![("certificate", path.clone())];
            expiries.get_or_create(&labels).set(*expiry_unix_s);
        }
    }

    /// Records that the configuration with this hash is active now.
    pub fn set_active_config(&self, hash: &str) {
        let metrics = &self.0.metrics;
        metrics.config.clear();
        metrics
            .config
            .get_or_create(&vec![("hash", hash.to_owned())])
            .set(1);
        metrics.config_epoch.inc();
    }
}

fn increment_until_dropped(gauge: &Gauge) -> GaugeGuard {
    gauge.inc();
    GaugeGuard(gauge.clone())
}

pub(super) fn histogram() -> Histogram {
    Histogram::new(BUCKETS_S)
}
