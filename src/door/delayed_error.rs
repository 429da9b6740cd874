//! `DelayedError`: the error of a response body, delayed until the bytes before it were sent.
//!
//! As soon as a body fails, hyper and h2 discard all bytes that are not written yet, even the head of
//! the response. After the delay the client has received them when the connection or stream is reset.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::request::BodyError;

/// The interval between two checks whether everything was written.
const CHECK_EVERY: Duration = Duration::from_millis(10);
/// How many checks in a row must find nothing left to write.
const CHECKS: u8 = 2;
/// The longest delay.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The error of a body, until it can be returned.
#[derive(Debug)]
pub(super) struct DelayedError {
    error: Option<BodyError>,
    timer: Pin<Box<Sleep>>,
    until: Instant,
    /// The number of checks in a row that found nothing left to write.
    idle_checks: u8,
}

impl DelayedError {
    pub(super) fn new(error: BodyError) -> Self {
        Self {
            error: Some(error),
            timer: Box::pin(sleep(CHECK_EVERY)),
            until: Instant::now() + TIMEOUT,
            idle_checks: 0,
        }
    }

    /// Returns the error once, when everything before it was sent or [`TIMEOUT`] has passed. `sent`:
    /// whether everything was written.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, sent: bool) -> Poll<Option<BodyError>> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            self.idle_checks = if sent { self.idle_checks + 1 } else { 0 };
            let now = Instant::now();
            if self.idle_checks >= CHECKS || now >= self.until {
                return Poll::Ready(self.error.take());
            }
            self.timer.as_mut().reset(now + CHECK_EVERY);
        }
    }
}
