//! Methods, targets and bodies are forwarded completely in both directions.

use menshen::face::page::Cause;

use crate::raw_connection::{Message, RawConnection};
use crate::records::Records;
use crate::upstream::{
    Reply, UPSTREAM_HOST, Upstream, get_request, menshen_in_front_of, ok, post_request,
};

/// Pseudo-random bytes, in which a moved or missing byte is detected.
fn pattern(length: usize) -> Vec<u8> {
    let byte = |at: usize| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0];
    (0..length).map(byte).collect()
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut chunks = Vec::with_capacity(body.len() + body.len() / size * 8 + 16);
    for piece in body.chunks(size) {
        chunks.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunks.extend_from_slice(piece);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    chunks
}

/// An upstream that echoes a body in its original framing.
async fn echoing_upstream() -> Upstream {
    Upstream::start(|request| {
        let Message { body, .. } = &request.message;
        Reply::KeepAlive(match request.message.single_header("transfer-encoding") {
            None => ok(body),
            Some(_) => {
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                [head.as_bytes(), &chunked(body, 60_000)].concat()
            }
        })
    })
    .await
}

#[tokio::test]
async fn methods_and_targets_are_forwarded_byte_for_byte() {
    let upstream = echoing_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    let target = "/a%2Fb//c;v=1/%E5%BC%A0?x=%e5%bc%a0&y=a+b&&=&q=%zz|{}";
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "BREW",
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n");
        connection.send(request).await;
        let answer = if method == "HEAD" {
            connection.read_answer_head().await
        } else {
            connection.read_answer().await
        };
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        assert_eq!(
            upstream.last_request().start_line,
            format!("{method} {target} HTTP/1.1")
        );
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn connect_and_trace_are_refused() {
    let upstream = echoing_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    for (request, statuses) in [
        (
            format!("TRACE / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
            405..406,
        ),
        (
            format!("CONNECT {UPSTREAM_HOST}:443 HTTP/1.1\r\nHost: {UPSTREAM_HOST}:443\r\n\r\n"),
            400..406,
        ),
        (
            format!("CONNECT /a HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"),
            400..406,
        ),
    ] {
        let answer = crate::wire::send(menshen.address(), request.as_bytes()).await;
        assert!(statuses.contains(&answer.status), "{request}: {answer:?}");
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn bodies_of_every_size_are_forwarded_completely_in_both_directions() {
    let upstream = echoing_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for size in [0, 1, 16 * 1024, 1 << 20, 20 << 20] {
        let body = pattern(size);
        let address = menshen.address();
        let by_length = post_request("/", "", &body);
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let by_chunks = [head.as_bytes(), &chunked(&body, 50_000)].concat();
        for (request, framing) in [
            (by_length, "content-length"),
            (by_chunks, "transfer-encoding"),
        ] {
            // A large body does not fit into the buffers, so it is sent and received concurrently.
            if size > 1 << 18 {
                connection = RawConnection::open(address).await;
                let (from, mut to) = connection.stream.into_split();
                let sending = tokio::spawn(async move {
                    tokio::io::AsyncWriteExt::write_all(&mut to, &request)
                        .await
                        .unwrap();
                    to
                });
                let mut reading = RawConnection::over(tokio::io::join(from, tokio::io::sink()));
                let answer = reading.read_answer().await;
                assert_eq!(answer.status, 200);
                assert!(answer.body == body, "{size} bytes with {framing} changed");
                sending.await.unwrap();
                connection = RawConnection::open(address).await;
            } else {
                connection.send(&request).await;
                let answer = connection.read_answer().await;
                assert_eq!(answer.status, 200);
                assert!(answer.body == body, "{size} bytes with {framing} changed");
            }
            let received = upstream.last_request();
            assert!(received.body == body, "{size} bytes with {framing} changed");
            let framings = ["content-length", "transfer-encoding"];
            let framings_used: Vec<_> = framings
                .into_iter()
                .filter(|name| received.single_header(name).is_some())
                .collect();
            // An empty chunked body may be forwarded with a length.
            if size > 0 {
                assert_eq!(framings_used, [framing]);
            } else {
                assert_eq!(framings_used.len(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_body_above_the_limit_of_the_route_is_413_and_one_at_the_limit_passes() {
    let upstream = echoing_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "limits.body_bytes_max = 1000").await;
    let by_chunks = |size| {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        [head.as_bytes(), &chunked(&pattern(size), 100)].concat()
    };
    for (request, status) in [
        (post_request("/", "", pattern(1000)), 200),
        (post_request("/", "", pattern(1001)), 413),
        (by_chunks(1000), 200),
        (by_chunks(1001), 413),
    ] {
        let answer = crate::wire::send(menshen.address(), &request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let requests = upstream.received();
    assert!(
        requests
            .iter()
            .all(|request| request.message.body.len() == 1000)
    );
    // The announced length is enough to refuse the request before the body is sent.
    let mut connection = RawConnection::open(menshen.address()).await;
    let head =
        format!("POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 99999999999\r\n\r\n");
    connection.send(head).await;
    assert_eq!(connection.read_answer().await.status, 413);
}

#[tokio::test]
async fn after_responses_without_a_body_the_connection_serves_the_next_request() {
    let upstream = Upstream::start(|request| {
        Reply::KeepAlive(match request.message.target() {
            "/204" => b"HTTP/1.1 204 No Content\r\nX-Kept: 1\r\n\r\n".to_vec(),
            "/304" => {
                b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 7\r\n\r\n".to_vec()
            }
            "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-Kept: 1\r\n\r\n".to_vec(),
            "/interim" => [
                &b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"[..],
                &ok("final"),
            ]
            .concat(),
            _ => ok("next"),
        })
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (method, target, status, body) in [
        ("GET", "/204", 204, ""),
        ("GET", "/304", 304, ""),
        ("HEAD", "/head", 200, ""),
        ("GET", "/interim", 200, "final"),
        ("GET", "/", 200, "next"),
    ] {
        connection
            .send(format!(
                "{method} {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"
            ))
            .await;
        let answer = if method == "HEAD" {
            connection.read_answer_head().await
        } else {
            connection.read_answer().await
        };
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
        match target {
            "/head" => assert_eq!(answer.header("content-length"), Some("7")),
            "/204" => assert_eq!(answer.header("x-kept"), Some("1")),
            "/304" => assert_eq!(answer.header("etag"), Some("\"a\"")),
            _ => {}
        }
    }
    // The upstream might send the body that its HEAD response announces, so the connection is not
    // reused.
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_if_the_request_is_allowed() {
    let upstream = echoing_upstream().await;
    let more =
        "[[route]]\nname = \"in\"\nhost = \"up.test\"\npath = \"/in\"\nupstream = [\"{app}\"]";
    let menshen = menshen_in_front_of(upstream.url(), more).await;
    let request_expecting_100 = |target: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nExpect: 100-continue\r\n\
             Content-Length: 5\r\n\r\n"
        )
    };
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(request_expecting_100("/")).await;
    assert_eq!(connection.read_answer_head().await.status, 100);
    connection.send("hello").await;
    let answer = connection.read_answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    // menshen handles the expectation; the upstream receives the body at once.
    assert!(upstream.last_request().header_values("expect").is_empty());

    // A request that is not allowed is refused instead.
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(request_expecting_100("/in")).await;
    assert_eq!(connection.read_answer_head().await.status, 401);
    assert_eq!(menshen.app.requests(), 0);
}

#[tokio::test]
async fn successive_requests_of_a_client_reuse_one_upstream_connection() {
    let upstream = echoing_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for _ in 0..20 {
        connection.send(get_request("/", "")).await;
        assert_eq!(connection.read_answer().await.status, 200);
    }
    // Pipelined requests are answered in order.
    let two = [post_request("/", "", "one"), post_request("/", "", "two")].concat();
    connection.send(two).await;
    assert_eq!(connection.read_answer().await.text(), "one");
    assert_eq!(connection.read_answer().await.text(), "two");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn the_413_page_says_whether_the_application_received_part_of_the_body() {
    let log = Records::process_log();
    let upstream = echoing_upstream().await;
    let menshen =
        menshen_in_front_of(upstream.url(), "[route.limits]\nbody_bytes_max = 123457").await;
    let head = format!("POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nAccept: text/html\r\n");
    let chunked_request = [
        format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes(),
        chunked(&pattern(200_000), 10_000),
    ]
    .concat();
    let sized_request = [
        format!("{head}Content-Length: 200000\r\n\r\n").into_bytes(),
        pattern(200_000),
    ]
    .concat();
    for (request, cause, words) in [
        (
            chunked_request,
            Cause::TooLargePartlySent,
            "was forwarded in part",
        ),
        (sized_request, Cause::TooLarge, "was not forwarded"),
    ] {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(&request).await;
        let answer = connection.read_answer().await;
        assert_eq!((answer.status, answer.cause()), (413, Some(cause)));
        let text = log.text();
        let mut lines = text.lines().filter(|line| line.contains("123457"));
        let is_expected = |line: &str| line.contains("WARN") && line.contains(words);
        assert!(
            lines.clone().any(is_expected),
            "{words}: {:?}",
            lines.collect::<Vec<_>>()
        );
        assert!(
            !lines.any(|line| line.contains("did not answer")),
            "{words}"
        );
    }
}
