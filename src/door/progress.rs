//! Whether a client goes on: sends what it began to send, and reads what it asked for.
//!
//! Nothing is measured per piece. Bodies note for whom they wait and how many bytes moved; the
//! connection checks at the progress a few times in each interval, while a request is open.

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

/// How often the progress are looked at in each interval. Who waits for its client at every look, and
/// gets less than the minimum from the first to the last, has a slow client.
const CHECKS_PER_INTERVAL: u8 = 4;

/// The progress of one request.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether more of the request's body is awaited from the client.
    sending: AtomicBool,
    /// How much of it came, in bytes; it wraps.
    sent: AtomicU32,
    /// Whether the answer began. From then on a client may send as it likes.
    answering: AtomicBool,
    /// Whether the client has a piece of the answer that it has not taken.
    reading: AtomicBool,
    /// How much of the answer went, in bytes; it wraps.
    read: AtomicU32,
    /// Whether the request is over.
    over: AtomicBool,
    /// Whether it was ended because its client was slow.
    cut: AtomicBool,
}

impl Progress {
    /// Forgets a request that is over.
    pub(super) fn clear(&self) {
        self.sending.store(false, Ordering::Relaxed);
        self.answering.store(false, Ordering::Relaxed);
    }

    /// Notes that the head of the answer is there.
    pub(super) fn mark_response_started(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    /// Whether the request ended before its answer began, and not because its client was slow.
    pub(super) fn was_abandoned(&self) -> bool {
        !self.answering.load(Ordering::Relaxed) && !self.cut.load(Ordering::Relaxed)
    }

    /// Notes what asking an answer's body for its next piece came to.
    pub(super) fn note_response_piece(&self, bytes: Option<usize>) {
        if let Some(bytes) = bytes {
            add(&self.read, bytes);
        }
        self.reading.store(bytes.is_some(), Ordering::Relaxed);
    }
}

/// Only one task moves a body: a load and a store lose nothing.
pub(super) fn add(counter: &AtomicU32, bytes: usize) {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let sum = counter.load(Ordering::Relaxed).wrapping_add(bytes);
    counter.store(sum, Ordering::Relaxed);
}

/// How one direction went on over the last checks.
#[derive(Debug, Default)]
pub(super) struct SpeedCheck {
    checks: u8,
    first: u32,
}

impl SpeedCheck {
    /// Takes a look. Says whether the client was slow over a whole interval.
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

/// How both directions of a request went on.
#[derive(Debug, Default)]
pub(super) struct RequestSpeed {
    up: SpeedCheck,
    down: SpeedCheck,
}

/// A limit a client did not keep, by its key.
pub(super) const UPLOAD: &str = "upload_bytes_min";
/// The other one.
pub(super) const DOWNLOAD: &str = "download_bytes_min";

impl RequestSpeed {
    /// Takes a look at a request. Names the limit that its client did not keep.
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
    /// From one look to the next.
    pub(super) fn check_interval(&self) -> Duration {
        self.progress_interval.duration() / u32::from(CHECKS_PER_INTERVAL)
    }
}

/// The body of a request, as it comes in.
pub struct RequestBody {
    /// There until it is dropped.
    body: Option<Incoming>,
    /// Whether it came to its end.
    ended: bool,
    /// Whether its client is to be heard out when nobody wants the rest.
    drains: bool,
    /// Absent where there is no body.
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
        // Nobody waits for the rest of it.
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

/// The requests of an HTTP/2 connection, each in a task of its own that can be ended.
///
/// The library keeps a stream whose client opens no window for ever, and asks no body about it.
/// Ending its task drops the answer and resets the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamTasks(Arc<Mutex<OpenStreams>>);

#[derive(Debug, Default)]
struct OpenStreams {
    /// Of the request that was received just now, until its task is there.
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
    /// Notes of a request whose task comes next.
    pub(super) fn begin(&self) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        self.open().next = Some(Arc::clone(&progress));
        progress
    }

    /// Forgets a request that is over.
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

    /// Looks at every request, ends the slow ones and names the limits they did not keep.
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
        // Nothing that holds the lock can leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    /// Called right behind the service, so what comes next is the task of that request.
    fn execute(&self, task: F) {
        // Not under the lock: a runtime that ends drops the task here, and with it the request.
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

    /// Whether a client was slow at each look; what it is waited for at, and what moved so far.
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
