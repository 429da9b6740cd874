//! Sign-out here and at the provider, in both directions.

use serde_json::json;

use super::super::webdriver::{Browser, BrowserOptions};
use super::Stage;
use super::keycloak::{self, Realm};
use super::oidc_provider::{self, OidcProvider};
use super::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_also_ends_the_oidc_provider_session() {
    let provider = OidcProvider::start(json!({})).await;
    let stage = Stage::start(&provider.issuer, oidc_provider::SETTINGS).await;
    provider.register(&stage.url).await;
    let (mut leaves, mut stays) = (Visitor::new(), Visitor::new());
    for visitor in [&mut leaves, &mut stays] {
        oidc_provider::sign_in(visitor, &stage.at("/echo"), "zhangsan").await;
    }
    let asks = leaves.open(&stage.at("/.menshen/sign_out")).await;
    // The session ends here whatever the provider responds.
    assert!(!leaves.has("menshen"));
    assert!(
        asks.url.as_str().starts_with(&provider.issuer),
        "{}",
        asks.url
    );
    let page = leaves.submit(&asks, &[("logout", "yes")]).await;
    assert_eq!(page.status, 200);
    assert!(
        page.url.as_str().starts_with(&stage.at("/.menshen/")),
        "{}",
        page.url
    );
    assert!(page.body.contains("已退出"), "{}", page.body);
    // The provider's session has ended, too: it asks for a login.
    let who = oidc_provider::to_provider(&mut leaves, &stage.at("/echo")).await;
    assert!(who.body.contains("zhangsan"), "{}", who.body);
    // The person's session in another browser continues.
    assert_eq!(stays.peek(&stage.at("/.menshen/userinfo")).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_at_oidc_provider_ends_the_session_here() {
    // By session ID, or without one by subject.
    for by_sid in [true, false] {
        let provider = OidcProvider::start(json!({})).await;
        let stage = Stage::start(&provider.issuer, oidc_provider::SETTINGS).await;
        let metadata = json!({ "backchannel_logout_session_required": by_sid });
        provider.register_with(&stage.url, metadata).await;
        let (mut leaves, mut same, mut other) = (Visitor::new(), Visitor::new(), Visitor::new());
        for (visitor, person) in [
            (&mut leaves, "zhangsan"),
            (&mut same, "zhangsan"),
            (&mut other, "lisi"),
        ] {
            oidc_provider::sign_in(visitor, &stage.at("/echo"), person).await;
        }
        let asks = leaves
            .open(&format!("{}/session/end", provider.issuer))
            .await;
        leaves.submit(&asks, &[("logout", "yes")]).await;
        assert_eq!(provider.told_of_logout().await, [true]);
        let me = stage.at("/.menshen/userinfo");
        assert_eq!(leaves.peek(&me).await, 401);
        assert_eq!(same.peek(&me).await, if by_sid { 200 } else { 401 });
        assert_eq!(other.peek(&me).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_in_chromium_also_ends_the_keycloak_session() {
    let realm = Realm::new();
    let stage = Stage::start(&realm.issuer, "").await;
    realm.open(&stage.url).await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&stage.at("/todo")).await;
    keycloak::sign_in(&browser, "zhangsan").await;
    browser.reads("三 张").await;
    assert_eq!(realm.sessions("zhangsan").await, 1);

    browser.open(&stage.at("/.menshen/sign_out")).await;
    browser.reads("已退出").await;
    assert!(browser.url().await.starts_with(&stage.at("/.menshen/")));
    assert_eq!(realm.sessions("zhangsan").await, 0);
    browser.open(&stage.at("/todo")).await;
    browser.click("main a[href*='connector=']").await;
    browser
        .until("Keycloak's form", async || browser.has("#kc-login").await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_ended_by_a_keycloak_administrator_end_here() {
    let realm = Realm::new();
    let stage = Stage::start(&realm.issuer, "").await;
    realm.open(&stage.url).await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&stage.at("/todo")).await;
    keycloak::sign_in(&browser, "zhangsan").await;
    browser.reads("三 张").await;
    let mut other = Visitor::new();
    keycloak::sign_in_over_http(&mut other, &stage.at("/echo"), "lisi").await;

    // Keycloak responds to the administrator after it has notified its clients.
    realm.end_sessions("zhangsan").await;
    browser.open(&stage.at("/todo")).await;
    browser
        .until("the page without a session", async || {
            browser.has("main a[href*='connector=']").await
        })
        .await;
    assert_eq!(other.peek(&stage.at("/.menshen/userinfo")).await, 200);
}
