//! `Sending`: a request on its way to the upstream, as few writes as it can be.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::super::outgoing::{Outgoing, Stopped};

/// Room for a usual head; a connection that waits keeps no more.
const TEXT_BYTES: usize = 4 * 1024;

/// What waits to be written, in this order: `text`, `piece`, `end`.
#[derive(Default)]
pub(super) struct Sending {
    /// A head, or the line with the size of a chunk.
    text: Vec<u8>,
    /// How much of it went.
    written: usize,
    /// Of the body.
    piece: Bytes,
    /// What ends a chunk, or the last one.
    end: &'static [u8],
    upload: Option<Upload>,
    /// Whether any byte of the request went.
    begun: bool,
    /// Whether TLS may hold some of it back.
    unflushed: bool,
}

struct Upload {
    body: Outgoing,
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
fn write_trailers(text: &mut Vec<u8>, trailers: &HeaderMap) {
    text.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
}

impl Sending {
    /// Where the head is to be written, before anything is sent.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        self.text.clear();
        self.written = 0;
        self.begun = false;
        if self.text.capacity() == 0 {
            self.text.reserve(TEXT_BYTES);
        }
        &mut self.text
    }

    /// Sends a body behind the head; `length` is what the head says of it.
    pub(super) fn follow(&mut self, body: Outgoing, length: Option<u64>) {
        self.upload = Some(Upload { body, left: length });
    }

    /// Whether everything went.
    pub(super) fn is_done(&self) -> bool {
        self.upload.is_none() && self.is_empty() && !self.unflushed
    }

    /// Forgets what could not be sent.
    pub(super) fn give_up(&mut self) {
        *self = Self {
            begun: self.begun,
            ..Self::default()
        };
    }

    /// Whether any byte of the last request went.
    pub(super) fn was_begun(&self) -> bool {
        self.begun
    }

    /// Frees what an unusually long head took.
    pub(super) fn rest(&mut self) {
        if self.text.capacity() > TEXT_BYTES {
            self.text = Vec::new();
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
            let waits = self.piece.is_empty() && self.end.is_empty() && self.fill(cx)?.is_pending();
            if !self.is_empty() {
                ready!(self.write(cx, io)).map_err(SendError::Io)?;
                continue;
            }
            if self.unflushed {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(SendError::Io)?;
                self.unflushed = false;
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
        self.written == self.text.len() && self.piece.is_empty() && self.end.is_empty()
    }

    /// Takes the next piece of the body, if there is a body.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(upload) = &mut self.upload else {
            return Poll::Ready(Ok(()));
        };
        let piece = ready!(upload.body.poll_piece(cx)).map_err(|Stopped| SendError::Body)?;
        // The end is not waited for where it is known: it may never be said on its own.
        let over = piece.is_none() || upload.body.is_end();
        let piece = piece.unwrap_or_default();
        if let Some(left) = &mut upload.left {
            // One byte more would be the next request.
            *left = left
                .checked_sub(piece.len() as u64)
                .filter(|left| !over || *left == 0)
                .ok_or(SendError::Body)?;
        } else {
            self.end = match (piece.is_empty(), over) {
                (false, false) => b"\r\n",
                (false, true) => b"\r\n0\r\n\r\n",
                (true, false) => b"",
                (true, true) => b"0\r\n\r\n",
            };
            if self.written == self.text.len() {
                self.text.clear();
                self.written = 0;
            }
            // Trailers come without a piece.
            if let Some(trailers) = upload.body.take_trailers().filter(|_| piece.is_empty()) {
                self.end = b"\r\n";
                write_trailers(&mut self.text, &trailers);
            }
            if !piece.is_empty() {
                write!(self.text, "{:x}\r\n", piece.len()).expect("a vector takes every byte");
            }
        }
        if over {
            self.upload = None;
        }
        self.piece = piece;
        Poll::Ready(Ok(()))
    }

    fn write<T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut T,
    ) -> Poll<io::Result<()>> {
        let text = &self.text[self.written..];
        let io = Pin::new(io);
        let bytes = if self.piece.is_empty() && self.end.is_empty() {
            ready!(io.poll_write(cx, text))?
        } else {
            let all = [text, &self.piece, self.end].map(IoSlice::new);
            ready!(io.poll_write_vectored(cx, &all))?
        };
        if bytes == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.begun = true;
        self.unflushed = true;
        self.advance(bytes);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, bytes: usize) {
        let of_text = bytes.min(self.text.len() - self.written);
        self.written += of_text;
        let of_piece = (bytes - of_text).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_end = (bytes - of_text - of_piece).min(self.end.len());
        self.end = &self.end[of_end..];
    }
}
