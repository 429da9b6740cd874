//! Bodies are streamed: each piece is forwarded at once, and a slow reader does not fill the
//! memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::raw_connection::RawConnection;
use crate::upstream::{
    UPSTREAM_HOST, accept, bind_listener, get_request, menshen_in_front_of, wait_until,
};

/// Bytes of a body that fits into no buffers.
const FLOOD: usize = 128 << 20;
/// The most bytes that the sockets and menshen may buffer.
const BUFFERED_MAX: usize = 48 << 20;

/// Writes up to `FLOOD` bytes and counts them.
fn flood<W: AsyncWrite + Unpin + Send + 'static>(mut to: W) -> Arc<AtomicUsize> {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    tokio::spawn(async move {
        let piece = vec![b'x'; 64 * 1024];
        while count.load(Ordering::SeqCst) < FLOOD {
            if to.write_all(&piece).await.is_err() {
                return;
            }
            count.fetch_add(piece.len(), Ordering::SeqCst);
        }
        // The connection stays open until the end of the test.
        std::future::pending::<()>().await;
        drop(to);
    });
    written
}

/// Waits until writing stalls and returns the number of bytes written.
async fn bytes_written_when_stalled(written: &AtomicUsize) -> usize {
    let (mut before, mut unchanged) = (0, 0);
    wait_until("a slow reader stops the writer", || {
        let now = written.load(Ordering::SeqCst);
        unchanged = if now == before && now > 0 {
            unchanged + 1
        } else {
            0
        };
        before = now;
        // Half a second, in steps of 5 ms.
        unchanged > 100
    })
    .await;
    before
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_the_upstream_down() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut client = RawConnection::open(menshen.address()).await;
    client.send(get_request("/", "")).await;
    let mut upstream = accept(&socket).await;
    upstream.read_request().await.unwrap();
    upstream
        .send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {FLOOD}\r\n\r\n"
        ))
        .await;
    let written = flood(upstream.stream);
    assert_eq!(client.read_answer_head().await.status, 200);
    let buffered = bytes_written_when_stalled(&written).await;
    assert!(buffered < BUFFERED_MAX, "{buffered} bytes were buffered");
    // No byte is lost.
    assert!(client.read_bytes(FLOOD).await.is_some());
    assert_eq!(written.load(Ordering::SeqCst), FLOOD);
}

#[tokio::test]
async fn an_upstream_that_does_not_read_slows_the_client_down() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut client = RawConnection::open(menshen.address()).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: {FLOOD}\r\n\r\n"
        ))
        .await;
    let written = flood(client.stream);
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    let buffered = bytes_written_when_stalled(&written).await;
    assert!(buffered < BUFFERED_MAX, "{buffered} bytes were buffered");
}

#[tokio::test]
async fn each_piece_of_a_body_is_forwarded_at_once() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut client = RawConnection::open(menshen.address()).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
        ))
        .await;
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    assert_eq!(upstream.read_chunk().await.unwrap(), b"one");
    client.send("3\r\ntwo\r\n").await;
    assert_eq!(upstream.read_chunk().await.unwrap(), b"two");
    // The response may begin before the request ends.
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    upstream.send("8\r\ndata: 1\n\r\n").await;
    assert_eq!(client.read_answer_head().await.status, 200);
    assert_eq!(client.read_chunk().await.unwrap(), b"data: 1\n");
    client.send("5\r\nthree\r\n0\r\n\r\n").await;
    assert_eq!(upstream.read_chunk().await.unwrap(), b"three");
    assert_eq!(upstream.read_chunk().await.unwrap(), b"");
    upstream.send("8\r\ndata: 2\n\r\n0\r\n\r\n").await;
    assert_eq!(client.read_chunk().await.unwrap(), b"data: 2\n");
    assert_eq!(client.read_chunk().await.unwrap(), b"");
}

#[tokio::test]
async fn a_client_that_disconnects_closes_the_upstream_connection() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    for has_response in [false, true] {
        let mut client = RawConnection::open(menshen.address()).await;
        client.send(get_request("/", "")).await;
        let mut upstream = accept(&socket).await;
        upstream.read_request().await.unwrap();
        if has_response {
            upstream
                .send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                .await;
            assert_eq!(client.read_answer_head().await.status, 200);
        }
        drop(client);
        // The connection ends without further bytes.
        assert!(upstream.read_to_end().await.is_empty());
    }
}

#[tokio::test]
async fn a_truncated_response_never_looks_complete() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    for answer in [
        "Content-Length: 100\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhalf",
    ] {
        let mut client = RawConnection::open(menshen.address()).await;
        client.send(get_request("/", "")).await;
        let mut upstream = accept(&socket).await;
        upstream.read_request().await.unwrap();
        upstream.send(format!("HTTP/1.1 200 OK\r\n{answer}")).await;
        upstream.stream.shutdown().await.unwrap();
        let whole = client.try_read_answer().await;
        // The response is truncated or an error, but never complete.
        assert!(
            whole.as_ref().is_none_or(|answer| answer.status == 502),
            "{answer}: {whole:?}"
        );
    }
}

#[tokio::test]
async fn a_stalled_body_is_cut_off() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let limits = "limits.idle = \"2s\"\nlimits.response = \"30s\"";
    let menshen = menshen_in_front_of(&url, limits).await;
    // A stalled response body.
    let mut client = RawConnection::open(menshen.address()).await;
    client.send(get_request("/", "")).await;
    let mut upstream = accept(&socket).await;
    upstream.read_request().await.unwrap();
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        .await;
    assert!(client.try_read_answer().await.is_none());
    assert!(upstream.read_to_end().await.is_empty());
    // A stalled request body.
    let mut client = RawConnection::open(menshen.address()).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 100\r\n\r\nhalf"
        ))
        .await;
    assert_eq!(client.read_answer().await.status, 504);
    // A slow body that makes progress is not cut off.
    let mut client = RawConnection::open(menshen.address()).await;
    client.send(get_request("/", "")).await;
    let mut first = accept(&socket).await;
    // The connection of the previous request was closed.
    while first
        .read_head()
        .await
        .is_some_and(|head| head.start_line.starts_with("POST"))
    {
        first = accept(&socket).await;
    }
    first
        .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        .await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        first.send("x").await;
    }
    assert_eq!(client.read_answer().await.text(), "xxxxxxxxxx");
}
