//! XML encryption as SAML uses it: opens `EncryptedAssertion` and `EncryptedID` with our key.
//!
//! Every failure is the same error. A sender who could distinguish wrong padding from wrong content could decrypt
//! by asking.

mod ciphers;
mod structure;
#[cfg(test)]
mod tests;

use super::xml::{Element, XmlLimits};
use super::xml_signature::PrivateKey;
use structure::Encrypted;

/// The namespace of XML Encryption.
pub const ENCRYPTION_NAMESPACE: &str = "http://www.w3.org/2001/04/xmlenc#";

/// The identifiers of what [`decrypt`] always accepts, for our metadata.
pub const ENCRYPTION_METHODS: [&str; 5] = [
    ciphers::AES_256_GCM_METHOD,
    ciphers::AES_192_GCM_METHOD,
    ciphers::AES_128_GCM_METHOD,
    ciphers::RSA_OAEP_METHOD,
    ciphers::RSA_OAEP_MGF1P_METHOD,
];

/// What may be decrypted.
#[derive(Clone, Copy, Debug)]
pub struct DecryptionPolicy {
    /// Whether AES-CBC is accepted. It does not notice alterations, so the caller allows it only for what
    /// stands inside a signed element that was verified.
    pub allow_cbc: bool,
    /// The limits of the decrypted element.
    pub limits: XmlLimits,
}

/// The element is not encrypted for us, in a way that is not accepted, or was altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encrypted element cannot be opened")]
pub struct NotDecrypted;

/// Decrypts `encrypted`, an `EncryptedAssertion` or `EncryptedID` in the tree under `root`. The result is the
/// element inside, which nobody vouches for: whoever has our certificate can encrypt.
pub fn decrypt(
    root: &Element,
    encrypted: &Element,
    key: &PrivateKey,
    policy: DecryptionPolicy,
) -> Result<Element, NotDecrypted> {
    let parts = Encrypted::of(encrypted).ok_or(NotDecrypted)?;
    let plain = parts.keys.iter().find_map(|encrypted_key| {
        let content_key = ciphers::open_key(key, encrypted_key)?;
        ciphers::open(&parts, content_key, policy.allow_cbc)
    });
    let plain = plain.ok_or(NotDecrypted)?;
    // Some senders encrypt an element whose prefixes are declared outside of it.
    let surrounding = root.declarations_inside(encrypted).ok_or(NotDecrypted)?;
    let element = Element::read_fragment(plain.expose(), policy.limits, &surrounding);
    element.map_err(|_| NotDecrypted)
}
