//! A slow client, or one with very many connections or requests, does not starve other clients.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::forwarding::upgrades::open_websocket;
use crate::frames::{DATA, DISTRUST_LOOPBACK, END_STREAM, Frames, HEADERS, HTTP2_WITHOUT_TLS};
use crate::raw_connection::{RawConnection, TEST_TIMEOUT};
use crate::setup::{Menshen, ROUTES, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::upstream::{
    Reply, UPSTREAM_HOST, Upstream, accept, bind_listener, get_request, ok, public_route,
    wait_until,
};
use crate::wire::Answer;

/// A client must send and read a hundred bytes in each fifth of a second.
const SHORT_INTERVAL: &str = "limits.progress_interval = \"200ms\"\nlimits.upload_bytes_min = 100\n\
                         limits.download_bytes_min = 100\n";
/// A longer interval, for a client that is fast enough on a busy machine.
const LONG_INTERVAL: &str = "limits.progress_interval = \"2s\"\nlimits.upload_bytes_min = 100\n";

async fn start_menshen(url: &str, server: &str) -> Menshen {
    let routes = format!("{ROUTES}{}", public_route(url, ""));
    let setup = Setup::default().routes(&routes).tables(HTTP2_WITHOUT_TLS);
    let server = format!("{DISTRUST_LOOPBACK}{server}");
    setup.server(&server).start().await
}

/// How often a limit was reached.
fn times_reached(menshen: &Menshen, key: &str) -> u64 {
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
    // A client with a window for exactly one page gets it.
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

/// A connection from another address of this machine.
async fn connect_from(last: u8, to: SocketAddr) -> RawConnection<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    RawConnection::over(socket.connect(to).await.unwrap())
}

#[tokio::test]
async fn connections_beyond_the_limit_of_a_client_are_closed_and_others_are_served() {
    let menshen = start_menshen("{app}", "limits.connections_per_client_max = 2").await;
    let mut websockets = Vec::new();
    for _ in 0..2 {
        // An idle WebSocket counts as a connection.
        websockets.push(open_websocket(&menshen, UPSTREAM_HOST, "").await);
    }
    for _ in 0..3 {
        let mut third = RawConnection::open(menshen.address()).await;
        let _ = third.try_send(get_request("/echo", "")).await;
        assert!(third.read_to_end().await.is_empty());
    }
    assert_eq!(times_reached(&menshen, "connections_per_client_max"), 3);
    let mut other = connect_from(2, menshen.address()).await;
    other.send(get_request("/echo", "")).await;
    assert_eq!(other.read_answer().await.status, 200);
    // A closed connection makes room for another.
    drop(websockets);
    let retrying = async {
        loop {
            let mut retrying = RawConnection::open(menshen.address()).await;
            let _ = retrying.try_send(get_request("/echo", "")).await;
            if retrying
                .try_read_answer()
                .await
                .is_some_and(|one| one.status == 200)
            {
                break;
            }
        }
    };
    timeout(TEST_TIMEOUT, retrying)
        .await
        .expect("there is room again");
}

#[tokio::test]
async fn a_trusted_proxy_is_not_limited_as_a_client() {
    let limits = "trusted_proxies = [\"127.0.0.1\"]\nlimits.connections_per_client_max = 1\n\
                  limits.requests_per_client_max = 1";
    let upstream = Upstream::start(|expected| match expected.message.target() {
        "/hang" => Reply::HoldOpen(Vec::new()),
        _ => Reply::KeepAlive(ok("fine")),
    })
    .await;
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    let menshen = setup.server(limits).start().await;
    let mut waiting = Vec::new();
    for number in 1..=3 {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request("/hang", "")).await;
        wait_until("it is asked", || upstream.received().len() == number).await;
        waiting.push(connection);
    }
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.text(), "fine");
}

#[tokio::test]
async fn requests_beyond_the_limit_of_a_client_are_503_and_others_are_served() {
    let upstream = Upstream::start(|expected| match expected.message.target() {
        "/hang" => Reply::HoldOpen(Vec::new()),
        _ => Reply::KeepAlive(ok("fine")),
    })
    .await;
    let menshen = start_menshen(upstream.url(), "limits.requests_per_client_max = 3").await;
    // Two over HTTP/2, one over HTTP/1.1.
    let mut streams = Frames::open(menshen.address(), 1 << 20).await;
    streams.get(1, UPSTREAM_HOST, "/hang").await;
    streams.get(3, UPSTREAM_HOST, "/hang").await;
    let mut third = RawConnection::open(menshen.address()).await;
    third.send(get_request("/hang", "")).await;
    wait_until("three are under way", || upstream.received().len() == 3).await;
    for path in ["/", "/.menshen/ping"] {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request(path, "")).await;
        let answer = connection.read_answer().await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.header("retry-after").is_some());
        assert!(answer.text().contains("稍后") || answer.text().contains("秒后"));
    }
    streams.get(5, UPSTREAM_HOST, "/").await;
    let head = streams.next_of_stream(5).await.unwrap();
    assert_eq!((head.kind, head.flags & END_STREAM), (HEADERS, 0));
    assert!(String::from_utf8_lossy(&streams.body(5).await).contains("Too many requests"));
    assert_eq!(times_reached(&menshen, "requests_per_client_max"), 3);
    let mut other = connect_from(2, menshen.address()).await;
    other.send(get_request("/", "")).await;
    assert_eq!(other.read_answer().await.text(), "fine");
    // A request that ends makes room for another.
    drop(third);
    let retrying = async {
        loop {
            let mut connection = RawConnection::open(menshen.address()).await;
            connection.send(get_request("/", "")).await;
            if connection.read_answer().await.status == 200 {
                break;
            }
        }
    };
    timeout(TEST_TIMEOUT, retrying)
        .await
        .expect("there is room again");
}

/// Sends requests that hang, one for each client.
async fn send_hanging_requests(
    menshen: &Menshen,
    upstream: &Upstream,
    clients: &[String],
) -> Vec<RawConnection<TcpStream>> {
    let before = upstream.received().len();
    let mut hanging = Vec::new();
    for client in clients {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection
            .send(get_request(
                "/hang",
                &format!("X-Forwarded-For: {client}\r\n"),
            ))
            .await;
        hanging.push(connection);
    }
    wait_until("all of them are under way", || {
        upstream.received().len() == before + clients.len()
    })
    .await;
    hanging
}

async fn ask_as(menshen: &Menshen, client: &str) -> Answer {
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(get_request("/", &format!("X-Forwarded-For: {client}\r\n")))
        .await;
    connection.read_answer().await
}

async fn upstream_with_hanging_path() -> Upstream {
    Upstream::start(|expected| match expected.message.target() {
        "/hang" => Reply::HoldOpen(Vec::new()),
        _ => Reply::KeepAlive(ok("fine")),
    })
    .await
}

#[tokio::test]
async fn an_ipv6_48_cannot_use_up_an_upstream() {
    let upstream = upstream_with_hanging_path().await;
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    let server = "trusted_proxies = [\"127.0.0.1\"]\nlimits.upstream_share = 1";
    let menshen = setup.server(server).start().await;
    // One percent of 1024 for each client, and three times as much for its /48.
    let clients_of_48 = (0..30).map(|at| format!("2001:db8:1:{}::{at}", at / 10));
    let _held =
        send_hanging_requests(&menshen, &upstream, &clients_of_48.collect::<Vec<_>>()).await;
    for (client, status) in [
        ("2001:db8:1:9::1", 503),
        ("2001:db8:1:ffff::1", 503),
        ("2001:db8:2::1", 200),
        ("::ffff:192.0.2.1", 200),
    ] {
        assert_eq!(ask_as(&menshen, client).await.status, status, "{client}");
    }
}

#[tokio::test]
async fn anonymous_requests_cannot_use_up_an_upstream() {
    let upstream = upstream_with_hanging_path().await;
    let url = upstream.url();
    let limits = "limits.connect = \"500ms\"";
    let routes = format!(
        "{ROUTES}[[route]]\nname = \"members\"\nhost = \"sso.test\"\npath = \"/members\"\n\
         upstream = [\"{url}\"]\n{limits}\n{}",
        public_route(url, limits)
    );
    let server = "trusted_proxies = [\"127.0.0.1\"]\nlimits.upstream_share_anonymous = 1\n\
                  limits.upstream_share = 1";
    let menshen = Setup::default()
        .routes(&routes)
        .server(server)
        .start()
        .await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let member = TestRequest::get("/members").session(&cookie);
    let strangers: Vec<_> = (0..10).map(|at| format!("192.0.2.{at}")).collect();
    let hanging = send_hanging_requests(&menshen, &upstream, &strangers).await;
    let late = ask_as(&menshen, "203.0.113.1").await;
    assert_eq!(late.status, 503);
    assert!(late.header("retry-after").is_some());
    assert_eq!(times_reached(&menshen, "upstream_share_anonymous"), 1);
    assert_eq!(member.send(&menshen).await.status, 200);
    // A request that ends makes room for another, also for one that waits.
    drop(hanging);
    let retrying = async { while ask_as(&menshen, "203.0.113.1").await.status != 200 {} };
    timeout(TEST_TIMEOUT, retrying)
        .await
        .expect("there is room again");
    assert_eq!(member.send(&menshen).await.status, 200);
}

#[tokio::test]
async fn one_client_cannot_use_up_an_upstream() {
    let upstream = Upstream::start(|expected| match expected.message.target() {
        "/hang" => Reply::HoldOpen(Vec::new()),
        _ => Reply::KeepAlive(ok("fine")),
    })
    .await;
    // One percent of 1024.
    let share = 10;
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    let server = "trusted_proxies = [\"127.0.0.1\"]\nlimits.upstream_share = 1";
    let menshen = setup.server(server).start().await;
    let mut expected = 0;
    for (busy_client, same_client, other) in [
        ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
    ] {
        let named = |client: &str| format!("X-Forwarded-For: {client}\r\n");
        let mut hanging = Vec::new();
        for _ in 0..share {
            let mut connection = RawConnection::open(menshen.address()).await;
            connection
                .send(get_request("/hang", &named(busy_client)))
                .await;
            hanging.push(connection);
        }
        expected += share;
        wait_until("all of them are under way", || {
            upstream.received().len() == expected
        })
        .await;
        for (client, status) in [(same_client, 503), (other, 200)] {
            let mut connection = RawConnection::open(menshen.address()).await;
            connection.send(get_request("/", &named(client))).await;
            let answer = connection.read_answer().await;
            assert_eq!(answer.status, status, "{client}");
            assert_eq!(answer.header("retry-after").is_some(), status == 503);
        }
        expected += 1;
    }
    assert_eq!(times_reached(&menshen, "upstream_share"), 2);
    // The proxy itself is not limited.
    let mut hanging = Vec::new();
    for _ in 0..=share {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request("/hang", "")).await;
        hanging.push(connection);
    }
    expected += share + 1;
    wait_until("all of them are under way", || {
        upstream.received().len() == expected
    })
    .await;
}
