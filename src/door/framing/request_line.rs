//! The request line: whether hyper can parse it as it is, and how it is rewritten if not.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::request::target;

/// The longest part of an incomplete line that is checked for a method, in bytes.
const METHOD_BYTES_CHECKED: usize = 128;

/// The bytes of a target that hyper accepts as they are.
const IS_ORDINARY: [bool; 256] = {
    let mut ordinary = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        ordinary[byte as usize] = !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'`');
        byte += 1;
    }
    ordinary
};

/// Whether the bytes are one head or its beginning, with a request line that hyper accepts as it is.
pub(super) fn is_ordinary_head(bytes: &[u8]) -> bool {
    static HEAD_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\r\n"));
    let Some(end) = ordinary_line_bytes(bytes) else {
        return false;
    };
    // The search begins at the line end of the request line: the head may have no fields.
    let fields = &bytes[end - 1..];
    let head_end = HEAD_END.find(fields);
    head_end.is_none_or(|start| start + b"\n\r\n".len() == fields.len())
}

/// The length of the request line at the start of the bytes, if hyper accepts it as it is.
fn ordinary_line_bytes(bytes: &[u8]) -> Option<usize> {
    let method_bytes = bytes.iter().position(|byte| *byte == b' ')?;
    let target = bytes
        .get(method_bytes + 1..)
        .filter(|rest| rest.starts_with(b"/"))?;
    let target_bytes = ordinary_prefix_bytes(target);
    let version = target[target_bytes..].strip_prefix(b" HTTP/1.")?;
    let has_line_end = version.starts_with(b"1\r\n") || version.starts_with(b"0\r\n");
    has_line_end.then_some(bytes.len() - version.len() + 3)
}

/// The number of ordinary bytes at the start. Checking four at a time takes a third less time.
fn ordinary_prefix_bytes(target: &[u8]) -> usize {
    let is_ordinary = |byte: u8| IS_ORDINARY[usize::from(byte)];
    let (fours, _) = target.as_chunks::<4>();
    let are_ordinary = |four: &&[u8; 4]| {
        let [a, b, c, d] = **four;
        is_ordinary(a) & is_ordinary(b) & is_ordinary(c) & is_ordinary(d)
    };
    let checked = 4 * fours.iter().take_while(are_ordinary).count();
    let rest = target[checked..].iter();
    checked + rest.take_while(|byte| is_ordinary(**byte)).count()
}

/// The line with a target that hyper can parse; `None` if it needs no change. hyper refuses a line with
/// any other fault.
pub(super) fn rewritten(line: &[u8]) -> Option<Vec<u8>> {
    if ordinary_line_bytes(line).is_some() {
        return None;
    }
    let text = line.strip_suffix(b"\n")?;
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let start = text.iter().position(|byte| *byte == b' ')? + 1;
    let end = text.iter().rposition(|byte| *byte == b' ')?;
    if start > end || !matches!(&text[end..], b" HTTP/1.1" | b" HTTP/1.0") {
        return None;
    }
    match target::normalize(&line[start..end]) {
        Cow::Borrowed(_) => None,
        Cow::Owned(target) => Some([&line[..start], &target, &line[end..]].concat()),
    }
}

/// Whether the bytes can be the beginning of a request line, or of an empty line before one.
pub(super) fn may_begin(line: &[u8]) -> bool {
    let is_method = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
    let start = &line[..line.len().min(METHOD_BYTES_CHECKED)];
    let end = start.iter().position(|byte| *byte == b' ');
    line == b"\r" || start[..end.unwrap_or(start.len())].iter().all(is_method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_head_is_recognized() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET /a?b=%zz&c={d}|^\\ HTTP/1.0\r\nHost: h\r\n\r\n",
            "PROPFIND /a HTTP/1.1\r\nA: b",
            "\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert!(is_ordinary_head(head.as_bytes()), "{head:?}");
            assert_eq!(rewritten(head.as_bytes()), None, "{head:?}");
        }
        for head in [
            "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\nA: b\r\n\r\nGET /a#",
            "GET / HTTP/1.1\n\n",
            "GET /a<b HTTP/1.1\r\n\r\n",
            "GET /a#b HTTP/1.1\r\n\r\n",
            "GET /财 HTTP/1.1\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1",
            "GET /",
            "",
        ] {
            assert!(!is_ordinary_head(head.as_bytes()), "{head:?}");
        }
    }

    #[test]
    fn only_the_target_of_a_request_line_is_rewritten() {
        for (line, expected) in [
            (&b"GET /a<b HTTP/1.1\r\n"[..], "GET /a%3Cb HTTP/1.1\r\n"),
            (b"GET /?\xb2 HTTP/1.0\n", "GET /?%B2 HTTP/1.0\n"),
            (
                b"GET /a#b HTTP/1.1\r\n",
                "GET refused-target://-/a%23b HTTP/1.1\r\n",
            ),
            (
                b"GET /a b HTTP/1.1\r\n",
                "GET refused-target://-/a%20b HTTP/1.1\r\n",
            ),
            (b"GET  HTTP/1.1\r\n", "GET refused-target://-/ HTTP/1.1\r\n"),
        ] {
            assert_eq!(rewritten(line).unwrap(), expected.as_bytes());
        }
        for line in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"GET /\xe8\xb4\xa2 HTTP/1.1\r\n",
            b"OPTIONS * HTTP/1.1\r\n",
            b"GET /a<b HTTP/2.0\r\n",
            b"GET /a<b HTTP/1.1\r\r\n",
            b"GET /a<b\r\n",
            b"GET HTTP/1.1\r\n",
            b" HTTP/1.1\r\n",
            b"\r\n",
        ] {
            assert_eq!(rewritten(line), None);
        }
    }

    #[test]
    fn bytes_that_cannot_begin_a_request_line_are_recognized() {
        for begin in [
            "",
            "\r",
            "G",
            "GET",
            "GET ",
            "GET /a<#\"",
            "get /",
            "M-SEARCH * H",
        ] {
            assert!(may_begin(begin.as_bytes()), "{begin:?}");
        }
        for begin in [
            &b"\x16\x03\x01\x02\x00"[..],
            b"\x81\x05hello",
            b"{",
            b"a:b",
            b"\r\r",
            b"\0",
        ] {
            assert!(!may_begin(begin), "{begin:?}");
        }
    }
}
