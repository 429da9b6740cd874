//! `Lines`: records on their way out. Who records never waits; a thread writes what has gathered.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

/// How many bytes wait at most; a line beyond that is dropped and counted.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long lines gather before they are written together.
const GATHER: Duration = Duration::from_millis(50);

thread_local! {
    static ASIDE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where lines are written to.
pub(super) struct Lines {
    shared: Arc<Shared>,
    lost: Counter,
}

struct Shared {
    waiting: Mutex<Waiting>,
    woken: Condvar,
    /// Held while lines are taken and written, so that they keep their order.
    out: Mutex<Out>,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    closed: bool,
}

struct Out {
    writer: Box<dyn Write + Send>,
    /// Swapped with the waiting bytes: two buffers do for ever.
    spare: Vec<u8>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("lost", &self.lost.get())
            .finish_non_exhaustive()
    }
}

impl Lines {
    /// Starts the thread; it ends when this is dropped.
    pub(super) fn start(out: Box<dyn Write + Send>, lost: Counter) -> Self {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            woken: Condvar::new(),
            out: Mutex::new(Out {
                writer: out,
                spare: Vec::new(),
            }),
        });
        let writing = Arc::clone(&shared);
        let started = thread::Builder::new()
            .name("records".to_owned())
            .spawn(move || writing.write_on());
        started.expect("a process that starts may start a thread");
        Self { shared, lost }
    }

    /// Adds a line, or drops and counts it when there is no room.
    pub(super) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.shared.add(WAITING_BYTES_MAX, write) {
            self.lost.inc();
        }
    }

    /// Adds a line whatever happens; when there is no room it is written at once.
    pub(super) fn push_surely(&self, write: impl FnOnce(&mut Vec<u8>)) {
        self.shared.add(usize::MAX, write);
        let waiting = self
            .shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let full = waiting.bytes.len() > WAITING_BYTES_MAX;
        drop(waiting);
        if full {
            self.shared.write();
        }
    }

    /// Writes what has gathered, now.
    pub(super) fn flush(&self) {
        self.shared.write();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.shared.woken.notify_one();
        self.shared.write();
    }
}

impl Shared {
    /// Writes the line aside first, so that the lock is held for a copy only.
    fn add(&self, max: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        ASIDE.with_borrow_mut(|line| {
            line.clear();
            write(line);
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.bytes.len() >= max {
                return false;
            }
            let was_empty = waiting.bytes.is_empty();
            waiting.bytes.extend_from_slice(line);
            drop(waiting);
            if was_empty {
                self.woken.notify_one();
            }
            true
        })
    }

    fn write_on(&self) {
        loop {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = self
                .woken
                .wait_while(waiting, |waiting| {
                    waiting.bytes.is_empty() && !waiting.closed
                })
                .unwrap_or_else(PoisonError::into_inner);
            let closed = waiting.closed;
            drop(waiting);
            if closed {
                return self.write();
            }
            thread::sleep(GATHER);
            self.write();
        }
    }

    fn write(&self) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { writer, spare } = &mut *out;
        mem::swap(
            &mut self
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .bytes,
            spare,
        );
        // Whoever reads the records may be gone; that is no reason to stop serving.
        let _ = writer.write_all(spare).and_then(|()| writer.flush());
        spare.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Never returns from a write before it is told to.
    struct Stuck(std::sync::mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_none_is_left_behind() {
        let kept = Kept::default();
        let lines = Lines::start(Box::new(kept.clone()), Counter::default());
        for number in 0..1_000 {
            lines.push(|line| writeln!(line, "{number}").unwrap());
        }
        drop(lines);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let expected: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_writer_that_is_stuck_costs_lines_and_holds_nobody_up() {
        let (go_on, wait) = std::sync::mpsc::channel();
        let lost = Counter::default();
        let lines = Lines::start(Box::new(Stuck(wait)), lost.clone());
        let line = vec![b'x'; 64 * 1024];
        for _ in 0..300 {
            lines.push(|buffer| buffer.extend_from_slice(&line));
        }
        assert!(lost.get() > 0);
        let waiting = lines.shared.waiting.lock().unwrap().bytes.len();
        assert!(waiting <= WAITING_BYTES_MAX + line.len());
        drop(go_on);
    }
}
