//! Logout at the provider and by the provider: OpenID Connect RP-Initiated, Back-Channel and
//! Front-Channel Logout 1.0.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::super::{ConnectorError, Delivery, LogoutNotice, ProviderLogout, grant};
use super::id_token;
use super::{Oidc, errors};
use crate::clock::Timestamp;
use crate::issuer::{
    ClaimError, LEEWAY, TokenError, TokenRequirements, TokenSender, VerifiedToken,
};
use crate::login::fields::Fields;
use crate::secret::Secret;
use crate::store::LogoutTarget;

/// How long a logout waits for metadata that is not cached.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest ID token that is sent as `id_token_hint`, in bytes: many servers accept at most 8 KiB of
/// URL and headers. Without the hint the provider may ask the person to confirm the logout.
const ID_TOKEN_HINT_BYTES_MAX: usize = 4096;

/// The maximum age of a logout token, which providers send at once.
const LOGOUT_TOKEN_AGE_MAX: Duration = Duration::from_secs(300);

/// The member of `events` in a logout token (Back-Channel Logout 1.0 §2.4).
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The `typ` of a logout token. Some providers use `JWT` for all tokens.
const LOGOUT_TOKEN_TYPES: [&str; 2] = ["logout+jwt", "JWT"];

/// Why a logout token is refused.
#[derive(Debug, thiserror::Error)]
enum LogoutTokenError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("its `typ` is not that of a logout token")]
    TokenType,
    #[error("its `events` do not name a back-channel logout")]
    Event,
    #[error("it has a nonce, so it is an ID token")]
    Nonce,
    #[error("it is too old")]
    TooOld,
    #[error("it has neither `sid` nor `sub`")]
    NoTarget,
}

#[async_trait]
impl ProviderLogout for Oidc {
    fn page(&self) -> Option<Url> {
        self.issuer.cached_metadata()?.end_session_endpoint.clone()
    }

    /// `None` while the issuer does not respond, so that the browser shows menshen's page and not a
    /// connection error.
    async fn end_session(
        &self,
        id_token: Option<&Secret<String>>,
        return_url: &Url,
        state: &str,
    ) -> Option<Delivery> {
        let metadata = match self.issuer.cached_metadata() {
            Some(_) if self.is_unresponsive.load(Ordering::Relaxed) => return None,
            Some(metadata) => metadata,
            None => timeout(METADATA_TIMEOUT, self.issuer.metadata())
                .await
                .ok()?
                .ok()?,
        };
        let endpoint = metadata.end_session_endpoint.as_ref()?;
        let request = self.end_session_request(endpoint, id_token, return_url, state);
        Some(Delivery::Redirect(request))
    }

    async fn verify_logout_token(
        &self,
        token: &str,
        client: Option<crate::client::Client>,
    ) -> Option<Result<LogoutNotice, ConnectorError>> {
        Some(self.verify_token(token, client).await)
    }

    fn front_channel_session(&self, fields: &Fields) -> Option<LogoutTarget> {
        let issuer = fields.one("iss").ok()??;
        let sid = fields.one("sid").ok()??;
        let tenant = self.issuer.tenant_of(issuer)?;
        let sid = id_token::short_text(Some(&Value::from(sid)))?;
        Some(LogoutTarget::Session(tenant.qualify(&sid)))
    }
}

impl Oidc {
    fn end_session_request(
        &self,
        endpoint: &Url,
        id_token: Option<&Secret<String>>,
        return_url: &Url,
        state: &str,
    ) -> Url {
        let mut params = vec![
            ("client_id", self.config.client_id.as_str()),
            ("post_logout_redirect_uri", return_url.as_str()),
        ];
        let hint = id_token.map(|token| token.expose().as_str());
        let hint = hint.filter(|hint| hint.len() <= ID_TOKEN_HINT_BYTES_MAX);
        params.extend(hint.map(|hint| ("id_token_hint", hint)));
        if !state.is_empty() {
            params.push(("state", state));
        }
        grant::authorize_url(endpoint, &params, &[])
    }

    /// Verifies a logout token (Back-Channel Logout 1.0 §2.6).
    async fn verify_token(
        &self,
        token: &str,
        client: Option<crate::client::Client>,
    ) -> Result<LogoutNotice, ConnectorError> {
        let audiences = [self.config.client_id.clone()];
        let requirements = TokenRequirements {
            audiences: &audiences,
            token_type: None,
            requires_expiry: false,
            sender: TokenSender::Client(client),
        };
        let verified = self.issuer.verify_token(token, &requirements).await;
        let notice = verified
            .map_err(LogoutTokenError::Token)
            .and_then(|verified| check_claims(&verified, self.clock.now()));
        notice.map_err(|error| match error {
            LogoutTokenError::Token(TokenError::KeysUnavailable(error)) => {
                errors::from_issuer(error)
            }
            other => errors::invalid_response("the logout token", &other),
        })
    }
}

fn check_claims(
    verified: &VerifiedToken,
    now: Timestamp,
) -> Result<LogoutNotice, LogoutTokenError> {
    let claims = &verified.claims;
    if let Some(token_type) = &verified.token_type
        && !LOGOUT_TOKEN_TYPES
            .iter()
            .any(|accepted| token_type.eq_ignore_ascii_case(accepted))
    {
        return Err(LogoutTokenError::TokenType);
    }
    let issued_at = claims.timestamp("iat")?.ok_or(ClaimError("iat"))?;
    if now.since(issued_at) > LOGOUT_TOKEN_AGE_MAX + LEEWAY {
        return Err(LogoutTokenError::TooOld);
    }
    // Other events are allowed.
    let event = claims
        .get("events")
        .and_then(|events| events.get(LOGOUT_EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(LogoutTokenError::Event);
    }
    if claims.get("nonce").is_some() {
        return Err(LogoutTokenError::Nonce);
    }
    let id = id_token::short_text(claims.get("jti")).ok_or(ClaimError("jti"))?;
    // With `sid` it ends that session; `sub` alone ends all sessions of the person (§2.4).
    let qualified = |sid| {
        let sid = id_token::short_text(Some(sid)).ok_or(ClaimError("sid"))?;
        Ok::<_, ClaimError>(verified.tenant.qualify(&sid))
    };
    let target = match (claims.get("sid"), claims.get("sub")) {
        (Some(sid), None) => LogoutTarget::Session(qualified(sid)?),
        (Some(sid), Some(_)) => LogoutTarget::SessionAndSubject {
            sid: qualified(sid)?,
            subject: id_token::subject(verified)?,
        },
        (None, Some(_)) => LogoutTarget::Subject(id_token::subject(verified)?),
        (None, None) => return Err(LogoutTokenError::NoTarget),
    };
    Ok(LogoutNotice {
        id,
        target,
        accepted_until: issued_at.plus(LOGOUT_TOKEN_AGE_MAX + LEEWAY),
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use serde_json::json;

    use super::super::tests::oidc;
    use super::*;
    use crate::issuer::{Claims, Tenant};

    const NOW_S: i64 = 1_800_000_000;

    /// Checks a valid logout token with these claims added, or removed by null.
    fn check(with: Value, token_type: Option<&str>) -> Result<LogoutNotice, LogoutTokenError> {
        let mut claims = json!({
            "iss": "https://id.corp.example", "aud": "menshen", "iat": NOW_S, "exp": NOW_S + 120,
            "jti": "j1", "events": { LOGOUT_EVENT: {} }, "sid": "s1", "sub": "u1",
        });
        let claims = claims.as_object_mut().unwrap();
        for (name, value) in with.as_object().unwrap() {
            match value {
                Value::Null => claims.remove(name),
                value => claims.insert(name.clone(), value.clone()),
            };
        }
        let verified = VerifiedToken {
            claims: Claims::new(claims.clone()),
            algorithm: Algorithm::ES256,
            token_type: token_type.map(str::to_owned),
            tenant: Tenant::default(),
        };
        check_claims(&verified, Timestamp::from_unix_s(NOW_S))
    }

    #[test]
    fn a_logout_token_names_a_session_or_a_person() {
        let target = |with| check(with, Some("logout+jwt")).unwrap().target;
        let session = LogoutTarget::Session("s1".to_owned());
        let both = LogoutTarget::SessionAndSubject {
            sid: "s1".to_owned(),
            subject: "u1".parse().unwrap(),
        };
        assert_eq!(target(json!({})), both);
        assert_eq!(target(json!({ "sub": null })), session);
        assert!(matches!(
            target(json!({ "sid": null })),
            LogoutTarget::Subject(subject) if subject.as_str() == "u1"
        ));
        let with_other_event =
            json!({ "events": { LOGOUT_EVENT: { "x": 1 }, "revoke_offline_access": true } });
        assert_eq!(target(with_other_event), both);
        for kind in [None, Some("JWT"), Some("jwt"), Some("Logout+JWT")] {
            assert!(check(json!({}), kind).is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn other_tokens_are_not_accepted_as_logout_token() {
        for (bad, word) in [
            (json!({ "events": null }), "`events`"),
            (json!({ "events": { LOGOUT_EVENT: true } }), "`events`"),
            (json!({ "events": { LOGOUT_EVENT: null } }), "`events`"),
            (json!({ "events": [LOGOUT_EVENT] }), "`events`"),
            (json!({ "events": { "other": {} } }), "`events`"),
            (json!({ "nonce": "n" }), "nonce"),
            (json!({ "nonce": "" }), "nonce"),
            (json!({ "iat": null }), "`iat`"),
            (json!({ "iat": NOW_S - 361 }), "too old"),
            (json!({ "jti": null }), "`jti`"),
            (json!({ "jti": "" }), "`jti`"),
            (json!({ "jti": 7 }), "`jti`"),
            (json!({ "sid": null, "sub": null }), "neither"),
            (json!({ "sid": "" }), "`sid`"),
            (json!({ "sid": 7 }), "`sid`"),
            (json!({ "sub": "" }), "`sub`"),
            (json!({ "sid": null, "sub": "a\u{0}" }), "`sub`"),
        ] {
            let error = check(bad.clone(), None).unwrap_err().to_string();
            assert!(error.contains(word), "{bad}: {error}");
        }
        assert!(check(json!({ "iat": NOW_S - 359 }), None).is_ok());
        let access_token = check(json!({}), Some("at+jwt")).unwrap_err();
        assert!(matches!(access_token, LogoutTokenError::TokenType));
    }

    #[test]
    fn a_front_channel_logout_names_its_issuer_and_one_session() {
        let named =
            |query: &str| oidc("").front_channel_session(&Fields::parse(query.as_bytes()).unwrap());
        let issuer = "iss=https://id.corp.example/realms/corp";
        assert_eq!(
            named(&format!("{issuer}&sid=s%201")),
            Some(LogoutTarget::Session("s 1".to_owned()))
        );
        for bad in [
            "sid=s1".to_owned(),
            issuer.to_owned(),
            format!("{issuer}&sid="),
            format!("{issuer}&sid=a&sid=b"),
            format!("{issuer}&{issuer}&sid=a"),
            format!("{issuer}/&sid=a"),
            "iss=https://evil.example&sid=a".to_owned(),
            format!("{issuer}&sid={}", "s".repeat(256)),
        ] {
            assert_eq!(named(&bad), None, "{bad}");
        }
    }

    #[test]
    fn the_end_session_url_has_the_hint_and_the_return_url() {
        let endpoint = Url::parse("https://id.corp.example/logout?kc=1&state=theirs").unwrap();
        let return_url = Url::parse("https://sso.corp.example/.menshen/sign_out").unwrap();
        let url_with = |token: Option<&str>, state: &str| {
            let token = token.map(|token| Secret::new(token.to_owned()));
            oidc("").end_session_request(&endpoint, token.as_ref(), &return_url, state)
        };
        let known = "https://id.corp.example/logout?kc=1&client_id=menshen\
             &post_logout_redirect_uri=https%3A%2F%2Fsso.corp.example%2F.menshen%2Fsign_out";
        assert_eq!(
            url_with(Some("a.b.c"), "s 1").as_str(),
            format!("{known}&id_token_hint=a.b.c&state=s+1")
        );
        let long = "x".repeat(ID_TOKEN_HINT_BYTES_MAX + 1);
        assert_eq!(url_with(Some(&long), "").as_str(), known);
        assert_eq!(url_with(None, "").as_str(), known);
    }

    #[tokio::test]
    async fn an_unreachable_issuer_does_not_delay_a_logout() {
        let return_url = Url::parse("https://sso.corp.example/.menshen/sign_out").unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let unresponsive = format!(
            "metadata_url = 'http://{}/'",
            listener.local_addr().unwrap()
        );
        let oidc = oidc(&unresponsive);
        tokio::time::pause();
        let begun = tokio::time::Instant::now();
        assert_eq!(oidc.end_session(None, &return_url, "s").await, None);
        assert!(begun.elapsed() <= METADATA_TIMEOUT + Duration::from_millis(100));
    }
}
