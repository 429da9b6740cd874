//! Finds the key of a token's content (RFC 7518 §4): the shared key itself, an encrypted one, or an agreed
//! one.

use aws_lc_rs::aead::{self, AES_128_GCM, AES_256_GCM};
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, UnparsedPublicKey};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::kdf::{SskdfDigestAlgorithmId, get_sskdf_digest_algorithm, sskdf_digest};
use aws_lc_rs::key_wrap::{self, AesKek, KeyWrap as _};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{
    self, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    PrivateDecryptingKey,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::super::jose_keys::{KeyEncoding, KeyProblem, shared_secret};
use super::content::{self, Encrypted};
use super::{ContentAlgorithm, EncryptedHeader, EphemeralKey, KeyAlgorithm, decode};
use crate::secret::Secret;
use crate::text;

/// The bytes that AES Key Wrap adds to a key.
const KEY_WRAP_BYTES: usize = 8;

/// The key that decrypts content keys, and how.
pub(super) enum DecryptionKey {
    /// It is the content key.
    Direct(Secret<Vec<u8>>),
    KeyWrap(&'static key_wrap::AesBlockCipher, Secret<Vec<u8>>),
    Gcm(&'static aead::Algorithm, Secret<Vec<u8>>),
    Oaep(&'static OaepAlgorithm, OaepPrivateDecryptingKey),
    /// The agreed key is the content key.
    Agreement(AgreementKey),
    /// The agreed key wraps the content key.
    AgreementKeyWrap(AgreementKey),
}

/// A private key for ECDH, and its curve.
pub(super) struct AgreementKey {
    curve: Curve,
    key: agreement::PrivateKey,
}

/// A curve of RFC 7518 §6.2.1.1.
#[derive(Clone, Copy)]
struct Curve {
    name: &'static str,
    algorithm: &'static agreement::Algorithm,
    /// The length of a coordinate.
    coordinate_bytes: usize,
}

const CURVES: [Curve; 3] = [
    Curve {
        name: "P-256",
        algorithm: &ECDH_P256,
        coordinate_bytes: 32,
    },
    Curve {
        name: "P-384",
        algorithm: &ECDH_P384,
        coordinate_bytes: 48,
    },
    Curve {
        name: "P-521",
        algorithm: &ECDH_P521,
        coordinate_bytes: 66,
    },
];

/// A random key for content of this kind.
pub(super) fn random_key(content: ContentAlgorithm) -> Secret<Vec<u8>> {
    let mut bytes = vec![0; content.key_bytes()];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    Secret::new(bytes)
}

impl DecryptionKey {
    pub(super) fn read(
        algorithm: KeyAlgorithm,
        content: ContentAlgorithm,
        text: &Secret<String>,
        encoding: KeyEncoding,
    ) -> Result<Self, KeyProblem> {
        let secret = |needed: usize| secret_of_length(algorithm.name(), text, encoding, needed);
        Ok(match algorithm {
            KeyAlgorithm::Direct => Self::Direct(secret_of_length(
                content.name(),
                text,
                encoding,
                content.key_bytes(),
            )?),
            KeyAlgorithm::A128KW => Self::KeyWrap(&key_wrap::AES_128, secret(16)?),
            KeyAlgorithm::A256KW => Self::KeyWrap(&key_wrap::AES_256, secret(32)?),
            KeyAlgorithm::A128GCMKW => Self::Gcm(&AES_128_GCM, secret(16)?),
            KeyAlgorithm::A256GCMKW => Self::Gcm(&AES_256_GCM, secret(32)?),
            KeyAlgorithm::RsaOaep => Self::Oaep(&OAEP_SHA1_MGF1SHA1, rsa_key(algorithm, text)?),
            KeyAlgorithm::RsaOaep256 => {
                Self::Oaep(&OAEP_SHA256_MGF1SHA256, rsa_key(algorithm, text)?)
            }
            KeyAlgorithm::EcdhEs => Self::Agreement(AgreementKey::read(algorithm, text)?),
            KeyAlgorithm::EcdhEsA256KW => {
                Self::AgreementKeyWrap(AgreementKey::read(algorithm, text)?)
            }
        })
    }

    /// The key of the content; `None` if it cannot be found, or has another length than the content needs.
    pub(super) fn content_key(
        &self,
        content: ContentAlgorithm,
        header: &EncryptedHeader,
        encrypted_key: &[u8],
    ) -> Option<Secret<Vec<u8>>> {
        let needed = content.key_bytes();
        let key = match self {
            Self::Direct(key) => encrypted_key.is_empty().then(|| key.clone()),
            Self::KeyWrap(block_cipher, key) => unwrap_key(block_cipher, key, encrypted_key),
            Self::Gcm(algorithm, key) => {
                let encrypted = Encrypted {
                    additional_data: b"",
                    iv: decode(header.iv.as_deref()?).ok()?,
                    ciphertext: encrypted_key.to_vec(),
                    tag: decode(header.tag.as_deref()?).ok()?,
                };
                content::open_gcm(algorithm, key.expose(), encrypted)
            }
            Self::Oaep(algorithm, key) => {
                let mut plain = zeroize::Zeroizing::new(vec![0; key.min_output_size()]);
                let key = key.decrypt(algorithm, encrypted_key, &mut plain, None);
                Some(Secret::new(key.ok()?.to_vec()))
            }
            Self::Agreement(key) => {
                let agreed = key.agree(header, content.name(), needed)?;
                encrypted_key.is_empty().then_some(agreed)
            }
            Self::AgreementKeyWrap(key) => {
                let agreed = key.agree(header, KeyAlgorithm::EcdhEsA256KW.name(), 32)?;
                unwrap_key(&key_wrap::AES_256, &agreed, encrypted_key)
            }
        };
        key.filter(|key| key.expose().len() == needed)
    }
}

fn secret_of_length(
    algorithm: &'static str,
    text: &Secret<String>,
    encoding: KeyEncoding,
    needed: usize,
) -> Result<Secret<Vec<u8>>, KeyProblem> {
    let secret = shared_secret(text, encoding)?;
    let bytes = secret.expose().len();
    if bytes == needed {
        return Ok(secret);
    }
    Err(KeyProblem::Length {
        bytes,
        needed,
        algorithm,
    })
}

/// Reads an RSA key in PKCS #8 or PKCS #1.
fn rsa_key(
    algorithm: KeyAlgorithm,
    text: &Secret<String>,
) -> Result<OaepPrivateDecryptingKey, KeyProblem> {
    let read = || {
        let key = match PrivateKeyDer::from_pem_slice(text.expose().as_bytes()).ok()? {
            PrivateKeyDer::Pkcs1(der) => {
                let pair = rsa::KeyPair::from_der(der.secret_pkcs1_der()).ok()?;
                let der: Pkcs8V1Der<'static> = pair.as_der().ok()?;
                PrivateDecryptingKey::from_pkcs8(der.as_ref()).ok()?
            }
            der => PrivateDecryptingKey::from_pkcs8(der.secret_der()).ok()?,
        };
        OaepPrivateDecryptingKey::new(key).ok()
    };
    read().ok_or_else(|| KeyProblem::DecryptionKey {
        algorithm: algorithm.name(),
        expected: text!(
            "an RSA key of at least 2048 bits",
            "应为至少 2048 位的 RSA 密钥"
        ),
    })
}

/// AES Key Wrap (RFC 3394).
fn unwrap_key(
    block_cipher: &'static key_wrap::AesBlockCipher,
    key: &Secret<Vec<u8>>,
    wrapped: &[u8],
) -> Option<Secret<Vec<u8>>> {
    let mut plain = vec![0; wrapped.len().checked_sub(KEY_WRAP_BYTES)?];
    let key = AesKek::new(block_cipher, key.expose()).ok()?;
    let length = key.unwrap(wrapped, &mut plain).ok()?.len();
    plain.truncate(length);
    Some(Secret::new(plain))
}

impl AgreementKey {
    fn read(algorithm: KeyAlgorithm, text: &Secret<String>) -> Result<Self, KeyProblem> {
        let der = PrivateKeyDer::from_pem_slice(text.expose().as_bytes()).ok();
        let read = |curve: Curve| {
            let der = der.as_ref()?.secret_der();
            let key = agreement::PrivateKey::from_private_key_der(curve.algorithm, der).ok()?;
            Some(Self { curve, key })
        };
        CURVES
            .into_iter()
            .find_map(read)
            .ok_or_else(|| KeyProblem::DecryptionKey {
                algorithm: algorithm.name(),
                expected: text!(
                    "a key on P-256, P-384 or P-521",
                    "应为 P-256、P-384 或 P-521 上的密钥"
                ),
            })
    }

    /// The key of `bytes` that belongs to the sender's ephemeral key (RFC 7518 §4.6).
    fn agree(
        &self,
        header: &EncryptedHeader,
        algorithm: &str,
        bytes: usize,
    ) -> Option<Secret<Vec<u8>>> {
        let point = self.curve.point(header.epk.as_ref()?)?;
        let party = |info: &Option<String>| match info {
            None => Some(Vec::new()),
            Some(info) => decode(info).ok(),
        };
        let bits = u32::try_from(bytes * 8).ok()?;
        let mut info = Vec::new();
        let (sender, receiver) = (party(&header.apu)?, party(&header.apv)?);
        for field in [algorithm.as_bytes(), &sender, &receiver] {
            info.extend_from_slice(&u32::try_from(field.len()).ok()?.to_be_bytes());
            info.extend_from_slice(field);
        }
        info.extend_from_slice(&bits.to_be_bytes());
        let peer = UnparsedPublicKey::new(self.curve.algorithm, point);
        let agreed = agreement::agree(&self.key, peer, (), |shared| {
            let hash = get_sskdf_digest_algorithm(SskdfDigestAlgorithmId::Sha256).ok_or(())?;
            let mut key = vec![0; bytes];
            sskdf_digest(hash, shared, &info, &mut key).map_err(|_| ())?;
            Ok(Secret::new(key))
        });
        agreed.ok()
    }
}

impl Curve {
    /// The uncompressed point of a key on this curve. Whether it is on the curve is checked when it is used.
    fn point(self, key: &EphemeralKey) -> Option<Vec<u8>> {
        let (x, y) = (decode(&key.x).ok()?, decode(&key.y).ok()?);
        let fits = |coordinate: &[u8]| coordinate.len() == self.coordinate_bytes;
        if key.kty != "EC" || key.crv != self.name || !fits(&x) || !fits(&y) {
            return None;
        }
        Some([&[4], x.as_slice(), y.as_slice()].concat())
    }
}
