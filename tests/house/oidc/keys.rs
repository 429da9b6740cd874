//! Keys that change: nobody who logs in notices, and a flood of unknown names costs nothing.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use menshen::face::page::Cause;
use serde_json::json;

use super::{is_here, last_error, sign_in};
use crate::provider::{CLIENT_ID, Misbehavior, Provider};

#[tokio::test]
async fn keys_change_between_two_logins_and_nobody_notices() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut asked = 0;
    for soft in [true, false, true, false] {
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        is_here(&page, "zhangsan");
        asked += 1;
        assert_eq!(provider.calls("keys"), asked, "an unknown name asks once");
        provider.rotate(soft);
        menshen.advance(Duration::from_secs(60));
    }
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
}

#[tokio::test]
async fn every_algorithm_with_a_public_key_counts_unless_others_are_pinned() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Provider::start(&clock, algorithm).await;
        let menshen = provider.setup("").start().await;
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        is_here(&page, "zhangsan");
        let menshen = provider
            .setup(&format!("algorithms = ['{algorithm:?}']"))
            .start()
            .await;
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        is_here(&page, "zhangsan");
        let menshen = provider
            .setup("algorithms = ['ES384', 'PS256']")
            .start()
            .await;
        let (browser, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::BadAnswer));
        assert!(browser.cookie("menshen").is_none());
        let error = last_error(&menshen);
        assert!(
            error.contains(&format!("algorithm {algorithm:?}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_provider_may_change_to_another_algorithm() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256] {
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        is_here(&page, "zhangsan");
        provider.rotate_to(true, Some(algorithm));
    }
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
}

#[tokio::test]
async fn one_key_without_a_name_needs_none() {
    let provider = Provider::new().await;
    provider.misbehave(Misbehavior::head(|head| head["kid"] = ().into()));
    provider.misbehave(Misbehavior::answer("keys", |said| {
        said["keys"][0].as_object_mut().unwrap().remove("kid");
    }));
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
}

#[tokio::test]
async fn made_up_logout_tokens_keep_nobody_from_logging_in_by_a_new_key() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
    let before = provider.calls("keys");
    for nth in 0..30 {
        let head = json!({ "kid": format!("ghost-{nth}"), "typ": "logout+jwt" });
        let claims = provider.claims("zhangsan", CLIENT_ID);
        let token = provider.sign(&claims, &head);
        let answer = provider.push_logout(menshen.address(), "keycloak", &token);
        assert_eq!(answer.await.status, 400);
    }
    let asked = provider.calls("keys") - before;
    assert!((1..=3).contains(&asked), "{asked}");
    provider.rotate(false);
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
}

#[tokio::test]
async fn a_flood_of_unknown_names_is_throttled_and_a_real_key_still_found() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
    let before = provider.calls("keys");
    let flood = (0..40).map(async |nth: usize| {
        let ghost = format!("ghost-{nth}");
        provider.misbehave(Misbehavior::head(move |head| {
            head["kid"] = ghost.clone().into()
        }));
        let (browser, page) = sign_in(&provider, &menshen, "lisi").await;
        assert_eq!(page.cause(), Some(Cause::BadAnswer));
        assert!(browser.cookie("menshen").is_none());
    });
    futures_util::future::join_all(flood).await;
    let asked = provider.calls("keys") - before;
    assert!((1..=3).contains(&asked), "{asked}");
    provider.behave();
    // Whose key is known comes in meanwhile; a new one is found once the throttle opens.
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
    provider.rotate(false);
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_eq!(page.cause(), Some(Cause::BadAnswer));
    menshen.advance(Duration::from_secs(30));
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    is_here(&page, "zhangsan");
}
