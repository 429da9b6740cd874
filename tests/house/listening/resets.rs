//! Rapid reset: a client that resets too many HTTP/2 streams is disconnected.

use super::upstream_with_hanging_path;
use crate::frames::{Frames, HEADERS, HTTP2_WITHOUT_TLS, RST_STREAM, TRUST_ONLY_ANOTHER_HOST};
use crate::setup::{Menshen, Setup};
use crate::upstream::{UPSTREAM_HOST, Upstream, public_route, wait_until};

const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

async fn start_menshen(upstream: &Upstream, server: &str) -> Menshen {
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    setup.tables(HTTP2_WITHOUT_TLS).server(server).start().await
}

/// Opens a stream, waits until its request reaches the upstream, and resets it. Returns false if menshen
/// closed the connection.
async fn request_and_reset(client: &mut Frames, upstream: &Upstream, stream: u32) -> bool {
    let received_before = upstream.received().len();
    if !client.try_get(stream, UPSTREAM_HOST, "/hang").await {
        return false;
    }
    let mut closed = false;
    wait_until("the request arrives", || {
        closed = client.is_closed();
        closed || upstream.received().len() > received_before
    })
    .await;
    !closed
        && client
            .try_send(RST_STREAM, 0, stream, &CANCEL)
            .await
            .is_ok()
}

/// Opens and resets up to `count` streams and returns how many menshen accepted.
async fn resets_until_disconnected(menshen: &Menshen, upstream: &Upstream, count: u32) -> u32 {
    let mut client = Frames::open(menshen.address(), 1 << 20).await;
    for number in 0..count {
        if !request_and_reset(&mut client, upstream, 1 + 2 * number).await {
            return number;
        }
    }
    count
}

#[tokio::test]
async fn a_client_that_resets_its_streams_before_their_responses_is_disconnected() {
    let upstream = upstream_with_hanging_path().await;
    let menshen = start_menshen(&upstream, TRUST_ONLY_ANOTHER_HOST).await;
    let opened = resets_until_disconnected(&menshen, &upstream, 400).await;
    // The limit is 200; menshen reads some more frames before it closes the connection.
    assert!((201..300).contains(&opened), "{opened}");
    // A new connection of the client is served.
    let mut client = Frames::open(menshen.address(), 1 << 20).await;
    client.get(1, UPSTREAM_HOST, "/").await;
    assert_eq!(client.body(1).await, b"fine");
}

#[tokio::test]
async fn a_client_that_waits_for_most_responses_may_reset_many_streams() {
    let upstream = upstream_with_hanging_path().await;
    let menshen = start_menshen(&upstream, TRUST_ONLY_ANOTHER_HOST).await;
    let mut client = Frames::open(menshen.address(), 1 << 20).await;
    let mut stream = 1;
    for _ in 0..220 {
        assert!(request_and_reset(&mut client, &upstream, stream).await);
        for _ in 0..2 {
            stream += 2;
            client.get(stream, UPSTREAM_HOST, "/").await;
            assert_eq!(client.next_of_stream(stream).await.unwrap().kind, HEADERS);
            assert_eq!(client.body(stream).await, b"fine");
        }
        stream += 2;
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_exempt_from_the_reset_limit() {
    let upstream = upstream_with_hanging_path().await;
    let menshen = start_menshen(&upstream, "trusted_proxies = [\"127.0.0.1\"]").await;
    assert_eq!(
        resets_until_disconnected(&menshen, &upstream, 260).await,
        260
    );
}
