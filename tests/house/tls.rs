//! Test certificates, and a TLS client that trusts one of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::upstream::TempFolder;

/// Writes a new self-signed certificate for `hosts` as `name.pem` and `name.key`; returns the certificate.
pub(crate) fn write_certificate(
    folder: &TempFolder,
    name: &str,
    hosts: &[&str],
) -> CertificateDer<'static> {
    menshen::keys::install_crypto();
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let generated = rcgen::generate_simple_self_signed(hosts).unwrap();
    folder.write(&format!("{name}.pem"), &generated.cert.pem());
    folder.write(
        &format!("{name}.key"),
        &generated.signing_key.serialize_pem(),
    );
    generated.cert.der().clone()
}

/// Writes a certificate as [`write_certificate`] does, which is valid for a year until the beginning of this day:
/// year, month and day.
pub(crate) fn write_certificate_until(
    folder: &TempFolder,
    name: &str,
    hosts: &[&str],
    (year, month, day): (i32, u8, u8),
) -> CertificateDer<'static> {
    menshen::keys::install_crypto();
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut parameters = rcgen::CertificateParams::new(hosts).unwrap();
    parameters.not_before = rcgen::date_time_ymd(year - 1, month, day);
    parameters.not_after = rcgen::date_time_ymd(year, month, day);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    folder.write(&format!("{name}.pem"), &certificate.pem());
    folder.write(&format!("{name}.key"), &key.serialize_pem());
    certificate.der().clone()
}

/// Connects with TLS to `host`; with an empty `alpn` the client does not use ALPN.
pub(crate) async fn connect(
    address: SocketAddr,
    host: &str,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.to_vec()];
    }
    let host = ServerName::try_from(host.to_owned()).unwrap();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(host, stream)
        .await
}
