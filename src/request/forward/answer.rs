//! `Answer`: a response body, read from its connection when the client wants more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::outgoing::Progress;
use super::pool::Lease;
use super::{ForwardError, Phase};
use crate::request::headers::Namespace;
use crate::request::{Body, BodyError};

/// A response body and, until it was read to its end, the connection it comes from.
struct Answer {
    body: Incoming,
    lease: Option<Lease>,
    /// The request's body, while it may still be on its way.
    upload: Option<Arc<Progress>>,
    idle: Duration,
    waiting_since: Option<Instant>,
}

/// Makes a body that gives its connection back at its end, and closes it when dropped before.
pub(super) fn streamed(
    body: Incoming,
    lease: Lease,
    upload: Option<Arc<Progress>>,
    idle: Duration,
) -> Body {
    let mut answer = Answer {
        body,
        lease: Some(lease),
        upload,
        idle,
        waiting_since: None,
    };
    answer.release_when_free();
    if answer.body.is_end_stream() {
        return empty();
    }
    Body::new(answer)
}

/// A body without content.
pub(super) fn empty() -> Body {
    Body::new(Empty::new().map_err(|never| match never {}))
}

impl Answer {
    /// Parks the connection as soon as it could take the next request; what was read of this
    /// answer no longer needs it.
    fn release_when_free(&mut self) {
        if self
            .lease
            .as_ref()
            .is_some_and(|lease| lease.wire.is_free())
        {
            let Some(Lease { wire, slot, .. }) = self.lease.take() else {
                return;
            };
            slot.0.park(wire);
        }
    }

    fn poll_inner(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        let broken = |error| ForwardError::Broken(Box::new(error));
        let Some(lease) = &mut self.lease else {
            return Pin::new(&mut self.body).poll_frame(cx).map_err(broken);
        };
        // The body fills only while we drive its connection, so it needs no waker.
        let mut still = Context::from_waker(Waker::noop());
        let mut frame = Pin::new(&mut self.body).poll_frame(&mut still);
        if frame.is_pending() {
            lease.wire.drive(cx);
            frame = Pin::new(&mut self.body).poll_frame(&mut still);
        }
        if frame.is_pending() {
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            let upload = self.upload.as_ref().map_or(since, |upload| upload.last());
            if lease.wire.is_late(cx, since.max(upload) + self.idle) {
                return Poll::Ready(Some(Err(ForwardError::Timeout(Phase::ResponseBody))));
            }
            return Poll::Pending;
        }
        self.waiting_since = None;
        let at_end = self.body.is_end_stream() || matches!(frame, Poll::Ready(None));
        if at_end && !lease.wire.is_free() {
            // The connection may have stopped at this answer's last piece.
            lease.wire.drive(cx);
        }
        self.release_when_free();
        frame.map_err(broken)
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.poll_inner(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    Namespace::default().clean_trailers(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                // Whatever is left on the connection belongs to nobody.
                self.lease = None;
                Poll::Ready(Some(Err(Box::new(error))))
            }
            Poll::Ready(None) => {
                self.lease = None;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
