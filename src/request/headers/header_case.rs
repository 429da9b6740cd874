//! `HeaderCase`: preserves the case of header names, for programs that expect a certain case.
//!
//! hyper preserves it too, but in an extension that only hyper can create and read. So a head passes
//! through a hyper client connection to memory. A request then costs about 1.5 times as much, so only
//! routes with `keep_header_case` do this.

use std::collections::HashMap;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{Extensions, HeaderName, HeaderValue, Request, Response, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};

/// How many names a head may have.
const NAMES_MAX: usize = 1024;
/// How many times both ends of the connection are polled; three times suffice.
const POLLS_MAX: usize = 16;

/// Headers that hyper writes itself.
const WRITTEN_BY_HYPER: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The spelling of header names towards an upstream, by lower-case name.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderCase(HashMap<Box<[u8]>, Box<[u8]>>);

impl HeaderCase {
    /// The spelling that an HTTP/1.1 client used; HTTP/2 names are always in lower case.
    pub(super) fn of(parts: &Parts) -> Self {
        if parts.version == Version::HTTP_2 {
            return Self::default();
        }
        let mut request = Request::new(Empty::new());
        *request.extensions_mut() = parts.extensions.clone();
        let names = parts.headers.keys();
        for name in names.filter(|name| !WRITTEN_BY_HYPER.contains(name)) {
            let value = HeaderValue::from_static("");
            request.headers_mut().insert(name, value);
        }
        let response = Bytes::from_static(b"HTTP/1.1 204 No Content\r\n\r\n");
        let written = exchange_in_memory(request, response).map(|(written, _)| written);
        let written = written.unwrap_or_default();
        let lines = written.split(|byte| *byte == b'\n').skip(1);
        let spelled = lines.filter_map(|line| {
            let name = line.split(|byte| *byte == b':').next()?;
            Some((name.to_ascii_lowercase().into(), name.into()))
        });
        Self(spelled.collect())
    }

    /// Changes the lower-case names in a head to this spelling. Names that the client did not send get a
    /// capital at the start of each word.
    pub(super) fn apply(&self, head: &mut [u8]) {
        let lines = head.split_mut(|byte| *byte == b'\n').skip(1);
        for line in lines {
            let end = line.iter().position(|byte| *byte == b':');
            let name = &mut line[..end.unwrap_or(0)];
            match self.0.get(&*name) {
                Some(spelled) => name.copy_from_slice(spelled),
                None => capitalize(name),
            }
        }
    }
}

fn capitalize(name: &mut [u8]) {
    for word in name.split_mut(|byte| *byte == b'-') {
        if let Some(first) = word.first_mut() {
            first.make_ascii_uppercase();
        }
    }
}

/// The extension that makes hyper write a response's header names in this spelling.
pub(super) fn response_extensions(names: &[Bytes]) -> Option<Extensions> {
    let mut response = b"HTTP/1.1 200 OK\r\n".to_vec();
    let is_header =
        |name: &[u8], header: &HeaderName| name.eq_ignore_ascii_case(header.as_str().as_bytes());
    let is_chunked = names.iter().any(|name| is_header(name, &TRANSFER_ENCODING));
    for name in names {
        let value: &[u8] = if is_header(name, &TRANSFER_ENCODING) {
            b"chunked"
        } else if !is_header(name, &CONTENT_LENGTH) {
            b""
        } else if is_chunked {
            // A response with both headers would be ambiguous.
            continue;
        } else {
            b"0"
        };
        for part in [&name[..], b": ", value, b"\r\n"] {
            response.extend_from_slice(part);
        }
    }
    let end_of_head_and_body: &[u8] = if is_chunked {
        b"\r\n0\r\n\r\n"
    } else {
        b"\r\n"
    };
    response.extend_from_slice(end_of_head_and_body);
    let (_, response) = exchange_in_memory(Request::new(Empty::new()), Bytes::from(response))?;
    Some(response.into_parts().0.extensions)
}

/// Sends a request to memory and reads a response from there; returns the bytes that were written
/// and the response.
fn exchange_in_memory(
    request: Request<Empty<Bytes>>,
    response: Bytes,
) -> Option<(Vec<u8>, Response<Incoming>)> {
    let exchange = async {
        let memory = MemoryConnection {
            response,
            written: Vec::new(),
        };
        let builder = http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(NAMES_MAX)
            .handshake(memory);
        let (mut sender, mut connection) = builder.await.ok()?;
        let mut response = pin!(sender.send_request(request));
        let response = std::future::poll_fn(|cx| {
            for _ in 0..POLLS_MAX {
                if let Poll::Ready(response) = response.as_mut().poll(cx) {
                    return Poll::Ready(response.ok());
                }
                // The end of the connection does not matter once the response is read.
                let _ = connection.poll_without_shutdown(cx);
            }
            Poll::Ready(None)
        });
        let response = response.await?;
        Some((connection.into_parts().io.written, response))
    };
    // It never waits, so the cooperative budget of the task does not apply.
    let exchange = pin!(tokio::task::coop::unconstrained(exchange));
    match exchange.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => None,
    }
}

/// The server end of the connection, with a prepared response.
struct MemoryConnection {
    response: Bytes,
    written: Vec<u8>,
}

impl Read for MemoryConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper rejects a response before the request.
        if self.written.is_empty() || self.response.is_empty() {
            return Poll::Pending;
        }
        let count = self.response.len().min(buffer.remaining());
        buffer.put_slice(&self.response.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl Write for MemoryConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
