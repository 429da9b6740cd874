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

use super::DoorLimits;
use super::failed::Failed;
use super::progress::{DOWNLOAD, Pace, Paces, Progress, Streams, add};
use super::resets::Resets;
use crate::request::share::{Places, Share, Shares};
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
    /// Requests that were received and not yet answered to their last byte.
    open: AtomicU32,
    /// Whether any request was received.
    begun: AtomicBool,
    /// When the last request was answered, in milliseconds since `opened`.
    ended_ms: AtomicU64,
    /// Whether any byte came.
    heard: AtomicBool,
    /// How much was written, in bytes; it wraps.
    written: AtomicU32,
    /// Whether the last write found the client not reading.
    blocked: AtomicBool,
    /// Of the one request that HTTP/1.1 has at a time.
    notes: Arc<Progress>,
    /// Of the many that HTTP/2 has.
    streams: Streams,
    resets: Resets,
    welcome: Welcome,
    _place: Place,
}

/// What the house knows of a client at its door.
#[derive(Debug, Default)]
pub(super) struct Welcome {
    /// Of the connections it may hold.
    pub(super) _connection: Option<Share>,
    /// Where its requests are counted. Absent: they are not.
    pub(super) requests: Option<(Arc<Shares>, Places)>,
}

/// What a connection holds of the house's limits and counts, given back at its end.
pub(super) type Place = (OwnedSemaphorePermit, TaskTrackerToken, GaugeGuard);

/// What is to be done about a connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Nothing until then.
    Ask(Instant),
    /// Let it end as its protocol does.
    Leave,
    /// End it now.
    Cut(&'static str),
    /// End it now: its client was slower than this key allows.
    Slow(&'static str),
}

/// How a connection went on over the last looks.
#[derive(Debug, Default)]
pub(super) struct Watch {
    written: Pace,
    request: Paces,
    /// Limits that single requests did not keep, which were ended for it.
    pub(super) ended: Vec<&'static str>,
}

impl Activity {
    pub(super) fn new(place: Place, welcome: Welcome) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            open: AtomicU32::new(0),
            begun: AtomicBool::new(false),
            ended_ms: AtomicU64::new(0),
            heard: AtomicBool::new(false),
            written: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            notes: Arc::default(),
            streams: Streams::default(),
            resets: Resets::default(),
            welcome,
            _place: place,
        })
    }

    /// Notes that a request was received; it is open until the answer is dropped. `in_stream`: over
    /// HTTP/2.
    pub(super) fn receive(self: &Arc<Self>, in_stream: bool) -> Open {
        self.begun.store(true, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        let requests = self.welcome.requests.as_ref();
        Open {
            welcome: requests.is_none_or(|(shares, places)| shares.add(*places)),
            stream: in_stream.then(|| {
                self.resets.count_stream();
                self.streams.begin()
            }),
            activity: Arc::clone(self),
        }
    }

    /// Where the requests of HTTP/2 run.
    pub(super) fn streams(&self) -> Streams {
        self.streams.clone()
    }

    /// Whether the client resets so many of its streams that its connection is to be closed. A proxy
    /// speaks for many clients, who give up one by one.
    pub(super) fn resets_too_much(&self) -> bool {
        self.resets.are_too_many() && self.welcome.requests.is_some()
    }

    /// Notes that bytes came in.
    pub(super) fn hear(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether anything at all came in.
    pub(super) fn was_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Judges the connection.
    pub(super) fn advise(&self, limits: &DoorLimits, leaving: bool, watch: &mut Watch) -> Advice {
        let now = Instant::now();
        if !self.begun.load(Ordering::Relaxed) {
            let until = self.opened + limits.header_read.duration();
            return match now < until {
                true => Advice::Ask(until),
                false => Advice::Cut("no request came"),
            };
        }
        let blocked = self.blocked.load(Ordering::Relaxed);
        let written = self.written.load(Ordering::Relaxed);
        let min = limits.download_bytes_min;
        if watch.written.is_slow(blocked, written, min) {
            return Advice::Slow(DOWNLOAD);
        }
        if let Some(key) = watch.request.look(&self.notes, limits) {
            return Advice::Slow(key);
        }
        watch.ended = self.streams.end_slow(limits);
        if blocked || self.open.load(Ordering::Acquire) > 0 {
            return Advice::Ask(now + limits.look_after());
        }
        let ended = Duration::from_millis(self.ended_ms.load(Ordering::Relaxed));
        let until = self.opened + ended + limits.keep_alive.duration();
        match (now < until, leaving) {
            // What begins meanwhile is looked at soon.
            (true, _) => Advice::Ask(until.min(now + limits.progress_interval.duration())),
            (false, false) => Advice::Leave,
            (false, true) => Advice::Cut("the client did not close"),
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Open {
    activity: Arc<Activity>,
    /// Its own notes, over HTTP/2.
    stream: Option<Arc<Progress>>,
    /// Whether its client may have another request under way.
    welcome: bool,
}

impl Open {
    pub(super) fn is_welcome(&self) -> bool {
        self.welcome
    }

    /// How many its client may have, when they are counted.
    pub(super) fn requests_max(&self) -> Option<u32> {
        let requests = self.activity.welcome.requests.as_ref();
        requests.map(|(shares, _)| shares.max())
    }

    pub(super) fn notes(&self) -> &Arc<Progress> {
        self.stream.as_ref().unwrap_or(&self.activity.notes)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let activity = &*self.activity;
        if let Some(notes) = &self.stream {
            if notes.was_given_up() {
                activity.resets.count_reset(Instant::now());
            }
            activity.streams.end(notes);
        } else {
            activity.notes.clear();
        }
        if let Some((shares, places)) = activity.welcome.requests.as_ref().filter(|_| self.welcome)
        {
            shares.give_back(*places);
        }
        let elapsed = u64::try_from(activity.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        activity.ended_ms.store(elapsed, Ordering::Relaxed);
        activity.open.fetch_sub(1, Ordering::Release);
    }
}

/// A body that keeps its request open until its end. One that fails is cut off only after what came
/// of it was sent.
#[derive(Debug)]
pub(super) struct OpenBody {
    body: Body,
    /// Of a piece that is longer than a stream is given at once.
    rest: Bytes,
    open: Open,
    /// What the connection's writes stood at when the last piece was handed over.
    written: u32,
    failed: Option<Box<Failed>>,
}

impl OpenBody {
    pub(super) fn new(body: Body, open: Open) -> Self {
        open.notes().answer();
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
                    self.open.notes().answered(None);
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
        self.open.notes().answered(Some(data.len()));
        Poll::Ready(Some(Ok(Frame::data(data))))
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
            // Over HTTP/1.1 the connection's own writes say whether its client reads.
            let polled = match self.open.stream.is_some() {
                true => self.poll_piece(cx),
                false => Pin::new(&mut self.body).poll_frame(cx),
            };
            match ready!(polled) {
                Some(Err(error)) => self.failed = Some(Box::new(Failed::new(error))),
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
