//! `HeadReader`: a strict parser for the request heads of a connection.
//!
//! It finds the framing of each request and rewrites request lines for hyper. After input that it cannot
//! parse, its position is [`Position::Unknown`] for the rest of the connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use super::request_line;
use super::rewrite::Rewrite;

/// The longest head that is kept unparsed, in bytes.
const UNPARSED_BYTES_MAX: usize = 16 * 1024;
/// The longest part of a line that is kept, in bytes.
const LINE_BYTES_MAX: usize = 256;
/// Lines of this length or more are not interpreted, in bytes. Of shorter ones nothing was dropped.
const INTERPRETED_BYTES_MAX: usize = LINE_BYTES_MAX / 2;
/// How many heads may be parsed before hyper has parsed their requests.
const HEADS_AHEAD_MAX: usize = 64 * 1024;

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
    /// The framing fields of the current head, as far as it is parsed.
    fields: FramingFields,
    /// The transfer codings of parsed requests that hyper has not parsed yet.
    codings: VecDeque<TransferCoding>,
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
struct FramingFields {
    /// How many `Transfer-Encoding` fields there are.
    transfer_encodings: usize,
    is_chunked: bool,
    has_length: bool,
    /// The last `Content-Length`.
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
            fields: FramingFields::default(),
            codings: VecDeque::new(),
        }
    }

    /// Parses received bytes. Returns the bytes that hyper must read instead, if they differ. `bodiless`:
    /// how many requests without a body hyper has parsed that this reader has not accounted for.
    pub(super) fn parse_received(&mut self, bytes: &[u8], bodiless: &AtomicU32) -> Option<Vec<u8>> {
        self.drop_parsed(bodiless);
        if self.position == Position::Start {
            // hyper reads more only after it has parsed every complete head. So an unparsed head that is
            // complete belongs to a request without a body, which is accounted for here.
            let has_bodiless = bodiless.load(Ordering::Relaxed) > 0 && self.codings.is_empty();
            if has_bodiless && self.unparsed.ends_with(b"\r\n\r\n") {
                self.unparsed.clear();
                bodiless.store(0, Ordering::Relaxed);
            }
            let is_at_head_start = self.unparsed.is_empty() && self.held_back.is_empty();
            if is_at_head_start
                && bytes.len() <= UNPARSED_BYTES_MAX
                && request_line::is_ordinary_head(bytes)
            {
                self.unparsed.extend_from_slice(bytes);
                return None;
            }
            self.parse_unparsed();
        }
        let mut rewrite = Rewrite::new(bytes);
        self.parse(&mut rewrite);
        rewrite.into_output()
    }

    /// The transfer coding of the next request, after `bodiless` requests without a body.
    pub(super) fn next_coding(&mut self, bodiless: u32) -> Option<TransferCoding> {
        self.parse_unparsed();
        let bodiless = usize::try_from(bodiless).unwrap_or(usize::MAX);
        if bodiless > self.codings.len() {
            self.stop();
            return None;
        }
        self.codings.drain(..bodiless);
        self.codings.pop_front()
    }

    /// Stops parsing. Bytes that were held back can still be taken.
    pub(super) fn stop(&mut self) {
        *self = Self {
            position: Position::Unknown,
            held_back: std::mem::take(&mut self.held_back),
            ..Self::new(self.head_bytes_max)
        };
    }

    /// Takes the bytes that were held back when the stream has ended.
    pub(super) fn take_held_back_at_end(&mut self) -> Vec<u8> {
        self.stop();
        self.take_held_back()
    }

    /// Takes the bytes that were held back, if they cannot become a request line any more.
    pub(super) fn take_held_back(&mut self) -> Vec<u8> {
        match self.position {
            Position::Unknown => std::mem::take(&mut self.held_back),
            _ => Vec::new(),
        }
    }

    /// Drops the codings of requests without a body that hyper has parsed.
    fn drop_parsed(&mut self, bodiless: &AtomicU32) {
        let parsed_by_hyper = bodiless.load(Ordering::Relaxed);
        let parsed_here = u32::try_from(self.codings.len()).unwrap_or(u32::MAX);
        let count = parsed_by_hyper.min(parsed_here);
        if count > 0 {
            self.codings.drain(..count as usize);
            bodiless.store(parsed_by_hyper - count, Ordering::Relaxed);
        }
    }

    fn parse_unparsed(&mut self) {
        let mut unparsed = std::mem::take(&mut self.unparsed);
        self.parse(&mut Rewrite::of_delivered(&unparsed));
        unparsed.clear();
        self.unparsed = unparsed;
    }

    fn parse(&mut self, rewrite: &mut Rewrite<'_>) {
        let mut offset = 0;
        while offset < rewrite.received.len() {
            let rest = &rewrite.received[offset..];
            offset += match self.position {
                Position::Body(left) | Position::Chunk(left) => {
                    let available = rest.len();
                    let bytes = usize::try_from(left).map_or(available, |left| left.min(available));
                    self.position = match (self.position, left - bytes as u64) {
                        (Position::Body(_), 0) => Position::Start,
                        (Position::Body(_), left) => Position::Body(left),
                        (_, 0) => Position::ChunkEnd,
                        (_, left) => Position::Chunk(left),
                    };
                    bytes
                }
                Position::Start if !rewrite.is_already_delivered => {
                    self.parse_request_line(offset, rewrite)
                }
                Position::Unknown => {
                    if !self.held_back.is_empty() {
                        rewrite.replace(offset..offset, &std::mem::take(&mut self.held_back));
                    }
                    return;
                }
                _ => self.parse_line(rest),
            };
        }
    }

    /// Parses to the end of a request line and rewrites it, or holds its beginning back. Returns the
    /// number of bytes parsed.
    fn parse_request_line(&mut self, offset: usize, rewrite: &mut Rewrite<'_>) -> usize {
        let rest = &rewrite.received[offset..];
        let end = memchr::memchr(b'\n', rest).map(|end| end + 1);
        let received = &rest[..end.unwrap_or(rest.len())];
        let range = offset..offset + received.len();
        let mut joined = std::mem::take(&mut self.held_back);
        let was_held_back = !joined.is_empty();
        if was_held_back || end.is_none() {
            joined.extend_from_slice(received);
        }
        let line = if joined.is_empty() { received } else { &joined };
        if end.is_some() {
            let rewritten = request_line::rewritten(line);
            if was_held_back || rewritten.is_some() {
                rewrite.replace(range, rewritten.as_deref().unwrap_or(line));
            }
            self.parse_complete_line(line);
        } else if line.len() <= self.head_bytes_max && request_line::may_begin(line) {
            rewrite.replace(range, b"");
            self.held_back = joined;
        } else {
            // Too long, or not HTTP: hyper refuses it.
            rewrite.replace(range, line);
            self.position = Position::Unknown;
        }
        received.len()
    }

    /// Parses to the end of a line, or keeps its beginning. Returns the number of bytes parsed.
    fn parse_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        let received = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
        if self.line.is_empty() && end.is_some() {
            self.parse_complete_line(received);
            return received.len();
        }
        // The middle of a long line is dropped; its last two bytes are kept, because its line end matters.
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(received);
        if line.len() > LINE_BYTES_MAX {
            line.drain(LINE_BYTES_MAX - 2..line.len() - 2);
        }
        if end.is_some() {
            self.parse_complete_line(&line);
            line.clear();
        } else if self.position == Position::Start {
            self.position = Position::Head;
            self.fields = FramingFields::default();
        }
        self.line = line;
        received.len()
    }

    /// Advances the position by a complete line.
    fn parse_complete_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (line, has_cr) = match line.strip_suffix(b"\r") {
            Some(line) => (line, true),
            None => (line, false),
        };
        self.position = match self.position {
            Position::Start if line.is_empty() => Position::Start,
            Position::Start => {
                self.fields = FramingFields::default();
                self.fields.is_malformed = !has_cr;
                Position::Head
            }
            Position::Head if line.is_empty() => self.end_of_head(has_cr),
            Position::Head => {
                self.fields.is_malformed |= !has_cr;
                self.fields.read_field(line);
                Position::Head
            }
            Position::ChunkSize if has_cr => match parse_chunk_size(line) {
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
        if self.codings.len() >= HEADS_AHEAD_MAX {
            return Position::Unknown;
        }
        let fields = self.fields;
        let (coding, position) = match (fields.transfer_encodings, fields.length) {
            (0, _) if fields.has_length && fields.is_malformed => {
                (TransferCoding::None, Position::Unknown)
            }
            (0, 0) => (TransferCoding::None, Position::Start),
            (0, length) => (TransferCoding::None, Position::Body(length)),
            (1, _) if fields.is_chunked && !fields.has_length && !fields.is_malformed && has_cr => {
                (TransferCoding::Chunked, Position::ChunkSize)
            }
            _ => (TransferCoding::Ambiguous, Position::Unknown),
        };
        self.codings.push_back(coding);
        position
    }
}

impl FramingFields {
    fn read_field(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.transfer_encodings += 1;
            self.is_chunked = line.len() < INTERPRETED_BYTES_MAX
                && trim_spaces(value).eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"content-length") {
            self.has_length = true;
            match parse_decimal(value.trim_ascii()) {
                Some(length) if line.len() < INTERPRETED_BYTES_MAX => self.length = length,
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

fn parse_decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    text.parse().ok()
}

/// The chunk size of a line; extensions are ignored.
fn parse_chunk_size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| *byte == b';');
    let digits = &line[..end.unwrap_or(line.len())];
    let is_valid = line.len() < INTERPRETED_BYTES_MAX
        && !line.contains(&b'\r')
        && matches!(digits.len(), 1..=15)
        && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_valid)?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests;
