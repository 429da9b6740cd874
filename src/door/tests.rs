//! Tests of the door over loopback sockets; time-outs are tested with a paused clock.

use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::tls::tests::Folder;
use super::*;
use crate::request::head::Peer;
use crate::telemetry::LogConfig;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const LAST: &[u8] = b"GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

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

fn open<H: Handler>(
    door: Listeners,
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
    let address = door.first_ip().unwrap_or_else(|| ([0, 0, 0, 0], 0).into());
    let serving = ServeOptions {
        trust: Arc::new(ArcSwap::from_pointee(Trust {
            networks,
            ..Trust::default()
        })),
        limits,
        telemetry: telemetry.clone(),
        shutdown: shutdown.clone(),
    };
    let served = tokio::spawn(door.serve(handler, serving));
    RunningDoor {
        address,
        shutdown,
        served,
        telemetry,
    }
}

fn plain<H: Handler>(handler: H, limits: ServerLimits) -> RunningDoor {
    open(
        Listeners::bind(&[listen_config("127.0.0.1:0")], None).unwrap(),
        handler,
        limits,
        &[],
    )
}

/// Sends the bytes; returns everything received until the connection closes.
async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset also ends the response.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn tcp(open: &RunningDoor) -> TcpStream {
    TcpStream::connect(open.address).await.unwrap()
}

/// Sends a GET and reads the whole response, which must end in `tls=false -`.
async fn once(stream: &mut TcpStream) -> String {
    stream.write_all(GET).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"tls=false -") {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn requests_are_answered_on_every_socket() {
    let folder = Folder::new();
    let path = folder.path("http.sock");
    let unix = listen_config(&format!("unix:{}", path.display()));
    let door = Listeners::bind(&[listen_config("127.0.0.1:0"), unix], None).unwrap();
    let open = open(door, describe_connection, ServerLimits::default(), &[]);
    let answer = exchange(tcp(&open).await, LAST).await;
    assert!(answer.ends_with("/a 127.0.0.1 tls=false -"), "{answer}");
    let answer = exchange(UnixStream::connect(&path).await.unwrap(), LAST).await;
    assert!(answer.ends_with("/a unix tls=false -"), "{answer}");
    open.shutdown.cancel();
    open.served.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn an_error_names_the_port_in_use() {
    let first = Listeners::bind(&[listen_config("127.0.0.1:0")], None).unwrap();
    let place = listen_config(&first.first_ip().unwrap().to_string());
    let error = Listeners::bind(std::slice::from_ref(&place), None).unwrap_err();
    assert!(matches!(&error, BindError::InUse { .. }), "{error}");
    assert!(
        error.to_string().contains(&place.address.to_string()),
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
    let file = folder.path("progress.txt");
    std::fs::write(&file, "keep me").unwrap();
    assert!(matches!(bind(&file), Err(BindError::NotASocket { .. })));
    assert_eq!(std::fs::read(&file).unwrap(), b"keep me");
}

fn behind_balancer(trusted: &[&str]) -> RunningDoor {
    let place = ListenConfig {
        proxy_protocol: true,
        ..listen_config("127.0.0.1:0")
    };
    open(
        Listeners::bind(&[place], None).unwrap(),
        describe_connection,
        ServerLimits::default(),
        trusted,
    )
}

const PROXY_V1: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 5 443\r\n";

#[tokio::test]
async fn a_trusted_balancer_names_the_client() {
    let open = behind_balancer(&["127.0.0.0/8"]);
    let answer = exchange(tcp(&open).await, &[PROXY_V1, LAST].concat()).await;
    assert!(answer.ends_with("/a 203.0.113.9 tls=false -"), "{answer}");
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x0a\x0a\0\0\x01\0\x05\x01\xbb";
    let answer = exchange(tcp(&open).await, &[v2, LAST].concat()).await;
    assert!(answer.ends_with("/a 203.0.113.10 tls=false -"), "{answer}");
    assert_eq!(
        exchange(tcp(&open).await, LAST).await,
        "",
        "a header is not optional"
    );
}

#[tokio::test]
async fn an_untrusted_peer_cannot_name_the_client() {
    let open = behind_balancer(&["10.0.0.0/8"]);
    assert_eq!(
        exchange(tcp(&open).await, &[PROXY_V1, LAST].concat()).await,
        ""
    );
    assert_eq!(exchange(tcp(&open).await, LAST).await, "");
    let unasked = plain(describe_connection, ServerLimits::default());
    let answer = exchange(tcp(&unasked).await, &[PROXY_V1, LAST].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_disconnected() {
    let folder = Folder::new();
    folder.pair("a", &["a.example"]);
    let tls = folder.config(&["a"]);
    let with_tls = open(
        Listeners::bind(&[listen_config("127.0.0.1:0")], Some(&tls)).unwrap(),
        describe_connection,
        ServerLimits::default(),
        &[],
    );
    let balanced = behind_balancer(&["127.0.0.0/8"]);
    let quiet = plain(describe_connection, ServerLimits::default());
    for (open, said, seconds) in [
        (&quiet, &b""[..], 30),
        (&quiet, b"GET / HTTP/1.1\r\nhost:", 30),
        (&with_tls, b"", 10),
        (&balanced, b"PROXY TCP4", 5),
    ] {
        let began = Instant::now();
        let stream = tcp(open).await;
        assert_eq!(exchange(stream, said).await, "");
        let took = began.elapsed().as_secs();
        assert!(
            (seconds..=seconds + 1).contains(&took),
            "{took} s instead of {seconds} s"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_its_keep_alive() {
    let open = plain(describe_connection, ServerLimits::default());
    let mut stream = tcp(&open).await;
    once(&mut stream).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    once(&mut stream).await;
    let began = Instant::now();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    let took = began.elapsed().as_secs();
    assert!((74..=76).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_response_is_not_an_idle_connection() {
    let slow = |request, connection| async {
        sleep(Duration::from_secs(600)).await;
        describe_connection(request, connection).await
    };
    let open = plain(slow, ServerLimits::default());
    assert!(
        exchange(tcp(&open).await, LAST)
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
    let open = plain(endless, ServerLimits::default());
    let mut stream = tcp(&open).await;
    stream.write_all(GET).await.unwrap();
    let began = Instant::now();
    ended.notified().await;
    assert!(
        (75..=180).contains(&began.elapsed().as_secs()),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let limits = ServerLimits {
        header_bytes_max: 10_000,
        ..ServerLimits::default()
    };
    let open = plain(describe_connection, limits);
    let of = |bytes: usize| {
        let filler = "x".repeat(bytes);
        format!("GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {filler}\r\n\r\n")
    };
    let answer = exchange(tcp(&open).await, of(9_000).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = exchange(tcp(&open).await, of(11_000).as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 431") || answer.is_empty(),
        "{answer}"
    );
}

/// A handler that reports its start, waits for a signal and responds.
fn held() -> (Arc<Notify>, Arc<Notify>, impl Handler) {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_begun, wait) = (Arc::clone(&begun), Arc::clone(&go));
    let handler = move |request, connection| {
        let (begun, go) = (Arc::clone(&tell_begun), Arc::clone(&wait));
        async move {
            begun.notify_one();
            go.notified().await;
            describe_connection(request, connection).await
        }
    };
    (begun, go, handler)
}

#[tokio::test]
async fn a_closing_door_finishes_requests_and_accepts_none() {
    let (begun, go, handler) = held();
    let open = plain(handler, ServerLimits::default());
    let silent = tcp(&open).await;
    let exchanging = tokio::spawn(exchange(tcp(&open).await, GET));
    begun.notified().await;
    open.shutdown.cancel();
    assert_eq!(
        exchange(silent, b"").await,
        "",
        "an idle connection is closed at once"
    );
    assert!(
        TcpStream::connect(open.address).await.is_err(),
        "the listener is closed"
    );
    assert!(!open.served.is_finished());
    go.notify_one();
    let answer = exchanging.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"),
        "{answer}"
    );
    open.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closing_door_waits_at_most_30_seconds() {
    let (begun, _go, handler) = held();
    let open = plain(handler, ServerLimits::default());
    let exchanging = tokio::spawn(exchange(tcp(&open).await, GET));
    begun.notified().await;
    let began = Instant::now();
    open.shutdown.cancel();
    open.served.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(exchanging.await.unwrap(), "");
}

#[tokio::test]
async fn an_idle_keep_alive_is_closed_at_once_by_a_closing_door() {
    let open = plain(describe_connection, ServerLimits::default());
    let mut stream = tcp(&open).await;
    once(&mut stream).await;
    open.shutdown.cancel();
    open.served.await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_free_slot() {
    let limits = ServerLimits {
        connections_max: 1,
        ..ServerLimits::default()
    };
    let open = plain(describe_connection, limits);
    let mut first = tcp(&open).await;
    once(&mut first).await;
    assert!(open.telemetry.render().contains("menshen_connections 1\n"));
    let mut second = tcp(&open).await;
    second.write_all(GET).await.unwrap();
    let none = timeout(Duration::from_millis(50), second.readable()).await;
    assert!(none.is_err(), "the second connection is not served");
    drop(first);
    second.readable().await.unwrap();
    assert!(open.telemetry.render().contains("menshen_connections 1\n"));
}

#[tokio::test]
async fn a_tunnel_counts_as_a_connection_and_delays_the_shutdown() {
    let (opened, tunnel) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell_opened, wait) = (Arc::clone(&opened), Arc::clone(&tunnel));
    let upgrade = move |request: Request<RequestBody>, _| {
        let (opened, end) = (Arc::clone(&tell_opened), Arc::clone(&wait));
        async move {
            tokio::spawn(async move {
                let tunnel = hyper::upgrade::on(request).await.unwrap();
                opened.notify_one();
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
    let open = plain(upgrade, ServerLimits::default());
    let upgrade = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    let exchanging = tokio::spawn(exchange(tcp(&open).await, upgrade));
    opened.notified().await;
    open.shutdown.cancel();
    tokio::task::yield_now().await;
    assert!(!open.served.is_finished());
    assert!(open.telemetry.render().contains("menshen_connections 1\n"));
    tunnel.notify_one();
    assert!(exchanging.await.unwrap().ends_with("bye"));
    open.served.await.unwrap();
}

#[tokio::test]
async fn a_redirecting_listener_only_redirects() {
    let place = ListenConfig {
        redirect_https: true,
        ..listen_config("127.0.0.1:0")
    };
    let open = open(
        Listeners::bind(&[place], None).unwrap(),
        describe_connection,
        ServerLimits::default(),
        &[],
    );
    let answer = exchange(tcp(&open).await, LAST).await;
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert!(answer.contains("location: https://a/a\r\n"), "{answer}");
}

mod over_tls {
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::*;

    async fn connect(
        open: &RunningDoor,
        name: &'static str,
        trusted: &CertificateDer<'static>,
        alpn: &[u8],
    ) -> io::Result<TlsStream<TcpStream>> {
        crate::keys::install_crypto();
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from(name).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp(open).await)
            .await
    }

    fn door(folder: &Folder, files: &[&str]) -> (RunningDoor, Arc<Tls>) {
        let config = folder.config(files);
        let door = Listeners::bind(&[listen_config("127.0.0.1:0")], Some(&config)).unwrap();
        let tls = Arc::clone(door.tls().unwrap());
        (
            open(door, describe_connection, ServerLimits::default(), &[]),
            tls,
        )
    }

    #[tokio::test]
    async fn the_server_name_chooses_the_certificate_and_is_reported_in_lower_case() {
        let folder = Folder::new();
        let (a, b) = (
            folder.pair("a", &["a.example"]),
            folder.pair("b", &["*.b.example"]),
        );
        let (open, _) = door(&folder, &["a", "b"]);
        let stream = connect(&open, "a.example", &a, b"http/1.1").await.unwrap();
        let answer = exchange(stream, LAST).await;
        assert!(
            answer.ends_with("/a 127.0.0.1 tls=true a.example"),
            "{answer}"
        );
        let stream = connect(&open, "X.B.example", &b, b"http/1.1")
            .await
            .unwrap();
        let answer = exchange(stream, LAST).await;
        assert!(
            answer.ends_with("/a 127.0.0.1 tls=true x.b.example"),
            "{answer}"
        );
        assert!(connect(&open, "a.example", &b, b"http/1.1").await.is_err());
    }

    #[tokio::test]
    async fn certificates_are_reloaded_while_the_door_is_open() {
        let folder = Folder::new();
        let old = folder.pair("a", &["a.example"]);
        let (open, tls) = door(&folder, &["a"]);
        let mut before = connect(&open, "a.example", &old, b"http/1.1")
            .await
            .unwrap();
        std::fs::write(folder.path("a.key"), "").unwrap();
        assert!(tls.reload(&folder.config(&["a"])).is_err());
        assert!(connect(&open, "a.example", &old, b"http/1.1").await.is_ok());
        let new = folder.pair("a", &["a.example"]);
        tls.reload(&folder.config(&["a"])).unwrap();
        assert!(connect(&open, "a.example", &new, b"http/1.1").await.is_ok());
        assert!(
            connect(&open, "a.example", &old, b"http/1.1")
                .await
                .is_err()
        );
        assert!(
            exchange(&mut before, LAST).await.ends_with("a.example"),
            "open connections continue"
        );
    }

    #[tokio::test]
    async fn http_2_is_negotiated_by_alpn() {
        use hyper_util::rt::TokioExecutor;

        let folder = Folder::new();
        let a = folder.pair("a", &["a.example"]);
        let (open, _) = door(&folder, &["a"]);
        let stream = connect(&open, "a.example", &a, b"h2").await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        let driven = tokio::spawn(connection);
        let request = Request::get("https://a.example/b")
            .body(body(String::new()))
            .unwrap();
        let answer = client.send_request(request).await.unwrap();
        let content = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(content, "/b 127.0.0.1 tls=true a.example");
        open.shutdown.cancel();
        open.served.await.unwrap();
        driven.await.unwrap().unwrap();
    }
}
