//! Verifying: is this text a token that this issuer signed, for us, and now?

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::keys::Key;
use super::{ClaimError, Claims, Issuer, IssuerError, LEEWAY, Tenant, TokenSender, tenant};
use crate::clock::Timestamp;

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// The longest foreign name an error repeats, in characters.
const NAME_CHARS_MAX: usize = 80;

/// What a token must be besides signed by the issuer.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequirements<'a> {
    /// For one of these; an empty list lets nothing pass.
    pub audiences: &'a [String],
    /// Its type in the head (`typ`), where it must have one: `logout+jwt`.
    pub token_type: Option<&'a str>,
    /// Whether it must say when it ends. Only a logout token of an older provider may not.
    pub requires_expiry: bool,
    /// Who brought it: on their account the keys are asked for again when it names an unknown one.
    pub sender: TokenSender,
}

/// Why a text is no token that counts.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64url with JSON in them, or too long.
    #[error("it is no signed token")]
    Malformed,
    /// Its head demands an extension we do not speak (RFC 7515 §4.1.11).
    #[error("it demands an extension that is not known")]
    UnknownExtension,
    /// An algorithm that does not count: none, a symmetric one, one that is not pinned.
    #[error("its algorithm {said} does not count here")]
    Algorithm {
        /// What it says, bounded.
        said: String,
    },
    /// Its type is another.
    #[error("its type is {said}")]
    Kind {
        /// What it says, bounded.
        said: String,
    },
    /// The issuer has no such key.
    #[error("the issuer has no key {kid} for it")]
    UnknownKey {
        /// What it says, bounded.
        kid: String,
    },
    /// The signature does not fit.
    #[error("its signature does not fit")]
    Signature,
    /// Another issuer's.
    #[error("it was issued by {said}")]
    Issuer {
        /// What it says, bounded.
        said: String,
    },
    /// Of a tenant whose tokens do not count.
    #[error("it is of the tenant {said}, which does not count here: see `tenants`")]
    Tenant {
        /// What it says, bounded.
        said: String,
    },
    /// Signed by a key that signs for other tenants.
    #[error("its key does not sign for its tenant")]
    TenantKey,
    /// For somebody else.
    #[error("it is for {said}")]
    Audience {
        /// What it says, bounded.
        said: String,
    },
    /// Over.
    #[error("it has expired")]
    Expired,
    /// From the future.
    #[error("it is not valid yet")]
    NotYetValid,
    /// A claim.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Whether it counts could not be found out.
    #[error("its issuer's keys are not known")]
    KeysUnavailable(#[source] IssuerError),
}

/// What was verified, with what its head says that a protocol may still look at.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    /// What it says.
    pub claims: Claims,
    /// What signed it.
    pub algorithm: Algorithm,
    /// Its type (`typ`), without the `application/` before it.
    pub token_type: Option<String>,
    /// Whose it is, where the issuer serves many tenants.
    pub tenant: Tenant,
}

#[derive(Deserialize)]
struct JoseHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl Issuer {
    /// Verifies signature, issuer, audience and times; answers the claims.
    ///
    /// A key of an unknown name is asked for once more, as often as the throttle allows.
    /// Cancel-safe.
    pub async fn verify(
        &self,
        token: &str,
        requirements: &TokenRequirements<'_>,
    ) -> Result<Claims, TokenError> {
        let verified = self.verify_token(token, requirements).await?;
        Ok(verified.claims)
    }

    /// The same; answers what the head says, too. Cancel-safe.
    pub async fn verify_token(
        &self,
        token: &str,
        requirements: &TokenRequirements<'_>,
    ) -> Result<VerifiedToken, TokenError> {
        let head = head_of(token)?;
        let algorithm = self.pinned(&head.alg)?;
        let kind = head.typ.as_deref();
        let kind = kind.map(|said| said.strip_prefix("application/").unwrap_or(said));
        if let Some(wanted) = requirements.token_type {
            let said = kind.unwrap_or("none");
            if !said.eq_ignore_ascii_case(wanted) {
                return Err(TokenError::Kind {
                    said: bounded(said),
                });
            }
        }
        let claims = self
            .signed(token, &head, algorithm, requirements.sender)
            .await?;
        let tenant = self.judge(&claims, requirements)?;
        Ok(VerifiedToken {
            claims,
            algorithm,
            tenant,
            token_type: kind.map(bounded),
        })
    }

    fn pinned(&self, said: &str) -> Result<Algorithm, TokenError> {
        let algorithm = said.parse::<Algorithm>().ok().filter(|algorithm| {
            algorithm.family() != AlgorithmFamily::Hmac
                && self.settings.algorithms.contains(algorithm)
        });
        algorithm.ok_or_else(|| TokenError::Algorithm {
            said: bounded(said),
        })
    }

    async fn signed(
        &self,
        token: &str,
        head: &JoseHeader,
        algorithm: Algorithm,
        sender: TokenSender,
    ) -> Result<Claims, TokenError> {
        let kid = head.kid.as_deref();
        let keys = self.keys(None).await.map_err(TokenError::KeysUnavailable)?;
        if let Some(key) = keys.find(kid, algorithm) {
            return self.decode(token, key, algorithm);
        }
        let keys = self.keys(Some(sender)).await;
        let keys = keys.map_err(TokenError::KeysUnavailable)?;
        match keys.find(kid, algorithm) {
            Some(key) => self.decode(token, key, algorithm),
            None => Err(TokenError::UnknownKey {
                kid: bounded(kid.unwrap_or("without a name")),
            }),
        }
    }

    /// Judges claims this issuer vouches for without a signature: what it answered when it was
    /// asked about a token. An issuer or audience that is missing is held against them only when
    /// `needs_audience` says so; what is there must fit.
    pub fn check_introspected(
        &self,
        claims: &Claims,
        requirements: &TokenRequirements<'_>,
        needs_audience: bool,
    ) -> Result<Tenant, TokenError> {
        // Without its name nobody knows of which tenant it is.
        let unnamed = claims.get("iss").is_none() && !self.settings.name.serves_tenants();
        let tenant = match unnamed {
            true => Tenant::default(),
            false => self.is_ours(claims)?,
        };
        if needs_audience || claims.get("aud").is_some() {
            is_for(claims, requirements.audiences)?;
        }
        self.is_in_time(claims, requirements.requires_expiry)?;
        Ok(tenant)
    }

    fn judge(
        &self,
        claims: &Claims,
        requirements: &TokenRequirements<'_>,
    ) -> Result<Tenant, TokenError> {
        let tenant = self.is_ours(claims)?;
        is_for(claims, requirements.audiences)?;
        self.is_in_time(claims, requirements.requires_expiry)?;
        Ok(tenant)
    }

    /// Whether this issuer says so, and for which tenant: the one that `tid` names, whose id must
    /// stand in the issuer's name, too. Both are compared when the signature has been checked.
    fn is_ours(&self, claims: &Claims) -> Result<Tenant, TokenError> {
        let issuer = claims.text("iss")?;
        let name = &self.settings.name;
        let other = || TokenError::Issuer {
            said: bounded(issuer),
        };
        if !name.serves_tenants() {
            return if issuer == name.as_str() {
                Ok(Tenant::default())
            } else {
                Err(other())
            };
        }
        let id = claims.text("tid")?;
        if name.with_tenant(id) != issuer {
            return Err(other());
        }
        self.tenant_of(issuer)
            .ok_or_else(|| TokenError::Tenant { said: bounded(id) })
    }

    /// Checks the signature, and whether the key signs for the token's issuer: among the keys of many
    /// tenants some are of one alone, and say so (Entra ID's `issuer` of a key).
    fn decode(&self, token: &str, key: &Key, algorithm: Algorithm) -> Result<Claims, TokenError> {
        let claims = decode(token, &key.verifying, algorithm)?;
        if let Some(signs_for) = &key.issuer
            && self.settings.name.serves_tenants()
            && signs_for.replace(tenant::TENANT_PLACEHOLDER, claims.text("tid")?)
                != claims.text("iss")?
        {
            return Err(TokenError::TenantKey);
        }
        Ok(claims)
    }

    fn is_in_time(&self, claims: &Claims, requires_expiry: bool) -> Result<(), TokenError> {
        let now = self.clock.now();
        let ahead = now.plus(LEEWAY);
        match claims.timestamp("exp")? {
            Some(end) if end.plus(LEEWAY) <= now => return Err(TokenError::Expired),
            None if requires_expiry => return Err(ClaimError("exp").into()),
            Some(_) | None => {}
        }
        let early = |at: Option<Timestamp>| at.is_some_and(|at| at > ahead);
        if early(claims.timestamp("nbf")?) || early(claims.timestamp("iat")?) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

fn is_for(claims: &Claims, audiences: &[String]) -> Result<(), TokenError> {
    let audience = claims.texts("aud")?;
    let ours = |aud: &&str| audiences.iter().any(|own| own == aud);
    if audience.iter().any(ours) {
        return Ok(());
    }
    Err(TokenError::Audience {
        said: bounded(&audience.join(", ")),
    })
}

fn head_of(token: &str) -> Result<JoseHeader, TokenError> {
    let parts = token.split('.').count();
    if token.len() > TOKEN_BYTES_MAX || parts != 3 {
        return Err(TokenError::Malformed);
    }
    let (head, _) = token.split_once('.').ok_or(TokenError::Malformed)?;
    let bytes = URL_SAFE_NO_PAD
        .decode(head)
        .map_err(|_| TokenError::Malformed)?;
    let head: JoseHeader = serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)?;
    match head.crit {
        Some(_) => Err(TokenError::UnknownExtension),
        None => Ok(head),
    }
}

/// Checks the signature and nothing else; the claims are judged by our own clock.
fn decode(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, TokenError> {
    let mut only_signature = Validation::new(algorithm);
    only_signature.required_spec_claims.clear();
    only_signature.validate_exp = false;
    only_signature.validate_nbf = false;
    only_signature.validate_aud = false;
    jsonwebtoken::decode::<Map<String, Value>>(token, key, &only_signature)
        .map(|token| Claims::new(token.claims))
        .map_err(|error| match error.kind() {
            // Signed, but what was signed are no claims.
            ErrorKind::Json(_) => TokenError::Malformed,
            _ => TokenError::Signature,
        })
}

fn bounded(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(NAME_CHARS_MAX).collect()
}
