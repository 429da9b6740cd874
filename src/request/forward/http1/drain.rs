//! An answer that nobody waits for any more: read until the upstream is done with it, and thrown away.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite as _;

use super::Http1Connection;

/// How much of it is read, in bytes.
const BYTES_MAX: usize = 256 * 1024;

/// How much of it came.
#[derive(Debug, Default)]
struct Drained {
    interim: usize,
    bytes: usize,
}

impl Http1Connection {
    /// Tells the upstream that nobody waits any more, and waits until it has answered or closed. The
    /// caller limits how long this may take.
    pub(in super::super) async fn drain(mut self: Box<Self>) {
        // What is left of the request is not sent: half of one never passes for a whole one. An
        // upstream that looks at its connection sees its end and may stop.
        self.writer.discard();
        let io = &mut self.io;
        let shutdown = std::future::poll_fn(|cx| Pin::new(&mut *io).poll_shutdown(cx));
        if shutdown.await.is_ok() {
            let mut drained = Drained::default();
            std::future::poll_fn(|cx| self.poll_drain(cx, &mut drained)).await;
        }
    }

    /// Ready when the answer was read to its end, or as much of it as is read for nobody.
    fn poll_drain(&mut self, cx: &mut Context<'_>, drained: &mut Drained) -> Poll<()> {
        if let Some(expected) = self.expected_head {
            match ready!(self.poll_head(cx, expected, &mut drained.interim)) {
                Ok(head) => self.begin_body(&head),
                Err(_) => return Poll::Ready(()),
            }
        }
        while let Some(Ok(frame)) = ready!(self.poll_frame(cx)) {
            drained.bytes += frame.data_ref().map_or(0, Bytes::len);
            if drained.bytes > BYTES_MAX {
                break;
            }
        }
        Poll::Ready(())
    }
}
