//! `RequestId` and `traceparent`: the identifiers of a request, in logs and for the upstream.

use std::cell::RefCell;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{TRACEPARENT, X_REQUEST_ID};

use crate::keys;

/// The longest request ID of a trusted proxy that is used, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// The length of a trace ID and a span ID.
const IDS_BYTES: usize = 24;
/// For how many requests random bytes are generated at once.
const REQUESTS_PER_BATCH: usize = 64;

/// The ID of a request in logs, on pages and for the upstream.
///
/// A new ID has 128 random bits and becomes the trace ID if the client sends no trace.
#[derive(Clone, Debug)]
pub struct RequestId {
    text: HeaderValue,
    trace: [u8; 16],
    span: [u8; 8],
}

impl RequestId {
    /// Creates an ID, or keeps a valid one that a trusted proxy sent.
    pub fn of(headers: &HeaderMap, peer_trusted: bool) -> Self {
        let bytes = random_ids();
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&bytes[..16]);
        span.copy_from_slice(&bytes[16..]);
        let sent_id = peer_trusted
            .then(|| single_value(headers, &X_REQUEST_ID))
            .flatten();
        let text = match sent_id.filter(|id| is_valid_id(id.as_bytes())) {
            Some(sent_id) => sent_id.clone(),
            None => {
                let mut hex = [0; 32];
                write_hex(&mut hex, &trace);
                HeaderValue::from_bytes(&hex).expect("hexadecimal digits are a header value")
            }
        };
        Self { text, trace, span }
    }

    /// At most [`REQUEST_ID_BYTES_MAX`] bytes of letters, digits, `.`, `_` and `-`.
    pub fn as_str(&self) -> &str {
        self.text.to_str().expect("a request ID is ASCII")
    }

    pub fn value(&self) -> &HeaderValue {
        &self.text
    }
}

/// Random bytes for the IDs of one request.
///
/// Each thread generates many at once. IDs are public, so those in memory need no protection.
fn random_ids() -> [u8; IDS_BYTES] {
    thread_local! {
        static BATCH: RefCell<(Vec<u8>, usize)> = const { RefCell::new((Vec::new(), 0)) };
    }
    BATCH.with_borrow_mut(|(bytes, used)| {
        if *used == bytes.len() {
            *bytes = keys::random::<{ IDS_BYTES * REQUESTS_PER_BATCH }>().to_vec();
            *used = 0;
        }
        let mut ids = [0; IDS_BYTES];
        ids.copy_from_slice(&bytes[*used..*used + IDS_BYTES]);
        *used += IDS_BYTES;
        ids
    })
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The `traceparent` (W3C Trace Context) to send, and whether it continues the client's trace.
pub(super) fn traceparent(headers: &HeaderMap, id: &RequestId) -> ([u8; 55], bool) {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
    let parent =
        single_value(headers, &TRACEPARENT).and_then(|value| parse_traceparent(value.as_bytes()));
    match parent {
        Some((trace, flags)) => {
            text[3..35].copy_from_slice(trace);
            // This version of the format defines only the sampled flag.
            text[54] = b'0' + (flags & 1);
        }
        None => write_hex(&mut text[3..35], &id.trace),
    }
    write_hex(&mut text[36..52], &id.span);
    (text, parent.is_some())
}

/// The trace ID and flags of a valid `traceparent`.
fn parse_traceparent(text: &[u8]) -> Option<(&[u8], u8)> {
    let hex = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            .then_some(digits)
    };
    let (version, trace, span, flags) = (hex(0..2)?, hex(3..35)?, hex(36..52)?, hex(53..55)?);
    let has_dashes = [2, 35, 52].iter().all(|index| text[*index] == b'-');
    let has_valid_length = match version {
        b"ff" => false,
        b"00" => text.len() == 55,
        _ => text.len() == 55 || text[55] == b'-',
    };
    let is_nonzero = |digits: &[u8]| digits.iter().any(|digit| *digit != b'0');
    let flags = u8::from_str_radix(std::str::from_utf8(flags).ok()?, 16).ok()?;
    (has_dashes && has_valid_length && is_nonzero(trace) && is_nonzero(span))
        .then_some((trace, flags))
}

fn single_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

fn is_valid_id(id: &[u8]) -> bool {
    (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
        && id
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}
