//! Request targets with bytes that browsers would encode, such as GBK, `"`, `<` and `>`: menshen encodes
//! these bytes and changes nothing else.

use tokio::io::AsyncWriteExt as _;

use super::ok_upstream;
use super::upgrades::{client_frame, open_websocket, read_frame};
use crate::frames::{Frames, HTTP2_WITHOUT_TLS, TRUST_ONLY_ANOTHER_HOST};
use crate::raw_connection::RawConnection;
use crate::records::Records;
use crate::setup::{Menshen, Setup};
use crate::upstream::{
    UPSTREAM_HOST, Upstream, get_request, menshen_in_front_of, post_request, public_route,
};

/// Targets as they are sent and as the upstream receives them.
const RAW_TARGETS: [(&[u8], &str); 14] = [
    (b"/q?query=a>1", "/q?query=a%3E1"),
    (b"/q?key=\"abc\"", "/q?key=%22abc%22"),
    (b"/q?a<b&c=%3C", "/q?a%3Cb&c=%3C"),
    (b"/<a>/`b`", "/%3Ca%3E/%60b%60"),
    (b"/\xb2\xc6\xce\xf1", "/%B2%C6%CE%F1"),
    (b"/a?\xb2\xc6=\xce\xf1&100%", "/a?%B2%C6=%CE%F1&100%"),
    (b"/Jos\xe9?{\"a\":1}", "/Jos%E9?{%22a%22:1}"),
    ("/财务?a>1".as_bytes(), "/%E8%B4%A2%E5%8A%A1?a%3E1"),
    (b"http://up.test/q?a>1", "/q?a%3E1"),
    (b"http://up.test?a>1", "/?a%3E1"),
    // These are forwarded unchanged.
    ("/财务?名=张三".as_bytes(), "/财务?名=张三"),
    (
        b"/{\"a\":[1]}|^?b={c}|[^]`\\",
        "/{\"a\":[1]}|^?b={c}|[^]`\\",
    ),
    (b"/a%2fb;c//d?%zz%", "/a%2fb;c//d?%zz%"),
    (b"/%E4%BD%A0?%3C", "/%E4%BD%A0?%3C"),
];

/// Targets that are refused: with `#`, spaces or control characters, or neither a path nor a URL.
const INVALID_TARGETS: [&[u8]; 16] = [
    b"/a#b",
    b"/a?b#c",
    b"/#",
    b"/finance/../#",
    b"/a#<\xb2",
    b"http://up.test/a#b",
    b"/a b",
    b"/a?b c",
    b"/a\tb",
    b"/a\x01b",
    b"/a?\x1f",
    b"/a\x7f",
    b"/a\0",
    b"/a\rb",
    b"http://\xb2\xc6/",
    b"a/b",
];

fn head(target: &[u8], version: &str, more: &str) -> Vec<u8> {
    let rest = format!(" HTTP/{version}\r\nHost: {UPSTREAM_HOST}\r\n{more}\r\n");
    [b"GET ", target, rest.as_bytes()].concat()
}

async fn start_upstream_and_menshen() -> (Upstream, Menshen) {
    let upstream = ok_upstream().await;
    let setup = Setup::default().access_log();
    let menshen = setup
        .routes(&public_route(upstream.url(), ""))
        .start()
        .await;
    (upstream, menshen)
}

/// Sends bytes in pieces of a size, each in its own packet.
async fn send_in_pieces(
    connection: &mut RawConnection<tokio::net::TcpStream>,
    bytes: &[u8],
    size: usize,
) {
    connection.stream.set_nodelay(true).unwrap();
    for piece in bytes.chunks(size) {
        connection.stream.write_all(piece).await.unwrap();
        connection.stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn raw_bytes_in_a_target_are_percent_encoded_where_necessary() {
    let (upstream, menshen) = start_upstream_and_menshen().await;
    for (target, expected) in RAW_TARGETS {
        for version in ["1.1", "1.0"] {
            let mut connection = RawConnection::open(menshen.address()).await;
            connection.send(head(target, version, "")).await;
            assert_eq!(connection.read_answer().await.status, 200, "{expected}");
            assert_eq!(upstream.last_request().target(), expected);
        }
    }
}

#[tokio::test]
async fn a_raw_target_is_encoded_the_same_way_in_pieces_and_between_other_requests() {
    let (upstream, menshen) = start_upstream_and_menshen().await;
    let mut sent = Vec::new();
    let mut expected = Vec::new();
    for (target, received_target) in RAW_TARGETS {
        // A body that looks like a request must not be parsed as a request.
        let text = "GET /body<> HTTP/1.1\r\n\r\nGET /body#é HTTP/1.1\r\n\r\n";
        let chunked = format!(
            "POST /chunked HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{text}\r\n0\r\n\r\n",
            text.len()
        );
        sent.extend(head(target, "1.1", ""));
        sent.extend(b"\r\n");
        sent.extend(post_request("/sized?a>1", "", text));
        sent.extend(head(target, "1.1", ""));
        sent.extend(chunked.into_bytes());
        expected.extend([
            (received_target, ""),
            ("/sized?a%3E1", text),
            (received_target, ""),
            ("/chunked", text),
        ]);
    }
    for size in [1, 2, 3, 7, 40, 1000, sent.len()] {
        let before = upstream.received().len();
        let mut connection = RawConnection::open(menshen.address()).await;
        send_in_pieces(&mut connection, &sent, size).await;
        for _ in &expected {
            assert_eq!(connection.read_answer().await.status, 200, "{size}");
        }
        let received = upstream.received();
        for (received, (target, body)) in received[before..].iter().zip(&expected) {
            assert_eq!(received.message.target(), *target, "{size}");
            assert_eq!(received.message.body, body.as_bytes(), "{size} {target}");
        }
    }
}

#[tokio::test]
async fn an_invalid_target_gets_a_page_with_a_request_id_and_a_log_line() {
    let log = Records::process_log();
    let (upstream, menshen) = start_upstream_and_menshen().await;
    for target in INVALID_TARGETS {
        for size in [1, 1000] {
            let mut connection = RawConnection::open(menshen.address()).await;
            send_in_pieces(
                &mut connection,
                &head(target, "1.1", "Accept: text/html\r\n"),
                size,
            )
            .await;
            let answer = connection.read_answer().await;
            let what = String::from_utf8_lossy(target).into_owned();
            assert_eq!(answer.status, 400, "{what:?}");
            menshen.running.live().services().telemetry.flush();
            let records = menshen.records.text();
            let access = records
                .lines()
                .rfind(|connection| connection.contains("menshen::access"))
                .unwrap_or_else(|| panic!("{what:?} has no access line"));
            let access: serde_json::Value = serde_json::from_str(access).unwrap();
            assert_eq!(access["status"], 400, "{what:?}: {access}");
            let id = access["request_id"].as_str().unwrap();
            assert!(answer.text().contains(id), "{what:?}: {}", answer.text());
            let log = log.text();
            let log_line = log.lines().find(|connection| connection.contains(id));
            assert!(
                log_line.is_some_and(|connection| connection.contains("target")),
                "{what:?}"
            );
            // The connection stays usable.
            connection.send(get_request("/next", "")).await;
            assert_eq!(connection.read_answer().await.status, 200, "{what:?}");
            assert_eq!(upstream.last_request().target(), "/next", "{what:?}");
        }
    }
    let next = upstream.received().len();
    assert_eq!(
        next,
        2 * INVALID_TARGETS.len(),
        "only the valid requests arrive"
    );
}

#[tokio::test]
async fn a_request_line_without_an_end_is_refused_when_it_is_too_long() {
    let upstream = ok_upstream().await;
    let setup = Setup::default().server("limits = { header_bytes_max = 10000 }");
    let menshen = setup
        .routes(&public_route(upstream.url(), ""))
        .start()
        .await;
    for begin in ["GET /", "GET /<", "GET /#"] {
        let mut connection = RawConnection::open(menshen.address()).await;
        let _ = connection
            .try_send(format!("{begin}{}", "a".repeat(200_000)))
            .await;
        let answer = connection.try_read_answer().await;
        let status = answer.map_or(431, |answer| answer.status);
        assert!([414, 431].contains(&status), "{begin}: {status}");
    }
    // A target below the limit may exceed it when it is encoded.
    for (count, fits) in [(1_000, true), (9_000, false)] {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection
            .send(get_request(&format!("/?{}", ">".repeat(count)), ""))
            .await;
        let answer = connection.read_answer().await;
        assert_eq!(answer.status, if fits { 200 } else { 431 }, "{count}");
    }
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn bytes_that_are_not_http_are_refused_at_once() {
    let (_upstream, menshen) = start_upstream_and_menshen().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"{\"a\":1}",
        b"(x)",
    ] {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(bytes).await;
        let answer = connection.try_read_answer().await;
        assert!(
            answer.is_none_or(|answer| answer.status == 400),
            "{bytes:?}"
        );
    }
    // A client that closes its side within the request line gets no other response.
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send("GET /a<b").await;
    connection.stream.shutdown().await.unwrap();
    assert!(
        connection
            .try_read_answer()
            .await
            .is_none_or(|answer| answer.status == 400)
    );
}

#[tokio::test]
async fn a_tunnel_forwards_bytes_that_look_like_a_request_line() {
    let menshen = menshen_in_front_of("{app}", "").await;
    let mut connection = open_websocket(&menshen, UPSTREAM_HOST, "").await;
    for data in [
        &b"GET /a<b#c HTTP/1.1\r\n\r\n"[..],
        b"GET /half",
        b"\r\n",
        b"\xb2\n",
    ] {
        connection.send(client_frame(0x82, data)).await;
        let (_, echoed) = read_frame(&mut connection).await.unwrap();
        assert_eq!(echoed, data);
    }
}

#[tokio::test]
async fn over_http_2_the_decided_target_is_forwarded_or_the_stream_is_reset() {
    let upstream = ok_upstream().await;
    let setup = Setup::default()
        .server(TRUST_ONLY_ANOTHER_HOST)
        .tables(HTTP2_WITHOUT_TLS);
    let routes = format!(
        "{}[[route]]\nname = \"in\"\nhost = \"{UPSTREAM_HOST}\"\npath = \"/in\"\nupstream = [\"{}\"]\n",
        public_route(upstream.url(), ""),
        upstream.url()
    );
    let menshen = setup.routes(&routes).start().await;
    let mut client = Frames::open(menshen.address(), 1 << 20).await;
    let mut stream = 1;
    for (path, received_target) in [
        ("/a#/in", Some("/a")),
        ("/a?b#c", Some("/a?b")),
        ("/你好?{\"a\"", None),
        ("/你好?{a}|^", Some("/你好?{a}|^")),
        ("/q?a>1", None),
        ("/<a>", None),
        ("/a b", None),
    ] {
        client.get(stream, UPSTREAM_HOST, path).await;
        match received_target {
            Some(target) => {
                assert_eq!(client.body(stream).await, b"fine", "{path}");
                assert_eq!(upstream.last_request().target(), target);
            }
            None => assert_eq!(client.body_bytes_before_reset(stream).await, 0, "{path}"),
        }
        stream += 2;
    }
    assert_eq!(upstream.received().len(), 3);
}
