//! Response smuggling: an ambiguous response is refused and never answers a later request.

use crate::raw_connection::RawConnection;
use crate::setup::Menshen;
use crate::upstream::{
    Reply, UPSTREAM_HOST, Upstream, accept, bind_listener, get_request, menshen_in_front_of, ok,
};

/// A hidden response that the next request must not receive.
const HIDDEN_RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

/// An upstream that responds to `/` correctly and to `/N` with the response number N; it never closes.
async fn numbered_upstream(responses: Vec<String>) -> (Upstream, Menshen) {
    let upstream = Upstream::start(move |request| {
        let number = request.message.target().trim_start_matches('/').parse();
        Reply::KeepAlive(number.map_or_else(
            |_| ok("fine"),
            |number: usize| responses[number].clone().into_bytes(),
        ))
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    (upstream, menshen)
}

async fn assert_next_requests_succeed(menshen: &Menshen, after: &str) {
    let mut connection = RawConnection::open(menshen.address()).await;
    for _ in 0..2 {
        connection.send(get_request("/", "")).await;
        let response = connection
            .try_read_answer()
            .await
            .map(|response| response.text());
        assert_eq!(response.as_deref(), Some("fine"), "after {after:?}");
    }
}

#[tokio::test]
async fn an_ambiguous_response_head_is_a_502_and_answers_no_later_request() {
    let long = "a".repeat(300 * 1024);
    let responses: Vec<String> = [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        "Content-Length: 0\r\nContent-Length: 3\r\n\r\nabc",
        "Content-Length: 0, 3\r\n\r\nabc",
        "Content-Length: +3\r\n\r\nabc",
        "Content-Length: 0x3\r\n\r\nabc",
        "Content-Length: 3 3\r\n\r\nabc",
        "Content-Length:\r\n\r\n",
        "Content-Length: 18446744073709551616\r\n\r\n",
        "Content-Length : 3\r\n\r\nabc",
        "X: y\r\n Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "X: a\rContent-Length: 3\r\n\r\nabc",
        "X: a\0b\r\nContent-Length: 0\r\n\r\n",
        "no header\r\nContent-Length: 0\r\n\r\n",
        &format!("X: {long}\r\n\r\n"),
        &"X: y\r\n".repeat(1001),
    ]
    .map(|response_text| format!("HTTP/1.1 200 OK\r\n{response_text}{HIDDEN_RESPONSE}"))
    .into_iter()
    .chain([
        format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN_RESPONSE}"),
        format!("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n{HIDDEN_RESPONSE}"),
        format!("HTTP/1.1 1000 OK\r\nContent-Length: 0\r\n\r\n{HIDDEN_RESPONSE}"),
        format!(
            "{}{HIDDEN_RESPONSE}",
            "HTTP/1.1 102 Processing\r\n\r\n".repeat(100)
        ),
    ])
    .collect();
    let (_upstream, menshen) = numbered_upstream(responses.clone()).await;
    for (number, response_text) in responses.iter().enumerate() {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection
            .send(get_request(&format!("/{number}"), ""))
            .await;
        let response = connection.try_read_answer().await;
        assert_eq!(
            response.map(|response| response.status),
            Some(502),
            "{response_text:.200?}"
        );
        assert_next_requests_succeed(&menshen, &response_text[..response_text.len().min(200)])
            .await;
    }
}

#[tokio::test]
async fn ambiguous_chunks_truncate_the_response_and_answer_no_later_request() {
    let long = "a".repeat(20 * 1024);
    let responses: Vec<String> = [
        "zz\r\n",
        "-1\r\nx\r\n0\r\n\r\n",
        "+1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        "1 1\r\nx\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nx",
        "1\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nxy\r\n0\r\n\r\n",
        "1;a\nb\r\nx\r\n0\r\n\r\n",
        "1;a\rb\r\nx\r\n0\r\n\r\n",
        "1\r\nx\r\n0\r\n\n",
        "1\r\nx\r\n0\r\nA: b\n\r\n",
        "1\r\nx\r\n0\r\nno header\r\n\r\n",
        "1\r\nx\r\n0\r\nA: b\r\n folded\r\n\r\n",
        &format!("1;{long}\r\nx\r\n0\r\n\r\n"),
        &format!("1\r\nx\r\n0\r\nA: {long}\r\n\r\n"),
    ]
    .map(|response_text| {
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{response_text}{HIDDEN_RESPONSE}"
        )
    })
    .into();
    let (_upstream, menshen) = numbered_upstream(responses.clone()).await;
    for (number, response_text) in responses.iter().enumerate() {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection
            .send(get_request(&format!("/{number}"), ""))
            .await;
        let whole = connection.try_read_answer().await;
        assert!(whole.is_none(), "{response_text:.200?}: {whole:?}");
        assert_next_requests_succeed(&menshen, &response_text[..response_text.len().min(200)])
            .await;
    }
}

#[tokio::test]
async fn bytes_after_a_response_never_answer_another_request() {
    let ends = [
        ("GET", "200 OK\r\nContent-Length: 2\r\n\r\nhi"),
        (
            "GET",
            "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
        ("GET", "204 No Content\r\n\r\n"),
        ("GET", "304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        ("HEAD", "200 OK\r\nContent-Length: 9\r\n\r\n"),
    ];
    for (method, response_head) in ends {
        let (upstream, menshen) =
            numbered_upstream(vec![format!("HTTP/1.1 {response_head}{HIDDEN_RESPONSE}")]).await;
        let mut connection = RawConnection::open(menshen.address()).await;
        connection
            .send(format!(
                "{method} /0 HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"
            ))
            .await;
        let head = connection.read_answer_head().await;
        assert!(head.status < 400, "{response_head:?}: {}", head.status);
        assert_next_requests_succeed(&menshen, response_head).await;
        assert_eq!(upstream.connections(), 2, "{response_head:?}");
    }
}

#[tokio::test]
async fn a_connection_whose_response_announces_an_impossible_body_is_not_reused() {
    for (method, response_head, connections) in [
        // The announced body might still arrive.
        ("HEAD", "200 OK\r\nContent-Length: 9\r\n\r\n", 2),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 2),
        ("GET", "204 No Content\r\nContent-Length: 5\r\n\r\n", 2),
        (
            "GET",
            "304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
            2,
        ),
        ("GET", "304 Not Modified\r\nContent-Length: 9\r\n\r\n", 1),
        ("GET", "204 No Content\r\n\r\n", 1),
        ("HEAD", "200 OK\r\nContent-Length: 0\r\n\r\n", 1),
    ] {
        let (upstream, menshen) =
            numbered_upstream(vec![format!("HTTP/1.1 {response_head}")]).await;
        let mut connection = RawConnection::open(menshen.address()).await;
        connection
            .send(format!(
                "{method} /0 HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"
            ))
            .await;
        let head = connection.read_answer_head().await;
        assert!(head.status < 400, "{response_head:?}: {}", head.status);
        assert_next_requests_succeed(&menshen, response_head).await;
        assert_eq!(
            upstream.connections(),
            connections,
            "{method} {response_head:?}"
        );
    }
}

#[tokio::test]
async fn a_response_that_arrives_byte_by_byte_is_forwarded_unchanged() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut client = RawConnection::open(menshen.address()).await;
    client.send(get_request("/", "")).await;
    let mut upstream = accept(&socket).await;
    upstream.read_request().await.unwrap();
    upstream.stream.set_nodelay(true).unwrap();
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3 ;a=b\r\nllo\r\n0\r\nX-Sum: 1\r\nX-Forwarded-User: boss\r\n\r\n"
            .to_owned(),
    ] {
        for byte in answer.bytes() {
            upstream.send([byte]).await;
            tokio::task::yield_now().await;
        }
        let response = client.read_answer().await;
        assert_eq!((response.status, response.text().as_str()), (200, "hello"), "{answer:?}");
        assert!(response.header_values("content-length").count() <= 1, "{answer:?}");
        assert_eq!(response.header("x-forwarded-user"), None);
        client.send(get_request("/", "")).await;
        // Each response was read to its end, so the connection is reused.
        upstream.read_request().await.unwrap();
    }
}

#[tokio::test]
async fn an_http_1_0_response_ends_with_its_connection() {
    let upstream = Upstream::start(|request| match request.message.target() {
        "/close" => Reply::Close(b"HTTP/1.0 200 OK\r\n\r\nto the end".to_vec()),
        "/kept" => Reply::KeepAlive(
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nkept".to_vec(),
        ),
        _ => Reply::KeepAlive(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nplain".to_vec()),
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for (target, text, connections) in [
        ("/kept", "kept", 1),
        ("/kept", "kept", 1),
        ("/plain", "plain", 1),
        ("/plain", "plain", 2),
        ("/close", "to the end", 3),
        ("/kept", "kept", 4),
    ] {
        connection.send(get_request(target, "")).await;
        assert_eq!(connection.read_answer().await.text(), text, "{target}");
        assert_eq!(upstream.connections(), connections, "{target}");
    }
}

#[tokio::test]
async fn a_connection_with_an_incomplete_request_is_never_reused() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut client = RawConnection::open(menshen.address()).await;
    let half =
        format!("POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: 100\r\n\r\nhalf");
    client.send(half).await;
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    upstream
        .send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        .await;
    let response = client.read_answer_head().await;
    assert_eq!(response.status, 413);
    let mut other = RawConnection::open(menshen.address()).await;
    other.send(get_request("/other", "")).await;
    let mut second_connection = accept(&socket).await;
    assert_eq!(
        second_connection.read_request().await.unwrap().target(),
        "/other"
    );
    second_connection.send(ok("fine")).await;
    assert_eq!(other.read_answer().await.text(), "fine");
}

#[tokio::test]
async fn an_upgrade_before_the_end_of_the_request_is_a_502() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut client = RawConnection::open(menshen.address()).await;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nConnection: upgrade\r\nUpgrade: chat\r\n\
             Content-Length: 100\r\n\r\nhalf"
        ))
        .await;
    let mut upstream = accept(&socket).await;
    upstream.read_head().await.unwrap();
    upstream
        .send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
        .await;
    assert_eq!(client.read_answer_head().await.status, 502);
    // No bytes of the request are sent as the new protocol.
    assert!(!upstream.read_to_end().await.starts_with(b"GET"));
}

#[tokio::test]
async fn an_aborted_request_body_never_looks_complete_to_the_upstream() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    for (framing, sent) in [
        ("Content-Length: 100", "half"),
        ("Transfer-Encoding: chunked", "4\r\nhalf\r\n"),
        ("Transfer-Encoding: chunked", "4\r\nhalf\r\nzz\r\n"),
    ] {
        let mut client = RawConnection::open(menshen.address()).await;
        client
            .send(format!(
                "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{framing}\r\n\r\n{sent}"
            ))
            .await;
        let mut upstream = accept(&socket).await;
        upstream.read_head().await.unwrap();
        drop(client);
        let rest = upstream.read_to_end().await;
        assert!(
            !rest.ends_with(b"0\r\n\r\n") && rest.len() < 100,
            "{framing}: {rest:?}"
        );
    }
}
