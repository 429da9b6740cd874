//! `UploadBody`: a request body that is being sent to an upstream, with its size limit and its
//! progress.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use tokio::time::Instant;

use crate::request::Body;
use crate::request::headers::ProtectedHeaders;

#[derive(Debug)]
pub(super) struct UploadBody {
    body: Body,
    /// How many more bytes the limit of the route allows.
    limit_left: u64,
    /// Names the trailers that are removed.
    protected_headers: ProtectedHeaders,
    /// The trailers, once they were received.
    trailers: Option<HeaderMap>,
    progress: Arc<UploadProgress>,
}

/// The progress of a request body, shared with the task that waits for the response.
#[derive(Debug)]
pub(super) struct UploadProgress {
    started_at: Instant,
    /// When the last piece was read, in milliseconds after `started_at`.
    last_read_ms: AtomicU64,
    state: AtomicU8,
}

/// The state of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum UploadState {
    Sending = 0,
    Sent = 1,
    /// It exceeds the limit of the route.
    TooLarge = 2,
    /// The client aborted it.
    Incomplete = 3,
}

/// The body ended early; its [`UploadState`] says why.
#[derive(Debug)]
pub(super) struct BodyAborted;

impl UploadBody {
    /// Limits a body to `bytes_max` bytes.
    pub(super) fn new(
        body: Body,
        protected_headers: ProtectedHeaders,
        bytes_max: u64,
    ) -> (Self, Arc<UploadProgress>) {
        let progress = Arc::new(UploadProgress {
            started_at: Instant::now(),
            last_read_ms: AtomicU64::new(0),
            state: AtomicU8::new(UploadState::Sending as u8),
        });
        let body = Self {
            body,
            limit_left: bytes_max,
            protected_headers,
            trailers: None,
            progress: Arc::clone(&progress),
        };
        (body, progress)
    }
}

impl UploadProgress {
    pub(super) fn state(&self) -> UploadState {
        match self.state.load(Ordering::Relaxed) {
            0 => UploadState::Sending,
            1 => UploadState::Sent,
            2 => UploadState::TooLarge,
            _ => UploadState::Incomplete,
        }
    }

    /// When the last piece was read.
    pub(super) fn last_read_at(&self) -> Instant {
        let last_read_ms = self.last_read_ms.load(Ordering::Relaxed);
        self.started_at + std::time::Duration::from_millis(last_read_ms)
    }

    fn record(&self, state: UploadState) {
        let ms = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_read_ms.store(ms, Ordering::Relaxed);
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

impl UploadBody {
    /// The next piece, which may be empty; `None` at the end.
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyAborted>> {
        let data = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(data),
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    None
                }
            },
            Some(Err(_)) => {
                self.progress.record(UploadState::Incomplete);
                return Poll::Ready(Err(BodyAborted));
            }
            None => None,
        };
        let Some(data) = data else {
            self.progress.record(UploadState::Sent);
            return Poll::Ready(Ok(None));
        };
        let Some(limit_left) = self.limit_left.checked_sub(data.len() as u64) else {
            self.progress.record(UploadState::TooLarge);
            return Poll::Ready(Err(BodyAborted));
        };
        self.limit_left = limit_left;
        // Once the announced length is reached, the body is complete. Over HTTP/2 the frame that ends
        // the stream may arrive later.
        let is_end = self.is_end();
        self.progress.record(if is_end {
            UploadState::Sent
        } else {
            UploadState::Sending
        });
        Poll::Ready(Ok(Some(data)))
    }

    /// The trailers that may be forwarded, after the end of the body.
    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        let mut trailers = self.trailers.take()?;
        self.protected_headers
            .remove_forbidden_trailers(&mut trailers);
        Some(trailers).filter(|trailers| !trailers.is_empty())
    }

    pub(super) fn is_end(&self) -> bool {
        self.body.is_end_stream() || self.bytes_left() == Some(0)
    }

    /// The number of bytes that are still to be read, if it is known.
    pub(super) fn bytes_left(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}
