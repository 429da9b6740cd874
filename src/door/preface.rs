//! Detects HTTP/2 without TLS by its connection preface.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The connection preface of HTTP/2 (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were read for the detection; they are read once more before the rest.
#[derive(Debug)]
pub(super) struct PrefixedStream<T> {
    prefix: [u8; PREFACE.len()],
    /// Start and end of the bytes in `prefix` that hyper has not read yet.
    unread: (usize, usize),
    stream: T,
}

/// Reads only as many bytes as the detection needs. Returns the stream with all its bytes, and whether
/// the client speaks HTTP/2.
pub(super) async fn detect<T: AsyncRead + Unpin>(
    mut stream: T,
) -> io::Result<(PrefixedStream<T>, bool)> {
    let mut prefix = [0; PREFACE.len()];
    let mut end = 0;
    let is_http2 = loop {
        let count = stream.read(&mut prefix[end..]).await?;
        end += count;
        if count == 0 || prefix[..end] != PREFACE[..end] {
            break false;
        }
        if end == PREFACE.len() {
            break true;
        }
    };
    let prefixed = PrefixedStream {
        prefix,
        unread: (0, end),
        stream,
    };
    Ok((prefixed, is_http2))
}

impl<T: AsyncRead + Unpin> AsyncRead for PrefixedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (start, end) = self.unread;
        if start == end {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let next = end.min(start + buffer.remaining());
        buffer.put_slice(&self.prefix[start..next]);
        self.unread.0 = next;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for PrefixedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether HTTP/2 is detected when these pieces arrive, and all bytes that are read afterwards.
    async fn detect_and_read(pieces: &[&[u8]]) -> (bool, Vec<u8>) {
        use tokio::io::AsyncWriteExt as _;

        let (mut client, server) = tokio::io::duplex(64);
        let sending = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
        };
        let reading = async {
            let (mut prefixed, is_http2) = detect(server).await.unwrap();
            let mut received = Vec::new();
            prefixed.read_to_end(&mut received).await.unwrap();
            (is_http2, received)
        };
        tokio::join!(sending, reading).1
    }

    #[tokio::test]
    async fn the_preface_is_http2_and_is_read_again() {
        let (head, tail) = PREFACE.split_at(7);
        for pieces in [vec![&PREFACE[..], b"frames"], vec![head, tail, b"frames"]] {
            let (is_http2, received) = detect_and_read(&pieces).await;
            assert!(is_http2);
            assert_eq!(received, [PREFACE, &b"frames"[..]].concat());
        }
    }

    #[tokio::test]
    async fn other_first_bytes_are_not_http2_and_are_read_again() {
        for pieces in [
            vec![&b"GET / HTTP/1.1\r\n\r\n"[..]],
            vec![b"PRI * HTTP/2.0\r\n\r\n", b"XX\r\n\r\n"],
            vec![b"P", b"OST / HTTP/1.1\r\n\r\n"],
            vec![b"PRI * HTTP/2.0\r\n"],
            vec![],
        ] {
            let (is_http2, received) = detect_and_read(&pieces).await;
            assert!(!is_http2, "{pieces:?}");
            assert_eq!(received, pieces.concat());
        }
    }
}
