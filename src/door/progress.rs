//! `Progress`: finds clients that send a request body or read a response too slowly.
//!
//! Bodies record whether they wait for the client and how many bytes were transferred. While a request
//! is open, its connection checks these records a few times in each interval.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::Executor;
use tokio::task::AbortHandle;

use super::{ServerLimits, discard};

/// The number of checks in each interval. A client is slow if every check finds the server waiting for
/// it, and fewer bytes than the minimum are transferred from the first check to the last.
const CHECKS_PER_INTERVAL: u8 = 4;

/// The progress of one request.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether the server waits for more of the request body.
    sending: AtomicBool,
    /// The received bytes of the request body; wraps.
    sent: AtomicU32,
    /// Whether the response began. From then on the client may send at any speed.
    answering: AtomicBool,
    /// Whether the last piece of the response waits for the client to read it.
    reading: AtomicBool,
    /// The bytes of the response that were passed to the HTTP/2 stream; wraps.
    read: AtomicU32,
    /// Whether the request ended.
    over: AtomicBool,
    /// Whether it was aborted because its client was slow.
    cut: AtomicBool,
}

impl Progress {
    /// Resets the record for the next request of an HTTP/1.1 connection.
    pub(super) fn clear(&self) {
        self.sending.store(false, Ordering::Relaxed);
        self.answering.store(false, Ordering::Relaxed);
    }

    /// Records that the response began.
    pub(super) fn mark_response_started(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    /// Whether the client cancelled the request: it ended before its response began, and was not aborted
    /// for slowness. Meaningful once the request ended.
    pub(super) fn was_abandoned(&self) -> bool {
        !self.answering.load(Ordering::Relaxed) && !self.cut.load(Ordering::Relaxed)
    }

    /// Records the next piece of the response by its length, or `None` if the body is pending.
    pub(super) fn note_response_piece(&self, bytes: Option<usize>) {
        if let Some(bytes) = bytes {
            add(&self.read, bytes);
        }
        self.reading.store(bytes.is_some(), Ordering::Relaxed);
    }
}

/// Adds to a wrapping counter. Only one task writes to it, so a load and a store suffice.
pub(super) fn add(counter: &AtomicU32, bytes: usize) {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let sum = counter.load(Ordering::Relaxed).wrapping_add(bytes);
    counter.store(sum, Ordering::Relaxed);
}

/// The last checks of one direction of a request.
#[derive(Debug, Default)]
pub(super) struct SpeedCheck {
    checks: u8,
    first: u32,
}

impl SpeedCheck {
    /// Makes one check. Returns whether the client was slow over a whole interval. `waits`: whether the
    /// server waits for the client.
    pub(super) fn is_slow(&mut self, waits: bool, bytes: u32, min: u32) -> bool {
        if !waits {
            self.checks = 0;
            return false;
        }
        if self.checks == 0 {
            self.first = bytes;
        }
        self.checks += 1;
        if self.checks <= CHECKS_PER_INTERVAL {
            return false;
        }
        let moved = bytes.wrapping_sub(self.first);
        (self.checks, self.first) = (1, bytes);
        moved < min.max(1)
    }
}

/// The last checks of both directions of a request.
#[derive(Debug, Default)]
pub(super) struct RequestSpeed {
    up: SpeedCheck,
    down: SpeedCheck,
}

/// The configuration key of the lowest upload speed.
pub(super) const UPLOAD: &str = "upload_bytes_min";
/// The configuration key of the lowest download speed.
pub(super) const DOWNLOAD: &str = "download_bytes_min";

impl RequestSpeed {
    /// Makes one check. Returns the configuration key of the limit that the client violates.
    pub(super) fn check(
        &mut self,
        progress: &Progress,
        limits: &ServerLimits,
    ) -> Option<&'static str> {
        let answering = progress.answering.load(Ordering::Relaxed);
        let sending = progress.sending.load(Ordering::Relaxed) && !answering;
        let sent = progress.sent.load(Ordering::Relaxed);
        if self.up.is_slow(sending, sent, limits.upload_bytes_min) {
            return Some(UPLOAD);
        }
        let reading = progress.reading.load(Ordering::Relaxed);
        let read = progress.read.load(Ordering::Relaxed);
        let slow = self.down.is_slow(reading, read, limits.download_bytes_min);
        slow.then_some(DOWNLOAD)
    }
}

impl ServerLimits {
    /// The time between two checks.
    pub(super) fn check_interval(&self) -> Duration {
        self.progress_interval.duration() / u32::from(CHECKS_PER_INTERVAL)
    }
}

/// The body of a request, which records its progress.
pub struct RequestBody {
    /// Absent only while this is dropped.
    body: Option<Incoming>,
    /// Whether it was read to its end or failed.
    ended: bool,
    /// Whether the rest is received and discarded when this is dropped.
    drains: bool,
    /// Absent for an empty body.
    progress: Option<Arc<Progress>>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, progress: &Arc<Progress>, drains: bool) -> Self {
        let progress = (!http_body::Body::is_end_stream(&body)).then(|| Arc::clone(progress));
        Self {
            body: Some(body),
            ended: false,
            drains,
            progress,
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestBody").field(&self.body).finish()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(progress) = &self.progress else {
            return;
        };
        // The server no longer waits for the rest.
        progress.sending.store(false, Ordering::Relaxed);
        let hears_out = self.drains && !self.ended && !progress.cut.load(Ordering::Relaxed);
        let body = self.body.take().filter(|_| hears_out);
        if let Some(body) = body.filter(|body| !http_body::Body::is_end_stream(body)) {
            discard::rest_of(body);
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        if let Some(progress) = &self.progress {
            if let Poll::Ready(Some(Ok(frame))) = &polled {
                add(&progress.sent, frame.data_ref().map_or(0, Bytes::len));
            }
            progress
                .sending
                .store(polled.is_pending(), Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

/// The requests of an HTTP/2 connection, each in a task that can be aborted.
///
/// hyper keeps a stream whose client opens no window forever, and does not poll its body. Aborting
/// the task drops the response and resets the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamTasks(Arc<Mutex<OpenStreams>>);

#[derive(Debug, Default)]
struct OpenStreams {
    /// The progress of the last received request, until its task is spawned.
    next: Option<Arc<Progress>>,
    all: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    progress: Arc<Progress>,
    speed: RequestSpeed,
    task: AbortHandle,
}

impl StreamTasks {
    /// Adds a request, whose task is the next one to be spawned.
    pub(super) fn begin(&self) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        self.open().next = Some(Arc::clone(&progress));
        progress
    }

    /// Removes a request that ended.
    pub(super) fn end(&self, progress: &Arc<Progress>) {
        progress.over.store(true, Ordering::Release);
        let mut open = self.open();
        let at = open
            .all
            .iter()
            .position(|one| Arc::ptr_eq(&one.progress, progress));
        let ended = at.map(|at| open.all.swap_remove(at));
        drop(open);
        drop(ended);
    }

    /// Checks every request and aborts the slow ones. Returns the configuration keys of the limits that
    /// they violate.
    pub(super) fn end_slow(&self, limits: &ServerLimits) -> Vec<&'static str> {
        let mut slow = Vec::new();
        for stream in &mut self.open().all {
            if let Some(key) = stream.speed.check(&stream.progress, limits) {
                slow.push(key);
                stream.progress.cut.store(true, Ordering::Relaxed);
                stream.task.abort();
            }
        }
        slow
    }

    fn open(&self) -> std::sync::MutexGuard<'_, OpenStreams> {
        // No code that holds the lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    /// hyper calls this right after the service, so `task` is that of the request in `next`.
    fn execute(&self, task: F) {
        // Outside the lock, which `end` takes: a runtime that shuts down drops the task at once, and
        // with it the request.
        let task = tokio::spawn(task).abort_handle();
        let mut open = self.open();
        let next = open.next.take();
        if let Some(progress) = next.filter(|progress| !progress.over.load(Ordering::Acquire)) {
            open.all.push(Stream {
                progress,
                speed: RequestSpeed::default(),
                task,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the client was slow at each check: whether the server waits, and the bytes so far.
    fn slow(checks: &[(bool, u32)]) -> Vec<bool> {
        let mut pace = SpeedCheck::default();
        let of = |(waits, bytes): &(bool, u32)| pace.is_slow(*waits, *bytes, 100);
        checks.iter().map(of).collect()
    }

    #[test]
    fn whoever_is_waited_for_over_an_interval_must_move_the_minimum() {
        let still = [(true, 7); 6];
        assert_eq!(slow(&still), [false, false, false, false, true, false]);
        let trickles: [_; 5] = std::array::from_fn(|at| (true, 20 * at as u32));
        assert_eq!(slow(&trickles)[4..], [true]);
        let moves: [_; 9] = std::array::from_fn(|at| (true, 25 * at as u32));
        assert_eq!(slow(&moves), [false; 9]);
        // Counters wrap.
        let wraps = [u32::MAX - 10, u32::MAX, 20, 60, 100].map(|bytes| (true, bytes));
        assert_eq!(slow(&wraps), [false; 5]);
    }

    #[test]
    fn whoever_is_not_waited_for_now_and_then_is_not_slow() {
        let checks: [_; 20] = std::array::from_fn(|at| (at % 4 != 3, 7));
        assert_eq!(slow(&checks), [false; 20]);
    }
}
