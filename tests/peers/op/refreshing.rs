//! Token refresh: in time, with each refresh token used once, and with immediate effect.

use serde_json::json;

use super::super::processes::until;
use super::Stage;
use super::keycloak::{self, Realm};
use super::oidc_provider::{self, OidcProvider};
use super::visitor::{Visitor, echoed};

/// The lifetime of an access token of oidc-provider, in seconds.
const LIFE: u64 = 60;
/// The lifetime in the realm of `realm.json`, in seconds.
const REALM_LIFE: u64 = 300;
/// The number of concurrent requests.
const CROWD: usize = 100;

/// The kinds of connectors to oidc-provider.
const KINDS: [fn(&str) -> String; 2] = [oidc_provider::openid, oidc_provider::only_oauth2];

async fn oidc_provider(kind: fn(&str) -> String) -> (OidcProvider, Stage) {
    let provider = OidcProvider::start(json!({ "accessTokenSeconds": LIFE })).await;
    let stage = Stage::start_with(&kind(&provider.issuer)).await;
    provider.register(&stage.url).await;
    (provider, stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_spend_one_refresh_token() {
    for kind in KINDS {
        let (provider, stage) = oidc_provider(kind).await;
        let mut visitor = Visitor::new();
        oidc_provider::sign_in(&mut visitor, &stage.at("/echo"), "zhangsan").await;
        assert_eq!(provider.asked("refresh_token", true).await, 0);
        for round in 1..=3 {
            // The old access token has expired, so every request needs the new one.
            stage.advance(LIFE);
            let crowd = (0..CROWD).map(|_| {
                let (visitor, url) = (visitor.clone(), stage.at("/echo"));
                tokio::spawn(async move { visitor.peek(&url).await })
            });
            for one in crowd.collect::<Vec<_>>() {
                assert_eq!(one.await.unwrap(), 200);
            }
            until("a refresh", async || {
                provider.asked("refresh_token", true).await >= round
            })
            .await;
            assert_eq!(visitor.peek(&stage.at("/echo")).await, 200);
            assert_eq!(provider.asked("refresh_token", true).await, round);
            assert_eq!(provider.asked("refresh_token", false).await, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_access_token_is_always_valid() {
    for kind in KINDS {
        let (provider, stage) = oidc_provider(kind).await;
        let mut visitor = Visitor::new();
        oidc_provider::sign_in(&mut visitor, &stage.at("/echo"), "zhangsan").await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let page = visitor.visit(&stage.at("/api/echo")).await;
            let [token] = &echoed(&page.body, "x-forwarded-access-token")[..] else {
                panic!("not one token: {}", page.body);
            };
            assert!(provider.honours(token).await);
            assert!(!seen.contains(token), "a new one each time");
            seen.push(token.clone());
            stage.advance(LIFE);
        }
        let page = visitor.visit(&stage.at("/echo")).await;
        assert!(echoed(&page.body, "x-forwarded-access-token").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_removed_at_oidc_provider_is_gone_after_the_next_refresh() {
    for kind in KINDS {
        let (provider, stage) = oidc_provider(kind).await;
        let mut visitor = Visitor::new();
        oidc_provider::sign_in(&mut visitor, &stage.at("/finance"), "zhangsan").await;
        let finance = stage.at("/finance");
        assert_eq!(visitor.peek(&finance).await, 200);
        let fewer =
            json!({ "preferred_username": "zhangsan", "name": "张三", "groups": ["研发中心"] });
        provider.is("zhangsan", &fewer).await;
        stage.advance(LIFE);
        until("403", async || visitor.peek(&finance).await == 403).await;
        assert_eq!(visitor.peek(&stage.at("/echo")).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_removed_at_oidc_provider_loses_its_session_at_the_next_refresh() {
    for kind in KINDS {
        let (provider, stage) = oidc_provider(kind).await;
        let (mut goes, mut stays) = (Visitor::new(), Visitor::new());
        oidc_provider::sign_in(&mut goes, &stage.at("/echo"), "zhangsan").await;
        oidc_provider::sign_in(&mut stays, &stage.at("/echo"), "lisi").await;
        provider.gone("zhangsan").await;
        stage.advance(LIFE);
        let me = stage.at("/.menshen/userinfo");
        until("a stranger", async || {
            // Any request triggers the refresh.
            goes.peek(&stage.at("/echo")).await;
            goes.peek(&me).await == 401
        })
        .await;
        assert_eq!(stays.peek(&me).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_outage_during_refresh_ends_no_session() {
    for kind in KINDS {
        let (mut provider, stage) = oidc_provider(kind).await;
        let mut visitor = Visitor::new();
        oidc_provider::sign_in(&mut visitor, &stage.at("/echo"), "zhangsan").await;
        provider.stop();
        for _ in 0..5 {
            stage.advance(LIFE);
            assert_eq!(visitor.peek(&stage.at("/echo")).await, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_by_a_keycloak_administrator_apply_at_the_next_refresh() {
    let realm = Realm::new();
    let stage = Stage::start(&realm.issuer, "").await;
    realm.open(&stage.url).await;
    let mut visitor = Visitor::new();
    let finance = stage.at("/finance");
    let page = keycloak::sign_in_over_http(&mut visitor, &finance, "zhangsan").await;
    assert_eq!(page.status, 200);
    realm.leave("zhangsan", "财务部").await;
    stage.advance(REALM_LIFE);
    until("403", async || visitor.peek(&finance).await == 403).await;
    assert_eq!(visitor.peek(&stage.at("/echo")).await, 200);

    // Keycloak sends no notification; the next refresh is refused.
    realm.disable("zhangsan").await;
    stage.advance(REALM_LIFE);
    let me = stage.at("/.menshen/userinfo");
    until("a stranger", async || {
        visitor.peek(&stage.at("/echo")).await;
        visitor.peek(&me).await == 401
    })
    .await;
}
