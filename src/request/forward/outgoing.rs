//! `Outgoing`: a request body on its way to the upstream, measured and watched.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::request::{Body, BodyError};

/// A request body; most requests have none.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Option<Upload>);

#[derive(Debug)]
struct Upload {
    body: Body,
    left: u64,
    progress: Arc<Progress>,
}

/// How far a request body has come, for whoever waits for the answer.
#[derive(Debug)]
pub(super) struct Progress {
    start: Instant,
    /// When the last piece went, in milliseconds after `start`.
    last_ms: AtomicU64,
    state: AtomicU8,
}

/// What became of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// There is more to come.
    Sending = 0,
    /// All of it went.
    Sent = 1,
    /// It is larger than the route allows.
    TooLarge = 2,
    /// The client broke it off.
    Broken = 3,
}

/// The body is larger than the route allows.
#[derive(Debug, thiserror::Error)]
#[error("the request body is larger than the route allows")]
struct TooLarge;

impl Outgoing {
    /// Watches a body of at most `bytes_max` bytes.
    pub(super) fn new(body: Body, bytes_max: u64) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
            state: AtomicU8::new(State::Sending as u8),
        });
        let upload = Upload {
            body,
            left: bytes_max,
            progress: Arc::clone(&progress),
        };
        (Self(Some(upload)), progress)
    }
}

impl Progress {
    pub(super) fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            0 => State::Sending,
            1 => State::Sent,
            2 => State::TooLarge,
            _ => State::Broken,
        }
    }

    /// When the last piece went.
    pub(super) fn last(&self) -> Instant {
        self.start + std::time::Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    fn note(&self, state: State) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(upload) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let data = match ready!(Pin::new(&mut upload.body).poll_frame(cx)) {
            // Trailers end here (RFC 9110 6.5.1 lets us): none of them can pose as a header.
            Some(Ok(frame)) => frame.into_data().ok(),
            Some(Err(error)) => {
                upload.progress.note(State::Broken);
                return Poll::Ready(Some(Err(error)));
            }
            None => None,
        };
        let Some(data) = data else {
            upload.progress.note(State::Sent);
            self.0 = None;
            return Poll::Ready(None);
        };
        let Some(left) = upload.left.checked_sub(data.remaining() as u64) else {
            upload.progress.note(State::TooLarge);
            return Poll::Ready(Some(Err(Box::new(TooLarge))));
        };
        upload.left = left;
        // Over HTTP/2 the end may come alone, and hyper does not ask once the length is reached.
        let end = upload.body.is_end_stream() || upload.body.size_hint().exact() == Some(0);
        upload
            .progress
            .note(if end { State::Sent } else { State::Sending });
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|upload| upload.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |upload| upload.body.size_hint())
    }
}
