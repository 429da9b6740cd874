//! `LogWriter`: a bounded buffer of log lines and the thread that writes them. Logging never waits
//! for a write: if the log reader stalls, lines are dropped and no request is delayed.

use crate::text;
use crate::wording::Text;
use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

mod writer_thread;

/// The size of the buffer, in bytes.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// Additional bytes for audit lines only.
const AUDIT_RESERVE_BYTES: usize = 16 << 20;
/// How long a flush waits for a slow reader.
const FLUSH_WAIT: Duration = Duration::from_secs(3);
/// How long a write may take until the reader counts as stalled.
const STALLED_AFTER: Duration = Duration::from_secs(10);

thread_local! {
    /// The line that the thread is formatting; the shared buffer is only locked to copy it.
    static LINE_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The kind of a line. Audit lines have a reserve in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    /// An access record.
    Access,
    /// An audit record.
    Audit,
    /// A program event.
    Program,
}

impl LineKind {
    pub(super) const ALL: [Self; 3] = [Self::Access, Self::Audit, Self::Program];

    /// The value in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Audit => "audit",
            Self::Program => "program",
        }
    }

    /// How many bytes the buffer may hold after a line of this kind is added.
    const fn capacity(self) -> usize {
        match self {
            Self::Access | Self::Program => WAITING_BYTES_MAX,
            Self::Audit => WAITING_BYTES_MAX + AUDIT_RESERVE_BYTES,
        }
    }
}

/// An output for log lines.
pub(super) struct Destination {
    /// The name in metrics and log lines, and of the thread.
    pub(super) name: &'static str,
    pub(super) out: Box<dyn Write + Send>,
    /// Held while lines are written by all destinations that lead to the same file, so that their
    /// lines do not interleave.
    pub(super) file_lock: Option<&'static Mutex<()>>,
}

/// Counters of lost lines, for metrics.
#[derive(Debug, Default)]
pub(super) struct LossCounts {
    dropped: [AtomicU64; 3],
    write_errors: AtomicU64,
}

impl LossCounts {
    pub(super) fn dropped(&self, kind: LineKind) -> u64 {
        self.dropped[kind as usize].load(Ordering::Relaxed)
    }

    pub(super) fn write_errors(&self) -> u64 {
        self.write_errors.load(Ordering::Relaxed)
    }
}

/// A buffer and its writer thread.
pub(super) struct LogWriter {
    shared: Arc<WriterShared>,
}

struct WriterShared {
    name: &'static str,
    file_lock: Option<&'static Mutex<()>>,
    state: Mutex<WriterState>,
    /// Wakes the writer thread.
    wake_writer: Condvar,
    /// Wakes callers of [`LogWriter::flush`].
    written: Condvar,
    counts: LossCounts,
}

#[derive(Default)]
struct WriterState {
    waiting: Vec<u8>,
    /// The bytes that the thread has taken but not written.
    being_written: usize,
    /// The total of bytes accepted.
    accepted: u64,
    /// The lines dropped since the last note about them, by kind.
    dropped: [u64; 3],
    /// Why the last write failed; `None` after a success.
    error: Option<String>,
    /// When the current write began.
    writing_since: Option<Instant>,
    /// Whether a flush is waiting: then the thread writes at once.
    flush_requested: bool,
    /// Whether the last flush timed out and nothing was written since: then the next one does not wait.
    last_flush_failed: bool,
    closed: bool,
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}

impl LogWriter {
    /// Starts the writer thread, which ends when the result is dropped.
    pub(super) fn start(destination: Destination) -> Self {
        let shared = Arc::new(WriterShared {
            name: destination.name,
            file_lock: destination.file_lock,
            state: Mutex::default(),
            wake_writer: Condvar::new(),
            written: Condvar::new(),
            counts: LossCounts::default(),
        });
        let (writing, out) = (Arc::clone(&shared), destination.out);
        let started = thread::Builder::new()
            .name(destination.name.to_owned())
            .spawn(move || writing.run(out));
        started.expect("a thread can be started at the start of the process");
        Self { shared }
    }

    /// Adds a line. If the buffer is full, the line is dropped and counted, and the result is
    /// `false`.
    pub(super) fn push(&self, kind: LineKind, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        LINE_BUFFER.with_borrow_mut(|line| {
            line.clear();
            write(line);
            self.push_bytes(kind, line)
        })
    }

    /// Like [`Self::push`], for a line that is already formatted.
    pub(super) fn push_bytes(&self, kind: LineKind, line: &[u8]) -> bool {
        let mut state = self.shared.lock();
        if state.waiting.len() + state.being_written + line.len() > kind.capacity() {
            state.dropped[kind as usize] += 1;
            drop(state);
            self.shared.counts.dropped[kind as usize].fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let was_empty = state.waiting.is_empty();
        state.append(line);
        drop(state);
        if was_empty {
            self.shared.wake_writer.notify_one();
        }
        true
    }

    /// Waits up to [`FLUSH_WAIT`] until all earlier lines are written, and returns whether they
    /// are.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.shared.lock();
        let accepted = state.accepted;
        let wait_max = match state.last_flush_failed {
            true => Duration::ZERO,
            false => FLUSH_WAIT,
        };
        state.flush_requested = true;
        self.shared.wake_writer.notify_one();
        let waited = self
            .shared
            .written
            .wait_timeout_while(state, wait_max, |state| state.written() < accepted);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let is_written = state.written() >= accepted;
        state.last_flush_failed = !is_written;
        is_written
    }

    /// The current problem with writing, for the health report.
    pub(super) fn problem(&self) -> Option<Text> {
        let (state, name) = (self.shared.lock(), self.shared.name);
        let stalls = state
            .writing_since
            .is_some_and(|since| since.elapsed() > STALLED_AFTER);
        let dropped: u64 = state.dropped.iter().sum();
        if let Some(error) = &state.error {
            Some(text!(
                "log lines cannot be written to {name}: {error}",
                "日志无法写入 {name}：{error}"
            ))
        } else if dropped > 0 {
            Some(text!(
                "{name} is not read fast enough: {dropped} log lines were dropped",
                "{name} 读取太慢：已丢弃 {dropped} 行日志"
            ))
        } else {
            stalls.then(|| {
                text!(
                    "{name} is not read: log lines are waiting in memory",
                    "{name} 没有被读取：日志在内存中等待"
                )
            })
        }
    }

    pub(super) fn counts(&self) -> &LossCounts {
        &self.shared.counts
    }

    pub(super) fn name(&self) -> &'static str {
        self.shared.name
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.flush();
        self.shared.lock().closed = true;
        self.shared.wake_writer.notify_one();
    }
}

impl WriterShared {
    fn lock(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WriterState {
    fn append(&mut self, line: &[u8]) {
        self.waiting.extend_from_slice(line);
        self.accepted += line.len() as u64;
    }

    /// The total of bytes written.
    fn written(&self) -> u64 {
        self.accepted - (self.waiting.len() + self.being_written) as u64
    }
}

#[cfg(test)]
mod tests;
