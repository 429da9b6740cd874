//! `ControlFields`: the response headers that determine the end of the body and the reuse of the
//! connection, read in the same pass that builds the header map.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use http::header::CONTENT_LENGTH;

use super::{Framing, ResponseHeadError};

/// The combined content of these headers.
#[derive(Debug, Default)]
pub(super) struct ControlFields {
    content_lengths: ContentLengths,
    /// How many `Transfer-Encoding` headers there are.
    transfer_encoding_lines: usize,
    /// Whether the last of these is `chunked`.
    is_chunked: bool,
    has_close: bool,
    has_keep_alive: bool,
    /// The shortest `Keep-Alive` time-out.
    pub(super) keep_alive: Option<Duration>,
    /// Whether there is a `WWW-Authenticate` or `Proxy-Authenticate` header.
    pub(super) has_challenge: bool,
}

/// The `Content-Length` headers.
#[derive(Debug, Default)]
struct ContentLengths {
    /// The last value.
    value: Option<u64>,
    /// How many values there are: several headers, or a list in one.
    count: usize,
    /// Whether a value is not a number, or two values differ.
    is_invalid: bool,
}

impl ControlFields {
    /// Reads one header. The lengths of names are compared first because most headers match none.
    pub(super) fn read(&mut self, name: &str, value: &[u8]) {
        let is_named = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            10 if is_named("connection") => self.read_connection(value),
            10 if is_named("keep-alive") => {
                self.keep_alive = self
                    .keep_alive
                    .into_iter()
                    .chain(parse_timeout(value))
                    .min();
            }
            14 if is_named("content-length") => self.content_lengths.read(value),
            17 if is_named("transfer-encoding") => {
                self.transfer_encoding_lines += 1;
                self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
            }
            16 if is_named("www-authenticate") => self.has_challenge = true,
            18 if is_named("proxy-authenticate") => self.has_challenge = true,
            _ => {}
        }
    }

    fn read_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.has_close |= option.eq_ignore_ascii_case(b"close");
            self.has_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// The framing of the body (RFC 9112 6.3).
    pub(super) fn framing(&self, is_http_1_0: bool) -> Result<Framing, ResponseHeadError> {
        let length = match self.content_lengths.is_invalid {
            true => return Err(ResponseHeadError::ContentLength),
            false => self.content_lengths.value,
        };
        match (self.transfer_encoding_lines, length) {
            (0, None) => Ok(Framing::UntilClose),
            (0, Some(length)) => Ok(Framing::Length(length)),
            (_, Some(_)) => Err(ResponseHeadError::LengthAndTransferEncoding),
            (1, None) if !is_http_1_0 && self.is_chunked => Ok(Framing::Chunked),
            (_, None) => Err(ResponseHeadError::TransferEncoding),
        }
    }

    /// Replaces a repeated `Content-Length` (several lines, or a list in one) by one.
    pub(super) fn join_lengths(&self, headers: &mut HeaderMap) {
        if let (Some(length), 2..) = (self.content_lengths.value, self.content_lengths.count) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
    }

    /// Whether the upstream keeps the connection open.
    pub(super) fn keeps_connection(&self, is_http_1_0: bool) -> bool {
        match is_http_1_0 {
            true => self.has_keep_alive,
            false => !self.has_close,
        }
    }
}

impl ContentLengths {
    fn read(&mut self, line: &[u8]) {
        for text in line.split(|byte| *byte == b',') {
            let length = parse_number(text.trim_ascii());
            self.is_invalid |=
                length.is_none() || self.value.is_some_and(|value| Some(value) != length);
            self.value = length;
            self.count += 1;
        }
    }
}

fn parse_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The time-out of a `Keep-Alive` header such as `timeout=5, max=100`.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let mut parameters = value.split(|byte| matches!(byte, b',' | b';'));
    parameters.find_map(|parameter| {
        let index = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, seconds) = parameter.split_at(index);
        let is_timeout = name.trim_ascii().eq_ignore_ascii_case(b"timeout");
        let seconds = is_timeout.then(|| parse_number(seconds[1..].trim_ascii()))?;
        seconds.map(Duration::from_secs)
    })
}
