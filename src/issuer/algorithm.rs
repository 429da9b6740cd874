//! `SigningAlgorithm`: a signature algorithm as the configuration names it.

use jsonwebtoken::Algorithm;
use schemars::JsonSchema;
use serde::Deserialize;

/// An asymmetric signature algorithm, as RFC 7518 and RFC 8037 name it. Algorithms with a shared
/// secret and `none` cannot be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SigningAlgorithm {
    /// RSA, PKCS #1, SHA-256.
    RS256,
    /// RSA, PKCS #1, SHA-384.
    RS384,
    /// RSA, PKCS #1, SHA-512.
    RS512,
    /// RSA, PSS, SHA-256.
    PS256,
    /// RSA, PSS, SHA-384.
    PS384,
    /// RSA, PSS, SHA-512.
    PS512,
    /// P-256, SHA-256.
    ES256,
    /// P-384, SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(named: SigningAlgorithm) -> Self {
        match named {
            SigningAlgorithm::RS256 => Self::RS256,
            SigningAlgorithm::RS384 => Self::RS384,
            SigningAlgorithm::RS512 => Self::RS512,
            SigningAlgorithm::PS256 => Self::PS256,
            SigningAlgorithm::PS384 => Self::PS384,
            SigningAlgorithm::PS512 => Self::PS512,
            SigningAlgorithm::ES256 => Self::ES256,
            SigningAlgorithm::ES384 => Self::ES384,
            SigningAlgorithm::EdDSA => Self::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Settings {
        algorithms: Vec<SigningAlgorithm>,
    }

    #[test]
    fn only_algorithms_with_a_public_key_have_a_name() {
        let all = crate::issuer::ALGORITHMS;
        let names: Vec<_> = all.iter().map(|known| format!("'{known:?}'")).collect();
        let settings: Settings =
            toml::from_str(&format!("algorithms = [{}]", names.join(","))).unwrap();
        let named: Vec<Algorithm> = settings.algorithms.into_iter().map(Into::into).collect();
        assert_eq!(named, all);
        for bad in ["HS256", "HS384", "HS512", "none", "None", "rs256", ""] {
            assert!(
                toml::from_str::<Settings>(&format!("algorithms = ['{bad}']")).is_err(),
                "{bad}"
            );
        }
    }
}
