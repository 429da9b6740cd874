//! `Activity`: the state of a connection, from which idle and slow connections are found. It needs no
//! timer per request, and for HTTP/1.1 no lock.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::ServerLimits;
use super::delayed_error::DelayedError;
use super::progress::{DOWNLOAD, Progress, RequestSpeed, SpeedCheck, StreamTasks, add};
use super::resets::ResetCounter;
use crate::request::client_quota::{ClientQuota, QuotaCells, QuotaGuard};
use crate::request::{Body, BodyError};
use crate::telemetry::GaugeGuard;

/// The longest piece of a response that an HTTP/2 stream gets at once, in bytes. A piece stays in
/// memory until the client has read it, and progress is counted in pieces.
const PIECE_BYTES_MAX: usize = 8 * 1024;

/// How much of a response may still be unread in memory when its request ends, in bytes.
const UNREAD_BYTES_MAX: usize = 512;

/// The state of one connection. It lives as long as the socket, also in a tunnel.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// The number of requests whose responses are not complete.
    open: AtomicU32,
    /// Whether any request was received.
    has_request: AtomicBool,
    /// When the last request ended, in milliseconds since `opened`.
    ended_ms: AtomicU64,
    /// Whether any byte was received.
    received_bytes: AtomicBool,
    /// The number of bytes written; wraps.
    written: AtomicU32,
    /// Whether the last write or flush was pending because the client does not read.
    blocked: AtomicBool,
    /// The progress of the current HTTP/1.1 request.
    progress: Arc<Progress>,
    /// The HTTP/2 requests.
    streams: StreamTasks,
    resets: ResetCounter,
    client_shares: ClientShares,
    _guards: ConnectionGuards,
}

/// What a connection uses of its client's limits.
#[derive(Debug, Default)]
pub(super) struct ClientShares {
    /// Counts the connection.
    pub(super) _connection: Option<QuotaGuard>,
    /// Counts its requests. Absent: they are not counted.
    pub(super) requests: Option<(Arc<ClientQuota>, QuotaCells)>,
}

/// What a connection uses of the limits for all clients, and its gauge; released when it ends.
pub(super) type ConnectionGuards = (OwnedSemaphorePermit, TaskTrackerToken, GaugeGuard);

/// What to do with a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Check it again at this time.
    CheckAt(Instant),
    /// Shut it down gracefully, as its protocol defines.
    ShutDown,
    /// Close it now, for this reason.
    Close(&'static str),
    /// Close it now: its client was slower than this configuration key allows.
    CloseSlow(&'static str),
}

/// The speed checks of one connection.
#[derive(Debug, Default)]
pub(super) struct SlownessChecks {
    written: SpeedCheck,
    request: RequestSpeed,
    /// The configuration keys of the limits for which HTTP/2 requests were aborted in the last check.
    pub(super) ended: Vec<&'static str>,
}

impl Activity {
    pub(super) fn new(guards: ConnectionGuards, client_shares: ClientShares) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            open: AtomicU32::new(0),
            has_request: AtomicBool::new(false),
            ended_ms: AtomicU64::new(0),
            received_bytes: AtomicBool::new(false),
            written: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            progress: Arc::default(),
            streams: StreamTasks::default(),
            resets: ResetCounter::default(),
            client_shares,
            _guards: guards,
        })
    }

    /// Counts a request as open until the result is dropped. `in_stream`: it came over HTTP/2.
    pub(super) fn begin_request(self: &Arc<Self>, in_stream: bool) -> OpenRequest {
        self.has_request.store(true, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        let requests = self.client_shares.requests.as_ref();
        OpenRequest {
            is_within_limit: requests.is_none_or(|(quota, quota_cells)| quota.add(*quota_cells)),
            stream: in_stream.then(|| {
                self.resets.count_stream();
                self.streams.begin()
            }),
            activity: Arc::clone(self),
        }
    }

    /// The executor of the HTTP/2 requests.
    pub(super) fn streams(&self) -> StreamTasks {
        self.streams.clone()
    }

    /// Whether the client resets so many of its streams that the connection must be closed. Never for a
    /// client whose requests are not counted: a trusted proxy forwards the cancellations of many clients.
    pub(super) fn has_too_many_resets(&self) -> bool {
        self.resets.are_too_many() && self.client_shares.requests.is_some()
    }

    /// Records that bytes were received.
    pub(super) fn note_bytes_received(&self) {
        self.received_bytes.store(true, Ordering::Relaxed);
    }

    /// Whether any byte was received.
    pub(super) fn has_received_bytes(&self) -> bool {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// Decides what to do with the connection. `leaving`: its graceful shutdown has begun.
    pub(super) fn next_action(
        &self,
        limits: &ServerLimits,
        leaving: bool,
        checks: &mut SlownessChecks,
    ) -> Action {
        let now = Instant::now();
        if !self.has_request.load(Ordering::Relaxed) {
            let until = self.opened + limits.header_read.duration();
            return match now < until {
                true => Action::CheckAt(until),
                false => Action::Close("no request was received within header_read"),
            };
        }
        let blocked = self.blocked.load(Ordering::Relaxed);
        let written = self.written.load(Ordering::Relaxed);
        let min = limits.download_bytes_min;
        if checks.written.is_slow(blocked, written, min) {
            return Action::CloseSlow(DOWNLOAD);
        }
        if let Some(key) = checks.request.check(&self.progress, limits) {
            return Action::CloseSlow(key);
        }
        checks.ended = self.streams.end_slow(limits);
        if blocked || self.open.load(Ordering::Acquire) > 0 {
            return Action::CheckAt(now + limits.check_interval());
        }
        let ended = Duration::from_millis(self.ended_ms.load(Ordering::Relaxed));
        let until = self.opened + ended + limits.keep_alive.duration();
        match (now < until, leaving) {
            // A request that begins in the meantime must be checked soon.
            (true, _) => Action::CheckAt(until.min(now + limits.progress_interval.duration())),
            (false, false) => Action::ShutDown,
            (false, true) => {
                Action::Close("the client did not close the connection after its shutdown")
            }
        }
    }
}

/// A request whose response is not complete.
#[derive(Debug)]
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    /// The progress of an HTTP/2 request.
    stream: Option<Arc<Progress>>,
    /// Whether the client was within its limit of open requests.
    is_within_limit: bool,
}

impl OpenRequest {
    pub(super) fn is_within_limit(&self) -> bool {
        self.is_within_limit
    }

    /// The limit of the client's open requests; absent: they are not counted.
    pub(super) fn requests_max(&self) -> Option<u32> {
        let requests = self.activity.client_shares.requests.as_ref();
        requests.map(|(quota, _)| quota.max())
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        self.stream.as_ref().unwrap_or(&self.activity.progress)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let activity = &*self.activity;
        if let Some(progress) = &self.stream {
            if progress.was_abandoned() {
                activity.resets.count_reset(Instant::now());
            }
            activity.streams.end(progress);
        } else {
            activity.progress.clear();
        }
        if let Some((quota, quota_cells)) = activity
            .client_shares
            .requests
            .as_ref()
            .filter(|_| self.is_within_limit)
        {
            quota.release(*quota_cells);
        }
        let elapsed = u64::try_from(activity.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        activity.ended_ms.store(elapsed, Ordering::Relaxed);
        activity.open.fetch_sub(1, Ordering::Release);
    }
}

/// A response body that keeps its request open until it is dropped. Its error is delayed until the
/// bytes before the error were sent.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Body,
    /// The rest of a chunk that is longer than a piece.
    rest: Bytes,
    open: OpenRequest,
    /// [`Activity::written`] when hyper took the last piece.
    written: u32,
    failed: Option<Box<DelayedError>>,
}

impl TrackedBody {
    pub(super) fn new(body: Body, open: OpenRequest) -> Self {
        open.progress().mark_response_started();
        let written = open.activity.written.load(Ordering::Relaxed);
        Self {
            body,
            rest: Bytes::new(),
            open,
            written,
            failed: None,
        }
    }

    /// Whether the last piece was sent, as far as the writes of the connection show.
    fn is_sent(&self) -> bool {
        let activity = &self.open.activity;
        activity.written.load(Ordering::Relaxed) != self.written
            && !activity.blocked.load(Ordering::Relaxed)
    }

    /// Whether more data certainly follows.
    fn goes_on(&self) -> bool {
        !self.body.is_end_stream() && self.body.size_hint().exact().is_some_and(|left| left > 0)
    }

    /// Returns the next piece for an HTTP/2 stream and records its progress.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut data = std::mem::take(&mut self.rest);
        if data.is_empty() {
            let polled = Pin::new(&mut self.body).poll_frame(cx);
            match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(whole) => data = whole,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(_) => return polled,
                Poll::Pending => {
                    self.open.progress().note_response_piece(None);
                    return Poll::Pending;
                }
            }
        }
        let mut bytes = data.len().min(PIECE_BYTES_MAX);
        if bytes == data.len() && bytes > UNREAD_BYTES_MAX && !self.goes_on() {
            // hyper ends a request as soon as it has the last piece, even if that does not fit into
            // the client's window. But it takes a piece only when the window has room for a byte, so
            // the last byte is held back until then.
            bytes -= 1;
        }
        self.rest = data.split_off(bytes);
        self.open.progress().note_response_piece(Some(data.len()));
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
        if self.failed.is_none() {
            // Over HTTP/1.1 the writes of the connection show whether the client reads.
            let polled = match self.open.stream.is_some() {
                true => self.poll_piece(cx),
                false => Pin::new(&mut self.body).poll_frame(cx),
            };
            match ready!(polled) {
                Some(Err(error)) => self.failed = Some(Box::new(DelayedError::new(error))),
                piece => {
                    self.written = self.open.activity.written.load(Ordering::Relaxed);
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
        self.failed.is_none() && self.rest.is_empty() && self.body.is_end_stream()
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

/// A stream that records its reads and writes in the [`Activity`] of the connection.
#[derive(Debug)]
pub(super) struct TrackedStream<T> {
    stream: T,
    activity: Arc<Activity>,
}

impl<T> TrackedStream<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let activity = &self.activity;
        if let Poll::Ready(Ok(bytes)) = &written {
            add(&activity.written, *bytes);
        }
        activity
            .blocked
            .store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for TrackedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.activity.note_bytes_received();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for TrackedStream<T> {
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
