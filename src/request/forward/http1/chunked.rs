//! `ChunkedDecoder`: decodes the chunked transfer coding (RFC 9112 7.1) and refuses ambiguous
//! input.

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The maximum size of all chunk extensions of a body, in bytes.
const EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// The maximum size of the trailers, in bytes.
const TRAILER_BYTES_MAX: usize = 16 * 1024;
const TRAILERS_MAX: usize = 100;

/// The state of decoding one body.
#[derive(Debug)]
pub(super) struct ChunkedDecoder {
    state: State,
    /// The chunk size as read so far, then the bytes left in the chunk.
    size: u64,
    extension_bytes: usize,
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first digit of a chunk size.
    Begin,
    /// After a digit of a chunk size.
    Digits,
    /// After the spaces that may follow a chunk size.
    Spaces,
    /// Inside a chunk extension.
    Extension,
    /// After the CR of the chunk size line.
    SizeCr,
    /// Inside chunk data.
    Data,
    /// After chunk data.
    DataEnd,
    /// After the CR that follows chunk data.
    DataCr,
    /// After the last chunk.
    Trailers,
}

/// A decoded part of a body.
#[derive(Debug)]
pub(super) enum ChunkedPart {
    /// Part of a chunk; never empty.
    Data(Bytes),
    /// The trailers. The body is complete.
    Trailers(HeaderMap),
    /// The body is complete and has no trailers.
    End,
}

/// Invalid chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::request::forward) enum ChunkError {
    #[error("a chunk size is not a number or too large")]
    Size,
    #[error("a chunk is longer than its size")]
    End,
    #[error("a chunk line has an invalid line ending")]
    Line,
    #[error("the chunk extensions are too long")]
    Extensions,
    #[error("the trailers are too long, too many or invalid")]
    Trailers,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self {
            state: State::Begin,
            size: 0,
            extension_bytes: 0,
            trailers: Vec::new(),
        }
    }
}

impl ChunkedDecoder {
    /// Decodes the next part of `received`; `None` if all of it was consumed without completing a part.
    pub(super) fn next(&mut self, received: &mut Bytes) -> Result<Option<ChunkedPart>, ChunkError> {
        loop {
            if self.state == State::Data {
                if received.is_empty() {
                    return Ok(None);
                }
                let available = received.len();
                let len = usize::try_from(self.size).map_or(available, |size| size.min(available));
                self.size -= len as u64;
                if self.size == 0 {
                    self.state = State::DataEnd;
                }
                return Ok(Some(ChunkedPart::Data(received.split_to(len))));
            }
            let Some(byte) = received.first().copied() else {
                return Ok(None);
            };
            received.advance(1);
            if self.state == State::Trailers {
                if let Some(end) = self.read_trailer_byte(byte)? {
                    return Ok(Some(end));
                }
            } else {
                self.state = self.state_after(byte)?;
            }
        }
    }

    fn state_after(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::Begin | State::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if self.state == State::Begin {
                    self.size = 0;
                }
                let digit = char::from(byte).to_digit(16).ok_or(ChunkError::Size)?;
                let shifted = self.size.checked_mul(16).ok_or(ChunkError::Size)?;
                self.size = shifted + u64::from(digit);
                Ok(State::Digits)
            }
            (State::Begin, _) => Err(ChunkError::Size),
            (State::Digits | State::Spaces | State::Extension, b'\r') => Ok(State::SizeCr),
            (State::Digits | State::Spaces, b';') => Ok(State::Extension),
            (State::Digits | State::Spaces, b' ' | b'\t') => {
                self.count_extension_byte()?;
                Ok(State::Spaces)
            }
            (State::Digits | State::Spaces, _) => Err(ChunkError::Size),
            // Some servers accept a bare LF as a line ending, others do not.
            (State::Extension, b'\n') => Err(ChunkError::Line),
            (State::Extension, _) => {
                self.count_extension_byte()?;
                Ok(State::Extension)
            }
            (State::SizeCr, b'\n') if self.size == 0 => Ok(State::Trailers),
            (State::SizeCr, b'\n') => Ok(State::Data),
            (State::SizeCr, _) => Err(ChunkError::Line),
            (State::DataEnd, b'\r') => Ok(State::DataCr),
            (State::DataCr, b'\n') => Ok(State::Begin),
            (State::DataEnd | State::DataCr | State::Data | State::Trailers, _) => {
                Err(ChunkError::End)
            }
        }
    }

    fn count_extension_byte(&mut self) -> Result<(), ChunkError> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(ChunkError::Extensions);
        }
        Ok(())
    }

    fn read_trailer_byte(&mut self, byte: u8) -> Result<Option<ChunkedPart>, ChunkError> {
        let previous = self.trailers.last().copied();
        if (byte == b'\n') != (previous == Some(b'\r')) {
            return Err(ChunkError::Line);
        }
        self.trailers.push(byte);
        if self.trailers == b"\r\n" {
            return Ok(Some(ChunkedPart::End));
        }
        if self.trailers.ends_with(b"\r\n\r\n") {
            return parse_trailers(&self.trailers)
                .map(|trailers| Some(ChunkedPart::Trailers(trailers)));
        }
        if self.trailers.len() >= TRAILER_BYTES_MAX {
            return Err(ChunkError::Trailers);
        }
        Ok(None)
    }
}

fn parse_trailers(lines: &[u8]) -> Result<HeaderMap, ChunkError> {
    let mut headers = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let Ok(httparse::Status::Complete((bytes, headers))) =
        httparse::parse_headers(lines, &mut headers)
    else {
        return Err(ChunkError::Trailers);
    };
    if bytes != lines.len() {
        return Err(ChunkError::Trailers);
    }
    let mut trailers = HeaderMap::with_capacity(headers.len());
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(ChunkError::Trailers);
        };
        trailers.append(name, value);
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The number of bytes that `decode` reports for a body without an end.
    const INCOMPLETE: usize = usize::MAX;

    /// Decodes a body that arrives in pieces of this size: its data, its trailers, and its length
    /// before decoding.
    fn decode(
        body: &[u8],
        piece_bytes: usize,
    ) -> Result<(Vec<u8>, Option<HeaderMap>, usize), ChunkError> {
        let (mut decoder, mut data, mut consumed) = (ChunkedDecoder::default(), Vec::new(), 0);
        for piece in body.chunks(piece_bytes) {
            let mut rest = Bytes::copy_from_slice(piece);
            loop {
                match decoder.next(&mut rest)? {
                    Some(ChunkedPart::Data(bytes)) => data.extend_from_slice(&bytes),
                    Some(ChunkedPart::Trailers(trailers)) => {
                        return Ok((data, Some(trailers), consumed + piece.len() - rest.len()));
                    }
                    Some(ChunkedPart::End) => {
                        return Ok((data, None, consumed + piece.len() - rest.len()));
                    }
                    None => break,
                }
            }
            consumed += piece.len();
        }
        Ok((data, None, INCOMPLETE))
    }

    #[test]
    fn chunks_are_joined_and_bytes_after_the_body_are_left_unread() {
        let body =
            b"5\r\nhello\r\n00a ;x=\"y\"\r\n0123456789\r\nB\t\r\n0123456789a\r\n0\r\n\r\nHTTP/1.1";
        for piece_bytes in 1..body.len() {
            let (data, trailers, consumed) = decode(body, piece_bytes).unwrap();
            assert_eq!(data, b"hello01234567890123456789a");
            assert!(trailers.is_none());
            assert_eq!(&body[consumed..], b"HTTP/1.1", "{piece_bytes}");
        }
    }

    #[test]
    fn trailers_are_decoded_as_headers() {
        let body = b"1\r\nx\r\n0\r\nX-Sum: 7\r\nx-sum: 8\r\n\r\nrest";
        for piece_bytes in [1, 3, 100] {
            let (data, trailers, consumed) = decode(body, piece_bytes).unwrap();
            let trailers = trailers.unwrap();
            assert_eq!(data, b"x");
            assert_eq!(&body[consumed..], b"rest");
            assert_eq!(trailers.get_all("x-sum").iter().count(), 2);
        }
    }

    #[test]
    fn ambiguous_chunks_are_refused() {
        let long = "a".repeat(EXTENSION_BYTES_MAX + 1);
        for (body, why) in [
            ("\r\n", ChunkError::Size),
            ("zz\r\n", ChunkError::Size),
            ("-1\r\n", ChunkError::Size),
            ("+1\r\n", ChunkError::Size),
            (" 1\r\n", ChunkError::Size),
            ("0x1\r\n", ChunkError::Size),
            ("1 2\r\n", ChunkError::Size),
            ("1\nx\r\n", ChunkError::Size),
            ("fffffffffffffffff\r\n", ChunkError::Size),
            ("1;a\nx\r\n", ChunkError::Line),
            ("1;a\rx\r\n", ChunkError::Line),
            ("1\rx", ChunkError::Line),
            ("1\r\nxy\r\n", ChunkError::End),
            ("1\r\nx\n0\r\n\r\n", ChunkError::End),
            ("1\r\nx\r0\r\n\r\n", ChunkError::End),
            ("0\r\n\n", ChunkError::Line),
            ("0\r\nA: b\n\r\n", ChunkError::Line),
            ("0\r\nA: b\rc\r\n\r\n", ChunkError::Line),
            ("0\r\nno header\r\n\r\n", ChunkError::Trailers),
            ("0\r\nA: b\r\n folded\r\n\r\n", ChunkError::Trailers),
            ("0\r\nA : b\r\n\r\n", ChunkError::Trailers),
            (&format!("1;{long}\r\n"), ChunkError::Extensions),
            (
                &format!("1{}\r\n", " ".repeat(EXTENSION_BYTES_MAX + 1)),
                ChunkError::Extensions,
            ),
            (&format!("0\r\nA: {long}\r\n\r\n"), ChunkError::Trailers),
            (
                &format!("0\r\n{}\r\n", "A: b\r\n".repeat(TRAILERS_MAX + 1)),
                ChunkError::Trailers,
            ),
        ] {
            for piece_bytes in [1, 7, body.len()] {
                assert_eq!(
                    decode(body.as_bytes(), piece_bytes).unwrap_err(),
                    why,
                    "{body:.40?}"
                );
            }
        }
    }

    #[test]
    fn a_truncated_body_is_never_complete() {
        let body = b"5\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for end in 0..body.len() {
            assert_eq!(decode(&body[..end], 4).unwrap().2, INCOMPLETE, "{end}");
        }
    }

    proptest! {
        #[test]
        fn decoding_never_adds_bytes(body in proptest::collection::vec(any::<u8>(), 0..200), piece_bytes in 1_usize..50) {
            if let Ok((data, _, _)) = decode(&body, piece_bytes) {
                prop_assert!(data.len() <= body.len());
            }
        }

        #[test]
        fn an_encoded_body_is_decoded_to_itself(data in proptest::collection::vec(any::<u8>(), 1..300), size in 1_usize..50, piece_bytes in 1_usize..50) {
            let mut body = Vec::new();
            for chunk in data.chunks(size) {
                body.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(decode(&body, piece_bytes).unwrap().0, data);
        }
    }
}
