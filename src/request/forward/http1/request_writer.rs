//! `Sending`: a request on its way to the upstream, as few writes as it can be.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::super::request_body::{BodyAborted, RequestBody};

/// Room for a usual head; a connection that waits keeps no more.
const PREFIX_CAPACITY: usize = 4 * 1024;

/// What waits to be written, in this order: `text`, `piece`, `end`.
#[derive(Default)]
pub(super) struct RequestWriter {
    /// A head, or the line with the size of a chunk.
    prefix: Vec<u8>,
    /// How much of it went.
    prefix_written: usize,
    /// Of the body.
    data: Bytes,
    /// What ends a chunk, or the last one.
    suffix: &'static [u8],
    upload: Option<BodySource>,
    /// Whether any byte of the request went.
    has_sent_bytes: bool,
    /// Whether TLS may hold some of it back.
    needs_flush: bool,
}

struct BodySource {
    body: RequestBody,
    /// What is left of the length that was promised; absent: it is sent in chunks.
    left: Option<u64>,
}

/// Why a request could not be sent.
#[derive(Debug)]
pub(super) enum SendError {
    /// The connection broke. What was answered before may still be read.
    Io(io::Error),
    /// The body ended before its time, or after it.
    Body,
}

/// Writes the last chunk and the trailers behind it, but for the empty line at their end.
fn write_trailers(prefix: &mut Vec<u8>, trailers: &HeaderMap) {
    prefix.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        prefix.extend_from_slice(name.as_str().as_bytes());
        prefix.extend_from_slice(b": ");
        prefix.extend_from_slice(value.as_bytes());
        prefix.extend_from_slice(b"\r\n");
    }
}

impl RequestWriter {
    /// Where the head is to be written, before anything is sent.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        self.prefix.clear();
        self.prefix_written = 0;
        self.has_sent_bytes = false;
        if self.prefix.capacity() == 0 {
            self.prefix.reserve(PREFIX_CAPACITY);
        }
        &mut self.prefix
    }

    /// Sends a body behind the head; `length` is what the head says of it.
    pub(super) fn set_body(&mut self, body: RequestBody, length: Option<u64>) {
        self.upload = Some(BodySource { body, left: length });
    }

    /// Whether everything went.
    pub(super) fn is_done(&self) -> bool {
        self.upload.is_none() && self.is_empty() && !self.needs_flush
    }

    /// Forgets what could not be sent.
    pub(super) fn discard(&mut self) {
        *self = Self {
            has_sent_bytes: self.has_sent_bytes,
            ..Self::default()
        };
    }

    /// Whether any byte of the last request went.
    pub(super) fn has_sent_bytes(&self) -> bool {
        self.has_sent_bytes
    }

    /// Frees what an unusually long head took.
    pub(super) fn release_buffers(&mut self) {
        if self.prefix.capacity() > PREFIX_CAPACITY {
            self.prefix = Vec::new();
        }
    }

    /// Sends what can be sent now; ready when all of it went.
    pub(super) fn poll<T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut T,
    ) -> Poll<Result<(), SendError>> {
        loop {
            // A piece that is there already goes along with the head.
            let waits = self.data.is_empty()
                && self.suffix.is_empty()
                && self.load_body_data(cx)?.is_pending();
            if !self.is_empty() {
                ready!(self.write(cx, io)).map_err(SendError::Io)?;
                continue;
            }
            if self.needs_flush {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(SendError::Io)?;
                self.needs_flush = false;
            }
            if waits {
                return Poll::Pending;
            }
            if self.upload.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.prefix_written == self.prefix.len() && self.data.is_empty() && self.suffix.is_empty()
    }

    /// Takes the next piece of the body, if there is a body.
    fn load_body_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(upload) = &mut self.upload else {
            return Poll::Ready(Ok(()));
        };
        let data = ready!(upload.body.poll_data(cx)).map_err(|BodyAborted| SendError::Body)?;
        // The end is not waited for where it is known: it may never be said on its own.
        let is_last = data.is_none() || upload.body.is_end();
        let data = data.unwrap_or_default();
        if let Some(left) = &mut upload.left {
            // One byte more would be the next request.
            *left = left
                .checked_sub(data.len() as u64)
                .filter(|left| !is_last || *left == 0)
                .ok_or(SendError::Body)?;
        } else {
            self.suffix = match (data.is_empty(), is_last) {
                (false, false) => b"\r\n",
                (false, true) => b"\r\n0\r\n\r\n",
                (true, false) => b"",
                (true, true) => b"0\r\n\r\n",
            };
            if self.prefix_written == self.prefix.len() {
                self.prefix.clear();
                self.prefix_written = 0;
            }
            // Trailers come without a piece.
            if let Some(trailers) = upload.body.take_trailers().filter(|_| data.is_empty()) {
                self.suffix = b"\r\n";
                write_trailers(&mut self.prefix, &trailers);
            }
            if !data.is_empty() {
                write!(self.prefix, "{:x}\r\n", data.len()).expect("a vector takes every byte");
            }
        }
        if is_last {
            self.upload = None;
        }
        self.data = data;
        Poll::Ready(Ok(()))
    }

    fn write<T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut T,
    ) -> Poll<io::Result<()>> {
        let prefix = &self.prefix[self.prefix_written..];
        let io = Pin::new(io);
        let bytes = if self.data.is_empty() && self.suffix.is_empty() {
            ready!(io.poll_write(cx, prefix))?
        } else {
            let all = [prefix, &self.data, self.suffix].map(IoSlice::new);
            ready!(io.poll_write_vectored(cx, &all))?
        };
        if bytes == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.has_sent_bytes = true;
        self.needs_flush = true;
        self.advance(bytes);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, bytes: usize) {
        let of_prefix = bytes.min(self.prefix.len() - self.prefix_written);
        self.prefix_written += of_prefix;
        let of_data = (bytes - of_prefix).min(self.data.len());
        self.data.advance(of_data);
        let of_suffix = (bytes - of_prefix - of_data).min(self.suffix.len());
        self.suffix = &self.suffix[of_suffix..];
    }
}
