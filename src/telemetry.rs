//! Logs, metrics, access log and audit trail.
//!
//! Program events are logged through `tracing` to standard error. Access and audit records go to
//! standard output. Each is one line of JSON that is buffered in memory and written by a separate
//! thread, so that no request waits for a disk or for the reader of a pipe.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

pub use access::{AccessRecord, CutBy, FaceLabel, StreamEnd, StreamKind, VerdictLabel};
pub use audit::{AuditEvent, AuditRecord, UnknownEvent};
use audit_queue::Pushed;
pub use audit_queue::{AuditCause, AuditLine, AuditLineId, UnstoredAudit};
pub use log_limiter::LogLimiter;
use log_writer::LineKind;
pub use metrics::{BearerCounters, GaugeGuard};
pub use named_counters::ActiveNames;
pub use outcomes::{AppTokenOutcome, BearerOutcome, LoginOutcome, RefreshOutcome, ReloadOutcome};
pub use program_log::{flush_log, init};
pub use route_metrics::RouteCounters;

use crate::text;
use crate::wording::{Text, error_of_text};

mod access;
mod audit;
mod audit_queue;
pub mod escape;
mod event_format;
mod json_line;
mod log_limiter;
mod log_writer;
mod loss_metrics;
mod metrics;
mod named_counters;
mod outcomes;
mod program_log;
mod route_metrics;
#[cfg(test)]
mod shared_buffer;
mod standard_streams;
mod token_bucket;

/// The rate limit of audit records that anonymous clients can cause: a burst, then a number per
/// second.
const ANONYMOUS_AUDIT_BURST: u32 = 100;
const ANONYMOUS_AUDIT_PER_SECOND: u32 = 2;

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The log level: `error`, `warn`, `info`, `debug`, `trace`, or directives such as
    /// `info,menshen::door=debug`. The environment variable `MENSHEN_LOG` overrides it.
    pub level: String,
    /// Whether every request is logged as one line of JSON on standard output; logins always are.
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

/// Why logging could not be started.
#[derive(Debug)]
pub enum InitError {
    Level(String),
    /// The process already has a `tracing` subscriber.
    AlreadyInitialized(tracing_subscriber::util::TryInitError),
}

impl InitError {
    fn text(&self) -> Text {
        match self {
            Self::Level(it) => text!(
                "`{it}` is not a log level: write error, warn, info, debug or trace",
                "`{it}` 不是日志级别：应为 error、warn、info、debug 或 trace"
            ),
            Self::AlreadyInitialized(_) => Text::fixed("start logging", "无法启动日志"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AlreadyInitialized(source) => Some(source),
            Self::Level(_) => None,
        }
    }
}

error_of_text!(InitError, caused);

/// The metrics and the log records of the process. Clones share the same state.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<SharedTelemetry>);

#[derive(Debug)]
struct SharedTelemetry {
    metrics: metrics::Metrics,
    records: Arc<log_writer::LogWriter>,
    anonymous_audit: token_bucket::TokenBucket,
    audit_queue: audit_queue::AuditQueue,
    has_access_log: bool,
    /// Limits the warning that lines are dropped.
    drop_warnings: LogLimiter,
}

impl Telemetry {
    /// Writes records to standard output.
    pub fn new(config: &LogConfig) -> Self {
        Self::with_destination(config, standard_streams::output())
    }

    /// Writes records to `out`, for tests.
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
        Self(Arc::new(SharedTelemetry {
            metrics: metrics::Metrics::new(loss_metrics::LossCollector::of(&records)),
            records,
            anonymous_audit: token_bucket::TokenBucket::new(
                ANONYMOUS_AUDIT_BURST,
                ANONYMOUS_AUDIT_PER_SECOND,
            ),
            audit_queue: audit_queue::AuditQueue::default(),
            has_access_log: config.access,
            drop_warnings: LogLimiter::default(),
        }))
    }

    /// Whether requests are logged. If not, callers skip work that only the access record needs.
    pub fn has_access_log(&self) -> bool {
        self.0.has_access_log
    }

    /// Counts a request, and logs it if `[log] access` is on. Never blocks: if the buffer is full,
    /// the line is dropped and counted.
    pub fn record_request(&self, access: &AccessRecord<'_>) {
        self.count_request(access);
        self.write_request(access);
    }

    /// Counts a request that is logged later.
    pub fn count_request(&self, access: &AccessRecord<'_>) {
        self.0.metrics.count_request(access);
    }

    /// Logs a request that was counted before.
    pub fn write_request(&self, access: &AccessRecord<'_>) {
        if self.0.has_access_log {
            self.push(LineKind::Access, |line| access.write(line));
        }
    }

    /// Counts and logs a response or tunnel that menshen ended because its request is no longer
    /// allowed.
    pub fn record_stream_end(&self, stream_end: &StreamEnd<'_>) {
        self.0.metrics.count_stream_end(stream_end.kind);
        if self.0.has_access_log {
            self.push(LineKind::Access, |line| stream_end.write(line));
        }
    }

    /// Writes an audit record, and queues it for the store. Audit records have a reserve in the buffer that
    /// other lines cannot fill.
    pub fn audit(&self, audit: &AuditRecord<'_>) {
        let suppressed = self.0.anonymous_audit.take_suppressed();
        self.write_and_queue(audit, false, suppressed);
    }

    /// Writes an audit record that any anonymous client can cause, at a limited rate. The next
    /// record says how many were suppressed.
    pub fn audit_anonymous(&self, audit: &AuditRecord<'_>) {
        if let Some(suppressed) = self.0.anonymous_audit.take() {
            self.write_and_queue(audit, true, suppressed);
        }
    }

    /// Writes an audit record whose line the store already has.
    pub fn log_stored_audit(&self, audit: &AuditRecord<'_>) {
        self.push(LineKind::Audit, |line| audit.write(line, 0));
    }

    fn write_and_queue(&self, audit: &AuditRecord<'_>, is_anonymous: bool, suppressed: u64) {
        let mut pushed = Pushed::Done;
        self.push(LineKind::Audit, |line| {
            audit.write(line, suppressed);
            let queue = &self.0.audit_queue;
            pushed = queue.push(audit, is_anonymous, suppressed, line);
        });
        if let Pushed::Dropped { first } = pushed {
            self.count_unstored_audit(UnstoredAudit::QueueFull, 1);
            if first {
                tracing::error!(
                    "the store does not take audit lines in time: further ones are only logged"
                );
            }
        }
    }

    fn push(&self, kind: LineKind, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.0.records.push(kind, write) && self.0.drop_warnings.allow() {
            let (kind, output) = (kind.as_str(), self.0.records.name());
            tracing::warn!(
                kind,
                output,
                "log lines are dropped: they are not read in time"
            );
        }
    }

    /// Current problems with writing log lines and with storing audit lines, for the health report.
    pub fn log_problems(&self) -> Vec<Text> {
        let records = self.0.records.problem();
        let program = program_log::writer().and_then(log_writer::LogWriter::problem);
        let unstored = match self.0.audit_queue.dropped() {
            0 => None,
            lines => Some(text!(
                "the store does not take audit lines in time: {lines} are only in the log",
                "数据库没有及时保存审计记录：{lines} 行只在日志里"
            )),
        };
        records.into_iter().chain(program).chain(unstored).collect()
    }

    /// Writes the buffered records before the process exits. Gives up after a few seconds if they
    /// are not read.
    pub fn flush(&self) {
        self.0.records.flush();
    }
}

/// Displays an error and all its causes on one line; `{:#}` in Chinese, as far as they have Chinese words.
pub fn error_chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + use<'a> {
    ErrorChain(error)
}

struct ErrorChain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut cause, mut is_first) = (Some(self.0), true);
        while let Some(error) = cause {
            match (f.alternate(), is_first) {
                (false, true) => write!(f, "{error}")?,
                (false, false) => write!(f, ": {error}")?,
                // Everything below an error of a library is of a library, too.
                (true, _) if is_of_library(error) => {
                    let separator = if is_first { "" } else { "：" };
                    return write!(f, "{separator}`{}`", ErrorChain(error));
                }
                (true, true) => write!(f, "{error:#}")?,
                (true, false) => write!(f, "：{error:#}")?,
            }
            (cause, is_first) = (error.source(), false);
        }
        Ok(())
    }
}

/// Whether the words of an error are those of a library, which has only English ones. In Chinese they are quoted.
fn is_of_library(error: &(dyn Error + 'static)) -> bool {
    error.is::<rustls::Error>()
        || error.is::<rustls::pki_types::pem::Error>()
        || error.is::<reqwest::Error>()
        || error.is::<quick_xml::Error>()
        || error.is::<regex::Error>()
        || error.is::<ipnet::AddrParseError>()
        || error.is::<jsonwebtoken::errors::Error>()
        || error.is::<sqlx::Error>()
}

#[cfg(test)]
mod tests;
