//! `Tunnel`: copies bytes in both directions after an upgrade.

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

use super::endpoint::Transport;
use super::lease::Slot;

/// The size of the buffer for each direction, in bytes.
const BUFFER_BYTES: usize = 8 * 1024;

/// How long sending a WebSocket close frame may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A WebSocket close frame with status 1008, policy violation (RFC 6455 5.5.1, 7.4.1).
const CLOSE_1008: [u8; 4] = [0x88, 0x02, 0x03, 0xf0];

/// An upgraded upstream connection whose client side is not yet upgraded.
///
/// It stays open until it is dropped, so it must be run soon after its response was sent.
#[derive(Debug)]
pub struct Tunnel {
    pub(super) upstream: Transport,
    /// Bytes of the new protocol that the upstream sent together with its response.
    pub(super) buffered: Bytes,
    pub(super) client: OnUpgrade,
    pub(super) idle_timeout: Duration,
    pub(super) is_websocket: bool,
    /// A tunnel counts as a request in progress.
    pub(super) slot: Slot,
}

/// Why a tunnel ended.
#[derive(Debug)]
pub enum TunnelEnd {
    /// Both sides closed.
    Closed,
    /// The `stop` future of [`Tunnel::run`] resolved.
    Stopped,
    /// No bytes were copied for the idle time-out of the route.
    Idle,
    /// Reading from or writing to one side failed.
    Broken(io::Error),
    /// The client's side could not be upgraded.
    UpgradeFailed(hyper::Error),
}

impl Tunnel {
    /// Copies in both directions until both sides close, one fails, the idle time-out passes, or
    /// `stop` resolves. A stopped WebSocket gets a close frame if it is between two frames.
    pub async fn run(self, stop: impl Future<Output = ()>) -> TunnelEnd {
        let Self {
            mut upstream,
            buffered,
            client,
            idle_timeout,
            is_websocket,
            slot: _slot,
        } = self;
        let mut client = match timeout(idle_timeout, client).await {
            Ok(Ok(upgraded)) => TokioIo::new(upgraded),
            Ok(Err(error)) => return TunnelEnd::UpgradeFailed(error),
            Err(_) => return TunnelEnd::Idle,
        };
        let mut stop = pin!(stop);
        let mut idle_timer = IdleTimer {
            last_activity: Instant::now(),
            idle_timeout,
            timer: pin!(tokio::time::sleep(idle_timeout)),
        };
        let (mut upstream_bound, mut client_bound) = (
            Direction::new(Bytes::new(), false),
            Direction::new(buffered, is_websocket),
        );
        let end = std::future::poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(TunnelEnd::Stopped);
            }
            let to_upstream = upstream_bound.poll(
                cx,
                &mut client,
                &mut upstream,
                &mut idle_timer.last_activity,
            );
            let to_client = client_bound.poll(
                cx,
                &mut upstream,
                &mut client,
                &mut idle_timer.last_activity,
            );
            match (to_upstream, to_client) {
                (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                    Poll::Ready(TunnelEnd::Broken(error))
                }
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(TunnelEnd::Closed),
                (Poll::Pending, _) | (_, Poll::Pending) => idle_timer.poll(cx),
            }
        })
        .await;
        if matches!(end, TunnelEnd::Stopped) && client_bound.can_send_close() {
            let close = async {
                client.write_all(&CLOSE_1008).await?;
                client.shutdown().await
            };
            // The connection is closed even if the frame cannot be sent.
            let _ = timeout(CLOSE_TIMEOUT, close).await;
        }
        end
    }
}

/// Detects an idle tunnel. To keep it cheap, the timer is only reset when it fires.
struct IdleTimer<'a> {
    last_activity: Instant,
    idle_timeout: Duration,
    timer: Pin<&'a mut Sleep>,
}

impl IdleTimer<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<TunnelEnd> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let deadline = self.last_activity + self.idle_timeout;
            if Instant::now() >= deadline {
                return Poll::Ready(TunnelEnd::Idle);
            }
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// One direction of a tunnel.
struct Direction {
    buffer: Vec<u8>,
    /// Start and end of the bytes in `buffer` that are not written yet.
    start: usize,
    end: usize,
    /// Whether the end of the sending side was read.
    is_ended: bool,
    /// Whether the end was passed on to the receiving side.
    is_shut_down: bool,
    needs_flush: bool,
    /// Present for a WebSocket.
    frames: Option<FrameTracker>,
}

impl Direction {
    /// `buffered` is written first.
    fn new(buffered: Bytes, is_websocket: bool) -> Self {
        let mut buffer = vec![0; BUFFER_BYTES.max(buffered.len())];
        buffer[..buffered.len()].copy_from_slice(&buffered);
        let frames = is_websocket.then(FrameTracker::default);
        let end = buffered.len();
        Self {
            buffer,
            start: 0,
            end,
            is_ended: false,
            is_shut_down: false,
            needs_flush: false,
            frames,
        }
    }

    /// Whether a close frame can be sent without interrupting another frame.
    fn can_send_close(&self) -> bool {
        !self.is_shut_down
            && self
                .frames
                .as_ref()
                .is_some_and(FrameTracker::is_at_boundary)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        last_activity: &mut Instant,
    ) -> Poll<io::Result<()>> {
        while !self.is_shut_down {
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
                self.needs_flush = true;
                *last_activity = Instant::now();
            } else if self.is_ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.is_shut_down = true;
            } else {
                let mut buffer = ReadBuf::new(&mut self.buffer);
                match Pin::new(&mut *from).poll_read(cx, &mut buffer)? {
                    Poll::Ready(()) => {
                        (self.start, self.end) = (0, buffer.filled().len());
                        self.is_ended = self.end == 0;
                    }
                    Poll::Pending => {
                        if self.needs_flush {
                            ready!(Pin::new(&mut *to).poll_flush(cx))?;
                            self.needs_flush = false;
                        }
                        return Poll::Pending;
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Tracks the boundaries of WebSocket frames (RFC 6455 5.2).
#[derive(Default)]
struct FrameTracker {
    head: [u8; 14],
    head_bytes: usize,
    payload_left: u64,
}

impl FrameTracker {
    fn is_at_boundary(&self) -> bool {
        self.head_bytes == 0 && self.payload_left == 0
    }

    fn advance(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload_left > 0 {
                let len = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let len = len.min(bytes.len());
                self.payload_left -= len as u64;
                bytes = &bytes[len..];
                continue;
            }
            self.head[self.head_bytes] = *first;
            self.head_bytes += 1;
            bytes = rest;
            if let Some(payload_bytes) = self.payload_bytes() {
                (self.head_bytes, self.payload_left) = (0, payload_bytes);
            }
        }
    }

    /// The length of the payload, once the frame header is complete.
    fn payload_bytes(&self) -> Option<u64> {
        let head = &self.head[..self.head_bytes];
        let second = *head.get(1)?;
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if head.len() < 2 + length_bytes + mask_bytes {
            return None;
        }
        let length = &head[2..2 + length_bytes];
        Some(match length_bytes {
            0 => u64::from(second & 0x7f),
            _ => length
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        })
    }
}
