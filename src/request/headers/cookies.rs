//! Our own cookies: cut out of what goes to an upstream, refused when an upstream sets them.

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use crate::people::cookie::CookieFlags;

/// Cuts our cookies out; the others stay byte for byte, in one `Cookie` header.
///
/// Over HTTP/2 each may come in a header of its own, which HTTP/1.1 does not know (RFC 9113 8.2.3).
pub(super) fn cut(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    let rest = match (lines.next(), lines.next()) {
        (None, _) => return,
        (Some(line), None) if !holds_ours(line.as_bytes()) => return,
        (Some(line), None) => without_ours(line),
        (Some(_), Some(_)) => {
            let lines = headers.get_all(COOKIE).iter().filter_map(without_ours);
            joined(&lines.collect::<Vec<_>>())
        }
    };
    match rest {
        Some(rest) => headers.insert(COOKIE, rest),
        None => headers.remove(COOKIE),
    };
}

/// Removes every `Set-Cookie` with one of our names.
pub(super) fn refuse(headers: &mut HeaderMap) {
    let ours = |value: &HeaderValue| is_ours(set_name(value.as_bytes()));
    if !headers.get_all(SET_COOKIE).iter().any(ours) {
        return;
    }
    let kept: Vec<_> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|value| !ours(value))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

/// The name under which a browser would send a cookie back.
///
/// One without a name is sent as its value alone, and a value may look like name and value.
pub(super) fn set_name(cookie: &[u8]) -> &[u8] {
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

fn holds_ours(line: &[u8]) -> bool {
    line.split(|byte| *byte == b';')
        .any(|pair| is_ours(name(pair)))
}

fn joined(lines: &[HeaderValue]) -> Option<HeaderValue> {
    let lines: Vec<_> = lines.iter().map(HeaderValue::as_bytes).collect();
    let one = Bytes::from(lines.join(&b"; "[..]));
    HeaderValue::from_maybe_shared(one)
        .ok()
        .filter(|line| !line.is_empty())
}

/// The other cookies of one header; nothing when there are none.
fn without_ours(line: &HeaderValue) -> Option<HeaderValue> {
    let bytes = line.as_bytes();
    if !holds_ours(bytes) {
        return Some(line.clone());
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let pairs = bytes
        .split(|byte| *byte == b';')
        .filter(|pair| !is_ours(name(pair)));
    for pair in pairs {
        match kept.is_empty() {
            true => kept.extend_from_slice(pair.trim_ascii_start()),
            false => {
                kept.push(b';');
                kept.extend_from_slice(pair);
            }
        }
    }
    if kept.trim_ascii().is_empty() {
        return None;
    }
    HeaderValue::from_maybe_shared(Bytes::from(kept)).ok()
}

fn name(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

fn is_ours(name: &[u8]) -> bool {
    // Bytes that are no text do not hide the text around them.
    CookieFlags::is_ours(&String::from_utf8_lossy(name))
}
