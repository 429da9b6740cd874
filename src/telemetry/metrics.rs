//! What is counted, and how it is shown to whoever scrapes it (OpenMetrics).

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::loss_metrics::LossCollector;
use super::{AccessRecord, FaceLabel, StreamKind, Telemetry, VerdictLabel};

/// Upper bounds in seconds: from what a cached decision takes to what nobody waits for.
const SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

type Labels = Vec<(&'static str, String)>;

/// Everything that is counted. What every request touches is resolved once, here.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    /// By face, verdict and class of status.
    requests: [[[Counter; 5]; 3]; 3],
    /// By face.
    durations: [Histogram; 3],
    upstream_duration: Histogram,
    logins: Family<Labels, Counter>,
    bearers: Family<Labels, Counter>,
    refreshes: Family<Labels, Counter>,
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
    ended: Family<Labels, Counter>,
}

/// What became of a login, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// They came in.
    Done,
    /// They did not prove who they are, or may not come.
    Refused,
    /// The source or the store failed.
    Failed,
}

/// What became of a bearer token, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerOutcome {
    /// It was verified.
    Verified,
    /// It was verified a moment ago.
    Cached,
    /// It was refused.
    Refused,
    /// Its issuer could not be asked.
    Unavailable,
    /// Its client brings too many new ones: nobody looked at it.
    Limited,
}

/// The counters of one issuer's tokens. Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct BearerCounters([Counter; 5]);

impl BearerOutcome {
    const ALL: [Self; 5] = [
        Self::Verified,
        Self::Cached,
        Self::Refused,
        Self::Unavailable,
        Self::Limited,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Cached => "cached",
            Self::Refused => "refused",
            Self::Unavailable => "away",
            Self::Limited => "limited",
        }
    }
}

impl BearerCounters {
    /// Counts one more.
    pub fn count(&self, outcome: BearerOutcome) {
        self.0[outcome as usize].inc();
    }
}

/// What became of a refresh of tokens, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The source brought new ones.
    Done,
    /// Another process had brought them already.
    Adopted,
    /// The source no longer vouches for the session.
    Gone,
    /// The source could not be asked.
    Unavailable,
    /// It did not get its turn.
    Busy,
    /// The store failed.
    Store,
}

/// What became of a reload, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The new configuration is in force.
    Done,
    /// The old one stays.
    Refused,
}

/// Something that is counted as long as this is kept.
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
            upstream_duration: histogram(),
            logins: Family::default(),
            bearers: Family::default(),
            refreshes: Family::default(),
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
            ended: Family::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests that were answered", requests);
        let (name, help) = (
            "request_duration",
            "From a request to the head of its answer",
        );
        registry.register_with_unit(name, help, Unit::Seconds, durations);
        metrics.register(&mut registry);
        Self {
            registry,
            ..metrics
        }
    }

    fn register(&self, all: &mut Registry) {
        let (name, help) = ("upstream_duration", "What upstreams took of it");
        all.register_with_unit(name, help, Unit::Seconds, self.upstream_duration.clone());
        all.register("logins", "Logins that came to an end", self.logins.clone());
        let help = "Bearer tokens that were looked at";
        all.register("bearers", help, self.bearers.clone());
        let help = "Refreshes of tokens that came to an end";
        all.register("refreshes", help, self.refreshes.clone());
        all.register(
            "reloads",
            "Configurations that were read again",
            self.reloads.clone(),
        );
        all.register(
            "config",
            "The configuration in force, by its hash",
            self.config.clone(),
        );
        all.register(
            "config_epoch",
            "How many were in force so far",
            self.config_epoch.clone(),
        );
        all.register(
            "connections",
            "Connections that are open",
            self.connections.clone(),
        );
        all.register(
            "tunnels",
            "Upgraded connections among them",
            self.tunnels.clone(),
        );
        all.register(
            "sessions_cached",
            "Sessions in memory",
            self.sessions_cached.clone(),
        );
        all.register(
            "store_errors",
            "Questions the store failed at",
            self.store_errors.clone(),
        );
        let help = "Logins that were stopped because they went in circles";
        all.register("login_loops", help, self.login_loops.clone());
        let help = "Requests that were denied because a rule or a header takes too much work";
        all.register("costly_requests", help, self.costly_requests.clone());
        let help = "Requests and connections that were refused or ended by a limit, by its key";
        all.register("limits_reached", help, self.limits.clone());
        let help = "Answers and tunnels that were ended because their requests may no longer pass";
        all.register("ended", help, self.ended.clone());
    }

    pub(super) fn request(&self, access: &AccessRecord<'_>) {
        let class = usize::from(access.status / 100).clamp(1, STATUS_CLASSES.len()) - 1;
        let (face, verdict) = (access.face as usize, access.verdict as usize);
        self.requests[face][verdict][class].inc();
        self.durations[face].observe(access.took.as_secs_f64());
        if let Some(took) = access.upstream_took {
            self.upstream_duration.observe(took.as_secs_f64());
        }
    }

    pub(super) fn ended(&self, what: StreamKind) {
        let labels = vec![("what", what.as_str().to_owned())];
        self.ended.get_or_create(&labels).inc();
    }
}

impl Telemetry {
    /// Everything counted, as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut page = String::with_capacity(8 * 1024);
        if text::encode(&mut page, &self.0.metrics.registry).is_err() {
            // Text into memory cannot fail; half a page must not look like a whole one.
            page.clear();
            let _ = writeln!(page, "# EOF");
        }
        page
    }

    /// Counts a connection as long as the answer is kept.
    pub fn track_connection(&self) -> GaugeGuard {
        counted(&self.0.metrics.connections)
    }

    /// Counts a tunnel as long as the answer is kept.
    pub fn track_tunnel(&self) -> GaugeGuard {
        counted(&self.0.metrics.tunnels)
    }

    /// Counts a login that came to an end.
    pub fn count_login(&self, connector: &str, outcome: LoginOutcome) {
        let outcome = match outcome {
            LoginOutcome::Done => "done",
            LoginOutcome::Refused => "refused",
            LoginOutcome::Failed => "failed",
        };
        let labels = vec![
            ("connector", connector.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        self.0.metrics.logins.get_or_create(&labels).inc();
    }

    /// The counters of one issuer's bearer tokens; without a name, of those nobody issued.
    pub fn bearer_counters(&self, issuer: &str) -> BearerCounters {
        BearerCounters(BearerOutcome::ALL.map(|outcome| {
            let labels = vec![
                ("issuer", issuer.to_owned()),
                ("outcome", outcome.as_str().to_owned()),
            ];
            self.0.metrics.bearers.get_or_create_owned(&labels)
        }))
    }

    /// Counts a refresh of tokens that came to an end.
    pub fn count_refresh(&self, connector: &str, outcome: RefreshOutcome) {
        let outcome = match outcome {
            RefreshOutcome::Done => "done",
            RefreshOutcome::Adopted => "adopted",
            RefreshOutcome::Gone => "gone",
            RefreshOutcome::Unavailable => "unavailable",
            RefreshOutcome::Busy => "busy",
            RefreshOutcome::Store => "store",
        };
        let labels = vec![
            ("connector", connector.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        self.0.metrics.refreshes.get_or_create(&labels).inc();
    }

    /// Counts a login that was stopped because it went in circles.
    pub fn count_login_loop(&self) {
        self.0.metrics.login_loops.inc();
    }

    /// Counts a request that was denied because its expressions take too much work.
    pub fn count_costly_request(&self) {
        self.0.metrics.costly_requests.inc();
    }

    /// Counts a request or a connection that was refused or ended by a limit, by its key.
    pub fn count_limit_reached(&self, key: &'static str) {
        let labels = vec![("key", key.to_owned())];
        self.0.metrics.limits.get_or_create(&labels).inc();
    }

    /// Counts a question the store failed at.
    pub fn count_store_error(&self) {
        self.0.metrics.store_errors.inc();
    }

    /// Says how many sessions are in memory.
    pub fn set_sessions_cached(&self, sessions: u64) {
        self.0.metrics.sessions_cached.set(sessions);
    }

    /// Counts a reload.
    pub fn count_reload(&self, outcome: ReloadOutcome) {
        let outcome = match outcome {
            ReloadOutcome::Done => "done",
            ReloadOutcome::Refused => "refused",
        };
        self.0
            .metrics
            .reloads
            .get_or_create(&vec![("outcome", outcome.to_owned())])
            .inc();
    }

    /// Says which configuration is in force from now on, by its hash.
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

fn counted(gauge: &Gauge) -> GaugeGuard {
    gauge.inc();
    GaugeGuard(gauge.clone())
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}
