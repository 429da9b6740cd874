//! `IdToken`: the checks of OpenID Connect Core §3.1.3.7. [`Issuer::verify_token`] checks signature,
//! issuer, audience and times; this file checks the rest.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::super::ConnectorError;
use super::errors;
use crate::clock::{Clock, Timestamp};
use crate::issuer::{
    ClaimError, Claims, Issuer, LEEWAY, TokenError, TokenRequirements, TokenSender, VerifiedToken,
    token_hash,
};
use crate::keys;
use crate::login::pending::{PENDING_AGE_MAX_S, Pending};
use crate::people::profile::AuthContext;
use crate::secret::Secret;
use crate::store::Subject;

/// The longest subject, in bytes (OpenID Connect Core §2).
const SUBJECT_BYTES_MAX: usize = 255;

/// The longest `sid`, `jti`, `acr` or `amr` value, in bytes.
const SHORT_TEXT_BYTES_MAX: usize = 255;

/// The number of authentication methods (`amr`) that are kept.
const AMR_MAX: usize = 32;

/// The longest time since an ID token was issued: the longest time a login may take.
const ISSUED_AGE_MAX: Duration = Duration::from_secs(PENDING_AGE_MAX_S);

/// The `typ` of tokens that the same issuer signs and that are no ID tokens.
const OTHER_TOKEN_TYPES: [&str; 2] = ["logout+jwt", "at+jwt"];

/// What an ID token must match.
#[derive(Clone, Copy)]
pub(super) struct ExpectedIdToken<'a> {
    pub(super) client_id: &'a str,
    /// The access token of the same response.
    pub(super) access_token: &'a Secret<String>,
    pub(super) origin: IdTokenOrigin<'a>,
}

/// The request whose response contains an ID token.
#[derive(Clone, Copy)]
pub(super) enum IdTokenOrigin<'a> {
    /// A login, and its code.
    Login(&'a Pending, &'a str),
    /// A refresh of the session of this person.
    Refresh(&'a Subject),
}

/// A valid ID token.
#[derive(Debug)]
pub(super) struct IdToken {
    pub(super) subject: Subject,
    pub(super) claims: Claims,
    /// How and when the person authenticated.
    pub(super) auth_context: AuthContext,
    /// The `sid` of the provider's session.
    pub(super) provider_sid: Option<String>,
}

/// Why an ID token is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdTokenError {
    #[error("the provider answered without an ID token")]
    Missing,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("its `typ` is not that of an ID token")]
    TokenType,
    #[error("it is for several audiences and has no `azp`")]
    MissingAuthorizedParty,
    #[error("it was issued to another client (`azp`)")]
    WrongAuthorizedParty,
    #[error("its nonce is not that of this login")]
    Nonce,
    #[error("it was issued with another access token")]
    AccessHash,
    #[error("it was issued for another code")]
    CodeHash,
    #[error("it was issued too long ago")]
    TooOld,
    #[error("it is about another person than the ID token of the login")]
    WrongSubject,
    #[error("it has no `auth_time`, although the login requested a `max_age`")]
    MissingAuthTime,
    #[error("the person authenticated longer ago than the login allows")]
    AuthTooOld,
}

impl IdTokenError {
    pub(super) fn into_login_error(self) -> ConnectorError {
        match self {
            Self::Token(TokenError::KeysUnavailable(error)) => errors::from_issuer(error),
            error @ (Self::MissingAuthTime | Self::AuthTooOld) => {
                errors::insufficient_auth("the ID token", &error)
            }
            other => errors::invalid_response("the ID token", &other),
        }
    }

    /// Whether a later token of the same person may be valid, because keys are not available or clocks
    /// differ.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::TooOld
                | Self::Token(
                    TokenError::KeysUnavailable(_)
                        | TokenError::UnknownKey { .. }
                        | TokenError::Expired
                        | TokenError::NotYetValid
                )
        )
    }
}

/// Verifies an ID token. Fetches the keys of the issuer if it needs them. Cancel-safe.
pub(super) async fn verify(
    issuer: &Issuer,
    clock: &Clock,
    token: &Secret<String>,
    expected: ExpectedIdToken<'_>,
) -> Result<IdToken, IdTokenError> {
    let audiences = [expected.client_id.to_owned()];
    let requirements = TokenRequirements {
        audiences: &audiences,
        token_type: None,
        requires_expiry: true,
        sender: TokenSender::Provider,
    };
    let verified = issuer.verify_token(token.expose(), &requirements).await?;
    check_claims(verified, expected, clock.now())
}

fn check_claims(
    verified: VerifiedToken,
    expected: ExpectedIdToken<'_>,
    now: Timestamp,
) -> Result<IdToken, IdTokenError> {
    let claims = &verified.claims;
    let token_type = verified.token_type.as_deref().unwrap_or_default();
    if OTHER_TOKEN_TYPES
        .iter()
        .any(|other| token_type.eq_ignore_ascii_case(other))
    {
        return Err(IdTokenError::TokenType);
    }
    check_authorized_party(claims, expected.client_id)?;
    let subject = subject(&verified)?;
    let issued_at = claims.timestamp("iat")?.ok_or(ClaimError("iat"))?;
    if now.since(issued_at) > ISSUED_AGE_MAX + LEEWAY {
        return Err(IdTokenError::TooOld);
    }
    let hash_matches = |name: &str, text: &str| match claims.get(name) {
        None => true,
        Some(claimed) => {
            let hash = token_hash(verified.algorithm, text);
            hash.is_some_and(|hash| claimed.as_str() == Some(&hash))
        }
    };
    if !hash_matches("at_hash", expected.access_token.expose()) {
        return Err(IdTokenError::AccessHash);
    }
    match expected.origin {
        IdTokenOrigin::Refresh(expected) if *expected != subject => {
            return Err(IdTokenError::WrongSubject);
        }
        IdTokenOrigin::Refresh(_) => {}
        IdTokenOrigin::Login(pending, code) => {
            if !hash_matches("c_hash", code) {
                return Err(IdTokenError::CodeHash);
            }
            let nonce = claims.get("nonce").and_then(Value::as_str);
            if !nonce.is_some_and(|nonce| equals_in_constant_time(nonce, &pending.nonce)) {
                return Err(IdTokenError::Nonce);
            }
            check_auth_time(claims, pending, now)?;
        }
    }
    Ok(IdToken {
        subject,
        auth_context: auth_context_of(claims, now),
        provider_sid: short_text(claims.get("sid")).map(|sid| verified.tenant.qualify(&sid)),
        claims: verified.claims,
    })
}

/// Checks the authorized party (`azp`). It is required for a token with several audiences.
fn check_authorized_party(claims: &Claims, client_id: &str) -> Result<(), IdTokenError> {
    let has_several_audiences = claims.texts("aud")?.len() > 1;
    match claims.get("azp") {
        None if has_several_audiences => Err(IdTokenError::MissingAuthorizedParty),
        None => Ok(()),
        Some(party) if party.as_str() == Some(client_id) => Ok(()),
        Some(_) => Err(IdTokenError::WrongAuthorizedParty),
    }
}

/// Checks that the person authenticated within the `max_age` of the login. It is counted back from
/// the start of the login, because the login itself may take long.
fn check_auth_time(claims: &Claims, pending: &Pending, now: Timestamp) -> Result<(), IdTokenError> {
    let Some(max_age) = pending.max_age else {
        return Ok(());
    };
    let auth_time = claims.timestamp("auth_time")?;
    let auth_time = auth_time.ok_or(IdTokenError::MissingAuthTime)?;
    if auth_time > now.plus(LEEWAY) {
        return Err(TokenError::NotYetValid.into());
    }
    let valid_until = auth_time.plus(Duration::from_secs(u64::from(max_age)) + LEEWAY);
    if valid_until < pending.begun_at {
        return Err(IdTokenError::AuthTooOld);
    }
    Ok(())
}

/// The subject: `sub` with the tenant, because two tenants may use the same `sub`.
pub(super) fn subject(verified: &VerifiedToken) -> Result<Subject, ClaimError> {
    let text = verified.claims.text("sub")?;
    if text.len() > SUBJECT_BYTES_MAX {
        return Err(ClaimError("sub"));
    }
    Subject::try_from(verified.tenant.qualify(text)).map_err(|_| ClaimError("sub"))
}

/// A string that is not empty, not too long and without control characters.
pub(super) fn short_text(value: Option<&Value>) -> Option<String> {
    let text = value.and_then(Value::as_str)?;
    let is_valid = !text.is_empty() && !text.chars().any(char::is_control);
    (is_valid && text.len() <= SHORT_TEXT_BYTES_MAX).then(|| text.to_owned())
}

/// How and when the person authenticated. Without an `auth_time`, or with one in the future, the
/// authentication counts as old.
fn auth_context_of(claims: &Claims, now: Timestamp) -> AuthContext {
    let methods: Vec<_> = match claims.get("amr") {
        Some(Value::Array(methods)) => methods
            .iter()
            .filter_map(|one| short_text(Some(one)))
            .collect(),
        other => short_text(other).into_iter().collect(),
    };
    let auth_time = claims.timestamp("auth_time").ok().flatten();
    AuthContext {
        acr: short_text(claims.get("acr")),
        amr: methods.into_iter().take(AMR_MAX).collect(),
        auth_time: auth_time
            .filter(|auth_time| *auth_time <= now.plus(LEEWAY))
            .or(Some(Timestamp::from_unix_s(0))),
        vouched_until: None,
    }
}

fn equals_in_constant_time(one: &str, other: &str) -> bool {
    let hash = |text: &str| keys::fingerprint(&[text.as_bytes()]);
    aws_lc_rs::constant_time::verify_slices_are_equal(&hash(one), &hash(other)).is_ok()
}

/// The claims of a stored ID token, which was verified when it was received.
pub(super) fn decode_unverified(token: &Secret<String>) -> Option<Map<String, Value>> {
    let claims = token.expose().split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests;
