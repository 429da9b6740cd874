//! Decrypts the content of a token: AES-GCM, and AES-CBC with HMAC (RFC 7518 §5).

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::ContentAlgorithm;
use crate::secret::Secret;

/// The length of an AES-GCM tag.
const GCM_TAG_BYTES: usize = 16;

/// The parts of a token that its content key protects.
pub(super) struct Encrypted<'a> {
    pub(super) additional_data: &'a [u8],
    pub(super) iv: Vec<u8>,
    pub(super) ciphertext: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

/// Decrypts after it verified the tag; `None` if anything is wrong.
pub(super) fn decrypt(
    algorithm: ContentAlgorithm,
    key: &Secret<Vec<u8>>,
    encrypted: Encrypted<'_>,
) -> Option<Secret<Vec<u8>>> {
    match algorithm {
        ContentAlgorithm::A128GCM => open_gcm(&aead::AES_128_GCM, key.expose(), encrypted),
        ContentAlgorithm::A256GCM => open_gcm(&aead::AES_256_GCM, key.expose(), encrypted),
        ContentAlgorithm::A128CbcHs256 => {
            let algorithms = (hmac::HMAC_SHA256, &cipher::AES_128);
            open_cbc(algorithms, key.expose(), encrypted)
        }
        ContentAlgorithm::A256CbcHs512 => {
            let algorithms = (hmac::HMAC_SHA512, &cipher::AES_256);
            open_cbc(algorithms, key.expose(), encrypted)
        }
    }
}

/// AES-GCM with a nonce of 96 bits and a tag of 128 bits.
pub(super) fn open_gcm(
    algorithm: &'static aead::Algorithm,
    key: &[u8],
    encrypted: Encrypted<'_>,
) -> Option<Secret<Vec<u8>>> {
    let nonce: [u8; NONCE_LEN] = encrypted.iv.try_into().ok()?;
    if encrypted.tag.len() != GCM_TAG_BYTES {
        return None;
    }
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
    let mut bytes = encrypted.ciphertext;
    bytes.extend_from_slice(&encrypted.tag);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let plain = key.open_in_place(nonce, Aad::from(encrypted.additional_data), &mut bytes);
    let length = plain.ok()?.len();
    bytes.truncate(length);
    Some(Secret::new(bytes))
}

/// AES-CBC with HMAC (RFC 7518 §5.2.2.2). The tag is verified before anything is decrypted, so the padding
/// is never an answer to a question of an attacker.
fn open_cbc(
    (mac, block_cipher): (hmac::Algorithm, &'static cipher::Algorithm),
    key: &[u8],
    encrypted: Encrypted<'_>,
) -> Option<Secret<Vec<u8>>> {
    let (mac_key, cipher_key) = key.split_at_checked(key.len() / 2)?;
    let iv: [u8; 16] = encrypted.iv.try_into().ok()?;
    let additional_bits = u64::try_from(encrypted.additional_data.len()).ok()? * 8;
    let mut context = hmac::Context::with_key(&hmac::Key::new(mac, mac_key));
    context.update(encrypted.additional_data);
    context.update(&iv);
    context.update(&encrypted.ciphertext);
    context.update(&additional_bits.to_be_bytes());
    let whole = context.sign();
    let expected = &whole.as_ref()[..mac_key.len()];
    verify_slices_are_equal(expected, &encrypted.tag).ok()?;
    let unbound = UnboundCipherKey::new(block_cipher, cipher_key).ok()?;
    let decrypting = PaddedBlockDecryptingKey::cbc_pkcs7(unbound).ok()?;
    let mut bytes = encrypted.ciphertext;
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let length = decrypting.decrypt(&mut bytes, context).ok()?.len();
    bytes.truncate(length);
    Some(Secret::new(bytes))
}
