//! Reads and discards the response to an aborted request, to learn when the upstream has finished
//! it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite as _;

use super::Http1Connection;

/// How many bytes of the response body are read before the connection is closed.
const DISCARDED_BYTES_MAX: usize = 256 * 1024;

/// How much was discarded.
#[derive(Debug, Default)]
struct Discarded {
    interim_responses: usize,
    body_bytes: usize,
}

impl Http1Connection {
    /// Tells the upstream that the request was aborted, and waits until it has responded or closed
    /// the connection, without a time-out of its own.
    pub(in crate::request::forward) async fn drain(mut self: Box<Self>) {
        // The rest of the request is not sent, so that it never looks complete. The end of the
        // connection tells the upstream that it may stop.
        self.writer.discard();
        let transport = &mut self.transport;
        let shutdown = std::future::poll_fn(|cx| Pin::new(&mut *transport).poll_shutdown(cx));
        if shutdown.await.is_ok() {
            let mut discarded = Discarded::default();
            std::future::poll_fn(|cx| self.poll_drain(cx, &mut discarded)).await;
        }
    }

    /// Ready when the response was read to its end or to the limit.
    fn poll_drain(&mut self, cx: &mut Context<'_>, discarded: &mut Discarded) -> Poll<()> {
        if let Some(expected) = self.expected_head {
            match ready!(self.poll_head(cx, expected, &mut discarded.interim_responses)) {
                Ok(head) => self.begin_body(&head),
                Err(_) => return Poll::Ready(()),
            }
        }
        while let Some(Ok(frame)) = ready!(self.poll_frame(cx)) {
            discarded.body_bytes += frame.data_ref().map_or(0, Bytes::len);
            if discarded.body_bytes > DISCARDED_BYTES_MAX {
                break;
            }
        }
        Poll::Ready(())
    }
}
