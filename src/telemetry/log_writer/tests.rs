//! Tests with destinations that block, fail or write only a part.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::mpsc;

use serde_json::Value;

use super::*;
use crate::telemetry::shared_buffer::SharedBuffer;

/// Blocks in every write until it is unblocked.
struct BlockedWriter {
    started: mpsc::Sender<()>,
    unblocked: mpsc::Receiver<()>,
    buffer: SharedBuffer,
}

impl Write for BlockedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.started.send(());
        let _ = self.unblocked.recv();
        self.buffer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the given results in order, then accepts everything.
struct ScriptedWriter {
    results: VecDeque<Result<usize, ErrorKind>>,
    buffer: SharedBuffer,
}

impl Write for ScriptedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.results.pop_front() {
            Some(Ok(some)) => self.buffer.write(&bytes[..some]),
            Some(Err(error)) => Err(error.into()),
            None => self.buffer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(out: impl Write + Send + 'static) -> LogWriter {
    LogWriter::start(Destination {
        name: "test",
        out: Box::new(out),
        file_lock: None,
    })
}

const FIRST: &[u8] = b"first\n";

/// A log writer whose thread is blocked in its first write until the sender is dropped.
fn blocked() -> (LogWriter, mpsc::Sender<()>, SharedBuffer) {
    let (unblock, unblocked) = mpsc::channel();
    let (started, has_started) = mpsc::channel();
    let buffer = SharedBuffer::default();
    let lines = start(BlockedWriter {
        started,
        unblocked,
        buffer: buffer.clone(),
    });
    assert!(lines.push_bytes(LineKind::Program, FIRST));
    has_started.recv().unwrap();
    (lines, unblock, buffer)
}

#[test]
fn all_lines_are_written_in_order() {
    let buffer = SharedBuffer::default();
    let lines = start(buffer.clone());
    for number in 0..1_000 {
        lines.push(LineKind::Access, |line| writeln!(line, "{number}").unwrap());
    }
    drop(lines);
    let expected: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(buffer.text().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn other_lines_never_use_the_reserve_of_audit_lines() {
    let (lines, unblock, buffer) = blocked();
    let line = [vec![b'x'; 64 * 1024 - 1], vec![b'\n']].concat();
    let accepted_lines = |kind| {
        (0..1_000)
            .take_while(|_| lines.push_bytes(kind, &line))
            .count()
    };
    let capacity = |bytes: usize| (bytes - FIRST.len()) / line.len();
    let other_lines = capacity(WAITING_BYTES_MAX);
    let all_lines = capacity(WAITING_BYTES_MAX + AUDIT_RESERVE_BYTES);
    assert_eq!(accepted_lines(LineKind::Access), other_lines);
    assert_eq!(accepted_lines(LineKind::Audit), all_lines - other_lines);
    for _ in 0..6 {
        assert!(!lines.push_bytes(LineKind::Access, &line));
    }
    let counts = lines.counts();
    // The first line of each kind that did not fit, and the six access lines above.
    let dropped = LineKind::ALL.map(|kind| counts.dropped(kind));
    assert_eq!(dropped, [7, 1, 0]);
    let problem = lines.problem().unwrap().to_string();
    assert!(problem.contains("8 log lines were dropped"), "{problem}");

    drop(unblock);
    while !lines.flush() {}
    // The note follows the lines, and only the second flush waits for it.
    while !lines.flush() {}
    assert_eq!(lines.problem(), None);
    let text = buffer.text();
    let notes: Vec<Value> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let noted = notes.iter().map(|note| (&note["target"], &note["dropped"]));
    let expected = [("menshen::access", 7), ("menshen::audit", 1)]
        .map(|(target, lines)| (Value::from(target), Value::from(lines)));
    assert_eq!(
        noted.collect::<Vec<_>>(),
        expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>()
    );
    let whole = text.lines().filter(|line| line.starts_with('x')).count();
    assert_eq!(whole, all_lines);
    assert!(lines.push_bytes(LineKind::Access, &line));
}

#[test]
fn a_flush_without_a_reader_times_out_and_the_next_one_does_not_wait() {
    let (lines, unblock, _) = blocked();
    lines.push_bytes(LineKind::Audit, b"one\n");
    assert!(!lines.flush());
    assert!(lines.shared.lock().last_flush_failed);
    assert!(!lines.flush());
    drop(unblock);
    while !lines.flush() {}
}

#[test]
fn a_failed_write_is_resumed_where_it_stopped() {
    let buffer = SharedBuffer::default();
    let results = [
        Err(ErrorKind::StorageFull),
        Ok(5),
        Err(ErrorKind::Interrupted),
        Err(ErrorKind::WouldBlock),
        Ok(0),
        Ok(1),
    ];
    let lines = start(ScriptedWriter {
        results: results.into(),
        buffer: buffer.clone(),
    });
    for number in 0..3 {
        lines.push(LineKind::Audit, |line| {
            writeln!(line, "line {number}").unwrap();
        });
    }
    while !lines.flush() {}
    assert_eq!(buffer.text(), "line 0\nline 1\nline 2\n");
    assert_eq!(lines.counts().write_errors(), 2);
    assert_eq!(lines.problem(), None);
}

#[test]
fn a_new_reader_gets_the_whole_line_that_the_old_one_read_half_of() {
    let buffer = SharedBuffer::default();
    let lines = start(ScriptedWriter {
        results: [Ok(9), Err(ErrorKind::BrokenPipe)].into(),
        buffer: buffer.clone(),
    });
    lines.push_bytes(LineKind::Access, b"line 0\nline 1\nline 2\n");
    while !lines.flush() {}
    assert_eq!(buffer.text(), "line 0\nliline 1\nline 2\n");
}
