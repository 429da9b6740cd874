//! JSON responses with other content types are accepted; an error for invalid JSON names the type.

use std::time::Duration;

use menshen::face::page::Cause;

use super::{assert_signed_in_as, last_error};
use crate::browser::{Browser, Page};
use crate::provider::{CLIENT_SECRET, ClientAuth, EndpointFault, Misbehavior, Provider};
use crate::setup::{Menshen, SSO_URL};

/// Content types that servers and proxies send for JSON.
const CONTENT_TYPES: [Option<&str>; 6] = [
    None,
    Some("text/html; charset=utf-8"),
    Some("TEXT/HTML"),
    Some("text/plain"),
    Some("application/octet-stream"),
    Some("text/javascript;charset=GBK"),
];

/// All endpoints that a login uses.
const ENDPOINTS: [&str; 4] = ["discovery", "keys", "token", "userinfo"];

async fn sign_in(provider: &Provider, menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    (browser, page)
}

#[tokio::test]
async fn json_is_accepted_with_any_content_type() {
    for content_type in CONTENT_TYPES {
        let provider = Provider::new().await;
        for endpoint in ENDPOINTS {
            provider.misbehave(Misbehavior::ContentType(endpoint, content_type));
        }
        let menshen = provider.setup("").start().await;
        let (mut browser, page) = sign_in(&provider, &menshen).await;
        assert_signed_in_as(&page, "zhangsan");
        assert!(
            page.answer.echoed("x-forwarded-groups").len() == 1,
            "{content_type:?}"
        );
        // The same holds for a refresh.
        menshen.advance(Duration::from_secs(301));
        assert_signed_in_as(
            &browser.follow(&format!("{SSO_URL}/echo")).await,
            "zhangsan",
        );
        assert_eq!(provider.refresh_grants(), 1, "{content_type:?}");
    }
}

#[tokio::test]
async fn protocol_errors_are_accepted_with_any_content_type() {
    for content_type in CONTENT_TYPES {
        let provider = Provider::new().await;
        provider.misbehave(Misbehavior::ContentType("token", content_type));
        let menshen = provider.setup("").start().await;
        provider.set(|settings| settings.code_lifetime_s = 0);
        let (browser, page) = sign_in(&provider, &menshen).await;
        assert_eq!(
            page.cause(),
            Some(Cause::CodeRejectedTwice),
            "{content_type:?}"
        );
        assert!(browser.cookie("menshen").is_none());
        provider.set(|settings| {
            settings.code_lifetime_s = 60;
            settings.client_auth = ClientAuth::Public;
        });
        let wrong_secret = provider.setup_with_client_lines("client_secret = 'hunter2hunter2'");
        let menshen = wrong_secret.start().await;
        provider.set(|settings| settings.client_auth = ClientAuth::SecretInHeaderOrForm);
        let (_, page) = sign_in(&provider, &menshen).await;
        assert_eq!(
            page.cause(),
            Some(Cause::ProviderMisconfigured),
            "{content_type:?}"
        );
        assert!(
            last_error(&menshen).contains("invalid_client"),
            "{content_type:?}"
        );
    }
}

#[tokio::test]
async fn an_error_for_invalid_json_names_the_content_type_and_no_content() {
    for endpoint in ENDPOINTS {
        for (status, body, content_type) in [
            (200, format!("<html>{CLIENT_SECRET}"), "text/html"),
            (
                200,
                format!("{{\"access_token\": {CLIENT_SECRET}"),
                "text/plain",
            ),
            (502, format!("<html>{CLIENT_SECRET}"), "text/html"),
        ] {
            let provider = Provider::new().await;
            provider.misbehave(Misbehavior::Fault(
                endpoint,
                EndpointFault::Response(status, content_type, body),
            ));
            let menshen = provider.setup("").start().await;
            let (browser, page) = sign_in(&provider, &menshen).await;
            let what = format!("{endpoint} {status} {content_type}");
            assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{what}");
            assert!(browser.cookie("menshen").is_none());
            let error = last_error(&menshen);
            assert!(error.contains(content_type), "{what}: {error}");
            assert!(!error.contains(CLIENT_SECRET), "{what}: {error}");
        }
    }
}
