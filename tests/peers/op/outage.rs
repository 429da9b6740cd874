//! A provider outage: sessions continue, sign-out works, and logins fail with a problem page.

use menshen::face::page::Cause;
use serde_json::json;

use super::Stage;
use super::oidc_provider::{self, OidcProvider};
use super::visitor::{Page, Visitor};

#[tokio::test(flavor = "multi_thread")]
async fn menshen_starts_and_serves_while_its_oidc_provider_is_down() {
    serves_without_provider(oidc_provider::openid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn menshen_starts_and_serves_while_its_oauth2_provider_is_down() {
    serves_without_provider(oidc_provider::only_oauth2).await;
}

async fn serves_without_provider(tables: fn(&str) -> String) {
    let mut provider = OidcProvider::start(json!({})).await;
    provider.stop();
    // menshen starts before its provider.
    let stage = Stage::start_with(&tables(&provider.issuer)).await;
    assert_logins_fail(&stage).await;

    provider.start_again().await;
    provider.register(&stage.url).await;
    stage.advance(60);
    let (mut stays, mut leaves) = (Visitor::new(), Visitor::new());
    for visitor in [&mut stays, &mut leaves] {
        let page = oidc_provider::sign_in(visitor, &stage.at("/echo"), "zhangsan").await;
        assert_eq!((page.status, page.url.path()), (200, "/echo"));
    }

    // The provider stops during a login.
    let mut comes = Visitor::new();
    let page = oidc_provider::to_provider(&mut comes, &stage.at("/echo")).await;
    let back = comes.submit_only(&page, &[("person", "lisi")]).await;
    let callback = comes.follow_until(back, "/.menshen/callback/corp").await;
    provider.stop();
    let page = comes.open(callback.as_str()).await;
    assert_outage_page(&page);
    assert!(!comes.has("menshen"));

    assert_eq!(stays.visit(&stage.at("/finance")).await.status, 200);
    leaves.visit(&stage.at("/.menshen/sign_out")).await;
    assert!(!leaves.has("menshen"));
    let me = stage.at("/.menshen/userinfo");
    assert_eq!(leaves.peek(&me).await, 401);
    // It returns with other keys.
    provider.start_again().await;
    provider.register(&stage.url).await;
    stage.advance(60);
    let page = oidc_provider::sign_in(&mut comes, &stage.at("/echo"), "lisi").await;
    assert_eq!((page.status, page.url.path()), (200, "/echo"));

    // The length of the outage does not matter.
    provider.stop();
    stage.advance(3600);
    for visitor in [stays, comes] {
        assert_eq!(visitor.peek(&stage.at("/echo")).await, 200);
    }
    assert_logins_fail(&stage).await;
}

/// A login gets a page that says that the provider is unreachable.
async fn assert_logins_fail(stage: &Stage) {
    let mut visitor = Visitor::new();
    let page = oidc_provider::to_provider(&mut visitor, &stage.at("/echo")).await;
    assert_outage_page(&page);
    assert!(!visitor.has("menshen"));
}

fn assert_outage_page(page: &Page) {
    assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
    assert_eq!(page.status, 502);
    // The page has a link, and there is no redirect loop.
    page.link("/.menshen/");
}
