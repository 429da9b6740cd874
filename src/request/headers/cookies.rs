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
        (Some(line), None) => match without_ours(line) {
            Rest::Whole => return,
            Rest::Others(others) => Some(others),
            Rest::Nothing => None,
        },
        (Some(_), Some(_)) => {
            let lines = headers.get_all(COOKIE).iter();
            let others = lines.filter_map(|line| match without_ours(line) {
                Rest::Whole => Some(line.clone()),
                Rest::Others(others) => Some(others),
                Rest::Nothing => None,
            });
            joined(&others.collect::<Vec<_>>())
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

fn joined(lines: &[HeaderValue]) -> Option<HeaderValue> {
    let lines: Vec<_> = lines.iter().map(HeaderValue::as_bytes).collect();
    let one = Bytes::from(lines.join(&b"; "[..]));
    HeaderValue::from_maybe_shared(one)
        .ok()
        .filter(|line| !line.is_empty())
}

/// What is left of a `Cookie` header without ours.
enum Rest {
    /// None of them was ours.
    Whole,
    /// The other cookies.
    Others(HeaderValue),
    /// There are no others.
    Nothing,
}

/// Takes our cookies out of one header, in one pass over it.
fn without_ours(line: &HeaderValue) -> Rest {
    let bytes = line.as_bytes();
    let mut kept: Option<Vec<u8>> = None;
    let mut next = 0;
    for pair in bytes.split(|byte| *byte == b';') {
        let start = next;
        next += pair.len() + 1;
        if is_ours(name(pair)) {
            kept.get_or_insert_with(|| before(bytes, start));
        } else if let Some(kept) = &mut kept {
            if kept.is_empty() {
                kept.extend_from_slice(pair.trim_ascii_start());
            } else {
                kept.push(b';');
                kept.extend_from_slice(pair);
            }
        }
    }
    match kept {
        None => Rest::Whole,
        Some(kept) if kept.trim_ascii().is_empty() => Rest::Nothing,
        Some(kept) => {
            let value = HeaderValue::from_maybe_shared(Bytes::from(kept));
            value.map_or(Rest::Nothing, Rest::Others)
        }
    }
}

/// The cookies before the first of ours, with room for those behind it.
fn before(line: &[u8], ours: usize) -> Vec<u8> {
    let mut kept = Vec::with_capacity(line.len());
    let before = &line[..ours.saturating_sub(1)];
    let filled = before
        .iter()
        .position(|byte| !(byte.is_ascii_whitespace() || *byte == b';'));
    kept.extend_from_slice(&before[filled.unwrap_or(before.len())..]);
    kept
}

fn name(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

fn is_ours(name: &[u8]) -> bool {
    // Every form of ours holds these bytes; the names of others leave here, unread.
    let mentions_us = |part: &[u8]| part.eq_ignore_ascii_case(b"menshen");
    if !name.windows(b"menshen".len()).any(mentions_us) {
        return false;
    }
    // Bytes that are no text do not hide the text around them.
    CookieFlags::is_ours(&String::from_utf8_lossy(name))
}
