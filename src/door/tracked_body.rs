//! `TrackedBody`: a response body whose progress is recorded.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::activity::OpenRequest;
use super::delayed_error::DelayedError;
use crate::request::{Body, BodyError};

/// The longest piece of a response that is handed to an HTTP/2 stream at once, in bytes. A piece that
/// the client has not read stays in memory, and progress is measured in pieces.
const PIECE_BYTES_MAX: usize = 8 * 1024;

/// The longest last frame of a response that is handed over whole, in bytes. It may stay in memory unread
/// after its request has ended.
const UNREAD_BYTES_MAX: usize = 512;

/// A response body that keeps its request open until it is dropped. An error of the body is delayed
/// until everything before it was sent.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Body,
    /// The part of the current frame that was not handed to hyper yet.
    rest: Bytes,
    open_request: OpenRequest,
    /// The connection's `written_bytes` when the last frame was handed to hyper.
    written_bytes: u32,
    error: Option<Box<DelayedError>>,
}

impl TrackedBody {
    pub(super) fn new(body: Body, open_request: OpenRequest) -> Self {
        open_request.progress().mark_response_started();
        let written_bytes = open_request.activity().written_bytes();
        Self {
            body,
            rest: Bytes::new(),
            open_request,
            written_bytes,
            error: None,
        }
    }

    /// Whether the last frame was written to the socket, as far as the counters of the connection show.
    fn is_sent(&self) -> bool {
        let activity = self.open_request.activity();
        activity.written_bytes() != self.written_bytes && !activity.is_write_blocked()
    }

    /// Whether the body certainly has more data.
    fn has_more(&self) -> bool {
        !self.body.is_end_stream() && self.body.size_hint().exact().is_some_and(|left| left > 0)
    }

    /// The next piece for an HTTP/2 stream.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut data = std::mem::take(&mut self.rest);
        if data.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(frame_data) => data = frame_data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(_) => return polled,
                Poll::Pending => {
                    let progress = self.open_request.progress();
                    progress.record_response_piece(None);
                    return Poll::Pending;
                }
            }
        }
        let mut bytes = data.len().min(PIECE_BYTES_MAX);
        if bytes == data.len() && bytes > UNREAD_BYTES_MAX && !self.has_more() {
            // h2 drops a request as soon as it has the last frame, even if that does not fit into the
            // client's window. So the last byte is kept back as a frame of its own.
            bytes -= 1;
        }
        self.rest = data.split_off(bytes);
        let progress = self.open_request.progress();
        progress.record_response_piece(Some(data.len()));
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.error.is_none() {
            // Over HTTP/1.1 the writes of the connection already show whether the client reads.
            let polled = match self.open_request.is_http2() {
                true => self.poll_piece(cx),
                false => Pin::new(&mut self.body).poll_frame(cx),
            };
            match ready!(polled) {
                Some(Err(error)) => self.error = Some(Box::new(DelayedError::new(error))),
                piece => {
                    self.written_bytes = self.open_request.activity().written_bytes();
                    return Poll::Ready(piece);
                }
            }
        }
        let is_sent = self.is_sent();
        let Some(error) = &mut self.error else {
            return Poll::Ready(None);
        };
        let error = ready!(error.poll(cx, is_sent));
        Poll::Ready(error.map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.error.is_none() && self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if rest > 0 {
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper.saturating_add(rest));
            }
            hint.set_lower(hint.lower().saturating_add(rest));
        }
        hint
    }
}
