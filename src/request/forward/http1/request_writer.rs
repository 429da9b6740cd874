//! `RequestWriter`: writes a request to an upstream in as few writes as possible.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::super::upload_body::{BodyAborted, UploadBody};

/// The capacity of `prefix`, in bytes: enough for most heads. An idle connection keeps no larger
/// buffer.
const PREFIX_CAPACITY: usize = 4 * 1024;

/// A request that is being sent. `prefix`, `data` and `suffix` are written in this order.
#[derive(Default)]
pub(super) struct RequestWriter {
    /// The request head, or the size line of a chunk.
    prefix: Vec<u8>,
    /// How many bytes of `prefix` were written.
    prefix_written: usize,
    /// The current piece of the body.
    data: Bytes,
    /// The end of a chunk, or of the chunked body.
    suffix: &'static [u8],
    /// The rest of the body.
    body: Option<BodySource>,
    /// Whether any byte of the request was sent.
    has_sent_bytes: bool,
    /// Whether TLS may still buffer some bytes.
    needs_flush: bool,
}

struct BodySource {
    body: UploadBody,
    /// What remains of the announced length; `None` if the body is chunked.
    bytes_left: Option<u64>,
}

/// Why a request could not be sent.
#[derive(Debug)]
pub(super) enum SendError {
    /// The connection failed. A response that was sent before may still be readable.
    Io(io::Error),
    /// The body is shorter or longer than announced, or was aborted.
    Body,
}

/// Writes the last chunk and the trailers, without the empty line at the end.
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
    /// The empty buffer for the head of the next request.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        self.prefix.clear();
        self.prefix_written = 0;
        self.has_sent_bytes = false;
        if self.prefix.capacity() == 0 {
            self.prefix.reserve(PREFIX_CAPACITY);
        }
        &mut self.prefix
    }

    /// Sets the body to send after the head; `length` is the announced length.
    pub(super) fn set_body(&mut self, body: UploadBody, length: Option<u64>) {
        self.body = Some(BodySource {
            body,
            bytes_left: length,
        });
    }

    pub(super) fn is_done(&self) -> bool {
        self.body.is_none() && self.is_empty() && !self.needs_flush
    }

    /// Drops everything that was not sent.
    pub(super) fn discard(&mut self) {
        *self = Self {
            has_sent_bytes: self.has_sent_bytes,
            ..Self::default()
        };
    }

    /// Whether any byte of the last request was sent.
    pub(super) fn has_sent_bytes(&self) -> bool {
        self.has_sent_bytes
    }

    /// Frees the buffer if an unusually long head enlarged it.
    pub(super) fn release_buffers(&mut self) {
        if self.prefix.capacity() > PREFIX_CAPACITY {
            self.prefix = Vec::new();
        }
    }

    /// Sends as much as possible; ready when the request was sent completely.
    pub(super) fn poll<T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut T,
    ) -> Poll<Result<(), SendError>> {
        loop {
            // A piece of the body that is available is sent together with the head.
            let waits_for_body = self.data.is_empty()
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
            if waits_for_body {
                return Poll::Pending;
            }
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.prefix_written == self.prefix.len() && self.data.is_empty() && self.suffix.is_empty()
    }

    /// Loads the next piece of the body, if there is a body.
    fn load_body_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(source) = &mut self.body else {
            return Poll::Ready(Ok(()));
        };
        let data = ready!(source.body.poll_data(cx)).map_err(|BodyAborted| SendError::Body)?;
        // A known end is not awaited, because the client may never signal it separately.
        let is_last = data.is_none() || source.body.is_end();
        let data = data.unwrap_or_default();
        if let Some(bytes_left) = &mut source.bytes_left {
            // Bytes beyond the announced length would be read as the next request.
            *bytes_left = bytes_left
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
            // Trailers are never in the same piece as data.
            if let Some(trailers) = source.body.take_trailers().filter(|_| data.is_empty()) {
                self.suffix = b"\r\n";
                write_trailers(&mut self.prefix, &trailers);
            }
            if !data.is_empty() {
                write!(self.prefix, "{:x}\r\n", data.len()).expect("a vector takes every byte");
            }
        }
        if is_last {
            self.body = None;
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
