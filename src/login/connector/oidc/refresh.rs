//! Refresh of a session: refresh token, ID token and userinfo (OpenID Connect Core §12).

use std::error::Error;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::super::SourceRefusal;
use super::super::grant::TokenResponse;
use super::id_token::{self, ExpectedIdToken, IdTokenOrigin};
use super::{Oidc, userinfo};
use crate::issuer::Metadata;
use crate::people::provider_tokens::{ProviderTokens, RefreshError, RefreshResponse, TokenRefresh};
use crate::secret::Secret;
use crate::store::Subject;

/// The tokens after a refresh.
struct RefreshResult {
    tokens: ProviderTokens,
    /// The claims of the newest valid ID token.
    claims: Option<Map<String, Value>>,
    /// Whether that ID token came with this refresh.
    has_new_id_token: bool,
}

#[async_trait]
impl TokenRefresh for Oidc {
    /// Without a refresh token the access token is used until it expires. New tokens are returned even
    /// if userinfo cannot be fetched, because the old refresh token is used up. A new access token has not
    /// expired yet: its lifetime is at least a second and counts from here.
    async fn refresh(
        &self,
        subject: &Subject,
        tokens: &ProviderTokens,
    ) -> Result<RefreshResponse, RefreshError> {
        let metadata = self.metadata().await.map_err(unavailable)?;
        let refreshed = match &tokens.refresh {
            Some(refresh) => {
                self.redeem_refresh_token(&metadata, subject, tokens, refresh)
                    .await?
            }
            None => RefreshResult {
                tokens: tokens.clone(),
                claims: stored_claims(tokens, self.provider_sub(subject)),
                has_new_id_token: false,
            },
        };
        let RefreshResult {
            tokens,
            claims,
            has_new_id_token,
        } = refreshed;
        let raw = match claims {
            None => None,
            Some(claims) => {
                let userinfo = self.fetch_userinfo(&metadata, subject, &tokens).await?;
                let is_id_token_enough =
                    has_new_id_token && self.userinfo_endpoint(&metadata).is_none();
                (userinfo.is_some() || is_id_token_enough)
                    .then(|| self.raw_profile(subject, claims, userinfo))
            }
        };
        Ok(RefreshResponse {
            tokens,
            verified_fields: raw
                .as_ref()
                .map(userinfo::verified_emails)
                .unwrap_or_default(),
            raw: raw.map(Value::Object),
        })
    }
}

impl Oidc {
    /// Redeems the refresh token. A new ID token must name the same person. If it cannot be verified
    /// for a temporary reason, the stored one is used instead.
    async fn redeem_refresh_token(
        &self,
        metadata: &Metadata,
        subject: &Subject,
        old: &ProviderTokens,
        refresh: &Secret<String>,
    ) -> Result<RefreshResult, RefreshError> {
        let endpoint = self.token_endpoint(metadata).map_err(unavailable)?;
        let client = self.client_for(metadata);
        let granted = client.refresh(endpoint, refresh, None).await;
        let mut granted = granted.inspect_err(|error| self.record_source_error(error))?;
        self.record_success();
        let expected = ExpectedIdToken {
            client_id: &self.config.client_id,
            access_token: &granted.access,
            origin: IdTokenOrigin::Refresh(subject),
        };
        let (claims, has_new_id_token) = match &granted.id_token {
            None => (stored_claims(old, self.provider_sub(subject)), false),
            Some(token) => {
                match id_token::verify(&self.issuer, &self.clock, token, expected).await {
                    Ok(id_token) => (Some(id_token.claims.into_map()), true),
                    Err(error) if error.is_temporary() => {
                        self.warn_no_profile(&error);
                        granted.id_token = None;
                        (stored_claims(old, self.provider_sub(subject)), false)
                    }
                    Err(error) => return Err(RefreshError::Gone(Box::new(error))),
                }
            }
        };
        Ok(RefreshResult {
            tokens: self.merged_tokens(granted, old),
            claims,
            has_new_id_token,
        })
    }

    /// The new tokens, and the old ones that were not replaced.
    fn merged_tokens(&self, granted: TokenResponse, old: &ProviderTokens) -> ProviderTokens {
        let new = self.tokens(granted);
        ProviderTokens {
            refresh: new.refresh.or_else(|| old.refresh.clone()),
            id: new.id.or_else(|| old.id.clone()),
            ..new
        }
    }

    /// The current userinfo, if the endpoint is used and responds. If the endpoint refuses an access
    /// token that has not expired, the provider has ended the person's access.
    async fn fetch_userinfo(
        &self,
        metadata: &Metadata,
        subject: &Subject,
        tokens: &ProviderTokens,
    ) -> Result<Option<Map<String, Value>>, RefreshError> {
        let Some(url) = self.userinfo_endpoint(metadata) else {
            return Ok(None);
        };
        let Some(access) = tokens.access_unless_expired(self.clock.now()) else {
            return Err(unavailable(refusal(
                "the session has no valid access token",
            )));
        };
        // With neither a refresh token nor an expiry time the access token may have expired.
        let is_known_unexpired = tokens.refresh.is_some() || tokens.access_expires_at.is_some();
        match userinfo::fetch(&self.outbound, url, access, self.provider_sub(subject)).await {
            Ok(userinfo) => Ok(Some(userinfo)),
            Err(error) if error.is_unauthorized() && !is_known_unexpired => Err(unavailable(error)),
            Err(error) if error.is_temporary() => {
                self.warn_no_profile(&error);
                Ok(None)
            }
            Err(error) => Err(RefreshError::Gone(Box::new(error))),
        }
    }

    /// Records if the issuer did not respond.
    fn record_source_error(&self, error: &RefreshError) {
        if let RefreshError::Unavailable(why) = error
            && let Some(error) = why.downcast_ref()
        {
            self.record_error(error);
        }
    }

    fn warn_no_profile(&self, error: &(dyn Error + 'static)) {
        let error = crate::telemetry::error_chain(error);
        tracing::warn!(connector = %self.id, %error, "a session is refreshed without a new profile");
    }
}

/// The claims of the stored ID token, if it names this person.
fn stored_claims(tokens: &ProviderTokens, sub: &str) -> Option<Map<String, Value>> {
    let claims = id_token::decode_unverified(tokens.id.as_ref()?)?;
    let stored_sub = claims.get("sub").and_then(Value::as_str);
    (stored_sub == Some(sub)).then_some(claims)
}

fn unavailable(error: impl Error + Send + Sync + 'static) -> RefreshError {
    RefreshError::Unavailable(Box::new(error))
}

fn refusal(message: &str) -> SourceRefusal {
    SourceRefusal::fault("refresh", message)
}
