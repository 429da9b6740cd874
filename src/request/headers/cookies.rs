//! Our own cookies: cut out of what goes to an upstream, refused when an upstream sets them.

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use crate::people::cookie::CookieFlags;

/// Cuts our cookies out of every `Cookie` header; the others stay byte for byte.
pub(super) fn cut(headers: &mut HeaderMap) {
    if !headers
        .get_all(COOKIE)
        .iter()
        .any(|value| holds_ours(value.as_bytes()))
    {
        return;
    }
    let mut lines = headers.get_all(COOKIE).iter();
    if let (Some(line), None) = (lines.next(), lines.next()) {
        match without_ours(line) {
            Some(rest) => headers.insert(COOKIE, rest),
            None => headers.remove(COOKIE),
        };
        return;
    }
    let kept: Vec<_> = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(without_ours)
        .collect();
    headers.remove(COOKIE);
    for line in kept {
        headers.append(COOKIE, line);
    }
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
