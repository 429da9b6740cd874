//! Upstream connections: reuse, closed connections, retries and load balancing.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::ok_upstream;
use crate::raw_connection::{RawConnection, TEST_TIMEOUT};
use crate::upstream::{
    ReceivedRequest, Reply, TempFolder, UPSTREAM_HOST, Upstream, accept, bind_listener,
    get_request, menshen_in_front_of, ok, post_request, public_route, refusing_socket, wait_until,
};
use crate::wire;

/// A request that must not be repeated uses only a connection that was idle for less than this.
const RECENT_USE: Duration = Duration::from_secs(1);

/// Advances the clock of Tokio.
async fn advance_time(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// An upstream that closes its first connection at the second request without a response.
async fn stale_upstream() -> Upstream {
    Upstream::start(|request| match (request.connection, request.nth) {
        (1, 2..) => Reply::Close(Vec::new()),
        _ => Reply::KeepAlive(ok("fine")),
    })
    .await
}

#[tokio::test]
async fn a_stale_connection_is_replaced_for_repeatable_requests_only() {
    for (request, status, times) in [
        (get_request("/second", "").into_bytes(), 200, 2),
        (post_request("/second", "", "once only"), 502, 1),
        // POST is not idempotent even without a body.
        (post_request("/second", "", ""), 502, 1),
    ] {
        let (upstream, answer) = loop {
            let upstream = stale_upstream().await;
            let menshen = menshen_in_front_of(upstream.url(), "").await;
            let start = Instant::now();
            let first = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
            assert_eq!(first.status, 200);
            let answer = wire::send(menshen.address(), &request).await;
            // On a slow machine the request gets a new connection, and the test is repeated.
            if start.elapsed() < RECENT_USE {
                break (upstream, answer);
            }
        };
        assert_eq!(answer.status, status, "{}", answer.text());
        let received = upstream.received();
        let second = |request: &&ReceivedRequest| request.message.target() == "/second";
        assert_eq!(received.iter().filter(second).count(), times);
    }
}

#[tokio::test]
async fn a_post_is_not_sent_on_a_connection_that_may_be_closing() {
    for body in ["", "once only"] {
        for method in ["POST", "PATCH", "PUT"] {
            // Only a PUT without a body may be repeated.
            let must_not_be_repeated = method != "PUT" || !body.is_empty();
            let upstream = stale_upstream().await;
            let menshen = menshen_in_front_of(upstream.url(), "").await;
            let first = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
            assert_eq!(first.status, 200);
            advance_time(RECENT_USE).await;
            let length = body.len();
            let request = format!(
                "{method} /second HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let answer = wire::send(menshen.address(), request.as_bytes()).await;
            assert_eq!(answer.status, 200, "{method} {body}: {}", answer.text());
            let received = upstream.received();
            let second = |request: &&ReceivedRequest| request.message.target() == "/second";
            let times = received.iter().filter(second).count();
            assert_eq!(
                times,
                if must_not_be_repeated { 1 } else { 2 },
                "{method} {body}"
            );
        }
    }
}

#[tokio::test]
async fn an_idle_connection_is_kept_as_long_as_the_application_and_the_route_allow() {
    let limits = "[route.limits]\nkeep_alive = \"10s\"";
    for (header, more, waits_ms, same) in [
        ("", "", 25_000, true),
        ("", "", 30_000, false),
        ("", limits, 7_000, true),
        ("", limits, 10_000, false),
        // A connection is not reused shortly before the announced time-out.
        ("Keep-Alive: timeout=5\r\n", "", 2_000, true),
        ("Keep-Alive: timeout=5\r\n", "", 4_000, false),
        ("keep-alive: max=100, timeout=5\r\n", limits, 4_000, false),
        ("Keep-Alive: timeout=120\r\n", limits, 10_000, false),
        ("Keep-Alive: timeout=1\r\n", "", 500, false),
        ("Keep-Alive: timeout=0\r\n", "", 0, false),
        ("Keep-Alive: max=5\r\n", "", 25_000, true),
    ] {
        let upstream = Upstream::start(move |_| {
            Reply::KeepAlive(crate::upstream::ok_with_headers(header, "fine"))
        })
        .await;
        let menshen = menshen_in_front_of(upstream.url(), more).await;
        for _ in 0..2 {
            let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            advance_time(Duration::from_millis(waits_ms)).await;
        }
        let connections = upstream.connections();
        let expected = if same { 1 } else { 2 };
        assert_eq!(connections, expected, "{header:?} {more:?} {waits_ms}");
    }
}

#[tokio::test]
async fn a_post_reuses_a_connection_that_was_just_used() {
    let upstream = ok_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    for _ in 0..100 {
        let start = Instant::now();
        wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
        wire::send(menshen.address(), &post_request("/", "", "body")).await;
        if start.elapsed() < RECENT_USE {
            let received = upstream.received();
            let [.., before, last] = &received[..] else {
                panic!("two requests arrived")
            };
            assert_eq!(before.connection, last.connection);
            return;
        }
    }
    panic!("no two requests arrived within a second");
}

#[tokio::test]
async fn a_request_is_repeated_at_most_once() {
    let upstream = Upstream::start(|request| match request.message.target() {
        "/" => Reply::KeepAlive(ok("fine")),
        _ => Reply::Close(Vec::new()),
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.status, 200);
    connection.send(get_request("/broken", "")).await;
    assert_eq!(connection.read_answer().await.status, 502);
    assert_eq!(upstream.received().len(), 3);
    // The same holds on a new connection.
    connection.send(get_request("/broken", "")).await;
    assert_eq!(connection.read_answer().await.status, 502);
    assert_eq!(upstream.received().len(), 5);
}

#[tokio::test]
async fn repeatable_requests_survive_an_upstream_that_closes_before_its_response() {
    let cut_at = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    let head_bytes = cut_at.find("fine").unwrap();
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let mut responses: Vec<String> = [0, 1, 8, 12, 17, 30, head_bytes - 2, head_bytes - 1]
        .map(|end| cut_at[..end].to_owned())
        .to_vec();
    responses.extend([interim.to_owned(), format!("{interim}HTTP/1.1 2")]);
    for response in responses {
        // The failing request is sent on a new connection, or on a reused one.
        for served in [0, 1] {
            for (method, repeats) in [
                ("GET", true),
                ("HEAD", true),
                ("DELETE", true),
                ("OPTIONS", true),
                ("POST", false),
                ("PATCH", false),
            ] {
                let bytes = response.clone();
                let upstream = Upstream::start(move |request| match request.connection {
                    1 if request.nth > served => Reply::Close(bytes.clone().into_bytes()),
                    _ if request.message.start_line.starts_with("HEAD") => {
                        Reply::KeepAlive(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_vec())
                    }
                    _ => Reply::KeepAlive(ok("fine")),
                })
                .await;
                let menshen = menshen_in_front_of(upstream.url(), "").await;
                let start = Instant::now();
                for _ in 0..served {
                    let answer =
                        wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
                    assert_eq!(answer.status, 200);
                }
                let request = format!(
                    "{method} / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nConnection: close\r\n\r\n"
                );
                let answer = RawConnection::open(menshen.address()).await;
                let mut connection = answer;
                connection.send(request).await;
                let status = connection.read_answer_head().await.status;
                if !repeats && served > 0 && start.elapsed() >= RECENT_USE {
                    // The machine was too slow, and the request got a new connection.
                    continue;
                }
                let expected = if repeats { 200 } else { 502 };
                assert_eq!(status, expected, "{method} {served} {response:?}");
                let times = usize::from(repeats) + 1 + served;
                assert_eq!(
                    upstream.received().len(),
                    times,
                    "{method} {served} {response:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_body_is_not_lost_on_an_idle_connection_that_was_closed() {
    let upstream = Upstream::start(|_| Reply::Close(ok("closing"))).await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    for sent in 1..=200 {
        let answer = wire::send(menshen.address(), &post_request("/", "", "body")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(upstream.received().len(), sent);
        wait_until("the connection is closed", || {
            upstream.open_connections() == 0
        })
        .await;
    }
}

#[tokio::test]
async fn an_invalid_response_is_not_retried() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    ] {
        let upstream = Upstream::start(move |_| Reply::Close(bytes.to_vec())).await;
        let menshen = menshen_in_front_of(upstream.url(), "").await;
        let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
        assert_eq!((answer.status, upstream.received().len()), (502, 1));
    }
}

#[tokio::test]
async fn a_connection_closed_before_anything_is_read_fails_no_request() {
    for method in ["GET", "DELETE"] {
        let listener = bind_listener().await;
        let url = format!("http://{}", listener.local_addr().unwrap());
        let menshen = menshen_in_front_of(&url, "").await;
        let serving = async {
            drop(accept(&listener).await);
            let mut connection = accept(&listener).await;
            let received = connection
                .read_request()
                .await
                .expect("the request is repeated");
            connection.send(ok("fine")).await;
            received
        };
        let request = format!("{method} / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n");
        let asking = wire::send(menshen.address(), request.as_bytes());
        let (received, answer) = tokio::join!(serving, asking);
        assert!(received.start_line.starts_with(method));
        assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
    }
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_fails_no_request() {
    let upstream = Upstream::start(|_| Reply::Close(ok("closing"))).await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    for _ in 0..10 {
        // If the connection is closed before the request is sent, another one is used.
        let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn an_upstream_may_listen_on_a_unix_socket() {
    let folder = TempFolder::new();
    let upstream = Upstream::start_unix(&folder.path("app.sock"), |_| Reply::KeepAlive(ok("unix")));
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    for _ in 0..3 {
        let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
        assert_eq!(answer.text(), "unix");
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(
        upstream.last_request().single_header("host"),
        Some(UPSTREAM_HOST)
    );
    let answer = wire::send(menshen.address(), &post_request("/", "", "body")).await;
    assert_eq!(answer.text(), "unix");
}

#[tokio::test]
async fn the_upstream_with_the_fewest_requests_is_chosen() {
    let respond = |request: &ReceivedRequest| match request.message.target() {
        "/long" => Reply::HoldOpen(Vec::new()),
        _ => Reply::KeepAlive(ok("quick")),
    };
    let (one, two) = (
        Upstream::start(respond).await,
        Upstream::start(respond).await,
    );
    let both = format!("{}\", \"{}", one.url(), two.url());
    let menshen = menshen_in_front_of(&both, "[route.limits]\nabandoned = \"100ms\"").await;
    let mut long = RawConnection::open(menshen.address()).await;
    long.send(get_request("/long", "")).await;
    crate::upstream::wait_until("the long request is in progress", || {
        one.received().len() + two.received().len() == 1
    })
    .await;
    let (busy, idle) = match one.received().len() {
        1 => (&one, &two),
        _ => (&two, &one),
    };
    let mut connection = RawConnection::open(menshen.address()).await;
    for _ in 0..8 {
        connection.send(get_request("/", "")).await;
        assert_eq!(connection.read_answer().await.status, 200);
    }
    assert_eq!((busy.received().len(), idle.received().len()), (1, 8));
    // When no request is in progress, the upstreams are used in turn.
    drop(long);
    let asking = async {
        while busy.received().len() == 1 {
            connection.send(get_request("/", "")).await;
            assert_eq!(connection.read_answer().await.status, 200);
        }
    };
    timeout(TEST_TIMEOUT, asking)
        .await
        .expect("the upstreams are used in turn");
}

#[tokio::test]
async fn one_upstream_that_is_down_fails_no_request() {
    let down = refusing_socket();
    let refusing_url = format!("http://{}", down.local_addr().unwrap());
    let upstream = Upstream::start(|_| Reply::KeepAlive(ok("up"))).await;
    let menshen = menshen_in_front_of(&format!("{refusing_url}\", \"{}", upstream.url()), "").await;
    for number in 0..10 {
        // Nothing was sent to the upstream that is down, so a request with a body can be retried.
        let answer = wire::send(menshen.address(), &post_request("/", "", "body")).await;
        assert_eq!(answer.status, 200, "request {number}: {}", answer.text());
    }
    assert_eq!(upstream.received().len(), 10);
}

#[tokio::test]
async fn routes_with_different_upstreams_never_share_connections() {
    let one = Upstream::start(|_| Reply::KeepAlive(ok("one"))).await;
    let two = Upstream::start(|_| Reply::KeepAlive(ok("two"))).await;
    let more = format!(
        "[[route]]\nname = \"two\"\nhost = \"{UPSTREAM_HOST}\"\npath = \"/two\"\naccess = \"public\"\n\
         upstream = [\"{}\"]",
        two.url()
    );
    let routes = public_route(one.url(), &more);
    let menshen = crate::setup::Setup::default().routes(&routes).start().await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (target, expected) in [("/", "one"), ("/two", "two"), ("/twofold", "one")] {
        connection.send(get_request(target, "")).await;
        assert_eq!(connection.read_answer().await.text(), expected, "{target}");
    }
}

#[tokio::test]
async fn unsolicited_bytes_of_an_upstream_never_answer_a_request() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/first", "")).await;
    let mut upstream = accept(&socket).await;
    upstream.read_request().await.unwrap();
    // The second response, which no request asked for, must not answer the next request.
    upstream.send([ok("first"), ok("poison")].concat()).await;
    assert_eq!(connection.read_answer().await.text(), "first");
    connection.send(get_request("/second", "")).await;
    let second = async {
        let mut second_connection = accept(&socket).await;
        let received = second_connection.read_request().await.unwrap();
        second_connection.send(ok(received.target())).await;
    };
    second.await;
    assert_eq!(connection.read_answer().await.text(), "/second");
}
