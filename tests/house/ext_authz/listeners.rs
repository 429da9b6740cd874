//! The listeners that serve ext_authz: a TCP address, a unix socket, and the main listener.

use serde_json::json;
use tokio::net::UnixStream;

use super::client::{CHECK, GrpcClient, length_prefixed};
use super::{GRPC_ON_MAIN, check_request, grpc_client, parse_response, setup};
use crate::checking::TRUST_LOOPBACK;
use crate::records::Records;
use crate::setup::Setup;
use crate::tls::{connect, write_certificate};
use crate::upstream::TempFolder;
use crate::wire;

#[tokio::test]
async fn the_grpc_listener_answers_http1_with_an_explanation() {
    let menshen = setup().start().await;
    let address = menshen.running.grpc_address().unwrap();
    let answer = wire::send(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.status, 505);
    assert!(answer.text().contains("gRPC"), "{}", answer.text());
    assert!(
        wire::try_send(address, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
            .await
            .is_none_or(|a| a.status == 400 || a.status == 505)
    );
    let mut client = grpc_client(&menshen).await;
    client.check(&json!({})).await;
}

#[tokio::test]
async fn the_main_listener_answers_grpc_only_with_on_main() {
    let menshen = Setup::default()
        .server(TRUST_LOOPBACK)
        .tables(GRPC_ON_MAIN)
        .start()
        .await;
    assert_eq!(menshen.running.grpc_address(), None);
    let mut client = GrpcClient::connect(menshen.address()).await;
    let answer = client.check(&json!({})).await;
    assert!(answer.get("denied_response").is_some());
    // Other requests on the main listener work as usual, over HTTP/2 and HTTP/1.1.
    let response = client
        .call(
            "/grpc.health.v1.Health/Check",
            &[("host", "nobody.test")],
            length_prefixed(b""),
        )
        .await;
    assert_eq!((response.http, response.status), (400, None));
    let answer = wire::send(
        menshen.address(),
        b"GET /public/echo HTTP/1.1\r\nHost: sso.test\r\n\r\n",
    )
    .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn without_on_main_the_main_listener_speaks_no_plain_http2() {
    let menshen = setup().start().await;
    let request = format!(
        "POST {CHECK} HTTP/1.1\r\nHost: nobody.test\r\nContent-Type: application/grpc\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\n\0\0\0\0\0"
    );
    let answer = wire::send(menshen.address(), request.as_bytes()).await;
    assert_eq!(answer.status, 404);
    let answer = wire::try_send(menshen.address(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.is_none_or(|answer| answer.status == 400));
}

fn setup_with_unix_socket(folder: &TempFolder, trusted: &str) -> Setup {
    let path = folder.path("grpc.sock");
    Setup::default()
        .server(&format!("trusted_proxies = [\"{trusted}\"]"))
        .tables(&format!(
            "[ext_authz]\ngrpc_listen = \"unix:{}\"\n",
            path.display()
        ))
}

#[tokio::test]
async fn a_unix_socket_answers_trusted_peers() {
    let log = Records::process_log();
    for (trusted, reason) in [("unix", "nobody"), ("127.0.0.1", "not-trusted")] {
        let folder = TempFolder::new();
        let menshen = setup_with_unix_socket(&folder, trusted).start().await;
        assert_eq!(menshen.running.grpc_address(), None);
        let stream = UnixStream::connect(folder.path("grpc.sock")).await.unwrap();
        let mut client = GrpcClient::over(stream).await;
        let answer = parse_response(&client.check(&check_request("/echo").json()).await);
        assert_eq!(answer.reason(), reason);
    }
    // The log names the setting.
    let lines = log.text();
    let mut refusals = lines
        .lines()
        .filter(|line| line.contains("trusted_proxies"));
    assert!(
        refusals.any(|line| line.contains("\\\"unix\\\"")),
        "{lines}"
    );
}

#[tokio::test]
async fn the_main_listener_answers_grpc_over_tls() {
    let folder = TempFolder::new();
    let trusted = write_certificate(&folder, "a", &["sso.test"]);
    let file = |name: &str| folder.path(name);
    let (certificate, key) = (file("a.pem"), file("a.key"));
    let tls = format!("tls = {{ certificate = {certificate:?}, key = {key:?} }}");
    let menshen = Setup::default()
        .external_url("https://sso.test")
        .server(&format!("{TRUST_LOOPBACK}\n{tls}"))
        .tables(GRPC_ON_MAIN)
        .start()
        .await;
    let stream = connect(menshen.address(), "sso.test", &trusted, b"h2").await;
    let mut client = GrpcClient::over(stream.unwrap()).await;
    let check = check_request("/echo").scheme("https");
    let answer = parse_response(&client.check(&check.json()).await);
    assert_eq!((answer.http, answer.reason()), (Some(401), "nobody"));
}
