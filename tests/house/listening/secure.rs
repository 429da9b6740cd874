//! TLS termination: HTTP/1.1 and HTTP/2, the certificate for a server name, and reloads.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use menshen::config::Config;
use rustls::pki_types::CertificateDer;

use super::{config_text, echo_setup};
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, Setup};
use crate::tls::{connect, write_certificate};
use crate::upstream::{TempFolder, UPSTREAM_HOST, get_request};
use crate::wire::Answer;

/// The line `tls` of `[server]` with one or two certificates.
fn tls_lines(folder: &TempFolder, first: &str, second: Option<&str>) -> String {
    let files = |name: &str| {
        let (certificate, key) = (
            folder.path(&format!("{name}.pem")),
            folder.path(&format!("{name}.key")),
        );
        format!("certificate = {certificate:?}, key = {key:?}")
    };
    let more = second.map(|name| format!(", more = [{{ {} }}]", files(name)));
    format!("tls = {{ {}{} }}", files(first), more.unwrap_or_default())
}

fn tls_setup(folder: &TempFolder, first: &str, second: Option<&str>) -> Setup {
    echo_setup()
        .external_url("https://sso.test")
        .server(&tls_lines(folder, first, second))
}

#[tokio::test]
async fn http_1_is_served_over_tls_and_the_upstream_learns_the_scheme() {
    let folder = TempFolder::new();
    let trusted = write_certificate(&folder, "a", &[UPSTREAM_HOST]);
    let menshen = tls_setup(&folder, "a", None).start().await;
    for alpn in [&b"http/1.1"[..], b""] {
        let mut connection = RawConnection::over(
            connect(menshen.address(), UPSTREAM_HOST, &trusted, alpn)
                .await
                .unwrap(),
        );
        connection
            .send(get_request(
                "/echo",
                "X-Forwarded-Proto: http\r\nX-Forwarded-Port: 1\r\n",
            ))
            .await;
        let answer = connection.read_answer().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.echoed("x-forwarded-proto"), ["https"]);
        assert_eq!(answer.echoed("x-forwarded-port"), ["443"]);
    }
    // A client without TLS is not served.
    let answer =
        crate::wire::try_send(menshen.address(), get_request("/echo", "").as_bytes()).await;
    assert!(answer.is_none(), "{answer:?}");
    assert_eq!(menshen.app.requests(), 2);
}

/// Connects over HTTP/2.
async fn connect_http_2(
    menshen: &Menshen,
    trusted: &CertificateDer<'static>,
) -> SendRequest<Full<Bytes>> {
    let stream = connect(menshen.address(), UPSTREAM_HOST, trusted, b"h2")
        .await
        .unwrap();
    let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    client
}

async fn send_request(
    client: &mut SendRequest<Full<Bytes>>,
    request: http::request::Builder,
    body: Bytes,
) -> Answer {
    let answer = client
        .send_request(request.body(Full::new(body)).unwrap())
        .await
        .unwrap();
    let (parts, body) = answer.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter();
    Answer {
        status: parts.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

#[tokio::test]
async fn http_2_is_served_to_clients_that_negotiate_it() {
    let folder = TempFolder::new();
    let trusted = write_certificate(&folder, "a", &[UPSTREAM_HOST]);
    let menshen = tls_setup(&folder, "a", None).start().await;
    let mut client = connect_http_2(&menshen, &trusted).await;
    // A browser may split its cookies into several fields; HTTP/1.1 allows one (RFC 9113 §8.2.3).
    let get = Request::get("https://up.test/echo?a=%20b")
        .header("cookie", "a=1")
        .header("cookie", "__Host-menshen=forged")
        .header("cookie", "b=2");
    let answer = send_request(&mut client, get, Bytes::new()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["target"], "/echo?a=%20b");
    assert_eq!(answer.json()["version"], "HTTP/1.1");
    assert_eq!(answer.echoed("host"), [UPSTREAM_HOST]);
    assert_eq!(answer.echoed("x-forwarded-proto"), ["https"]);
    assert_eq!(answer.echoed("cookie"), ["a=1; b=2"]);
    let body = Bytes::from(vec![b'x'; 3 << 20]);
    let post = Request::post("https://up.test/echo");
    let answer = send_request(&mut client, post, body).await;
    assert_eq!(answer.json()["body_bytes"], 3 << 20);
    assert_eq!(answer.json()["body_complete"], true);
    // Concurrent requests over one connection, each with its own response.
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..100 {
        let mut client = client.clone();
        asking.spawn(async move {
            let get = Request::get(format!("https://up.test/echo?{number}"));
            let answer = send_request(&mut client, get, Bytes::new()).await;
            assert_eq!(answer.json()["target"], format!("/echo?{number}"));
        });
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn authority_and_host_must_agree_over_http_2() {
    let folder = TempFolder::new();
    let trusted = write_certificate(&folder, "a", &[UPSTREAM_HOST]);
    let menshen = tls_setup(&folder, "a", None).start().await;
    let mut client = connect_http_2(&menshen, &trusted).await;
    for (host, status) in [("up.test", 200), ("UP.Test", 200), ("sso.test", 400)] {
        let get = Request::get("https://up.test/echo").header("host", host);
        let answer = send_request(&mut client, get, Bytes::new()).await;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
    }
    // An error has the same JSON as over HTTP/1.1.
    let answer = send_request(&mut client, Request::get("https://no.test/"), Bytes::new()).await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_u64()),
        (404, Some(404))
    );
}

#[tokio::test]
async fn the_server_name_chooses_the_certificate() {
    let folder = TempFolder::new();
    let (a, b) = (
        write_certificate(&folder, "a", &["sso.test"]),
        write_certificate(&folder, "b", &[UPSTREAM_HOST]),
    );
    let menshen = tls_setup(&folder, "a", Some("b")).start().await;
    let matching = [("sso.test", &a), (UPSTREAM_HOST, &b)];
    for (name, trusted) in matching {
        assert!(
            connect(menshen.address(), name, trusted, b"").await.is_ok(),
            "{name}"
        );
    }
    for (name, trusted) in [("sso.test", &b), (UPSTREAM_HOST, &a)] {
        assert!(
            connect(menshen.address(), name, trusted, b"")
                .await
                .is_err(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_reload_replaces_the_certificates_and_closes_no_connection() {
    let folder = TempFolder::new();
    let old = write_certificate(&folder, "a", &[UPSTREAM_HOST]);
    let setup = tls_setup(&folder, "a", None);
    let menshen = setup.clone().start().await;
    let mut http_1 = RawConnection::over(
        connect(menshen.address(), UPSTREAM_HOST, &old, b"")
            .await
            .unwrap(),
    );
    let mut http_2 = connect_http_2(&menshen, &old).await;
    // A reload without a valid key is refused, and the old certificate stays in use.
    let good_key = std::fs::read_to_string(folder.path("a.key")).unwrap();
    folder.write("a.key", "no key");
    let refused = menshen.reload(&setup).await.unwrap_err();
    assert!(refused.contains("a.key"), "{refused}");
    assert!(
        connect(menshen.address(), UPSTREAM_HOST, &old, b"")
            .await
            .is_ok()
    );
    folder.write("a.key", &good_key);
    // The key of another certificate is refused.
    write_certificate(&folder, "other", &[UPSTREAM_HOST]);
    folder.write(
        "a.key",
        &std::fs::read_to_string(folder.path("other.key")).unwrap(),
    );
    assert!(menshen.reload(&setup).await.is_err());
    let new = write_certificate(&folder, "a", &[UPSTREAM_HOST]);
    menshen.reload(&setup).await.unwrap();
    assert!(
        connect(menshen.address(), UPSTREAM_HOST, &new, b"")
            .await
            .is_ok()
    );
    assert!(
        connect(menshen.address(), UPSTREAM_HOST, &old, b"")
            .await
            .is_err()
    );
    http_1.send(get_request("/echo", "")).await;
    assert_eq!(http_1.read_answer().await.status, 200);
    let get = Request::get("https://up.test/echo");
    assert_eq!(
        send_request(&mut http_2, get, Bytes::new()).await.status,
        200
    );
}

#[tokio::test]
async fn unreadable_certificates_are_named_before_anything_listens() {
    let folder = TempFolder::new();
    let menshen = Menshen::new().await;
    for (content, named) in [(None, "a.pem"), (Some("no certificate"), "a.pem")] {
        if let Some(text) = content {
            folder.write("a.pem", text);
        }
        let text = config_text(&menshen, &tls_setup(&folder, "a", None), "\"127.0.0.1:0\"");
        let config = Config::parse(&text, "test.toml").unwrap();
        let error = menshen::run::start(config, menshen.clock.clone())
            .await
            .unwrap_err();
        let why = menshen::telemetry::error_chain(&error).to_string();
        assert!(why.contains(named), "{why}");
    }
}
