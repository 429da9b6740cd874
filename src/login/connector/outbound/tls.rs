//! TLS towards a source: whom we believe, and what is wrong with a file of authorities.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// Why the road to a source could not be built.
#[derive(Debug, thiserror::Error)]
pub enum OutboundBuildError {
    /// The file of certificate authorities cannot be read or is not PEM.
    #[error("read the certificate authorities {}", path.display())]
    Ca {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in {}", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// A certificate in the file cannot be trusted as an authority.
    #[error("trust a certificate of {}", path.display())]
    BadCertificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// TLS could not be set up.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// The client could not be set up.
    #[error("set up the client")]
    Client(#[source] reqwest::Error),
}

/// TLS that believes the system's authorities and those of this file.
pub(super) fn believing(ca: Option<&Path>) -> Result<ClientConfig, OutboundBuildError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        // An image without certificate files: better the web's authorities than none.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca {
        for certificate in certificates(path)? {
            roots
                .add(certificate)
                .map_err(|source| OutboundBuildError::BadCertificate {
                    path: path.to_owned(),
                    source,
                })?;
        }
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

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OutboundBuildError> {
    let broken = |source| OutboundBuildError::Ca {
        path: path.to_owned(),
        source,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(broken)?;
    if found.is_empty() {
        return Err(OutboundBuildError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(found)
}
