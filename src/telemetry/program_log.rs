//! The program log: `tracing` events and panics, on standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::thread;

use tracing_subscriber::EnvFilter;

use super::log_writer::{LineKind, LogWriter};
use super::{InitError, LogConfig, event_format, standard_streams};

/// One per process, as `tracing` has one subscriber per process.
static PROGRAM_LOG: OnceLock<LogWriter> = OnceLock::new();

/// Starts logging events as lines of JSON to standard error, with a rate limit per call site. Can
/// be called once per process.
pub fn init(config: &LogConfig) -> Result<(), InitError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let level = std::env::var("MENSHEN_LOG")
        .ok()
        .filter(|level| !level.is_empty());
    let level = level.unwrap_or_else(|| config.level.clone());
    let Ok(filter) = EnvFilter::try_new(&level) else {
        return Err(InitError::Level(level));
    };
    let writer = PROGRAM_LOG.get_or_init(|| LogWriter::start(standard_streams::error()));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(|| EventWriter(writer))
        .with_env_filter(filter)
        .map_event_format(event_format::RateLimitedFormat::new)
        .finish()
        .try_init()
        .map_err(InitError::AlreadyInitialized)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Writes the buffered lines; `false` if that takes longer than a few seconds.
pub fn flush_log() -> bool {
    PROGRAM_LOG.get().is_none_or(LogWriter::flush)
}

/// The writer of the program log, once logging was started.
pub(super) fn writer() -> Option<&'static LogWriter> {
    PROGRAM_LOG.get()
}

/// Logs a panic through `tracing`. The default hook writes to standard error directly and would
/// block the thread if the log reader stalls.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let current = thread::current();
    let place = panic.location().map(ToString::to_string);
    let message = panic.payload_as_str().unwrap_or_default();
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = captured.then(|| backtrace.to_string());
    tracing::error!(
        thread = current.name(),
        place,
        panic = message,
        backtrace,
        "a thread panicked"
    );
    if current.name() == Some("main") {
        flush_log();
    }
}

struct EventWriter(&'static LogWriter);

impl io::Write for EventWriter {
    /// Each call writes one whole event, which is dropped and counted if the buffer is full.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.push_bytes(LineKind::Program, event);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
