//! Listeners: unix sockets, PROXY headers, redirects to https, limits and draining.

use std::net::SocketAddr;

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::run::Running;
use tokio::net::UnixStream;

use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, Setup};
use crate::upstream::{
    Reply, TempFolder, UPSTREAM_HOST, Upstream, accept, bind_listener, get_request,
    menshen_in_front_of, ok, public_route, wait_until,
};
use crate::wire;

mod client_limits;
mod early;
mod resets;
mod secure;
mod slow_clients;

/// An upstream that never responds to `/hang`, and responds `fine` to every other path.
async fn upstream_with_hanging_path() -> Upstream {
    Upstream::start(|request| match request.message.target() {
        "/hang" => Reply::HoldOpen(Vec::new()),
        _ => Reply::KeepAlive(ok("fine")),
    })
    .await
}

/// The configuration text of a setup, with another `listen`.
fn config_text(menshen: &Menshen, setup: &Setup, listen: &str) -> String {
    let text = setup.text(&menshen.wecom, &menshen.app);
    text.replace(
        "listen = [\"127.0.0.1:0\"]",
        &format!("listen = [{listen}]"),
    )
}

/// Starts another instance with the same WeCom and upstream, and another `listen`.
pub(crate) async fn start_second_instance(
    menshen: &Menshen,
    setup: &Setup,
    listen: &str,
) -> Running {
    let config = Config::parse(&config_text(menshen, setup, listen), "test.toml").unwrap();
    let started = menshen::run::start(config, menshen.clock.clone()).await;
    started.expect("menshen starts")
}

async fn get_ok(address: SocketAddr, bytes: &[u8]) -> wire::Answer {
    let answer = wire::send(address, bytes).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

pub(crate) fn echo_setup() -> Setup {
    Setup::default().routes(&public_route("{app}", ""))
}

#[tokio::test]
async fn a_unix_socket_is_a_peer_without_an_address() {
    let folder = TempFolder::new();
    let path = folder.path("http.sock");
    let menshen = Menshen::new().await;
    for (trusted, client) in [
        ("", "127.0.0.1"),
        ("trusted_proxies = [\"unix\"]", "203.0.113.9"),
    ] {
        let setup = echo_setup().server(trusted);
        let listen = format!("\"127.0.0.1:0\", \"unix:{}\"", path.display());
        let running = start_second_instance(&menshen, &setup, &listen).await;
        let mut connection = RawConnection::over(UnixStream::connect(&path).await.unwrap());
        connection
            .send(get_request("/echo", "X-Forwarded-For: 203.0.113.9\r\n"))
            .await;
        let answer = connection.read_answer().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.echoed("x-real-ip"), [client], "{trusted}");
        drop(connection);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_proxy_header_of_a_trusted_load_balancer_names_the_client() {
    let menshen = Menshen::new().await;
    let listen = "{ address = \"127.0.0.1:0\", proxy_protocol = true }";
    let request = get_request("/echo", "");
    let v1 = format!("PROXY TCP4 203.0.113.9 10.0.0.1 52953 443\r\n{request}");
    let mut v2 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x0a\0\0\x01\xce\xd9\x01\xbb".to_vec();
    v2.extend_from_slice(request.as_bytes());
    let setup = echo_setup().server("trusted_proxies = [\"127.0.0.0/8\"]");
    let running = start_second_instance(&menshen, &setup, listen).await;
    for bytes in [v1.as_bytes(), &v2] {
        let answer = get_ok(running.addresses()[0], bytes).await;
        assert_eq!(answer.echoed("x-forwarded-for"), ["203.0.113.9"]);
        assert_eq!(answer.echoed("x-real-ip"), ["203.0.113.9"]);
    }
    // A request without the header is refused.
    let bare = wire::try_send(running.addresses()[0], request.as_bytes()).await;
    assert!(bare.is_none(), "{bare:?}");

    // From an untrusted peer the header is refused.
    let running = start_second_instance(&menshen, &echo_setup(), listen).await;
    for bytes in [v1.as_bytes(), &v2] {
        let answer = wire::try_send(running.addresses()[0], bytes).await;
        assert!(answer.is_none(), "{answer:?}");
    }
    // On a listener without `proxy_protocol` the header is a malformed request.
    let running = start_second_instance(&menshen, &setup, "\"127.0.0.1:0\"").await;
    assert_eq!(
        wire::send(running.addresses()[0], v1.as_bytes())
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_reload_changes_the_trusted_load_balancers() {
    let menshen = Menshen::new().await;
    let listen = "{ address = \"127.0.0.1:0\", proxy_protocol = true }";
    let setup = |server: &str| echo_setup().server(server);
    let running = start_second_instance(&menshen, &setup(""), listen).await;
    let bytes = format!(
        "PROXY TCP4 203.0.113.9 10.0.0.1 5 443\r\n{}",
        get_request("/echo", "")
    );
    for (server, served) in [
        ("", false),
        ("trusted_proxies = [\"127.0.0.1\"]", true),
        ("trusted_proxies = [\"10.0.0.0/8\"]", false),
    ] {
        let config =
            Config::parse(&config_text(&menshen, &setup(server), listen), "test.toml").unwrap();
        running.reload(config).await.unwrap();
        let answer = wire::try_send(running.addresses()[0], bytes.as_bytes()).await;
        assert_eq!(answer.is_some(), served, "{server}");
    }
}

#[tokio::test]
async fn a_redirecting_listener_only_redirects_to_https() {
    let menshen = Menshen::new().await;
    let listen = "{ address = \"127.0.0.1:0\", redirect_https = true }";
    let running = start_second_instance(&menshen, &echo_setup(), listen).await;
    let address = running.addresses()[0];
    for method in ["GET", "POST"] {
        let request = format!("{method} /a%2Fb?c=d HTTP/1.1\r\nHost: {UPSTREAM_HOST}:80\r\n\r\n");
        let answer = wire::send(address, request.as_bytes()).await;
        assert_eq!(answer.status, 308);
        assert_eq!(answer.header("location"), Some("https://up.test/a%2Fb?c=d"));
    }
    let own = wire::send(address, get_request("/.menshen/sign_in", "").as_bytes()).await;
    assert_eq!(own.status, 308);
    let answer = wire::send(address, get_request("/a?b>\"", "").as_bytes()).await;
    assert_eq!(answer.header("location"), Some("https://up.test/a?b%3E%22"));
    for target in ["/a#b", "/a b", "a/b"] {
        let no_host = format!("GET {target} HTTP/1.0\r\n\r\n");
        for request in [get_request(target, ""), no_host] {
            let answer = wire::send(address, request.as_bytes()).await;
            assert_eq!(answer.status, 400, "{request}");
        }
    }
    assert_eq!(menshen.app.requests(), 0);
}

#[tokio::test]
async fn a_redirecting_listener_serves_the_files_that_prove_ownership() {
    let menshen = Menshen::new().await;
    let listen = "{ address = \"127.0.0.1:0\", redirect_https = true }";
    let setup = |name: &str| echo_setup().server(&format!("files = {{ '/{name}.txt' = 'proof' }}"));
    let running = start_second_instance(&menshen, &setup("WW_a"), listen).await;
    let address = running.addresses()[0];
    let send = async |method: &str, target: &str| {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nConnection: close\r\n\r\n"
        );
        wire::send(address, request.as_bytes()).await
    };
    let answer = send("GET", "/WW_a.txt").await;
    assert_eq!((answer.status, &*answer.text()), (200, "proof"));
    let content_type = answer.header("content-type");
    assert_eq!(content_type, Some("text/plain; charset=utf-8"));
    for (method, target) in [
        ("POST", "/WW_a.txt"),
        ("GET", "/WW_a.txt/"),
        ("GET", "/WW_b.txt"),
    ] {
        assert_eq!(send(method, target).await.status, 308, "{method} {target}");
    }
    let config = Config::parse(&config_text(&menshen, &setup("WW_b"), listen), "test.toml");
    running.reload(config.unwrap()).await.unwrap();
    assert_eq!(send("GET", "/WW_a.txt").await.status, 308);
    assert_eq!(send("GET", "/WW_b.txt").await.status, 200);
}

#[tokio::test]
async fn the_redirect_to_https_has_the_port_of_the_external_url() {
    let menshen = Menshen::new().await;
    let listen = "{ address = \"127.0.0.1:0\", redirect_https = true }";
    for (url, to) in [
        ("https://sso.test:8443", "https://up.test:8443/a?b"),
        ("https://sso.test:443", "https://up.test/a?b"),
        ("https://sso.test", "https://up.test/a?b"),
        ("http://sso.test:8080", "https://up.test/a?b"),
    ] {
        let setup = echo_setup().external_url(url);
        let running = start_second_instance(&menshen, &setup, listen).await;
        let address = running.addresses()[0];
        let request = format!("GET /a?b HTTP/1.1\r\nHost: {UPSTREAM_HOST}:8080\r\n\r\n");
        let answer = wire::send(address, request.as_bytes()).await;
        assert_eq!(answer.header("location"), Some(to), "{url}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_named_and_nothing_is_served() {
    let menshen = Menshen::new().await;
    let unused = bind_listener().await;
    let unused = unused.local_addr().unwrap();
    let folder = TempFolder::new();
    let path = folder.path("never.sock");
    let listen = format!("\"unix:{}\", \"{}\"", path.display(), menshen.address());
    let config =
        Config::parse(&config_text(&menshen, &echo_setup(), &listen), "test.toml").unwrap();
    let error = menshen::run::start(config, Clock::system())
        .await
        .unwrap_err();
    let why = menshen::telemetry::error_chain(&error).to_string();
    assert!(why.contains(&menshen.address().to_string()), "{why}");
    assert!(why.contains("another program listens there"), "{why}");
    assert!(!why.contains(&unused.to_string()));
    assert!(
        UnixStream::connect(&path).await.is_err(),
        "the unix socket of the same configuration is served"
    );
}

#[tokio::test]
async fn draining_finishes_open_requests_and_accepts_no_new_ones() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let address = menshen.address();
    let mut idle_connection = RawConnection::open(address).await;
    let mut busy_connection = RawConnection::open(address).await;
    busy_connection.send(get_request("/", "")).await;
    let mut upstream = accept(&socket).await;
    upstream.read_request().await.unwrap();
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        .await;
    assert_eq!(busy_connection.read_answer_head().await.status, 200);
    let Menshen { running, .. } = menshen;
    let stopping = tokio::spawn(running.stop());
    // The idle connection is closed at once, and no new connection is accepted.
    assert!(idle_connection.read_to_end().await.is_empty());
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::raw_connection::TEST_TIMEOUT, refused)
        .await
        .expect("the socket is closed");
    assert!(!stopping.is_finished(), "a request is still open");
    upstream.send("full").await;
    assert_eq!(busy_connection.read_bytes(8).await.unwrap(), b"halffull");
    assert!(
        busy_connection.read_to_end().await.is_empty(),
        "the connection is closed after the response"
    );
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_time_is_aborted() {
    let upstream = Upstream::start(|_| Reply::HoldOpen(Vec::new())).await;
    let setup = Setup::default().routes(&public_route(upstream.url(), ""));
    let menshen = setup.server("limits.drain = \"100ms\"").start().await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/", "")).await;
    wait_until("the request is in progress", || {
        upstream.received().len() == 1
    })
    .await;
    let Menshen { running, .. } = menshen;
    running.stop().await;
    assert!(connection.read_to_end().await.is_empty());
}

#[tokio::test]
async fn a_client_that_sends_no_complete_head_in_time_is_disconnected() {
    let limits = "limits.header_read = \"200ms\"\nlimits.keep_alive = \"200ms\"";
    let menshen = echo_setup().server(limits).start().await;
    // The client sends nothing, half a head, a header line at a time, or no second request.
    let mut connection = RawConnection::open(menshen.address()).await;
    assert!(connection.read_to_end().await.is_empty());
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send("GET / HTTP/1.1\r\nHost: up").await;
    connection.read_to_end().await;
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send("GET / HTTP/1.1\r\n").await;
    let mut sent = 0;
    while connection
        .try_send(format!("X-{sent}: y\r\n"))
        .await
        .is_ok()
        && sent < 1000
    {
        sent += 1;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(sent < 1000, "menshen waited for a head of {sent} lines");
    let mut connection = RawConnection::open(menshen.address()).await;
    connection.send(get_request("/echo", "")).await;
    assert_eq!(connection.read_answer().await.status, 200);
    assert!(connection.read_to_end().await.is_empty());
    assert_eq!(menshen.app.requests(), 1);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431_and_one_at_the_limit_passes() {
    let menshen = echo_setup()
        .server("limits.header_bytes_max = 16384")
        .start()
        .await;
    for (size, status) in [(14_000, 200), (17_000, 431), (200_000, 431)] {
        let mut connection = RawConnection::open(menshen.address()).await;
        let head = get_request("/echo", &format!("X-Long: {}\r\n", "x".repeat(size)));
        // The server may answer and close before it has read everything.
        let _ = connection.try_send(head).await;
        match connection.try_read_answer().await {
            Some(answer) => assert_eq!(answer.status, status, "{size}"),
            None => assert_ne!(status, 200, "{size} was refused"),
        }
    }
    let many: String = (0..200)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect();
    let answer = wire::send(menshen.address(), get_request("/echo", &many).as_bytes()).await;
    assert_eq!(answer.status, 431);
    let long = get_request(&format!("/echo?{}", "q".repeat(70_000)), "");
    let answer = wire::try_send(menshen.address(), long.as_bytes()).await;
    assert!(answer.is_none_or(|answer| [414, 431].contains(&answer.status)));
    assert_eq!(menshen.app.requests(), 1);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let menshen = echo_setup()
        .server("limits.connections_max = 2")
        .start()
        .await;
    let mut open_connections = Vec::new();
    for _ in 0..2 {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(get_request("/echo", "")).await;
        assert_eq!(connection.read_answer().await.status, 200);
        open_connections.push(connection);
    }
    let mut third = RawConnection::open(menshen.address()).await;
    third.send(get_request("/echo", "")).await;
    open_connections[0].send(get_request("/echo", "")).await;
    assert_eq!(open_connections[0].read_answer().await.status, 200);
    // Three requests of the open connections were served; the third connection still waits.
    assert_eq!(menshen.app.requests(), 3);
    open_connections.pop();
    assert_eq!(third.read_answer().await.status, 200);
}
