//! The ciphers: RSA-OAEP for keys, AES-GCM and, where allowed, AES-CBC for contents. RSA 1.5 and Triple DES
//! are never accepted.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm};
use zeroize::Zeroizing;

use super::super::xml_signature::PrivateKey;
use super::structure::{Encrypted, EncryptedKey};
use crate::secret::Secret;

pub(super) const XMLENC11_NAMESPACE: &str = "http://www.w3.org/2009/xmlenc11#";
pub(super) const AES_128_GCM_METHOD: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
pub(super) const AES_192_GCM_METHOD: &str = "http://www.w3.org/2009/xmlenc11#aes192-gcm";
pub(super) const AES_256_GCM_METHOD: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
pub(super) const RSA_OAEP_METHOD: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
/// The older identifier, whose mask generation function is fixed.
pub(super) const RSA_OAEP_MGF1P_METHOD: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";

const MGF1_SHA1: &str = "http://www.w3.org/2009/xmlenc11#mgf1sha1";
const MGF1_SHA256: &str = "http://www.w3.org/2009/xmlenc11#mgf1sha256";
const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// The length of a block of AES, and of the initialization vector of CBC.
const BLOCK_BYTES: usize = 16;

/// The key of the content.
pub(super) fn open_key(key: &PrivateKey, encrypted: &EncryptedKey<'_>) -> Option<Secret<Vec<u8>>> {
    let algorithm = oaep(encrypted)?;
    let key = key.decrypting();
    let mut buffer = Zeroizing::new(vec![0; key.min_output_size()]);
    let content_key = key.decrypt(algorithm, &encrypted.key, &mut buffer, None);
    Some(Secret::new(content_key.ok()?.to_vec()))
}

/// The hash and the mask must agree, because the library offers no other combination.
fn oaep(encrypted: &EncryptedKey<'_>) -> Option<&'static OaepAlgorithm> {
    let digest = encrypted.digest.unwrap_or(SHA1);
    let mask = encrypted.mask.unwrap_or(MGF1_SHA1);
    if encrypted.has_label {
        return None;
    }
    match (encrypted.algorithm, digest, mask) {
        (RSA_OAEP_MGF1P_METHOD | RSA_OAEP_METHOD, SHA1, MGF1_SHA1) => Some(&OAEP_SHA1_MGF1SHA1),
        (RSA_OAEP_METHOD, SHA256, MGF1_SHA256) => Some(&OAEP_SHA256_MGF1SHA256),
        _ => None,
    }
}

/// The content.
pub(super) fn open(
    encrypted: &Encrypted<'_>,
    key: Secret<Vec<u8>>,
    allow_cbc: bool,
) -> Option<Secret<Vec<u8>>> {
    let content = &encrypted.content;
    match encrypted.algorithm {
        AES_128_GCM_METHOD => open_gcm(&aead::AES_128_GCM, &key, content),
        AES_192_GCM_METHOD => open_gcm(&aead::AES_192_GCM, &key, content),
        AES_256_GCM_METHOD => open_gcm(&aead::AES_256_GCM, &key, content),
        _ if !allow_cbc => None,
        "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => open_cbc(&cipher::AES_128, &key, content),
        "http://www.w3.org/2001/04/xmlenc#aes192-cbc" => open_cbc(&cipher::AES_192, &key, content),
        "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => open_cbc(&cipher::AES_256, &key, content),
        _ => None,
    }
}

fn open_gcm(
    algorithm: &'static aead::Algorithm,
    key: &Secret<Vec<u8>>,
    content: &[u8],
) -> Option<Secret<Vec<u8>>> {
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key.expose()).ok()?);
    let (nonce, sealed) = content.split_first_chunk::<NONCE_LEN>()?;
    let mut plain = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key
        .open_in_place(nonce, Aad::empty(), &mut plain)
        .ok()?
        .len();
    plain.truncate(length);
    Some(Secret::new(plain))
}

/// The padding ends with its length; its other bytes are arbitrary (XML Encryption §5.2).
fn open_cbc(
    algorithm: &'static cipher::Algorithm,
    key: &Secret<Vec<u8>>,
    content: &[u8],
) -> Option<Secret<Vec<u8>>> {
    let (iv, blocks) = content.split_first_chunk::<BLOCK_BYTES>()?;
    let key = DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key.expose()).ok()?).ok()?;
    let mut plain = blocks.to_vec();
    let iv = DecryptionContext::Iv128(FixedLength::from(*iv));
    key.decrypt(&mut plain, iv).ok()?;
    let padding = usize::from(*plain.last()?);
    if !(1..=BLOCK_BYTES).contains(&padding) {
        return None;
    }
    plain.truncate(plain.len().checked_sub(padding)?);
    Some(Secret::new(plain))
}
