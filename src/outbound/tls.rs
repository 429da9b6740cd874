//! TLS for calls to sources: the trusted certificate authorities.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use crate::text;
use crate::wording::{Text, error_of_text, full_path};

/// Why the client for a source could not be built.
#[derive(Debug)]
pub enum OutboundBuildError {
    /// The file cannot be read or is not PEM.
    Ca {
        path: PathBuf,
        source: pem::Error,
    },
    NoCertificate {
        path: PathBuf,
    },
    /// A certificate of the file cannot be a certificate authority.
    BadCertificate {
        path: PathBuf,
        source: rustls::Error,
    },
    /// The text is not PEM.
    CaPem(pem::Error),
    NoCertificateInPem,
    /// A certificate of the text cannot be a certificate authority.
    BadCertificateInPem(rustls::Error),
    Tls(rustls::Error),
    Client(reqwest::Error),
}

impl OutboundBuildError {
    fn text(&self) -> Text {
        match self {
            Self::Ca { path, .. } => text!(
                "read the certificate authorities {}",
                "无法读取 CA 证书文件 {}",
                full_path(path)
            ),
            Self::NoCertificate { path } => text!(
                "there is no certificate in {}",
                "{} 中没有证书",
                full_path(path)
            ),
            Self::BadCertificate { path, .. } => text!(
                "trust a certificate of {}",
                "{} 中有证书无法使用",
                full_path(path)
            ),
            Self::CaPem(_) => Text::fixed(
                "read the certificate authorities of ca_pem",
                "无法读取 ca_pem 中的 CA 证书",
            ),
            Self::NoCertificateInPem => {
                Text::fixed("there is no certificate in ca_pem", "ca_pem 中没有证书")
            }
            Self::BadCertificateInPem(_) => {
                Text::fixed("trust a certificate of ca_pem", "ca_pem 中有证书无法使用")
            }
            Self::Tls(_) => Text::fixed("set up TLS", "无法配置 TLS"),
            Self::Client(_) => Text::fixed("set up the client", "无法建立客户端"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ca { source, .. } => Some(source),
            Self::BadCertificate { source, .. } => Some(source),
            Self::CaPem(source) => Some(source),
            Self::BadCertificateInPem(source) => Some(source),
            Self::Tls(source) => Some(source),
            Self::Client(source) => Some(source),
            Self::NoCertificate { .. } | Self::NoCertificateInPem => None,
        }
    }
}

error_of_text!(OutboundBuildError, caused);

/// A TLS configuration that trusts the authorities of the system, those of the file `ca` and those of the
/// text `ca_pem`.
pub(super) fn client_config(
    ca: Option<&Path>,
    ca_pem: Option<&str>,
) -> Result<ClientConfig, OutboundBuildError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        // A container image without certificate files: Mozilla's authorities are used instead.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca {
        for certificate in read_certificates(path)? {
            roots
                .add(certificate)
                .map_err(|source| OutboundBuildError::BadCertificate {
                    path: path.to_owned(),
                    source,
                })?;
        }
    }
    if let Some(text) = ca_pem {
        add_pem(&mut roots, text)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(OutboundBuildError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

/// The same configuration for another protocol than HTTP.
pub(super) fn without_alpn(mut tls: ClientConfig) -> ClientConfig {
    tls.alpn_protocols.clear();
    tls
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OutboundBuildError> {
    let unusable = |source| OutboundBuildError::Ca {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read(path).map_err(|error| unusable(pem::Error::Io(error)))?;
    // Editors on Windows write a byte order mark before the first line.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let certificates = certificates_in(text).map_err(unusable)?;
    if certificates.is_empty() {
        return Err(OutboundBuildError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(certificates)
}

/// Whether a text can be `ca_pem`.
///
/// # Errors
/// It is not PEM, has no certificate, or has one that cannot be an authority.
pub fn check_ca_pem(text: &str) -> Result<(), OutboundBuildError> {
    add_pem(&mut RootCertStore::empty(), text)
}

/// The certificates in `ca_pem`; none if it is not PEM.
pub fn ca_pem_certificates(text: &str) -> Vec<CertificateDer<'static>> {
    certificates_in(text.as_bytes()).unwrap_or_default()
}

fn add_pem(roots: &mut RootCertStore, text: &str) -> Result<(), OutboundBuildError> {
    let certificates = certificates_in(text.as_bytes()).map_err(OutboundBuildError::CaPem)?;
    if certificates.is_empty() {
        return Err(OutboundBuildError::NoCertificateInPem);
    }
    for certificate in certificates {
        let added = roots.add(certificate);
        added.map_err(OutboundBuildError::BadCertificateInPem)?;
    }
    Ok(())
}

fn certificates_in(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(text).collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use url::Url;

    use super::super::{Config, Outbound, OutboundCall, OutboundError, Reach};
    use super::*;

    const GET_TOKEN: OutboundCall = OutboundCall::repeatable("gettoken");

    /// Starts a source that responds with `{}`. Returns its address and its self-signed certificate.
    async fn start_source() -> (SocketAddr, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        });
        (address, cert.pem())
    }

    #[tokio::test]
    async fn an_authority_is_trusted_only_if_it_is_configured() {
        let (address, pem) = start_source().await;
        let url = Url::parse(&format!("https://{address}/")).unwrap();
        let without_ca = Outbound::build(&Config::default()).unwrap();
        let refused = without_ca.get_json(&url, &[], GET_TOKEN).await;
        assert!(
            matches!(refused, Err(OutboundError::Connect { .. })),
            "{refused:?}"
        );

        let ca = std::env::temp_dir().join(format!("menshen-ca-{}.pem", std::process::id()));
        std::fs::write(&ca, pem).unwrap();
        let built = Outbound::build(&Config {
            proxy: None,
            ca: Some(ca.clone()),
            ca_pem: None,
            reach: Reach::Everywhere,
        });
        std::fs::remove_file(&ca).unwrap();
        let response = built.unwrap().get_json(&url, &[], GET_TOKEN).await;
        assert_eq!(response.unwrap(), serde_json::json!({}));
    }
}
