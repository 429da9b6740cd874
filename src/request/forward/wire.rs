//! `Wire`: one HTTP/1.1 connection to an upstream, driven by whoever waits for it.
//!
//! No task of its own: a request, its answer and both bodies live in the task that serves the
//! client. That saves two switches between tasks for every request, and a client that does not
//! read keeps us from reading.
//!
//! A wire carries one exchange after another and never lends bytes of one to the next: it is free
//! only when the request was sent whole, the answer read to its end, and nothing came behind it.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, Sleep};

use super::connect::Io;
use super::outgoing::Outgoing;
use chunks::{ChunkError, Chunks, Piece};
use head::{Framing, HeadError};
use sending::{SendError, Sending};

pub(super) use head::{Expected, Head};

mod chunks;
mod head;
mod sending;
mod unwanted;

/// How much is read at once, in bytes; the more the more comes.
const READ_BYTES_MIN: usize = 8 * 1024;
const READ_BYTES_MAX: usize = 128 * 1024;
/// How long the head of an answer may be, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long before the upstream closes a connection no further request is sent on it.
const CLOSING: Duration = Duration::from_secs(1);
/// How many interim answers may come before the one that counts.
const INTERIM_MAX: usize = 32;

/// A connection to an upstream, and how far its exchange is.
pub(super) struct Wire {
    io: Io,
    sending: Sending,
    /// What was read and not yet looked at.
    early: Bytes,
    /// Where the next bytes are read into; the beginning of a head that is not all there.
    room: BytesMut,
    read_bytes: usize,
    left: Left,
    /// What is known of the answer whose head was not read yet.
    awaited: Option<Expected>,
    /// Whether another request may follow this one.
    keeps: bool,
    /// How long the upstream keeps its end open between two requests, where it said so.
    kept_for: Option<Duration>,
    /// Serves every wait of every request: it is only moved when it fires too early or would fire
    /// too late, so that most requests never touch the timer wheel.
    alarm: Pin<Box<Sleep>>,
}

/// What is left of an answer.
#[derive(Debug)]
enum Left {
    Nothing,
    Bytes(u64),
    Chunks(Box<Chunks>),
    UntilClose,
}

/// Why an exchange brought no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// The connection turned out to be closed before anything was sent.
    Unsent,
    /// The connection was closed or broke before the first byte of an answer.
    Unanswered(WireError),
    /// The same within the head of an answer.
    Cut(WireError),
    /// The upstream answered something that is no answer, or the request came to no end.
    Failed(WireError),
    /// It took too long.
    Late,
}

/// What goes wrong on a wire.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the connection broke")]
    Io(#[source] io::Error),
    #[error("the connection was closed before the end of the answer")]
    Closed,
    #[error("read the head of the answer")]
    Head(#[source] HeadError),
    #[error("the head of the answer is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    #[error("more than {INTERIM_MAX} interim answers came")]
    Interim,
    #[error("read a chunk of the answer")]
    Chunk(#[source] ChunkError),
    #[error("the body of the request did not come to its end")]
    Request,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("left", &self.left)
            .field("keeps", &self.keeps)
            .finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(io: Io) -> Box<Self> {
        Box::new(Self {
            io,
            sending: Sending::default(),
            early: Bytes::new(),
            room: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            left: Left::Nothing,
            awaited: None,
            keeps: true,
            kept_for: None,
            alarm: Box::pin(tokio::time::sleep(Duration::from_secs(3600))),
        })
    }

    /// Where the head of the next request is to be written.
    pub(super) fn head(&mut self) -> &mut Vec<u8> {
        self.sending.head()
    }

    /// Sends the head that was written, and `body` behind it, and waits for the head of the answer.
    /// `deadline` is asked at every wait. A body is taken only when something is sent.
    ///
    /// Dropping the future leaves a connection that is not free.
    pub(super) async fn exchange(
        &mut self,
        body: &mut Option<(Outgoing, Option<u64>)>,
        expected: Expected,
        deadline: impl Fn() -> Instant,
    ) -> Result<Box<Head>, Lost> {
        if !self.is_alive() {
            return Err(Lost::Unsent);
        }
        self.keeps = false;
        self.awaited = Some(expected);
        let has_body = body.is_some();
        if let Some((body, length)) = body.take() {
            self.sending.follow(body, length);
        }
        let (mut interim, mut broken) = (0, None);
        let head = std::future::poll_fn(|cx| {
            match self.send(cx) {
                Ok(()) => {}
                Err(SendError::Body) => return Poll::Ready(Err(Lost::Failed(WireError::Request))),
                // The upstream may have said why before it closed.
                Err(SendError::Io(error)) => broken = Some(error),
            }
            match self.poll_head(cx, expected, &mut interim) {
                Poll::Ready(Ok(head)) => Poll::Ready(Ok(head)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(match error {
                    WireError::Io(_) | WireError::Closed
                        if !has_body && !self.sending.was_begun() =>
                    {
                        Lost::Unsent
                    }
                    WireError::Io(_) | WireError::Closed
                        if interim > 0 || !self.room.is_empty() =>
                    {
                        Lost::Cut(error)
                    }
                    WireError::Io(_) | WireError::Closed => {
                        Lost::Unanswered(broken.take().map_or(error, WireError::Io))
                    }
                    _ => Lost::Failed(error),
                })),
                Poll::Pending if self.is_late(cx, deadline()) => Poll::Ready(Err(Lost::Late)),
                Poll::Pending => Poll::Pending,
            }
        });
        let head = head.await?;
        self.begin_body(&head);
        self.kept_for = head.kept_for;
        self.keeps = head.keeps && !matches!(self.left, Left::UntilClose) && broken.is_none();
        Ok(head)
    }

    fn begin_body(&mut self, head: &Head) {
        self.awaited = None;
        self.left = match head.framing {
            Framing::Empty | Framing::Length(0) => Left::Nothing,
            Framing::Length(length) => Left::Bytes(length),
            Framing::Chunked => Left::Chunks(Box::default()),
            Framing::UntilClose => Left::UntilClose,
        };
    }

    /// Sends on what can be sent. A connection that broke may still be read.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        match self.sending.poll(cx, &mut self.io) {
            Poll::Ready(Err(error)) => {
                self.sending.give_up();
                self.keeps = false;
                Err(error)
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        expected: Expected,
        interim: &mut usize,
    ) -> Poll<Result<Box<Head>, WireError>> {
        loop {
            if !self.early.is_empty() {
                if let Some((head, bytes)) =
                    head::parse(&self.early, expected).map_err(WireError::Head)?
                {
                    if bytes > HEAD_BYTES_MAX {
                        return Poll::Ready(Err(WireError::HeadTooLong));
                    }
                    self.early.advance(bytes);
                    if head.status.is_informational()
                        && head.status != StatusCode::SWITCHING_PROTOCOLS
                    {
                        *interim += 1;
                        if *interim > INTERIM_MAX {
                            return Poll::Ready(Err(WireError::Interim));
                        }
                        continue;
                    }
                    return Poll::Ready(Ok(head));
                }
                self.room = BytesMut::with_capacity(self.early.len() + READ_BYTES_MIN);
                self.room.extend_from_slice(&self.early);
                self.early.clear();
            }
            let before = self.room.len();
            if before > HEAD_BYTES_MAX {
                return Poll::Ready(Err(WireError::HeadTooLong));
            }
            if ready!(self.poll_read(cx)).map_err(WireError::Io)? == 0 {
                return Poll::Ready(Err(WireError::Closed));
            }
            // Until its end is there a long head is not parsed again.
            if before == 0 || has_empty_line(&self.room[before.saturating_sub(3)..]) {
                self.early = self.room.split().freeze();
            }
        }
    }

    /// The next piece of the answer's body. The request goes on meanwhile.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        if let Err(SendError::Body) = self.send(cx) {
            return Poll::Ready(Some(Err(WireError::Request)));
        }
        loop {
            match self.next_frame() {
                Ok(None) if matches!(self.left, Left::Nothing) => return Poll::Ready(None),
                Ok(None) => {}
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Err(error) => return Poll::Ready(Some(Err(WireError::Chunk(error)))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if matches!(self.left, Left::UntilClose) => {
                    self.left = Left::Nothing;
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(WireError::Closed))),
                Ok(_) => self.early = self.room.split().freeze(),
                Err(error) => return Poll::Ready(Some(Err(WireError::Io(error)))),
            }
        }
    }

    /// The next piece of what was read already.
    fn next_frame(&mut self) -> Result<Option<Frame<Bytes>>, ChunkError> {
        if self.early.is_empty() {
            return Ok(None);
        }
        match &mut self.left {
            Left::Nothing => Ok(None),
            Left::UntilClose => Ok(Some(Frame::data(std::mem::take(&mut self.early)))),
            Left::Bytes(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX);
                let piece = self.early.split_to(here.min(self.early.len()));
                *left -= piece.len() as u64;
                if *left == 0 {
                    self.left = Left::Nothing;
                }
                Ok(Some(Frame::data(piece)))
            }
            Left::Chunks(chunks) => match chunks.next(&mut self.early)? {
                Some(Piece::Data(piece)) => Ok(Some(Frame::data(piece))),
                Some(Piece::Trailers(trailers)) => {
                    self.left = Left::Nothing;
                    Ok(Some(Frame::trailers(trailers)))
                }
                Some(Piece::End) => {
                    self.left = Left::Nothing;
                    Ok(None)
                }
                None => Ok(None),
            },
        }
    }

    /// The whole body, when it is of known length and all of it was read already.
    pub(super) fn take_whole(&mut self) -> Option<Bytes> {
        let whole = match self.left {
            Left::Nothing => 0,
            Left::Bytes(left) => usize::try_from(left).ok()?,
            Left::Chunks(_) | Left::UntilClose => return None,
        };
        if self.early.len() < whole {
            return None;
        }
        self.left = Left::Nothing;
        Some(self.early.split_to(whole))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // While nobody holds what was read before, its memory is used again from its beginning.
        self.room.reserve(self.read_bytes);
        let room = self.room.capacity() - self.room.len();
        let read = ready!(pin!(self.io.read_buf(&mut self.room)).poll(cx))?;
        if read == room {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        Poll::Ready(Ok(read))
    }

    /// How long what is left of the body is.
    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.left {
            Left::Nothing => SizeHint::with_exact(0),
            Left::Bytes(left) => SizeHint::with_exact(*left),
            Left::Chunks(_) | Left::UntilClose => SizeHint::default(),
        }
    }

    /// Whether the answer was read to its end.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.left, Left::Nothing)
    }

    /// Whether the request was sent to its end.
    pub(super) fn is_sent(&self) -> bool {
        self.sending.is_done()
    }

    /// Whether the upstream may be at work on a request: some of it went, and its answer was not read
    /// to the end.
    pub(super) fn is_under_way(&self) -> bool {
        self.was_begun() && (self.awaited.is_some() || !self.is_read())
    }

    /// Whether any byte of the last request went.
    pub(super) fn was_begun(&self) -> bool {
        self.sending.was_begun()
    }

    /// Whether the next request may be sent.
    pub(super) fn is_free(&self) -> bool {
        self.is_sent() && self.is_between()
    }

    /// Whether nothing of an answer is left, and none will be misread for the next.
    fn is_between(&self) -> bool {
        self.keeps && self.is_read() && self.early.is_empty() && self.room.is_empty()
    }

    /// Whether the upstream still holds its end open between two answers, as far as we were told.
    pub(super) fn is_alive(&mut self) -> bool {
        // Anything that is said before the next request is no answer to it.
        let mut nobody = Context::from_waker(Waker::noop());
        self.is_between() && self.poll_read(&mut nobody).is_pending()
    }

    /// Whether the upstream has closed its end, asked of the system: what the runtime knows of a socket
    /// is as old as its last look, and on a busy machine that is long ago.
    pub(super) fn was_closed(&self) -> bool {
        self.io.was_closed()
    }

    /// How long it may wait for the next request: `most`, or less where the upstream would close it
    /// before. A request sent in that moment would be lost.
    pub(super) fn waits_for(&self, most: Duration) -> Duration {
        self.kept_for.map_or(most, |kept| {
            most.min((kept / 2).max(kept.saturating_sub(CLOSING)))
        })
    }

    /// Gives back memory that waiting does not need.
    pub(super) fn rest(&mut self) {
        self.sending.rest();
        if self.read_bytes > READ_BYTES_MIN {
            self.read_bytes = READ_BYTES_MIN;
            self.room = BytesMut::new();
        }
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
    pub(super) fn into_io(self) -> (Io, Bytes) {
        (self.io, self.early)
    }
}

/// Whether a line without anything ends here, however lines end.
fn has_empty_line(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|two| two == b"\n\n") || bytes.windows(3).any(|three| three == b"\n\r\n")
}
