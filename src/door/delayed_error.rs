//! `DelayedError`: an error of a response body, held back until everything before it was sent.
//!
//! hyper and h2 discard their write buffers as soon as a body fails, including the head of the response.
//! With the delay the client receives what the upstream sent, and then sees that it is incomplete.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::request::BodyError;

/// The time between two checks of whether the write buffers are empty.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// How many checks in a row must find them empty: one may fall between two writes.
const EMPTY_CHECKS_MIN: u8 = 2;
/// The longest delay.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An error and the timer that delays it.
#[derive(Debug)]
pub(super) struct DelayedError {
    error: Option<BodyError>,
    timer: Pin<Box<Sleep>>,
    until: Instant,
    /// Checks in a row that found the write buffers empty.
    empty_checks: u8,
}

impl DelayedError {
    pub(super) fn new(error: BodyError) -> Self {
        Self {
            error: Some(error),
            timer: Box::pin(sleep(CHECK_INTERVAL)),
            until: Instant::now() + TIMEOUT,
            empty_checks: 0,
        }
    }

    /// Ready with the error, once, when everything before it was sent or [`TIMEOUT`] is over. `is_sent`:
    /// whether the write buffers are empty now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, is_sent: bool) -> Poll<Option<BodyError>> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            self.empty_checks = if is_sent { self.empty_checks + 1 } else { 0 };
            let now = Instant::now();
            if self.empty_checks >= EMPTY_CHECKS_MIN || now >= self.until {
                return Poll::Ready(self.error.take());
            }
            self.timer.as_mut().reset(now + CHECK_INTERVAL);
        }
    }
}
