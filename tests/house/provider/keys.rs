//! `Key`: a signing key of a provider; and tokens assembled by hand.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::state::random;

/// One signing key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) private_pem: String,
    pub(crate) public_pem: String,
    signing: EncodingKey,
    public: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// A new key of RS256, ES256 or `EdDSA`.
    pub(crate) fn generate(algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::RS256 => &rcgen::PKCS_RSA_SHA256,
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            other => panic!("the simulated provider does not support {other:?}"),
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let private_pem = pair.serialize_pem();
        let signing = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(private_pem.as_bytes()),
            Algorithm::ES256 => EncodingKey::from_ec_pem(private_pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(private_pem.as_bytes()),
        };
        Self {
            kid: format!("key-{}", &random()[..8]),
            algorithm,
            public_pem: pair.public_key_pem(),
            public: pair.public_key_raw().to_vec(),
            signing: signing.unwrap(),
            private_pem,
        }
    }

    /// The public key as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match self.algorithm {
            Algorithm::RS256 => {
                let jwk = Jwk::from_encoding_key(&self.signing, self.algorithm).unwrap();
                serde_json::to_value(jwk).unwrap()
            }
            // An uncompressed point: 4, x, y.
            Algorithm::ES256 => json!({
                "kty": "EC", "crv": "P-256",
                "x": text(&self.public[1..33]), "y": text(&self.public[33..]),
            }),
            _ => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(&self.public) }),
        };
        let more = json!({ "kid": self.kid, "use": "sig", "alg": name(self.algorithm) });
        merge(&mut jwk, &more);
        jwk
    }

    /// Signs claims. `head` overrides header fields; null removes one.
    pub(crate) fn sign(&self, claims: &Value, head: &Value) -> String {
        let mut full = json!({ "alg": name(self.algorithm), "kid": self.kid, "typ": "JWT" });
        merge(&mut full, head);
        compact(&full, claims, |input| {
            jsonwebtoken::crypto::sign(input, &self.signing, self.algorithm).unwrap()
        })
    }
}

/// The value of `alg` for an algorithm.
fn name(algorithm: Algorithm) -> String {
    format!("{algorithm:?}")
}

/// A JWT of these parts; `signature` returns base64url for the signed bytes.
pub(crate) fn compact(head: &Value, claims: &Value, signature: impl Fn(&[u8]) -> String) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(head), part(claims));
    let signature = signature(input.as_bytes());
    format!("{input}.{signature}")
}

/// Sets the fields of `with` in an object; null removes one.
pub(crate) fn merge(object: &mut Value, with: &Value) {
    let object = object.as_object_mut().expect("an object");
    for (name, value) in with.as_object().expect("an object") {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
}

/// The left half of a hash, as `at_hash` has it (OpenID Connect Core §3.1.3.6).
pub(super) fn token_hash(algorithm: Algorithm, text: &str) -> String {
    let kind = if algorithm == Algorithm::EdDSA {
        &aws_lc_rs::digest::SHA512
    } else {
        &aws_lc_rs::digest::SHA256
    };
    let digest = aws_lc_rs::digest::digest(kind, text.as_bytes());
    let half = digest.as_ref().len() / 2;
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..half])
}

/// The S256 challenge of a verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}
