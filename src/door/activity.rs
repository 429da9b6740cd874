//! `Activity`: what a connection is doing. Tracking it needs no timer per request, and no lock per
//! HTTP/1.1 request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::ServerLimits;
use super::progress::{
    DOWNLOAD_KEY, Progress, RequestSpeed, SpeedCheck, StreamTasks, add_to_counter,
};
use super::resets::ResetCounter;
use crate::request::client_quota::{ClientQuota, QuotaCounters, QuotaGuard};
use crate::telemetry::GaugeGuard;

/// The activity of one connection. Lives as long as its socket, also while that is a tunnel.
#[derive(Debug)]
pub(super) struct Activity {
    opened_at: Instant,
    /// Requests whose response is not complete.
    open_requests: AtomicU32,
    /// Whether the connection has received a request.
    has_received_request: AtomicBool,
    /// When the last response ended, in milliseconds after `opened_at`.
    last_response_ms: AtomicU64,
    has_received_bytes: AtomicBool,
    /// Bytes written; wraps around.
    written_bytes: AtomicU32,
    /// Whether the last write had to wait for the client to read.
    is_write_blocked: AtomicBool,
    /// Progress of the only request that HTTP/1.1 has at a time.
    progress: Arc<Progress>,
    /// Progress of the requests of HTTP/2.
    streams: StreamTasks,
    resets: ResetCounter,
    client_limits: ClientLimits,
    _guards: ConnectionGuards,
}

/// How a connection counts toward the limits of its client.
#[derive(Debug, Default)]
pub(super) struct ClientLimits {
    pub(super) _connection: Option<QuotaGuard>,
    /// Where the requests are counted; absent: they are not limited.
    pub(super) request_quota: Option<(Arc<ClientQuota>, QuotaCounters)>,
}

/// What a connection releases when it is dropped: its permit, and its entries in the task tracker and in
/// the gauge of connections.
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

/// The checks of a client's speed in the current interval.
#[derive(Debug, Default)]
pub(super) struct SlownessChecks {
    /// How fast the client reads all that is written to the connection.
    connection: SpeedCheck,
    /// How fast the client sends and reads the HTTP/1.1 exchange.
    request: RequestSpeed,
    /// For each HTTP/2 request that the last check aborted, the key of the limit.
    pub(super) aborted_for: Vec<&'static str>,
}

impl Activity {
    pub(super) fn new(guards: ConnectionGuards, client_limits: ClientLimits) -> Arc<Self> {
        Arc::new(Self {
            opened_at: Instant::now(),
            open_requests: AtomicU32::new(0),
            has_received_request: AtomicBool::new(false),
            last_response_ms: AtomicU64::new(0),
            has_received_bytes: AtomicBool::new(false),
            written_bytes: AtomicU32::new(0),
            is_write_blocked: AtomicBool::new(false),
            progress: Arc::default(),
            streams: StreamTasks::default(),
            resets: ResetCounter::default(),
            client_limits,
            _guards: guards,
        })
    }

    /// Starts tracking a request until its response is dropped.
    pub(super) fn begin_request(self: &Arc<Self>, is_http2: bool) -> OpenRequest {
        self.has_received_request.store(true, Ordering::Relaxed);
        self.open_requests.fetch_add(1, Ordering::Relaxed);
        let quota = self.client_limits.request_quota.as_ref();
        OpenRequest {
            is_within_limit: quota.is_none_or(|(quota, counters)| quota.add(*counters)),
            stream_progress: is_http2.then(|| {
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
        self.resets.are_too_many() && self.client_limits.request_quota.is_some()
    }

    pub(super) fn record_received_bytes(&self) {
        self.has_received_bytes.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_received_bytes(&self) -> bool {
        self.has_received_bytes.load(Ordering::Relaxed)
    }

    /// Records the result of a write.
    pub(super) fn record_write(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = result {
            add_to_counter(&self.written_bytes, *bytes);
        }
        self.record_write_blocked(result.is_pending());
    }

    pub(super) fn record_write_blocked(&self, is_blocked: bool) {
        self.is_write_blocked.store(is_blocked, Ordering::Relaxed);
    }

    pub(super) fn written_bytes(&self) -> u32 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_write_blocked(&self) -> bool {
        self.is_write_blocked.load(Ordering::Relaxed)
    }

    /// Checks the time-outs and the minimum speeds.
    pub(super) fn next_action(
        &self,
        limits: &ServerLimits,
        is_shutting_down: bool,
        checks: &mut SlownessChecks,
    ) -> Action {
        let now = Instant::now();
        if !self.has_received_request.load(Ordering::Relaxed) {
            let until = self.opened_at + limits.header_read.duration();
            return match now < until {
                true => Action::CheckAt(until),
                false => Action::Close("the client sent no request"),
            };
        }
        let is_blocked = self.is_write_blocked();
        let min = limits.download_bytes_min;
        if checks
            .connection
            .is_slow(is_blocked, self.written_bytes(), min)
        {
            return Action::CloseSlow(DOWNLOAD_KEY);
        }
        if let Some(key) = checks.request.check(&self.progress, limits) {
            return Action::CloseSlow(key);
        }
        checks.aborted_for = self.streams.abort_slow(limits);
        if is_blocked || self.open_requests.load(Ordering::Acquire) > 0 {
            return Action::CheckAt(now + limits.check_interval());
        }
        let last_response_ms = self.last_response_ms.load(Ordering::Relaxed);
        let last_response = self.opened_at + Duration::from_millis(last_response_ms);
        let until = last_response + limits.keep_alive.duration();
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
    /// The progress of an HTTP/2 request; absent over HTTP/1.1, where the connection has one.
    stream_progress: Option<Arc<Progress>>,
    /// Whether the request is within its client's limit of concurrent requests.
    is_within_limit: bool,
}

impl OpenRequest {
    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    pub(super) fn is_http2(&self) -> bool {
        self.stream_progress.is_some()
    }

    pub(super) fn is_within_limit(&self) -> bool {
        self.is_within_limit
    }

    /// The limit of concurrent requests per client, if the client is limited.
    pub(super) fn requests_max(&self) -> Option<u32> {
        let quota = self.activity.client_limits.request_quota.as_ref();
        quota.map(|(quota, _)| quota.max())
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        let stream_progress = self.stream_progress.as_ref();
        stream_progress.unwrap_or(&self.activity.progress)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let activity = &*self.activity;
        if let Some(progress) = &self.stream_progress {
            if progress.was_abandoned() {
                activity.resets.count_reset(Instant::now());
            }
            activity.streams.end(progress);
        } else {
            activity.progress.reset();
        }
        if let Some((quota, counters)) = activity
            .client_limits
            .request_quota
            .as_ref()
            .filter(|_| self.is_within_limit)
        {
            quota.release(*counters);
        }
        let elapsed = u64::try_from(activity.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        activity.last_response_ms.store(elapsed, Ordering::Relaxed);
        activity.open_requests.fetch_sub(1, Ordering::Release);
    }
}
