//! The thread that writes lines: in batches, again after errors, with a note of what was dropped.

use std::io::{ErrorKind, Write};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::line::Line;
use super::{Kind, Shared, State};
use crate::clock::{Clock, Timestamp};

/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(50);
/// How long to wait before a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How many bytes are written at once: progress is noticed in between.
const CHUNK_BYTES: usize = 64 * 1024;
/// How much memory is kept for the next batch.
const KEPT_BYTES: usize = 1 << 20;

impl Shared {
    /// Writes whatever comes until there will be no more.
    pub(super) fn write_on(&self, mut out: Box<dyn Write + Send>) {
        let mut batch = Vec::new();
        while self.take(&mut batch) {
            let turn = self.turn.map(|turn| turn.lock());
            self.write_batch(&mut *out, &batch);
            drop(turn);
            batch.clear();
            batch.shrink_to(KEPT_BYTES);
        }
    }

    /// Waits for lines and takes all of them; false when there will be no more.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let state = self
            .woken
            .wait_while(self.lock(), |state| state.has_nothing() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.has_nothing() {
            return false;
        }
        let gathered = self
            .woken
            .wait_timeout_while(state, GATHER, |state| !state.hurry && !state.closed);
        let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        state.hurry = false;
        state.note_dropped(Clock::system().now());
        std::mem::swap(&mut state.waiting, batch);
        state.under_way = batch.len();
        true
    }

    /// Writes a batch to its end, however long its destination refuses it; gives up only when
    /// nobody needs this any more.
    fn write_batch(&self, out: &mut dyn Write, batch: &[u8]) {
        let mut at = 0;
        while at < batch.len() {
            let chunk = &batch[at..batch.len().min(at + CHUNK_BYTES)];
            self.lock().writing_since = Some(Instant::now());
            let written = out.write(chunk).and_then(|bytes| match bytes {
                0 => Err(ErrorKind::WriteZero.into()),
                bytes => Ok(bytes),
            });
            self.lock().writing_since = None;
            match written {
                Ok(bytes) => {
                    at += bytes;
                    self.progressed(batch.len() - at);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares our terminal or pipe may have made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.pause(GATHER) {
                        return;
                    }
                }
                Err(error) => {
                    self.failed(&error);
                    if error.kind() == ErrorKind::BrokenPipe {
                        // The first half of the line went with its reader.
                        let half = batch[..at].iter().rev().take_while(|byte| **byte != b'\n');
                        at -= half.count();
                    }
                    if !self.pause(RETRY) {
                        return;
                    }
                }
            }
        }
        // A destination with a buffer of its own, in tests.
        let _ = out.flush();
        self.progressed(0);
    }

    fn progressed(&self, under_way: usize) {
        let mut state = self.lock();
        state.under_way = under_way;
        state.error = None;
        state.flushed_in_vain = false;
        drop(state);
        self.written.notify_all();
    }

    fn failed(&self, error: &std::io::Error) {
        self.counts.write_errors.fetch_add(1, Ordering::Relaxed);
        self.lock().error = Some(error.to_string());
    }

    /// Waits; false when there is nothing to wait for any more.
    fn pause(&self, duration: Duration) -> bool {
        let waited = self
            .woken
            .wait_timeout_while(self.lock(), duration, |state| !state.closed);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }
}

impl State {
    fn has_nothing(&self) -> bool {
        self.waiting.is_empty() && self.dropped == [0; 3]
    }

    /// Adds a line for each kind of lines that was dropped.
    fn note_dropped(&mut self, now: Timestamp) {
        let dropped = std::mem::take(&mut self.dropped);
        for (kind, lines) in Kind::ALL.into_iter().zip(dropped) {
            if lines > 0 {
                let mut note = Vec::new();
                kind.note(&mut note, lines, now);
                self.accept(&note);
            }
        }
    }
}

impl Kind {
    /// Says among the lines of this kind how many are missing.
    fn note(self, buffer: &mut Vec<u8>, lines: u64, now: Timestamp) {
        const MESSAGE: &str = "log lines were dropped: nobody read them in time";
        let (target, level) = match self {
            Self::Access => ("menshen::access", None),
            Self::Audit => ("menshen::audit", None),
            Self::Program => ("menshen::telemetry", Some("WARN")),
        };
        let mut line = Line::begin(buffer, now, target);
        line.maybe("level", level)
            .text("message", MESSAGE)
            .number("dropped", lines);
        line.end();
    }
}
