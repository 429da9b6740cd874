//! `ResponseBody`: a response body that is read from the upstream connection only as fast as the client
//! reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty, Full};
use tokio::time::Instant;

use super::http1::Http1Error;
use super::lease::Lease;
use super::upload_body::{UploadProgress, UploadState};
use super::{ForwardError, Phase};
use crate::request::headers::ProtectedHeaders;
use crate::request::route::Limits;
use crate::request::{Body, BodyError};

/// A response body and, until it is complete, its upstream connection.
struct ResponseBody {
    lease: Option<Lease>,
    /// The progress of the request body, which may still be being sent.
    upload: Option<Arc<UploadProgress>>,
    idle_timeout: Duration,
    /// The limit of the request body, for the error.
    body_bytes_max: u64,
    waiting_since: Option<Instant>,
    /// When the task is woken, so that the body of the face around this one can check the session again;
    /// `None` once it was woken.
    recheck_at: Option<Instant>,
}

/// Returns the response body, and whether part of it is still to be read from the upstream. At its
/// end the body releases its connection; dropping it earlier aborts the request. `now` is the
/// current time.
pub(super) fn stream(
    mut lease: Lease,
    upload: Option<Arc<UploadProgress>>,
    limits: &Limits,
    now: Instant,
) -> (Body, bool) {
    let Some(buffered) = lease.connection_mut().take_buffered_body() else {
        let body = ResponseBody {
            lease: Some(lease),
            upload,
            idle_timeout: limits.idle,
            body_bytes_max: limits.body_bytes_max,
            waiting_since: None,
            recheck_at: Some(now + limits.recheck_after),
        };
        return (Body::new(body), true);
    };
    // The whole body was read together with the head, so the connection is free.
    lease.release(now);
    if buffered.is_empty() {
        return (empty(), false);
    }
    let body = Full::new(buffered).map_err(|never| match never {});
    (Body::new(body), false)
}

pub(super) fn empty() -> Body {
    Body::new(Empty::new().map_err(|never| match never {}))
}

impl ResponseBody {
    fn poll_response_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        let Some(lease) = &mut self.lease else {
            return Poll::Ready(None);
        };
        let connection = lease.connection_mut();
        let frame = connection.poll_frame(cx);
        if frame.is_pending() {
            let waiting_since = *self.waiting_since.get_or_insert_with(Instant::now);
            let upload = self.upload.as_ref();
            let last_upload_at = upload.map_or(waiting_since, |upload| upload.last_read_at());
            let deadline = waiting_since.max(last_upload_at) + self.idle_timeout;
            if let Some(recheck_at) = self.recheck_at.filter(|at| *at < deadline) {
                if !connection.is_past_deadline(cx, recheck_at) {
                    return Poll::Pending;
                }
                self.recheck_at = None;
            }
            if connection.is_past_deadline(cx, deadline) {
                return Poll::Ready(Some(Err(ForwardError::Timeout(Phase::ResponseBody))));
            }
            return Poll::Pending;
        }
        self.waiting_since = None;
        if connection.is_response_complete()
            && let Some(lease) = self.lease.take()
        {
            // The connection is reusable unless the request is still being sent.
            lease.release(Instant::now());
        }
        frame.map_err(|error| match error {
            Http1Error::RequestBody => self.upload_error(),
            error => ForwardError::UpstreamDisconnected(Box::new(error)),
        })
    }

    /// Why the request body was not sent completely.
    fn upload_error(&self) -> ForwardError {
        match self.upload.as_ref().map(|upload| upload.state()) {
            Some(UploadState::TooLarge) => ForwardError::TooLarge {
                bytes_max: self.body_bytes_max,
                partly_sent: true,
            },
            _ => ForwardError::ClientAborted,
        }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.poll_response_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    ProtectedHeaders::default().remove_forbidden_trailers(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                // The connection cannot be reused after an incomplete response.
                let lease = self.lease.take();
                if !error.is_caused_by_client() {
                    drop(lease.map(Lease::close));
                }
                Poll::Ready(Some(Err(Box::new(error))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.lease.as_ref().map_or_else(
            || SizeHint::with_exact(0),
            |lease| lease.connection().size_hint(),
        )
    }
}
