//! `ProviderTokens`: the tokens of a session from its provider. `TokenRefresh`: refreshes them there.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::store::{LinkField, Subject};
use crate::wording::{Text, error_of_text};

/// The tokens that a provider issued at a login. They stay on the server unless a route is configured to
/// forward one.
#[derive(Clone, Default)]
pub struct ProviderTokens {
    /// The access token.
    pub access: Option<Secret<String>>,
    /// When the access token expires, if the provider says so.
    pub access_expires_at: Option<Timestamp>,
    /// The refresh token; most providers accept it only once.
    pub refresh: Option<Secret<String>>,
    /// The ID token, as it was received; of a source without ID tokens, how it names the person and the
    /// session, with which menshen ends that session.
    pub id: Option<Secret<String>>,
}

impl ProviderTokens {
    /// The access token, unless it has expired.
    pub fn access_unless_expired(&self, now: Timestamp) -> Option<&Secret<String>> {
        let is_unexpired = self.access_expires_at.is_none_or(|end| end > now);
        self.access.as_ref().filter(|_| is_unexpired)
    }

    /// The ID token, unless it has expired. Without `exp` it counts as expired.
    pub fn id_unless_expired(&self, now: Timestamp) -> Option<&Secret<String>> {
        let id = self.id.as_ref()?;
        exp(id.expose()).is_some_and(|end| end > now).then_some(id)
    }
}

/// The `exp` of a signed token (RFC 7519). Its signature was verified when it was received.
fn exp(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    let ms = Duration::try_from_secs_f64(exp).ok()?.as_millis();
    Some(Timestamp::from_unix_ms(
        i64::try_from(ms).unwrap_or(i64::MAX),
    ))
}

impl fmt::Debug for ProviderTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderTokens")
            .field("access", &self.access.is_some())
            .field("access_expires_at", &self.access_expires_at)
            .field("refresh", &self.refresh.is_some())
            .field("id", &self.id.is_some())
            .finish()
    }
}

/// Refreshes tokens at a provider. Connectors that support refresh tokens implement it.
#[async_trait]
pub trait TokenRefresh: fmt::Debug + Send + Sync {
    /// Exchanges the refresh token for new tokens and fetches the current profile. A profile of another
    /// subject is an error.
    ///
    /// Not cancel-safe: a refresh token that was sent is spent. Run it in its own task.
    async fn refresh(
        &self,
        subject: &Subject,
        tokens: &ProviderTokens,
    ) -> Result<RefreshResponse, RefreshError>;
}

/// The result of a refresh.
#[derive(Clone)]
pub struct RefreshResponse {
    /// The tokens; those that the provider did not replace are unchanged.
    pub tokens: ProviderTokens,
    /// The raw profile, as at a login; `None` if the provider returned none.
    pub raw: Option<serde_json::Value>,
    /// The fields that the provider has verified.
    pub verified_fields: Vec<(LinkField, String)>,
}

impl fmt::Debug for RefreshResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshResponse")
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// Why a refresh failed.
#[derive(Debug)]
pub enum RefreshError {
    /// The provider ended the session or deleted the person.
    Gone(Box<dyn std::error::Error + Send + Sync>),
    /// The provider is unreachable, busy, or refuses the client. The session stays valid.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

impl RefreshError {
    fn text(&self) -> Text {
        match self {
            Self::Gone(_) => Text::fixed("the provider has ended the session", "认证源已结束会话"),
            Self::Unavailable(_) => Text::fixed(
                "the provider did not refresh the tokens",
                "认证源没有刷新令牌",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Gone(source) => Some(&**source),
            Self::Unavailable(source) => Some(&**source),
        }
    }
}

error_of_text!(RefreshError, caused);

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens_with_id(claims: &str) -> ProviderTokens {
        let id = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        ProviderTokens {
            access: Some(Secret::new("opaque".to_owned())),
            access_expires_at: Some(Timestamp::from_unix_s(100)),
            id: Some(Secret::new(id)),
            ..ProviderTokens::default()
        }
    }

    #[test]
    fn tokens_expire_in_the_second_of_their_end() {
        let tokens = tokens_with_id(r#"{"exp":200}"#);
        let at = Timestamp::from_unix_s;
        assert!(
            tokens.access_unless_expired(at(99)).is_some()
                && tokens.access_unless_expired(at(100)).is_none()
        );
        assert!(
            tokens.id_unless_expired(at(199)).is_some()
                && tokens.id_unless_expired(at(200)).is_none()
        );
    }

    #[test]
    fn an_id_token_without_a_valid_exp_has_expired() {
        for claims in [
            "{}",
            r#"{"exp":"200"}"#,
            r#"{"exp":-1}"#,
            r#"{"exp":1e300}"#,
            "no",
        ] {
            assert!(
                tokens_with_id(claims)
                    .id_unless_expired(Timestamp::from_unix_s(0))
                    .is_none(),
                "{claims}"
            );
        }
        let with_opaque_id = ProviderTokens {
            id: Some(Secret::new("opaque".to_owned())),
            ..ProviderTokens::default()
        };
        let id = with_opaque_id.id_unless_expired(Timestamp::from_unix_s(0));
        assert!(id.is_none());
    }

    #[test]
    fn an_access_token_of_unknown_expiry_does_not_expire() {
        let tokens = ProviderTokens {
            access_expires_at: None,
            ..tokens_with_id("{}")
        };
        assert!(
            tokens
                .access_unless_expired(Timestamp::from_unix_s(i64::MAX))
                .is_some()
        );
    }

    #[test]
    fn debug_shows_no_token() {
        let text = format!("{:?}", tokens_with_id(r#"{"exp":200}"#));
        assert!(!text.contains("opaque") && !text.contains("e30"), "{text}");
    }
}
