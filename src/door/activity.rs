//! What a connection is doing, as cheaply as it can be known: no timer and no lock per request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::DoorLimits;
use super::failed::Failed;
use crate::request::{Body, BodyError};
use crate::telemetry::Counted;

/// One connection's state. Lives as long as its socket, in a tunnel too.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests that were received and not yet answered to their last byte.
    open: AtomicU32,
    /// Whether any request was received.
    begun: AtomicBool,
    /// When the last request was answered, in milliseconds since `opened`.
    ended_ms: AtomicU64,
    /// Whether any byte came.
    heard: AtomicBool,
    /// Counts writes that went through.
    writes: AtomicU32,
    /// Whether the last write found the client not reading.
    blocked: AtomicBool,
    _place: Place,
}

/// What a connection holds of the house's limits and counts, given back at its end.
pub(super) type Place = (OwnedSemaphorePermit, TaskTrackerToken, Counted);

/// What is to be done about a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Nothing until then.
    Ask(Instant),
    /// Let it end as its protocol does.
    Leave,
    /// End it now.
    Cut(&'static str),
}

impl Activity {
    pub(super) fn new(place: Place) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            open: AtomicU32::new(0),
            begun: AtomicBool::new(false),
            ended_ms: AtomicU64::new(0),
            heard: AtomicBool::new(false),
            writes: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            _place: place,
        })
    }

    /// Notes that a request was received; it is open until the answer is dropped.
    pub(super) fn receive(self: &Arc<Self>) -> Open {
        self.begun.store(true, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// Notes that bytes came in.
    pub(super) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether anything at all came in.
    pub(super) fn was_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Judges the connection. `written` is what the writes stood at, and since when.
    pub(super) fn advise(
        &self,
        limits: &DoorLimits,
        leaving: bool,
        written: &mut (u32, Instant),
    ) -> Advice {
        let now = Instant::now();
        let keep_alive = limits.keep_alive.duration();
        if !self.begun.load(Ordering::Relaxed) {
            return Advice::Cut("no request came");
        }
        let writes = self.writes.load(Ordering::Relaxed);
        if !self.blocked.load(Ordering::Relaxed) || writes != written.0 {
            *written = (writes, now);
        } else if now >= written.1 + keep_alive {
            return Advice::Cut("the client stopped reading");
        } else {
            return Advice::Ask(written.1 + keep_alive);
        }
        if self.open.load(Ordering::Acquire) > 0 {
            return Advice::Ask(now + keep_alive);
        }
        let ended = Duration::from_millis(self.ended_ms.load(Ordering::Relaxed));
        let until = self.opened + ended + keep_alive;
        match (now < until, leaving) {
            (true, _) => Advice::Ask(until),
            (false, false) => Advice::Leave,
            (false, true) => Advice::Cut("the client did not close"),
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Open(Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        let elapsed = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended_ms.store(elapsed, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Release);
    }
}

/// A body that keeps its request open until its end. One that fails is cut off only after what came
/// of it was sent.
#[derive(Debug)]
pub(super) struct OpenBody {
    body: Body,
    open: Open,
    /// What the connection's writes stood at when the last piece was handed over.
    writes: u32,
    failed: Option<Box<Failed>>,
}

impl OpenBody {
    pub(super) fn new(body: Body, open: Open) -> Self {
        let writes = open.0.writes.load(Ordering::Relaxed);
        Self {
            body,
            open,
            writes,
            failed: None,
        }
    }

    /// Whether what was handed over has left, as far as the connection's writes tell.
    fn is_sent(&self) -> bool {
        let activity = &self.open.0;
        activity.writes.load(Ordering::Relaxed) != self.writes
            && !activity.blocked.load(Ordering::Relaxed)
    }
}

impl http_body::Body for OpenBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.failed.is_none() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Err(error)) => self.failed = Some(Box::new(Failed::new(error))),
                piece => {
                    self.writes = self.open.0.writes.load(Ordering::Relaxed);
                    return Poll::Ready(piece);
                }
            }
        }
        let sent = self.is_sent();
        let Some(failed) = &mut self.failed else {
            return Poll::Ready(None);
        };
        let error = ready!(failed.poll(cx, sent));
        Poll::Ready(error.map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes whether its client still writes and reads.
#[derive(Debug)]
pub(super) struct Noted<T> {
    stream: T,
    activity: Arc<Activity>,
}

impl<T> Noted<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn note<R>(&self, written: Poll<R>) -> Poll<R> {
        // Only the connection's own task writes: a load and a store lose nothing.
        let activity = &self.activity;
        if written.is_ready() {
            let writes = activity.writes.load(Ordering::Relaxed).wrapping_add(1);
            activity.writes.store(writes, Ordering::Relaxed);
        }
        activity
            .blocked
            .store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Noted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.activity.hear();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.activity
            .blocked
            .store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
