//! `SigningPair`: a key pair for signatures that others verify with the public key (ES256).

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use aws_lc_rs::{digest, hkdf};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::expand;
use crate::secret::Secret;

/// The length of a coordinate of P-256, in bytes.
const COORDINATE_BYTES: usize = 32;

/// A private key of P-256 and its public key. `Debug` shows only the public key.
pub struct SigningPair {
    signing: EcdsaKeyPair,
    public: PublicKey,
    /// The encoded header of every token, with the dot after it.
    header: String,
}

/// The public key as a JSON Web Key (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    kid: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
}

impl fmt::Debug for SigningPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningPair")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl SigningPair {
    /// Derives the pair. The same root gives the same pair in every process and version.
    pub(super) fn derive(root: &hkdf::Prk) -> Self {
        // About one of 2^32 candidates is not a private key of the curve; then the next one is used.
        (0..=u8::MAX)
            .find_map(|number| Self::of(&expand(root, &[b"assertion", &[number]])))
            .expect("one of 256 candidates is a private key, or SHA-256 is broken")
    }

    /// The pair of a private key; `None` if it is zero or not below the order of the curve.
    fn of(scalar: &Secret<Vec<u8>>) -> Option<Self> {
        let private = agreement::PrivateKey::from_private_key(&ECDH_P256, scalar.expose()).ok()?;
        let point = private.compute_public_key().ok()?;
        let signing = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            scalar.expose(),
            point.as_ref(),
        )
        .ok()?;
        // An uncompressed point: 4, x, y.
        let (x, y) = point.as_ref().get(1..)?.split_at(COORDINATE_BYTES);
        let public = PublicKey::new(x, y);
        let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{}"}}"#, public.kid);
        Some(Self {
            signing,
            header: format!("{}.", URL_SAFE_NO_PAD.encode(header)),
            public,
        })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A signed JSON Web Token (RFC 7519) with these claims, which are JSON.
    pub fn token(&self, claims: &[u8]) -> String {
        let mut token = self.header.clone();
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self
            .signing
            .sign(&SystemRandom::new(), token.as_bytes())
            .expect("signing a short text in memory succeeds");
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        token
    }
}

impl PublicKey {
    fn new(x: &[u8], y: &[u8]) -> Self {
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // RFC 7638 §3: the required members in lexicographic order, without spaces.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let hash = digest::digest(&digest::SHA256, members.as_bytes());
        Self {
            kty: "EC",
            crv: "P-256",
            kid: URL_SAFE_NO_PAD.encode(hash),
            x,
            y,
            usage: "sig",
            alg: "ES256",
        }
    }

    /// The thumbprint (RFC 7638), which is the `kid` of tokens.
    pub fn id(&self) -> &str {
        &self.kid
    }
}

#[cfg(test)]
mod tests {
    use super::super::KeyRing;
    use super::*;

    /// The order of P-256 (SEC 2, 2.4.2).
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];

    fn of(scalar: [u8; 32]) -> Option<SigningPair> {
        SigningPair::of(&Secret::new(scalar.to_vec()))
    }

    #[test]
    fn a_key_must_be_below_the_order_of_the_curve() {
        let (mut below, mut above, mut one) = (ORDER, ORDER, [0; 32]);
        below[31] -= 1;
        above[31] += 1;
        one[31] = 1;
        assert!(of(below).is_some() && of(one).is_some());
        for bad in [[0; 32], ORDER, above, [0xff; 32]] {
            assert!(of(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_has_the_same_pair_in_every_version() {
        // Computed with another program. Nodes of different versions must agree.
        let ring = KeyRing::new(&[Secret::new("ab".repeat(32))], None).unwrap();
        let public = ring.signing_pair().public();
        assert_eq!(
            (public.x.as_str(), public.y.as_str(), public.id()),
            (
                "bPnu43ApOaycIpBRZzGaxygkSStcU5T7emnT1xZP3Qc",
                "YlxMUoua076AVmzbAlUwQhIOQijMjesFBt5idptOEME",
                "VT10YWLPayo5GY-h4nMb9GnsqscffiGJ0Fp-eKFhbTg"
            )
        );
    }

    #[test]
    fn the_debug_output_has_no_private_key() {
        let scalar = Secret::new([7; 32].to_vec());
        let pair = SigningPair::of(&scalar).unwrap();
        let shown = format!("{pair:?}");
        let hexadecimal = "07".repeat(8);
        let private = URL_SAFE_NO_PAD.encode(scalar.expose());
        assert!(shown.contains(pair.public().id()), "{shown}");
        assert!(
            !shown.contains(&private) && !shown.contains(&hexadecimal),
            "{shown}"
        );
    }
}
