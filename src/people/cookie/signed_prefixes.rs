//! `SignedPrefixes`: recognizes session cookies by the beginning of their value, under any name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::KeyRing;

/// The beginning of the header of every signed cookie; the key ID follows.
const HEADER: &str = r#"{"alg":"HS256","kid":""#;
/// The base64url encoding of its first 21 bytes: a quick check that excludes most other values. The last
/// byte shares a character with the key ID.
const COMMON_PREFIX: &[u8] = b"eyJhbGciOiJIUzI1NiIsImtpZCI6";

/// The encoded headers of session cookies, one for each key of a ring.
///
/// Other programs may use HS256, too, but with other key IDs.
#[derive(Clone, Debug, Default)]
pub struct SignedPrefixes(Vec<Box<[u8]>>);

impl SignedPrefixes {
    pub fn of(ring: &KeyRing) -> Self {
        let encoded_header = |id: &str| {
            let mut text = URL_SAFE_NO_PAD.encode(format!("{HEADER}{id}\"}}"));
            text.push('.');
            text.into_bytes().into_boxed_slice()
        };
        Self(
            ring.key_ids()
                .map(|id| encoded_header(id.as_str()))
                .collect(),
        )
    }

    /// Whether the value has the header of one of the keys. Does not verify the signature.
    pub fn has(&self, value: &[u8]) -> bool {
        value.starts_with(COMMON_PREFIX) && self.0.iter().any(|prefix| value.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::keys;
    use crate::people::cookie::{SessionClaims, Sid, sign};
    use crate::store::AccountId;

    fn signed_cookie(ring: &KeyRing, host: Option<&str>) -> String {
        let claims = SessionClaims {
            sid: Sid::random(),
            account: AccountId::new([7; 16]),
            confirmed_at: Timestamp::from_unix_s(1_700_000_000),
            expires_at: Timestamp::from_unix_s(1_700_043_200),
            host: host.map(str::to_owned),
        };
        sign(ring, &claims)
    }

    #[test]
    fn cookies_of_every_key_of_the_ring_are_recognized_and_no_others() {
        keys::install_crypto();
        let new_key = keys::generate;
        // Keys and session IDs are random: several are tried.
        for _ in 0..50 {
            let (old, new) = (new_key(), new_key());
            let old_ring = KeyRing::new(std::slice::from_ref(&old), None).unwrap();
            let ring = KeyRing::new(&[new, old], None).unwrap();
            let other_ring = KeyRing::new(&[new_key()], None).unwrap();
            let prefixes = SignedPrefixes::of(&ring);
            for host in [None, Some("oa.corp.example")] {
                for signing_ring in [&old_ring, &ring] {
                    assert!(prefixes.has(signed_cookie(signing_ring, host).as_bytes()));
                }
                assert!(!prefixes.has(signed_cookie(&other_ring, host).as_bytes()));
            }
            assert!(!SignedPrefixes::default().has(signed_cookie(&ring, None).as_bytes()));
        }
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"app"}"#);
        let ring = KeyRing::new(&[new_key()], None).unwrap();
        let prefixes = SignedPrefixes::of(&ring);
        for other in [
            "",
            "a",
            "eyJhbGciOiJIUzI1NiIsImtpZCI6",
            &format!("{header}.e30.x"),
        ] {
            assert!(!prefixes.has(other.as_bytes()), "{other}");
        }
    }
}
