//! Limits on the connections and requests of a client, which leave others their share.

use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::slow_clients::{start_menshen, times_reached};
use super::upstream_with_hanging_path;
use crate::forwarding::upgrades::open_websocket;
use crate::frames::{END_STREAM, Frames, HEADERS};
use crate::raw_connection::{RawConnection, TEST_TIMEOUT};
use crate::setup::{Menshen, ROUTES, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::upstream::{UPSTREAM_HOST, Upstream, get_request, public_route, wait_until};
use crate::wire::Answer;

/// Connects from the loopback address that ends with `last`.
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
    // When a connection is closed, another one is accepted.
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
        .expect("another one is accepted");
}

#[tokio::test]
async fn a_trusted_proxy_is_not_limited_as_a_client() {
    let limits = "trusted_proxies = [\"127.0.0.1\"]\nlimits.connections_per_client_max = 1\n\
                  limits.requests_per_client_max = 1";
    let upstream = upstream_with_hanging_path().await;
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    let menshen = setup.server(limits).start().await;
    let mut waiting = Vec::new();
    for number in 1..=3 {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request("/hang", "")).await;
        wait_until("the request arrives", || {
            upstream.received().len() == number
        })
        .await;
        waiting.push(connection);
    }
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.text(), "fine");
}

#[tokio::test]
async fn requests_beyond_the_limit_of_a_client_are_503_and_others_are_served() {
    let upstream = upstream_with_hanging_path().await;
    let menshen = start_menshen(upstream.url(), "limits.requests_per_client_max = 3").await;
    // Two requests over HTTP/2 and one over HTTP/1.1.
    let mut streams = Frames::open(menshen.address(), 1 << 20).await;
    streams.get(1, UPSTREAM_HOST, "/hang").await;
    streams.get(3, UPSTREAM_HOST, "/hang").await;
    let mut third = RawConnection::open(menshen.address()).await;
    third.send(get_request("/hang", "")).await;
    wait_until("three are in progress", || upstream.received().len() == 3).await;
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
    // When a request ends, another one is accepted.
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
        .expect("another one is accepted");
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
    wait_until("all of them are in progress", || {
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

#[tokio::test]
async fn one_ipv6_48_cannot_use_up_an_upstream() {
    let upstream = upstream_with_hanging_path().await;
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    let server = "trusted_proxies = [\"127.0.0.1\"]\nlimits.upstream_share = 1";
    let menshen = setup.server(server).start().await;
    // The share is one percent of 1024 for a client and three times as much for its /48.
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
    // When the requests end, others are accepted.
    drop(hanging);
    let retrying = async { while ask_as(&menshen, "203.0.113.1").await.status != 200 {} };
    timeout(TEST_TIMEOUT, retrying)
        .await
        .expect("another one is accepted");
    assert_eq!(member.send(&menshen).await.status, 200);
}

#[tokio::test]
async fn one_client_cannot_use_up_an_upstream() {
    let upstream = upstream_with_hanging_path().await;
    // The share of a client is one percent of 1024.
    let share = 10;
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    let server = "trusted_proxies = [\"127.0.0.1\"]\nlimits.upstream_share = 1";
    let menshen = setup.server(server).start().await;
    let mut expected_requests = 0;
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
        expected_requests += share;
        wait_until("all of them are in progress", || {
            upstream.received().len() == expected_requests
        })
        .await;
        for (client, status) in [(same_client, 503), (other, 200)] {
            let mut connection = RawConnection::open(menshen.address()).await;
            connection.send(get_request("/", &named(client))).await;
            let answer = connection.read_answer().await;
            assert_eq!(answer.status, status, "{client}");
            assert_eq!(answer.header("retry-after").is_some(), status == 503);
        }
        expected_requests += 1;
    }
    assert_eq!(times_reached(&menshen, "upstream_share"), 2);
    // The proxy itself is not limited.
    let mut hanging = Vec::new();
    for _ in 0..=share {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request("/hang", "")).await;
        hanging.push(connection);
    }
    expected_requests += share + 1;
    wait_until("all of them are in progress", || {
        upstream.received().len() == expected_requests
    })
    .await;
}
