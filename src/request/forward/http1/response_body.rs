//! Reads the body of a response from the connection.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::chunked::{ChunkError, ChunkedDecoder, ChunkedPart};
use super::request_writer::SendError;
use super::{Http1Connection, Http1Error};

/// The unread part of a response body.
#[derive(Debug)]
pub(super) enum UnreadBody {
    Nothing,
    Bytes(u64),
    Chunked(Box<ChunkedDecoder>),
    UntilClose,
}

impl Http1Connection {
    /// The next frame of the response body. Also sends more of the request.
    pub(in crate::request::forward) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1Error>>> {
        if let Err(SendError::Body) = self.send(cx) {
            return Poll::Ready(Some(Err(Http1Error::RequestBody)));
        }
        loop {
            match self.next_frame() {
                Ok(None) if matches!(self.unread_body, UnreadBody::Nothing) => {
                    return Poll::Ready(None);
                }
                Ok(None) => {}
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Err(error) => return Poll::Ready(Some(Err(Http1Error::Chunk(error)))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if matches!(self.unread_body, UnreadBody::UntilClose) => {
                    self.unread_body = UnreadBody::Nothing;
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(Http1Error::Closed))),
                Ok(_) => self.unparsed = self.read_buffer.split().freeze(),
                Err(error) => return Poll::Ready(Some(Err(Http1Error::Io(error)))),
            }
        }
    }

    /// The next frame of the bytes that were already read.
    fn next_frame(&mut self) -> Result<Option<Frame<Bytes>>, ChunkError> {
        if self.unparsed.is_empty() {
            return Ok(None);
        }
        match &mut self.unread_body {
            UnreadBody::Nothing => Ok(None),
            UnreadBody::UntilClose => Ok(Some(Frame::data(std::mem::take(&mut self.unparsed)))),
            UnreadBody::Bytes(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX);
                let piece = self.unparsed.split_to(len.min(self.unparsed.len()));
                *left -= piece.len() as u64;
                if *left == 0 {
                    self.unread_body = UnreadBody::Nothing;
                }
                Ok(Some(Frame::data(piece)))
            }
            UnreadBody::Chunked(decoder) => match decoder.next(&mut self.unparsed)? {
                Some(ChunkedPart::Data(piece)) => Ok(Some(Frame::data(piece))),
                Some(ChunkedPart::Trailers(trailers)) => {
                    self.unread_body = UnreadBody::Nothing;
                    Ok(Some(Frame::trailers(trailers)))
                }
                Some(ChunkedPart::End) => {
                    self.unread_body = UnreadBody::Nothing;
                    Ok(None)
                }
                None => Ok(None),
            },
        }
    }

    /// The whole body, if its length is known and all of it was already read.
    pub(in crate::request::forward) fn take_buffered_body(&mut self) -> Option<Bytes> {
        let length = match self.unread_body {
            UnreadBody::Nothing => 0,
            UnreadBody::Bytes(left) => usize::try_from(left).ok()?,
            UnreadBody::Chunked(_) | UnreadBody::UntilClose => return None,
        };
        if self.unparsed.len() < length {
            return None;
        }
        self.unread_body = UnreadBody::Nothing;
        Some(self.unparsed.split_to(length))
    }

    pub(in crate::request::forward) fn size_hint(&self) -> SizeHint {
        match &self.unread_body {
            UnreadBody::Nothing => SizeHint::with_exact(0),
            UnreadBody::Bytes(left) => SizeHint::with_exact(*left),
            UnreadBody::Chunked(_) | UnreadBody::UntilClose => SizeHint::default(),
        }
    }
}
