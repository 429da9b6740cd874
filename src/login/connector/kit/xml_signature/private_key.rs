//! `PrivateKey`: our own RSA key, which signs requests and opens what is encrypted for us.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::verifying_key::VerifyingKey;
use crate::secret::Secret;
use crate::wording::{Text, error_of_text};

/// The beginning of a PKCS #8 key up to its octet string: version 0 and rsaEncryption.
const PKCS8_RSA: [u8; 18] = [
    0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00,
];

/// An RSA key of at least 2048 bits.
pub struct PrivateKey {
    signing: KeyPair,
    decrypting: OaepPrivateDecryptingKey,
}

/// Why a text is no private key for SAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateKeyError {
    Malformed,
    Unsupported,
}

impl PrivateKeyError {
    fn text(&self) -> Text {
        match self {
            Self::Malformed => Text::fixed("it is not a private key in PEM", "不是 PEM 格式的私钥"),
            Self::Unsupported => Text::fixed(
                "it is not an RSA key of 2048 to 8192 bits",
                "不是 2048 到 8192 位的 RSA 密钥",
            ),
        }
    }
}

error_of_text!(PrivateKeyError);

impl PrivateKey {
    /// Reads a key in PEM, PKCS #8 or PKCS #1.
    pub fn from_pem(pem: &Secret<String>) -> Result<Self, PrivateKeyError> {
        let key = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes());
        let pkcs8 = match &key.map_err(|_| PrivateKeyError::Malformed)? {
            PrivateKeyDer::Pkcs8(key) => Secret::new(key.secret_pkcs8_der().to_vec()),
            PrivateKeyDer::Pkcs1(key) => pkcs8(key.secret_pkcs1_der()),
            _ => return Err(PrivateKeyError::Unsupported),
        };
        let unsupported = |_| PrivateKeyError::Unsupported;
        let signing = KeyPair::from_pkcs8(pkcs8.expose()).map_err(unsupported)?;
        let decrypting = PrivateDecryptingKey::from_pkcs8(pkcs8.expose()).map_err(unsupported)?;
        let decrypting = OaepPrivateDecryptingKey::new(decrypting);
        Ok(Self {
            signing,
            decrypting: decrypting.map_err(|_| PrivateKeyError::Unsupported)?,
        })
    }

    /// Whether a certificate with this public key belongs to the key.
    pub fn belongs_to(&self, public_key: &VerifyingKey) -> bool {
        public_key.is_rsa_key(self.signing.public_key().as_ref())
    }

    /// Signs with RSA-SHA256.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.signing.public_modulus_len()];
        let random = SystemRandom::new();
        let signed = self
            .signing
            .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
        signed.ok().map(|()| signature)
    }

    pub(in crate::login::connector::kit) fn decrypting(&self) -> &OaepPrivateDecryptingKey {
        &self.decrypting
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([secret])")
    }
}

/// The same key as PKCS #8.
fn pkcs8(pkcs1: &[u8]) -> Secret<Vec<u8>> {
    let octets = Secret::new(tagged(0x04, &[], pkcs1));
    Secret::new(tagged(0x30, &PKCS8_RSA, octets.expose()))
}

/// A DER value with the two contents, one after the other.
fn tagged(tag: u8, first: &[u8], second: &[u8]) -> Vec<u8> {
    let length = (first.len() + second.len()).to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0);
    let length = &length[significant.unwrap_or(length.len() - 1)..];
    let mut value = vec![tag];
    if length.len() > 1 || length[0] >= 0x80 {
        // A length has at most eight bytes.
        value.push(0x80 | length.len().to_le_bytes()[0]);
    }
    value.extend([length, first, second].concat());
    value
}
