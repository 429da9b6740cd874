//! No client ever gets the response of another client, also when upstream connections fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::raw_connection::RawConnection;
use crate::upstream::{ReceivedRequest, Reply, UPSTREAM_HOST, Upstream, menshen_in_front_of};

const CLIENTS: usize = 200;
const REQUESTS: usize = 12;

/// Returns the path, cookie and body of a request, with various framings and failures.
fn answer(request: &ReceivedRequest, number: usize) -> Reply {
    let message = &request.message;
    let cookie = message.single_header("cookie").unwrap_or("");
    let body = String::from_utf8_lossy(&message.body);
    let text = format!("{} {cookie} {body}", message.target());
    let (length, set_cookie) = (text.len(), format!("Set-Cookie: {cookie}; Path=/\r\n"));
    let whole = format!("HTTP/1.1 200 OK\r\n{set_cookie}Content-Length: {length}\r\n\r\n{text}");
    match number % 17 {
        3 => Reply::Close(Vec::new()),
        5 => Reply::Close(whole.as_bytes()[..whole.len() - 3].to_vec()),
        7 => Reply::Close(format!("HTTP/1.1 200 OK\r\n{set_cookie}\r\n{text}").into_bytes()),
        9 => Reply::Close(b"HTTP/1.1 garbage\r\n\r\n".to_vec()),
        11 => Reply::Close(whole.into_bytes()),
        13 => Reply::KeepAlive(
            format!("HTTP/1.1 200 OK\r\n{set_cookie}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{text}\r\n0\r\n\r\n")
                .into_bytes(),
        ),
        // Further bytes, which must not answer another request.
        15 => Reply::KeepAlive(format!("{whole}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").into_bytes()),
        _ => Reply::KeepAlive(whole.into_bytes()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_concurrent_clients_each_get_their_own_responses() {
    let count = AtomicUsize::new(0);
    let upstream =
        Upstream::start(move |request| answer(request, count.fetch_add(1, Ordering::SeqCst))).await;
    let menshen = Arc::new(menshen_in_front_of(upstream.url(), "limits.response = \"20s\"").await);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let menshen = Arc::clone(&menshen);
        clients.spawn(async move {
            let mut connection = RawConnection::open(menshen.address()).await;
            let (mut succeeded, mut failed) = (0, 0);
            for request in 0..REQUESTS {
                let (target, cookie) = (format!("/{client}/{request}"), format!("who={client}"));
                let body = "b".repeat(client * 7 % 50) + &format!("{client}.{request}");
                let length = body.len();
                let head = match request % 3 {
                    0 => format!(
                        "GET {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nCookie: {cookie}\r\n\r\n"
                    ),
                    _ => format!(
                        "POST {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nCookie: {cookie}\r\n\
                         Content-Length: {length}\r\n\r\n{body}"
                    ),
                };
                let body = if request % 3 == 0 { "" } else { body.as_str() };
                let sent = connection.try_send(&head).await;
                let Some(answer) = connection.try_read_answer().await.filter(|_| sent.is_ok())
                else {
                    // The response was truncated, so the client reconnects.
                    connection = RawConnection::open(menshen.address()).await;
                    failed += 1;
                    continue;
                };
                if answer.status == 502 {
                    failed += 1;
                    continue;
                }
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.text(), format!("{target} {cookie} {body}"));
                assert_eq!(
                    answer.header("set-cookie"),
                    Some(format!("{cookie}; Path=/").as_str())
                );
                succeeded += 1;
            }
            (succeeded, failed)
        });
    }
    let (mut succeeded, mut failed) = (0, 0);
    while let Some(done) = clients.join_next().await {
        let (succeeded_here, failed_here) = done.expect("no client got another client's response");
        succeeded += succeeded_here;
        failed += failed_here;
    }
    assert_eq!(succeeded + failed, CLIENTS * REQUESTS);
    assert!(
        failed > 0 && succeeded > CLIENTS * REQUESTS / 2,
        "{succeeded} good, {failed} failed"
    );
}
