//! A request with an ambiguous body length is refused and closes its connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::ok_upstream;
use super::tls_setup::TlsSetup;
use crate::raw_connection::{RawConnection, TEST_TIMEOUT};
use crate::setup::{Menshen, Setup};
use crate::upstream::{UPSTREAM_HOST, Upstream, get_request, public_route};
use crate::wire::Answer;

/// Header lines that servers interpret differently, or that some do not support.
const AMBIGUOUS_LINES: [&str; 25] = [
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: chunked,chunked\r\n",
    "Transfer-Encoding: chunked,\r\n",
    "Transfer-Encoding: , chunked\r\n",
    "Transfer-Encoding: ,\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: chunked\t\r\n",
    "Transfer-Encoding: \u{b}chunked\r\n",
    "Transfer-Encoding: gzip,\tchunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nX: y\r\ntransfer-encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 0\r\nX: y\r\nTransfer-Encoding: chunked\r\n",
    "transfer-encoding: chunked\r\nX: y\r\nCONTENT-LENGTH: 0\r\n",
    "Transfer-Encoding: chunked\n",
];

/// The bytes after each head: a body, and a request that must not be answered.
const BODY_AND_HIDDEN_REQUEST: &str =
    "5\r\nhello\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: up.test\r\n\r\n";

async fn start_menshen(upstream: &Upstream) -> Menshen {
    let setup = Setup::default().server("trusted_proxies = [\"127.0.0.1\"]");
    setup
        .routes(&public_route(upstream.url(), ""))
        .start()
        .await
}

/// All responses until the connection is closed.
async fn answers(connection: &mut RawConnection<tokio::net::TcpStream>) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(answer) = connection.try_read_answer().await {
        answers.push(answer);
    }
    answers
}

/// The start of a request for an application, for own pages, and for each check.
fn request_heads() -> [String; 7] {
    let original_request = "X-Forwarded-Uri: /\r\nX-Forwarded-Host: up.test\r\nX-Forwarded-Proto: http\r\n\
                X-Forwarded-Method: GET\r\nX-Original-Method: GET\r\n";
    [
        ("POST", "/", ""),
        ("GET", "/", ""),
        (
            "POST",
            "/.menshen/login/corp",
            "Content-Type: application/json\r\n",
        ),
        ("POST", "/.menshen/callback/corp", ""),
        ("GET", "/.menshen/auth", original_request),
        ("GET", "/.menshen/forward-auth", original_request),
        ("POST", "/.menshen/ext_authz/", original_request),
    ]
    .map(|(method, path, more)| {
        format!("{method} {path} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{more}")
    })
}

#[tokio::test]
async fn any_transfer_encoding_but_a_single_chunked_is_refused_and_closes_the_connection() {
    let upstream = ok_upstream().await;
    let menshen = start_menshen(&upstream).await;
    for head in request_heads() {
        for lines in AMBIGUOUS_LINES {
            let mut connection = RawConnection::open(menshen.address()).await;
            let _ = connection
                .try_send(format!("{head}{lines}\r\n{BODY_AND_HIDDEN_REQUEST}"))
                .await;
            let answers = answers(&mut connection).await;
            assert_eq!(answers.len(), 1, "{head:?} {lines:?}: {answers:?}");
            assert_eq!(answers[0].status, 400, "{head:?} {lines:?}");
        }
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
}

/// Sends these requests and `last`, at once or each after the answer to the one before, and returns the
/// answers to all but `last`.
async fn send_all(
    connection: &mut RawConnection<tokio::net::TcpStream>,
    previous: &[&String],
    last: &str,
    at_once: bool,
) -> Vec<Answer> {
    let mut served = Vec::new();
    if at_once {
        let all: String = previous.iter().map(|text| text.as_str()).collect();
        connection.send(all + last).await;
    } else {
        for request in previous {
            connection.send(request).await;
            served.push(connection.read_answer().await);
        }
        // menshen may have closed the connection already.
        let _ = connection.try_send(last).await;
    }
    while served.len() < previous.len() {
        served.push(connection.read_answer().await);
    }
    served
}

#[tokio::test]
async fn later_requests_on_a_connection_are_checked_like_the_first() {
    let upstream = ok_upstream().await;
    let menshen = start_menshen(&upstream).await;
    let chunked = format!(
        "POST /one HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;a=b\r\none\r\n0\r\nContent-Length: 9\r\n\r\n"
    );
    // A body that looks like a head must not be parsed as a head.
    let text = "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n";
    let length = text.len();
    let sized = format!(
        "POST /one HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nContent-Length: {length}\r\n\r\n{text}"
    );
    let plain = get_request("/one", "");
    for previous in [
        vec![&plain],
        vec![&chunked],
        vec![&sized],
        vec![&plain, &plain, &sized, &chunked, &plain, &chunked],
    ] {
        for lines in ["Transfer-Encoding: chunked\r\n"]
            .iter()
            .chain(&AMBIGUOUS_LINES)
        {
            let last = format!(
                "POST /last HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{lines}\r\n{BODY_AND_HIDDEN_REQUEST}"
            );
            for at_once in [false, true] {
                let received_before = upstream.received().len();
                let mut connection = RawConnection::open(menshen.address()).await;
                let served = send_all(&mut connection, &previous, &last, at_once).await;
                assert!(
                    served.iter().all(|answer| answer.status == 200),
                    "{served:?}"
                );
                let last_answer = connection.read_answer().await;
                let is_valid = *lines == "Transfer-Encoding: chunked\r\n";
                assert_eq!(
                    last_answer.status,
                    if is_valid { 200 } else { 400 },
                    "{lines:?}"
                );
                if is_valid {
                    assert_eq!(
                        upstream.received()[received_before + previous.len()]
                            .message
                            .body,
                        b"hello"
                    );
                    assert_eq!(connection.read_answer().await.status, 200);
                } else {
                    assert!(connection.try_read_answer().await.is_none(), "{lines:?}");
                    assert_eq!(
                        upstream.received().len(),
                        received_before + previous.len(),
                        "{lines:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_arrives_byte_by_byte_is_checked_as_a_whole() {
    let upstream = ok_upstream().await;
    let menshen = start_menshen(&upstream).await;
    let lines = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let request =
        format!("POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{lines}\r\n{BODY_AND_HIDDEN_REQUEST}");
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.stream.set_nodelay(true).unwrap();
    for byte in request.bytes() {
        if connection.try_send([byte]).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(connection.read_answer().await.status, 400);
    assert!(connection.try_read_answer().await.is_none());
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_single_chunked_is_forwarded_in_any_letter_case() {
    let upstream = ok_upstream().await;
    let menshen = start_menshen(&upstream).await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for coding in ["chunked", "Chunked", " CHUNKED ", "chunked"] {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nTransfer-Encoding: {coding}\r\n\r\n"
        );
        connection
            .send(format!("{head}5\r\nhello\r\n0\r\n\r\n"))
            .await;
        assert_eq!(connection.read_answer().await.status, 200, "{coding:?}");
        assert_eq!(upstream.last_request().body, b"hello");
    }
}

/// Sends a request over HTTP/2 as raw frames (RFC 9113). Returns whether it got a response; if not, the
/// stream was reset or the connection was closed.
async fn is_answered_over_http_2(setup: &TlsSetup, fields: &[(&str, &str)]) -> bool {
    let mut stream = setup.connect(b"h2").await;
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", UPSTREAM_HOST),
        (":path", "/"),
    ];
    let mut block = Vec::new();
    for (name, value) in pseudo.iter().chain(fields) {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let bytes = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, b""),
        frame(1, 5, 1, &block),
    ];
    stream.write_all(&bytes.concat()).await.unwrap();
    let reading = async {
        loop {
            let mut head = [0; 9];
            if stream.read_exact(&mut head).await.is_err() {
                return false;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            match (head[3], head[8]) {
                (1, 1) => return true,
                (3, 1) | (7, _) => return false,
                _ => {}
            }
        }
    };
    timeout(TEST_TIMEOUT, reading)
        .await
        .expect("menshen responds")
}

#[tokio::test]
async fn http_2_requests_with_connection_specific_headers_are_refused() {
    let upstream = ok_upstream().await;
    let setup = TlsSetup::start(upstream.url(), "").await;
    for field in [
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("connection", "close"),
        ("connection", "x-forwarded-user"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("Transfer-Encoding", "chunked"),
    ] {
        assert!(
            !is_answered_over_http_2(&setup, &[field]).await,
            "{field:?}"
        );
        assert!(upstream.received().is_empty(), "{field:?}");
    }
    for fields in [&[][..], &[("te", "trailers")], &[("x-plain", "yes")]] {
        assert!(is_answered_over_http_2(&setup, fields).await, "{fields:?}");
    }
    assert_eq!(upstream.received().len(), 3);
}
