//! Certificates of metadata and of `certificate`, with their dates.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::super::kit::xml::Element;
use super::super::kit::xml_signature::{CertificateError, SIGNATURE_NAMESPACE, VerifyingKey};
use super::names::METADATA;
use crate::keys::certificate::{Validity, validity};
use crate::text;
use crate::wording::{Text, error_of_text, full_path};

/// A certificate. It counts for its key only: its dates and its issuer are not verified.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) key: Result<VerifyingKey, CertificateError>,
    pub(super) validity: Option<Validity>,
}

/// Why a file or a text has no certificate.
#[derive(Debug)]
pub(super) enum CertificateFileError {
    File(String, rustls::pki_types::pem::Error),
    Text(String, rustls::pki_types::pem::Error),
    Certificate(String, CertificateError),
}

impl CertificateFileError {
    fn text(&self) -> Text {
        match self {
            Self::File(a, _) => text!(
                "the file {a} has no PEM certificate",
                "文件 {a} 中没有 PEM 证书"
            ),
            Self::Text(a, _) => text!("{a} is no PEM certificate", "{a} 不是 PEM 证书"),
            Self::Certificate(a, _) => text!(
                "the certificate in {a} cannot be used",
                "{a} 中的证书无法使用"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, source) => Some(source),
            Self::Text(_, source) => Some(source),
            Self::Certificate(_, source) => Some(source),
        }
    }
}

error_of_text!(CertificateFileError, caused);

impl Certificate {
    pub(super) fn of_der(der: &[u8]) -> Self {
        Self {
            key: VerifyingKey::from_certificate_der(der),
            validity: validity(der),
        }
    }
}

/// Reads the first certificate of a PEM text, and its key. `name` is that of the text in errors.
pub(super) fn read_text(
    name: &str,
    pem: &str,
) -> Result<(Vec<u8>, VerifyingKey), CertificateFileError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes());
    let der = der.map_err(|error| CertificateFileError::Text(name.to_owned(), error))?;
    let key = VerifyingKey::from_certificate_der(&der);
    let key = key.map_err(|error| CertificateFileError::Certificate(name.to_owned(), error))?;
    Ok((der.to_vec(), key))
}

/// Reads the first certificate of a PEM file, and its key.
pub(super) fn read_file(path: &Path) -> Result<(Vec<u8>, VerifyingKey), CertificateFileError> {
    let shown = full_path(path);
    let der = CertificateDer::from_pem_file(path);
    let der = der.map_err(|error| CertificateFileError::File(shown.clone(), error))?;
    let key = VerifyingKey::from_certificate_der(&der);
    let key = key.map_err(|error| CertificateFileError::Certificate(shown, error))?;
    Ok((der.to_vec(), key))
}

/// The certificates of the keys with which a role signs: of those for signing and those without a use.
pub(super) fn certificates_of(role: &Element, max: usize) -> Vec<Certificate> {
    let descriptors = role.children_named(METADATA, "KeyDescriptor");
    let signing =
        descriptors.filter(|key| matches!(key.attribute("use"), None | Some("signing" | "")));
    let infos = signing.flat_map(|key| key.children_named(SIGNATURE_NAMESPACE, "KeyInfo"));
    let data = infos.flat_map(|info| info.children_named(SIGNATURE_NAMESPACE, "X509Data"));
    // Further certificates of one element are those of authorities, whose keys sign no assertion.
    let certificates = data.filter_map(|data| {
        data.children_named(SIGNATURE_NAMESPACE, "X509Certificate")
            .next()
    });
    certificates.take(max).map(certificate).collect()
}

fn certificate(element: &Element) -> Certificate {
    let mut text = element.text();
    text.retain(|character| !character.is_ascii_whitespace());
    match STANDARD.decode(text) {
        Ok(der) => Certificate::of_der(&der),
        Err(_) => Certificate {
            key: Err(CertificateError::Malformed),
            validity: None,
        },
    }
}
