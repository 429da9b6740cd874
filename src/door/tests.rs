//! Tests of the listeners over loopback sockets; time-outs are tested with a paused clock.

use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::tls::tests::Folder;
use super::*;
use crate::request::head::Peer;
use crate::telemetry::LogConfig;

mod over_tls;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const GET_AND_CLOSE: &[u8] = b"GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

struct RunningDoor {
    address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
    telemetry: Telemetry,
}

fn listen_config(text: &str) -> ListenConfig {
    text.parse().unwrap()
}

fn body(text: String) -> Body {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Responds with the path, the peer, whether TLS is used, and the TLS server name.
async fn describe_connection(
    request: Request<RequestBody>,
    connection: Arc<Connection>,
) -> Response<Body> {
    let Connection {
        peer,
        tls,
        server_name,
        ..
    } = &*connection;
    let peer = match peer {
        Peer::Ip(ip) => ip.to_string(),
        Peer::Unix => "unix".to_owned(),
    };
    let name = server_name.as_deref().unwrap_or("-");
    Response::new(body(format!(
        "{} {peer} tls={tls} {name}",
        request.uri().path()
    )))
}

/// Starts serving these listeners; `trusted` are the networks of trusted proxies.
fn start<H: Handler>(
    listeners: Listeners,
    handler: H,
    limits: ServerLimits,
    trusted: &[&str],
) -> RunningDoor {
    let networks = trusted
        .iter()
        .map(|network| network.parse().unwrap())
        .collect();
    let telemetry = Telemetry::writing_to(&LogConfig::default(), Box::new(std::io::sink()));
    let shutdown = CancellationToken::new();
    // Without an IP address the tests connect to the unix socket, and do not use this one.
    let address = listeners
        .first_ip()
        .unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
    let options = ServeOptions {
        trust: Arc::new(ArcSwap::from_pointee(Trust {
            networks,
            ..Trust::default()
        })),
        limits,
        telemetry: telemetry.clone(),
        shutdown: shutdown.clone(),
    };
    let served = tokio::spawn(listeners.serve(handler, options));
    RunningDoor {
        address,
        shutdown,
        served,
        telemetry,
    }
}

/// Starts a listener without TLS.
fn start_plain<H: Handler>(handler: H, limits: ServerLimits) -> RunningDoor {
    start(
        Listeners::bind(&[listen_config("127.0.0.1:0")], None).unwrap(),
        handler,
        limits,
        &[],
    )
}

/// Sends the bytes; returns everything received until the connection closes.
async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut response = Vec::new();
    // A reset also ends the response.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

async fn connect_tcp(running: &RunningDoor) -> TcpStream {
    TcpStream::connect(running.address).await.unwrap()
}

/// Sends a GET and reads the whole response, which must end in `tls=false -`.
async fn get(stream: &mut TcpStream) -> String {
    stream.write_all(GET).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"tls=false -") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        response.push(byte[0]);
    }
    String::from_utf8(response).unwrap()
}

#[tokio::test]
async fn requests_are_answered_on_every_socket() {
    let folder = Folder::new();
    let path = folder.path("http.sock");
    let unix = listen_config(&format!("unix:{}", path.display()));
    let listeners = Listeners::bind(&[listen_config("127.0.0.1:0"), unix], None).unwrap();
    let running = start(listeners, describe_connection, ServerLimits::default(), &[]);
    let response = exchange(connect_tcp(&running).await, GET_AND_CLOSE).await;
    assert!(response.ends_with("/a 127.0.0.1 tls=false -"), "{response}");
    let response = exchange(UnixStream::connect(&path).await.unwrap(), GET_AND_CLOSE).await;
    assert!(response.ends_with("/a unix tls=false -"), "{response}");
    running.shutdown.cancel();
    running.served.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn an_error_names_the_port_in_use() {
    let first = Listeners::bind(&[listen_config("127.0.0.1:0")], None).unwrap();
    let config = listen_config(&first.first_ip().unwrap().to_string());
    let error = Listeners::bind(std::slice::from_ref(&config), None).unwrap_err();
    assert!(matches!(&error, BindError::InUse { .. }), "{error}");
    assert!(
        error.to_string().contains(&config.address.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn only_a_socket_without_a_listener_is_removed() {
    let folder = Folder::new();
    let bind =
        |path: &Path| Listeners::bind(&[listen_config(&format!("unix:{}", path.display()))], None);
    let stale = folder.path("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let living = bind(&stale).unwrap();
    assert!(matches!(bind(&stale), Err(BindError::InUse { .. })));
    assert!(stale.exists());
    drop(living);
    let file = folder.path("not-a-socket.txt");
    std::fs::write(&file, "keep me").unwrap();
    assert!(matches!(bind(&file), Err(BindError::NotASocket { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), b"keep me");
}

/// Starts a listener with `proxy_protocol`.
fn start_with_proxy_protocol(trusted: &[&str]) -> RunningDoor {
    let config = ListenConfig {
        proxy_protocol: true,
        ..listen_config("127.0.0.1:0")
    };
    start(
        Listeners::bind(&[config], None).unwrap(),
        describe_connection,
        ServerLimits::default(),
        trusted,
    )
}

const PROXY_V1: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 5 443\r\n";

#[tokio::test]
async fn a_trusted_balancer_names_the_client() {
    let running = start_with_proxy_protocol(&["127.0.0.0/8"]);
    let response = exchange(
        connect_tcp(&running).await,
        &[PROXY_V1, GET_AND_CLOSE].concat(),
    )
    .await;
    assert!(
        response.ends_with("/a 203.0.113.9 tls=false -"),
        "{response}"
    );
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x0a\x0a\0\0\x01\0\x05\x01\xbb";
    let response = exchange(connect_tcp(&running).await, &[v2, GET_AND_CLOSE].concat()).await;
    assert!(
        response.ends_with("/a 203.0.113.10 tls=false -"),
        "{response}"
    );
    assert_eq!(
        exchange(connect_tcp(&running).await, GET_AND_CLOSE).await,
        "",
        "a header is not optional"
    );
}

#[tokio::test]
async fn an_untrusted_peer_cannot_name_the_client() {
    let running = start_with_proxy_protocol(&["10.0.0.0/8"]);
    assert_eq!(
        exchange(
            connect_tcp(&running).await,
            &[PROXY_V1, GET_AND_CLOSE].concat()
        )
        .await,
        ""
    );
    assert_eq!(
        exchange(connect_tcp(&running).await, GET_AND_CLOSE).await,
        ""
    );
    let without_proxy_protocol = start_plain(describe_connection, ServerLimits::default());
    let response = exchange(
        connect_tcp(&without_proxy_protocol).await,
        &[PROXY_V1, GET_AND_CLOSE].concat(),
    )
    .await;
    assert!(response.starts_with("HTTP/1.1 400"), "{response}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_disconnected() {
    let folder = Folder::new();
    folder.create_pair("a", &["a.example"]);
    let tls = folder.config(&["a"]);
    let with_tls = start(
        Listeners::bind(&[listen_config("127.0.0.1:0")], Some(&tls)).unwrap(),
        describe_connection,
        ServerLimits::default(),
        &[],
    );
    let balanced = start_with_proxy_protocol(&["127.0.0.0/8"]);
    let quiet = start_plain(describe_connection, ServerLimits::default());
    // The time-outs of the first request, of the TLS handshake and of the PROXY header.
    for (running, sent, seconds) in [
        (&quiet, &b""[..], 30),
        (&quiet, b"GET / HTTP/1.1\r\nhost:", 30),
        (&with_tls, b"", 10),
        (&balanced, b"PROXY TCP4", 5),
    ] {
        let started_at = Instant::now();
        let stream = connect_tcp(running).await;
        assert_eq!(exchange(stream, sent).await, "");
        let took = started_at.elapsed().as_secs();
        assert!(
            (seconds..=seconds + 1).contains(&took),
            "{took} s instead of {seconds} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_its_keep_alive() {
    let running = start_plain(describe_connection, ServerLimits::default());
    let mut stream = connect_tcp(&running).await;
    get(&mut stream).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    get(&mut stream).await;
    let started_at = Instant::now();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    let took = started_at.elapsed().as_secs();
    assert!((74..=76).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_response_is_not_an_idle_connection() {
    let slow = |request, connection| async {
        sleep(Duration::from_secs(600)).await;
        describe_connection(request, connection).await
    };
    let running = start_plain(slow, ServerLimits::default());
    assert!(
        exchange(connect_tcp(&running).await, GET_AND_CLOSE)
            .await
            .ends_with("tls=false -")
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_disconnected() {
    struct Endless(Arc<Notify>);
    impl http_body::Body for Endless {
        type Data = bytes::Bytes;
        type Error = crate::request::BodyError;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            let frame = http_body::Frame::data(bytes::Bytes::from_static(&[b'x'; 64 * 1024]));
            std::task::Poll::Ready(Some(Ok(frame)))
        }
    }
    impl Drop for Endless {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let ended = Arc::new(Notify::new());
    let end = Arc::clone(&ended);
    let endless = move |_, _| {
        let endless = Endless(Arc::clone(&end));
        async { Response::new(endless.boxed_unsync()) }
    };
    let running = start_plain(endless, ServerLimits::default());
    let mut stream = connect_tcp(&running).await;
    stream.write_all(GET).await.unwrap();
    let started_at = Instant::now();
    ended.notified().await;
    // A client is slow after an interval of 60 s without reading; before that, socket buffers fill up.
    assert!(
        (75..=180).contains(&started_at.elapsed().as_secs()),
        "{:?}",
        started_at.elapsed()
    );
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let limits = ServerLimits {
        header_bytes_max: 10_000,
        ..ServerLimits::default()
    };
    let running = start_plain(describe_connection, limits);
    let request_with_filler = |bytes: usize| {
        let filler = "x".repeat(bytes);
        format!("GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {filler}\r\n\r\n")
    };
    let short = request_with_filler(9_000);
    let response = exchange(connect_tcp(&running).await, short.as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let long = request_with_filler(11_000);
    let response = exchange(connect_tcp(&running).await, long.as_bytes()).await;
    // The connection is closed while bytes arrive, and a reset may overtake the response.
    assert!(
        response.starts_with("HTTP/1.1 431") || response.is_empty(),
        "{response}"
    );
}

/// The handler notifies `has_begun`, waits for `release` and responds. Returns both and the handler.
fn waiting_handler() -> (Arc<Notify>, Arc<Notify>, impl Handler) {
    let (has_begun, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let shared = (Arc::clone(&has_begun), Arc::clone(&release));
    let handler = move |request, connection| {
        let (has_begun, release) = shared.clone();
        async move {
            has_begun.notify_one();
            release.notified().await;
            describe_connection(request, connection).await
        }
    };
    (has_begun, release, handler)
}

#[tokio::test]
async fn at_shutdown_requests_are_finished_and_no_connection_is_accepted() {
    let (has_begun, release, handler) = waiting_handler();
    let running = start_plain(handler, ServerLimits::default());
    let silent = connect_tcp(&running).await;
    let exchanging = tokio::spawn(exchange(connect_tcp(&running).await, GET));
    has_begun.notified().await;
    running.shutdown.cancel();
    assert_eq!(
        exchange(silent, b"").await,
        "",
        "an idle connection is closed at once"
    );
    assert!(
        TcpStream::connect(running.address).await.is_err(),
        "the listener is closed"
    );
    assert!(!running.served.is_finished());
    release.notify_one();
    let response = exchanging.await.unwrap();
    assert!(
        response.starts_with("HTTP/1.1 200") && response.contains("connection: close"),
        "{response}"
    );
    running.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_shutdown_requests_have_30_seconds() {
    let (has_begun, _release, handler) = waiting_handler();
    let running = start_plain(handler, ServerLimits::default());
    let exchanging = tokio::spawn(exchange(connect_tcp(&running).await, GET));
    has_begun.notified().await;
    let started_at = Instant::now();
    running.shutdown.cancel();
    running.served.await.unwrap();
    assert_eq!(started_at.elapsed().as_secs(), 30);
    assert_eq!(exchanging.await.unwrap(), "");
}

#[tokio::test]
async fn at_shutdown_an_idle_connection_is_closed_at_once() {
    let running = start_plain(describe_connection, ServerLimits::default());
    let mut stream = connect_tcp(&running).await;
    get(&mut stream).await;
    running.shutdown.cancel();
    running.served.await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_free_slot() {
    let limits = ServerLimits {
        connections_max: 1,
        ..ServerLimits::default()
    };
    let running = start_plain(describe_connection, limits);
    let mut first = connect_tcp(&running).await;
    get(&mut first).await;
    assert!(
        running
            .telemetry
            .render()
            .contains("menshen_connections 1\n")
    );
    let mut second = connect_tcp(&running).await;
    second.write_all(GET).await.unwrap();
    let none = timeout(Duration::from_millis(50), second.readable()).await;
    assert!(none.is_err(), "the second connection is not served");
    drop(first);
    second.readable().await.unwrap();
    assert!(
        running
            .telemetry
            .render()
            .contains("menshen_connections 1\n")
    );
}

#[tokio::test]
async fn a_tunnel_counts_as_a_connection_and_delays_the_shutdown() {
    let (has_opened, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let shared = (Arc::clone(&has_opened), Arc::clone(&end));
    let upgrade = move |request: Request<RequestBody>, _| {
        let (has_opened, end) = shared.clone();
        async move {
            tokio::spawn(async move {
                let tunnel = hyper::upgrade::on(request).await.unwrap();
                has_opened.notify_one();
                end.notified().await;
                TokioIo::new(tunnel).write_all(b"bye").await.unwrap();
            });
            let response = Response::builder()
                .status(101)
                .header("connection", "upgrade");
            response
                .header("upgrade", "echo")
                .body(body(String::new()))
                .unwrap()
        }
    };
    let running = start_plain(upgrade, ServerLimits::default());
    let upgrade = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    let exchanging = tokio::spawn(exchange(connect_tcp(&running).await, upgrade));
    has_opened.notified().await;
    running.shutdown.cancel();
    tokio::task::yield_now().await;
    assert!(!running.served.is_finished());
    assert!(
        running
            .telemetry
            .render()
            .contains("menshen_connections 1\n")
    );
    end.notify_one();
    assert!(exchanging.await.unwrap().ends_with("bye"));
    running.served.await.unwrap();
}

#[tokio::test]
async fn a_redirecting_listener_only_redirects() {
    let config = ListenConfig {
        redirect_https: true,
        ..listen_config("127.0.0.1:0")
    };
    let running = start(
        Listeners::bind(&[config], None).unwrap(),
        describe_connection,
        ServerLimits::default(),
        &[],
    );
    let response = exchange(connect_tcp(&running).await, GET_AND_CLOSE).await;
    assert!(response.starts_with("HTTP/1.1 308"), "{response}");
    assert!(response.contains("location: https://a/a\r\n"), "{response}");
}
