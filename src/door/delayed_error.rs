//! `DelayedError`: the end of a body that broke off.
//!
//! hyper and h2 drop what waits to be written as soon as a body fails, the head of the answer, too.
//! So the failure waits until that was sent: the client gets what came, and then notices the cut.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::request::BodyError;

/// How often the connection is looked at.
const CHECK_EVERY: Duration = Duration::from_millis(10);
/// How often in a row it must have nothing left to write.
const CHECKS: u8 = 2;
/// How long a client may take for what came.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a body broke off, kept until the client can be told.
#[derive(Debug)]
pub(super) struct DelayedError {
    error: Option<BodyError>,
    timer: Pin<Box<Sleep>>,
    until: Instant,
    /// How often in a row nothing was left to write.
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

    /// Ready with the error, once, when everything before it was sent or the time for that is up.
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
