//! Polls the HTTP connection until it ends, and enforces its time-outs.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::Poll;

use tokio::time::{Instant, sleep_until};

use super::SharedState;
use super::activity::{Action, Activity, SlownessChecks};
use crate::request::head::Peer;
use crate::telemetry::error_chain;

/// Drives a connection to its end: enforces the time-outs, and shuts it down when menshen stops.
///
/// The task registers for the drain signal once, not at every poll: registering takes a lock that all
/// connections share, and the waker of the task does not change.
pub(super) async fn drive<C: Future<Output = hyper::Result<()>>, H>(
    http: C,
    shut_down: fn(Pin<&mut C>),
    shared: &SharedState<H>,
    peer: Peer,
    activity: &Activity,
) {
    let mut http = pin!(http);
    let mut drain = pin!(shared.drain.cancelled());
    let mut abort = pin!(shared.abort.cancelled());
    let first_check = shared
        .limits
        .header_read
        .min(shared.limits.progress_interval);
    let mut next_check = pin!(sleep_until(Instant::now() + first_check.duration()));
    let (mut is_registered, mut is_draining, mut is_shutting_down) = (false, false, false);
    let mut checks = SlownessChecks::default();
    let outcome = poll_fn(|cx| {
        loop {
            if let Poll::Ready(outcome) = http.as_mut().poll(cx) {
                return Poll::Ready(outcome.map_err(|error| error_chain(&error).to_string()));
            }
            if activity.has_too_many_resets() {
                shared.log_resets(peer);
                return Poll::Ready(Err("the client reset too many of its streams".to_owned()));
            }
            if is_draining && abort.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err("the drain time is over".to_owned()));
            }
            if !is_draining && (!is_registered || shared.is_draining.load(Ordering::Acquire)) {
                is_registered = true;
                if drain.as_mut().poll(cx).is_ready() {
                    // A client that has sent nothing loses nothing.
                    if !activity.has_received_bytes() {
                        return Poll::Ready(Ok(()));
                    }
                    (is_draining, is_shutting_down) = (true, true);
                    shut_down(http.as_mut());
                    continue;
                }
            }
            if next_check.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let action = activity.next_action(&shared.limits, is_shutting_down, &mut checks);
            checks
                .aborted_for
                .drain(..)
                .for_each(|key| shared.log_slow_client(peer, key));
            match action {
                Action::CheckAt(at) => next_check.as_mut().reset(at),
                Action::Close(reason) => return Poll::Ready(Err(reason.to_owned())),
                Action::CloseSlow(key) => {
                    shared.log_slow_client(peer, key);
                    return Poll::Ready(Err(format!("the client was slower than {key}")));
                }
                Action::ShutDown => {
                    is_shutting_down = true;
                    next_check
                        .as_mut()
                        .reset(Instant::now() + shared.limits.header_read.duration());
                    shut_down(http.as_mut());
                }
            }
        }
    })
    .await;
    if let Err(reason) = outcome {
        tracing::debug!(reason, "a connection ended early");
    }
}
