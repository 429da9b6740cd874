//! What a connection is doing, as cheaply as it can be known: no timer and no lock per request.

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

/// The most that an HTTP/2 stream is given of an answer at once, in bytes: what its client has not
/// taken of it stays in memory, and what it took is known no finer.
const PIECE_BYTES_MAX: usize = 8 * 1024;

/// How much of an answer may stay in memory once its request is over, in bytes.
const UNREAD_BYTES_MAX: usize = 512;

/// One connection's state. Lives as long as its socket, in a tunnel too.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Requests that were received and not yet note_response_piece to their last byte.
    open: AtomicU32,
    /// Whether any request was received.
    has_request: AtomicBool,
    /// When the last request was note_response_piece, in milliseconds since `opened`.
    ended_ms: AtomicU64,
    /// Whether any byte came.
    received_bytes: AtomicBool,
    /// How much was written, in bytes; it wraps.
    written: AtomicU32,
    /// Whether the last write found the client not reading.
    blocked: AtomicBool,
    /// Of the one request that HTTP/1.1 has at a time.
    progress: Arc<Progress>,
    /// Of the many that HTTP/2 has.
    streams: StreamTasks,
    resets: ResetCounter,
    client_shares: ClientShares,
    _guards: ConnectionGuards,
}

/// What the house knows of a client at its door.
#[derive(Debug, Default)]
pub(super) struct ClientShares {
    /// Of the connections it may hold.
    pub(super) _connection: Option<QuotaGuard>,
    /// Where its requests are counted. Absent: they are not.
    pub(super) requests: Option<(Arc<ClientQuota>, QuotaCells)>,
}

/// What a connection holds of the house's limits and counts, given back at its end.
pub(super) type ConnectionGuards = (OwnedSemaphorePermit, TaskTrackerToken, GaugeGuard);

/// What is to be done about a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing until then.
    CheckAt(Instant),
    /// Let it end as its protocol does.
    ShutDown,
    /// End it now.
    Close(&'static str),
    /// End it now: its client was slower than this key allows.
    CloseSlow(&'static str),
}

/// How a connection went on over the last looks.
#[derive(Debug, Default)]
pub(super) struct SlownessChecks {
    written: SpeedCheck,
    request: RequestSpeed,
    /// Limits that single requests did not keep, which were ended for it.
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

    /// Notes that a request was received; it is open until the answer is dropped. `in_stream`: over
    /// HTTP/2.
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

    /// Where the requests of HTTP/2 run.
    pub(super) fn streams(&self) -> StreamTasks {
        self.streams.clone()
    }

    /// Whether the client resets so many of its streams that its connection is to be closed. A proxy
    /// speaks for many clients, who give up one by one.
    pub(super) fn has_too_many_resets(&self) -> bool {
        self.resets.are_too_many() && self.client_shares.requests.is_some()
    }

    /// Notes that bytes came in.
    pub(super) fn note_bytes_received(&self) {
        self.received_bytes.store(true, Ordering::Relaxed);
    }

    /// Whether anything at all came in.
    pub(super) fn has_received_bytes(&self) -> bool {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// Judges the connection.
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
                false => Action::Close("no request came"),
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
            // What begins meanwhile is looked at soon.
            (true, _) => Action::CheckAt(until.min(now + limits.progress_interval.duration())),
            (false, false) => Action::ShutDown,
            (false, true) => Action::Close("the client did not close"),
        }
    }
}

/// A request that is being note_response_piece.
#[derive(Debug)]
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    /// Its own progress, over HTTP/2.
    stream: Option<Arc<Progress>>,
    /// Whether its client may have another request under way.
    is_within_limit: bool,
}

impl OpenRequest {
    pub(super) fn is_within_limit(&self) -> bool {
        self.is_within_limit
    }

    /// How many its client may have, when they are counted.
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

/// A body that keeps its request open until its end. One that fails is cut off only after what came
/// of it was sent.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Body,
    /// Of a piece that is longer than a stream is given at once.
    rest: Bytes,
    open: OpenRequest,
    /// What the connection's writes stood at when the last piece was handed over.
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

    /// Whether what was handed over has left, as far as the connection's writes tell.
    fn is_sent(&self) -> bool {
        let activity = &self.open.activity;
        activity.written.load(Ordering::Relaxed) != self.written
            && !activity.blocked.load(Ordering::Relaxed)
    }

    /// Whether something surely follows what came of the body so far.
    fn goes_on(&self) -> bool {
        !self.body.is_end_stream() && self.body.size_hint().exact().is_some_and(|left| left > 0)
    }

    /// The next piece for a stream, which is watched.
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
            // The library lets go of a request once it has its last piece, whether that fits into
            // the client's window or not. A single byte it keeps until there is room for it.
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
            // Over HTTP/1.1 the connection's own writes say whether its client reads.
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

/// A stream that progress whether its client still writes and reads.
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
