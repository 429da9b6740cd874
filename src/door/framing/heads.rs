//! `Reader`: follows the requests of a connection from head to head, as strictly as it can. Where
//! it cannot follow it says so, and is never sure again. It also says in which spelling hyper is to
//! be given the request lines.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use super::given::Given;
use super::request_line;

/// How many bytes are kept before they are read.
const UNREAD_BYTES_MAX: usize = 16 * 1024;
/// How much of a line is looked at, in bytes. Those that matter are short.
const LINE_BYTES_MAX: usize = 256;
/// How many heads may be read before their requests are served.
const HEADS_MAX: usize = 64 * 1024;

/// Whether the body of a request is in chunks, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// No coding.
    None,
    /// One `chunked`, and nothing else says anything of the length.
    Chunked,
    /// Several codings, other ones, an unusual spelling, or a length beside them.
    Unclear,
}

/// How far a connection was read.
#[derive(Debug)]
pub(super) struct Reader {
    /// The longest head that hyper takes, in bytes.
    head_bytes_max: usize,
    /// What came since the beginning of a head and was not read yet: one head or its beginning, whose
    /// request line is ordinary.
    unread: Vec<u8>,
    /// The beginning of a request line. hyper is given it when its end has come.
    held: Vec<u8>,
    place: Place,
    /// The beginning of a line whose end did not come yet.
    line: Vec<u8>,
    /// What the head that is being read says so far.
    head: Head,
    /// What the heads say whose requests were not served yet.
    heads: VecDeque<Coding>,
}

/// Where in a request the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before a request; empty lines may come first.
    #[default]
    Start,
    Head,
    /// In a body, so many bytes before its end.
    Body(u64),
    ChunkSize,
    /// In a chunk, so many bytes before its end.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// Nobody knows.
    Lost,
}

#[derive(Clone, Copy, Debug, Default)]
struct Head {
    codings: usize,
    is_chunked: bool,
    has_length: bool,
    length: u64,
    /// A line that ends without CR, or whose length cannot be read.
    is_odd: bool,
}

impl Reader {
    pub(super) fn new(head_bytes_max: usize) -> Self {
        Self {
            head_bytes_max,
            unread: Vec::new(),
            held: Vec::new(),
            place: Place::default(),
            line: Vec::new(),
            head: Head::default(),
            heads: VecDeque::new(),
        }
    }

    /// Takes what was read from a client, and gives what hyper is to be given instead, if anything.
    /// `bodiless` is how many requests without a body were served.
    pub(super) fn note(&mut self, bytes: &[u8], bodiless: &AtomicU32) -> Option<Vec<u8>> {
        self.pass_over(bodiless);
        if self.place == Place::Start {
            // More is read only when no whole head is left. So if the kept bytes end as a head does,
            // their request was served and had no body.
            let served = bodiless.load(Ordering::Relaxed) > 0 && self.heads.is_empty();
            if served && self.unread.ends_with(b"\r\n\r\n") {
                self.unread.clear();
                bodiless.store(0, Ordering::Relaxed);
            }
            let is_first = self.unread.is_empty() && self.held.is_empty();
            if is_first && bytes.len() <= UNREAD_BYTES_MAX && request_line::is_ordinary_head(bytes)
            {
                self.unread.extend_from_slice(bytes);
                return None;
            }
            self.read_kept();
        }
        let mut given = Given::new(bytes, false);
        self.read(&mut given);
        given.instead()
    }

    /// What the head of the next request says, after so many that had no body.
    pub(super) fn next(&mut self, bodiless: u32) -> Option<Coding> {
        self.read_kept();
        let bodiless = usize::try_from(bodiless).unwrap_or(usize::MAX);
        if bodiless > self.heads.len() {
            self.stop();
            return None;
        }
        self.heads.drain(..bodiless);
        self.heads.pop_front()
    }

    pub(super) fn stop(&mut self) {
        *self = Self {
            place: Place::Lost,
            held: std::mem::take(&mut self.held),
            ..Self::new(self.head_bytes_max)
        };
    }

    /// What was held back and is no request line any more: what follows is not HTTP, or nothing.
    pub(super) fn release(&mut self, at_end: bool) -> Vec<u8> {
        if at_end {
            self.stop();
        }
        match self.place {
            Place::Lost => std::mem::take(&mut self.held),
            _ => Vec::new(),
        }
    }

    /// Forgets the heads of requests that were served.
    fn pass_over(&mut self, bodiless: &AtomicU32) {
        let served = bodiless.load(Ordering::Relaxed);
        let known = u32::try_from(self.heads.len()).unwrap_or(u32::MAX);
        let count = served.min(known);
        if count > 0 {
            self.heads.drain(..count as usize);
            bodiless.store(served - count, Ordering::Relaxed);
        }
    }

    fn read_kept(&mut self) {
        let mut kept = std::mem::take(&mut self.unread);
        self.read(&mut Given::new(&kept, true));
        kept.clear();
        self.unread = kept;
    }

    fn read(&mut self, given: &mut Given<'_>) {
        let mut at = 0;
        while at < given.came.len() {
            let rest = &given.came[at..];
            at += match self.place {
                Place::Body(left) | Place::Chunk(left) => {
                    let here = usize::try_from(left).map_or(rest.len(), |n| n.min(rest.len()));
                    self.place = match (self.place, left - here as u64) {
                        (Place::Body(_), 0) => Place::Start,
                        (Place::Body(_), left) => Place::Body(left),
                        (_, 0) => Place::ChunkEnd,
                        (_, left) => Place::Chunk(left),
                    };
                    here
                }
                Place::Start if !given.is_over => self.read_request_line(at, given),
                Place::Lost => {
                    if !self.held.is_empty() {
                        given.replace(at..at, &std::mem::take(&mut self.held));
                    }
                    return;
                }
                _ => self.read_line(rest),
            };
        }
    }

    /// Reads to the end of a request line and respells it, or holds its beginning back. Gives how much
    /// was read.
    fn read_request_line(&mut self, at: usize, given: &mut Given<'_>) -> usize {
        let rest = &given.came[at..];
        let end = memchr::memchr(b'\n', rest).map(|end| end + 1);
        let here = &rest[..end.unwrap_or(rest.len())];
        let range = at..at + here.len();
        let mut whole = std::mem::take(&mut self.held);
        let was_held = !whole.is_empty();
        if was_held || end.is_none() {
            whole.extend_from_slice(here);
        }
        let line = if whole.is_empty() { here } else { &whole };
        if end.is_some() {
            let respelled = request_line::respelled(line);
            if was_held || respelled.is_some() {
                given.replace(range, respelled.as_deref().unwrap_or(line));
            }
            self.take_line(line);
        } else if line.len() <= self.head_bytes_max && request_line::may_begin(line) {
            given.replace(range, b"");
            self.held = whole;
        } else {
            // hyper refuses it.
            given.replace(range, line);
            self.place = Place::Lost;
        }
        here.len()
    }

    /// Reads to the end of a line, or keeps its beginning. Gives how much was read.
    fn read_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let here = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
        if self.line.is_empty() && end.is_some() {
            self.take_line(here);
            return here.len();
        }
        // Of a longer line the last two bytes are kept: they say how it ends.
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(here);
        if line.len() > LINE_BYTES_MAX {
            line.drain(LINE_BYTES_MAX - 2..line.len() - 2);
        }
        if end.is_some() {
            self.take_line(&line);
            line.clear();
        } else if self.place == Place::Start {
            self.place = Place::Head;
            self.head = Head::default();
        }
        self.line = line;
        here.len()
    }

    /// Takes a line with its end.
    fn take_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (line, has_cr) = match line.strip_suffix(b"\r") {
            Some(line) => (line, true),
            None => (line, false),
        };
        self.place = match self.place {
            Place::Start if line.is_empty() => Place::Start,
            Place::Start => {
                self.head = Head::default();
                self.head.is_odd = !has_cr;
                Place::Head
            }
            Place::Head if line.is_empty() => self.end_of_head(has_cr),
            Place::Head => {
                self.head.is_odd |= !has_cr;
                self.head.take_field(line);
                Place::Head
            }
            Place::ChunkSize if has_cr => match chunk_size(line) {
                Some(0) => Place::Trailers,
                Some(size) => Place::Chunk(size),
                None => Place::Lost,
            },
            Place::ChunkEnd if has_cr && line.is_empty() => Place::ChunkSize,
            Place::Trailers if has_cr && line.is_empty() => Place::Start,
            Place::Trailers if has_cr => Place::Trailers,
            _ => Place::Lost,
        };
    }

    fn end_of_head(&mut self, has_cr: bool) -> Place {
        if self.heads.len() >= HEADS_MAX {
            return Place::Lost;
        }
        let head = self.head;
        let (coding, place) = match (head.codings, head.length) {
            (0, _) if head.has_length && head.is_odd => (Coding::None, Place::Lost),
            (0, 0) => (Coding::None, Place::Start),
            (0, length) => (Coding::None, Place::Body(length)),
            (1, _) if head.is_chunked && !head.has_length && !head.is_odd && has_cr => {
                (Coding::Chunked, Place::ChunkSize)
            }
            _ => (Coding::Unclear, Place::Lost),
        };
        self.heads.push_back(coding);
        place
    }
}

impl Head {
    fn take_field(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings += 1;
            self.is_chunked = line.len() < LINE_BYTES_MAX / 2
                && trim_spaces(value).eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.has_length = true;
            match decimal(value.trim_ascii()) {
                Some(length) if line.len() < LINE_BYTES_MAX / 2 => self.length = length,
                _ => self.is_odd = true,
            }
        }
    }
}

fn trim_spaces(mut value: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = value {
        value = rest;
    }
    value
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all)?;
    text.parse().ok()
}

/// The size in a line, whose extensions nobody uses.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| *byte == b';');
    let digits = &line[..end.unwrap_or(line.len())];
    let good = line.len() < LINE_BYTES_MAX / 2
        && !line.contains(&b'\r')
        && matches!(digits.len(), 1..=15)
        && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| good)?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests;
