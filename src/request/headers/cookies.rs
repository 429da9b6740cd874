//! Removes menshen's own cookies from requests to an upstream and from its responses. `own` is the
//! configured cookie name, if it is not the default.
//!
//! Session cookies are removed under every name: browsers keep those of an earlier `cookie_name`,
//! and an application could send them back under the current one.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::protected_headers::ProtectedHeaders;
use crate::people::cookie::{CookieName, CookieSettings};
use crate::request::head::split_cookie_line;

/// Writes the cookies of other applications byte for byte, in one `Cookie` header.
///
/// HTTP/2 clients may send each cookie in a header of its own, which HTTP/1.1 does not allow (RFC
/// 9113 8.2.3).
pub(super) fn write_application_cookies(
    head: &mut Vec<u8>,
    headers: &HeaderMap,
    protected_headers: &ProtectedHeaders,
) {
    let begin = head.len();
    head.extend_from_slice(b"cookie: ");
    let start = head.len();
    for line in headers.get_all(COOKIE) {
        let before = head.len();
        if before > start {
            head.extend_from_slice(b"; ");
        }
        if !write_without_own(head, line.as_bytes(), protected_headers) {
            head.truncate(before);
        }
    }
    if head.len() == start {
        head.truncate(begin);
    } else {
        head.extend_from_slice(b"\r\n");
    }
}

/// The `Cookie` header without own cookies, if the request contains own cookies; the inner value is
/// absent if no other cookie remains.
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
    let left = line.strip_prefix(b"cookie: ");
    let left = left.and_then(|left| left.strip_suffix(b"\r\n"));
    Some(left.and_then(|left| HeaderValue::from_bytes(left).ok()))
}

/// Removes every `Set-Cookie` with an own name.
pub(super) fn remove_own_set_cookies(headers: &mut HeaderMap, own: Option<&CookieName>) {
    let is_own = |value: &HeaderValue| is_own_name(set_cookie_name(value.as_bytes()), own);
    if !headers.get_all(SET_COOKIE).iter().any(is_own) {
        return;
    }
    let kept: Vec<_> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|value| !is_own(value))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for value in kept {
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
    name(rest)
}

/// Writes one header without own cookies, in one pass; false if nothing remains.
fn write_without_own(
    head: &mut Vec<u8>,
    line: &[u8],
    protected_headers: &ProtectedHeaders,
) -> bool {
    let start = head.len();
    // The start of the next cookie, and whether no own cookie was found so far.
    let (mut next, mut whole) = (0, true);
    for pair in split_cookie_line(line) {
        let begin = next;
        next += pair.len() + 1;
        if is_own_cookie(pair, protected_headers) {
            if whole {
                whole = false;
                head.extend_from_slice(trim_leading_separators(&line[..begin.saturating_sub(1)]));
            }
        } else if !whole {
            if head.len() == start {
                head.extend_from_slice(pair.trim_ascii_start());
            } else {
                head.push(b';');
                head.extend_from_slice(pair);
            }
        }
    }
    if whole {
        head.extend_from_slice(line);
        return true;
    }
    if head[start..].trim_ascii().is_empty() {
        head.truncate(start);
        return false;
    }
    true
}

/// Removes white space and semicolons before the first cookie.
fn trim_leading_separators(before: &[u8]) -> &[u8] {
    let filled = before
        .iter()
        .position(|byte| !(byte.is_ascii_whitespace() || *byte == b';'));
    &before[filled.unwrap_or(before.len())..]
}

fn name(pair: &[u8]) -> &[u8] {
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
    is_own_name(name.trim_ascii(), protected_headers.cookie())
        || protected_headers.signed().has(value.trim_ascii_start())
}

fn is_own_name(name: &[u8], own: Option<&CookieName>) -> bool {
    own.is_some_and(|own| own.owns(name)) || has_own_name(name)
}

fn has_own_name(name: &[u8]) -> bool {
    // Every own name contains these bytes, so most names are rejected without further parsing.
    let mentions_us = |part: &[u8]| part.eq_ignore_ascii_case(b"menshen");
    if !name.windows(b"menshen".len()).any(mentions_us) {
        return false;
    }
    // Invalid UTF-8 must not hide an own name around it.
    CookieSettings::is_default_name(&String::from_utf8_lossy(name))
}
