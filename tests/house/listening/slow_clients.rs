//! A client that reads or sends too slowly loses its stream or connection and keeps no upstream busy.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::frames::{DATA, Frames, HTTP2_WITHOUT_TLS, TRUST_ONLY_ANOTHER_HOST};
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, ROUTES, Setup};
use crate::upstream::{
    Reply, UPSTREAM_HOST, Upstream, accept, bind_listener, get_request, ok, public_route,
    wait_until,
};

/// A client must send and read 100 bytes in each 200 ms.
const SHORT_INTERVAL: &str = "limits.progress_interval = \"200ms\"\nlimits.upload_bytes_min = 100\n\
                         limits.download_bytes_min = 100\n";
/// The interval is so long that a client is fast enough on a busy machine.
const LONG_INTERVAL: &str = "limits.progress_interval = \"2s\"\nlimits.upload_bytes_min = 100\n";

pub(super) async fn start_menshen(url: &str, server: &str) -> Menshen {
    let routes = format!("{ROUTES}{}", public_route(url, ""));
    let setup = Setup::default().routes(&routes).tables(HTTP2_WITHOUT_TLS);
    let server = format!("{TRUST_ONLY_ANOTHER_HOST}{server}");
    setup.server(&server).start().await
}

/// How often a limit was reached.
pub(super) fn times_reached(menshen: &Menshen, key: &str) -> u64 {
    let page = menshen.running.live().services().telemetry.render();
    let name = format!("menshen_limits_reached_total{{key=\"{key}\"}} ");
    let found = page.lines().find_map(|one| one.strip_prefix(&name));
    found.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn a_response_that_the_client_does_not_read_over_http_2_frees_its_upstream() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let menshen = start_menshen(&url, SHORT_INTERVAL).await;
    for (window, length) in [(0, 100_000), (1, 100_000), (9_000, 100_000)] {
        let mut client = Frames::open(menshen.address(), window).await;
        client.get(1, UPSTREAM_HOST, "/").await;
        let mut upstream = accept(&socket).await;
        upstream.read_request().await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        upstream.send(head).await;
        upstream.send(vec![b'x'; 50_000]).await;
        assert!(client.body_bytes_before_reset(1).await <= window as usize);
        assert!(
            upstream.read_to_end().await.is_empty(),
            "its connection is closed"
        );
        // The connection stays open for streams whose client reads.
        client.get(3, UPSTREAM_HOST, "/").await;
        let mut upstream = accept(&socket).await;
        upstream.read_request().await.unwrap();
        upstream.send(ok("y")).await;
        client.enlarge_window(3, 1).await;
        assert_eq!(client.body(3).await, b"y");
    }
    assert_eq!(times_reached(&menshen, "download_bytes_min"), 3);
}

#[tokio::test]
async fn own_pages_that_the_client_does_not_read_are_not_kept() {
    let menshen = start_menshen("http://127.0.0.1:9", SHORT_INTERVAL).await;
    for window in [0, 1, 4_000] {
        let mut client = Frames::open(menshen.address(), window).await;
        for at in 0..10 {
            client
                .get(1 + 2 * at, "sso.test", "/.menshen/sign_in")
                .await;
        }
        for at in 0..10 {
            assert!(client.body_bytes_before_reset(1 + 2 * at).await <= window as usize);
        }
    }
    assert_eq!(times_reached(&menshen, "download_bytes_min"), 30);
    // A client whose window has exactly the size of a page gets the page.
    let mut client = Frames::open(menshen.address(), 1 << 20).await;
    client.get(1, "sso.test", "/.menshen/sign_in").await;
    let page = client.body(1).await;
    let window = u32::try_from(page.len()).unwrap();
    let mut client = Frames::open(menshen.address(), window).await;
    client.get(1, "sso.test", "/.menshen/sign_in").await;
    assert_eq!(client.body(1).await.len(), page.len());
    let mut client = Frames::open(menshen.address(), 0).await;
    client.get(41, "sso.test", "/.menshen/ping").await;
    client.enlarge_window(41, 100_000).await;
    client.body(41).await;
}

#[tokio::test]
async fn a_client_that_reads_gets_the_whole_response_of_a_slow_upstream() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let menshen = start_menshen(&url, SHORT_INTERVAL).await;
    let mut first = Frames::open(menshen.address(), 1 << 20).await;
    let mut second = RawConnection::open(menshen.address()).await;
    first.get(1, UPSTREAM_HOST, "/").await;
    let mut upstreams = [accept(&socket).await];
    upstreams[0].read_request().await.unwrap();
    second.send(get_request("/", "")).await;
    let mut other = accept(&socket).await;
    other.read_request().await.unwrap();
    let [upstream] = &mut upstreams;
    for up in [&mut *upstream, &mut other] {
        up.send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
            .await;
    }
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        upstream.send("x").await;
        other.send("x").await;
    }
    assert_eq!(first.body(1).await, b"xxxxxxxxxxxx");
    assert_eq!(second.read_answer().await.text(), "xxxxxxxxxxxx");
    assert_eq!(times_reached(&menshen, "download_bytes_min"), 0);
}

/// Sends a byte at intervals until the connection closes.
fn send_slowly(mut client: RawConnection<TcpStream>) -> JoinHandle<Vec<u8>> {
    tokio::spawn(async move {
        for _ in 0..400 {
            if client.try_send("x").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        client.read_to_end().await
    })
}

#[tokio::test]
async fn an_upload_of_a_byte_at_a_time_is_aborted() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let menshen = start_menshen(&url, SHORT_INTERVAL).await;
    // An upload to the application.
    let mut client = RawConnection::open(menshen.address()).await;
    let head =
        format!("POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 100000\r\n\r\n");
    client.send(head).await;
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    let sending = send_slowly(client);
    assert!(upstream.read_to_end().await.len() < 10_000);
    assert!(sending.await.unwrap().is_empty());
    assert_eq!(times_reached(&menshen, "upload_bytes_min"), 1);
    // Over HTTP/2 the connection stays open.
    let mut client = Frames::open(menshen.address(), 1 << 20).await;
    client
        .send_request(1, 0, ("POST", UPSTREAM_HOST, "/"), &[])
        .await;
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    client.send(DATA, 0, 1, b"x").await;
    assert_eq!(client.body_bytes_before_reset(1).await, 0);
    upstream.read_to_end().await;
    client.get(3, "sso.test", "/.menshen/ping").await;
    client.body(3).await;
    assert_eq!(times_reached(&menshen, "upload_bytes_min"), 2);
}

#[tokio::test]
async fn a_steady_upload_passes_however_late_the_upstream_responds() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let menshen = start_menshen(&url, LONG_INTERVAL).await;
    let mut client = RawConnection::open(menshen.address()).await;
    let head = format!("POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 10000\r\n\r\n");
    client.send(head).await;
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    for _ in 0..10 {
        client.send([b'x'; 1_000]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(upstream.read_bytes(10_000).await.unwrap().len(), 10_000);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    upstream.send(ok("thanks")).await;
    assert_eq!(client.read_answer().await.text(), "thanks");
    assert_eq!(times_reached(&menshen, "upload_bytes_min"), 0);
}

#[tokio::test]
async fn a_client_that_sends_requests_and_reads_nothing_is_disconnected() {
    let upstream = Upstream::start(|_| Reply::KeepAlive(ok(vec![b'x'; 1 << 20]))).await;
    let menshen = start_menshen(upstream.url(), SHORT_INTERVAL).await;
    let mut client = RawConnection::open(menshen.address()).await;
    let all = get_request("/", "").repeat(1_000);
    // The server may close the connection before it has read all requests.
    let _ = client.try_send(all).await;
    wait_until("the connection is cut off", || {
        times_reached(&menshen, "download_bytes_min") == 1
    })
    .await;
    assert!(
        upstream.received().len() < 100,
        "{}",
        upstream.received().len()
    );
}
