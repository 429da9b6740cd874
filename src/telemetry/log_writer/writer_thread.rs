//! The thread that writes log lines: in batches, with retries, and with a note about dropped lines.

use std::io::{ErrorKind, Write};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::json_line::JsonLine;
use super::{LineKind, WriterShared, WriterState};
use crate::clock::{Clock, Timestamp};

/// How long lines are collected before they are written together.
const BATCH_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait before a failed write is retried.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The size of a write; progress is recorded after each.
const CHUNK_BYTES: usize = 64 * 1024;
/// The memory that is kept for the next batch, in bytes.
const BATCH_CAPACITY_MAX: usize = 1 << 20;

impl WriterShared {
    /// Writes lines until the log writer is closed.
    pub(super) fn run(&self, mut out: Box<dyn Write + Send>) {
        let mut batch = Vec::new();
        while self.wait_for_batch(&mut batch) {
            let file_lock = self.file_lock.map(|file_lock| file_lock.lock());
            self.write_batch(&mut *out, &batch);
            drop(file_lock);
            batch.clear();
            batch.shrink_to(BATCH_CAPACITY_MAX);
        }
    }

    /// Waits for lines and takes all of them; `false` if the log writer is closed.
    fn wait_for_batch(&self, batch: &mut Vec<u8>) -> bool {
        let state = self
            .wake_writer
            .wait_while(self.lock(), |state| state.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.is_empty() {
            return false;
        }
        let waited = self
            .wake_writer
            .wait_timeout_while(state, BATCH_INTERVAL, |state| {
                !state.flush_requested && !state.closed
            });
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.flush_requested = false;
        state.append_drop_notes(Clock::system().now());
        std::mem::swap(&mut state.waiting, batch);
        state.being_written = batch.len();
        true
    }

    /// Writes a whole batch and retries failed writes until the log writer is closed.
    fn write_batch(&self, out: &mut dyn Write, batch: &[u8]) {
        let mut offset = 0;
        while offset < batch.len() {
            let chunk = &batch[offset..batch.len().min(offset + CHUNK_BYTES)];
            self.lock().writing_since = Some(Instant::now());
            let written = out.write(chunk).and_then(|bytes| match bytes {
                0 => Err(ErrorKind::WriteZero.into()),
                bytes => Ok(bytes),
            });
            self.lock().writing_since = None;
            match written {
                Ok(bytes) => {
                    offset += bytes;
                    self.record_progress(batch.len() - offset);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another process that shares the terminal or pipe may have made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.pause(BATCH_INTERVAL) {
                        return;
                    }
                }
                Err(error) => {
                    self.record_failure(&error);
                    if error.kind() == ErrorKind::BrokenPipe {
                        // The reader of the first half of the line is gone, so the line is written
                        // again.
                        let written = batch[..offset].iter().rev();
                        let half_line = written.take_while(|byte| **byte != b'\n');
                        offset -= half_line.count();
                    }
                    if !self.pause(RETRY_DELAY) {
                        return;
                    }
                }
            }
        }
        // A destination has a buffer of its own only in tests, or if its stream cannot be duplicated.
        let _ = out.flush();
        self.record_progress(0);
    }

    fn record_progress(&self, being_written: usize) {
        let mut state = self.lock();
        state.being_written = being_written;
        state.error = None;
        state.last_flush_failed = false;
        drop(state);
        self.written.notify_all();
    }

    fn record_failure(&self, error: &std::io::Error) {
        self.counts.write_errors.fetch_add(1, Ordering::Relaxed);
        self.lock().error = Some(error.to_string());
    }

    /// Waits; `false` if the log writer is closed.
    fn pause(&self, duration: Duration) -> bool {
        let waited = self
            .wake_writer
            .wait_timeout_while(self.lock(), duration, |state| !state.closed);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }
}

impl WriterState {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.dropped == [0; 3]
    }

    /// Appends a note for each kind of lines that were dropped.
    fn append_drop_notes(&mut self, now: Timestamp) {
        let dropped = std::mem::take(&mut self.dropped);
        for (kind, lines) in LineKind::ALL.into_iter().zip(dropped) {
            if lines > 0 {
                let mut note = Vec::new();
                kind.write_drop_note(&mut note, lines, now);
                self.append(&note);
            }
        }
    }
}

impl LineKind {
    /// Writes a note in the format of this kind with the number of dropped lines.
    fn write_drop_note(self, buffer: &mut Vec<u8>, lines: u64, now: Timestamp) {
        const MESSAGE: &str = "log lines were dropped: they were not read in time";
        let (target, level) = match self {
            Self::Access => ("menshen::access", None),
            Self::Audit => ("menshen::audit", None),
            Self::Program => ("menshen::telemetry", Some("WARN")),
        };
        let mut line = JsonLine::begin(buffer, now, target);
        line.optional_text("level", level)
            .text("message", MESSAGE)
            .number("dropped", lines);
        line.end();
    }
}
