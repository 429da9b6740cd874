//! Refresh of a session: the refresh token and the profile.

use async_trait::async_trait;
use tokio::time::timeout;

use super::super::{ConnectorError, SourceRefusal};
use super::{LOGIN_TIMEOUT, OAuth2, profile};
use crate::outbound::OutboundError;
use crate::people::provider_tokens::{ProviderTokens, RefreshError, RefreshResponse, TokenRefresh};
use crate::store::Subject;

/// The name of the request in errors and logs.
const REFRESH: &str = "refresh";

#[async_trait]
impl TokenRefresh for OAuth2 {
    /// Without a refresh token the access token is used until it expires.
    async fn refresh(
        &self,
        subject: &Subject,
        tokens: &ProviderTokens,
    ) -> Result<RefreshResponse, RefreshError> {
        let tokens = match &tokens.refresh {
            Some(refresh) => {
                let endpoint = self.token_endpoint();
                let granted = self.client.refresh(endpoint, refresh, None).await?;
                self.reachability.record_success();
                self.tokens(granted, tokens.clone())
            }
            None => tokens.clone(),
        };
        let now = self.clock.now();
        let unexpired_access_token = tokens
            .access
            .as_ref()
            .filter(|_| tokens.access_expires_at.is_none_or(|end| now < end));
        let Some(access) = unexpired_access_token else {
            return Err(RefreshError::Unavailable(Box::new(refusal(
                "the session has no valid access token",
            ))));
        };
        let fetch = profile::fetch(&self.outbound, &self.settings, access);
        let fetched = timeout(LOGIN_TIMEOUT, fetch).await.unwrap_or_else(|_| {
            Err(ConnectorError::NoUsableResponse(OutboundError::Timeout {
                call: "the profile",
            }))
        });
        match fetched {
            Ok(fetched) if fetched.subject == *subject => Ok(RefreshResponse {
                tokens,
                raw: Some(fetched.raw),
                verified_fields: fetched.verified_fields,
            }),
            Ok(_) => Err(RefreshError::Gone(Box::new(refusal(
                "the profile now belongs to another person",
            )))),
            Err(ConnectorError::Misconfigured { source, .. }) if source.code == 401 => {
                Err(RefreshError::Gone(Box::new(source)))
            }
            // The old refresh token is used up, so the new tokens are stored although the profile is
            // missing.
            Err(error) => {
                let error = crate::telemetry::error_chain(&error).to_string();
                tracing::warn!(error, "a session is refreshed without a new profile");
                Ok(RefreshResponse {
                    tokens,
                    raw: None,
                    verified_fields: Vec::new(),
                })
            }
        }
    }
}

fn refusal(message: &str) -> SourceRefusal {
    SourceRefusal {
        call: REFRESH,
        code: 0,
        message: message.to_owned(),
    }
}
