//! `Wire`: one HTTP/1.1 connection to an upstream, driven by whoever waits for it.
//!
//! No task of its own: a request, its answer and both bodies live in the task that serves the
//! client. That saves two switches between tasks for every request, and a client that does not
//! read keeps us from reading.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

use super::connect::Io;
use super::outgoing::Outgoing;

/// A connection and the one who may write to it.
pub(super) struct Wire {
    sender: SendRequest<Outgoing>,
    connection: Connection<TokioIo<Io>, Outgoing>,
    /// Whether the connection came to its end and must not be polled again.
    ended: bool,
    /// Serves every wait of every request: it is only moved when it fires too early or would fire
    /// too late, so that most requests never touch the timer wheel.
    alarm: Pin<Box<Sleep>>,
}

/// Why an exchange brought no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// The connection failed. The request comes back when not a byte of it was sent.
    Failed(hyper::Error, Option<Box<Request<Outgoing>>>),
    /// It took too long.
    Late,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) async fn open(io: Io) -> Result<Box<Self>, hyper::Error> {
        let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(io)).await?;
        let alarm = Box::pin(tokio::time::sleep(std::time::Duration::from_secs(3600)));
        Ok(Box::new(Self {
            sender,
            connection,
            ended: false,
            alarm,
        }))
    }

    /// Sends a request and waits for the head of its answer. `deadline` is asked at every wait.
    ///
    /// Dropping the future leaves a connection that hyper will not use again.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Outgoing>,
        deadline: impl Fn() -> Instant,
    ) -> Result<Response<Incoming>, Lost> {
        let mut answer = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|cx| {
            self.drive(cx);
            // Only the connection can bring the answer, and it was just driven: no waker is
            // needed, and without one the task does not wake itself.
            let mut still = Context::from_waker(Waker::noop());
            if let Poll::Ready(answer) = pin!(unconstrained(answer.as_mut())).poll(&mut still) {
                return Poll::Ready(answer.map_err(|mut error| {
                    let unsent = error.take_message().map(Box::new);
                    Lost::Failed(error.into_error(), unsent)
                }));
            }
            match self.is_late(cx, deadline()) {
                true => Poll::Ready(Err(Lost::Late)),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Lets the connection read and write what it can.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            // Whoever waits for the answer or its body is told of an error there.
            self.ended = self.connection.poll_without_shutdown(cx).is_ready();
        }
    }

    /// Whether the last answer was read to its end and the next request may be sent.
    pub(super) fn is_free(&self) -> bool {
        !self.ended && self.sender.is_ready()
    }

    /// Whether the upstream still holds its end open, as far as we were told.
    pub(super) fn is_alive(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.is_free()
    }

    /// Whether a wait is over. Wakes the task when it will be.
    pub(super) fn is_late(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        if self.alarm.deadline() > deadline {
            self.alarm.as_mut().reset(deadline);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return true;
            }
            self.alarm.as_mut().reset(deadline);
        }
        false
    }

    /// Takes the bare connection after an upgrade, with what was read of the new protocol.
    pub(super) async fn into_io(mut self: Box<Self>, deadline: Instant) -> Option<(Io, Bytes)> {
        let ended = std::future::poll_fn(|cx| {
            self.drive(cx);
            match (self.ended, self.is_late(cx, deadline)) {
                (true, _) => Poll::Ready(true),
                (false, true) => Poll::Ready(false),
                (false, false) => Poll::Pending,
            }
        });
        if !ended.await {
            return None;
        }
        let parts = self.connection.into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    }
}
