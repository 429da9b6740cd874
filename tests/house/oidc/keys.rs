//! Rotation of keys, and limits for requests caused by unknown `kid` values.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use menshen::face::page::Cause;
use serde_json::json;

use super::{assert_signed_in_as, last_error, sign_in};
use crate::provider::{CLIENT_ID, Misbehavior, OldKey, Provider};

#[tokio::test]
async fn logins_go_on_when_keys_are_rotated() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut key_requests = 0;
    for old_key in [
        OldKey::Published,
        OldKey::Removed,
        OldKey::Published,
        OldKey::Removed,
    ] {
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_signed_in_as(&page, "zhangsan");
        key_requests += 1;
        assert_eq!(
            provider.calls("keys"),
            key_requests,
            "one refetch for an unknown kid"
        );
        provider.rotate(old_key);
        menshen.advance(Duration::from_secs(60));
    }
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn asymmetric_algorithms_are_accepted_unless_others_are_configured() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, algorithm).await;
        let menshen = provider.setup("").start().await;
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_signed_in_as(&page, "zhangsan");
        let menshen = provider
            .setup(&format!("algorithms = ['{algorithm:?}']"))
            .start()
            .await;
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_signed_in_as(&page, "zhangsan");
        let menshen = provider
            .setup("algorithms = ['ES384', 'PS256']")
            .start()
            .await;
        let (browser, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
        assert!(browser.cookie("menshen").is_none());
        let error = last_error(&menshen);
        assert!(
            error.contains(&format!("algorithm {algorithm:?}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_provider_can_rotate_to_another_algorithm() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256] {
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_signed_in_as(&page, "zhangsan");
        provider.rotate_to(OldKey::Published, Some(algorithm));
    }
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn a_single_key_needs_no_kid() {
    let provider = Provider::new().await;
    provider.misbehave(Misbehavior::token_header(|head| head["kid"] = ().into()));
    provider.misbehave(Misbehavior::json("keys", |keys| {
        keys["keys"][0].as_object_mut().unwrap().remove("kid");
    }));
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn forged_logout_tokens_do_not_delay_logins_with_a_new_key() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    let before = provider.calls("keys");
    for nth in 0..30 {
        let head = json!({ "kid": format!("unknown-{nth}"), "typ": "logout+jwt" });
        let claims = provider.access_token_claims("zhangsan", CLIENT_ID);
        let token = provider.sign(&claims, &head);
        let answer = provider.post_logout_token(menshen.address(), "keycloak", &token);
        assert_eq!(answer.await.status, 400);
    }
    let refetches = provider.calls("keys") - before;
    assert!((1..=3).contains(&refetches), "{refetches}");
    provider.rotate(OldKey::Removed);
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn refetches_for_unknown_kids_are_limited_and_a_new_key_is_still_found() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    let before = provider.calls("keys");
    let forged_logins = (0..40).map(async |nth: usize| {
        let unknown = format!("unknown-{nth}");
        provider.misbehave(Misbehavior::token_header(move |head| {
            head["kid"] = unknown.clone().into()
        }));
        let (browser, page) = sign_in(&provider, &menshen, "lisi").await;
        assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
        assert!(browser.cookie("menshen").is_none());
    });
    futures_util::future::join_all(forged_logins).await;
    let refetches = provider.calls("keys") - before;
    assert!((1..=3).contains(&refetches), "{refetches}");
    provider.behave();
    // Known keys still work; a new key is found when a refetch is allowed again.
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    provider.rotate(OldKey::Removed);
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    menshen.advance(Duration::from_secs(30));
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}
