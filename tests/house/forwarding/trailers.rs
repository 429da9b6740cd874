//! Trailers are forwarded in both directions, except those whose names menshen protects.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;

use super::tls_setup::{TlsSetup, get_over_http_2, send_over_http_2};
use crate::raw_connection::RawConnection;
use crate::setup::Setup;
use crate::upstream::{
    Reply, UPSTREAM_HOST, Upstream, accept, bind_listener, get_request, menshen_in_front_of, ok,
    public_route,
};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
    Trailer: X-Sum, X-Forwarded-User, Set-Cookie\r\nTrailer: Content-Length, Server-Timing\r\n\r\n\
    2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-Forwarded-User: boss\r\nX_Auth-Request-User: boss\r\n\
    Set-Cookie: a=1\r\nContent-Length: 9\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\
    Server-Timing: db\r\n\r\n";

/// Names that must not be forwarded as trailers.
const FORBIDDEN: [&str; 12] = [
    "x-forwarded-user",
    "x_forwarded_user",
    "x-auth-request-user",
    "x-remote-user",
    "x-forwarded-for",
    "cookie",
    "set-cookie",
    "authorization",
    "content-length",
    "transfer-encoding",
    "connection",
    "host",
];

/// Reads a chunked body to its end and returns the lines after the last chunk.
async fn trailer_lines<S>(connection: &mut RawConnection<S>) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.extend(
            connection
                .read_bytes(1)
                .await
                .expect("the end of the chunks arrives"),
        );
    }
    let text = String::from_utf8(read).unwrap();
    let (_, trailers) = text.split_once("0\r\n").expect("a last chunk");
    trailers.to_ascii_lowercase()
}

#[tokio::test]
async fn response_trailers_reach_http_1_clients_that_accept_them() {
    let upstream = Upstream::start(|_| Reply::KeepAlive(ANSWER.as_bytes().to_vec())).await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection
        .send(get_request("/", "TE: trailers\r\nConnection: te\r\n"))
        .await;
    let head = connection.read_answer_head().await;
    let announced: Vec<_> = head.header_values("trailer").collect();
    assert_eq!(
        announced.join(", ").to_ascii_lowercase(),
        "x-sum, server-timing"
    );
    let trailers = trailer_lines(&mut connection).await;
    assert!(trailers.contains("x-sum: 1\r\n"), "{trailers}");
    assert!(trailers.contains("server-timing: db\r\n"), "{trailers}");
    for name in FORBIDDEN {
        assert!(
            !trailers.contains(&format!("{name}:")),
            "{name} in {trailers}"
        );
    }
    // A client that does not accept trailers gets none, and the connection stays usable.
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.text(), "hi");
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.text(), "hi");
}

#[tokio::test]
async fn response_trailers_reach_http_2_clients() {
    let upstream = Upstream::start(|_| Reply::KeepAlive(ANSWER.as_bytes().to_vec())).await;
    let setup = TlsSetup::start(upstream.url(), "").await;
    let response = get_over_http_2(&mut setup.connect_http_2().await, "/").await;
    assert_eq!(
        (response.body.as_slice(), response.is_complete),
        (&b"hi"[..], true)
    );
    let names: Vec<_> = response.trailers.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["x-sum", "server-timing"], "{:?}", response.trailers);
}

#[tokio::test]
async fn request_trailers_reach_the_upstream_except_those_with_protected_names() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let routes = public_route(&url, "headers = { X-Remote-User = \"'nobody'\" }");
    let menshen = Setup::default().routes(&routes).start().await;
    let mut client = RawConnection::open(menshen.address()).await;
    let forbidden: String = FORBIDDEN.map(|name| format!("{name}: boss\r\n")).concat();
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Sum, X-Forwarded-User, Authorization\r\n\r\n\
             2\r\nhi\r\n0\r\nX-Sum: 1\r\nServer-Timing: a\r\n{forbidden}\r\n"
        ))
        .await;
    let mut upstream = accept(&socket).await;
    let head = upstream.read_head().await.unwrap();
    assert_eq!(
        head.single_header("trailer")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("x-sum")
    );
    assert_eq!(head.header_values("x-forwarded-user"), Vec::<&str>::new());
    let trailers = trailer_lines(&mut upstream).await;
    assert_eq!(trailers, "x-sum: 1\r\nserver-timing: a\r\n\r\n");
    upstream.send(ok("fine")).await;
    assert_eq!(client.read_answer().await.text(), "fine");
    // The connection is reused.
    client.send(get_request("/next", "")).await;
    assert_eq!(upstream.read_request().await.unwrap().target(), "/next");
}

#[tokio::test]
async fn http_2_request_trailers_reach_the_upstream() {
    let socket = bind_listener().await;
    let url = format!("http://{}", socket.local_addr().unwrap());
    let setup = TlsSetup::start(&url, "").await;
    let mut client = setup.connect_http_2().await;
    let mut trailers = HeaderMap::new();
    for (name, value) in [
        ("x-sum", "1"),
        ("x-forwarded-user", "boss"),
        ("cookie", "a=1"),
    ] {
        trailers.insert(name, HeaderValue::from_static(value));
    }
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"hi"))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let request = Request::post(format!("https://{UPSTREAM_HOST}/"))
        .body(body)
        .unwrap();
    let asking = tokio::spawn(async move { send_over_http_2(&mut client, request).await });
    let mut upstream = accept(&socket).await;
    let head = upstream.read_head().await.unwrap();
    assert_eq!(head.single_header("transfer-encoding"), Some("chunked"));
    assert_eq!(trailer_lines(&mut upstream).await, "x-sum: 1\r\n\r\n");
    upstream.send(ok("fine")).await;
    assert_eq!(asking.await.unwrap().body, b"fine");
}

#[tokio::test]
async fn a_body_of_known_length_announces_no_trailers() {
    let upstream = Upstream::start(|_| {
        Reply::KeepAlive(
            b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nhi".to_vec(),
        )
    })
    .await;
    let setup = TlsSetup::start(upstream.url(), "").await;
    let mut client = setup.connect_http_2().await;
    let body = Full::new(Bytes::from_static(b"hi")).boxed_unsync();
    let request = Request::post(format!("https://{UPSTREAM_HOST}/")).header("trailer", "x-sum");
    let response = send_over_http_2(&mut client, request.body(body).unwrap()).await;
    assert!(
        response.headers.get("trailer").is_none(),
        "{:?}",
        response.headers
    );
    assert!(upstream.last_request().header_values("trailer").is_empty());
}
