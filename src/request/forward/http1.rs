//! `Http1Connection`: an HTTP/1.1 connection to an upstream.
//!
//! It has no task of its own: the task that serves the client sends the request and reads the
//! response. That saves two task switches for every request and gives backpressure: menshen reads
//! no faster than the client.
//!
//! A connection carries one exchange after another. It is reusable only if the request was sent
//! completely, the response was read to its end, and no bytes followed it, so that no response can
//! be taken for another.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, Sleep};

use super::endpoint::Transport;
use super::upload_body::UploadBody;
use request_writer::{RequestWriter, SendError};
use response_body::UnreadBody;
use response_head::Framing;

pub(super) use error::{ExchangeError, Http1Error};
pub(super) use response_head::{ExpectedHead, ResponseHead};

mod chunked;
mod drain;
mod error;
mod request_writer;
mod response_body;
mod response_head;

/// The size of a read, in bytes; it grows while the reads fill the buffer.
const READ_SIZE_MIN: usize = 8 * 1024;
const READ_SIZE_MAX: usize = 128 * 1024;
/// The maximum size of a response head, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long before the announced `Keep-Alive` time-out a connection is no longer reused.
const CLOSE_MARGIN: Duration = Duration::from_secs(1);
/// How many interim responses may precede the final one.
const INTERIM_RESPONSES_MAX: usize = 32;

/// A connection to an upstream and the state of its current exchange.
pub(super) struct Http1Connection {
    transport: Transport,
    writer: RequestWriter,
    /// Bytes that were read and not parsed yet.
    unparsed: Bytes,
    /// The buffer for the next read; it starts with the incomplete head, if there is one.
    read_buffer: BytesMut,
    read_size: usize,
    unread_body: UnreadBody,
    /// Set while the head of a response is awaited.
    expected_head: Option<ExpectedHead>,
    /// Whether another request may follow the current one.
    allows_reuse: bool,
    /// The `Keep-Alive` time-out, if the upstream announced one.
    keep_alive: Option<Duration>,
    /// Shared by all waits. It is only reset when it fires too early or would fire too late, so
    /// that most requests never touch the timer wheel.
    timer: Pin<Box<Sleep>>,
}

impl fmt::Debug for Http1Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1Connection")
            .field("unread_body", &self.unread_body)
            .field("allows_reuse", &self.allows_reuse)
            .finish_non_exhaustive()
    }
}

impl Http1Connection {
    pub(super) fn new(transport: Transport) -> Box<Self> {
        Box::new(Self {
            transport,
            writer: RequestWriter::default(),
            unparsed: Bytes::new(),
            read_buffer: BytesMut::new(),
            read_size: READ_SIZE_MIN,
            unread_body: UnreadBody::Nothing,
            expected_head: None,
            allows_reuse: true,
            keep_alive: None,
            timer: Box::pin(tokio::time::sleep(Duration::from_secs(3600))),
        })
    }

    /// The buffer that the head of the next request is written to.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        self.writer.head()
    }

    /// Sends the head that was written, then `body`, and waits for the head of the response. `body` comes
    /// with its length, if that is known; it is taken only if the connection is still open. `deadline`
    /// is evaluated at every wait.
    ///
    /// Dropping the future leaves a connection that is not reusable.
    pub(super) async fn exchange(
        &mut self,
        body: &mut Option<(UploadBody, Option<u64>)>,
        expected: ExpectedHead,
        deadline: impl Fn() -> Instant,
    ) -> Result<Box<ResponseHead>, ExchangeError> {
        if !self.is_alive() {
            return Err(ExchangeError::NotSent);
        }
        self.allows_reuse = false;
        self.expected_head = Some(expected);
        let has_body = body.is_some();
        if let Some((body, length)) = body.take() {
            self.writer.set_body(body, length);
        }
        let (mut interim_responses, mut write_error) = (0, None);
        let head = std::future::poll_fn(|cx| {
            match self.send(cx) {
                Ok(()) => {}
                Err(SendError::Body) => {
                    return Poll::Ready(Err(ExchangeError::Invalid(Http1Error::RequestBody)));
                }
                // The upstream may have sent a response before it closed.
                Err(SendError::Io(error)) => write_error = Some(error),
            }
            match self.poll_head(cx, expected, &mut interim_responses) {
                Poll::Ready(Ok(head)) => Poll::Ready(Ok(head)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(match error {
                    Http1Error::Io(_) | Http1Error::Closed
                        if !has_body && !self.writer.has_sent_bytes() =>
                    {
                        ExchangeError::NotSent
                    }
                    Http1Error::Io(_) | Http1Error::Closed
                        if interim_responses > 0 || !self.read_buffer.is_empty() =>
                    {
                        ExchangeError::IncompleteHead(error)
                    }
                    Http1Error::Io(_) | Http1Error::Closed => {
                        ExchangeError::NoResponse(write_error.take().map_or(error, Http1Error::Io))
                    }
                    _ => ExchangeError::Invalid(error),
                })),
                Poll::Pending if self.is_past_deadline(cx, deadline()) => {
                    Poll::Ready(Err(ExchangeError::TimedOut))
                }
                Poll::Pending => Poll::Pending,
            }
        });
        let head = head.await?;
        self.begin_body(&head);
        self.keep_alive = head.keep_alive;
        self.allows_reuse = head.allows_reuse
            && !matches!(self.unread_body, UnreadBody::UntilClose)
            && write_error.is_none();
        Ok(head)
    }

    fn begin_body(&mut self, head: &ResponseHead) {
        self.expected_head = None;
        self.unread_body = match head.framing {
            Framing::Empty | Framing::Length(0) => UnreadBody::Nothing,
            Framing::Length(length) => UnreadBody::Bytes(length),
            Framing::Chunked => UnreadBody::Chunked(Box::default()),
            Framing::UntilClose => UnreadBody::UntilClose,
        };
    }

    /// Sends as much as possible. A connection that cannot be written to may still be readable.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        match self.writer.poll(cx, &mut self.transport) {
            Poll::Ready(Err(error)) => {
                self.writer.discard();
                self.allows_reuse = false;
                Err(error)
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        expected: ExpectedHead,
        interim_responses: &mut usize,
    ) -> Poll<Result<Box<ResponseHead>, Http1Error>> {
        loop {
            if !self.unparsed.is_empty() {
                if let Some((head, bytes)) = response_head::parse(&self.unparsed, expected)
                    .map_err(Http1Error::InvalidHead)?
                {
                    if bytes > HEAD_BYTES_MAX {
                        return Poll::Ready(Err(Http1Error::HeadTooLong));
                    }
                    self.unparsed.advance(bytes);
                    if head.status.is_informational()
                        && head.status != StatusCode::SWITCHING_PROTOCOLS
                    {
                        *interim_responses += 1;
                        if *interim_responses > INTERIM_RESPONSES_MAX {
                            return Poll::Ready(Err(Http1Error::TooManyInterimResponses));
                        }
                        continue;
                    }
                    return Poll::Ready(Ok(head));
                }
                self.read_buffer = BytesMut::with_capacity(self.unparsed.len() + READ_SIZE_MIN);
                self.read_buffer.extend_from_slice(&self.unparsed);
                self.unparsed.clear();
            }
            let bytes_before = self.read_buffer.len();
            if bytes_before > HEAD_BYTES_MAX {
                return Poll::Ready(Err(Http1Error::HeadTooLong));
            }
            if ready!(self.poll_read(cx)).map_err(Http1Error::Io)? == 0 {
                return Poll::Ready(Err(Http1Error::Closed));
            }
            // A partial head is only parsed again once its end has arrived.
            let new_from = bytes_before.saturating_sub(3);
            if bytes_before == 0 || has_empty_line(&self.read_buffer[new_from..]) {
                self.unparsed = self.read_buffer.split().freeze();
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // `reserve` reuses the memory of earlier reads if their bytes were dropped.
        self.read_buffer.reserve(self.read_size);
        let free = self.read_buffer.capacity() - self.read_buffer.len();
        let bytes = ready!(pin!(self.transport.read_buf(&mut self.read_buffer)).poll(cx))?;
        if bytes == free {
            self.read_size = (self.read_size * 2).min(READ_SIZE_MAX);
        }
        Poll::Ready(Ok(bytes))
    }

    pub(super) fn is_response_complete(&self) -> bool {
        matches!(self.unread_body, UnreadBody::Nothing)
    }

    pub(super) fn is_request_sent(&self) -> bool {
        self.writer.is_done()
    }

    /// Whether the upstream may be working on a request: part of it was sent, and the response was
    /// not read to its end.
    pub(super) fn is_awaiting_response(&self) -> bool {
        self.has_sent_bytes() && (self.expected_head.is_some() || !self.is_response_complete())
    }

    /// Whether any byte of the last request was sent.
    pub(super) fn has_sent_bytes(&self) -> bool {
        self.writer.has_sent_bytes()
    }

    pub(super) fn is_reusable(&self) -> bool {
        self.is_request_sent() && self.is_idle()
    }

    /// Whether no part of a response is left that could be taken for the next response.
    fn is_idle(&self) -> bool {
        self.allows_reuse
            && self.is_response_complete()
            && self.unparsed.is_empty()
            && self.read_buffer.is_empty()
    }

    /// Whether the connection is idle and, as far as the runtime knows, not closed by the upstream.
    pub(super) fn is_alive(&mut self) -> bool {
        // Bytes that arrive before the next request are not a response to it.
        let mut noop_context = Context::from_waker(Waker::noop());
        self.is_idle() && self.poll_read(&mut noop_context).is_pending()
    }

    /// Whether the upstream has closed the connection, according to the operating system. The
    /// runtime's own knowledge of the socket may be outdated on a busy machine.
    pub(super) fn is_closed_by_peer(&self) -> bool {
        self.transport.is_closed_by_peer()
    }

    /// The configured idle time-out, or less if the upstream announced a shorter one. A request that
    /// is sent while the upstream closes the connection is lost.
    pub(super) fn effective_idle_timeout(&self, configured: Duration) -> Duration {
        self.keep_alive.map_or(configured, |announced| {
            configured.min((announced / 2).max(announced.saturating_sub(CLOSE_MARGIN)))
        })
    }

    /// Frees memory that an idle connection does not need.
    pub(super) fn release_buffers(&mut self) {
        self.writer.release_buffers();
        if self.read_size > READ_SIZE_MIN {
            self.read_size = READ_SIZE_MIN;
            self.read_buffer = BytesMut::new();
        }
    }

    /// Whether the deadline has passed. Otherwise the task is woken when it does.
    pub(super) fn is_past_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return true;
            }
            self.timer.as_mut().reset(deadline);
        }
        false
    }

    /// The connection after an upgrade, and the bytes of the new protocol that were already read.
    pub(super) fn into_transport(self) -> (Transport, Bytes) {
        (self.transport, self.unparsed)
    }
}

/// Whether the bytes contain an empty line, with any line ending.
fn has_empty_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}
