//! XML signatures as SAML uses them: verifies one element of a document and returns what is signed, and
//! signs our own requests. Everything that SAML does not need is refused.
//!
//! A signature proves nothing about the tree that was received, only about the canonical bytes whose digest
//! is signed. Therefore [`verify()`] reads these bytes again, and callers take facts only from the returned
//! [`SignedDocument`].

mod algorithms;
mod canonical;
mod private_key;
mod query;
mod sign;
mod structure;
#[cfg(test)]
pub(super) mod tests;
mod verify;
mod verifying_key;

pub use private_key::{PrivateKey, PrivateKeyError};
pub use query::{SignedQuery, sign_query, verify_query};
pub use sign::{SignError, sign_enveloped};
pub use verify::{SignedDocument, is_signed, verify};
pub use verifying_key::{CertificateError, VerifyingKey};

use super::xml::XmlError;

/// The namespace of XML Signature.
pub const SIGNATURE_NAMESPACE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// What a signature may use.
#[derive(Clone, Copy, Debug)]
pub struct SignaturePolicy {
    /// Whether SHA-1 is accepted as digest and inside RSA signatures.
    pub allow_sha1: bool,
    /// The most bytes of the signed element in canonical form. The canonical form can be several times as
    /// long as the document.
    pub canonical_bytes_max: usize,
}

/// Which rule a signature breaks.
#[derive(Debug, thiserror::Error)]
pub enum SignatureRefusal {
    #[error("the element is not signed")]
    Unsigned,
    #[error("the element is not part of the document")]
    ForeignElement,
    #[error("the signed element has no ID")]
    MissingId,
    #[error("two elements of the document have the same ID")]
    RepeatedId,
    #[error("the element has several signatures")]
    SeveralSignatures,
    #[error("the signature has several references")]
    SeveralReferences,
    /// Another form than the one that SAML 2.0 §5.4 prescribes.
    #[error("the signature has {0}, which is not allowed")]
    UnexpectedContent(&'static str),
    #[error("the signature lacks {0}")]
    Missing(&'static str),
    #[error("the signature refers to another element than the one that holds it")]
    ForeignReference,
    #[error("the transforms are not enveloped-signature and exclusive canonicalization")]
    Transforms,
    #[error("the canonicalization is not the exclusive one without comments")]
    Canonicalization,
    #[error("the {0} is none of those that are accepted")]
    Algorithm(&'static str),
    #[error("the signature uses SHA-1")]
    Sha1,
    #[error("the {0} is not base64")]
    Encoding(&'static str),
    /// The keys are none of the signer's, or what is signed was altered.
    #[error("no key of the source verifies the signature")]
    NoKeyVerifies,
    #[error("the element was altered after it was signed")]
    Digest,
    #[error("the signed element is too large")]
    TooLarge,
    #[error("the signed element cannot be read")]
    Unreadable(#[source] XmlError),
    /// A parameter of the query that is missing, or given twice.
    #[error("the query does not have exactly one {0}")]
    Parameter(&'static str),
}
