//! TLS for listeners: certificates chosen by SNI, ALPN, and reloading without closing connections.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::setting::KeyPath;
use crate::text;
use crate::wording::{Text, error_of_text, full_path};

mod listed;

pub use listed::ListedCertificate;

/// `[server.tls]`: the certificate, and more certificates for other names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// A PEM file with the certificate, followed by its intermediate certificates.
    pub certificate: PathBuf,
    /// A PEM file with its private key.
    pub key: PathBuf,
    /// More certificates. The server name and the signature schemes of the client choose one, so that
    /// an RSA and an ECDSA certificate for one name serve old and new clients.
    #[serde(default)]
    pub more: Vec<CertificateConfig>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// A PEM file with the certificate, followed by its intermediate certificates.
    pub certificate: PathBuf,
    /// A PEM file with its private key.
    pub key: PathBuf,
}

/// Why certificates were refused.
#[derive(Debug)]
pub enum TlsError {
    Read {
        path: PathBuf,
        source: io::Error,
    },
    NoCertificate {
        path: PathBuf,
        source: PemError,
    },
    NoKey {
        path: PathBuf,
        source: PemError,
    },
    /// The key belongs to another certificate, or is of a kind that cannot sign.
    KeyMismatch {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    Setup(rustls::Error),
}

impl TlsError {
    fn text(&self) -> Text {
        match self {
            Self::Read { path, .. } => text!(
                "read {}: it must exist and be readable by the user menshen runs as",
                "无法读取 {}：文件必须存在，运行 menshen 的用户必须有权读取",
                full_path(path)
            ),
            Self::NoCertificate { path, .. } => text!(
                "{} contains no certificate: expected PEM with the server's certificate first",
                "{} 中没有证书：应为 PEM 格式，服务器证书在最前",
                full_path(path)
            ),
            Self::NoKey { path, .. } => text!(
                "{} contains no private key: expected PEM without encryption",
                "{} 中没有私钥：应为未加密的 PEM 格式",
                full_path(path)
            ),
            Self::KeyMismatch {
                certificate, key, ..
            } => {
                let (key, certificate) = (full_path(key), full_path(certificate));
                text!(
                    "the key {key} does not match the certificate {certificate}",
                    "私钥 {key} 与证书 {certificate} 不匹配"
                )
            }
            Self::Setup(_) => text!("set up TLS", "无法启用 TLS"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::NoCertificate { source, .. } | Self::NoKey { source, .. } => Some(source),
            Self::KeyMismatch { source, .. } | Self::Setup(source) => Some(source),
        }
    }
}

error_of_text!(TlsError, caused);

/// The TLS configuration of the listeners, whose certificates can be replaced while they serve.
pub struct Tls {
    server: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    listed: ArcSwap<Vec<ListedCertificate>>,
}

impl TlsConfig {
    /// The files with their keys below `[server.tls]`.
    pub fn named_files(&self) -> Vec<(KeyPath<'static>, &Path)> {
        let pairs = self.pairs();
        let files = pairs.into_iter().flat_map(|(table, certificate, key)| {
            [
                (table.clone().key("certificate"), certificate),
                (table.key("key"), key),
            ]
        });
        files.collect()
    }

    /// The files that can be read and cannot be used, by their keys below `[server.tls]`.
    pub fn problems(&self) -> Vec<(KeyPath<'static>, TlsError)> {
        let pairs = self.pairs().into_iter();
        let problems = pairs.filter_map(|(table, certificate, key)| {
            let error = load_pair(certificate, key).err()?;
            let name = match &error {
                TlsError::Read { .. } | TlsError::Setup(_) => return None,
                TlsError::NoCertificate { .. } => "certificate",
                TlsError::NoKey { .. } | TlsError::KeyMismatch { .. } => "key",
            };
            Some((table.key(name), error))
        });
        problems.collect()
    }

    /// Each certificate and its key, with the path of their table.
    fn pairs(&self) -> Vec<(KeyPath<'static>, &Path, &Path)> {
        let more = self.more.iter().enumerate().map(|(index, pair)| {
            let table = KeyPath::of(["more"]).item(index);
            (table, pair.certificate.as_path(), pair.key.as_path())
        });
        std::iter::once((
            KeyPath::of([]),
            self.certificate.as_path(),
            self.key.as_path(),
        ))
        .chain(more)
        .collect()
    }

    /// Reads the files, and lists their certificates in the order of the configuration.
    pub fn certificates(&self) -> Result<Vec<ListedCertificate>, TlsError> {
        Ok(self.list(&self.load()?))
    }

    fn list(&self, pairs: &[Arc<CertifiedKey>]) -> Vec<ListedCertificate> {
        let more = self.more.iter().map(|pair| &pair.certificate);
        let paths = std::iter::once(&self.certificate).chain(more);
        let listed = paths.zip(pairs);
        listed
            .map(|(path, pair)| ListedCertificate::new(path, pair))
            .collect()
    }

    fn load(&self) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
        let more = self
            .more
            .iter()
            .map(|pair| load_pair(&pair.certificate, &pair.key));
        std::iter::once(load_pair(&self.certificate, &self.key))
            .chain(more)
            .collect()
    }
}

impl Tls {
    /// Reads the files, for TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let pairs = config.load()?;
        let listed = ArcSwap::from_pointee(config.list(&pairs));
        let certificates = Arc::new(Certificates(ArcSwap::from_pointee(pairs)));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as _);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // The ticket keys survive a reload, so that clients can resume their TLS sessions.
        server.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Self {
            server: Arc::new(server),
            certificates,
            listed,
        })
    }

    /// Reads the files again. If any of them is invalid, the old certificates stay in force.
    pub fn reload(&self, config: &TlsConfig) -> Result<(), TlsError> {
        let pairs = config.load()?;
        self.listed.store(Arc::new(config.list(&pairs)));
        self.certificates.0.store(Arc::new(pairs));
        Ok(())
    }

    /// The certificates in force, in the order of the configuration.
    pub fn certificates(&self) -> Arc<Vec<ListedCertificate>> {
        self.listed.load_full()
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

fn load_pair(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let chain = read(certificate)?;
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(without_byte_order_mark(&chain)).collect();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(PemError::NoItemsFound),
        Err(error) => Err(error),
    };
    let chain = chain.map_err(|source| TlsError::NoCertificate {
        path: certificate.to_owned(),
        source,
    })?;
    let text = zeroize::Zeroizing::new(read(key)?);
    let private =
        PrivateKeyDer::from_pem_slice(without_byte_order_mark(&text)).map_err(|source| {
            TlsError::NoKey {
                path: key.to_owned(),
                source,
            }
        })?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider())
        .map(Arc::new)
        .map_err(|source| TlsError::KeyMismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })
}

/// Strips the byte order mark that editors on Windows write.
fn without_byte_order_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix("\u{feff}".as_bytes()).unwrap_or(pem)
}

/// The certificates and keys in force, in the order of the configuration. Never empty.
struct Certificates(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.0.load().len())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pairs = self.0.load();
        let schemes = hello.signature_schemes();
        let is_usable = |pair: &CertifiedKey| pair.key.choose_scheme(schemes).is_some();
        choose(&pairs, hello.server_name(), is_usable).cloned()
    }
}

/// Chooses among the certificates whose key the client can use: the first that names `name` exactly, else
/// the first that covers it by a wildcard, else the first. If the client can use none, the first of all.
fn choose<'a>(
    pairs: &'a [Arc<CertifiedKey>],
    name: Option<&str>,
    is_usable: impl Fn(&CertifiedKey) -> bool,
) -> Option<&'a Arc<CertifiedKey>> {
    let [_, _, ..] = pairs else {
        return pairs.first();
    };
    let usable = || pairs.iter().filter(|pair| is_usable(pair));
    let first = usable().next().or_else(|| pairs.first());
    let Some(name) = name else {
        return first;
    };
    // A certificate that also covers a made-up name beside this one has a wildcard.
    let sibling = name
        .split_once('.')
        .map(|(_, parent)| format!("no-such-sibling.{parent}"));
    let mut by_wildcard = None;
    for pair in usable().filter(|pair| covers(pair, name)) {
        if !sibling
            .as_deref()
            .is_some_and(|sibling| covers(pair, sibling))
        {
            return Some(pair);
        }
        by_wildcard = by_wildcard.or(Some(pair));
    }
    by_wildcard.or(first)
}

fn covers(pair: &CertifiedKey, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else {
        return false;
    };
    pair.end_entity_cert()
        .and_then(ParsedCertificate::try_from)
        .and_then(|certificate| verify_server_name(&certificate, &name))
        .is_ok()
}

#[cfg(test)]
pub(super) mod tests;
