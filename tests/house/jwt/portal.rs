//! `Portal`: signs tokens, as a portal does and as an attacker would.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::provider::{compact, merge};

/// The time at which tests begin.
pub(crate) const NOW_S: i64 = 1_800_000_000;

/// A shared secret that is long enough for every algorithm.
pub(crate) const SECRET: &str =
    "a-shared-secret-of-sixty-four-bytes-and-more-for-HS512-which-has-a-long-hash";

/// Every algorithm.
pub(crate) const ALGORITHMS: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// RSA keys of this test run, because they take long to generate.
static RSA_KEYS: LazyLock<Mutex<BTreeMap<usize, String>>> = LazyLock::new(Mutex::default);

/// A portal with one key.
#[derive(Clone)]
pub(crate) struct Portal {
    pub(crate) algorithm: Algorithm,
    signing: EncodingKey,
    /// The key that verifies: the shared secret, or the public key in PEM.
    pub(crate) verifying_key: String,
    /// The private key in PEM; empty for a shared secret.
    pub(crate) private_pem: String,
}

fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(menshen::keys::random::<48>())
}

/// One of two RSA keys, in turn for each test: every test has a thread of its own.
fn next_rsa_key() -> KeyPair {
    thread_local! {
        static NEXT: Cell<usize> = const { Cell::new(0) };
    }
    let number = NEXT.replace(NEXT.get() + 1) % 2;
    let mut keys = RSA_KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let pem = keys.entry(number).or_insert_with(|| {
        let pair = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        pair.serialize_pem()
    });
    KeyPair::from_pem(pem).unwrap()
}

impl Portal {
    /// A portal with a new key; consecutive ones have different keys.
    pub(crate) fn with_algorithm(algorithm: Algorithm) -> Self {
        if algorithm.family() == AlgorithmFamily::Hmac {
            return Self::with_secret(algorithm, &format!("{SECRET}{}", random_text()));
        }
        let pair = match algorithm {
            Algorithm::ES256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
            Algorithm::ES384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
            Algorithm::EdDSA => KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
            _ => next_rsa_key(),
        };
        Self::with_pair(algorithm, &pair.serialize_pem(), &pair.public_key_pem())
    }

    /// A portal with a private key in PEM, and its public key.
    pub(crate) fn with_pair(algorithm: Algorithm, private_pem: &str, public_pem: &str) -> Self {
        let signing = match algorithm.family() {
            AlgorithmFamily::Ec => EncodingKey::from_ec_pem(private_pem.as_bytes()),
            AlgorithmFamily::Ed => EncodingKey::from_ed_pem(private_pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(private_pem.as_bytes()),
        };
        Self {
            algorithm,
            signing: signing.unwrap(),
            verifying_key: public_pem.to_owned(),
            private_pem: private_pem.to_owned(),
        }
    }

    pub(crate) fn with_secret(algorithm: Algorithm, secret: &str) -> Self {
        Self {
            algorithm,
            signing: EncodingKey::from_secret(secret.as_bytes()),
            verifying_key: secret.to_owned(),
            private_pem: String::new(),
        }
    }

    /// The same key with another algorithm of its family.
    pub(crate) fn as_algorithm(&self, algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            ..self.clone()
        }
    }

    /// The tables of a connector that trusts this portal; `lines` follow in `[connector.ID.jwt]`.
    pub(crate) fn connector_toml(&self, id: &str, lines: &str) -> String {
        let key = format!("key = '''{}'''", self.verifying_key);
        self.connector_toml_with(id, &key, lines)
    }

    /// The same with another line for the key.
    pub(crate) fn connector_toml_with(&self, id: &str, key: &str, lines: &str) -> String {
        format!(
            "[connector.{id}.jwt]\nalgorithm = '{:?}'\n{key}\nissuer = 'portal'\n\
             audience = 'menshen'\norigins = ['https://portal.test']\n{lines}\n",
            self.algorithm
        )
    }

    /// The claims of a new token for lisi.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": "portal", "aud": "menshen", "sub": "person-1",
            "preferred_username": "lisi", "name": "李四",
            "iat": NOW_S, "exp": NOW_S + 60, "jti": random_text(),
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({}), claims)
    }

    /// Signs with other members in the header; null removes one.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let mut full = json!({ "alg": format!("{:?}", self.algorithm), "typ": "JWT" });
        merge(&mut full, header);
        compact(&full, claims, |input| self.signature(input))
    }

    /// The signature of any bytes.
    pub(crate) fn signature(&self, input: &[u8]) -> String {
        jsonwebtoken::crypto::sign(input, &self.signing, self.algorithm).unwrap()
    }
}
