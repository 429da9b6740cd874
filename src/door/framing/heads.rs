//! `HeadReader`: parses the framing of all HTTP/1.1 requests on a connection, more strictly than hyper.
//! After a request whose framing is not certain, all later ones are unknown. It also rewrites the
//! request lines before hyper receives them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use super::request_line;
use super::rewrite::Rewrite;

/// The maximum number of bytes that are stored before they are parsed.
const UNREAD_BYTES_MAX: usize = 16 * 1024;
/// How much of a line is parsed, in bytes. The relevant lines are short.
const LINE_BYTES_MAX: usize = 256;
/// How many heads may be parsed before their requests are served.
const HEADS_MAX: usize = 64 * 1024;

/// The transfer coding that the head of a request declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransferCoding {
    None,
    /// One `chunked` and no `Content-Length`.
    Chunked,
    /// Several or other codings, an unusual spelling, or also a `Content-Length`.
    Ambiguous,
}

/// The state of the parser of one connection.
#[derive(Debug)]
pub(super) struct HeadReader {
    /// The maximum length of a head that hyper accepts, in bytes.
    head_bytes_max: usize,
    /// Received bytes that are not parsed yet: one head, or its beginning, with an ordinary request
    /// line.
    unread: Vec<u8>,
    /// The beginning of a request line. hyper receives it when the line is complete.
    held_back: Vec<u8>,
    position: Position,
    /// The beginning of an incomplete line.
    line: Vec<u8>,
    /// The fields of the current head so far.
    head: HeadFields,
    /// The codings of the requests that are not served yet.
    heads: VecDeque<TransferCoding>,
}

/// The position of the next byte in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    /// Before a request; empty lines may precede it.
    #[default]
    Start,
    Head,
    /// In a body, with the number of bytes to its end.
    Body(u64),
    ChunkSize,
    /// In a chunk, with the number of bytes to its end.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// The framing is not certain.
    Unknown,
}

#[derive(Clone, Copy, Debug, Default)]
struct HeadFields {
    codings: usize,
    is_chunked: bool,
    has_length: bool,
    length: u64,
    /// Whether a line ends without CR, or the length is invalid.
    is_odd: bool,
}

impl HeadReader {
    pub(super) fn new(head_bytes_max: usize) -> Self {
        Self {
            head_bytes_max,
            unread: Vec::new(),
            held_back: Vec::new(),
            position: Position::default(),
            line: Vec::new(),
            head: HeadFields::default(),
            heads: VecDeque::new(),
        }
    }

    /// Takes the bytes received from a client. Returns the bytes that hyper must receive instead, if
    /// they differ. `bodiless` is the number of served requests without a body.
    pub(super) fn note(&mut self, bytes: &[u8], bodiless: &AtomicU32) -> Option<Vec<u8>> {
        self.pass_over(bodiless);
        if self.position == Position::Start {
            // hyper reads more only when it has no complete head left. So if the stored bytes end like a
            // head, their request was served and had no body.
            let served = bodiless.load(Ordering::Relaxed) > 0 && self.heads.is_empty();
            if served && self.unread.ends_with(b"\r\n\r\n") {
                self.unread.clear();
                bodiless.store(0, Ordering::Relaxed);
            }
            let is_first = self.unread.is_empty() && self.held_back.is_empty();
            if is_first && bytes.len() <= UNREAD_BYTES_MAX && request_line::is_ordinary_head(bytes)
            {
                self.unread.extend_from_slice(bytes);
                return None;
            }
            self.read_kept();
        }
        let mut rewrite = Rewrite::new(bytes, false);
        self.read(&mut rewrite);
        rewrite.into_output()
    }

    /// The coding of the next request after `bodiless` requests without a body; `None` if unknown.
    pub(super) fn next(&mut self, bodiless: u32) -> Option<TransferCoding> {
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
            position: Position::Unknown,
            held_back: std::mem::take(&mut self.held_back),
            ..Self::new(self.head_bytes_max)
        };
    }

    /// The held-back bytes, if they cannot become a request line: the connection ended, or what follows
    /// is not HTTP.
    pub(super) fn release(&mut self, at_end: bool) -> Vec<u8> {
        if at_end {
            self.stop();
        }
        match self.position {
            Position::Unknown => std::mem::take(&mut self.held_back),
            _ => Vec::new(),
        }
    }

    /// Removes the heads of requests that were served.
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
        self.read(&mut Rewrite::new(&kept, true));
        kept.clear();
        self.unread = kept;
    }

    fn read(&mut self, rewrite: &mut Rewrite<'_>) {
        let mut at = 0;
        while at < rewrite.received.len() {
            let rest = &rewrite.received[at..];
            at += match self.position {
                Position::Body(left) | Position::Chunk(left) => {
                    let here = usize::try_from(left).map_or(rest.len(), |n| n.min(rest.len()));
                    self.position = match (self.position, left - here as u64) {
                        (Position::Body(_), 0) => Position::Start,
                        (Position::Body(_), left) => Position::Body(left),
                        (_, 0) => Position::ChunkEnd,
                        (_, left) => Position::Chunk(left),
                    };
                    here
                }
                Position::Start if !rewrite.is_already_delivered => {
                    self.read_request_line(at, rewrite)
                }
                Position::Unknown => {
                    if !self.held_back.is_empty() {
                        rewrite.replace(at..at, &std::mem::take(&mut self.held_back));
                    }
                    return;
                }
                _ => self.read_line(rest),
            };
        }
    }

    /// Reads to the end of a request line and rewrites it, or holds its beginning back. Returns the
    /// number of bytes read.
    fn read_request_line(&mut self, at: usize, rewrite: &mut Rewrite<'_>) -> usize {
        let rest = &rewrite.received[at..];
        let end = memchr::memchr(b'\n', rest).map(|end| end + 1);
        let here = &rest[..end.unwrap_or(rest.len())];
        let range = at..at + here.len();
        let mut whole = std::mem::take(&mut self.held_back);
        let was_held_back = !whole.is_empty();
        if was_held_back || end.is_none() {
            whole.extend_from_slice(here);
        }
        let line = if whole.is_empty() { here } else { &whole };
        if end.is_some() {
            let rewritten = request_line::rewritten(line);
            if was_held_back || rewritten.is_some() {
                rewrite.replace(range, rewritten.as_deref().unwrap_or(line));
            }
            self.take_line(line);
        } else if line.len() <= self.head_bytes_max && request_line::may_begin(line) {
            rewrite.replace(range, b"");
            self.held_back = whole;
        } else {
            // hyper refuses this line.
            rewrite.replace(range, line);
            self.position = Position::Unknown;
        }
        here.len()
    }

    /// Reads to the end of a line, or stores its beginning. Returns the number of bytes read.
    fn read_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let here = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
        if self.line.is_empty() && end.is_some() {
            self.take_line(here);
            return here.len();
        }
        // The last two bytes of a longer line are kept, because they show whether it ends with CRLF.
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(here);
        if line.len() > LINE_BYTES_MAX {
            line.drain(LINE_BYTES_MAX - 2..line.len() - 2);
        }
        if end.is_some() {
            self.take_line(&line);
            line.clear();
        } else if self.position == Position::Start {
            self.position = Position::Head;
            self.head = HeadFields::default();
        }
        self.line = line;
        here.len()
    }

    /// Parses a line, including its line end.
    fn take_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (line, has_cr) = match line.strip_suffix(b"\r") {
            Some(line) => (line, true),
            None => (line, false),
        };
        self.position = match self.position {
            Position::Start if line.is_empty() => Position::Start,
            Position::Start => {
                self.head = HeadFields::default();
                self.head.is_odd = !has_cr;
                Position::Head
            }
            Position::Head if line.is_empty() => self.end_of_head(has_cr),
            Position::Head => {
                self.head.is_odd |= !has_cr;
                self.head.take_field(line);
                Position::Head
            }
            Position::ChunkSize if has_cr => match chunk_size(line) {
                Some(0) => Position::Trailers,
                Some(size) => Position::Chunk(size),
                None => Position::Unknown,
            },
            Position::ChunkEnd if has_cr && line.is_empty() => Position::ChunkSize,
            Position::Trailers if has_cr && line.is_empty() => Position::Start,
            Position::Trailers if has_cr => Position::Trailers,
            _ => Position::Unknown,
        };
    }

    fn end_of_head(&mut self, has_cr: bool) -> Position {
        if self.heads.len() >= HEADS_MAX {
            return Position::Unknown;
        }
        let head = self.head;
        let (coding, position) = match (head.codings, head.length) {
            (0, _) if head.has_length && head.is_odd => (TransferCoding::None, Position::Unknown),
            (0, 0) => (TransferCoding::None, Position::Start),
            (0, length) => (TransferCoding::None, Position::Body(length)),
            (1, _) if head.is_chunked && !head.has_length && !head.is_odd && has_cr => {
                (TransferCoding::Chunked, Position::ChunkSize)
            }
            _ => (TransferCoding::Ambiguous, Position::Unknown),
        };
        self.heads.push_back(coding);
        position
    }
}

impl HeadFields {
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

/// The chunk size in a line; extensions are ignored.
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
