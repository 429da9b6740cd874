//! `Reader`: follows the requests of a connection from head to head, as strictly as it can. Where
//! it cannot follow it says so, and is never sure again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

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
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// What came since the beginning of a head and was not read yet.
    unread: Vec<u8>,
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
    /// Takes what was read from a client. `bodiless` is how many requests without a body were served.
    pub(super) fn note(&mut self, bytes: &[u8], bodiless: &AtomicU32) {
        if self.place != Place::Start {
            self.pass_over(bodiless);
            return self.read(bytes);
        }
        // More is read only when no whole head is left. So if the kept bytes end as a head does, they
        // are nothing but the heads of requests that were served and had no body.
        let served = bodiless.load(Ordering::Relaxed) > 0 && self.heads.is_empty();
        if served && self.unread.ends_with(b"\r\n\r\n") {
            self.unread.clear();
            bodiless.store(0, Ordering::Relaxed);
        }
        if self.unread.len() + bytes.len() <= UNREAD_BYTES_MAX {
            return self.unread.extend_from_slice(bytes);
        }
        self.read_kept();
        self.read(bytes);
        self.pass_over(bodiless);
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
            ..Self::default()
        };
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
        self.read(&kept);
        kept.clear();
        self.unread = kept;
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.place != Place::Lost {
            bytes = match self.place {
                Place::Body(left) | Place::Chunk(left) => {
                    let here = usize::try_from(left).map_or(bytes.len(), |n| n.min(bytes.len()));
                    self.place = match (self.place, left - here as u64) {
                        (Place::Body(_), 0) => Place::Start,
                        (Place::Body(_), left) => Place::Body(left),
                        (_, 0) => Place::ChunkEnd,
                        (_, left) => Place::Chunk(left),
                    };
                    &bytes[here..]
                }
                _ => self.read_line(bytes),
            };
        }
    }

    /// Reads to the end of a line, or keeps its beginning.
    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (here, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        if self.line.is_empty() && end.is_some() {
            self.take_line(here);
            return rest;
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
        rest
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
mod tests {
    use super::*;

    /// What the heads of a connection say, when it arrives in pieces of a size.
    fn codings(bytes: &[u8], at_once: usize) -> Vec<Coding> {
        let (mut reader, none) = (Reader::default(), AtomicU32::new(0));
        for piece in bytes.chunks(at_once) {
            reader.note(piece, &none);
        }
        std::iter::from_fn(|| reader.next(0)).collect()
    }

    #[test]
    fn each_head_of_a_connection_is_found_behind_the_body_before_it() {
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n\
            POST / HTTP/1.1\r\nContent-Length: 31\r\n\r\nTransfer-Encoding: chunked\r\n\r\n\n\
            \r\nPOST / HTTP/1.1\r\ntransfer-encoding:  Chunked \r\n\r\n\
            a;x=y\r\n0123456789\r\n0\r\nContent-Length: 7\r\n\r\n\
            POST / HTTP/1.1\nContent-Length:\t3\n\nabc\
            GET / HTTP/1.1\r\n\r\n";
        use Coding::{Chunked, None};
        for at_once in 1..bytes.len() {
            // A length in a head whose lines end oddly is not relied on.
            assert_eq!(
                codings(bytes, at_once),
                [None, None, Chunked, None],
                "{at_once}"
            );
        }
    }

    #[test]
    fn a_head_that_two_could_read_in_two_ways_is_unclear() {
        let long = format!("Transfer-Encoding:{}chunked\r\n", " ".repeat(300));
        for lines in [
            "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\tchunked\r\n",
            "Transfer-Encoding: chunked\t\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked,\r\n",
            "Transfer-Encoding: ,chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nA: b\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\n",
            "A: b\nTransfer-Encoding: chunked\r\n",
            &long,
        ] {
            let bytes = format!("POST / HTTP/1.1\r\n{lines}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n");
            for at_once in [1, 2, 7, bytes.len()] {
                let found = codings(bytes.as_bytes(), at_once);
                assert_eq!(found, [Coding::Unclear], "{lines:?}");
            }
        }
    }

    #[test]
    fn a_body_whose_chunks_are_odd_is_the_last_that_is_followed() {
        let next = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in [
            "0\n\r\n",
            "1 \r\na\r\n0\r\n\r\n",
            "1\r\nab\r\n0\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "1;a\rb\r\na\r\n0\r\n\r\n",
        ] {
            let bytes = format!("{next}{body}{next}");
            assert_eq!(codings(bytes.as_bytes(), 5), [Coding::Chunked], "{body:?}");
        }
    }

    #[test]
    fn requests_without_a_body_leave_nothing_behind() {
        let (mut reader, bodiless) = (Reader::default(), AtomicU32::new(0));
        let head = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(2_000));
        for _ in 0..5_000 {
            reader.note(head.as_bytes(), &bodiless);
            bodiless.fetch_add(1, Ordering::Relaxed);
            assert!(reader.unread.len() <= UNREAD_BYTES_MAX && reader.heads.len() < 20);
        }
        let post = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        reader.note(post, &bodiless);
        assert_eq!(
            reader.next(bodiless.swap(0, Ordering::Relaxed)),
            Some(Coding::Chunked)
        );
        // The same from a client whose lines end oddly.
        let (mut reader, bodiless) = (Reader::default(), AtomicU32::new(0));
        for _ in 0..5_000 {
            reader.note(b"GET / HTTP/1.1\n\n", &bodiless);
            bodiless.fetch_add(1, Ordering::Relaxed);
            assert!(reader.unread.len() <= UNREAD_BYTES_MAX && reader.heads.len() < 5_000);
        }
        reader.note(post, &bodiless);
        assert_eq!(
            reader.next(bodiless.swap(0, Ordering::Relaxed)),
            Some(Coding::Chunked)
        );
    }
}
