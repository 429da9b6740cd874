//! The heads of HTTP/1.1 requests, read beside hyper: where their bodies end, and their targets.
//!
//! hyper takes `Transfer-Encoding` in many spellings, and hides a `Content-Length` beside it. A proxy
//! in front of us may read such a request in another way, and then two people share what one sent.
//! So the bytes of a connection are kept until it is known what their head says.
//!
//! Most requests have no body. Their bytes are copied and forgotten, and nobody reads them a second
//! time but for the request line: the URI type of hyper refuses targets that old clients send, and
//! cuts off what begins with `#`. hyper is delivered such a target in another spelling.

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

/// What a client is told whose request says in two ways, or in an unusual one, where its body ends.
const REFUSAL: &[u8] =
    b"A request must have either one Content-Length or one \"Transfer-Encoding: chunked\".\n";

/// A stream whose bytes are noted as they are read, some of them in another spelling than they received.
#[derive(Debug)]
pub(super) struct InspectedStream<T> {
    stream: T,
    framing: Arc<Framing>,
    /// What is delivered in the place of bytes that received, and how much of it was.
    replacement: Vec<u8>,
    delivered: usize,
    /// Whether some bytes did not go on as they received: then the reader may hold some back.
    may_hold_back: bool,
}

/// What is known of the heads that received over a connection.
#[derive(Debug)]
pub(super) struct Framing {
    reader: Mutex<HeadReader>,
    /// How many requests without a body were served since the reader was last asked.
    bodiless: AtomicU32,
}

impl<T> InspectedStream<T> {
    /// `head_bytes_max` is the longest head that hyper takes.
    pub(super) fn new(stream: T, head_bytes_max: usize) -> (Self, Arc<Framing>) {
        let framing = Arc::new(Framing {
            reader: Mutex::new(HeadReader::new(head_bytes_max)),
            bodiless: AtomicU32::new(0),
        });
        let inspected = Self {
            stream,
            framing: Arc::clone(&framing),
            replacement: Vec::new(),
            delivered: 0,
            may_hold_back: false,
        };
        (inspected, framing)
    }

    /// Gives what stands in the place of other bytes; false when there is nothing.
    fn deliver(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.may_hold_back {
            let released = self.framing.reader().release(false);
            self.replacement.extend_from_slice(&released);
        }
        let rest = &self.replacement[self.delivered..];
        let here = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..here]);
        self.delivered += here;
        if self.delivered == self.replacement.len() {
            (self.replacement, self.delivered) = (Vec::new(), 0);
        }
        here > 0
    }
}

impl Framing {
    /// Whether the head of a request says where its body ends in the one way that nobody reads
    /// otherwise. Must be asked about every request of the connection, in order.
    pub(super) fn is_unambiguous<B: http_body::Body>(&self, request: &Request<B>) -> bool {
        // A coding always comes with a body, even if that turns out to be empty.
        if request.body().is_end_stream() {
            self.bodiless.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let coding = self.reader().next(self.bodiless.swap(0, Ordering::Relaxed));
        coding == Some(TransferCoding::Chunked)
            || !request.headers().contains_key(TRANSFER_ENCODING)
    }

    /// Stops reading: what follows is not HTTP.
    pub(super) fn stop(&self) {
        self.reader().stop();
    }

    /// Takes what received; gives what hyper is to be delivered replacement, if anything.
    fn note(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.reader().note(bytes, &self.bodiless)
    }

    fn reader(&self) -> MutexGuard<'_, HeadReader> {
        // Only the task of the connection asks: nobody ever waits here.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a request that is not clear. It ends the connection: where the next request begins
/// is a matter of opinion.
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
            if this.deliver(buffer) || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            let received = &buffer.filled()[before..];
            let replacement = match received.is_empty() {
                false => this.framing.note(received),
                // The client sends no more: what was held back becomes no request line.
                true => Some(this.framing.reader().release(true)).filter(|held| !held.is_empty()),
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
