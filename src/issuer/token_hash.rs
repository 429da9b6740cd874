//! The hash by which an ID token is bound to its code and access token.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;

/// The value of `at_hash` and `c_hash` (OpenID Connect Core §3.1.3.6, §3.3.2.11): the left half of the
/// hash that belongs to the algorithm of the token. Ed25519 uses SHA-512. `None` for symmetric algorithms,
/// which are never accepted.
pub fn token_hash(algorithm: Algorithm, text: &str) -> Option<String> {
    let hash = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => &digest::SHA256,
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &digest::SHA384,
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => &digest::SHA512,
        _ => return None,
    };
    let whole = digest::digest(hash, text.as_bytes());
    let bytes = whole.as_ref();
    Some(URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_matches_the_examples_of_the_standard() {
        // OpenID Connect Core, appendix A.3 and A.4.
        let access = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(
            token_hash(Algorithm::RS256, access).as_deref(),
            Some("77QmUPtjPfzWtF2AnpK9RQ")
        );
        let code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk";
        assert_eq!(
            token_hash(Algorithm::RS256, code).as_deref(),
            Some("LDktKdoQak3Pk0cnXxCltA")
        );
        let lengths = [Algorithm::ES384, Algorithm::EdDSA]
            .map(|algorithm| token_hash(algorithm, code).map(|hash| hash.len()));
        assert_eq!(lengths, [Some(32), Some(43)]);
        assert_eq!(token_hash(Algorithm::HS256, code), None);
    }
}
