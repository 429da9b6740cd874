//! New keys for the tokens of other programs, such as a portal: `menshen keygen --for`.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

/// The length of a line in PEM.
const PEM_LINE_CHARS: usize = 64;

/// What a key is made of.
#[derive(Clone, Copy, Debug)]
enum Material {
    /// A shared secret with this number of bytes.
    Secret(usize),
    Rsa,
    Ec(&'static EcdsaSigningAlgorithm),
    Ed25519,
}

const P256: Material = Material::Ec(&ECDSA_P256_SHA256_FIXED_SIGNING);
const P384: Material = Material::Ec(&ECDSA_P384_SHA384_FIXED_SIGNING);

/// The algorithms of RFC 7518 and RFC 8037 for which a key can be generated. For `dir` it is the algorithm of
/// the content.
const ALGORITHMS: [(&str, Material); 24] = [
    ("HS256", Material::Secret(32)),
    ("HS384", Material::Secret(48)),
    ("HS512", Material::Secret(64)),
    ("RS256", Material::Rsa),
    ("RS384", Material::Rsa),
    ("RS512", Material::Rsa),
    ("PS256", Material::Rsa),
    ("PS384", Material::Rsa),
    ("PS512", Material::Rsa),
    ("ES256", P256),
    ("ES384", P384),
    ("EdDSA", Material::Ed25519),
    ("A128KW", Material::Secret(16)),
    ("A256KW", Material::Secret(32)),
    ("A128GCMKW", Material::Secret(16)),
    ("A256GCMKW", Material::Secret(32)),
    ("RSA-OAEP", Material::Rsa),
    ("RSA-OAEP-256", Material::Rsa),
    ("ECDH-ES", P256),
    ("ECDH-ES+A256KW", P256),
    ("A128GCM", Material::Secret(16)),
    ("A256GCM", Material::Secret(32)),
    ("A128CBC-HS256", Material::Secret(32)),
    ("A256CBC-HS512", Material::Secret(64)),
];

/// The names of the algorithms for which [`TokenKey::generate`] makes a key.
pub fn token_algorithms() -> impl Iterator<Item = &'static str> {
    ALGORITHMS.into_iter().map(|(name, _)| name)
}

/// A new key for tokens. `Debug` shows no secret.
#[derive(Debug)]
pub enum TokenKey {
    /// A shared secret, in Base64.
    Secret(Secret<String>),
    /// Both keys in PEM: PKCS #8 and SubjectPublicKeyInfo.
    Pair {
        private: Secret<String>,
        public: String,
    },
}

impl TokenKey {
    /// A new key for an algorithm; `None` if there are no keys for it.
    pub fn generate(algorithm: &str) -> Option<Self> {
        let (_, material) = ALGORITHMS
            .into_iter()
            .find(|(name, _)| *name == algorithm)?;
        let generated = match material {
            Material::Secret(bytes) => Ok(Self::secret(bytes)),
            Material::Rsa => rsa_pair(),
            Material::Ec(curve) => ec_pair(curve),
            Material::Ed25519 => ed25519_pair(),
        };
        Some(generated.expect("the operating system gives random bytes"))
    }

    fn secret(bytes: usize) -> Self {
        let mut secret = zeroize::Zeroizing::new(vec![0; bytes]);
        rand::fill(&mut secret).expect("the operating system gives random bytes");
        Self::Secret(Secret::new(STANDARD.encode(&*secret)))
    }

    fn pair(private: &[u8], public: &[u8]) -> Self {
        Self::Pair {
            private: Secret::new(pem("PRIVATE KEY", private)),
            public: pem("PUBLIC KEY", public),
        }
    }

    /// The text that `keygen` prints: the secret, or the private key and after it the public key.
    pub fn expose(&self) -> impl fmt::Display {
        match self {
            Self::Secret(secret) => secret.expose().clone(),
            Self::Pair { private, public } => format!("{}{}", private.expose(), public.trim_end()),
        }
    }
}

fn rsa_pair() -> Result<TokenKey, Unspecified> {
    let pair = rsa::KeyPair::generate(KeySize::Rsa3072)?;
    let private: Pkcs8V1Der<'static> = pair.as_der()?;
    let public: PublicKeyX509Der<'static> = pair.public_key().as_der()?;
    Ok(TokenKey::pair(private.as_ref(), public.as_ref()))
}

fn ec_pair(curve: &'static EcdsaSigningAlgorithm) -> Result<TokenKey, Unspecified> {
    let private = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new())?;
    let pair = EcdsaKeyPair::from_pkcs8(curve, private.as_ref()).map_err(|_| Unspecified)?;
    let public: PublicKeyX509Der<'static> = pair.public_key().as_der()?;
    Ok(TokenKey::pair(private.as_ref(), public.as_ref()))
}

fn ed25519_pair() -> Result<TokenKey, Unspecified> {
    // Many libraries do not read the second version of PKCS #8.
    let private = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private.as_ref());
    let pair = pair.map_err(|_| Unspecified)?;
    let public: PublicKeyX509Der<'static> = pair.public_key().as_der()?;
    Ok(TokenKey::pair(private.as_ref(), public.as_ref()))
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = zeroize::Zeroizing::new(STANDARD.encode(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE_CHARS));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
