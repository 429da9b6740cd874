//! Logs, metrics, the access record.
//!
//! Programs log through `tracing`, on standard error. Requests and logins are records of their own
//! on standard output. Each is one JSON line, collected in memory and written by a thread, so that
//! no request waits for a disk or for the reader of a pipe.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

pub use access::{AccessRecord, CutBy, FaceLabel, StreamEnd, StreamKind, VerdictLabel};
pub use audit::{AuditEvent, AuditRecord};
pub use log_limiter::LogLimiter;
use log_writer::LineKind;
pub use metrics::{
    BearerCounters, BearerOutcome, GaugeGuard, LoginOutcome, RefreshOutcome, ReloadOutcome,
};
pub use program_log::{flush_log, init};

mod access;
mod audit;
pub mod escape;
mod event_format;
mod json_line;
mod log_limiter;
mod log_writer;
mod loss_metrics;
mod metrics;
mod program_log;
mod standard_streams;
mod token_bucket;

/// So many entries of the audit trail about strangers at once, and then so many in a second.
const ANONYMOUS_AUDIT_BURST: u32 = 100;
const ANONYMOUS_AUDIT_PER_SECOND: u32 = 2;

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
    AlreadyInitialized(#[source] tracing_subscriber::util::TryInitError),
}

/// Where everything is counted and recorded. One per process; clones are the same one.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    metrics: metrics::Metrics,
    records: Arc<log_writer::LogWriter>,
    anonymous_audit: token_bucket::TokenBucket,
    access: bool,
    /// Leave to say that lines are dropped.
    drop_warnings: LogLimiter,
}

impl Telemetry {
    /// Records go to standard output.
    pub fn new(config: &LogConfig) -> Self {
        Self::with_destination(config, standard_streams::output())
    }

    /// Records go wherever a test looks.
    pub fn writing_to(config: &LogConfig, out: Box<dyn io::Write + Send>) -> Self {
        let name = "records";
        let file_lock = None;
        Self::with_destination(
            config,
            log_writer::Destination {
                name,
                out,
                file_lock,
            },
        )
    }

    fn with_destination(config: &LogConfig, destination: log_writer::Destination) -> Self {
        let records = Arc::new(log_writer::LogWriter::start(destination));
        Self(Arc::new(Shared {
            metrics: metrics::Metrics::new(loss_metrics::LossCollector::of(&records)),
            records,
            anonymous_audit: token_bucket::TokenBucket::new(
                ANONYMOUS_AUDIT_BURST,
                ANONYMOUS_AUDIT_PER_SECOND,
            ),
            access: config.access,
            drop_warnings: LogLimiter::default(),
        }))
    }

    /// Whether requests are written down at all: what only the record needs is spared else.
    pub fn has_access_log(&self) -> bool {
        self.0.access
    }

    /// Counts a request, and writes it down unless `[log] access` says otherwise. Never blocks: a
    /// line that finds no room is dropped and counted.
    pub fn record_request(&self, access: &AccessRecord<'_>) {
        self.count_request(access);
        self.write_request(access);
    }

    /// Counts a request that is written down later.
    pub fn count_request(&self, access: &AccessRecord<'_>) {
        self.0.metrics.request(access);
    }

    /// Writes a request down that was counted before.
    pub fn write_request(&self, access: &AccessRecord<'_>) {
        if self.0.access {
            self.push(LineKind::Access, |line| access.write(line));
        }
    }

    /// Counts a request that was ended after its answer had begun, and writes it down as
    /// [`Self::record_request`] does.
    pub fn record_stream_end(&self, ended: &StreamEnd<'_>) {
        self.0.metrics.ended(ended.what);
        if self.0.access {
            self.push(LineKind::Access, |line| ended.write(line));
        }
    }

    /// Writes down who came, went, or was turned away. Such lines have a reserve of memory that no
    /// other kind of line can fill.
    pub fn audit(&self, audit: &AuditRecord<'_>) {
        let suppressed = self.0.anonymous_audit.take_suppressed();
        self.push(LineKind::Audit, |line| audit.write(line, suppressed));
    }

    /// Writes down what any stranger can cause without a limit: at a pace. The next line says how
    /// many were left out.
    pub fn audit_anonymous(&self, audit: &AuditRecord<'_>) {
        if let Some(suppressed) = self.0.anonymous_audit.take() {
            self.push(LineKind::Audit, |line| audit.write(line, suppressed));
        }
    }

    fn push(&self, kind: LineKind, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.0.records.push(kind, write) && self.0.drop_warnings.allow() {
            let (kind, output) = (kind.as_str(), self.0.records.name());
            tracing::warn!(
                kind,
                output,
                "log lines are dropped: nobody reads them in time"
            );
        }
    }

    /// What hinders the log now, for an operator who looks at the health of the process.
    pub fn log_problems(&self) -> Vec<String> {
        let records = self.0.records.problem();
        let program = program_log::writer().and_then(log_writer::LogWriter::problem);
        records.into_iter().chain(program).collect()
    }

    /// Writes the records that are still in memory; for the end of the process. Gives up after a few
    /// seconds when nobody reads them.
    pub fn flush(&self) {
        self.0.records.flush();
    }
}

/// Shows an error with everything that caused it, on one line.
pub fn error_chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + use<'a> {
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
