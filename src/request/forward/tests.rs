use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use http::StatusCode;
use http_body_util::{Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::request::fixture::{decided, nobody, route};
use crate::request::route::{HostHeader, Route, UpstreamUrl};

fn http(port: u16) -> UpstreamUrl {
    UpstreamUrl::Tcp {
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn forwarder(upstreams: Vec<UpstreamUrl>) -> Forwarder {
    let settings = PoolSettings::new(upstreams, Duration::from_secs(2));
    Forwarder::build(vec![settings], None).unwrap()
}

/// A route with limits that no test waits long for.
fn hasty() -> Route {
    let mut route = route();
    route.limits.response = Duration::from_millis(30);
    route.limits.idle = Duration::from_millis(30);
    route
}

fn request(method: Method, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder()
        .method(method)
        .uri("/a?b")
        .header("host", "oa.corp.example");
    request.body(Full::new(body.into())).unwrap()
}

async fn send<B>(
    forwarder: &Forwarder,
    route: Route,
    request: Request<B>,
) -> Result<Forwarded, ForwardError>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    let (parts, body) = request.into_parts();
    let (permit, onward) = decided(&Arc::new(route), nobody(), &parts, false);
    forwarder
        .forward(permit, onward, Request::from_parts(parts, body))
        .await
}

async fn text(forwarded: Result<Forwarded, ForwardError>) -> String {
    let Forwarded::Response(response) = forwarded.unwrap() else {
        panic!("it was upgraded")
    };
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A server that plays `script` on each connection; the script gets the connection's number.
async fn server<F, Fut>(script: F) -> u16
where
    F: Fn(usize, TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            number += 1;
            tokio::spawn(script(number, stream));
        }
    });
    port
}

/// Reads one head and says what it was; nothing at the end of the connection.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(read).unwrap().to_ascii_lowercase())
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Echoes request bodies with hyper.
async fn echo() -> u16 {
    server(|_, stream| async move {
        let service = service_fn(|request: Request<Incoming>| async move {
            Ok::<_, hyper::Error>(Response::new(request.into_body()))
        });
        let io = TokioIo::new(stream);
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await;
    })
    .await
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let port = server(|number, mut stream| async move {
        while let Some(head) = head(&mut stream).await {
            assert!(head.starts_with("get /a?b http/1.1\r\n"), "{head}");
            assert!(
                !head.contains("content-length") && !head.contains("connection:"),
                "{head}"
            );
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
            say(&mut stream, &text).await;
        }
    })
    .await;
    let forwarder = forwarder(vec![http(port)]);
    for _ in 0..5 {
        assert_eq!(
            text(send(&forwarder, route(), request(Method::GET, "")).await).await,
            "1"
        );
    }
}

#[tokio::test]
async fn answers_without_a_body_give_their_connection_back() {
    let port = server(|number, mut stream| async move {
        assert_eq!(number, 1);
        for answer in [
            "200 OK\r\ncontent-length: 7",
            "304 Not Modified",
            "204 No Content",
        ] {
            head(&mut stream).await;
            say(
                &mut stream,
                &format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 {answer}\r\n\r\n"),
            )
            .await;
        }
        head(&mut stream).await;
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        say(&mut stream, chunks).await;
        head(&mut stream).await;
    })
    .await;
    let forwarder = forwarder(vec![http(port)]);
    let forwarded = send(&forwarder, route(), request(Method::HEAD, ""))
        .await
        .unwrap();
    let Forwarded::Response(response) = forwarded else {
        panic!()
    };
    assert_eq!(response.headers()[CONTENT_LENGTH], "7");
    drop(response);
    for expected in ["", "", "ok"] {
        assert_eq!(
            text(send(&forwarder, route(), request(Method::GET, "")).await).await,
            expected
        );
    }
}

#[tokio::test]
async fn an_answer_that_was_not_read_is_never_followed_by_another_request() {
    let port = server(|number, mut stream| async move {
        while head(&mut stream).await.is_some() {
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{number}");
            say(&mut stream, &text).await;
        }
    })
    .await;
    let forwarder = forwarder(vec![http(port)]);
    for expected in ["1", "2"] {
        let forwarded = send(&forwarder, route(), request(Method::GET, ""))
            .await
            .unwrap();
        let Forwarded::Response(mut response) = forwarded else {
            panic!()
        };
        let piece = response
            .body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(piece, expected);
    }
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once_when_nothing_can_happen_twice() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    // Each connection answers once, reads the next request, and closes without a word.
    let port = server(move |_, mut stream| {
        let count = Arc::clone(&count);
        async move {
            head(&mut stream).await;
            count.fetch_add(1, Ordering::Relaxed);
            say(
                &mut stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            )
            .await;
            head(&mut stream).await;
        }
    })
    .await;
    let forwarder = forwarder(vec![http(port)]);
    for _ in 0..3 {
        assert_eq!(
            text(send(&forwarder, route(), request(Method::GET, "")).await).await,
            "ok"
        );
    }
    assert_eq!(served.load(Ordering::Relaxed), 3);
    let posted = send(&forwarder, route(), request(Method::POST, "x")).await;
    assert!(matches!(posted, Err(ForwardError::Broken(_))), "{posted:?}");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_waited_costs_nobody_a_request() {
    let (closed, mut told) = mpsc::channel::<()>(8);
    let port = server(move |_, mut stream| {
        let closed = closed.clone();
        async move {
            head(&mut stream).await;
            say(
                &mut stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            )
            .await;
            drop(stream);
            closed.send(()).await.unwrap();
        }
    })
    .await;
    let forwarder = forwarder(vec![http(port)]);
    for _ in 0..3 {
        let got = text(send(&forwarder, route(), request(Method::GET, "")).await).await;
        assert_eq!(got, "ok");
        told.recv().await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_slow_upstream_is_a_timeout_and_its_phase_is_named() {
    let port = server(|number, mut stream| async move {
        head(&mut stream).await;
        if number == 2 {
            say(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await;
        }
        head(&mut stream).await;
    })
    .await;
    let forwarder = forwarder(vec![http(port)]);
    let late = send(&forwarder, hasty(), request(Method::GET, "")).await;
    assert!(
        matches!(late, Err(ForwardError::Timeout(Phase::Response))),
        "{late:?}"
    );
    let forwarded = send(&forwarder, hasty(), request(Method::GET, ""))
        .await
        .unwrap();
    let Forwarded::Response(response) = forwarded else {
        panic!()
    };
    let error = response.into_body().collect().await.unwrap_err();
    let error = error.downcast_ref::<ForwardError>().unwrap();
    assert!(
        matches!(error, ForwardError::Timeout(Phase::ResponseBody)),
        "{error:?}"
    );
    let stuck = StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, BodyError>,
    >());
    let request = Request::post("/").header("host", "a").body(stuck).unwrap();
    let late = send(&forwarder, hasty(), request).await;
    assert!(
        matches!(late, Err(ForwardError::Timeout(Phase::RequestBody))),
        "{late:?}"
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_or_while_it_streams() {
    let forwarder = forwarder(vec![http(echo().await)]);
    let mut small = route();
    small.limits.body_bytes_max = 10;
    let fits = send(
        &forwarder,
        small.clone(),
        request(Method::POST, "0123456789"),
    )
    .await;
    assert_eq!(text(fits).await, "0123456789");
    let large = send(
        &forwarder,
        small.clone(),
        request(Method::POST, "0123456789a"),
    )
    .await;
    assert!(matches!(large, Err(ForwardError::TooLarge)), "{large:?}");
    let pieces = ["012345", "678", "9a"].map(|piece| Ok::<_, BodyError>(Frame::data(piece.into())));
    // The upstream answers only when it has read everything.
    let port = server(|_, mut stream| async move {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    let forwarder = self::forwarder(vec![http(port)]);
    let body = StreamBody::new(futures_util::stream::iter(pieces));
    let request = Request::post("/").header("host", "a").body(body).unwrap();
    let large = send(&forwarder, small, request).await;
    assert!(matches!(large, Err(ForwardError::TooLarge)), "{large:?}");
}

#[tokio::test]
async fn bodies_stream_both_ways_piece_by_piece() {
    let forwarder = forwarder(vec![http(echo().await)]);
    let (pieces, mut receiver) = mpsc::channel::<Bytes>(1);
    let body = StreamBody::new(futures_util::stream::poll_fn(move |cx| {
        receiver
            .poll_recv(cx)
            .map(|piece| Some(Ok::<_, BodyError>(Frame::data(piece?))))
    }));
    let request = Request::post("/").header("host", "a").body(body).unwrap();
    pieces.send("first".into()).await.unwrap();
    let forwarded = send(&forwarder, route(), request).await.unwrap();
    let Forwarded::Response(response) = forwarded else {
        panic!()
    };
    let mut body = response.into_body().into_data_stream();
    assert_eq!(body.next().await.unwrap().unwrap(), "first");
    for piece in ["second", "third"] {
        pieces.send(piece.into()).await.unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), piece);
    }
    drop(pieces);
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_large_body_comes_through_whole() {
    let forwarder = forwarder(vec![http(echo().await)]);
    let sent: String = "0123456789abcdef".repeat(1 << 15);
    let mut route = route();
    route.limits.body_bytes_max = sent.len() as u64;
    for _ in 0..3 {
        let got = send(
            &forwarder,
            route.clone(),
            request(Method::POST, sent.clone()),
        )
        .await;
        assert!(text(got).await == sent);
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_unreachable_and_its_neighbour_serves() {
    let down = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let failed = send(
        &forwarder(vec![http(down)]),
        route(),
        request(Method::GET, ""),
    )
    .await;
    assert!(
        matches!(failed, Err(ForwardError::Unreachable(_))),
        "{failed:?}"
    );
    let two = forwarder(vec![http(down), http(echo().await)]);
    for _ in 0..4 {
        assert_eq!(
            text(send(&two, route(), request(Method::POST, "x")).await).await,
            "x"
        );
    }
}

#[tokio::test]
async fn requests_beyond_the_limit_wait_and_then_are_told_so() {
    let forwarder = {
        let mut settings = PoolSettings::new(vec![http(echo().await)], Duration::from_millis(5));
        settings.connections_max = 1;
        Forwarder::build(vec![settings], None).unwrap()
    };
    let body = StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, BodyError>,
    >());
    let open = Request::post("/").header("host", "a").body(body).unwrap();
    let held = send(&forwarder, route(), open).await.unwrap();
    let busy = send(&forwarder, route(), request(Method::GET, "")).await;
    assert!(matches!(busy, Err(ForwardError::Busy)), "{busy:?}");
    drop(held);
    assert!(
        send(&forwarder, route(), request(Method::GET, ""))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_load_goes_where_the_least_is_under_way() {
    let forwarder = forwarder(vec![http(echo().await), http(echo().await)]);
    let mut held = Vec::new();
    for _ in 0..6 {
        let body = StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, BodyError>,
        >());
        let open = Request::post("/").header("host", "a").body(body).unwrap();
        held.push(send(&forwarder, route(), open).await.unwrap());
    }
    assert_eq!(forwarder.pools[0].load(), [3, 3]);
    drop(held);
    assert_eq!(forwarder.pools[0].load(), [0, 0]);
}

#[tokio::test]
async fn methods_that_would_open_or_show_things_are_never_forwarded() {
    let forwarder = forwarder(vec![http(echo().await)]);
    for method in [Method::TRACE, Method::CONNECT] {
        let refused = send(&forwarder, route(), request(method, "")).await;
        assert!(matches!(refused, Err(ForwardError::Method)), "{refused:?}");
    }
}

#[tokio::test]
async fn the_host_is_the_clients_the_upstreams_or_a_literal() {
    let port = server(|_, mut stream| async move {
        while let Some(head) = head(&mut stream).await {
            let host = head
                .lines()
                .find(|line| line.starts_with("host: "))
                .unwrap()
                .to_owned();
            let text = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{host}",
                host.len()
            );
            say(&mut stream, &text).await;
        }
    })
    .await;
    let forwarder = forwarder(vec![http(port)]);
    let literal = HostHeader::Literal(HeaderValue::from_static("app.internal"));
    for (host_header, expected) in [
        (HostHeader::Client, "oa.corp.example".to_owned()),
        (HostHeader::Upstream, format!("127.0.0.1:{port}")),
        (literal, "app.internal".to_owned()),
    ] {
        let route = Route {
            host_header,
            ..route()
        };
        let got = text(send(&forwarder, route, request(Method::GET, "")).await).await;
        assert_eq!(got, format!("host: {expected}"));
    }
}

#[tokio::test]
async fn a_pool_that_did_not_change_lives_on() {
    let (one, two) = (http(1), http(2));
    let settings = |url: &UpstreamUrl, connect_s| {
        PoolSettings::new(vec![url.clone()], Duration::from_secs(connect_s))
    };
    let old = Forwarder::build(vec![settings(&one, 1), settings(&two, 1)], None).unwrap();
    let new = Forwarder::build(vec![settings(&two, 1), settings(&one, 2)], Some(&old)).unwrap();
    assert!(Arc::ptr_eq(&old.pools[1], &new.pools[0]));
    assert!(!Arc::ptr_eq(&old.pools[0], &new.pools[1]));
}

#[tokio::test]
async fn an_https_upstream_must_prove_its_name() {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let port = server(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") {
                read.push(stream.read_u8().await.unwrap());
            }
            let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(text).await.unwrap();
            stream.flush().await.unwrap();
            let _ = stream.read_u8().await;
        }
    })
    .await;
    let ask = async |host: &str, ca_pem: Option<Vec<u8>>| {
        let url = UpstreamUrl::Tcp {
            tls: true,
            host: host.to_owned(),
            port,
        };
        let settings = PoolSettings {
            ca_pem,
            ..PoolSettings::new(vec![url], Duration::from_secs(2))
        };
        let forwarder = Forwarder::build(vec![settings], None).unwrap();
        send(&forwarder, route(), request(Method::GET, "")).await
    };
    let pem = Some(signed.cert.pem().into_bytes());
    assert_eq!(text(ask("localhost", pem.clone()).await).await, "ok");
    for (host, ca_pem) in [("127.0.0.1", pem), ("localhost", None)] {
        let refused = ask(host, ca_pem).await;
        assert!(
            matches!(refused, Err(ForwardError::Unreachable(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_unix_socket_serves_like_a_port() {
    let name = format!(
        "menshen-{:016x}.sock",
        u64::from_be_bytes(crate::keys::random())
    );
    let path = std::env::temp_dir().join(name);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(stream.read_u8().await.unwrap());
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await
            .unwrap();
    });
    let forwarder = forwarder(vec![UpstreamUrl::Unix(path.clone())]);
    let got = text(send(&forwarder, route(), request(Method::GET, "")).await).await;
    std::fs::remove_file(path).unwrap();
    serving.await.unwrap();
    assert_eq!(got, "ok");
}

/// A front that forwards every request, as the proxy face does; tunnels stop when told to.
async fn front(forwarder: Forwarder, route: Route) -> (u16, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = Arc::new(std::sync::Mutex::new(Some(stopped)));
    let forwarder = Arc::new(forwarder);
    let port = server(move |_, stream| {
        let (forwarder, route, stopped) =
            (Arc::clone(&forwarder), route.clone(), Arc::clone(&stopped));
        async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (forwarder, route) = (Arc::clone(&forwarder), route.clone());
                let stopped = Arc::clone(&stopped);
                async move {
                    match send(&forwarder, route, request).await {
                        Ok(Forwarded::Response(response)) => Ok::<_, hyper::Error>(response),
                        Ok(Forwarded::Upgraded { response, tunnel }) => {
                            let stopped = stopped.lock().unwrap().take().unwrap();
                            tokio::spawn(tunnel.run(async { drop(stopped.await) }));
                            Ok(response)
                        }
                        Err(_) => {
                            let mut response = Response::new(answer::empty());
                            *response.status_mut() = StatusCode::BAD_GATEWAY;
                            Ok(response)
                        }
                    }
                }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let _ = serving.await;
        }
    })
    .await;
    (port, stop)
}

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// An upstream that changes to `protocol`, sends `early` with it, and echoes.
async fn upgrading(protocol: &'static str, early: &'static str) -> u16 {
    server(move |_, mut stream| async move {
        let head = head(&mut stream).await.unwrap();
        assert!(head.contains("connection: upgrade\r\n"), "{head}");
        assert!(
            head.contains("sec-websocket-key: dghlihnhbxbszsbub25jzq==\r\n"),
            "{head}"
        );
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: {protocol}\r\n\
             sec-websocket-accept: x\r\n\r\n{early}"
        );
        say(&mut stream, &answer).await;
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways_until_it_is_stopped() {
    let upstream = upgrading("websocket", "\u{1}\u{2}hi").await;
    let (port, stop) = front(forwarder(vec![http(upstream)]), route()).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    say(&mut client, HANDSHAKE).await;
    let head = head(&mut client).await.unwrap();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: x\r\n") && head.contains("upgrade: websocket"));
    let mut early = [0; 4];
    client.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"\x01\x02hi");
    client.write_all(b"\x81\x03abc").await.unwrap();
    let mut back = [0; 5];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"\x81\x03abc");
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x88\x02\x03\xf0");
}

#[tokio::test]
async fn a_tunnel_that_is_stopped_within_a_frame_is_just_closed() {
    let upstream = upgrading("websocket", "\u{1}\u{9}half").await;
    let (port, stop) = front(forwarder(vec![http(upstream)]), route()).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    say(&mut client, HANDSHAKE).await;
    head(&mut client).await.unwrap();
    let mut early = [0; 6];
    client.read_exact(&mut early).await.unwrap();
    stop.send(()).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_silent_tunnel_ends_and_a_closed_one_closes_the_other_side() {
    for route in [hasty(), route()] {
        let silent = route.limits.idle < Duration::from_secs(1);
        let upstream = upgrading("websocket", "").await;
        let (port, _stop) = front(forwarder(vec![http(upstream)]), route).await;
        let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        say(&mut client, HANDSHAKE).await;
        head(&mut client).await.unwrap();
        if !silent {
            client.shutdown().await.unwrap();
        }
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    }
}

#[tokio::test]
async fn an_upgrade_nobody_asked_for_is_a_broken_answer() {
    let upstream = upgrading("h2c", "").await;
    let (port, _stop) = front(forwarder(vec![http(upstream)]), route()).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    say(&mut client, HANDSHAKE).await;
    assert!(head(&mut client).await.unwrap().starts_with("http/1.1 502"));
    let port = server(|_, mut stream| async move {
        head(&mut stream).await;
        say(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        )
        .await;
    })
    .await;
    let body = Empty::<Bytes>::new();
    let plain = Request::get("/").header("host", "a").body(body).unwrap();
    let broken = send(&forwarder(vec![http(port)]), route(), plain).await;
    assert!(matches!(broken, Err(ForwardError::Broken(_))), "{broken:?}");
}

#[tokio::test]
async fn whoever_gives_up_closes_the_upstreams_connection() {
    let (closed, told) = oneshot::channel::<()>();
    let closed = Arc::new(std::sync::Mutex::new(Some(closed)));
    let port = server(move |_, mut stream| {
        let closed = closed.lock().unwrap().take();
        async move {
            head(&mut stream).await;
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            closed.unwrap().send(()).unwrap();
        }
    })
    .await;
    let forwarder = forwarder(vec![http(port)]);
    let asking = send(&forwarder, route(), request(Method::GET, ""));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), asking)
            .await
            .is_err()
    );
    told.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_ever_gets_somebody_elses_answer() {
    let (port, _stop) = front(
        forwarder(vec![http(echo().await), http(echo().await)]),
        route(),
    )
    .await;
    let clients = (0..24).map(|client| {
        tokio::spawn(async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let io = TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            for number in 0..40 {
                let own = format!("{client}-{number};").repeat(1 + number * client * 7);
                let request = Request::post("/").header("host", "a");
                let request = request.body(Full::new(Bytes::from(own.clone()))).unwrap();
                sender.ready().await.unwrap();
                let response = sender.send_request(request).await.unwrap();
                if number == 20 + client {
                    // Left unread: neither side may reuse what it came by.
                    return;
                }
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert!(body == own.as_bytes(), "{client}-{number}");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}
