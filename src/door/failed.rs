//! `Failed`: the end of a body that broke off.
//!
//! hyper and h2 drop what waits to be written as soon as a body fails, the head of the answer, too.
//! So the failure waits until that was sent: the client gets what came, and then notices the cut.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::request::BodyError;

/// How often the connection is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often in a row it must have nothing left to write.
const LOOKS: u8 = 2;
/// How long a client may take for what came.
const WITHIN: Duration = Duration::from_secs(10);

/// Why a body broke off, kept until the client can be told.
#[derive(Debug)]
pub(super) struct Failed {
    error: Option<BodyError>,
    look: Pin<Box<Sleep>>,
    until: Instant,
    /// How often in a row nothing was left to write.
    calm: u8,
}

impl Failed {
    pub(super) fn new(error: BodyError) -> Self {
        Self {
            error: Some(error),
            look: Box::pin(sleep(LOOK_EVERY)),
            until: Instant::now() + WITHIN,
            calm: 0,
        }
    }

    /// Ready with the error, once, when everything before it was sent or the time for that is up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, sent: bool) -> Poll<Option<BodyError>> {
        loop {
            ready!(self.look.as_mut().poll(cx));
            self.calm = if sent { self.calm + 1 } else { 0 };
            let now = Instant::now();
            if self.calm >= LOOKS || now >= self.until {
                return Poll::Ready(self.error.take());
            }
            self.look.as_mut().reset(now + LOOK_EVERY);
        }
    }
}
