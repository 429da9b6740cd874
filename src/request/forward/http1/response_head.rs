//! The head of an answer: parsed strictly, and framed in one way or refused.

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

use control_fields::ControlFields;

mod control_fields;

/// How many header lines an answer may have.
const LINES_MAX: usize = 1000;
/// How many most answers have at most: room for these costs nothing.
const LINES_USUAL: usize = 100;

/// What an upstream says before the body.
#[derive(Debug)]
pub(in super::super) struct ResponseHead {
    /// Never an interim one, except `101`.
    pub(in super::super) status: StatusCode,
    pub(in super::super) headers: HeaderMap,
    /// Its names as they are spelled, line by line, where that was asked for.
    pub(in super::super) names: Vec<Bytes>,
    /// The words behind the status, where they are not the usual ones.
    pub(in super::super) reason: Option<ReasonPhrase>,
    pub(super) framing: Framing,
    /// Whether the upstream means to go on using the connection.
    pub(super) allows_reuse: bool,
    /// How long it keeps the connection open without a request, where it says so.
    pub(super) keep_alive: Option<Duration>,
    /// Whether it asks for credentials.
    pub(in super::super) has_challenge: bool,
}

/// A head, in a box because it passes many hands, and how many bytes it has.
type Parsed = (Box<ResponseHead>, usize);

/// What is known of an answer before it comes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct ExpectedHead {
    /// The request was a HEAD, so that no body follows whatever the head says.
    pub(in super::super) for_head_request: bool,
    /// Whether it matters how its names are spelled.
    pub(in super::super) keeps_header_case: bool,
}

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// Where its last chunk says.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// A head that is none, or that could be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum ResponseHeadError {
    #[error("the head of the answer is no HTTP/1")]
    Syntax(#[source] httparse::Error),
    #[error("the answer has more than {LINES_MAX} header lines")]
    Lines,
    #[error("the status of the answer is none")]
    Status,
    #[error("the length of the answer is no number, or there are several")]
    Length,
    #[error("the answer has a coding that is not `chunked`, or that HTTP/1.0 does not know")]
    Coding,
    #[error("the answer has both a length and a coding")]
    LengthAndCoding,
}

/// Parses a head, and says how many bytes it has; nothing when it is not all there.
pub(super) fn parse(
    read: &Bytes,
    expected: ExpectedHead,
) -> Result<Option<Parsed>, ResponseHeadError> {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_USUAL];
    match parse_lines(read, expected, &mut lines) {
        Err(ResponseHeadError::Lines) => {
            let mut lines = vec![MaybeUninit::uninit(); LINES_MAX];
            parse_lines(read, expected, &mut lines)
        }
        parsed => parsed,
    }
}

/// The same, with room for as many header lines as `lines` has.
fn parse_lines<'read>(
    read: &'read Bytes,
    expected: ExpectedHead,
    lines: &mut [MaybeUninit<httparse::Header<'read>>],
) -> Result<Option<Parsed>, ResponseHeadError> {
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        read,
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
        let value = HeaderValue::from_maybe_shared(read.slice_ref(line.value));
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
        // Whoever announces content where there can be none might send it all the same, a moment
        // later, and the next person would take it for their answer: such a connection is not used
        // again. A 304 names the length of what it stands for, and is too common for that.
        let length_alone =
            matches!(framing, Framing::Length(_)) && status != StatusCode::NO_CONTENT;
        let quiet = matches!(
            framing,
            Framing::Empty | Framing::UntilClose | Framing::Length(0)
        );
        let sure = quiet || (status == StatusCode::NOT_MODIFIED && length_alone);
        if has_no_body {
            (Framing::Empty, sure)
        } else {
            (framing, true)
        }
    };
    let allows_reuse = is_unambiguous && control.keeps_connection(is_http_1_0);
    let names = match expected.keeps_header_case {
        true => parsed
            .headers
            .iter()
            .map(|line| read.slice_ref(line.name.as_bytes()))
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

/// What an answer says behind its status, unless it is what we would say ourselves. Words that are
/// not ASCII are lost: nothing says how they are encoded.
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
            httparse::Error::TooManyHeaders => Self::Lines,
            other => Self::Syntax(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: ExpectedHead = ExpectedHead {
        for_head_request: false,
        keeps_header_case: false,
    };

    fn head(text: &str) -> Result<Option<Parsed>, ResponseHeadError> {
        parse(&Bytes::copy_from_slice(text.as_bytes()), PLAIN)
    }

    fn framed(lines: &str) -> Result<Framing, ResponseHeadError> {
        head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).map(|head| head.unwrap().0.framing)
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
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
            assert_eq!(framed(lines), Ok(framing), "{lines:?}");
        }
    }

    #[test]
    fn a_head_that_could_be_read_in_two_ways_is_refused() {
        use ResponseHeadError::{Coding, Length, LengthAndCoding};
        for (lines, why) in [
            ("Content-Length: 7\r\nContent-Length: 8\r\n", Length),
            ("Content-Length: 7, 8\r\n", Length),
            ("Content-Length: \r\n", Length),
            ("Content-Length: 7,\r\n", Length),
            ("Content-Length: +7\r\n", Length),
            ("Content-Length: -7\r\n", Length),
            ("Content-Length: 0x7\r\n", Length),
            ("Content-Length: 7 7\r\n", Length),
            ("Content-Length: 18446744073709551616\r\n", Length),
            (
                "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
                LengthAndCoding,
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n",
                LengthAndCoding,
            ),
            (
                "Content-Length: 7\r\nTransfer-Encoding: identity\r\n",
                LengthAndCoding,
            ),
            ("Transfer-Encoding: gzip\r\n", Coding),
            ("Transfer-Encoding: gzip, chunked\r\n", Coding),
            ("Transfer-Encoding: chunked, identity\r\n", Coding),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                Coding,
            ),
            ("Transfer-Encoding: xchunked\r\n", Coding),
            ("Transfer-Encoding: \"chunked\"\r\n", Coding),
            (
                "Transfer-Encoding: chunked\u{b}\r\n",
                ResponseHeadError::Syntax(httparse::Error::HeaderValue),
            ),
            ("Transfer-Encoding:\r\n", Coding),
        ] {
            assert_eq!(framed(lines), Err(why), "{lines:?}");
        }
        let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(head(old).unwrap_err(), Coding);
    }

    #[test]
    fn a_head_that_is_none_is_refused() {
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
            assert!(head(text).is_err(), "{text:?}");
        }
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "A: b\r\n".repeat(LINES_MAX + 1)
        );
        assert_eq!(head(&many).unwrap_err(), ResponseHeadError::Lines);
    }

    #[test]
    fn answers_that_have_no_body_have_none_whatever_they_say() {
        for status in [
            "100 Continue",
            "101 Switching Protocols",
            "204 None",
            "304 Same",
        ] {
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 7\r\n\r\n");
            assert_eq!(
                head(&text).unwrap().unwrap().0.framing,
                Framing::Empty,
                "{status}"
            );
        }
        let whole = Bytes::from_static(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
        let for_head_request = ExpectedHead {
            for_head_request: true,
            ..PLAIN
        };
        assert_eq!(
            parse(&whole, for_head_request).unwrap().unwrap().0.framing,
            Framing::Empty
        );
    }

    #[test]
    fn a_connection_is_kept_when_both_versions_of_http_say_so() {
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
                head(&text).unwrap().unwrap().0.allows_reuse,
                kept,
                "{text:?}"
            );
        }
    }

    #[test]
    fn an_upstream_says_how_long_it_keeps_a_connection() {
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
            let keep_alive = head(&text).unwrap().unwrap().0.keep_alive;
            assert_eq!(keep_alive, seconds.map(Duration::from_secs), "{lines:?}");
        }
    }

    #[test]
    fn a_head_is_parsed_when_it_is_all_there_and_not_before() {
        let text = "HTTP/1.1 200 OK\r\nA: b\r\nA: c\r\n\r\n";
        for end in 0..text.len() {
            assert!(head(&text[..end]).unwrap().is_none(), "{end}");
        }
        let (head, bytes) = head(&format!("{text}body")).unwrap().unwrap();
        assert_eq!(bytes, text.len());
        assert_eq!(head.headers.get_all("a").iter().count(), 2);
    }
}
