use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::mpsc;

use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Returns from no write before it may.
struct Stuck {
    begun: mpsc::Sender<()>,
    reads: mpsc::Receiver<()>,
    kept: Kept,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.begun.send(());
        let _ = self.reads.recv();
        self.kept.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes so many bytes or fails, one after the other; then takes everything.
struct Moody {
    moods: VecDeque<Result<usize, ErrorKind>>,
    kept: Kept,
}

impl Write for Moody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.moods.pop_front() {
            Some(Ok(some)) => self.kept.write(&bytes[..some]),
            Some(Err(error)) => Err(error.into()),
            None => self.kept.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(out: impl Write + Send + 'static) -> Lines {
    Lines::start(Destination {
        name: "test",
        out: Box::new(out),
        turn: None,
    })
}

const FIRST: &[u8] = b"first\n";

/// Lines whose thread is in the write of the first one, and returns from it when the sender is dropped.
fn stuck() -> (Lines, mpsc::Sender<()>, Kept) {
    let (go_on, reads) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let kept = Kept::default();
    let lines = start(Stuck {
        begun,
        reads,
        kept: kept.clone(),
    });
    assert!(lines.push_bytes(Kind::Program, FIRST));
    has_begun.recv().unwrap();
    (lines, go_on, kept)
}

#[test]
fn lines_are_written_in_order_and_none_is_left_behind() {
    let kept = Kept::default();
    let lines = start(kept.clone());
    for number in 0..1_000 {
        lines.push(Kind::Access, |line| writeln!(line, "{number}").unwrap());
    }
    drop(lines);
    let expected: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(kept.text().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn without_a_reader_other_lines_leave_the_audit_trail_its_room() {
    let (lines, go_on, kept) = stuck();
    let line = [vec![b'x'; 64 * 1024 - 1], vec![b'\n']].concat();
    let of = |kind| {
        (0..1_000)
            .take_while(|_| lines.push_bytes(kind, &line))
            .count()
    };
    let room = |bytes: usize| (bytes - FIRST.len()) / line.len();
    let others = room(WAITING_BYTES_MAX);
    let all = room(WAITING_BYTES_MAX + AUDIT_RESERVE_BYTES);
    assert_eq!(of(Kind::Access), others);
    assert_eq!(of(Kind::Audit), all - others);
    for _ in 0..6 {
        assert!(!lines.push_bytes(Kind::Access, &line));
    }
    let counts = lines.counts();
    let dropped = Kind::ALL.map(|kind| counts.dropped(kind));
    assert_eq!(dropped, [7, 1, 0]);
    let trouble = lines.trouble().unwrap();
    assert!(trouble.contains("8 log lines were dropped"), "{trouble}");

    drop(go_on);
    while !lines.flush() {}
    // The note stands behind the lines, and only the next flush waits for it.
    while !lines.flush() {}
    assert_eq!(lines.trouble(), None);
    let text = kept.text();
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
    assert_eq!(whole, all);
    assert!(lines.push_bytes(Kind::Access, &line));
}

#[test]
fn a_flush_without_a_reader_ends_and_the_next_one_does_not_wait() {
    let (lines, go_on, _) = stuck();
    lines.push_bytes(Kind::Audit, b"one\n");
    assert!(!lines.flush());
    assert!(lines.shared.lock().flushed_in_vain);
    assert!(!lines.flush());
    drop(go_on);
    while !lines.flush() {}
}

#[test]
fn a_write_that_failed_is_tried_again_where_it_stopped() {
    let kept = Kept::default();
    let moods = [
        Err(ErrorKind::StorageFull),
        Ok(5),
        Err(ErrorKind::Interrupted),
        Err(ErrorKind::WouldBlock),
        Ok(0),
        Ok(1),
    ];
    let lines = start(Moody {
        moods: moods.into(),
        kept: kept.clone(),
    });
    for number in 0..3 {
        lines.push(Kind::Audit, |line| {
            writeln!(line, "line {number}").unwrap();
        });
    }
    while !lines.flush() {}
    assert_eq!(kept.text(), "line 0\nline 1\nline 2\n");
    assert_eq!(lines.counts().write_errors(), 2);
    assert_eq!(lines.trouble(), None);
}

#[test]
fn another_reader_gets_the_line_whole_of_which_one_read_half() {
    let kept = Kept::default();
    let lines = start(Moody {
        moods: [Ok(9), Err(ErrorKind::BrokenPipe)].into(),
        kept: kept.clone(),
    });
    lines.push_bytes(Kind::Access, b"line 0\nline 1\nline 2\n");
    while !lines.flush() {}
    assert_eq!(kept.text(), "line 0\nliline 1\nline 2\n");
}
