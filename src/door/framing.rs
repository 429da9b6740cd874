//! A second parser for the heads of HTTP/1.1 requests, which protects against request smuggling.
//!
//! hyper accepts many spellings of `Transfer-Encoding`, and hides a `Content-Length` beside it. A proxy
//! in front of menshen may find another end of such a body and take the rest for another request, or
//! the reverse. So menshen parses the heads itself and refuses requests with ambiguous framing.
//!
//! Most requests have no body. Of their heads only the request line is parsed a second time: the URI type
//! of hyper refuses targets that old clients send, and drops a fragment. Such a target is rewritten before
//! hyper reads it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::request::Body;
use heads::{HeadReader, TransferCoding};

mod heads;
mod request_line;
mod rewrite;

/// The body of the response to a request with ambiguous framing.
const REFUSAL: &[u8] =
    b"A request must have either one Content-Length or one \"Transfer-Encoding: chunked\".\n";

/// A stream whose bytes pass through [`Framing`] as hyper reads them.
#[derive(Debug)]
pub(super) struct InspectedStream<T> {
    stream: T,
    framing: Arc<Framing>,
    /// Bytes that hyper reads instead of received ones.
    replacement: Vec<u8>,
    /// How many bytes of `replacement` hyper has read.
    delivered_bytes: usize,
    /// Whether the reader has replaced bytes. It holds bytes back only after that.
    may_hold_back: bool,
}

/// The framing of the requests of a connection.
#[derive(Debug)]
pub(super) struct Framing {
    reader: Mutex<HeadReader>,
    /// How many requests without a body hyper has parsed that the reader has not accounted for.
    bodiless: AtomicU32,
}

impl<T> InspectedStream<T> {
    /// `head_bytes_max`: the longest head that hyper accepts.
    pub(super) fn new(stream: T, head_bytes_max: usize) -> (Self, Arc<Framing>) {
        let framing = Arc::new(Framing {
            reader: Mutex::new(HeadReader::new(head_bytes_max)),
            bodiless: AtomicU32::new(0),
        });
        let inspected = Self {
            stream,
            framing: Arc::clone(&framing),
            replacement: Vec::new(),
            delivered_bytes: 0,
            may_hold_back: false,
        };
        (inspected, framing)
    }

    /// Copies replacement bytes into `buffer`. Returns whether there were any.
    fn deliver_replacement(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.may_hold_back {
            let released = self.framing.reader().take_held_back();
            self.replacement.extend_from_slice(&released);
        }
        let rest = &self.replacement[self.delivered_bytes..];
        let bytes = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..bytes]);
        self.delivered_bytes += bytes;
        if self.delivered_bytes == self.replacement.len() {
            (self.replacement, self.delivered_bytes) = (Vec::new(), 0);
        }
        bytes > 0
    }
}

impl Framing {
    /// Whether the framing of a request is unambiguous. Must be called for every request of the
    /// connection, in order.
    pub(super) fn is_unambiguous<B: http_body::Body>(&self, request: &Request<B>) -> bool {
        // hyper reports a body for every request with a transfer coding, even for an empty one.
        if request.body().is_end_stream() {
            self.bodiless.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let bodiless = self.bodiless.swap(0, Ordering::Relaxed);
        let coding = self.reader().next_coding(bodiless);
        coding == Some(TransferCoding::Chunked)
            || !request.headers().contains_key(TRANSFER_ENCODING)
    }

    /// Stops parsing: the connection is a tunnel from here on.
    pub(super) fn stop(&self) {
        self.reader().stop();
    }

    /// Parses received bytes. Returns the bytes that hyper must read instead, if they differ.
    fn parse_received(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.reader().parse_received(bytes, &self.bodiless)
    }

    fn reader(&self) -> MutexGuard<'_, HeadReader> {
        // Only the task of the connection takes the lock, so it is never contended.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The response to a request with ambiguous framing. It closes the connection, because the start of the
/// next request is ambiguous, too.
pub(super) fn refusal() -> Response<Body> {
    let body = Full::new(Bytes::from_static(REFUSAL)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

impl<T: AsyncRead + Unpin> AsyncRead for InspectedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.deliver_replacement(buffer) || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            let received = &buffer.filled()[before..];
            let replacement = match received.is_empty() {
                false => this.framing.parse_received(received),
                // At the end of the stream, hyper gets the incomplete request line that was held back.
                true => Some(this.framing.reader().take_held_back_at_end())
                    .filter(|held_back| !held_back.is_empty()),
            };
            let Some(replacement) = replacement else {
                return Poll::Ready(Ok(()));
            };
            buffer.set_filled(before);
            (this.replacement, this.may_hold_back) = (replacement, true);
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for InspectedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
