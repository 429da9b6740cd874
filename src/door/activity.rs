//! `Activity`: what a connection is doing. Tracking it needs no timer and no lock per request.

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
use crate::request::client_quota::{ClientQuota, QuotaCounters, QuotaGuard};
use crate::request::{Body, BodyError};
use crate::telemetry::GaugeGuard;

/// The longest piece of a response that is handed to an HTTP/2 stream at once, in bytes. A piece that
/// the client has not read stays in memory, and progress is measured in pieces.
const PIECE_BYTES_MAX: usize = 8 * 1024;

/// The longest end of a response that may stay in memory after its request, in bytes.
const UNREAD_BYTES_MAX: usize = 512;

/// The activity of one connection. Lives as long as its socket, also while that is a tunnel.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests whose response is not complete.
    open: AtomicU32,
    /// Whether the connection has received a request.
    has_request: AtomicBool,
    /// When the last response ended, in milliseconds after `opened`.
    ended_ms: AtomicU64,
    received_bytes: AtomicBool,
    /// Bytes written; wraps around.
    written: AtomicU32,
    /// Whether the last write had to wait for the client to read.
    blocked: AtomicBool,
    /// Progress of the only request that HTTP/1.1 has at a time.
    progress: Arc<Progress>,
    /// Progress of the requests of HTTP/2.
    streams: StreamTasks,
    resets: ResetCounter,
    client_shares: ClientShares,
    _guards: ConnectionGuards,
}

/// What a connection takes of the limits of its client.
#[derive(Debug, Default)]
pub(super) struct ClientShares {
    pub(super) _connection: Option<QuotaGuard>,
    /// Where the requests are counted; absent: they are not limited.
    pub(super) requests: Option<(Arc<ClientQuota>, QuotaCounters)>,
}

/// What a connection releases when it is dropped: its permit, and its places in two counts.
pub(super) type ConnectionGuards = (OwnedSemaphorePermit, TaskTrackerToken, GaugeGuard);

/// What to do with a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Check it again at this time.
    CheckAt(Instant),
    /// Shut it down gracefully.
    ShutDown,
    /// Close it, for this reason.
    Close(&'static str),
    /// Close it: the client was slower than this configuration key allows.
    CloseSlow(&'static str),
}

/// The speed of a connection's client, as the last checks found it.
#[derive(Debug, Default)]
pub(super) struct SlownessChecks {
    written: SpeedCheck,
    request: RequestSpeed,
    /// For each HTTP/2 request that the last check aborted, the key of the limit.
    pub(super) aborted: Vec<&'static str>,
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

    /// Starts tracking a request until its response is dropped. `in_stream`: it is an HTTP/2 request.
    pub(super) fn begin_request(self: &Arc<Self>, in_stream: bool) -> OpenRequest {
        self.has_request.store(true, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        let requests = self.client_shares.requests.as_ref();
        OpenRequest {
            is_within_limit: requests
                .is_none_or(|(quota, quota_counters)| quota.add(*quota_counters)),
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

    /// Whether the client reset so many streams that the connection must be closed. Trusted proxies are
    /// exempt: they forward the resets of many clients.
    pub(super) fn has_too_many_resets(&self) -> bool {
        self.resets.are_too_many() && self.client_shares.requests.is_some()
    }

    pub(super) fn note_bytes_received(&self) {
        self.received_bytes.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_received_bytes(&self) -> bool {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// Checks the time-outs and the minimum speeds.
    pub(super) fn next_action(
        &self,
        limits: &ServerLimits,
        is_shutting_down: bool,
        checks: &mut SlownessChecks,
    ) -> Action {
        let now = Instant::now();
        if !self.has_request.load(Ordering::Relaxed) {
            let until = self.opened + limits.header_read.duration();
            return match now < until {
                true => Action::CheckAt(until),
                false => Action::Close("the client sent no request"),
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
        checks.aborted = self.streams.abort_slow(limits);
        if blocked || self.open.load(Ordering::Acquire) > 0 {
            return Action::CheckAt(now + limits.check_interval());
        }
        let ended = Duration::from_millis(self.ended_ms.load(Ordering::Relaxed));
        let until = self.opened + ended + limits.keep_alive.duration();
        match (now < until, is_shutting_down) {
            // A request that begins meanwhile must be checked after at most one interval.
            (true, _) => Action::CheckAt(until.min(now + limits.progress_interval.duration())),
            (false, false) => Action::ShutDown,
            (false, true) => Action::Close("the client did not close the connection"),
        }
    }
}

/// A request whose response is not complete.
#[derive(Debug)]
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    /// Its own progress; absent over HTTP/1.1, where the connection has one.
    stream: Option<Arc<Progress>>,
    /// Whether its client had not reached its limit of concurrent requests.
    is_within_limit: bool,
}

impl OpenRequest {
    pub(super) fn is_within_limit(&self) -> bool {
        self.is_within_limit
    }

    /// The limit of concurrent requests per client, if the client is limited.
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
        if let Some((quota, quota_counters)) = activity
            .client_shares
            .requests
            .as_ref()
            .filter(|_| self.is_within_limit)
        {
            quota.release(*quota_counters);
        }
        let elapsed = u64::try_from(activity.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        activity.ended_ms.store(elapsed, Ordering::Relaxed);
        activity.open.fetch_sub(1, Ordering::Release);
    }
}

/// A response body that keeps its request open until it is dropped. An error of the body is delayed
/// until everything before it was sent.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Body,
    /// What is left of a frame that is longer than [`PIECE_BYTES_MAX`].
    rest: Bytes,
    open: OpenRequest,
    /// The connection's `written` when the last frame was handed to hyper.
    written: u32,
    error: Option<Box<DelayedError>>,
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
            error: None,
        }
    }

    /// Whether the last frame was written to the socket, as far as the counters of the connection show.
    fn is_sent(&self) -> bool {
        let activity = &self.open.activity;
        activity.written.load(Ordering::Relaxed) != self.written
            && !activity.blocked.load(Ordering::Relaxed)
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
        if bytes == data.len() && bytes > UNREAD_BYTES_MAX && !self.has_more() {
            // h2 drops a request as soon as it has the last frame, even if that does not fit into the
            // client's window. So the last byte is kept back as a frame of its own.
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
        if self.error.is_none() {
            // Over HTTP/1.1 the writes of the connection already show whether the client reads.
            let polled = match self.open.stream.is_some() {
                true => self.poll_piece(cx),
                false => Pin::new(&mut self.body).poll_frame(cx),
            };
            match ready!(polled) {
                Some(Err(error)) => self.error = Some(Box::new(DelayedError::new(error))),
                piece => {
                    self.written = self.open.activity.written.load(Ordering::Relaxed);
                    return Poll::Ready(piece);
                }
            }
        }
        let sent = self.is_sent();
        let Some(error) = &mut self.error else {
            return Poll::Ready(None);
        };
        let error = ready!(error.poll(cx, sent));
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

/// A stream that records in [`Activity`] whether its client sends and reads.
#[derive(Debug)]
pub(super) struct TrackedStream<T> {
    stream: T,
    activity: Arc<Activity>,
}

impl<T> TrackedStream<T> {
    pub(super) fn new(stream: T, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    fn record(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
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
        self.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.record(written)
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
