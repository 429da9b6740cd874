//! The issuer asked again while somebody is here (OpenID Connect Core §12).

use std::error::Error;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::super::SourceRefusal;
use super::super::grant::TokenResponse;
use super::id_token::{self, ExpectedIdToken, IdTokenOrigin};
use super::{Oidc, userinfo};
use crate::issuer::Metadata;
use crate::people::source::{Refreshed, Source, SourceError, Tokens};
use crate::secret::Secret;
use crate::store::Subject;

/// What a refresh refreshed.
struct RefreshResult {
    tokens: Tokens,
    /// What the ID token says; nothing when that is not known.
    claims: Option<Map<String, Value>>,
    /// Whether they are new.
    has_new_id_token: bool,
}

#[async_trait]
impl Source for Oidc {
    /// Without a refresh token the access token asks, for as long as it lives. What was refreshed is
    /// never lost because the issuer fell silent afterwards: then nothing is known of the person.
    async fn refresh(&self, subject: &Subject, tokens: &Tokens) -> Result<Refreshed, SourceError> {
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
                let said = self.fetch_userinfo(&metadata, subject, &tokens).await?;
                let news = has_new_id_token && self.userinfo_endpoint(&metadata).is_none();
                (said.is_some() || news).then(|| self.raw_profile(subject, claims, said))
            }
        };
        Ok(Refreshed {
            tokens,
            vouched: raw
                .as_ref()
                .map(userinfo::verified_emails)
                .unwrap_or_default(),
            raw: raw.map(Value::Object),
        })
    }
}

impl Oidc {
    /// Spends the refresh token. A new ID token must be about the same person; one that cannot be
    /// verified now is left out.
    async fn redeem_refresh_token(
        &self,
        metadata: &Metadata,
        subject: &Subject,
        old: &Tokens,
        refresh: &Secret<String>,
    ) -> Result<RefreshResult, SourceError> {
        let endpoint = self.token_endpoint(metadata).map_err(unavailable)?;
        let client = self.client_for(metadata);
        let granted = client.refresh(endpoint, refresh, None).await;
        let mut granted = granted.inspect_err(|error| self.note_source_error(error))?;
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
                    Err(error) => return Err(SourceError::Gone(Box::new(error))),
                }
            }
        };
        Ok(RefreshResult {
            tokens: self.merged_tokens(granted, old),
            claims,
            has_new_id_token,
        })
    }

    /// The new tokens, and of the old ones what was not replaced.
    fn merged_tokens(&self, granted: TokenResponse, old: &Tokens) -> Tokens {
        let new = self.tokens(granted);
        Tokens {
            refresh: new.refresh.or_else(|| old.refresh.clone()),
            id: new.id.or_else(|| old.id.clone()),
            ..new
        }
    }

    /// What userinfo says now, when it is asked and answers. An access token that it no longer
    /// takes although it lives means that the person is gone.
    async fn fetch_userinfo(
        &self,
        metadata: &Metadata,
        subject: &Subject,
        tokens: &Tokens,
    ) -> Result<Option<Map<String, Value>>, SourceError> {
        let Some(url) = self.userinfo_endpoint(metadata) else {
            return Ok(None);
        };
        let Some(access) = tokens.access_at(self.clock.now()) else {
            return Err(unavailable(refusal("there is no token left to ask with")));
        };
        // Without either nobody knows whether it lives.
        let lives = tokens.refresh.is_some() || tokens.access_expires_at.is_some();
        match userinfo::fetch(&self.outbound, url, access, self.provider_sub(subject)).await {
            Ok(said) => Ok(Some(said)),
            Err(error) if error.is_unauthorized() && !lives => Err(unavailable(error)),
            Err(error) if error.is_temporary() => {
                self.warn_no_profile(&error);
                Ok(None)
            }
            Err(error) => Err(SourceError::Gone(Box::new(error))),
        }
    }

    fn note_source_error(&self, error: &SourceError) {
        if let SourceError::Unavailable(why) = error
            && let Some(error) = why.downcast_ref()
        {
            self.note_error(error);
        }
    }

    fn warn_no_profile(&self, error: &(dyn Error + 'static)) {
        let error = crate::telemetry::error_chain(error);
        tracing::warn!(connector = %self.id, %error, "a refresh brought tokens and no profile");
    }
}

/// What the ID token of the login says, when it is about them.
fn stored_claims(tokens: &Tokens, sub: &str) -> Option<Map<String, Value>> {
    let claims = id_token::decode_unverified(tokens.id.as_ref()?)?;
    let about = claims.get("sub").and_then(Value::as_str);
    (about == Some(sub)).then_some(claims)
}

fn unavailable(error: impl Error + Send + Sync + 'static) -> SourceError {
    SourceError::Unavailable(Box::new(error))
}

fn refusal(message: &str) -> SourceRefusal {
    SourceRefusal {
        call: "refresh",
        code: 0,
        message: message.to_owned(),
    }
}
