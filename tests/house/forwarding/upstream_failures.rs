//! Failures of an upstream are reported as 502 or 504, as a page or as JSON. The report contains nothing
//! that the upstream sent.

use std::sync::Arc;

use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;
use tokio_rustls::TlsAcceptor;

use crate::browser::navigation_lines;
use crate::raw_connection::RawConnection;
use crate::records::Records;
use crate::setup::{Menshen, Setup};
use crate::upstream::{
    Reply, Upstream, accept, bind_listener, get_request, menshen_in_front_of, ok, public_route,
    refusing_socket,
};
use crate::wire;

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502_in_the_language_of_the_client() {
    let down = refusing_socket();
    let url = format!("http://{}", down.local_addr().unwrap());
    let menshen = menshen_in_front_of(&url, "").await;
    let html_headers = navigation_lines();
    for (language, words) in [("zh-CN", "zh"), ("en", "en")] {
        let headers = format!("{html_headers}Accept-Language: {language}\r\n");
        let page = wire::send(menshen.address(), get_request("/", &headers).as_bytes()).await;
        assert_eq!(page.status, 502);
        let kind = page.header("content-type").unwrap();
        assert!(kind.starts_with("text/html"), "{kind}");
        assert!(
            page.text().contains(&format!("lang=\"{words}")),
            "{}",
            page.text()
        );
        assert!(
            !page.text().contains("127.0.0.1"),
            "the page must not reveal the upstream address"
        );
    }
    let json = wire::send(
        menshen.address(),
        get_request("/", "Accept: */*\r\n").as_bytes(),
    )
    .await;
    assert_eq!(json.status, 502);
    assert_eq!(
        json.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(json.json()["status"], 502);
    assert!(
        json.json()["request_id"]
            .as_str()
            .is_some_and(|id| id.len() >= 16)
    );
    assert!(!json.text().contains("127.0.0.1"), "{}", json.text());
}

#[tokio::test]
async fn a_response_time_out_is_a_504() {
    let upstream = Upstream::start(|request| match request.message.target() {
        "/silent" => Reply::HoldOpen(Vec::new()),
        "/half" => Reply::HoldOpen(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        "/interim" => Reply::HoldOpen(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        _ => Reply::KeepAlive(ok("fine")),
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "limits.response = \"200ms\"").await;
    let mut connection = RawConnection::open(menshen.address()).await;
    for target in ["/silent", "/half", "/interim"] {
        connection.send(get_request(target, "")).await;
        assert_eq!(connection.read_answer().await.status, 504, "{target}");
    }
    // The client's connection stays usable.
    connection.send(get_request("/", "")).await;
    assert_eq!(connection.read_answer().await.text(), "fine");
}

#[tokio::test]
async fn a_response_that_is_not_http_is_a_502() {
    let answers: &[&str] = &[
        "",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nNul: a\0b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "\0\0\0\0\0\0",
    ];
    let upstream = Upstream::start(|request| {
        let number = request.message.target().trim_start_matches('/').parse();
        Reply::Close(number.map_or_else(
            |_| ok("fine"),
            |number: usize| answers[number].as_bytes().to_vec(),
        ))
    })
    .await;
    let menshen = menshen_in_front_of(upstream.url(), "").await;
    for (number, answer) in answers.iter().enumerate() {
        let target = format!("/{number}");
        let response = wire::send(menshen.address(), get_request(&target, "").as_bytes()).await;
        assert_eq!(response.status, 502, "{answer:?}: {response:?}");
        assert_eq!(
            response.header("content-type"),
            Some("application/problem+json")
        );
    }
    let response = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
    assert_eq!(response.text(), "fine");
}

#[tokio::test]
async fn an_endless_response_head_is_a_502() {
    let socket = bind_listener().await;
    let menshen =
        menshen_in_front_of(&format!("http://{}", socket.local_addr().unwrap()), "").await;
    let mut client = RawConnection::open(menshen.address()).await;
    client.send(get_request("/", "")).await;
    let mut upstream = accept(&socket).await;
    upstream.read_request().await.unwrap();
    let writing = tokio::spawn(async move {
        let _ = upstream.try_send("HTTP/1.1 200 OK\r\n").await;
        let line = format!("X-More: {}\r\n", "x".repeat(1000));
        for _ in 0..10_000 {
            if upstream.try_send(&line).await.is_err() {
                return true;
            }
        }
        false
    });
    assert_eq!(client.read_answer().await.status, 502);
    assert!(writing.await.unwrap(), "ten megabytes of head were read");
}

#[tokio::test]
async fn an_https_upstream_with_an_untrusted_certificate_is_a_502() {
    menshen::keys::install_crypto();
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let socket = bind_listener().await;
    let port = socket.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let connection = accept(&socket).await;
        let Ok(stream) = acceptor.accept(connection.stream).await else {
            return false;
        };
        // A client that trusts the certificate gets a response.
        let mut connection = RawConnection::over(stream);
        let request = connection.read_head().await.is_some();
        let _ = connection.try_send(ok("believed")).await;
        request
    });
    let menshen = menshen_in_front_of(&format!("https://localhost:{port}"), "").await;
    let response = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
    assert_eq!(response.status, 502, "{}", response.text());
    assert!(!serving.await.unwrap(), "the request was sent");
    assert_eq!(response.header("host"), None);
    let upstream = format!("localhost:{port}");
    assert!(!response.text().contains(&upstream), "{}", response.text());
}

/// The upstream in the access line of a failed request, and the warning about it.
async fn logged_failure(menshen: &Menshen, status: u16) -> (String, String) {
    let log = Records::process_log();
    let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
    assert_eq!(answer.status, status, "{}", answer.text());
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    menshen.running.live().services().telemetry.flush();
    let line_of = |log: String, part: &str| {
        let line = log
            .lines()
            .find(|line| line.contains(&id) && line.contains(part));
        line.unwrap_or_else(|| panic!("no {part}: {log}"))
            .to_owned()
    };
    let access = line_of(menshen.records.text(), "menshen::access");
    let access: Value = serde_json::from_str(&access).unwrap();
    assert_eq!(access["status"], status, "{access}");
    (
        access["upstream"].as_str().unwrap_or_default().to_owned(),
        line_of(log.text(), "\"WARN\""),
    )
}

#[tokio::test]
async fn the_access_line_and_the_warning_of_a_failure_name_the_upstream() {
    let down = [refusing_socket(), refusing_socket()];
    let down = down.each_ref().map(|socket| socket.local_addr().unwrap());
    let silent = Upstream::start(|_| Reply::HoldOpen(Vec::new())).await;
    let invalid = Upstream::start(|_| Reply::HoldOpen(b"220 mail.test ESMTP\r\n".to_vec())).await;
    let both = format!("http://{}\", \"http://{}", down[0], down[1]);
    for (urls, status, named) in [
        (
            format!("http://{}", down[0]),
            502,
            vec![down[0].to_string()],
        ),
        (both, 502, down.map(|address| address.to_string()).to_vec()),
        (silent.url().to_owned(), 504, vec![authority(&silent)]),
        (invalid.url().to_owned(), 502, vec![authority(&invalid)]),
    ] {
        let routes = public_route(&urls, "limits.response = \"200ms\"");
        let setup = Setup::default().access_log().routes(&routes);
        let (access, warning) = logged_failure(&setup.start().await, status).await;
        for name in &named {
            assert!(
                access.split(", ").any(|upstream| upstream == name),
                "{access}"
            );
            assert!(warning.contains(name), "{name}: {warning}");
        }
        assert_eq!(access.split(", ").count(), named.len(), "{access}");
    }
}

fn authority(upstream: &Upstream) -> String {
    upstream.url().trim_start_matches("http://").to_owned()
}
