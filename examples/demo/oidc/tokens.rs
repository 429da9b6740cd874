//! The key of the simulated provider, and what it signs (RFC 7515, RFC 7518 §3.4: ES256).

use aws_lc_rs::digest;
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const KEY_ID: &str = "simulated";

pub(super) struct SigningKey(EcdsaKeyPair);

/// Why no key could be made.
#[derive(Debug)]
pub(super) enum KeyFailure {
    Generate(Unspecified),
    Read(KeyRejected),
}

impl std::fmt::Display for KeyFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Generate(error) => write!(f, "make a key: {error}"),
            Self::Read(error) => write!(f, "read the new key: {error}"),
        }
    }
}

impl std::error::Error for KeyFailure {}

impl SigningKey {
    pub(super) fn generate() -> Result<Self, KeyFailure> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())
            .map_err(KeyFailure::Generate)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref());
        pair.map(Self).map_err(KeyFailure::Read)
    }

    /// The public key (RFC 7517).
    pub(super) fn public_jwk(&self) -> Value {
        // An uncompressed point: one byte, then the two coordinates.
        let point = self.0.public_key().as_ref();
        let (x, y) = point.get(1..65).unwrap_or_default().split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// A signed token; `None` if the system has no random numbers.
    pub(super) fn sign(&self, claims: &Value) -> Option<String> {
        let head = json!({ "alg": "ES256", "kid": KEY_ID, "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&head), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).ok()?;
        Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The challenge of a PKCE verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// A text that nobody guesses.
pub(super) fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(menshen::keys::random::<32>())
}
