//! A request that its client aborts counts towards the limits until the upstream ends it, so that a
//! client cannot exceed its share with requests that it aborts.

use std::pin::pin;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::frames::{DATA, Frames, HTTP2_WITHOUT_TLS, RST_STREAM};
use crate::raw_connection::{RawConnection, TEST_TIMEOUT};
use crate::setup::{Menshen, Setup};
use crate::upstream::{UPSTREAM_HOST, accept, bind_listener, get_request, ok, public_route};

/// The requests that a client may have in progress: one percent of 1024.
const SHARE: u32 = 10;
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// A limit that no test reaches.
const LONG_LIMIT: &str = "[route.limits]\nabandoned = \"1h\"";

/// The protocol of the client, which determines how it aborts a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// The client closes its connection.
    Http1,
    /// The client resets the stream.
    Http2,
}

/// When the client aborts a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the response.
    Unanswered,
    /// After an interim response.
    Interim,
    /// Within the response body.
    Answering,
    /// Within the request body.
    Uploading,
}

async fn start_menshen(socket: &TcpListener, limits: &str) -> Menshen {
    let url = format!("http://{}", socket.local_addr().unwrap());
    let setup = Setup::default().routes(&public_route(&url, limits));
    let server = "trusted_proxies = [\"127.0.0.1\"]\nlimits.upstream_share = 1";
    setup.tables(HTTP2_WITHOUT_TLS).server(server).start().await
}

fn forwarded_for(client: &str) -> String {
    format!("X-Forwarded-For: {client}\r\n")
}

/// Sends a request, waits until the upstream has received it, and aborts it. Returns the upstream's
/// side of the connection once it has seen the abort.
async fn abandon_request(
    menshen: &Menshen,
    socket: &TcpListener,
    protocol: Protocol,
    stage: Stage,
) -> RawConnection<TcpStream> {
    let uploads = stage == Stage::Uploading;
    let client = ("x-forwarded-for", "203.0.113.7");
    let mut upstream;
    match protocol {
        Protocol::Http1 => {
            let mut connection = RawConnection::open(menshen.address()).await;
            let request = match uploads {
                true => format!(
                    "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{}Content-Length: 9\r\n\r\nhalf",
                    forwarded_for(client.1)
                ),
                false => get_request("/", &forwarded_for(client.1)),
            };
            connection.send(request).await;
            upstream = accept_request(socket, stage).await;
            if stage == Stage::Answering {
                assert_eq!(connection.read_answer_head().await.status, 200);
            }
            drop(connection);
        }
        Protocol::Http2 => {
            let mut frames = Frames::open(menshen.address(), 1 << 20).await;
            let (method, flags) = if uploads { ("POST", 0) } else { ("GET", 1) };
            frames
                .send_request(1, flags, (method, UPSTREAM_HOST, "/"), &[client])
                .await;
            if uploads {
                frames.send(DATA, 0, 1, b"half").await;
            }
            upstream = accept_request(socket, stage).await;
            if stage == Stage::Answering {
                frames
                    .next_of_stream(1)
                    .await
                    .expect("the head of the answer");
            }
            frames.send(RST_STREAM, 0, 1, &CANCEL).await;
            read_to_end(&mut upstream, uploads).await;
            // The client's connection stays open until the upstream sees the abort.
            drop(frames);
            return upstream;
        }
    }
    read_to_end(&mut upstream, uploads).await;
    upstream
}

/// Reads to the end of the connection, by which the upstream sees the abort.
async fn read_to_end(upstream: &mut RawConnection<TcpStream>, uploads: bool) {
    let rest = upstream.read_to_end().await;
    assert!(uploads || rest.is_empty(), "{rest:?}");
}

/// Accepts a request and returns the upstream's side of the connection.
async fn accept_request(socket: &TcpListener, stage: Stage) -> RawConnection<TcpStream> {
    let mut upstream = accept(socket).await;
    upstream.read_head().await.unwrap();
    match stage {
        // The first bytes of the body, or of the size line of its chunk.
        Stage::Uploading => drop(upstream.read_bytes(4).await.unwrap()),
        Stage::Interim => upstream.send("HTTP/1.1 102 Processing\r\n\r\n").await,
        Stage::Answering => {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
            upstream.send(head).await;
        }
        Stage::Unanswered => {}
    }
    upstream
}

/// Sends a request and returns its status: 503 if the client has too many in progress.
async fn status_of_next_request(menshen: &Menshen, socket: &TcpListener, client: &str) -> u16 {
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(get_request("/", &forwarded_for(client)))
        .await;
    let answering = async {
        let mut upstream = accept(socket).await;
        upstream.read_head().await.unwrap();
        upstream.send(ok("fine")).await;
        upstream
    };
    let mut answer = pin!(connection.read_answer());
    tokio::select! {
        answer = &mut answer => answer.status,
        upstream = answering => {
            let status = answer.await.status;
            drop(upstream);
            status
        }
    }
}

#[tokio::test]
async fn abandoned_requests_count_toward_the_share_of_the_client() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for stage in [
            Stage::Unanswered,
            Stage::Interim,
            Stage::Answering,
            Stage::Uploading,
        ] {
            let socket = bind_listener().await;
            let menshen = start_menshen(&socket, LONG_LIMIT).await;
            let mut abandoned = Vec::new();
            for _ in 0..SHARE {
                abandoned.push(abandon_request(&menshen, &socket, protocol, stage).await);
            }
            let same = status_of_next_request(&menshen, &socket, "203.0.113.7").await;
            assert_eq!(same, 503, "{protocol:?} {stage:?}");
            let other = status_of_next_request(&menshen, &socket, "203.0.113.8").await;
            assert_eq!(other, 200, "{protocol:?} {stage:?}");
        }
    }
}

/// Sends requests until one is not refused.
async fn until_accepted(menshen: &Menshen, socket: &TcpListener, what: &str) {
    let asking =
        async { while status_of_next_request(menshen, socket, "203.0.113.7").await != 200 {} };
    timeout(TEST_TIMEOUT, asking)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn an_abandoned_request_stops_counting_when_the_upstream_finishes_it() {
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2 << 20));
    let responses = [
        (Stage::Unanswered, "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            Stage::Interim,
            "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno",
        ),
        (
            Stage::Unanswered,
            "not HTTP\r
\r
",
        ),
        (Stage::Answering, &"x".repeat(96)),
        (Stage::Unanswered, long.as_str()),
    ];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (stage, responses) in &responses {
            let socket = bind_listener().await;
            let menshen = start_menshen(&socket, LONG_LIMIT).await;
            let mut abandoned = Vec::new();
            for _ in 0..SHARE {
                abandoned.push(abandon_request(&menshen, &socket, protocol, *stage).await);
            }
            let last = abandoned.last_mut().unwrap();
            // menshen may close the connection before the whole response is sent.
            let _ = last.try_send(responses).await;
            let what = format!("{protocol:?} {stage:?} {:.30}", responses);
            until_accepted(&menshen, &socket, &what).await;
            assert!(abandoned.pop().is_some());
            // Closing the connection finishes a request, too.
            drop(abandoned);
            until_accepted(&menshen, &socket, "all are closed").await;
        }
    }
}

#[tokio::test]
async fn an_abandoned_request_stops_counting_after_the_limit_of_the_route() {
    let socket = bind_listener().await;
    let menshen = start_menshen(&socket, "[route.limits]\nabandoned = \"300ms\"").await;
    let mut abandoned = Vec::new();
    for stage in [Stage::Unanswered, Stage::Interim, Stage::Answering] {
        for _ in 0..SHARE {
            until_accepted(&menshen, &socket, "before").await;
            abandoned.push(abandon_request(&menshen, &socket, Protocol::Http2, stage).await);
        }
    }
    until_accepted(&menshen, &socket, "after").await;
    // The connection is closed, so the upstream's writes fail.
    let mut last = abandoned.pop().unwrap();
    let writing = async {
        while last.try_send("x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TEST_TIMEOUT, writing).await.expect("it is closed");
}
