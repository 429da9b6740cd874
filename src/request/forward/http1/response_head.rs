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
mod tests;
