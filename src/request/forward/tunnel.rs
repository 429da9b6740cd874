//! `Tunnel`: what follows an upgrade. Bytes both ways, until somebody has enough.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, timeout};

use super::connect::Io;
use super::lease::Slot;

/// How much is copied at once, in bytes.
const BUFFER_BYTES: usize = 8 * 1024;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A WebSocket close frame with status 1008, policy violation (RFC 6455 5.5.1, 7.4.1).
const CLOSE_1008: [u8; 4] = [0x88, 0x02, 0x03, 0xf0];

/// An upgraded connection to an upstream that waits for the client's side of it.
///
/// It is open until it is dropped, so it must be run soon after its response was sent.
#[derive(Debug)]
pub struct Tunnel {
    pub(super) upstream: Io,
    /// What the upstream said of the new protocol together with its answer.
    pub(super) early: Bytes,
    pub(super) client: OnUpgrade,
    pub(super) idle: Duration,
    pub(super) websocket: bool,
    /// Counts as a request under way.
    pub(super) slot: Slot,
}

/// Why a tunnel ended.
#[derive(Debug)]
pub enum TunnelEnd {
    /// Both sides had said everything.
    Closed,
    /// We were told to stop.
    Stopped,
    /// Nobody said anything for the route's idle limit.
    Idle,
    /// A side broke.
    Broken(io::Error),
    /// The client's side never came about.
    Unopened(hyper::Error),
}

impl Tunnel {
    /// Copies both ways until both sides closed, one broke, nobody spoke for the idle limit, or
    /// `stop` resolves. A stopped WebSocket is told why when it is between two frames.
    pub async fn run(self, stop: impl Future<Output = ()>) -> TunnelEnd {
        let Self {
            mut upstream,
            early,
            client,
            idle,
            websocket,
            slot: _slot,
        } = self;
        let mut client = match timeout(idle, client).await {
            Ok(Ok(upgraded)) => TokioIo::new(upgraded),
            Ok(Err(error)) => return TunnelEnd::Unopened(error),
            Err(_) => return TunnelEnd::Idle,
        };
        let mut stop = pin!(stop);
        let mut watch = Watch {
            last: Instant::now(),
            idle,
            alarm: pin!(tokio::time::sleep(idle)),
        };
        let (mut up, mut down) = (Way::new(Bytes::new(), false), Way::new(early, websocket));
        let end = std::future::poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(TunnelEnd::Stopped);
            }
            let there = up.poll(cx, &mut client, &mut upstream, &mut watch.last);
            let back = down.poll(cx, &mut upstream, &mut client, &mut watch.last);
            match (there, back) {
                (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                    Poll::Ready(TunnelEnd::Broken(error))
                }
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(TunnelEnd::Closed),
                (Poll::Pending, _) | (_, Poll::Pending) => watch.poll(cx),
            }
        })
        .await;
        if matches!(end, TunnelEnd::Stopped) && down.may_interrupt() {
            let goodbye = async {
                client.write_all(&CLOSE_1008).await?;
                client.shutdown().await
            };
            // They are cut off in any case; the frame is a courtesy.
            let _ = timeout(GOODBYE, goodbye).await;
        }
        end
    }
}

/// Notices when nobody speaks. The timer is moved only when it fires.
struct Watch<'a> {
    last: Instant,
    idle: Duration,
    alarm: Pin<&'a mut Sleep>,
}

impl Watch<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TunnelEnd> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let deadline = self.last + self.idle;
            if Instant::now() >= deadline {
                return Poll::Ready(TunnelEnd::Idle);
            }
            self.alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// One direction.
struct Way {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    shut: bool,
    unflushed: bool,
    /// Where its frames end, for a WebSocket.
    frames: Option<Frames>,
}

impl Way {
    fn new(early: Bytes, websocket: bool) -> Self {
        let mut buffer = vec![0; BUFFER_BYTES.max(early.len())];
        buffer[..early.len()].copy_from_slice(&early);
        let frames = websocket.then(Frames::default);
        let end = early.len();
        Self {
            buffer,
            start: 0,
            end,
            ended: false,
            shut: false,
            unflushed: false,
            frames,
        }
    }

    /// Whether a frame of ours would stand between two of theirs.
    fn may_interrupt(&self) -> bool {
        !self.shut && self.frames.as_ref().is_some_and(Frames::at_boundary)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        last: &mut Instant,
    ) -> Poll<io::Result<()>> {
        while !self.shut {
            if self.start < self.end {
                let rest = &self.buffer[self.start..self.end];
                let written = ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                if let Some(frames) = &mut self.frames {
                    frames.advance(&rest[..written]);
                }
                self.start += written;
                self.unflushed = true;
                *last = Instant::now();
            } else if self.ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.shut = true;
            } else {
                let mut room = ReadBuf::new(&mut self.buffer);
                match Pin::new(&mut *from).poll_read(cx, &mut room)? {
                    Poll::Ready(()) => {
                        (self.start, self.end) = (0, room.filled().len());
                        self.ended = self.end == 0;
                    }
                    Poll::Pending => {
                        if self.unflushed {
                            ready!(Pin::new(&mut *to).poll_flush(cx))?;
                            self.unflushed = false;
                        }
                        return Poll::Pending;
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Follows WebSocket frames (RFC 6455 5.2) to know where one ends.
#[derive(Default)]
struct Frames {
    head: [u8; 14],
    head_bytes: usize,
    payload_left: u64,
}

impl Frames {
    fn at_boundary(&self) -> bool {
        self.head_bytes == 0 && self.payload_left == 0
    }

    fn advance(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload_left > 0 {
                let here = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let here = here.min(bytes.len());
                self.payload_left -= here as u64;
                bytes = &bytes[here..];
                continue;
            }
            self.head[self.head_bytes] = *first;
            self.head_bytes += 1;
            bytes = rest;
            if let Some(payload) = self.payload() {
                (self.head_bytes, self.payload_left) = (0, payload);
            }
        }
    }

    /// The length of the payload, once the head is complete.
    fn payload(&self) -> Option<u64> {
        let head = &self.head[..self.head_bytes];
        let second = *head.get(1)?;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if head.len() < 2 + extended + mask {
            return None;
        }
        let length = &head[2..2 + extended];
        Some(match extended {
            0 => u64::from(second & 0x7f),
            _ => length
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        })
    }
}
