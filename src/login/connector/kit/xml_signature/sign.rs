//! Signs an element of a document of ours with RSA-SHA256, in the form that [`verify()`](super::verify())
//! demands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::xml::{Element, XmlError, XmlLimits};
use super::SIGNATURE_NAMESPACE;
use super::algorithms::{ENVELOPED, EXCLUSIVE, Hash, RSA_SHA256, SHA256};
use super::canonical::{Canonical, TooLong};
use super::private_key::PrivateKey;

/// The limits of what we sign; we write it ourselves.
const LIMITS: XmlLimits = XmlLimits {
    bytes: 4 << 20,
    elements: 1 << 16,
    depth: 64,
    attributes: 64,
};

const SAML_NAMESPACE: &str = "urn:oasis:names:tc:SAML:2.0:assertion";

/// Why a document cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("the document cannot be read")]
    Document(#[from] XmlError),
    #[error("the document has no element with this ID")]
    UnknownId,
    #[error("the document is too large")]
    TooLarge,
    #[error("the key cannot sign")]
    Key,
}

/// Signs the element with this `ID` and returns the document with the signature: after the `Issuer` of the
/// element, where the schema of SAML wants it, or else as its first child. The document is returned in
/// canonical form, without declarations of prefixes that no name uses.
pub fn sign_enveloped(
    document: &str,
    id: &str,
    key: &PrivateKey,
    certificate_der: &[u8],
) -> Result<String, SignError> {
    let mut root = Element::read(document.as_bytes(), LIMITS)?;
    let signed = root.with_id(id).ok_or(SignError::UnknownId)?;
    let digest = Hash::Sha256.digest(canonical(signed)?.as_bytes());
    let first = signed.elements().next();
    let at = usize::from(first.is_some_and(|first| first.is(SAML_NAMESPACE, "Issuer")));
    let signed_info = signed_info(id, &STANDARD.encode(digest));
    // Written in canonical form already. On its own it declares the namespace itself.
    let declaration = format!("<ds:SignedInfo xmlns:ds=\"{SIGNATURE_NAMESPACE}\">");
    let message = signed_info.replacen("<ds:SignedInfo>", &declaration, 1);
    let value = key.sign(message.as_bytes()).ok_or(SignError::Key)?;
    let signature = format!(
        "<ds:Signature xmlns:ds=\"{SIGNATURE_NAMESPACE}\">{signed_info}\
         <ds:SignatureValue>{}</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>",
        STANDARD.encode(value),
        STANDARD.encode(certificate_der),
    );
    let signature = Element::read(signature.as_bytes(), LIMITS)?;
    root.insert_into(id, at, signature);
    canonical(&root)
}

fn canonical(element: &Element) -> Result<String, SignError> {
    let canonical = Canonical {
        element,
        ancestors: &[],
        inclusive: &[],
        without: None,
        bytes_max: LIMITS.bytes,
    };
    canonical.write().map_err(|TooLong| SignError::TooLarge)
}

fn signed_info(id: &str, digest: &str) -> String {
    let id = id
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;");
    format!(
        "<ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{RSA_SHA256}\"></ds:SignatureMethod>\
         <ds:Reference URI=\"#{id}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
         <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod>\
         <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )
}
