//! `UpstreamTls`: the TLS settings of a route's upstreams.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, VerifierBuilderError};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::keys;
use crate::secret::Secret;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The configured TLS settings of a route's upstreams.
#[derive(Clone, Debug)]
pub struct TlsMaterial {
    /// Trusted certificate authorities, or the upstream's own certificate, as PEM. `None` trusts
    /// the system's authorities.
    pub ca: Option<Vec<u8>>,
    /// The expected name of the certificate; `None` expects the host of the address.
    pub server_name: Option<String>,
    /// The client certificate chain and its private key, as PEM.
    pub identity: Option<(Vec<u8>, Secret<String>)>,
    /// Whether the certificate is verified at all.
    pub verify: bool,
}

/// Why the TLS settings of a route are unusable.
#[derive(Debug)]
pub enum TlsMaterialError {
    Pem {
        /// The configuration key that names the file.
        key: &'static str,
        source: PemError,
    },
    Empty {
        /// The configuration key that names the file.
        key: &'static str,
    },
    /// The private key is unusable or belongs to another certificate.
    Pair(Error),
    Authority(Error),
    ServerName {
        name: String,
    },
    Setup(Error),
    Verifier(VerifierBuilderError),
}

impl TlsMaterialError {
    fn text(&self) -> Text {
        match self {
            Self::Pem { key, .. } => text!("{key} is not valid PEM", "{key} 不是有效的 PEM"),
            Self::Empty { key } => text!("{key} contains no certificate", "{key} 中没有证书"),
            Self::Pair(_) => Text::fixed(
                "key does not match certificate",
                "key 与 certificate 不匹配",
            ),
            Self::Authority(_) => Text::fixed(
                "ca contains an unusable certificate",
                "ca 中有无法使用的证书",
            ),
            Self::ServerName { name } => text!(
                "`{name}` is not a valid server name",
                "`{name}` 不是有效的服务器名"
            ),
            Self::Setup(_) => Text::fixed("set up TLS to the upstream", "无法配置到上游的 TLS"),
            Self::Verifier(_) => Text::fixed("set up TLS to the upstream", "无法配置到上游的 TLS"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pem { source, .. } => Some(source),
            Self::Pair(source) => Some(source),
            Self::Authority(source) => Some(source),
            Self::Setup(source) => Some(source),
            Self::Verifier(source) => Some(source),
            Self::Empty { .. } | Self::ServerName { .. } => None,
        }
    }
}

error_of_text!(TlsMaterialError, caused);

/// The TLS settings of a pool. Two are equal if they were built from the same material.
#[derive(Clone)]
pub struct UpstreamTls {
    pub(super) client_config: Arc<ClientConfig>,
    pub(super) server_name: Option<ServerName<'static>>,
    fingerprint: [u8; 32],
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for UpstreamTls {}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

impl UpstreamTls {
    pub fn new(material: &TlsMaterial) -> Result<Self, TlsMaterialError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsMaterialError::Setup)?;
        let builder = match (&material.ca, material.verify) {
            (_, false) => {
                let verifier = Arc::new(AnyCertificate(provider));
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
            }
            (Some(pem), true) => {
                let verifier = TrustedCertificates::new(pem, provider)?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
            (None, true) => builder.with_root_certificates(system_roots()),
        };
        let mut client_config = match &material.identity {
            Some((certificates, key)) => {
                let chain = parse_certificates("certificate", certificates)?;
                let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                    .map_err(|source| TlsMaterialError::Pem { key: "key", source })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(TlsMaterialError::Pair)?
            }
            None => builder.with_no_client_auth(),
        };
        client_config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let server_name = material
            .server_name
            .as_deref()
            .map(server_name)
            .transpose()?;
        Ok(Self {
            client_config: Arc::new(client_config),
            server_name,
            fingerprint: fingerprint(material),
        })
    }
}

/// The system's certificate authorities, or Mozilla's list if the system has none.
pub(super) fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn fingerprint(material: &TlsMaterial) -> [u8; 32] {
    let (certificates, key) = match &material.identity {
        Some((certificates, key)) => (&certificates[..], key.expose().as_bytes()),
        None => (&b""[..], &b""[..]),
    };
    keys::fingerprint(&[
        material.ca.as_deref().unwrap_or_default(),
        material
            .server_name
            .as_deref()
            .unwrap_or_default()
            .as_bytes(),
        certificates,
        key,
        &[u8::from(material.verify)],
    ])
}

fn parse_certificates(
    key: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsMaterialError> {
    // Windows editors write a byte order mark before the first line.
    let pem = pem.strip_prefix("\u{feff}".as_bytes()).unwrap_or(pem);
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsMaterialError::Pem { key, source })?;
    match certificates.is_empty() {
        true => Err(TlsMaterialError::Empty { key }),
        false => Ok(certificates),
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsMaterialError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsMaterialError::ServerName {
        name: name.to_owned(),
    })
}

/// Trusts the configured authorities, and the configured certificates themselves. Appliances often
/// have self-signed certificates that are marked as an authority, expired or without a server name.
#[derive(Debug)]
struct TrustedCertificates {
    certificates: Vec<CertificateDer<'static>>,
    authorities: Arc<WebPkiServerVerifier>,
}

impl TrustedCertificates {
    fn new(pem: &[u8], provider: Arc<CryptoProvider>) -> Result<Self, TlsMaterialError> {
        let certificates = parse_certificates("ca", pem)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots
                .add(certificate.clone())
                .map_err(TlsMaterialError::Authority)?;
        }
        let roots = Arc::new(roots);
        let authorities = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(TlsMaterialError::Verifier)?;
        Ok(Self {
            certificates,
            authorities,
        })
    }
}

impl ServerCertVerifier for TrustedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self
            .certificates
            .iter()
            .any(|trusted| trusted == end_entity)
        {
            return verify_name(end_entity, server_name);
        }
        let authorities = &self.authorities;
        authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let authorities = &self.authorities;
        authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let authorities = &self.authorities;
        authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Accepts a configured certificate that has the expected name or no name at all.
fn verify_name(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
) -> Result<ServerCertVerified, Error> {
    match verify_server_name(&ParsedCertificate::try_from(certificate)?, name) {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        })) if presented.is_empty() => Ok(ServerCertVerified::assertion()),
        verified => verified.map(|()| ServerCertVerified::assertion()),
    }
}

/// Accepts every certificate, even with an obsolete signature scheme.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.0.signature_verification_algorithms.supported_schemes();
        schemes.extend([
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
        ]);
        schemes
    }
}
