//! Logins return to the requested page with the person's identity.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::webdriver::{Browser, BrowserOptions};
use super::keycloak::{self, Realm};
use super::oidc_provider::{self, OidcProvider, SETTINGS};
use super::visitor::{Visitor, echoed};
use super::{CLIENT_ID, CLIENT_SECRET, Stage};

/// A path with a query that only survives if it is treated as bytes.
const DEEP: &str = "/echo?from=a%20b&to=%E5%8C%97%E4%BA%AC&x=1+1";

/// The name and groups of 张三 as the application receives them.
const NAME: &str = "%E5%BC%A0%E4%B8%89";
const GROUPS: [&str; 2] = [
    "%E7%A0%94%E5%8F%91%E4%B8%AD%E5%BF%83",
    "%E8%B4%A2%E5%8A%A1%E9%83%A8",
];

/// The identity headers: user, name, e-mail, groups.
fn identity(echo: &str) -> [Vec<String>; 4] {
    ["user", "name", "email", "groups"].map(|header| echoed(echo, &format!("x-forwarded-{header}")))
}

fn all(values: [&str; 4]) -> [Vec<String>; 4] {
    values.map(|value| match value {
        "" => Vec::new(),
        value => vec![value.to_owned()],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_provider_claims_come_from_the_id_token_or_userinfo() {
    for claims_in_id_token in [true, false] {
        let provider = OidcProvider::start(json!({ "claimsInIdToken": claims_in_id_token })).await;
        let stage = Stage::start(&provider.issuer, SETTINGS).await;
        provider.register(&stage.url).await;

        let mut visitor = Visitor::new();
        let page = oidc_provider::sign_in(&mut visitor, &stage.at(DEEP), "zhangsan").await;
        assert_eq!(
            (page.status, page.url.as_str()),
            (200, stage.at(DEEP).as_str())
        );
        let groups = GROUPS.join(",");
        let expected = all(["zhangsan", NAME, "zhangsan@corp.example", &groups]);
        assert_eq!(identity(&page.body), expected, "{claims_in_id_token}");
        assert_eq!(visitor.open(&stage.at("/finance")).await.status, 200);

        // 李四 has no e-mail address and no group.
        let mut visitor = Visitor::new();
        let page = oidc_provider::sign_in(&mut visitor, &stage.at("/echo"), "lisi").await;
        let expected = all(["lisi", "%E6%9D%8E%E5%9B%9B", "", ""]);
        assert_eq!(identity(&page.body), expected, "{claims_in_id_token}");
        assert_eq!(visitor.open(&stage.at("/finance")).await.status, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_declined_at_the_provider_can_be_repeated() {
    let provider = OidcProvider::start(json!({})).await;
    let stage = Stage::start(&provider.issuer, SETTINGS).await;
    provider.register(&stage.url).await;
    let mut visitor = Visitor::new();
    let page = oidc_provider::sign_in(&mut visitor, &stage.at(DEEP), "").await;
    assert!((400..500).contains(&page.status), "{}", page.body);
    assert!(!visitor.has("menshen"));
    let again = visitor.open(&page.link("/.menshen/")).await;
    assert_eq!(again.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_another_browser_is_refused() {
    let provider = OidcProvider::start(json!({})).await;
    let stage = Stage::start(&provider.issuer, SETTINGS).await;
    provider.register(&stage.url).await;
    let mut theirs = Visitor::new();
    let page = oidc_provider::to_provider(&mut theirs, &stage.at("/echo")).await;
    let back = theirs.submit_only(&page, &[("person", "zhangsan")]).await;
    let callback = theirs.follow_until(back, "/.menshen/callback/corp").await;
    // A victim of the link gets no session, and the code is not redeemed.
    let mut lured = Visitor::new();
    let page = lured.open(callback.as_str()).await;
    assert!((400..500).contains(&page.status), "{}", page.body);
    assert!(!lured.has("menshen"));
    assert_eq!(provider.asked("authorization_code", true).await, 0);
    let page = theirs.open(callback.as_str()).await;
    assert_eq!((page.status, page.url.path()), (200, "/echo"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_authentication_method_of_the_provider_works() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let [basic, post, pem] = [
        format!("client_secret = '{CLIENT_SECRET}'"),
        format!("client_secret = '{CLIENT_SECRET}'\nclient_auth = 'post'"),
        format!("private_key = '''\n{}'''", key.serialize_pem()),
    ];
    for (settings, metadata) in [
        (basic.as_str(), json!({})),
        (
            &post,
            json!({ "token_endpoint_auth_method": "client_secret_post" }),
        ),
        (
            &pem,
            json!({
                "token_endpoint_auth_method": "private_key_jwt", "client_secret": null,
                "token_endpoint_auth_signing_alg": "ES256", "jwks": { "keys": [public(&key)] },
            }),
        ),
        (
            "",
            json!({ "token_endpoint_auth_method": "none", "client_secret": null }),
        ),
    ] {
        let provider = OidcProvider::start(json!({})).await;
        let stage = Stage::start_as(&provider.issuer, settings).await;
        provider.register_with(&stage.url, metadata).await;
        let mut visitor = Visitor::new();
        let page = oidc_provider::sign_in(&mut visitor, &stage.at("/echo"), "zhangsan").await;
        assert_eq!((page.status, page.url.path()), (200, "/echo"), "{settings}");
    }
}

/// The public key as a JWK (RFC 7517).
fn public(key: &rcgen::KeyPair) -> Value {
    // An uncompressed point: 4, then both coordinates.
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "EC", "crv": "P-256", "use": "sig", "x": text(x), "y": text(y) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keycloak_login_in_chromium_returns_with_the_identity() {
    let realm = Realm::new();
    let stage = Stage::start(&realm.issuer, "").await;
    realm.open(&stage.url).await;

    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&stage.at(DEEP)).await;
    keycloak::sign_in(&browser, "zhangsan").await;
    browser
        .until(DEEP, async || browser.url().await == stage.at(DEEP))
        .await;
    let [user, name, email, groups] = identity(&browser.text().await);
    assert_eq!(user, ["zhangsan"]);
    // Keycloak builds the name as given name, space, family name: 三 张.
    assert_eq!(name, ["%E4%B8%89 %E5%BC%A0"]);
    assert_eq!(email, ["zhangsan@corp.example"]);
    // The order of groups is undefined.
    let mut groups: Vec<_> = groups[0].split(',').collect();
    groups.sort_unstable();
    let platform = "%E5%B9%B3%E5%8F%B0%E7%BB%84";
    assert_eq!(groups, [platform, GROUPS[1]]);
    browser.open(&stage.at("/finance")).await;
    browser.reads("三 张").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keycloak_user_without_an_e_mail_address_can_log_in() {
    let realm = Realm::new();
    let stage = Stage::start(&realm.issuer, "").await;
    realm.open(&stage.url).await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&stage.at("/echo")).await;
    keycloak::sign_in(&browser, "lisi").await;
    browser
        .until("/echo", async || browser.url().await == stage.at("/echo"))
        .await;
    let expected = all(["lisi", "%E6%9D%8E%E5%9B%9B", "", ""]);
    assert_eq!(identity(&browser.text().await), expected);
}

/// The response is a cross-site POST, which needs a cookie with `SameSite=None`.
#[tokio::test(flavor = "multi_thread")]
async fn keycloak_in_chromium_may_use_form_post() {
    let realm = Realm::new();
    let stage = Stage::start_secure(&realm.issuer, "response_mode = 'form_post'").await;
    realm.open(&stage.url).await;
    let person = BrowserOptions {
        accepts_any_certificate: true,
        ..BrowserOptions::default()
    };
    let browser = Browser::start(&person).await;
    browser.open(&stage.at(DEEP)).await;
    keycloak::sign_in(&browser, "zhangsan").await;
    let there = async || browser.url().await == stage.at(DEEP);
    browser.until(DEEP, there).await;
    assert_eq!(identity(&browser.text().await)[0], ["zhangsan"]);
}

/// Both providers work as plain OAuth 2: no ID token is read, the profile endpoint names the
/// person.
#[tokio::test(flavor = "multi_thread")]
async fn both_providers_work_with_the_oauth2_connector() {
    let expected = all(["zhangsan", NAME, "zhangsan@corp.example", &GROUPS.join(",")]);
    let provider = OidcProvider::start(json!({})).await;
    let tables = oidc_provider::only_oauth2(&provider.issuer);
    let stage = Stage::start_with(&tables).await;
    provider.register(&stage.url).await;
    let mut visitor = Visitor::new();
    let page = oidc_provider::sign_in(&mut visitor, &stage.at(DEEP), "zhangsan").await;
    assert_eq!(page.url.as_str(), stage.at(DEEP));
    assert_eq!(identity(&page.body), expected);

    let realm = Realm::new();
    let tables = format!(
        "[connector.corp.oauth2]
        preset = 'keycloak'
        base_url = '{}'
        client_id = '{CLIENT_ID}'
        client_secret = '{CLIENT_SECRET}'",
        realm.issuer
    );
    let stage = Stage::start_with(&tables).await;
    realm.open(&stage.url).await;
    let mut visitor = Visitor::new();
    let page = keycloak::sign_in_over_http(&mut visitor, &stage.at(DEEP), "lisi").await;
    assert_eq!(page.url.as_str(), stage.at(DEEP));
    let expected = all(["lisi", "%E6%9D%8E%E5%9B%9B", "", ""]);
    assert_eq!(identity(&page.body), expected);
}
