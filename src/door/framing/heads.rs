//! `HeadReader`: a strict parser for the requests of a connection.
//!
//! It finds the framing of each request and rewrites request lines for hyper. After input that it cannot
//! parse, its position is [`Position::Unknown`] for the rest of the connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use super::request_line;
use super::rewrite::Rewrite;

/// The longest head that may be kept unparsed, in bytes.
const UNPARSED_BYTES_MAX: usize = 16 * 1024;
/// The longest part of a line that is kept, in bytes. The lines that matter are shorter.
const LINE_BYTES_MAX: usize = 256;
/// Heads that may be parsed before hyper has parsed their requests.
const HEADS_MAX: usize = 64 * 1024;

/// The transfer coding of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransferCoding {
    None,
    /// One `chunked`, without a `Content-Length`.
    Chunked,
    /// Several codings, another coding, an unusual spelling, or a `Content-Length` beside it.
    Ambiguous,
}

/// The parser's state for one connection.
#[derive(Debug)]
pub(super) struct HeadReader {
    /// The longest head that hyper accepts, in bytes.
    head_bytes_max: usize,
    /// Received bytes that are not parsed yet: a head or its beginning, with an ordinary request line.
    unparsed: Vec<u8>,
    /// The beginning of a request line, which hyper gets when the line is complete.
    held_back: Vec<u8>,
    position: Position,
    /// The beginning of an incomplete line.
    line: Vec<u8>,
    /// What the current head contains so far.
    head: HeadFields,
    /// The transfer codings of parsed requests that hyper has not parsed yet.
    heads: VecDeque<TransferCoding>,
}

/// The position of the next byte within a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    /// Before a request line; empty lines may precede it.
    #[default]
    Start,
    Head,
    /// In a body with this many bytes left.
    Body(u64),
    ChunkSize,
    /// In a chunk with this many bytes left.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// Unparsable input came before, or the connection is a tunnel.
    Unknown,
}

#[derive(Clone, Copy, Debug, Default)]
struct HeadFields {
    codings: usize,
    is_chunked: bool,
    has_length: bool,
    length: u64,
    /// Whether a line ends without CR, or a `Content-Length` cannot be parsed.
    is_malformed: bool,
}

impl HeadReader {
    pub(super) fn new(head_bytes_max: usize) -> Self {
        Self {
            head_bytes_max,
            unparsed: Vec::new(),
            held_back: Vec::new(),
            position: Position::default(),
            line: Vec::new(),
            head: HeadFields::default(),
            heads: VecDeque::new(),
        }
    }

    /// Parses received bytes; the bytes that hyper must read instead, if they differ. `bodiless`:
    /// requests without a body that hyper has parsed.
    pub(super) fn note(&mut self, bytes: &[u8], bodiless: &AtomicU32) -> Option<Vec<u8>> {
        self.drop_parsed(bodiless);
        if self.position == Position::Start {
            // hyper reads more only after it has parsed every complete head. So a kept head that is
            // complete belongs to a request without a body, which is accounted for here.
            let served = bodiless.load(Ordering::Relaxed) > 0 && self.heads.is_empty();
            if served && self.unparsed.ends_with(b"\r\n\r\n") {
                self.unparsed.clear();
                bodiless.store(0, Ordering::Relaxed);
            }
            let is_first = self.unparsed.is_empty() && self.held_back.is_empty();
            if is_first
                && bytes.len() <= UNPARSED_BYTES_MAX
                && request_line::is_ordinary_head(bytes)
            {
                self.unparsed.extend_from_slice(bytes);
                return None;
            }
            self.parse_kept();
        }
        let mut rewrite = Rewrite::new(bytes, false);
        self.parse(&mut rewrite);
        rewrite.into_output()
    }

    /// The transfer coding of the next request, after `bodiless` requests without a body.
    pub(super) fn next(&mut self, bodiless: u32) -> Option<TransferCoding> {
        self.parse_kept();
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

    /// Takes the bytes that were held back, if they cannot become a request line any more.
    pub(super) fn release(&mut self, at_end: bool) -> Vec<u8> {
        if at_end {
            self.stop();
        }
        match self.position {
            Position::Unknown => std::mem::take(&mut self.held_back),
            _ => Vec::new(),
        }
    }

    /// Drops the codings of requests that hyper has parsed.
    fn drop_parsed(&mut self, bodiless: &AtomicU32) {
        let served = bodiless.load(Ordering::Relaxed);
        let known = u32::try_from(self.heads.len()).unwrap_or(u32::MAX);
        let count = served.min(known);
        if count > 0 {
            self.heads.drain(..count as usize);
            bodiless.store(served - count, Ordering::Relaxed);
        }
    }

    fn parse_kept(&mut self) {
        let mut kept = std::mem::take(&mut self.unparsed);
        self.parse(&mut Rewrite::new(&kept, true));
        kept.clear();
        self.unparsed = kept;
    }

    fn parse(&mut self, rewrite: &mut Rewrite<'_>) {
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
                    self.parse_request_line(at, rewrite)
                }
                Position::Unknown => {
                    if !self.held_back.is_empty() {
                        rewrite.replace(at..at, &std::mem::take(&mut self.held_back));
                    }
                    return;
                }
                _ => self.parse_line(rest),
            };
        }
    }

    /// Parses to the end of a request line and rewrites it, or holds its beginning back. Returns the
    /// number of bytes parsed.
    fn parse_request_line(&mut self, at: usize, rewrite: &mut Rewrite<'_>) -> usize {
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
            // Too long, or not HTTP: hyper refuses it.
            rewrite.replace(range, line);
            self.position = Position::Unknown;
        }
        here.len()
    }

    /// Parses to the end of a line, or keeps its beginning. Returns the number of bytes parsed.
    fn parse_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let here = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
        if self.line.is_empty() && end.is_some() {
            self.take_line(here);
            return here.len();
        }
        // The last two bytes of a longer line are kept, because its line end matters.
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

    /// Advances the position by a complete line.
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
                self.head.is_malformed = !has_cr;
                Position::Head
            }
            Position::Head if line.is_empty() => self.end_of_head(has_cr),
            Position::Head => {
                self.head.is_malformed |= !has_cr;
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
            (0, _) if head.has_length && head.is_malformed => {
                (TransferCoding::None, Position::Unknown)
            }
            (0, 0) => (TransferCoding::None, Position::Start),
            (0, length) => (TransferCoding::None, Position::Body(length)),
            (1, _) if head.is_chunked && !head.has_length && !head.is_malformed && has_cr => {
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
                _ => self.is_malformed = true,
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

/// The chunk size of a line; extensions are ignored.
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
