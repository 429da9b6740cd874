//! `SigningAlgorithm`: an algorithm as a configuration pins it.

use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::ALGORITHMS;

/// An asymmetric signature algorithm, written as in RFC 7518: `RS256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SigningAlgorithm(Algorithm);

crate::setting::text_schema!(SigningAlgorithm: "an asymmetric signature algorithm, such as RS256");

/// Not an algorithm that can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an algorithm is RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA; symmetric \
     ones and `none` never count"
)]
pub struct NoSigningAlgorithm;

impl SigningAlgorithm {
    /// The algorithm.
    pub const fn algorithm(self) -> Algorithm {
        self.0
    }
}

impl TryFrom<String> for SigningAlgorithm {
    type Error = NoSigningAlgorithm;

    fn try_from(text: String) -> Result<Self, NoSigningAlgorithm> {
        let known = text.parse().ok();
        let asymmetric = known.filter(|algorithm| ALGORITHMS.contains(algorithm));
        asymmetric.map(Self).ok_or(NoSigningAlgorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_secret_is_no_algorithm_to_pin() {
        let pin = |text: &str| SigningAlgorithm::try_from(text.to_owned());
        assert_eq!(
            pin("PS512").map(SigningAlgorithm::algorithm),
            Ok(Algorithm::PS512)
        );
        for bad in ["HS256", "none", "", "rs256", "RS257"] {
            assert_eq!(pin(bad), Err(NoSigningAlgorithm), "{bad}");
        }
    }
}
