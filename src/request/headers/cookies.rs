//! Removes menshen's own cookies from requests to an upstream and from its responses.
//!
//! Session cookies are recognized by their values, too, because browsers keep those of an earlier
//! `cookie_name`: an application could set their values again under the current name.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::protected_headers::ProtectedHeaders;
use crate::people::cookie::{CookieName, CookieSettings};
use crate::request::head::split_cookie_line;

/// Writes all cookies except menshen's own, byte for byte, in one `Cookie` header.
///
/// HTTP/2 clients may send each cookie in a header of its own, which HTTP/1.1 does not allow (RFC
/// 9113 8.2.3).
pub(super) fn write_application_cookies(
    head: &mut Vec<u8>,
    headers: &HeaderMap,
    protected_headers: &ProtectedHeaders,
) {
    let line_start = head.len();
    head.extend_from_slice(b"cookie: ");
    let value_start = head.len();
    for line in headers.get_all(COOKIE) {
        let end_of_previous = head.len();
        if end_of_previous > value_start {
            head.extend_from_slice(b"; ");
        }
        if !write_without_own(head, line.as_bytes(), protected_headers) {
            head.truncate(end_of_previous);
        }
    }
    if head.len() == value_start {
        head.truncate(line_start);
    } else {
        head.extend_from_slice(b"\r\n");
    }
}

/// The `Cookie` header without own cookies; `None` if the request contains no own cookie. The inner value
/// is absent if no other cookie remains.
pub(super) fn application_cookies(
    headers: &HeaderMap,
    protected_headers: &ProtectedHeaders,
) -> Option<Option<HeaderValue>> {
    let is_own = |line: &HeaderValue| {
        split_cookie_line(line.as_bytes()).any(|pair| is_own_cookie(pair, protected_headers))
    };
    if !headers.get_all(COOKIE).iter().any(is_own) {
        return None;
    }
    let mut line = Vec::new();
    write_application_cookies(&mut line, headers, protected_headers);
    let value = line.strip_prefix(b"cookie: ");
    let value = value.and_then(|value| value.strip_suffix(b"\r\n"));
    Some(value.and_then(|value| HeaderValue::from_bytes(value).ok()))
}

/// Removes every `Set-Cookie` with an own name. `configured` is the configured cookie name, if it is not
/// the default.
pub(super) fn remove_own_set_cookies(headers: &mut HeaderMap, configured: Option<&CookieName>) {
    let is_own = |value: &HeaderValue| is_own_name(set_cookie_name(value.as_bytes()), configured);
    if !headers.get_all(SET_COOKIE).iter().any(is_own) {
        return;
    }
    let others: Vec<_> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|value| !is_own(value))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for value in others {
        headers.append(SET_COOKIE, value);
    }
}

/// The name under which a browser would send a cookie back.
///
/// A cookie without a name is sent as its value alone, which may look like a name and a value.
pub(super) fn set_cookie_name(cookie: &[u8]) -> &[u8] {
    let pair = cookie
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let mut rest = pair.trim_ascii();
    while let Some(value) = rest.strip_prefix(b"=") {
        rest = value.trim_ascii_start();
    }
    cookie_name(rest)
}

/// Writes one header without own cookies, in one pass. Returns false if nothing remains.
fn write_without_own(
    head: &mut Vec<u8>,
    line: &[u8],
    protected_headers: &ProtectedHeaders,
) -> bool {
    let start = head.len();
    // The start of the next cookie, and whether no own cookie was found so far.
    let (mut next, mut is_unchanged) = (0, true);
    for pair in split_cookie_line(line) {
        let pair_start = next;
        next += pair.len() + 1;
        if is_own_cookie(pair, protected_headers) {
            if is_unchanged {
                is_unchanged = false;
                let before = &line[..pair_start.saturating_sub(1)];
                head.extend_from_slice(trim_leading_separators(before));
            }
        } else if !is_unchanged {
            if head.len() == start {
                head.extend_from_slice(pair.trim_ascii_start());
            } else {
                head.push(b';');
                head.extend_from_slice(pair);
            }
        }
    }
    if is_unchanged {
        head.extend_from_slice(line);
        return true;
    }
    if head[start..].trim_ascii().is_empty() {
        head.truncate(start);
        return false;
    }
    true
}

/// Removes white space and semicolons at the start.
fn trim_leading_separators(line: &[u8]) -> &[u8] {
    let first_cookie = line
        .iter()
        .position(|byte| !(byte.is_ascii_whitespace() || *byte == b';'));
    &line[first_cookie.unwrap_or(line.len())..]
}

fn cookie_name(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

/// Whether the name or the value of a client's cookie identifies it as an own cookie.
fn is_own_cookie(pair: &[u8], protected_headers: &ProtectedHeaders) -> bool {
    // A cookie without a name consists of its value.
    let (name, value) = match memchr::memchr(b'=', pair) {
        Some(end) => (&pair[..end], &pair[end + 1..]),
        None => (pair, pair),
    };
    is_own_name(
        name.trim_ascii(),
        protected_headers.configured_cookie_name(),
    ) || protected_headers
        .session_cookie_prefixes()
        .has(value.trim_ascii_start())
}

fn is_own_name(name: &[u8], configured: Option<&CookieName>) -> bool {
    configured.is_some_and(|configured| configured.owns(name)) || is_default_own_name(name)
}

fn is_default_own_name(name: &[u8]) -> bool {
    // Every default name contains these bytes, so most names are rejected without further parsing.
    let product = b"menshen";
    let is_product_name = |(start, first): (usize, &u8)| {
        first.eq_ignore_ascii_case(&product[0])
            && name[start..].len() >= product.len()
            && name[start..start + product.len()].eq_ignore_ascii_case(product)
    };
    if !name.iter().enumerate().any(is_product_name) {
        return false;
    }
    // Invalid UTF-8 must not hide an own name around it.
    CookieSettings::is_default_name(&String::from_utf8_lossy(name))
}
