//! Encodes text as a header value: percent, UTF-8, base64, RFC 8187.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;

use crate::request::route::HeaderEncoding;

/// The longest value that is sent, in bytes; upstreams refuse longer heads anyway.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Why a text cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// `utf-8` refuses both, `base64` only control characters; the other encodings escape both.
    #[error("the value contains a control character, or begins or ends with a space")]
    Forbidden,
    /// It is longer than [`VALUE_BYTES_MAX`].
    #[error("the value is too long for a header")]
    TooLong,
}

pub fn encode_text(encoding: HeaderEncoding, text: &str) -> Result<HeaderValue, EncodeError> {
    if encoding != HeaderEncoding::Base64 && is_plain(text) {
        // The common case needs one copy only, for the value itself.
        let fits = text.len() <= VALUE_BYTES_MAX;
        let value = fits.then(|| HeaderValue::from_str(text).ok()).flatten();
        return value.ok_or(EncodeError::TooLong);
    }
    let mut written = Vec::with_capacity(text.len() * 3 + 8);
    match encoding {
        HeaderEncoding::Percent => write_percent_encoded(&mut written, text, is_plain_byte),
        HeaderEncoding::Rfc8187 => write_rfc8187(&mut written, text),
        HeaderEncoding::Utf8 => written.extend_from_slice(checked_utf8(text)?),
        HeaderEncoding::Base64 => written = STANDARD.encode(refuse_controls(text)?).into_bytes(),
    }
    header_value(written)
}

/// Encodes a list, separated by commas; commas within elements are escaped. The value is absent if
/// no element can be encoded; the second result counts the elements that were left out.
pub fn encode_list<'a>(
    encoding: HeaderEncoding,
    elements: impl IntoIterator<Item = &'a str>,
) -> (Option<HeaderValue>, usize) {
    let (mut written, mut refused) = (Vec::new(), 0);
    for element in elements.into_iter().filter(|element| !element.is_empty()) {
        let start = written.len();
        if start > 0 {
            written.push(b',');
        }
        let is_encoded = write_element(encoding, &mut written, element);
        if !is_encoded || written.len() > bytes_max(encoding) {
            written.truncate(start);
            refused += 1;
        }
    }
    if written.is_empty() {
        return (None, refused);
    }
    if encoding == HeaderEncoding::Base64 {
        written = STANDARD.encode(written).into_bytes();
    }
    (header_value(written).ok(), refused)
}

fn bytes_max(encoding: HeaderEncoding) -> usize {
    match encoding {
        HeaderEncoding::Base64 => VALUE_BYTES_MAX / 4 * 3,
        HeaderEncoding::Percent | HeaderEncoding::Utf8 | HeaderEncoding::Rfc8187 => VALUE_BYTES_MAX,
    }
}

/// Appends an element. Returns false if the encoding cannot express it.
fn write_element(encoding: HeaderEncoding, written: &mut Vec<u8>, text: &str) -> bool {
    match encoding {
        _ if is_plain(text) => written.extend_from_slice(text.as_bytes()),
        HeaderEncoding::Percent => write_percent_encoded(written, text, is_plain_byte),
        HeaderEncoding::Rfc8187 => write_rfc8187(written, text),
        HeaderEncoding::Utf8 => match checked_utf8(text) {
            Ok(bytes) if !bytes.contains(&b',') => written.extend_from_slice(bytes),
            Ok(_) | Err(_) => return false,
        },
        HeaderEncoding::Base64 => match refuse_controls(text) {
            // `%` is escaped, too: otherwise `a,b` and `a%2Cb` would have the same encoding.
            Ok(text) => write_percent_encoded(written, text, |byte| !matches!(byte, b',' | b'%')),
            Err(_) => return false,
        },
    }
    true
}

/// Whether every encoding except base64 leaves a text unchanged.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| is_plain_byte(*byte))
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ')
        // An application that reads RFC 8187 would decode it.
        && !bytes.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"utf-8'"))
}

fn is_plain_byte(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'%' && byte != b','
}

/// Escapes the bytes for which `is_kept` is false, and spaces at both ends, which HTTP would remove.
fn write_percent_encoded(written: &mut Vec<u8>, text: &str, is_kept: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let last = text.len().saturating_sub(1);
    for (index, byte) in text.bytes().enumerate() {
        if is_kept(byte) && (byte != b' ' || (index != 0 && index != last)) {
            written.push(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            written.extend_from_slice(&[b'%', DIGITS[high], DIGITS[low]]);
        }
    }
}

/// An `ext-value` without language (RFC 8187 3.2.1).
fn write_rfc8187(written: &mut Vec<u8>, text: &str) {
    written.extend_from_slice(b"UTF-8''");
    write_percent_encoded(written, text, |byte| {
        byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
    });
}

fn checked_utf8(text: &str) -> Result<&[u8], EncodeError> {
    let text = refuse_controls(text)?;
    let has_no_outer_spaces = text.trim_matches(' ').len() == text.len();
    if has_no_outer_spaces {
        Ok(text.as_bytes())
    } else {
        Err(EncodeError::Forbidden)
    }
}

fn refuse_controls(text: &str) -> Result<&str, EncodeError> {
    let has_control = text.bytes().any(|byte| byte.is_ascii_control());
    if has_control {
        Err(EncodeError::Forbidden)
    } else {
        Ok(text)
    }
}

fn header_value(written: Vec<u8>) -> Result<HeaderValue, EncodeError> {
    if written.len() > VALUE_BYTES_MAX {
        return Err(EncodeError::TooLong);
    }
    HeaderValue::from_maybe_shared(Bytes::from(written)).map_err(|_| EncodeError::Forbidden)
}
