//! Decrypts tokens in the compact form of JWE (RFC 7516), with the algorithms of RFC 7518.
//!
//! `zip`, `PBES2` and `RSA1_5` are not supported: a compressed token can be larger than memory, and the
//! other two let an attacker try keys at the expense of the server.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::jose_keys::{KeyEncoding, KeyProblem};
use crate::secret::Secret;

mod content;
mod key_management;

use content::Encrypted;
use key_management::DecryptionKey;

/// The longest value from a token that an error repeats, in characters.
const VALUE_CHARS_MAX: usize = 40;

/// How the key of a token's content is encrypted or agreed (RFC 7518 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// The shared key is the content key.
    #[serde(rename = "dir")]
    Direct,
    /// The content key is encrypted with AES Key Wrap, 128 bits.
    A128KW,
    /// The content key is encrypted with AES Key Wrap, 256 bits.
    A256KW,
    /// The content key is encrypted with AES-GCM, 128 bits.
    A128GCMKW,
    /// The content key is encrypted with AES-GCM, 256 bits.
    A256GCMKW,
    /// The content key is encrypted with RSAES-OAEP and SHA-1.
    #[serde(rename = "RSA-OAEP")]
    RsaOaep,
    /// The content key is encrypted with RSAES-OAEP and SHA-256.
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    /// The content key is agreed on P-256, P-384 or P-521.
    #[serde(rename = "ECDH-ES")]
    EcdhEs,
    /// A key is agreed, with which the content key is encrypted: AES Key Wrap, 256 bits.
    #[serde(rename = "ECDH-ES+A256KW")]
    EcdhEsA256KW,
}

impl KeyAlgorithm {
    /// The value of `alg`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "dir",
            Self::A128KW => "A128KW",
            Self::A256KW => "A256KW",
            Self::A128GCMKW => "A128GCMKW",
            Self::A256GCMKW => "A256GCMKW",
            Self::RsaOaep => "RSA-OAEP",
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::EcdhEs => "ECDH-ES",
            Self::EcdhEsA256KW => "ECDH-ES+A256KW",
        }
    }

    /// Whether sender and receiver have the same key.
    pub(in crate::login::connector) fn is_symmetric(self) -> bool {
        match self {
            Self::Direct | Self::A128KW | Self::A256KW | Self::A128GCMKW | Self::A256GCMKW => true,
            Self::RsaOaep | Self::RsaOaep256 | Self::EcdhEs | Self::EcdhEsA256KW => false,
        }
    }
}

/// How a token's content is encrypted (RFC 7518 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ContentAlgorithm {
    /// The content is encrypted with AES-GCM, 128 bits.
    A128GCM,
    /// The content is encrypted with AES-GCM, 256 bits.
    A256GCM,
    /// The content is encrypted with AES-CBC, 128 bits, and authenticated with HMAC and SHA-256.
    #[serde(rename = "A128CBC-HS256")]
    A128CbcHs256,
    /// The content is encrypted with AES-CBC, 256 bits, and authenticated with HMAC and SHA-512.
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
}

impl ContentAlgorithm {
    /// The value of `enc`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A128GCM => "A128GCM",
            Self::A256GCM => "A256GCM",
            Self::A128CbcHs256 => "A128CBC-HS256",
            Self::A256CbcHs512 => "A256CBC-HS512",
        }
    }

    pub(super) fn key_bytes(self) -> usize {
        match self {
            Self::A128GCM => 16,
            Self::A256GCM | Self::A128CbcHs256 => 32,
            Self::A256CbcHs512 => 64,
        }
    }
}

/// Why a token is not decrypted. All failures of the decryption itself are one error, and take the same
/// steps, so that nobody learns from them what a key decrypted to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::login::connector) enum DecryptError {
    /// Not five parts of base64url with a header in the first.
    #[error("it is not an encrypted token")]
    Malformed,
    #[error("its header requires an unknown extension")]
    UnknownExtension,
    #[error("it is compressed (`zip`), which is never accepted")]
    Compressed,
    #[error("its `alg` is {found}, and `decrypt.algorithm` is {expected}")]
    KeyAlgorithm {
        found: String,
        expected: &'static str,
    },
    #[error("its `enc` is {found}, and `decrypt.method` is {expected}")]
    ContentAlgorithm {
        found: String,
        expected: &'static str,
    },
    #[error("it cannot be decrypted with this key")]
    Decryption,
}

/// Decrypts tokens with one key and one pair of algorithms. `Debug` shows no key.
pub(in crate::login::connector) struct TokenDecrypter {
    algorithm: KeyAlgorithm,
    content: ContentAlgorithm,
    key: DecryptionKey,
}

impl fmt::Debug for TokenDecrypter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenDecrypter")
            .field("algorithm", &self.algorithm)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// The header of an encrypted token. Addresses and keys that it may name are not read.
#[derive(Debug, Deserialize)]
struct EncryptedHeader {
    alg: String,
    enc: String,
    zip: Option<Value>,
    crit: Option<Value>,
    /// For AES-GCM key wrap.
    iv: Option<String>,
    tag: Option<String>,
    /// For key agreement.
    epk: Option<EphemeralKey>,
    apu: Option<String>,
    apv: Option<String>,
}

/// The public key that the sender made for one token.
#[derive(Debug, Deserialize)]
struct EphemeralKey {
    kty: String,
    crv: String,
    x: String,
    y: String,
}

/// Whether a token has the five parts of an encrypted one.
pub(in crate::login::connector) fn is_encrypted(token: &str) -> bool {
    token.split('.').count() == 5
}

impl TokenDecrypter {
    /// Reads the key: a shared secret, or a private key in PEM.
    pub(in crate::login::connector) fn new(
        algorithm: KeyAlgorithm,
        content: ContentAlgorithm,
        key: &Secret<String>,
        encoding: KeyEncoding,
    ) -> Result<Self, KeyProblem> {
        Ok(Self {
            algorithm,
            content,
            key: DecryptionKey::read(algorithm, content, key, encoding)?,
        })
    }

    /// Decrypts a token. The result proves nothing about its sender: everybody can encrypt with a public
    /// key.
    pub(in crate::login::connector) fn decrypt(
        &self,
        token: &str,
    ) -> Result<Secret<String>, DecryptError> {
        let mut parts = token.split('.');
        let mut next = || parts.next().ok_or(DecryptError::Malformed);
        let (protected, key, iv, ciphertext, tag) = (next()?, next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(DecryptError::Malformed);
        }
        let header: EncryptedHeader =
            serde_json::from_slice(&decode(protected)?).map_err(|_| DecryptError::Malformed)?;
        self.check_header(&header)?;
        let content_key = self
            .key
            .content_key(self.content, &header, &decode(key)?)
            // With a random key the rest takes the same steps, and fails as for a wrong tag.
            .unwrap_or_else(|| key_management::random_key(self.content));
        let encrypted = Encrypted {
            additional_data: protected.as_bytes(),
            iv: decode(iv)?,
            ciphertext: decode(ciphertext)?,
            tag: decode(tag)?,
        };
        let plain = content::decrypt(self.content, &content_key, encrypted);
        let plain = plain.ok_or(DecryptError::Decryption)?;
        let text = std::str::from_utf8(plain.expose()).map_err(|_| DecryptError::Decryption)?;
        Ok(Secret::new(text.to_owned()))
    }

    fn check_header(&self, header: &EncryptedHeader) -> Result<(), DecryptError> {
        if header.crit.is_some() {
            return Err(DecryptError::UnknownExtension);
        }
        if header.zip.is_some() {
            return Err(DecryptError::Compressed);
        }
        let expected = self.algorithm.name();
        if header.alg != expected {
            let found = truncated(&header.alg);
            return Err(DecryptError::KeyAlgorithm { found, expected });
        }
        let expected = self.content.name();
        if header.enc != expected {
            let found = truncated(&header.enc);
            return Err(DecryptError::ContentAlgorithm { found, expected });
        }
        Ok(())
    }
}

fn decode(part: &str) -> Result<Vec<u8>, DecryptError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| DecryptError::Malformed)
}

fn truncated(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(VALUE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
