//! `Host`: the host name of a request, from its target and its `Host` header.

use std::borrow::Cow;
use std::fmt;

use http::header::HOST;
use http::{HeaderMap, Uri};

use super::HeadError;

/// A host name: lower case, without trailing dot or port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a>(Cow<'a, str>);

impl Host<'_> {
    /// The name; an IPv6 address keeps its brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `host[:port]` of a request, from its target and its `Host` header, which must agree.
pub fn authority_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, HeadError> {
    let mut values = headers.get_all(HOST).iter();
    let (header, None) = (values.next(), values.next()) else {
        return Err(HeadError::TwoHosts);
    };
    let header = header
        .map(|value| value.to_str().map_err(|_| HeadError::BadHost))
        .transpose()?;
    match (uri.authority(), header) {
        (None, None) => Err(HeadError::NoHost),
        (None, Some("")) => Err(HeadError::NoHost),
        (None, Some(header)) => Ok(header),
        (Some(target), None) => Ok(target.as_str()),
        (Some(target), Some(header)) if parse_host(target.as_str())? == parse_host(header)? => {
            Ok(header)
        }
        (Some(_), Some(_)) => Err(HeadError::TwoHosts),
    }
}

/// Parses `host[:port]`. The host is a name of letters, digits, `-`, `.` and `_`, or an IP address.
pub fn parse_host(text: &str) -> Result<(Host<'_>, Option<u16>), HeadError> {
    let colon = text.bytes().rposition(|byte| byte == b':');
    let (name, port) = match colon {
        Some(index) if !text.as_bytes()[index..].contains(&b']') => {
            (&text[..index], Some(&text[index + 1..]))
        }
        _ => (text, None),
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // An empty port is legal (RFC 3986 3.2.3), but no client sends it, so it is refused.
            Some(
                digits
                    .parse()
                    .ok()
                    .filter(|port| *port != 0)
                    .ok_or(HeadError::BadHost)?,
            )
        }
        Some(_) => return Err(HeadError::BadHost),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let letter_case = match name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => ipv6_letter_case(address),
        None => host_name_letter_case(name),
    };
    let host = match letter_case.ok_or(HeadError::BadHost)? {
        LetterCase::Mixed => Cow::Owned(name.to_ascii_lowercase()),
        LetterCase::Lower => Cow::Borrowed(name),
    };
    Ok((Host(host), port))
}

/// Whether a name has upper-case letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetterCase {
    Lower,
    Mixed,
}

impl LetterCase {
    fn of(has_uppercase: bool) -> Self {
        match has_uppercase {
            true => Self::Mixed,
            false => Self::Lower,
        }
    }
}

/// `None` if the text is no IPv6 address.
fn ipv6_letter_case(address: &str) -> Option<LetterCase> {
    address.parse::<std::net::Ipv6Addr>().ok()?;
    let has_uppercase = address.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(LetterCase::of(has_uppercase))
}

/// `None` unless the name consists of labels of 1 to 63 bytes and has at most 253 bytes.
fn host_name_letter_case(name: &str) -> Option<LetterCase> {
    let mut label_bytes = 0;
    let mut has_uppercase = false;
    for byte in name.bytes() {
        match HOST_BYTES[usize::from(byte)] {
            HostByte::Lower => label_bytes += 1,
            HostByte::Upper => {
                label_bytes += 1;
                has_uppercase = true;
            }
            HostByte::Dot if (1..=63).contains(&label_bytes) => label_bytes = 0,
            HostByte::Dot | HostByte::Other => return None,
        }
    }
    let is_valid = (1..=63).contains(&label_bytes) && name.len() <= 253;
    is_valid.then(|| LetterCase::of(has_uppercase))
}

/// What a byte of a host name is.
#[derive(Clone, Copy)]
enum HostByte {
    /// A lower-case letter, a digit, `-` or `_`.
    Lower,
    Upper,
    Dot,
    Other,
}

/// A table, because each request has a host.
static HOST_BYTES: [HostByte; 256] = {
    let mut bytes = [HostByte::Other; 256];
    let mut byte = 0;
    while byte < bytes.len() {
        bytes[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => HostByte::Lower,
            b'A'..=b'Z' => HostByte::Upper,
            b'.' => HostByte::Dot,
            _ => HostByte::Other,
        };
        byte += 1;
    }
    bytes
};
