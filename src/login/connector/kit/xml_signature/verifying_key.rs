//! `VerifyingKey`: a public key of a source, from a certificate in its metadata.

use std::fmt;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};

use super::algorithms::{Hash, SignatureAlgorithm};
use crate::keys::certificate;
use crate::wording::{Text, error_of_text};

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// The shortest and the longest modulus of an RSA key.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 2048 / 8..=8192 / 8;

/// A public key that verifies signatures of a source.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    kind: KeyKind,
    /// `RSAPublicKey` in DER, or the uncompressed point.
    key: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    P256,
    P384,
}

/// Why a certificate gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateError {
    Malformed,
    UnsupportedKey,
    RsaKeySize,
}

impl CertificateError {
    fn text(&self) -> Text {
        match self {
            Self::Malformed => Text::fixed("it is not an X.509 certificate", "不是 X.509 证书"),
            Self::UnsupportedKey => Text::fixed(
                "its key is neither RSA nor on the curves P-256 and P-384",
                "其密钥既不是 RSA，也不在曲线 P-256 或 P-384 上",
            ),
            Self::RsaKeySize => Text::fixed(
                "its RSA key does not have 2048 to 8192 bits",
                "其 RSA 密钥不是 2048 到 8192 位",
            ),
        }
    }
}

error_of_text!(CertificateError);

impl VerifyingKey {
    /// The key in an X.509 certificate. Its dates, names and signature are not looked at.
    pub fn from_certificate_der(certificate: &[u8]) -> Result<Self, CertificateError> {
        let info = certificate::public_key(certificate).ok_or(CertificateError::Malformed)?;
        let kind = match (info.algorithm, info.curve) {
            (RSA_ENCRYPTION, None) => {
                let key = rsa::PublicKey::from_der(info.key);
                let key = key.map_err(|_| CertificateError::Malformed)?;
                if !RSA_BYTES.contains(&key.modulus_len()) {
                    return Err(CertificateError::RsaKeySize);
                }
                KeyKind::Rsa
            }
            (EC_PUBLIC_KEY, Some(P256)) if info.key.len() == 1 + 2 * 32 => KeyKind::P256,
            (EC_PUBLIC_KEY, Some(P384)) if info.key.len() == 1 + 2 * 48 => KeyKind::P384,
            _ => return Err(CertificateError::UnsupportedKey),
        };
        Ok(Self {
            kind,
            key: info.key.into(),
        })
    }

    /// Whether this is the public half of an RSA key whose `RSAPublicKey` is given.
    pub(super) fn is_rsa_key(&self, public_key: &[u8]) -> bool {
        self.kind == KeyKind::Rsa && *self.key == *public_key
    }

    pub(super) fn verifies(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.algorithm(algorithm).is_some_and(|algorithm| {
            UnparsedPublicKey::new(algorithm, &self.key)
                .verify(message, signature)
                .is_ok()
        })
    }

    /// How this key verifies, if it is a key for the algorithm. ECDSA is used with the hash that matches the
    /// curve.
    fn algorithm(
        &self,
        algorithm: SignatureAlgorithm,
    ) -> Option<&'static dyn VerificationAlgorithm> {
        Some(match (self.kind, algorithm) {
            (KeyKind::Rsa, SignatureAlgorithm::RsaPkcs1(hash)) => match hash {
                Hash::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                Hash::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                Hash::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                Hash::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
            },
            (KeyKind::Rsa, SignatureAlgorithm::RsaPss(hash)) => match hash {
                Hash::Sha1 => return None,
                Hash::Sha256 => &RSA_PSS_2048_8192_SHA256,
                Hash::Sha384 => &RSA_PSS_2048_8192_SHA384,
                Hash::Sha512 => &RSA_PSS_2048_8192_SHA512,
            },
            (KeyKind::P256, SignatureAlgorithm::Ecdsa(Hash::Sha256)) => &ECDSA_P256_SHA256_FIXED,
            (KeyKind::P384, SignatureAlgorithm::Ecdsa(Hash::Sha384)) => &ECDSA_P384_SHA384_FIXED,
            _ => return None,
        })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:?})", self.kind)
    }
}
