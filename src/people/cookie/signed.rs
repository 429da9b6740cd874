//! The value of the session cookie: claims, signed with a session key.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::keys::{self, KeyRing};
use crate::store::{AccountId, SessionKey};

/// The longest cookie value that is read, in bytes. Those of [`sign`] are shorter.
pub const COOKIE_BYTES_MAX: usize = 300;

/// The secret session ID: 128 bits, random or derived from a bearer token. Only the cookie and a ticket
/// contain it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sid([u8; 16]);

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sid(…)")
    }
}

impl Sid {
    pub fn random() -> Self {
        Self(keys::random())
    }

    /// Derives a session ID from a secret, such as a bearer token.
    pub fn derived(parts: &[&[u8]]) -> Self {
        let hash = keys::fingerprint(parts);
        let mut sid = [0; 16];
        sid.copy_from_slice(&hash[..16]);
        Self(sid)
    }

    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Encodes the ID for the cookie and the ticket.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The key of the session in the store: a hash of the ID.
    pub fn key(&self) -> SessionKey {
        SessionKey::new(keys::fingerprint(&[b"sid", &self.0]))
    }
}

/// The claims of a session cookie.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionClaims {
    pub sid: Sid,
    pub account: AccountId,
    /// When the provider last confirmed the person, or could not because it was unreachable.
    pub confirmed_at: Timestamp,
    /// The absolute end of the session.
    pub expires_at: Timestamp,
    /// The only host on which the cookie is valid; set if it came by a ticket.
    pub host: Option<String>,
}

/// A cookie whose signature was verified.
#[derive(Clone, Debug)]
pub struct VerifiedCookie {
    pub claims: VerifiedClaims,
    /// Whether the ring's first key signed it; otherwise the cookie is set again.
    pub signed_by_first_key: bool,
}

/// The verified claims; they contain the host only as a fingerprint.
#[derive(Clone, Debug)]
pub struct VerifiedClaims {
    pub sid: Sid,
    pub account: AccountId,
    /// When the provider last confirmed the person, or could not because it was unreachable.
    pub confirmed_at: Timestamp,
    /// The absolute end of the session.
    pub expires_at: Timestamp,
    /// The fingerprint of the only host on which the cookie is valid.
    pub host: Option<HostFingerprint>,
}

/// The truncated hash of a host name: 9 bytes are 12 characters in the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFingerprint([u8; 9]);

impl HostFingerprint {
    /// `host` must be in lower case.
    pub fn of(host: &str) -> Self {
        let hash = keys::fingerprint(&[b"host", host.as_bytes()]);
        let mut fingerprint = [0; 9];
        fingerprint.copy_from_slice(&hash[..9]);
        Self(fingerprint)
    }
}

/// The payload of the JSON Web Token.
#[derive(Serialize, Deserialize)]
struct JwtPayload<'a> {
    sid: Cow<'a, str>,
    sub: AccountId,
    /// [`SessionClaims::confirmed_at`].
    iat: i64,
    exp: i64,
    /// The [`HostFingerprint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    h: Option<Cow<'a, str>>,
}

/// Signs claims with the ring's first key.
pub fn sign(ring: &KeyRing, claims: &SessionClaims) -> String {
    let claims = VerifiedClaims {
        sid: claims.sid,
        account: claims.account,
        confirmed_at: claims.confirmed_at,
        expires_at: claims.expires_at,
        host: claims.host.as_deref().map(HostFingerprint::of),
    };
    re_sign(ring, &claims)
}

/// Signs the claims of an older cookie with the ring's first key.
pub fn re_sign(ring: &KeyRing, claims: &VerifiedClaims) -> String {
    let header = Header {
        typ: None,
        kid: Some(ring.signing_key_id().as_str().to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let host = claims.host.map(|host| URL_SAFE_NO_PAD.encode(host.0));
    let payload = JwtPayload {
        sid: claims.sid.expose().into(),
        sub: claims.account,
        iat: claims.confirmed_at.unix_s(),
        exp: claims.expires_at.unix_s(),
        h: host.map(Cow::Owned),
    };
    jsonwebtoken::encode(&header, &payload, ring.signing_key())
        .expect("an HMAC key signs plain data in memory")
}

/// Verifies the signature of a cookie; `None` if it is forged. The caller checks the times.
pub fn verify(ring: &KeyRing, value: &str) -> Option<VerifiedCookie> {
    if value.len() > COOKIE_BYTES_MAX {
        return None;
    }
    let kid = jsonwebtoken::decode_header(value).ok()?.kid?;
    let key = ring.verifying_key(&kid)?;
    let mut validation = Validation::new(Algorithm::HS256);
    // The caller checks the times by its own clock, and the token has no audience.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let payload = jsonwebtoken::decode::<JwtPayload<'static>>(value, key, &validation)
        .ok()?
        .claims;
    let host = match payload.h {
        None => None,
        Some(text) => {
            let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).ok()?;
            Some(HostFingerprint(bytes.try_into().ok()?))
        }
    };
    let claims = VerifiedClaims {
        sid: Sid::parse(&payload.sid)?,
        account: payload.sub,
        confirmed_at: Timestamp::from_unix_s(payload.iat),
        expires_at: Timestamp::from_unix_s(payload.exp),
        host,
    };
    Some(VerifiedCookie {
        claims,
        signed_by_first_key: kid == ring.signing_key_id().as_str(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_ring() -> KeyRing {
        keys::install_crypto();
        KeyRing::new(&[keys::generate()], None).unwrap()
    }

    fn claims_for(host: Option<&str>) -> SessionClaims {
        SessionClaims {
            sid: Sid::random(),
            account: AccountId::new([7; 16]),
            confirmed_at: Timestamp::from_unix_s(1_700_000_000),
            expires_at: Timestamp::from_unix_s(1_700_043_200),
            host: host.map(str::to_owned),
        }
    }

    #[test]
    fn a_signed_cookie_is_verified_and_small() {
        let (ring, claims) = (new_ring(), claims_for(Some("oa.corp.example")));
        let value = sign(&ring, &claims);
        assert!(value.len() <= COOKIE_BYTES_MAX, "{} bytes", value.len());
        let verified = verify(&ring, &value).unwrap();
        assert!(verified.signed_by_first_key);
        assert_eq!(verified.claims.sid, claims.sid);
        assert_eq!(verified.claims.expires_at, claims.expires_at);
        assert_eq!(
            verified.claims.host,
            Some(HostFingerprint::of("oa.corp.example"))
        );
        assert_ne!(
            verified.claims.host,
            Some(HostFingerprint::of("other.corp.example"))
        );
    }

    #[test]
    fn a_forged_cookie_is_refused() {
        let ring = new_ring();
        let value = sign(&ring, &claims_for(None));
        assert!(verify(&new_ring(), &value).is_none());
        let mut bytes = value.into_bytes();
        for index in 0..bytes.len() {
            let original = bytes[index];
            bytes[index] = if original == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes.clone()).unwrap();
            // The last character of a part may hold unused bits; the decoder refuses those too.
            assert!(verify(&ring, &forged).is_none(), "at {index}");
            bytes[index] = original;
        }
        for junk in ["", ".", "..", "a.b.c", &"x".repeat(5000)] {
            assert!(verify(&ring, junk).is_none());
        }
    }

    #[test]
    fn every_algorithm_but_hs256_is_refused() {
        let ring = new_ring();
        let value = sign(&ring, &claims_for(None));
        let payload = value.split('.').nth(1).unwrap();
        for alg in ["none", "HS512", "RS256"] {
            let header = format!(
                "{{\"alg\":\"{alg}\",\"kid\":\"{}\"}}",
                ring.signing_key_id().as_str()
            );
            let forged = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(header));
            assert!(verify(&ring, &forged).is_none(), "{alg}");
        }
    }

    #[test]
    fn a_cookie_of_an_older_key_is_valid_and_signed_again() {
        keys::install_crypto();
        let (old, new) = (keys::generate(), keys::generate());
        let old_ring = KeyRing::new(std::slice::from_ref(&old), None).unwrap();
        let new_ring = KeyRing::new(&[new, old], None).unwrap();
        let verified = verify(&new_ring, &sign(&old_ring, &claims_for(None))).unwrap();
        assert!(!verified.signed_by_first_key);
        assert!(
            verify(&new_ring, &re_sign(&new_ring, &verified.claims))
                .unwrap()
                .signed_by_first_key
        );
    }
}
