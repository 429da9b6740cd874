//! Logs, metrics, the access record.
//!
//! Programs log through `tracing`. Requests and logins are records of their own: one JSON line
//! each, collected in memory and written by a thread, so that no request waits for a disk.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

pub use access::{Access, Cut, Ended, Lasted, Outcome, Speaker};
pub use audit::{Audit, Event};
pub use metrics::{
    BearerCounts, BearerOutcome, Counted, LoginOutcome, RefreshOutcome, ReloadOutcome,
};
pub use seldom::Seldom;

mod access;
mod audit;
mod bucket;
mod events;
mod line;
mod lines;
mod metrics;
mod seldom;
pub mod visible;

/// So many entries of the audit trail about strangers at once, and then so many in a second.
const STRANGERS_AT_ONCE: u32 = 100;
const STRANGERS_PER_SECOND: u32 = 2;

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives such as
    /// `info,menshen::door=debug`. The variable `MENSHEN_LOG` wins.
    pub level: String,
    /// Whether every request is one line of JSON on standard output; logins always are.
    pub access: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            access: true,
        }
    }
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The level is none.
    #[error("`{0}` is no log level: write error, warn, info, debug or trace")]
    Level(String),
    /// Somebody in this process logs already.
    #[error("begin to log")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Begins to log: one JSON line per event on standard error, at a pace for each kind of line. Once
/// per process.
pub fn init(config: &LogConfig) -> Result<(), InitError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let level = std::env::var("MENSHEN_LOG")
        .ok()
        .filter(|level| !level.is_empty());
    let level = level.unwrap_or_else(|| config.level.clone());
    let Ok(filter) = EnvFilter::try_new(&level) else {
        return Err(InitError::Level(level));
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(io::stderr)
        .with_env_filter(filter)
        .map_event_format(events::Events::new)
        .finish()
        .try_init()
        .map_err(InitError::Twice)
}

/// Where everything is counted and recorded. One per process; clones are the same one.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    metrics: metrics::Metrics,
    lines: lines::Lines,
    strangers: bucket::Bucket,
    access: bool,
}

impl Telemetry {
    /// Records go to standard output.
    pub fn new(config: &LogConfig) -> Self {
        Self::writing_to(config, Box::new(io::stdout()))
    }

    /// Records go wherever a test looks.
    pub fn writing_to(config: &LogConfig, out: Box<dyn io::Write + Send>) -> Self {
        let metrics = metrics::Metrics::new();
        let lines = lines::Lines::start(out, metrics.lines_lost());
        Self(Arc::new(Shared {
            metrics,
            lines,
            strangers: bucket::Bucket::new(STRANGERS_AT_ONCE, STRANGERS_PER_SECOND),
            access: config.access,
        }))
    }

    /// Whether requests are written down at all: what only the record needs is spared else.
    pub fn writes_access(&self) -> bool {
        self.0.access
    }

    /// Counts a request, and writes it down unless `[log] access` says otherwise. Never blocks: a
    /// line that finds no room is dropped and counted.
    pub fn record(&self, access: &Access<'_>) {
        self.count(access);
        self.write(access);
    }

    /// Counts a request that is written down later.
    pub fn count(&self, access: &Access<'_>) {
        self.0.metrics.request(access);
    }

    /// Writes a request down that was counted before.
    pub fn write(&self, access: &Access<'_>) {
        if self.0.access {
            self.0.lines.push(|line| access.write(line));
        }
    }

    /// Counts a request that was ended after its answer had begun, and writes it down as
    /// [`Self::record`] does.
    pub fn ended(&self, ended: &Ended<'_>) {
        self.0.metrics.ended(ended.what);
        if self.0.access {
            self.0.lines.push(|line| ended.write(line));
        }
    }

    /// Writes down who came, went, or was turned away. Such lines are never dropped.
    pub fn audit(&self, audit: &Audit<'_>) {
        let left_out = self.0.strangers.left_out();
        self.0.lines.push_surely(|line| audit.write(line, left_out));
    }

    /// Writes down what any stranger can cause without a limit: at a pace. The next line says how
    /// many were left out.
    pub fn audit_stranger(&self, audit: &Audit<'_>) {
        if let Some(left_out) = self.0.strangers.take() {
            self.0.lines.push_surely(|line| audit.write(line, left_out));
        }
    }

    /// Writes what is still in memory; for the end of the process.
    pub fn flush(&self) {
        self.0.lines.flush();
    }
}

/// Shows an error with everything that caused it, on one line.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + use<'a> {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
