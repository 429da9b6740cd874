//! `IdToken`: what the issuer signed about a person, believed after every check of OpenID Connect
//! Core §3.1.3.7; signature, issuer, audience and times are [`Issuer::verify_token`]'s.

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

/// The longest name of a provider's session, of a context or of a method, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// How many authentication methods are kept.
const AMR_MAX: usize = 32;

/// How long ago an ID token may have been issued: a login takes no longer.
const ISSUED_AGE_MAX: Duration = Duration::from_secs(PENDING_AGE_MAX_S);

/// Types of tokens that are not of a login.
const OTHER_TOKEN_TYPES: [&str; 2] = ["logout+jwt", "at+jwt"];

/// What an ID token must fit.
#[derive(Clone, Copy)]
pub(super) struct ExpectedIdToken<'a> {
    /// Whom it is for.
    pub(super) client_id: &'a str,
    /// The access token that came with it.
    pub(super) access_token: &'a Secret<String>,
    /// What asked for it.
    pub(super) origin: IdTokenOrigin<'a>,
}

/// What asked for an ID token.
#[derive(Clone, Copy)]
pub(super) enum IdTokenOrigin<'a> {
    /// A login, with this code.
    Login(&'a Pending, &'a str),
    /// A refresh, about this person.
    Refresh(&'a Subject),
}

/// An ID token that counts.
#[derive(Debug)]
pub(super) struct IdToken {
    /// Who it is about.
    pub(super) subject: Subject,
    /// What it says.
    pub(super) claims: Claims,
    /// What the login proved besides.
    pub(super) proof: AuthContext,
    /// The session's name at the provider.
    pub(super) provider_sid: Option<String>,
}

/// Why an ID token does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdTokenError {
    #[error("the provider answered without an ID token")]
    Missing,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("its type is another's")]
    TokenType,
    #[error("it is for several, and does not say who asked for it")]
    MissingParty,
    #[error("somebody else asked for it")]
    WrongParty,
    #[error("its nonce is not that of this login")]
    Nonce,
    #[error("it was issued with another access token")]
    AccessHash,
    #[error("it was issued for another code")]
    CodeHash,
    #[error("it was issued too long ago")]
    TooOld,
    #[error("it is about somebody else than before")]
    WrongSubject,
    #[error("it does not say when the person proved themselves, although that was asked for")]
    MissingAuthTime,
    #[error("the person proved themselves longer ago than was asked for")]
    AuthTooOld,
}

impl IdTokenError {
    /// What it means while somebody logs in.
    pub(super) fn into_login_error(self) -> ConnectorError {
        match self {
            Self::Token(TokenError::KeysUnavailable(error)) => errors::from_issuer(error),
            weak @ (Self::MissingAuthTime | Self::AuthTooOld) => {
                errors::unproven("the ID token", &weak)
            }
            other => errors::refused("the ID token", &other),
        }
    }

    /// Whether it says nothing of the person: keys are not there, or clocks lie apart.
    pub(super) fn is_temporary(&self) -> bool {
        let passing = [
            matches!(self, Self::Token(TokenError::KeysUnavailable(_))),
            matches!(self, Self::Token(TokenError::UnknownKey { .. })),
            matches!(
                self,
                Self::Token(TokenError::Expired | TokenError::NotYetValid)
            ),
            matches!(self, Self::TooOld),
        ];
        passing.contains(&true)
    }
}

/// Verifies an ID token; asks for the issuer's keys when they are not known. Cancel-safe.
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
    let kind = verified.token_type.as_deref().unwrap_or_default();
    if OTHER_TOKEN_TYPES
        .iter()
        .any(|other| kind.eq_ignore_ascii_case(other))
    {
        return Err(IdTokenError::TokenType);
    }
    check_party(claims, expected.client_id)?;
    let subject = subject(&verified)?;
    let issued_at = claims.timestamp("iat")?.ok_or(ClaimError("iat"))?;
    if now.since(issued_at) > ISSUED_AGE_MAX + LEEWAY {
        return Err(IdTokenError::TooOld);
    }
    let hash_fits = |name: &str, text: &str| match claims.get(name) {
        None => true,
        Some(said) => {
            let own = token_hash(verified.algorithm, text);
            own.is_some_and(|own| said.as_str() == Some(&own))
        }
    };
    if !hash_fits("at_hash", expected.access_token.expose()) {
        return Err(IdTokenError::AccessHash);
    }
    match expected.origin {
        IdTokenOrigin::Refresh(before) if *before != subject => {
            return Err(IdTokenError::WrongSubject);
        }
        IdTokenOrigin::Refresh(_) => {}
        IdTokenOrigin::Login(pending, code) => {
            if !hash_fits("c_hash", code) {
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
        proof: authentication_proof(claims, now),
        provider_sid: short_text(claims.get("sid")).map(|sid| verified.tenant.qualify(&sid)),
        claims: verified.claims,
    })
}

/// Whether it was issued to us: `azp`, which must be there when it is for several.
fn check_party(claims: &Claims, client_id: &str) -> Result<(), IdTokenError> {
    let several = claims.texts("aud")?.len() > 1;
    match claims.get("azp") {
        None if several => Err(IdTokenError::MissingParty),
        None => Ok(()),
        Some(party) if party.as_str() == Some(client_id) => Ok(()),
        Some(_) => Err(IdTokenError::WrongParty),
    }
}

/// Whether the person proved themselves as lately as this login asked for. Measured from the
/// begin: what they did since then is fresh, however long it took.
fn check_auth_time(claims: &Claims, pending: &Pending, now: Timestamp) -> Result<(), IdTokenError> {
    let Some(max_age) = pending.max_age else {
        return Ok(());
    };
    let at = claims.timestamp("auth_time")?;
    let at = at.ok_or(IdTokenError::MissingAuthTime)?;
    if at > now.plus(LEEWAY) {
        return Err(TokenError::NotYetValid.into());
    }
    let good_until = at.plus(Duration::from_secs(u64::from(max_age)) + LEEWAY);
    if good_until < pending.begun_at {
        return Err(IdTokenError::AuthTooOld);
    }
    Ok(())
}

/// The subject a token names: two tenants may give two people the same `sub`.
pub(super) fn subject(verified: &VerifiedToken) -> Result<Subject, ClaimError> {
    let text = verified.claims.text("sub")?;
    if text.len() > SUBJECT_BYTES_MAX {
        return Err(ClaimError("sub"));
    }
    Subject::try_from(verified.tenant.qualify(text)).map_err(|_| ClaimError("sub"))
}

/// A name of the provider's, when it is one.
pub(super) fn short_text(value: Option<&Value>) -> Option<String> {
    let text = value.and_then(Value::as_str)?;
    let sound = !text.is_empty() && !text.chars().any(char::is_control);
    (sound && text.len() <= NAME_BYTES_MAX).then(|| text.to_owned())
}

/// What the login proved besides. An issuer says when somebody proved themselves if it is asked: what
/// it did not say, and a moment that lies ahead, is never fresh.
fn authentication_proof(claims: &Claims, now: Timestamp) -> AuthContext {
    let methods: Vec<_> = match claims.get("amr") {
        Some(Value::Array(methods)) => methods
            .iter()
            .filter_map(|one| short_text(Some(one)))
            .collect(),
        other => short_text(other).into_iter().collect(),
    };
    let at = claims.timestamp("auth_time").ok().flatten();
    AuthContext {
        acr: short_text(claims.get("acr")),
        amr: methods.into_iter().take(AMR_MAX).collect(),
        auth_time: at
            .filter(|at| *at <= now.plus(LEEWAY))
            .or(Some(Timestamp::from_unix_s(0))),
    }
}

/// Compares without telling by the time it takes where they differ.
fn equals_in_constant_time(said: &str, own: &str) -> bool {
    let hash = |text: &str| keys::fingerprint(&[text.as_bytes()]);
    aws_lc_rs::constant_time::verify_slices_are_equal(&hash(said), &hash(own)).is_ok()
}

/// What an ID token says that counted when it came and was kept since; not verified again.
pub(super) fn decode_unverified(token: &Secret<String>) -> Option<Map<String, Value>> {
    let claims = token.expose().split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests;
