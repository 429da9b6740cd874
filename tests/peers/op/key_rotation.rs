//! Key rotation between two logins, with and without overlap.

use serde_json::json;

use super::Stage;
use super::keycloak::{self, Realm};
use super::oidc_provider::{self, OidcProvider};
use super::visitor::Visitor;

#[tokio::test(flavor = "multi_thread")]
async fn oidc_provider_may_rotate_its_keys_between_logins() {
    let provider = OidcProvider::start(json!({})).await;
    let stage = Stage::start(&provider.issuer, oidc_provider::SETTINGS).await;
    provider.register(&stage.url).await;
    let mut all = Vec::new();
    for change in [None, Some("softly"), Some("hard")] {
        if let Some(how) = change {
            provider.rotate_keys(how == "softly").await;
        }
        let mut visitor = Visitor::new();
        let page = oidc_provider::sign_in(&mut visitor, &stage.at("/echo"), "zhangsan").await;
        assert_eq!((page.status, page.url.path()), (200, "/echo"), "{change:?}");
        all.push(visitor);
    }
    for mut visitor in all {
        assert_eq!(visitor.visit(&stage.at("/echo")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keycloak_may_rotate_its_keys_between_logins() {
    let realm = Realm::new();
    let stage = Stage::start(&realm.issuer, "").await;
    realm.open(&stage.url).await;
    let mut all = Vec::new();
    for change in ["none", "softly", "hard"] {
        match change {
            "softly" => realm.add_key().await,
            "hard" => realm.forget_first_key().await,
            _ => {}
        }
        let mut visitor = Visitor::new();
        let page = keycloak::sign_in_over_http(&mut visitor, &stage.at("/echo"), "lisi").await;
        assert_eq!((page.status, page.url.path()), (200, "/echo"), "{change}");
        all.push(visitor);
    }
    for mut visitor in all {
        assert_eq!(visitor.visit(&stage.at("/echo")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_asymmetric_algorithm_of_keycloak_works_and_no_hmac() {
    let realm = Realm::new();
    let stage = Stage::start(&realm.issuer, "").await;
    realm.open(&stage.url).await;
    for algorithm in ["PS256", "ES256", "ES384", "EdDSA", "HS256"] {
        realm.sign_with(algorithm).await;
        // Each algorithm uses a new key. menshen limits how often it fetches keys, and what
        // Keycloak signs is valid for five minutes.
        stage.advance(30);
        let mut visitor = Visitor::new();
        let page = keycloak::sign_in_over_http(&mut visitor, &stage.at("/echo"), "lisi").await;
        let good = algorithm != "HS256";
        let said = (page.status, page.cause());
        assert_eq!(page.status == 200, good, "{algorithm}: {said:?}");
        assert_eq!(visitor.has("menshen"), good, "{algorithm}");
    }
}
