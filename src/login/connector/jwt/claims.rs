//! `ClaimRequirements`: the claims of a token whose signature is verified (RFC 7519 §4.1).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Config;
use super::refusal::TokenRefusal;
use crate::clock::Timestamp;
use crate::issuer::{ClaimError, Claims, SignedToken, TokenError};
use crate::keys;

/// The `typ` of a token. Another value means that the token was signed for another purpose.
const TOKEN_TYPE: &str = "JWT";

/// What the claims of a token must fulfil.
#[derive(Debug)]
pub(super) struct ClaimRequirements {
    /// The required `iss`; absent: it is not checked.
    issuer: Option<String>,
    /// The required `aud`; absent: a token must have none.
    audience: Option<String>,
    lifetime_max: Duration,
    clock_skew: Duration,
}

/// A token that is accepted, if it was not used before.
pub(super) struct AcceptedToken {
    pub(super) claims: Claims,
    /// The ID by which the token is accepted once.
    pub(super) id: String,
    /// Until when the token would be accepted again.
    pub(super) accepted_until: Timestamp,
    /// When the person proved at the portal who they are, if the token says so.
    pub(super) auth_time: Option<Timestamp>,
}

impl ClaimRequirements {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            lifetime_max: config.lifetime_max.duration(),
            clock_skew: config.clock_skew.duration(),
        }
    }

    /// Checks the claims of `token`, whose signature is verified.
    pub(super) fn check(
        &self,
        token: &str,
        verified: SignedToken,
        now: Timestamp,
    ) -> Result<AcceptedToken, TokenRefusal> {
        let SignedToken { claims, token_type } = verified;
        if let Some(found) = token_type.filter(|found| !found.eq_ignore_ascii_case(TOKEN_TYPE)) {
            return Err(TokenError::wrong_type(&found).into());
        }
        self.check_issuer(&claims)?;
        self.check_audience(&claims)?;
        let expires_at = self.check_times(&claims, now)?;
        let auth_time = self.auth_time(&claims, now)?;
        Ok(AcceptedToken {
            auth_time,
            id: token_id(token, &claims)?,
            accepted_until: expires_at.plus(self.clock_skew),
            claims,
        })
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), TokenError> {
        let Some(expected) = &self.issuer else {
            return Ok(());
        };
        match claims.text("iss")? {
            found if found == expected => Ok(()),
            found => Err(TokenError::wrong_issuer(found)),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), TokenRefusal> {
        let Some(expected) = &self.audience else {
            // It is for somebody, and nobody has said that this is menshen.
            return match claims.get("aud") {
                None => Ok(()),
                Some(_) => Err(TokenRefusal::UnexpectedAudience),
            };
        };
        let found = claims.texts("aud")?;
        match found.contains(&expected.as_str()) {
            true => Ok(()),
            false => Err(TokenError::wrong_audience(&found).into()),
        }
    }

    /// When the person authenticated (`auth_time` of OpenID Connect Core §2). A clock difference makes nobody
    /// authenticate in the future.
    fn auth_time(
        &self,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, TokenRefusal> {
        match claims.timestamp("auth_time")? {
            Some(at) if at > now.plus(self.clock_skew) => Err(TokenRefusal::FutureAuthTime),
            at => Ok(at.map(|at| at.min(now))),
        }
    }

    /// Checks the times, and returns when the token expires.
    fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<Timestamp, TokenRefusal> {
        let expires_at = claims.timestamp("exp")?.ok_or(ClaimError("exp"))?;
        if expires_at.plus(self.clock_skew) <= now {
            return Err(TokenError::Expired.into());
        }
        let latest = now.plus(self.clock_skew);
        let issued_at = claims.timestamp("iat")?;
        let is_early = |at: Option<Timestamp>| at.is_some_and(|at| at > latest);
        if is_early(claims.timestamp("nbf")?) || is_early(issued_at) {
            return Err(TokenError::NotYetValid.into());
        }
        let (lifetime, lifetime_max) = match issued_at {
            Some(issued_at) => (expires_at.since(issued_at), self.lifetime_max),
            // The clocks may differ.
            None => (expires_at.since(now), self.lifetime_max + self.clock_skew),
        };
        if lifetime > lifetime_max {
            return Err(TokenRefusal::LongLifetime);
        }
        Ok(expires_at)
    }
}

/// The ID by which a token is accepted once: `jti`, else the hash of what is signed. The signature is not
/// part of the hash, because another valid ECDSA signature can be computed from each one.
fn token_id(token: &str, claims: &Claims) -> Result<String, ClaimError> {
    if claims.get("jti").is_some() {
        return Ok(format!("jti {}", claims.text("jti")?));
    }
    let signed = token
        .rsplit_once('.')
        .map_or(token, |(signed, _signature)| signed);
    let hash = keys::fingerprint(&[signed.as_bytes()]);
    Ok(format!("hash {}", URL_SAFE_NO_PAD.encode(hash)))
}
