//! Refresh of tokens and profile, called as the session code calls it.

use std::sync::Arc;
use std::time::Duration;

use menshen::clock::{Clock, Timestamp};
use menshen::login::connector::{AuthnRequest, Connector};
use menshen::login::pending::{Mode, Pending};
use menshen::login::return_to::ReturnTo;
use menshen::people::provider_tokens::{ProviderTokens, RefreshError, RefreshResponse};
use menshen::secret::Secret;
use menshen::store::Subject;
use serde_json::json;

use super::provider::Provider;
use crate::conf::connector_deps;

/// A connector without a running menshen, and the tokens of a login of 张三.
async fn connector(provider: &Provider, clock: &Clock) -> (Arc<dyn Connector>, ProviderTokens) {
    menshen::keys::install_crypto();
    let text = provider.connector_toml("gh", "", "vouched_email = 'profile.email'");
    let text = format!("[server]\nexternal_url = 'http://sso.test'\n{text}");
    let config = crate::conf::parse(&text);
    let kind = config.connector.values().next().unwrap().kind().unwrap();
    let deps = connector_deps("gh", clock);
    let tokens = {
        let mut state = provider.state();
        ProviderTokens {
            access: Some(Secret::new(state.issue_access_token())),
            access_expires_at: Some(clock.now().plus(Duration::from_secs(60))),
            refresh: Some(Secret::new(state.issue_refresh_token())),
            id: None,
        }
    };
    (kind.build(deps).unwrap(), tokens)
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix_s(1_800_000_000))
}

async fn refresh(
    connector: &Arc<dyn Connector>,
    tokens: &ProviderTokens,
) -> Result<RefreshResponse, RefreshError> {
    let source = Arc::clone(connector)
        .token_refresh()
        .expect("the connector refreshes tokens");
    let subject: Subject = "7".parse().unwrap();
    source.refresh(&subject, tokens).await
}

/// Whether a refreshed login is redirected to the provider.
async fn can_start_login(connector: &Arc<dyn Connector>, clock: &Clock) -> bool {
    let id = "gh".parse().unwrap();
    let pending = Pending::new(id, Mode::Web, ReturnTo::login_host_root(), clock.now());
    let begun = connector.begin(&pending, &AuthnRequest::default()).await;
    begun.is_ok()
}

fn exposed(secret: Option<&Secret<String>>) -> &str {
    secret.unwrap().expose()
}

#[tokio::test]
async fn a_refresh_returns_new_tokens_and_the_current_profile() {
    let (provider, clock) = (Provider::start().await, clock());
    let (connector, tokens) = connector(&provider, &clock).await;
    provider
        .person(json!({ "id": 7, "login": "zhangsan", "email": "z@corp.example", "groups": [] }));
    let refreshed = refresh(&connector, &tokens).await.unwrap();
    assert_eq!(refreshed.raw.as_ref().unwrap()["groups"], json!([]));
    assert_eq!(refreshed.verified_fields[0].1, "z@corp.example");
    assert_ne!(
        exposed(refreshed.tokens.access.as_ref()),
        exposed(tokens.access.as_ref())
    );
    assert_ne!(
        exposed(refreshed.tokens.refresh.as_ref()),
        exposed(tokens.refresh.as_ref())
    );
    let end = clock.now().plus(Duration::from_secs(3600));
    assert_eq!(refreshed.tokens.access_expires_at, Some(end));
    // A refresh token can be used once.
    let again = refresh(&connector, &refreshed.tokens).await.unwrap();
    assert!(again.raw.is_some());
    let reused = refresh(&connector, &tokens).await;
    assert!(matches!(reused, Err(RefreshError::Gone(_))), "{reused:?}");
}

#[tokio::test]
async fn a_refresh_token_that_is_not_replaced_is_kept() {
    let (provider, clock) = (Provider::start().await, clock());
    let (connector, tokens) = connector(&provider, &clock).await;
    provider.state().token_fields = json!({ "refresh_token": null });
    let refreshed = refresh(&connector, &tokens).await.unwrap();
    assert_eq!(
        exposed(refreshed.tokens.refresh.as_ref()),
        exposed(tokens.refresh.as_ref())
    );
}

#[tokio::test]
async fn only_a_rejected_refresh_token_ends_a_session() {
    let (provider, clock) = (Provider::start().await, clock());
    let (connector, tokens) = connector(&provider, &clock).await;
    let json = "Content-Type: application/json\r\n";
    for (status, body, is_gone) in [
        (400, "{\"error\":\"invalid_grant\"}", true),
        (200, "{\"error\":\"bad_refresh_token\"}", true),
        (401, "{\"error\":\"invalid_client\"}", false),
        (400, "{\"error\":\"temporarily_unavailable\"}", false),
        (429, "{\"error\":\"invalid_request\"}", false),
        (500, "{\"error\":\"invalid_grant\"}", false),
        (200, "<html>", false),
        (302, "{\"error\":\"invalid_grant\"}", false),
    ] {
        provider.respond_with("/token", status, json, body);
        let error = refresh(&connector, &tokens).await.unwrap_err();
        let actual = matches!(error, RefreshError::Gone(_));
        assert_eq!(actual, is_gone, "{status} {body}: {error:?}");
        let message = menshen::telemetry::error_chain(&error).to_string();
        assert!(
            !message.contains(exposed(tokens.refresh.as_ref())),
            "{message}"
        );
    }
    provider.restore();
    assert!(
        refresh(&connector, &tokens).await.is_ok(),
        "the token was not spent"
    );
}

#[tokio::test]
async fn a_changed_subject_or_rejected_token_ends_the_session() {
    let (provider, clock) = (Provider::start().await, clock());
    let (connector, tokens) = connector(&provider, &clock).await;
    provider.person(json!({ "id": 8, "login": "zhangsan" }));
    let error = refresh(&connector, &tokens).await.unwrap_err();
    assert!(matches!(error, RefreshError::Gone(_)), "{error:?}");
    let (connector, tokens) = self::connector(&provider, &clock).await;
    provider.respond_with("/api/me", 401, "Content-Type: application/json\r\n", "{}");
    let error = refresh(&connector, &tokens).await.unwrap_err();
    assert!(matches!(error, RefreshError::Gone(_)), "{error:?}");
}

#[tokio::test]
async fn new_tokens_are_kept_even_without_a_profile() {
    let (provider, clock) = (Provider::start().await, clock());
    let (connector, tokens) = connector(&provider, &clock).await;
    for status in [403, 429, 500, 200] {
        provider.respond_with(
            "/api/me",
            status,
            "Content-Type: application/json\r\n",
            "[]",
        );
        let (_, tokens) = self::connector(&provider, &clock).await;
        let refreshed = refresh(&connector, &tokens).await.unwrap();
        assert!(
            refreshed.raw.is_none() && refreshed.verified_fields.is_empty(),
            "{status}"
        );
        assert_ne!(
            exposed(refreshed.tokens.refresh.as_ref()),
            exposed(tokens.refresh.as_ref())
        );
    }
    provider.restore();
    assert!(refresh(&connector, &tokens).await.unwrap().raw.is_some());
}

#[tokio::test]
async fn without_a_refresh_token_the_access_token_is_used_until_it_expires() {
    let (provider, clock) = (Provider::start().await, clock());
    let (connector, tokens) = connector(&provider, &clock).await;
    let tokens = ProviderTokens {
        refresh: None,
        ..tokens
    };
    let refreshed = refresh(&connector, &tokens).await.unwrap();
    assert_eq!(refreshed.raw.unwrap()["login"], "zhangsan");
    assert_eq!(
        exposed(refreshed.tokens.access.as_ref()),
        exposed(tokens.access.as_ref())
    );
    clock.advance(Duration::from_secs(60));
    let expired = refresh(&connector, &tokens).await;
    assert!(
        matches!(expired, Err(RefreshError::Unavailable(_))),
        "{expired:?}"
    );
    let without_tokens = refresh(&connector, &ProviderTokens::default()).await;
    assert!(
        matches!(without_tokens, Err(RefreshError::Unavailable(_))),
        "{without_tokens:?}"
    );
}

#[tokio::test]
async fn a_refresh_counts_as_successful_probe() {
    let (provider, clock) = (Provider::start().await, clock());
    let (connector, tokens) = connector(&provider, &clock).await;
    refresh(&connector, &tokens).await.unwrap();
    provider.start_outage();
    clock.advance(Duration::from_secs(9));
    assert!(can_start_login(&connector, &clock).await);
    assert_eq!(provider.calls("/").len(), 0);
    clock.advance(Duration::from_secs(1));
    assert!(!can_start_login(&connector, &clock).await);
}
