//! Parses the head of a response strictly; an ambiguous framing is refused.

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

use control_fields::ControlFields;

mod control_fields;

/// How many header lines a response may have.
const LINES_MAX: usize = 1000;
/// How many header lines are parsed without allocating; enough for most responses.
const LINES_ON_STACK: usize = 100;

/// The status and the headers of a response.
#[derive(Debug)]
pub(in crate::request::forward) struct ResponseHead {
    /// Not an interim status, except `101`.
    pub(in crate::request::forward) status: StatusCode,
    pub(in crate::request::forward) headers: HeaderMap,
    /// The header names in their original case, if that was requested.
    pub(in crate::request::forward) names: Vec<Bytes>,
    /// The reason phrase, if it is not the standard one.
    pub(in crate::request::forward) reason: Option<ReasonPhrase>,
    pub(super) framing: Framing,
    /// Whether the connection can be reused after this response.
    pub(super) allows_reuse: bool,
    /// The `Keep-Alive` time-out, if there is one.
    pub(super) keep_alive: Option<Duration>,
    /// Whether the response has an authentication challenge.
    pub(in crate::request::forward) has_challenge: bool,
}

/// A head, boxed because it is moved often, and its length in bytes.
type HeadAndLength = (Box<ResponseHead>, usize);

/// What the request determines about its response.
#[derive(Clone, Copy, Debug)]
pub(in crate::request::forward) struct ExpectedHead {
    /// The request was a HEAD, so the response has no body.
    pub(in crate::request::forward) for_head_request: bool,
    /// Whether the original case of header names is needed.
    pub(in crate::request::forward) keeps_header_case: bool,
}

/// How the end of a body is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    Empty,
    Length(u64),
    Chunked,
    /// At the end of the connection.
    UntilClose,
}

/// An invalid or ambiguous response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::request::forward) enum ResponseHeadError {
    #[error("the head of the response is not HTTP/1")]
    Syntax(#[source] httparse::Error),
    #[error("the response has more than {LINES_MAX} header lines")]
    TooManyLines,
    #[error("the response has no valid status")]
    Status,
    #[error("the Content-Length of the response is not a number, or there are several")]
    ContentLength,
    #[error("the response has a Transfer-Encoding other than `chunked`, or any over HTTP/1.0")]
    TransferEncoding,
    #[error("the response has both Content-Length and Transfer-Encoding")]
    LengthAndTransferEncoding,
}

/// Parses a head; `None` if it is incomplete.
pub(super) fn parse(
    received: &Bytes,
    expected: ExpectedHead,
) -> Result<Option<HeadAndLength>, ResponseHeadError> {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_ON_STACK];
    match parse_lines(received, expected, &mut lines) {
        Err(ResponseHeadError::TooManyLines) => {
            let mut lines = vec![MaybeUninit::uninit(); LINES_MAX];
            parse_lines(received, expected, &mut lines)
        }
        parsed => parsed,
    }
}

/// Like [`parse`], with at most `lines.len()` header lines.
fn parse_lines<'received>(
    received: &'received Bytes,
    expected: ExpectedHead,
    lines: &mut [MaybeUninit<httparse::Header<'received>>],
) -> Result<Option<HeadAndLength>, ResponseHeadError> {
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        received,
        lines,
    );
    let bytes = match status.map_err(ResponseHeadError::from)? {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return Ok(None),
    };
    let code = parsed.code.ok_or(ResponseHeadError::Status)?;
    let status = StatusCode::from_u16(code).map_err(|_| ResponseHeadError::Status)?;
    let is_http_1_0 = parsed.version != Some(1);
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    let mut control = ControlFields::default();
    for line in parsed.headers.iter() {
        control.read(line.name, line.value);
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let name = name.map_err(|_| ResponseHeadError::Syntax(httparse::Error::HeaderName))?;
        let value = HeaderValue::from_maybe_shared(received.slice_ref(line.value));
        let value = value.map_err(|_| ResponseHeadError::Syntax(httparse::Error::HeaderValue))?;
        headers.append(name, value);
    }
    let (framing, is_unambiguous) = if status.is_informational() {
        (Framing::Empty, true)
    } else {
        let framing = control.framing(is_http_1_0)?;
        control.join_lengths(&mut headers);
        let has_no_body = expected.for_head_request
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        // An upstream that announces a body where none is allowed might still send it, and it would
        // be taken for the response to the next request, so the connection is not reused. A 304
        // with `Content-Length` is an exception: it is common, and the length describes the cached
        // body.
        let announces_no_bytes = matches!(
            framing,
            Framing::Empty | Framing::UntilClose | Framing::Length(0)
        );
        let describes_cached_body =
            status == StatusCode::NOT_MODIFIED && matches!(framing, Framing::Length(_));
        if has_no_body {
            (Framing::Empty, announces_no_bytes || describes_cached_body)
        } else {
            (framing, true)
        }
    };
    let allows_reuse = is_unambiguous && control.keeps_connection(is_http_1_0);
    let names = match expected.keeps_header_case {
        true => parsed
            .headers
            .iter()
            .map(|line| received.slice_ref(line.name.as_bytes()))
            .collect(),
        false => Vec::new(),
    };
    let head = Box::new(ResponseHead {
        status,
        headers,
        names,
        reason: unusual_reason(status, parsed.reason),
        framing,
        allows_reuse,
        keep_alive: control.keep_alive,
        has_challenge: control.has_challenge,
    });
    Ok(Some((head, bytes)))
}

/// The reason phrase of a response, unless it is the standard one. A phrase that is not ASCII is
/// dropped because its encoding is unknown.
fn unusual_reason(status: StatusCode, reason: Option<&str>) -> Option<ReasonPhrase> {
    let reason = reason.filter(|reason| !reason.is_empty())?;
    if status.canonical_reason() == Some(reason) {
        return None;
    }
    ReasonPhrase::try_from(reason.as_bytes()).ok()
}

impl From<httparse::Error> for ResponseHeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyLines,
            other => Self::Syntax(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of the response to a GET request.
    const FOR_GET: ExpectedHead = ExpectedHead {
        for_head_request: false,
        keeps_header_case: false,
    };

    fn parse_head(text: &str) -> Result<Option<HeadAndLength>, ResponseHeadError> {
        parse(&Bytes::copy_from_slice(text.as_bytes()), FOR_GET)
    }

    fn framing_of(lines: &str) -> Result<Framing, ResponseHeadError> {
        parse_head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).map(|head| head.unwrap().0.framing)
    }

    #[test]
    fn the_head_determines_the_end_of_the_body() {
        for (lines, framing) in [
            ("", Framing::UntilClose),
            ("Content-Length: 0\r\n", Framing::Length(0)),
            ("Content-Length: 007\r\n", Framing::Length(7)),
            (
                "Content-Length: 7\r\nContent-Length: 7\r\n",
                Framing::Length(7),
            ),
            ("Content-Length: 7, 7\r\n", Framing::Length(7)),
            (
                "Content-Length: 18446744073709551615\r\n",
                Framing::Length(u64::MAX),
            ),
            ("Transfer-Encoding: Chunked\r\n", Framing::Chunked),
        ] {
            assert_eq!(framing_of(lines), Ok(framing), "{lines:?}");
        }
    }

    #[test]
    fn an_ambiguous_head_is_refused() {
        use ResponseHeadError::{ContentLength, LengthAndTransferEncoding, TransferEncoding};
        for (lines, why) in [
            ("Content-Length: 7\r\nContent-Length: 8\r\n", ContentLength),
            ("Content-Length: 7, 8\r\n", ContentLength),
            ("Content-Length: \r\n", ContentLength),
            ("Content-Length: 7,\r\n", ContentLength),
            ("Content-Length: +7\r\n", ContentLength),
            ("Content-Length: -7\r\n", ContentLength),
            ("Content-Length: 0x7\r\n", ContentLength),
            ("Content-Length: 7 7\r\n", ContentLength),
            ("Content-Length: 18446744073709551616\r\n", ContentLength),
            (
                "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
                LengthAndTransferEncoding,
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
                LengthAndTransferEncoding,
            ),
            (
                "Content-Length: 7\r\nTransfer-Encoding: identity\r\n",
                LengthAndTransferEncoding,
            ),
            ("Transfer-Encoding: gzip\r\n", TransferEncoding),
            ("Transfer-Encoding: gzip, chunked\r\n", TransferEncoding),
            ("Transfer-Encoding: chunked, identity\r\n", TransferEncoding),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                TransferEncoding,
            ),
            ("Transfer-Encoding: xchunked\r\n", TransferEncoding),
            ("Transfer-Encoding: \"chunked\"\r\n", TransferEncoding),
            (
                "Transfer-Encoding: chunked\u{b}\r\n",
                ResponseHeadError::Syntax(httparse::Error::HeaderValue),
            ),
            ("Transfer-Encoding:\r\n", TransferEncoding),
        ] {
            assert_eq!(framing_of(lines), Err(why), "{lines:?}");
        }
        let http_1_0 = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(parse_head(http_1_0).unwrap_err(), TransferEncoding);
    }

    #[test]
    fn an_invalid_head_is_refused() {
        for text in [
            "SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 99 Low\r\n\r\n",
            "HTTP/1.1 099 Low\r\n\r\n",
            "HTTP/1.1 2000 High\r\n\r\n",
            "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\rContent-Length: 1\r\n\r\n",
        ] {
            assert!(parse_head(text).is_err(), "{text:?}");
        }
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "A: b\r\n".repeat(LINES_MAX + 1)
        );
        assert_eq!(
            parse_head(&many).unwrap_err(),
            ResponseHeadError::TooManyLines
        );
    }

    #[test]
    fn responses_without_a_body_ignore_content_length() {
        for status in [
            "100 Continue",
            "101 Switching Protocols",
            "204 None",
            "304 Same",
        ] {
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 7\r\n\r\n");
            assert_eq!(
                parse_head(&text).unwrap().unwrap().0.framing,
                Framing::Empty,
                "{status}"
            );
        }
        let head = Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
        let for_head_request = ExpectedHead {
            for_head_request: true,
            ..FOR_GET
        };
        assert_eq!(
            parse(&head, for_head_request).unwrap().unwrap().0.framing,
            Framing::Empty
        );
    }

    #[test]
    fn a_connection_is_reusable_by_the_rules_of_its_http_version() {
        for (start, options, kept) in [
            ("HTTP/1.1", "", true),
            ("HTTP/1.1", "Connection: foo, Close\r\n", false),
            (
                "HTTP/1.1",
                "Connection: keep-alive\r\nConnection: close\r\n",
                false,
            ),
            ("HTTP/1.0", "", false),
            ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ] {
            let text = format!("{start} 200 OK\r\n{options}Content-Length: 0\r\n\r\n");
            assert_eq!(
                parse_head(&text).unwrap().unwrap().0.allows_reuse,
                kept,
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_keep_alive_time_out_is_parsed() {
        for (lines, seconds) in [
            ("", None),
            ("Keep-Alive: timeout=5\r\n", Some(5)),
            ("keep-alive: max=100, Timeout = 7\r\n", Some(7)),
            ("Keep-Alive: timeout=9; max=1\r\n", Some(9)),
            ("Keep-Alive: timeout=0\r\n", Some(0)),
            (
                "Keep-Alive: timeout=8\r\nKeep-Alive: timeout=3\r\n",
                Some(3),
            ),
            ("Keep-Alive: max=100\r\n", None),
            ("Keep-Alive: timeout=\r\n", None),
            ("Keep-Alive: timeout=soon\r\n", None),
            ("Keep-Alive: timeout=-1\r\n", None),
            ("Keep-Alive: timeouts=1\r\n", None),
            ("X-Keep-Alive: timeout=1\r\n", None),
        ] {
            let text = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
            let keep_alive = parse_head(&text).unwrap().unwrap().0.keep_alive;
            assert_eq!(keep_alive, seconds.map(Duration::from_secs), "{lines:?}");
        }
    }

    #[test]
    fn a_head_is_parsed_once_it_is_complete() {
        let text = "HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n\r\n";
        for end in 0..text.len() {
            assert!(parse_head(&text[..end]).unwrap().is_none(), "{end}");
        }
        let (head, bytes) = parse_head(&format!("{text}body")).unwrap().unwrap();
        assert_eq!(bytes, text.len());
        assert_eq!(head.headers.get_all("a").iter().count(), 2);
    }
}
