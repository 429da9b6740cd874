//! Verification of a signed token (JWS): algorithm, signature, issuer, audience and times.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::keys::Key;
use super::{ClaimError, Claims, Issuer, IssuerError, LEEWAY, Tenant, TokenSender, tenant};
use crate::clock::Timestamp;

/// The longest token that is parsed, in bytes.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// The longest value from a token that an error repeats, in characters.
const VALUE_CHARS_MAX: usize = 80;

/// What a token must fulfil besides the signature of the issuer.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequirements<'a> {
    /// The audiences of which it must have one; an empty list refuses every token.
    pub audiences: &'a [String],
    /// The required `typ` of the header, such as `logout+jwt`.
    pub token_type: Option<&'a str>,
    /// Whether `exp` is required. Logout tokens of older providers have none.
    pub requires_expiry: bool,
    /// Who sent it. An unknown `kid` refetches the keys, and that is limited for each sender.
    pub sender: TokenSender,
}

/// Why a token is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64url with JSON in them, or too long.
    #[error("it is not a signed token")]
    Malformed,
    /// Its header requires an extension that is not implemented (RFC 7515 §4.1.11, `crit`).
    #[error("its header requires an unknown extension")]
    UnknownExtension,
    /// The algorithm is `none`, symmetric or not in the list of accepted ones.
    #[error("its algorithm {found} is not accepted")]
    Algorithm { found: String },
    #[error("its type is {found}")]
    TokenType { found: String },
    #[error("the issuer has no key {kid} for it")]
    UnknownKey { kid: String },
    #[error("its signature is wrong")]
    Signature,
    #[error("it was issued by {found}")]
    Issuer { found: String },
    #[error("its tenant {found} is not allowed: see `tenants`")]
    Tenant { found: String },
    /// It is signed by a key that is only for other tenants.
    #[error("its key does not sign for its tenant")]
    TenantKey,
    #[error("it is for {found}")]
    Audience { found: String },
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYetValid,
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("the keys of its issuer are not available")]
    KeysUnavailable(#[source] IssuerError),
}

/// A verified token, with the parts of its header that a protocol may check.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    pub claims: Claims,
    pub algorithm: Algorithm,
    /// `typ` without the prefix `application/`.
    pub token_type: Option<String>,
    pub tenant: Tenant,
}

/// A token whose signature is right and whose claims are not checked yet.
#[derive(Clone, Debug)]
pub struct SignedToken {
    pub claims: Claims,
    /// `typ` without the prefix `application/`.
    pub token_type: Option<String>,
}

#[derive(Deserialize)]
struct JoseHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
    /// Whether the payload is encoded (RFC 7797). Without `crit` it has no meaning.
    b64: Option<Value>,
}

impl JoseHeader {
    fn token_type(&self) -> Option<&str> {
        let token_type = self.typ.as_deref()?;
        Some(
            token_type
                .strip_prefix("application/")
                .unwrap_or(token_type),
        )
    }
}

impl TokenError {
    /// The error for an `iss` that is not accepted.
    pub fn wrong_issuer(found: &str) -> Self {
        Self::Issuer {
            found: truncated(found),
        }
    }

    /// The error for an `aud` that is not accepted.
    pub fn wrong_audience(found: &[&str]) -> Self {
        Self::Audience {
            found: truncated(&found.join(", ")),
        }
    }

    /// The error for a `typ` that is not accepted.
    pub fn wrong_type(found: &str) -> Self {
        Self::TokenType {
            found: truncated(found),
        }
    }
}

/// Verifies the algorithm, and the signature with any of the keys. The keys may be shared secrets, because
/// the caller names the one algorithm that is accepted. Checks no claim.
pub fn verify_with_keys(
    token: &str,
    algorithm: Algorithm,
    keys: &[DecodingKey],
) -> Result<SignedToken, TokenError> {
    let header = parse_header(token)?;
    if header.alg.parse::<Algorithm>().ok() != Some(algorithm) {
        return Err(TokenError::Algorithm {
            found: truncated(&header.alg),
        });
    }
    let mut result = Err(TokenError::Signature);
    for key in keys {
        result = decode(token, key, algorithm);
        if result.is_ok() {
            break;
        }
    }
    Ok(SignedToken {
        claims: result?,
        token_type: header.token_type().map(truncated),
    })
}

impl Issuer {
    /// Verifies algorithm, signature, issuer, audience and times.
    ///
    /// An unknown `kid` refetches the keys once, within the limits of the sender. Cancel-safe.
    pub async fn verify_token(
        &self,
        token: &str,
        requirements: &TokenRequirements<'_>,
    ) -> Result<VerifiedToken, TokenError> {
        let header = parse_header(token)?;
        let algorithm = self.accepted_algorithm(&header.alg)?;
        let token_type = header.token_type();
        if let Some(required) = requirements.token_type {
            let found = token_type.unwrap_or("none");
            if !found.eq_ignore_ascii_case(required) {
                return Err(TokenError::wrong_type(found));
            }
        }
        let claims = self
            .verify_signature(token, &header, algorithm, requirements.sender)
            .await?;
        let tenant = self.check_claims(&claims, requirements)?;
        Ok(VerifiedToken {
            claims,
            algorithm,
            tenant,
            token_type: token_type.map(truncated),
        })
    }

    /// Verifies algorithm and signature, and no claims: for a source that publishes keys and has no metadata.
    ///
    /// An unknown `kid` refetches the keys once, within the limits of the sender. Cancel-safe.
    pub async fn verify_signature_only(
        &self,
        token: &str,
        sender: TokenSender,
    ) -> Result<SignedToken, TokenError> {
        let header = parse_header(token)?;
        let algorithm = self.accepted_algorithm(&header.alg)?;
        Ok(SignedToken {
            claims: self
                .verify_signature(token, &header, algorithm, sender)
                .await?,
            token_type: header.token_type().map(truncated),
        })
    }

    fn accepted_algorithm(&self, name: &str) -> Result<Algorithm, TokenError> {
        let algorithm = name.parse::<Algorithm>().ok().filter(|algorithm| {
            algorithm.family() != AlgorithmFamily::Hmac
                && self.settings.algorithms.contains(algorithm)
        });
        algorithm.ok_or_else(|| TokenError::Algorithm {
            found: truncated(name),
        })
    }

    async fn verify_signature(
        &self,
        token: &str,
        header: &JoseHeader,
        algorithm: Algorithm,
        sender: TokenSender,
    ) -> Result<Claims, TokenError> {
        let kid = header.kid.as_deref();
        let keys = self.keys(None).await.map_err(TokenError::KeysUnavailable)?;
        if let Some(key) = keys.find(kid, algorithm) {
            return self.decode_with(key, token, algorithm);
        }
        let keys = self.keys(Some(sender)).await;
        let keys = keys.map_err(TokenError::KeysUnavailable)?;
        match keys.find(kid, algorithm) {
            Some(key) => self.decode_with(key, token, algorithm),
            None => Err(TokenError::UnknownKey {
                kid: truncated(kid.unwrap_or("without a name")),
            }),
        }
    }

    /// Checks the claims of an introspection response (RFC 7662), which has no signature. `iss` may be
    /// absent, and `aud` too unless `needs_audience`; if they are present they are checked.
    pub fn check_introspected(
        &self,
        claims: &Claims,
        requirements: &TokenRequirements<'_>,
        needs_audience: bool,
    ) -> Result<Tenant, TokenError> {
        // A multi-tenant issuer must send `iss`, because only that names the tenant.
        let may_lack_iss = claims.get("iss").is_none() && !self.settings.name.serves_tenants();
        let tenant = match may_lack_iss {
            true => Tenant::default(),
            false => self.check_issuer(claims)?,
        };
        if needs_audience || claims.get("aud").is_some() {
            check_audience(claims, requirements.audiences)?;
        }
        self.check_times(claims, requirements.requires_expiry)?;
        Ok(tenant)
    }

    fn check_claims(
        &self,
        claims: &Claims,
        requirements: &TokenRequirements<'_>,
    ) -> Result<Tenant, TokenError> {
        let tenant = self.check_issuer(claims)?;
        check_audience(claims, requirements.audiences)?;
        self.check_times(claims, requirements.requires_expiry)?;
        Ok(tenant)
    }

    /// Checks `iss` and returns the tenant. For a multi-tenant issuer `iss` must hold the tenant that
    /// `tid` names.
    fn check_issuer(&self, claims: &Claims) -> Result<Tenant, TokenError> {
        let issuer = claims.text("iss")?;
        let name = &self.settings.name;
        let wrong_issuer = || TokenError::wrong_issuer(issuer);
        if !name.serves_tenants() {
            return if issuer == name.as_str() {
                Ok(Tenant::default())
            } else {
                Err(wrong_issuer())
            };
        }
        let id = claims.text("tid")?;
        if name.with_tenant(id) != issuer {
            return Err(wrong_issuer());
        }
        self.tenant_of(issuer).ok_or_else(|| TokenError::Tenant {
            found: truncated(id),
        })
    }

    /// Checks the signature, and that the key may sign for the tenant: Entra ID publishes keys with an
    /// `issuer`, of which some belong to a single tenant.
    fn decode_with(
        &self,
        key: &Key,
        token: &str,
        algorithm: Algorithm,
    ) -> Result<Claims, TokenError> {
        let claims = decode(token, &key.decoding_key, algorithm)?;
        if let Some(issuer) = &key.issuer
            && self.settings.name.serves_tenants()
            && issuer.replace(tenant::TENANT_PLACEHOLDER, claims.text("tid")?)
                != claims.text("iss")?
        {
            return Err(TokenError::TenantKey);
        }
        Ok(claims)
    }

    fn check_times(&self, claims: &Claims, requires_expiry: bool) -> Result<(), TokenError> {
        let now = self.clock.now();
        let latest = now.plus(LEEWAY);
        match claims.timestamp("exp")? {
            Some(end) if end.plus(LEEWAY) <= now => return Err(TokenError::Expired),
            None if requires_expiry => return Err(ClaimError("exp").into()),
            Some(_) | None => {}
        }
        let is_early = |at: Option<Timestamp>| at.is_some_and(|at| at > latest);
        if is_early(claims.timestamp("nbf")?) || is_early(claims.timestamp("iat")?) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

fn check_audience(claims: &Claims, audiences: &[String]) -> Result<(), TokenError> {
    let found = claims.texts("aud")?;
    let is_accepted = |aud: &&str| audiences.iter().any(|accepted| accepted == aud);
    if found.iter().any(is_accepted) {
        return Ok(());
    }
    Err(TokenError::wrong_audience(&found))
}

fn parse_header(token: &str) -> Result<JoseHeader, TokenError> {
    let parts = token.split('.').count();
    if token.len() > TOKEN_BYTES_MAX || parts != 3 {
        return Err(TokenError::Malformed);
    }
    let (header, _) = token.split_once('.').ok_or(TokenError::Malformed)?;
    let bytes = URL_SAFE_NO_PAD
        .decode(header)
        .map_err(|_| TokenError::Malformed)?;
    let header: JoseHeader = serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)?;
    match (&header.crit, &header.b64) {
        (None, None) => Ok(header),
        _ => Err(TokenError::UnknownExtension),
    }
}

/// Checks the signature only. `Issuer::check_times` checks the times, by the clock of this process.
fn decode(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, TokenError> {
    let mut only_signature = Validation::new(algorithm);
    only_signature.required_spec_claims.clear();
    only_signature.validate_exp = false;
    only_signature.validate_nbf = false;
    only_signature.validate_aud = false;
    jsonwebtoken::decode::<Map<String, Value>>(token, key, &only_signature)
        .map(|token| Claims::new(token.claims))
        .map_err(|error| match error.kind() {
            // The signature is good, but the payload is not a JSON object.
            ErrorKind::Json(_) => TokenError::Malformed,
            _ => TokenError::Signature,
        })
}

fn truncated(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(VALUE_CHARS_MAX).collect()
}
