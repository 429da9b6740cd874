//! The issuer asked again while somebody is here (OpenID Connect Core §12).

use std::error::Error;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::super::SourceRefusal;
use super::super::grant::TokenResponse;
use super::id_token::{self, Asked, Fitting};
use super::{Oidc, userinfo};
use crate::issuer::Metadata;
use crate::people::source::{Refreshed, Source, SourceError, Tokens};
use crate::secret::Secret;
use crate::store::Subject;

/// What a refresh bought.
struct Bought {
    tokens: Tokens,
    /// What the ID token says; nothing when that is not known.
    claims: Option<Map<String, Value>>,
    /// Whether they are new.
    signed_anew: bool,
}

#[async_trait]
impl Source for Oidc {
    /// Without a refresh token the access token asks, for as long as it lives. What was bought is
    /// never lost because the issuer fell silent afterwards: then nothing is known of the person.
    async fn refresh(&self, subject: &Subject, tokens: &Tokens) -> Result<Refreshed, SourceError> {
        let metadata = self.metadata().await.map_err(unavailable)?;
        let bought = match &tokens.refresh {
            Some(refresh) => self.buy(&metadata, subject, tokens, refresh).await?,
            None => Bought {
                tokens: tokens.clone(),
                claims: kept(tokens, self.sub_of(subject)),
                signed_anew: false,
            },
        };
        let Bought {
            tokens,
            claims,
            signed_anew,
        } = bought;
        let raw = match claims {
            None => None,
            Some(claims) => {
                let said = self.ask_again(&metadata, subject, &tokens).await?;
                let news = signed_anew && self.userinfo_endpoint(&metadata).is_none();
                (said.is_some() || news).then(|| self.raw(subject, claims, said))
            }
        };
        Ok(Refreshed {
            tokens,
            vouched: raw.as_ref().map(userinfo::vouched).unwrap_or_default(),
            raw: raw.map(Value::Object),
        })
    }
}

impl Oidc {
    /// Spends the refresh token. A new ID token must be about the same person; one that cannot be
    /// verified now is left out.
    async fn buy(
        &self,
        metadata: &Metadata,
        subject: &Subject,
        old: &Tokens,
        refresh: &Secret<String>,
    ) -> Result<Bought, SourceError> {
        let endpoint = self.token_endpoint(metadata).map_err(unavailable)?;
        let client = self.client_of(metadata);
        let granted = client.refresh(endpoint, refresh, None).await;
        let mut granted = granted.inspect_err(|error| self.note_of(error))?;
        self.record_success();
        let fitting = Fitting {
            client_id: &self.config.client_id,
            access: &granted.access,
            asked: Asked::Refresh(subject),
        };
        let (claims, signed_anew) = match &granted.id_token {
            None => (kept(old, self.sub_of(subject)), false),
            Some(token) => {
                match id_token::verify(&self.issuer, &self.clock, token, fitting).await {
                    Ok(id_token) => (Some(id_token.claims.into_map()), true),
                    Err(error) if error.is_passing() => {
                        self.fell_silent(&error);
                        granted.id_token = None;
                        (kept(old, self.sub_of(subject)), false)
                    }
                    Err(error) => return Err(SourceError::Gone(Box::new(error))),
                }
            }
        };
        Ok(Bought {
            tokens: self.renewed(granted, old),
            claims,
            signed_anew,
        })
    }

    /// The new tokens, and of the old ones what was not replaced.
    fn renewed(&self, granted: TokenResponse, old: &Tokens) -> Tokens {
        let new = self.tokens(granted);
        Tokens {
            refresh: new.refresh.or_else(|| old.refresh.clone()),
            id: new.id.or_else(|| old.id.clone()),
            ..new
        }
    }

    /// What userinfo says now, when it is asked and answers. An access token that it no longer
    /// takes although it lives means that the person is gone.
    async fn ask_again(
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
        match userinfo::ask(&self.outbound, url, access, self.sub_of(subject)).await {
            Ok(said) => Ok(Some(said)),
            Err(error) if error.is_closed() && !lives => Err(unavailable(error)),
            Err(error) if error.is_passing() => {
                self.fell_silent(&error);
                Ok(None)
            }
            Err(error) => Err(SourceError::Gone(Box::new(error))),
        }
    }

    fn note_of(&self, error: &SourceError) {
        if let SourceError::Unavailable(why) = error
            && let Some(error) = why.downcast_ref()
        {
            self.note(error);
        }
    }

    fn fell_silent(&self, error: &(dyn Error + 'static)) {
        let error = crate::telemetry::error_chain(error);
        tracing::warn!(connector = %self.id, %error, "a refresh brought tokens and no profile");
    }
}

/// What the ID token of the login says, when it is about them.
fn kept(tokens: &Tokens, sub: &str) -> Option<Map<String, Value>> {
    let claims = id_token::read_again(tokens.id.as_ref()?)?;
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
