//! Listeners with TLS.

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// Connects with this server name; only this certificate is trusted.
async fn connect(
    running: &RunningDoor,
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
        .connect(name, connect_tcp(running).await)
        .await
}

/// Starts a listener with these certificates.
fn start_with_tls(folder: &Folder, files: &[&str]) -> (RunningDoor, Arc<Tls>) {
    let config = folder.config(files);
    let listeners = Listeners::bind(&[listen_config("127.0.0.1:0")], Some(&config)).unwrap();
    let tls = Arc::clone(listeners.tls().unwrap());
    (
        start(listeners, describe_connection, ServerLimits::default(), &[]),
        tls,
    )
}

#[tokio::test]
async fn the_server_name_chooses_the_certificate_and_is_reported_in_lower_case() {
    let folder = Folder::new();
    let (a, b) = (
        folder.create_pair("a", &["a.example"]),
        folder.create_pair("b", &["*.b.example"]),
    );
    let (running, _) = start_with_tls(&folder, &["a", "b"]);
    let stream = connect(&running, "a.example", &a, b"http/1.1")
        .await
        .unwrap();
    let response = exchange(stream, GET_AND_CLOSE).await;
    assert!(
        response.ends_with("/a 127.0.0.1 tls=true a.example"),
        "{response}"
    );
    let stream = connect(&running, "X.B.example", &b, b"http/1.1")
        .await
        .unwrap();
    let response = exchange(stream, GET_AND_CLOSE).await;
    assert!(
        response.ends_with("/a 127.0.0.1 tls=true x.b.example"),
        "{response}"
    );
    assert!(
        connect(&running, "a.example", &b, b"http/1.1")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn certificates_are_reloaded_while_connections_are_open() {
    let folder = Folder::new();
    let old = folder.create_pair("a", &["a.example"]);
    let (running, tls) = start_with_tls(&folder, &["a"]);
    let mut open_connection = connect(&running, "a.example", &old, b"http/1.1")
        .await
        .unwrap();
    std::fs::write(folder.path("a.key"), "").unwrap();
    assert!(tls.reload(&folder.config(&["a"])).is_err());
    assert!(
        connect(&running, "a.example", &old, b"http/1.1")
            .await
            .is_ok()
    );
    let new = folder.create_pair("a", &["a.example"]);
    tls.reload(&folder.config(&["a"])).unwrap();
    assert!(
        connect(&running, "a.example", &new, b"http/1.1")
            .await
            .is_ok()
    );
    assert!(
        connect(&running, "a.example", &old, b"http/1.1")
            .await
            .is_err()
    );
    assert!(
        exchange(&mut open_connection, GET_AND_CLOSE)
            .await
            .ends_with("a.example"),
        "open connections continue"
    );
}

#[tokio::test]
async fn http_2_is_negotiated_by_alpn() {
    use hyper_util::rt::TokioExecutor;

    let folder = Folder::new();
    let a = folder.create_pair("a", &["a.example"]);
    let (running, _) = start_with_tls(&folder, &["a"]);
    let stream = connect(&running, "a.example", &a, b"h2").await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let driven = tokio::spawn(connection);
    let request = Request::get("https://a.example/b")
        .body(body(String::new()))
        .unwrap();
    let response = client.send_request(request).await.unwrap();
    let content = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(content, "/b 127.0.0.1 tls=true a.example");
    running.shutdown.cancel();
    running.served.await.unwrap();
    driven.await.unwrap().unwrap();
}
