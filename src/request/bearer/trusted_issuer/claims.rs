//! Reads the claims of verified tokens.

use serde_json::Value;

use super::TrustedIssuer;
use crate::expression::Document;
use crate::issuer::{ClaimError, Claims, LEEWAY, Tenant};
use crate::people::profile::AuthContext;
use crate::people::token_sessions::PresentedToken;
use crate::request::bearer::{Refusal, VerifiedToken, token};
use crate::secret::Secret;
use crate::store::Subject;

impl TrustedIssuer {
    /// The verified token of a person. Its `iat` is required for the comparison with logouts. Its
    /// lifetime is limited because logouts are stored only as long as `token_life_max`.
    pub(super) fn presented_token(
        &self,
        token: &str,
        claims: &Claims,
        tenant: &Tenant,
    ) -> Result<PresentedToken, Refusal> {
        let required_timestamp = |name| {
            let timestamp = claims
                .timestamp(name)
                .and_then(|at| at.ok_or(ClaimError(name)));
            timestamp.map_err(Refusal::claim)
        };
        let (issued_at, ends_at) = (required_timestamp("iat")?, required_timestamp("exp")?);
        let age = self.clock.now().since(issued_at).saturating_sub(LEEWAY);
        let life = ends_at.since(issued_at).max(age);
        let max = self.config.token_life_max.duration();
        if life > max {
            return Err(Refusal::LongLived { life, max });
        }
        Ok(PresentedToken {
            token: Secret::new(token.to_owned()),
            canonical: Secret::new(token::canonical_id(token, claims)),
            claims: claims.clone().into_map(),
            tenant: tenant.clone(),
            auth_context: self.auth_context(claims),
            issued_at,
            ends_at: ends_at.plus(LEEWAY),
        })
    }

    /// The verified token with these claims; its `holder` is not loaded yet.
    pub(super) fn verified_token(
        &self,
        claims: Claims,
        tenant: &Tenant,
    ) -> Result<VerifiedToken, Refusal> {
        // Some tokens of programs name only the client to which they were issued.
        let subject_claims = ["sub", "client_id", "azp"];
        let claim = subject_claims
            .into_iter()
            .find(|name| claims.get(name).is_some());
        let subject = claims
            .text(claim.unwrap_or("sub"))
            .map_err(Refusal::claim)?;
        let subject =
            Subject::try_from(tenant.qualify(subject)).map_err(|_| Refusal::InvalidSubject)?;
        let scopes = token::scopes(&claims).map_err(Refusal::claim)?;
        let expires_at = claims.timestamp("exp").map_err(Refusal::claim)?;
        let auth_context = self.auth_context(&claims);
        let mut claims = claims.into_map();
        let issuer = Value::String(self.config.url.as_str().to_owned());
        claims.entry("iss").or_insert(issuer);
        Ok(VerifiedToken {
            issuer: self.id.clone(),
            subject,
            scopes,
            claims: Document::from(&Value::Object(claims)),
            auth_context,
            expires_at,
            holder: None,
        })
    }

    /// How the token's subject authenticated, as far as its claims show. An `auth_time` in the future
    /// is ignored.
    fn auth_context(&self, claims: &Claims) -> AuthContext {
        let latest = self.clock.now().plus(LEEWAY);
        let auth_time = claims.timestamp("auth_time").ok().flatten();
        let amr = claims.texts("amr").unwrap_or_default().into_iter();
        AuthContext {
            acr: claims.text("acr").ok().map(str::to_owned),
            amr: amr.map(str::to_owned).collect(),
            auth_time: auth_time.filter(|at| *at <= latest),
            vouched_until: None,
        }
    }
}
