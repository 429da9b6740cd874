//! `Lines`: a bounded buffer of log lines and the thread that writes it. Whoever logs never waits
//! for a write: a log reader that stalls costs lines and delays no request.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

mod writer_thread;

/// How many bytes wait at most before lines are dropped.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// How many bytes of audit lines find room beyond that, however many others wait.
const AUDIT_RESERVE_BYTES: usize = 16 << 20;
/// How long a flush waits for a reader that reads too slowly or not at all.
const FLUSH_WAIT: Duration = Duration::from_secs(3);
/// A write that takes longer than this is a reader that stalls.
const STALLED_AFTER: Duration = Duration::from_secs(10);

thread_local! {
    /// The line that this thread is composing, so that the lock is held for a copy only.
    static LINE_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a line is about; this decides which lines are dropped first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    /// One request.
    Access,
    /// One entry of the audit trail.
    Audit,
    /// An event that the program logs about itself.
    Program,
}

impl LineKind {
    pub(super) const ALL: [Self; 3] = [Self::Access, Self::Audit, Self::Program];

    /// As it stands in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Audit => "audit",
            Self::Program => "program",
        }
    }

    /// How many bytes may wait when a line of this kind is added.
    const fn capacity(self) -> usize {
        match self {
            Self::Access | Self::Program => WAITING_BYTES_MAX,
            Self::Audit => WAITING_BYTES_MAX + AUDIT_RESERVE_BYTES,
        }
    }
}

/// A place that lines are written to.
pub(super) struct Destination {
    /// Its name in metrics, log lines and the name of its thread.
    pub(super) name: &'static str,
    pub(super) out: Box<dyn Write + Send>,
    /// Held while lines are written, by all destinations that lead to the same file: lines of one
    /// must not begin within those of another.
    pub(super) file_lock: Option<&'static Mutex<()>>,
}

/// What became of lines, for metrics.
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

/// Where lines are written to.
pub(super) struct LogWriter {
    shared: Arc<WriterShared>,
}

struct WriterShared {
    name: &'static str,
    file_lock: Option<&'static Mutex<()>>,
    state: Mutex<WriterState>,
    /// Wakes the thread.
    wake_writer: Condvar,
    /// Wakes those who wait in [`Lines::flush`].
    written: Condvar,
    counts: LossCounts,
}

#[derive(Default)]
struct WriterState {
    waiting: Vec<u8>,
    /// How many bytes the thread has taken and not written yet.
    being_written: usize,
    /// How many bytes were ever accepted.
    accepted: u64,
    /// How many lines were dropped since the log last said so, by kind.
    dropped: [u64; 3],
    /// Why the last write failed; absent once one succeeds.
    error: Option<String>,
    /// When the write began that the thread is in.
    writing_since: Option<Instant>,
    /// Somebody waits in a flush: lines do not gather.
    flush_requested: bool,
    /// A flush was in vain, and nothing was written since.
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
    /// Starts the thread; it ends when this is dropped.
    pub(super) fn start(to: Destination) -> Self {
        let shared = Arc::new(WriterShared {
            name: to.name,
            file_lock: to.file_lock,
            state: Mutex::default(),
            wake_writer: Condvar::new(),
            written: Condvar::new(),
            counts: LossCounts::default(),
        });
        let (writing, out) = (Arc::clone(&shared), to.out);
        let started = thread::Builder::new()
            .name(to.name.to_owned())
            .spawn(move || writing.run(out));
        started.expect("a process that starts may start a thread");
        Self { shared }
    }

    /// Adds a line, or drops and counts it when there is no room: then the answer is false.
    pub(super) fn push(&self, kind: LineKind, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        LINE_BUFFER.with_borrow_mut(|line| {
            line.clear();
            write(line);
            self.push_bytes(kind, line)
        })
    }

    /// The same for a line that is there already.
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

    /// Waits until everything that was added before is written, for a few seconds at most, and says
    /// whether it is.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.shared.lock();
        let wanted = state.accepted;
        let patience = match state.last_flush_failed {
            true => Duration::ZERO,
            false => FLUSH_WAIT,
        };
        state.flush_requested = true;
        self.shared.wake_writer.notify_one();
        let waited = self
            .shared
            .written
            .wait_timeout_while(state, patience, |state| state.written() < wanted);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let all = state.written() >= wanted;
        state.last_flush_failed = !all;
        all
    }

    /// What hinders the writing now, for an operator.
    pub(super) fn problem(&self) -> Option<String> {
        let (state, name) = (self.shared.lock(), self.shared.name);
        let stalls = state
            .writing_since
            .is_some_and(|since| since.elapsed() > STALLED_AFTER);
        let dropped: u64 = state.dropped.iter().sum();
        if let Some(error) = &state.error {
            Some(format!("log lines cannot be written to {name}: {error}"))
        } else if dropped > 0 {
            Some(format!(
                "nobody reads {name} fast enough: {dropped} log lines were dropped"
            ))
        } else {
            stalls.then(|| format!("nobody reads {name}: log lines wait in memory"))
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

    /// How many of the accepted bytes are written.
    fn written(&self) -> u64 {
        self.accepted - (self.waiting.len() + self.being_written) as u64
    }
}

#[cfg(test)]
mod tests;
