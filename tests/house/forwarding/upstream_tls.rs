//! TLS to upstreams: `[route.upstream_tls]`, and the log lines about failed handshakes.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::raw_connection::RawConnection;
use crate::records::Records;
use crate::setup::{Menshen, Setup};
use crate::tls::write_certificate;
use crate::upstream::{
    TempFolder, accept, bind_listener, get_request, menshen_in_front_of, ok, public_route,
};
use crate::wire;

/// The TLS settings of an upstream.
struct ServerTls<'a> {
    /// The base name of the certificate file.
    certificate: &'a str,
    versions: &'a [&'static SupportedProtocolVersion],
    /// The authority for client certificates, if the upstream requires one.
    client_ca: Option<CertificateDer<'static>>,
}

impl<'a> ServerTls<'a> {
    fn of(certificate: &'a str) -> Self {
        Self {
            certificate,
            versions: rustls::ALL_VERSIONS,
            client_ca: None,
        }
    }
}

/// Starts an upstream with TLS and returns its URL.
async fn tls_application(folder: &TempFolder, server_tls: ServerTls<'_>) -> String {
    menshen::keys::install_crypto();
    let file = |end: &str| folder.path(&format!("{}.{end}", server_tls.certificate));
    let certificate = CertificateDer::from_pem_file(file("pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
    let builder = ServerConfig::builder_with_protocol_versions(server_tls.versions);
    let builder = match server_tls.client_ca {
        Some(trusted) => {
            let mut roots = RootCertStore::empty();
            roots.add(trusted).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let socket = bind_listener().await;
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut connection = RawConnection::over(stream);
                while connection.read_head().await.is_some() {
                    if connection.try_send(ok("trusted")).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("https://localhost:{port}")
}

/// Sends a request and returns the text of the response, or the warning about its failure.
async fn text_or_warning(menshen: &Menshen) -> Result<String, String> {
    let log = Records::process_log();
    let answer = wire::send(menshen.address(), get_request("/", "").as_bytes()).await;
    if answer.status == 200 {
        return Ok(answer.text());
    }
    assert_eq!(answer.status, 502, "{}", answer.text());
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    let text = log.text();
    let connection = text
        .lines()
        .find(|connection| connection.contains(&id) && connection.contains("\"WARN\""));
    Err(connection.expect("a warning").to_owned())
}

async fn assert_refused(menshen: &Menshen, words: &[&str]) {
    let warning = text_or_warning(menshen).await.unwrap_err();
    for word in words {
        assert!(warning.contains(word), "`{word}` in {warning}");
    }
    assert!(
        warning.contains("localhost:") || warning.contains("127.0.0.1:"),
        "the log line names the upstream: {warning}"
    );
}

fn tls(lines: &str) -> String {
    format!("[route.upstream_tls]\n{lines}")
}

#[tokio::test]
async fn an_upstream_is_trusted_by_its_ca_or_by_its_own_certificate() {
    let folder = TempFolder::new();
    write_certificate(&folder, "app", &["localhost"]);
    write_certificate(&folder, "other", &["localhost"]);
    let (own_certificate, other) = (folder.path("app.pem"), folder.path("other.pem"));
    for versions in [rustls::ALL_VERSIONS, &[&rustls::version::TLS12]] {
        let server_tls = ServerTls {
            versions,
            ..ServerTls::of("app")
        };
        let url = tls_application(&folder, server_tls).await;
        let menshen = menshen_in_front_of(&url, &tls(&format!("ca = {own_certificate:?}"))).await;
        assert_eq!(text_or_warning(&menshen).await.as_deref(), Ok("trusted"));
        let menshen = menshen_in_front_of(&url, &tls(&format!("ca = {other:?}"))).await;
        assert_refused(&menshen, &["[route.upstream_tls] ca"]).await;
        let menshen = menshen_in_front_of(&url, "").await;
        assert_refused(&menshen, &["UnknownIssuer", "[route.upstream_tls] ca"]).await;
        let menshen = menshen_in_front_of(&url, &tls("verify = false")).await;
        assert_eq!(text_or_warning(&menshen).await.as_deref(), Ok("trusted"));
    }
}

#[tokio::test]
async fn a_self_signed_ca_certificate_is_trusted_when_it_is_configured() {
    let folder = TempFolder::new();
    menshen::keys::install_crypto();
    // Appliances have certificates as `openssl req -x509` creates them: marked as an authority and
    // often without a server name or expired.
    for (names, expired, lines, is_trusted) in [
        (vec!["localhost"], false, "", true),
        (vec![], false, "", true),
        (vec![], true, "", true),
        (vec!["appliance"], true, "server_name = \"appliance\"", true),
        (vec!["appliance"], false, "", false),
    ] {
        let key = rcgen::KeyPair::generate().unwrap();
        let named: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = rcgen::CertificateParams::new(named).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        if expired {
            parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(2011, 1, 1);
        }
        let certificate = parameters.self_signed(&key).unwrap();
        let file = folder.write("app.pem", &certificate.pem());
        folder.write("app.key", &key.serialize_pem());
        let url = tls_application(&folder, ServerTls::of("app")).await;
        let menshen = menshen_in_front_of(&url, &tls(&format!("ca = {file:?}\n{lines}"))).await;
        match is_trusted {
            true => assert_eq!(
                text_or_warning(&menshen).await.as_deref(),
                Ok("trusted"),
                "{names:?}"
            ),
            false => assert_refused(&menshen, &["appliance", "server_name"]).await,
        }
    }
}

#[tokio::test]
async fn server_name_overrides_the_expected_certificate_name() {
    let folder = TempFolder::new();
    menshen::keys::install_crypto();
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["oa.internal".to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, &issuer).unwrap();
    folder.write("app.pem", &certificate.pem());
    folder.write("app.key", &key.serialize_pem());
    let ca = folder.write("ca.pem", &authority.pem());
    let url = tls_application(&folder, ServerTls::of("app")).await;
    let named = format!("ca = {ca:?}\nserver_name = \"oa.internal\"");
    let menshen = menshen_in_front_of(&url, &tls(&named)).await;
    assert_eq!(text_or_warning(&menshen).await.as_deref(), Ok("trusted"));
    let menshen = menshen_in_front_of(&url, &tls(&format!("ca = {ca:?}"))).await;
    assert_refused(
        &menshen,
        &["not valid for name", "oa.internal", "server_name"],
    )
    .await;
    let wrong = format!("ca = {ca:?}\nserver_name = \"else.internal\"");
    let menshen = menshen_in_front_of(&url, &tls(&wrong)).await;
    assert_refused(&menshen, &["server_name"]).await;
}

#[tokio::test]
async fn an_upstream_that_requests_a_client_certificate_gets_the_configured_one() {
    let folder = TempFolder::new();
    write_certificate(&folder, "app", &["localhost"]);
    let client_certificate = write_certificate(&folder, "ours", &["menshen"]);
    write_certificate(&folder, "stranger", &["menshen"]);
    let ca = folder.path("app.pem");
    for versions in [rustls::ALL_VERSIONS, &[&rustls::version::TLS12]] {
        let server_tls = ServerTls {
            versions,
            client_ca: Some(client_certificate.clone()),
            ..ServerTls::of("app")
        };
        let url = tls_application(&folder, server_tls).await;
        let lines = |name: &str| {
            let (certificate, key) = (
                folder.path(&format!("{name}.pem")),
                folder.path(&format!("{name}.key")),
            );
            let pair = format!("certificate = {certificate:?}\nkey = {{ file = {key:?} }}");
            tls(&format!("ca = {ca:?}\n{pair}"))
        };
        let menshen = menshen_in_front_of(&url, &lines("ours")).await;
        assert_eq!(text_or_warning(&menshen).await.as_deref(), Ok("trusted"));
        let menshen = menshen_in_front_of(&url, &lines("stranger")).await;
        assert_refused(&menshen, &["[route.upstream_tls] certificate and key"]).await;
        let menshen = menshen_in_front_of(&url, &tls(&format!("ca = {ca:?}"))).await;
        assert_refused(&menshen, &["[route.upstream_tls] certificate and key"]).await;
    }
}

#[tokio::test]
async fn tls_failures_of_old_appliances_are_logged_with_the_remedy() {
    // A TLS 1.0 record with a fatal alert.
    let alert = |code: u8| vec![0x15, 3, 1, 0, 2, 2, code];
    for (answer, words) in [
        (alert(70), ["ProtocolVersion", "TLS 1.2"]),
        (alert(40), ["HandshakeFailure", "cipher"]),
        (alert(71), ["InsufficientSecurity", "cipher"]),
        (alert(112), ["UnrecognisedName", "server_name"]),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            ["TLS", "http://"],
        ),
        (Vec::new(), ["closed the connection", "TLS 1.1"]),
    ] {
        let socket = bind_listener().await;
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut connection = accept(&socket).await;
            let _ = connection.read_bytes(1).await;
            connection.send(&answer).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut connection.stream).await;
            connection.read_to_end().await;
        });
        let menshen = menshen_in_front_of(&format!("https://localhost:{port}"), "").await;
        assert_refused(&menshen, &words).await;
    }
}

#[tokio::test]
async fn new_certificate_files_apply_after_a_reload_and_invalid_ones_change_nothing() {
    let folder = TempFolder::new();
    write_certificate(&folder, "app", &["localhost"]);
    write_certificate(&folder, "ca", &["localhost"]);
    let url = tls_application(&folder, ServerTls::of("app")).await;
    let ca = folder.path("ca.pem");
    let setup = Setup::default().routes(&public_route(&url, &tls(&format!("ca = {ca:?}"))));
    let menshen = setup.clone().start().await;
    assert_refused(&menshen, &["[route.upstream_tls] ca"]).await;
    let files =
        menshen::config::Config::parse(&setup.text(&menshen.wecom, &menshen.app), "t").unwrap();
    assert!(files.files().contains(&ca), "the file is watched");
    std::fs::copy(folder.path("app.pem"), &ca).unwrap();
    menshen.reload(&setup).await.unwrap();
    assert_eq!(text_or_warning(&menshen).await.as_deref(), Ok("trusted"));
    folder.write("ca.pem", "no certificate\n");
    let warning = menshen.reload(&setup).await.unwrap_err();
    assert!(
        warning.contains("route up: upstream_tls: ca contains no certificate"),
        "{warning}"
    );
    std::fs::remove_file(&ca).unwrap();
    let warning = menshen.reload(&setup).await.unwrap_err();
    assert!(warning.contains("ca.pem"), "{warning}");
    assert_eq!(text_or_warning(&menshen).await.as_deref(), Ok("trusted"));
}
