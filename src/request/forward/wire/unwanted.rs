//! An answer that nobody waits for any more: read until the upstream is done with it, and thrown away.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite as _;

use super::Wire;

/// How much of it is read, in bytes.
const BYTES_MAX: usize = 256 * 1024;

/// How much of it came.
#[derive(Debug, Default)]
struct Unwanted {
    interim: usize,
    bytes: usize,
}

impl Wire {
    /// Tells the upstream that nobody waits any more, and waits until it has answered or closed. The
    /// caller limits how long this may take.
    pub(in super::super) async fn outlast(mut self: Box<Self>) {
        // What is left of the request is not sent: half of one never passes for a whole one. An
        // upstream that looks at its connection sees its end and may stop.
        self.sending.give_up();
        let io = &mut self.io;
        let told = std::future::poll_fn(|cx| Pin::new(&mut *io).poll_shutdown(cx));
        if told.await.is_ok() {
            let mut unwanted = Unwanted::default();
            std::future::poll_fn(|cx| self.poll_unwanted(cx, &mut unwanted)).await;
        }
    }

    /// Ready when the answer was read to its end, or as much of it as is read for nobody.
    fn poll_unwanted(&mut self, cx: &mut Context<'_>, unwanted: &mut Unwanted) -> Poll<()> {
        if let Some(expected) = self.awaited {
            match ready!(self.poll_head(cx, expected, &mut unwanted.interim)) {
                Ok(head) => self.begin_body(&head),
                Err(_) => return Poll::Ready(()),
            }
        }
        while let Some(Ok(frame)) = ready!(self.poll_frame(cx)) {
            unwanted.bytes += frame.data_ref().map_or(0, Bytes::len);
            if unwanted.bytes > BYTES_MAX {
                break;
            }
        }
        Poll::Ready(())
    }
}
