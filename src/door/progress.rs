//! `Progress`: whether a client sends the request body and reads the response fast enough.
//!
//! Bodies only record whether they wait for the client and how many bytes moved. While a request is
//! open, its connection checks the records four times in each `progress_interval`.

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

/// Checks in each `progress_interval`. A client is slow if every check of an interval finds that menshen
/// waits for it, and fewer bytes than the minimum moved between the first and the last.
const CHECKS_PER_INTERVAL: u8 = 4;

/// The progress of one request.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Whether menshen waits for more of the request body.
    waits_for_upload: AtomicBool,
    /// Bytes of the request body received; wraps around.
    uploaded_bytes: AtomicU32,
    /// Whether the response has started. From then on the upload has no minimum speed.
    has_response_started: AtomicBool,
    /// Whether a piece of the response waits for the client to read it.
    waits_for_reader: AtomicBool,
    /// Bytes of the response that were handed to hyper; wraps around.
    downloaded_bytes: AtomicU32,
    /// Whether the request has ended.
    is_ended: AtomicBool,
    /// Whether menshen aborted the request because its client was slow.
    is_aborted_as_slow: AtomicBool,
}

impl Progress {
    /// Prepares for the next request of an HTTP/1.1 connection.
    pub(super) fn reset(&self) {
        self.waits_for_upload.store(false, Ordering::Relaxed);
        self.has_response_started.store(false, Ordering::Relaxed);
    }

    pub(super) fn mark_response_started(&self) {
        self.has_response_started.store(true, Ordering::Relaxed);
    }

    /// Whether the client gave the request up before its response started.
    pub(super) fn was_abandoned(&self) -> bool {
        !self.has_response_started.load(Ordering::Relaxed)
            && !self.is_aborted_as_slow.load(Ordering::Relaxed)
    }

    /// Records the length of the piece that was handed to hyper; `None`: the body has no piece yet.
    pub(super) fn record_response_piece(&self, bytes: Option<usize>) {
        if let Some(bytes) = bytes {
            add_to_counter(&self.downloaded_bytes, bytes);
        }
        self.waits_for_reader
            .store(bytes.is_some(), Ordering::Relaxed);
    }
}

/// Adds to a counter that only one task writes, so that a load and a store are enough.
pub(super) fn add_to_counter(counter: &AtomicU32, bytes: usize) {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let sum = counter.load(Ordering::Relaxed).wrapping_add(bytes);
    counter.store(sum, Ordering::Relaxed);
}

/// The checks of one direction in the current interval.
#[derive(Debug, Default)]
pub(super) struct SpeedCheck {
    checks: u8,
    /// The bytes that had moved at the first check.
    bytes_at_start: u32,
}

impl SpeedCheck {
    /// Records a check. Returns whether the client was slow over a whole interval. `is_waiting`: menshen
    /// waits for the client; `bytes`: how many have moved so far.
    pub(super) fn is_slow(&mut self, is_waiting: bool, bytes: u32, min: u32) -> bool {
        if !is_waiting {
            self.checks = 0;
            return false;
        }
        if self.checks == 0 {
            self.bytes_at_start = bytes;
        }
        self.checks += 1;
        if self.checks <= CHECKS_PER_INTERVAL {
            return false;
        }
        let moved_bytes = bytes.wrapping_sub(self.bytes_at_start);
        (self.checks, self.bytes_at_start) = (1, bytes);
        moved_bytes < min.max(1)
    }
}

/// The checks of both directions of a request.
#[derive(Debug, Default)]
pub(super) struct RequestSpeed {
    upload: SpeedCheck,
    download: SpeedCheck,
}

/// The configuration keys of the two minimum speeds.
pub(super) const UPLOAD_KEY: &str = "upload_bytes_min";
pub(super) const DOWNLOAD_KEY: &str = "download_bytes_min";

impl RequestSpeed {
    /// Checks a request. Returns the key of the minimum speed that its client fell below, if it did.
    pub(super) fn check(
        &mut self,
        progress: &Progress,
        limits: &ServerLimits,
    ) -> Option<&'static str> {
        let has_response_started = progress.has_response_started.load(Ordering::Relaxed);
        let is_waiting = progress.waits_for_upload.load(Ordering::Relaxed) && !has_response_started;
        let bytes = progress.uploaded_bytes.load(Ordering::Relaxed);
        if self
            .upload
            .is_slow(is_waiting, bytes, limits.upload_bytes_min)
        {
            return Some(UPLOAD_KEY);
        }
        let is_waiting = progress.waits_for_reader.load(Ordering::Relaxed);
        let bytes = progress.downloaded_bytes.load(Ordering::Relaxed);
        let is_slow = self
            .download
            .is_slow(is_waiting, bytes, limits.download_bytes_min);
        is_slow.then_some(DOWNLOAD_KEY)
    }
}

impl ServerLimits {
    /// Time from one check to the next.
    pub(super) fn check_interval(&self) -> Duration {
        self.progress_interval.duration() / u32::from(CHECKS_PER_INTERVAL)
    }
}

/// The body of a client's request, whose progress is recorded.
pub struct RequestBody {
    /// Taken when this is dropped.
    body: Option<Incoming>,
    is_ended: bool,
    /// Whether the rest is read and discarded when this is dropped before its end.
    discards_rest: bool,
    /// Absent for an empty body.
    progress: Option<Arc<Progress>>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, progress: &Arc<Progress>, discards_rest: bool) -> Self {
        let progress = (!http_body::Body::is_end_stream(&body)).then(|| Arc::clone(progress));
        Self {
            body: Some(body),
            is_ended: false,
            discards_rest,
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
        progress.waits_for_upload.store(false, Ordering::Relaxed);
        let is_aborted = progress.is_aborted_as_slow.load(Ordering::Relaxed);
        let discards = self.discards_rest && !self.is_ended && !is_aborted;
        let body = self.body.take().filter(|_| discards);
        if let Some(body) = body.filter(|body| !http_body::Body::is_end_stream(body)) {
            discard::spawn(body);
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
        self.is_ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        if let Some(progress) = &self.progress {
            if let Poll::Ready(Some(Ok(frame))) = &polled {
                add_to_counter(
                    &progress.uploaded_bytes,
                    frame.data_ref().map_or(0, Bytes::len),
                );
            }
            progress
                .waits_for_upload
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

/// The requests of an HTTP/2 connection, each in a task of its own that can be aborted.
///
/// If a client opens no window, h2 keeps its stream forever and does not poll the body of the response.
/// Aborting the task drops the response and resets the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamTasks(Arc<Mutex<OpenStreams>>);

#[derive(Debug, Default)]
struct OpenStreams {
    /// The progress of the request whose task hyper spawns next.
    next: Option<Arc<Progress>>,
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    progress: Arc<Progress>,
    speed: RequestSpeed,
    task: AbortHandle,
}

impl StreamTasks {
    /// Starts a request. hyper spawns its task next.
    pub(super) fn begin(&self) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        self.lock().next = Some(Arc::clone(&progress));
        progress
    }

    /// Ends a request.
    pub(super) fn end(&self, progress: &Arc<Progress>) {
        progress.is_ended.store(true, Ordering::Release);
        let mut open = self.lock();
        let index = open
            .streams
            .iter()
            .position(|stream| Arc::ptr_eq(&stream.progress, progress));
        let ended = index.map(|index| open.streams.swap_remove(index));
        drop(open);
        drop(ended);
    }

    /// Checks every request and aborts the slow ones. Returns the key of the limit for each of them.
    pub(super) fn abort_slow(&self, limits: &ServerLimits) -> Vec<&'static str> {
        let mut keys = Vec::new();
        for stream in &mut self.lock().streams {
            if let Some(key) = stream.speed.check(&stream.progress, limits) {
                keys.push(key);
                stream
                    .progress
                    .is_aborted_as_slow
                    .store(true, Ordering::Relaxed);
                stream.task.abort();
            }
        }
        keys
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenStreams> {
        // No code under the lock can panic between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    /// hyper calls this right after the service, so the task belongs to the request in `next`.
    fn execute(&self, task: F) {
        // Not under the lock: a runtime that shuts down drops the task here, which calls `end`.
        let task = tokio::spawn(task).abort_handle();
        let mut open = self.lock();
        let next = open.next.take();
        if let Some(progress) = next.filter(|progress| !progress.is_ended.load(Ordering::Acquire)) {
            open.streams.push(Stream {
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

    /// Whether a client with a minimum of 100 bytes is slow at each check. A check: whether menshen waits,
    /// and how many bytes have moved so far.
    fn is_slow_at_each(checks: &[(bool, u32)]) -> Vec<bool> {
        let mut speed = SpeedCheck::default();
        let is_slow = |(is_waiting, bytes): &(bool, u32)| speed.is_slow(*is_waiting, *bytes, 100);
        checks.iter().map(is_slow).collect()
    }

    #[test]
    fn a_client_that_moves_less_than_the_minimum_in_an_interval_is_slow() {
        let still = [(true, 7); 6];
        assert_eq!(
            is_slow_at_each(&still),
            [false, false, false, false, true, false]
        );
        let too_slow: [_; 5] = std::array::from_fn(|check| (true, 20 * check as u32));
        assert_eq!(is_slow_at_each(&too_slow)[4..], [true]);
        let fast_enough: [_; 9] = std::array::from_fn(|check| (true, 25 * check as u32));
        assert_eq!(is_slow_at_each(&fast_enough), [false; 9]);
        // Counters wrap.
        let wraps = [u32::MAX - 10, u32::MAX, 20, 60, 100].map(|bytes| (true, bytes));
        assert_eq!(is_slow_at_each(&wraps), [false; 5]);
    }

    #[test]
    fn a_client_that_catches_up_within_an_interval_is_not_slow() {
        let checks: [_; 20] = std::array::from_fn(|check| (check % 4 != 3, 7));
        assert_eq!(is_slow_at_each(&checks), [false; 20]);
    }
}
