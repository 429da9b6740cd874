//! Upgrades of a connection to WebSocket or another protocol, and refused upgrades.

use tokio::net::TcpStream;

use super::ok_upstream;
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, SSO_URL};
use crate::upstream::{
    Reply, UPSTREAM_HOST, Upstream, accept, bind_listener, get_request, menshen_in_front_of,
};

const WEBSOCKET_HEADERS: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A masked WebSocket frame of a client (RFC 6455 5.2).
pub(crate) fn client_frame(first_byte: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![first_byte];
    match data.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        middle => {
            frame.push(0x80 | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(
        data.iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// Reads a frame of a server: its first byte and its data.
pub(crate) async fn read_frame(connection: &mut RawConnection<TcpStream>) -> Option<(u8, Vec<u8>)> {
    let head = connection.read_bytes(2).await?;
    let length = match head[1] {
        126 => {
            let length = connection.read_bytes(2).await?;
            usize::from(u16::from_be_bytes([length[0], length[1]]))
        }
        short => usize::from(short),
    };
    Some((head[0], connection.read_bytes(length).await?))
}

/// Opens a WebSocket through menshen.
pub(crate) async fn open_websocket(
    menshen: &Menshen,
    host: &str,
    headers: &str,
) -> RawConnection<TcpStream> {
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\n{headers}{WEBSOCKET_HEADERS}\r\n"
        ))
        .await;
    let answer = connection.read_answer_head().await;
    assert_eq!(answer.status, 101, "{answer:?}");
    assert_eq!(
        answer.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(
        answer
            .header("connection")
            .map(str::to_lowercase)
            .as_deref(),
        Some("upgrade")
    );
    connection
}

#[tokio::test]
async fn websocket_frames_are_forwarded_in_both_directions() {
    let menshen = menshen_in_front_of("{app}", "").await;
    let mut connection = open_websocket(&menshen, UPSTREAM_HOST, "").await;
    let long = vec![b'x'; 60_000];
    for (first_byte, data) in [
        (0x81, "你好".as_bytes()),
        (0x82, &long[..]),
        (0x01, b"first half"),
        (0x80, b"second half"),
        (0x89, b"ping"),
        (0x82, b""),
    ] {
        connection.send(client_frame(first_byte, data)).await;
        let expected = if first_byte == 0x89 { 0x8a } else { first_byte };
        assert_eq!(
            read_frame(&mut connection).await,
            Some((expected, data.to_vec()))
        );
    }
    // A frame in pieces of one byte, and many frames at once.
    for byte in client_frame(0x81, b"slow") {
        connection.send([byte]).await;
    }
    assert_eq!(
        read_frame(&mut connection).await,
        Some((0x81, b"slow".to_vec()))
    );
    connection
        .send(
            (0..100)
                .flat_map(|_| client_frame(0x81, b"many"))
                .collect::<Vec<_>>(),
        )
        .await;
    for _ in 0..100 {
        assert_eq!(
            read_frame(&mut connection).await,
            Some((0x81, b"many".to_vec()))
        );
    }
    connection.send(client_frame(0x88, &[0x03, 0xe8])).await;
    assert_eq!(
        read_frame(&mut connection).await,
        Some((0x88, vec![0x03, 0xe8]))
    );
    assert!(connection.read_to_end().await.is_empty());
}

#[tokio::test]
async fn an_anonymous_websocket_is_refused_before_it_reaches_the_upstream() {
    let menshen = Menshen::new().await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(format!(
            "GET /ws HTTP/1.1\r\nHost: sso.test\r\n{WEBSOCKET_HEADERS}\r\n"
        ))
        .await;
    assert_eq!(connection.read_answer().await.status, 401);
    assert_eq!(menshen.app.requests(), 0);
    let mut browser = crate::browser::Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let cookie = browser.cookie("menshen").unwrap();
    let headers = format!("Cookie: menshen={}\r\n", cookie.value);
    let mut connection = open_websocket(&menshen, "sso.test", &headers).await;
    connection.send(client_frame(0x81, b"in")).await;
    assert_eq!(
        read_frame(&mut connection).await,
        Some((0x81, b"in".to_vec()))
    );
}

#[tokio::test]
async fn any_protocol_is_forwarded_when_both_sides_name_it() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    let headers = "Connection: upgrade\r\nUpgrade: chat/2\r\n";
    // Bytes that follow the request belong to the new protocol.
    connection
        .send(format!("{}early", get_request("/", headers)))
        .await;
    let mut upstream = accept(&socket).await;
    let requested = upstream.read_request().await.unwrap();
    assert_eq!(requested.single_header("upgrade"), Some("chat/2"));
    assert_eq!(
        requested
            .single_header("connection")
            .map(str::to_lowercase)
            .as_deref(),
        Some("upgrade")
    );
    upstream
        .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\nhello")
        .await;
    assert_eq!(connection.read_answer_head().await.status, 101);
    assert_eq!(connection.read_bytes(5).await.unwrap(), b"hello");
    assert_eq!(upstream.read_bytes(5).await.unwrap(), b"early");
    upstream.send([0, 1, 2, 255]).await;
    assert_eq!(connection.read_bytes(4).await.unwrap(), [0, 1, 2, 255]);
    // Each side may close its own direction.
    tokio::io::AsyncWriteExt::shutdown(&mut connection.stream)
        .await
        .unwrap();
    assert!(upstream.read_to_end().await.is_empty());
    upstream.send("still here").await;
    drop(upstream);
    assert_eq!(connection.read_to_end().await, b"still here");
}

#[tokio::test]
async fn an_unrequested_upgrade_is_a_502() {
    for (requested, response_headers) in [
        ("", "Connection: upgrade\r\nUpgrade: websocket\r\n"),
        (
            WEBSOCKET_HEADERS,
            "Connection: upgrade\r\nUpgrade: chat\r\n",
        ),
        (WEBSOCKET_HEADERS, "Connection: upgrade\r\n"),
        // menshen does not forward this upgrade, so the upstream was not asked.
        (
            "Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n",
            "Upgrade: h2c\r\n",
        ),
    ] {
        let upstream = Upstream::start(move |_| {
            let answer =
                format!("HTTP/1.1 101 Switching Protocols\r\n{response_headers}\r\nGET /poison");
            Reply::KeepAlive(answer.into_bytes())
        })
        .await;
        let menshen = menshen_in_front_of(upstream.url(), "").await;
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request("/", requested)).await;
        assert_eq!(
            connection.read_answer().await.status,
            502,
            "{requested:?} {response_headers:?}"
        );
    }
}

#[tokio::test]
async fn an_upgrade_to_http_2_or_tls_is_never_requested() {
    let upstream = ok_upstream().await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    for headers in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "Connection: upgrade\r\nUpgrade: H2C\r\n",
        "Connection: upgrade\r\nUpgrade: HTTP/1.1\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request("/", headers)).await;
        assert_eq!(connection.read_answer().await.status, 200, "{headers:?}");
        let received = upstream.last_request();
        assert!(
            received.header_values("upgrade").is_empty(),
            "{headers:?}: {received:?}"
        );
        assert!(
            received.header_values("http2-settings").is_empty(),
            "{headers:?}: {received:?}"
        );
    }
}

#[tokio::test]
async fn an_upstream_may_refuse_an_upgrade() {
    let menshen = menshen_in_front_of("{app}", "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    // The application requires a WebSocket key, which this request does not have.
    connection
        .send(format!(
            "GET /ws HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        ))
        .await;
    let answer = connection.read_answer().await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (426, "WebSocket only\n")
    );
    // The connection stays usable for HTTP.
    connection
        .send(format!(
            "GET /echo HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n\r\n"
        ))
        .await;
    assert_eq!(connection.read_answer().await.status, 200);
}

#[tokio::test]
async fn an_idle_tunnel_ends_after_the_idle_limit_of_the_route() {
    let menshen = menshen_in_front_of("{app}", "limits.idle = \"200ms\"").await;
    let mut connection = open_websocket(&menshen, UPSTREAM_HOST, "").await;
    connection.send(client_frame(0x81, b"here")).await;
    assert_eq!(
        read_frame(&mut connection).await,
        Some((0x81, b"here".to_vec()))
    );
    assert!(connection.read_to_end().await.is_empty());
}
