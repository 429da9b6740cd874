//! Checks of keys before they are settings: whether a key can be used, and whether a key of the portal
//! belongs to one of menshen.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{self, PrivateDecryptingKey};
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde_json::json;

use super::super::kit::jose_keys::{KeyEncoding, shared_secret, verification_key};
use super::super::kit::jwe::{ContentAlgorithm, KeyAlgorithm, TokenDecrypter};
use super::TokenAlgorithm;
use crate::issuer::verify_with_keys;
use crate::secret::Secret;

/// Why a key cannot verify signatures of this algorithm, if so.
pub fn verifying_key_problem(
    algorithm: TokenAlgorithm,
    key: &Secret<String>,
    encoding: KeyEncoding,
) -> Option<String> {
    let read = verification_key(algorithm.into(), key, encoding);
    read.err().map(|problem| problem.to_string())
}

/// Why a key cannot decrypt tokens with these algorithms, if so.
pub fn decrypting_key_problem(
    algorithm: KeyAlgorithm,
    method: ContentAlgorithm,
    key: &Secret<String>,
    encoding: KeyEncoding,
) -> Option<String> {
    let read = TokenDecrypter::new(algorithm, method, key, encoding);
    read.err().map(|problem| problem.to_string())
}

/// Whether tokens that are signed with one key are verified with the other. Both are written as in the
/// settings.
pub fn signing_key_fits(
    algorithm: TokenAlgorithm,
    signing: &Secret<String>,
    verifying: &Secret<String>,
    encoding: KeyEncoding,
) -> bool {
    let algorithm = Algorithm::from(algorithm);
    let pem = signing.expose().as_bytes();
    let key = match algorithm.family() {
        AlgorithmFamily::Hmac => match shared_secret(signing, encoding) {
            Ok(secret) => Ok(EncodingKey::from_secret(secret.expose())),
            Err(_) => return false,
        },
        AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(pem),
        AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem),
        AlgorithmFamily::Ed => EncodingKey::from_ed_pem(pem),
    };
    let Ok(key) = key else { return false };
    let Ok(verifying) = verification_key(algorithm, verifying, encoding) else {
        return false;
    };
    // A token that is signed for this test alone.
    let token = jsonwebtoken::encode(&Header::new(algorithm), &json!({}), &key);
    token.is_ok_and(|token| verify_with_keys(&token, algorithm, &[verifying]).is_ok())
}

/// Whether tokens that are encrypted with one key are decrypted with the other.
pub fn encryption_key_fits(
    algorithm: KeyAlgorithm,
    encrypting: &Secret<String>,
    decrypting: &Secret<String>,
    encoding: KeyEncoding,
) -> bool {
    if encrypting.expose().trim() == decrypting.expose().trim() {
        return true;
    }
    if algorithm.is_symmetric() {
        let bytes = |text| shared_secret(text, encoding).ok();
        return match (bytes(encrypting), bytes(decrypting)) {
            (Some(one), Some(other)) => one.expose() == other.expose(),
            _ => false,
        };
    }
    let public = SubjectPublicKeyInfoDer::from_pem_slice(encrypting.expose().as_bytes());
    let of_private = public_key_of(algorithm, decrypting);
    match (public, of_private) {
        (Ok(public), Some(of_private)) => *public == *of_private,
        _ => false,
    }
}

/// The public key of a private key in PEM, in DER.
fn public_key_of(algorithm: KeyAlgorithm, private: &Secret<String>) -> Option<Vec<u8>> {
    let der = PrivateKeyDer::from_pem_slice(private.expose().as_bytes()).ok()?;
    let public: PublicKeyX509Der<'static> = match algorithm {
        KeyAlgorithm::RsaOaep | KeyAlgorithm::RsaOaep256 => match &der {
            PrivateKeyDer::Pkcs1(der) => {
                let pair = rsa::KeyPair::from_der(der.secret_pkcs1_der()).ok()?;
                aws_lc_rs::signature::KeyPair::public_key(&pair)
                    .as_der()
                    .ok()?
            }
            der => {
                let key = PrivateDecryptingKey::from_pkcs8(der.secret_der()).ok()?;
                key.public_key().as_der().ok()?
            }
        },
        _ => {
            let curves = [&ECDH_P256, &ECDH_P384, &ECDH_P521];
            let key = curves.into_iter().find_map(|curve| {
                agreement::PrivateKey::from_private_key_der(curve, der.secret_der()).ok()
            });
            key?.compute_public_key().ok()?.as_der().ok()?
        }
    };
    Some(public.as_ref().to_vec())
}
