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
    let is_valid = match name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_host_name(name),
    };
    if !is_valid {
        return Err(HeadError::BadHost);
    }
    let host = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    Ok((Host(host), port))
}

/// Whether a name consists of labels of 1 to 63 bytes and has at most 253 bytes.
fn is_host_name(name: &str) -> bool {
    let mut label_bytes = 0;
    for byte in name.bytes() {
        match byte {
            b'.' if label_bytes == 0 => return false,
            b'.' => label_bytes = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label_bytes < 63 => {
                label_bytes += 1;
            }
            _ => return false,
        }
    }
    label_bytes > 0 && name.len() <= 253
}
