//! Tests of the providers themselves: the other tests rely on this behaviour.

use serde_json::{Value, json};
use url::Url;

use super::super::legacy_app::LegacyApp;
use super::keycloak::Realm;
use super::oidc_provider::OidcProvider;
use super::visitor::{Page, Visitor};
use super::{CLIENT_ID, CLIENT_SECRET};

/// A PKCE verifier and its challenge from RFC 7636, Appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A client of the provider without menshen; the application plays the client.
struct Client {
    http: reqwest::Client,
    discovered: Value,
    callback: String,
}

impl Client {
    async fn of(issuer: &str, app: &LegacyApp) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{issuer}/.well-known/openid-configuration");
        let discovered: Value = http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(discovered["issuer"], issuer);
        Self {
            http,
            discovered,
            callback: format!("{}/.menshen/callback/corp", app.base_url()),
        }
    }

    fn authorization(&self, more: &[(&str, &str)]) -> String {
        let endpoint = self.discovered["authorization_endpoint"].as_str().unwrap();
        let usual = [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", self.callback.as_str()),
            ("scope", "openid profile email"),
            ("state", "of-this-flow"),
            ("nonce", "of-this-flow"),
        ];
        let url = Url::parse_with_params(endpoint, usual.iter().chain(more)).unwrap();
        url.into()
    }

    async fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let endpoint = self.discovered["token_endpoint"].as_str().unwrap();
        let request = self.http.post(endpoint).form(form);
        let request = request.basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn redeem(&self, landed: &Page) -> Value {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &parameter(landed, "code").unwrap()),
            ("redirect_uri", &self.callback),
            ("code_verifier", VERIFIER),
        ];
        let (status, tokens) = self.token(&form).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    async fn refresh(&self, tokens: &Value) -> (u16, Value) {
        let token = tokens["refresh_token"].as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    /// A used refresh token is refused and revokes the token that replaced it.
    async fn assert_reuse_revokes(&self, first: Value) {
        let (status, second) = self.refresh(&first).await;
        assert_eq!(status, 200, "{second}");
        let (status, refused) = self.refresh(&first).await;
        assert_eq!(
            (status, refused["error"].as_str()),
            (400, Some("invalid_grant"))
        );
        let (status, refused) = self.refresh(&second).await;
        assert_eq!(
            (status, refused["error"].as_str()),
            (400, Some("invalid_grant"))
        );
    }
}

fn parameter(page: &Page, name: &str) -> Option<String> {
    let mut pairs = page.url.query_pairs();
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

const PKCE: [(&str, &str); 2] = [
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

async fn application() -> LegacyApp {
    LegacyApp::start(([127, 0, 0, 1], 0).into(), "应用")
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_provider_requires_pkce_and_revokes_on_refresh_token_reuse() {
    let app = application().await;
    let provider = OidcProvider::start(json!({})).await;
    provider.register(&app.base_url()).await;
    let client = Client::of(&provider.issuer, &app).await;
    let mut visitor = Visitor::new();

    let refused = visitor.open(&client.authorization(&[])).await;
    assert_eq!(
        parameter(&refused, "error").as_deref(),
        Some("invalid_request")
    );

    let page = visitor.open(&client.authorization(&PKCE)).await;
    let landed = visitor.submit(&page, &[("person", "zhangsan")]).await;
    assert_eq!(
        parameter(&landed, "iss").as_deref(),
        Some(provider.issuer.as_str())
    );
    client
        .assert_reuse_revokes(client.redeem(&landed).await)
        .await;
    assert_eq!(provider.asked("refresh_token", true).await, 1);
    assert_eq!(provider.asked("refresh_token", false).await, 2);

    // It also notifies its client of a logout.
    let asks = visitor
        .open(&format!("{}/session/end", provider.issuer))
        .await;
    visitor.submit(&asks, &[("logout", "yes")]).await;
    assert_eq!(provider.told_of_logout().await, [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keycloak_requires_pkce_and_revokes_on_refresh_token_reuse() {
    let app = application().await;
    let realm = Realm::new();
    realm.open(&app.base_url()).await;
    let client = Client::of(&realm.issuer, &app).await;
    let mut visitor = Visitor::new();

    let refused = visitor.open(&client.authorization(&[])).await;
    assert_eq!(
        parameter(&refused, "error").as_deref(),
        Some("invalid_request")
    );

    let page = visitor.open(&client.authorization(&PKCE)).await;
    let filled = [("username", "zhangsan"), ("password", "zhangsan-password")];
    let landed = visitor.submit(&page, &filled).await;
    assert_eq!(
        parameter(&landed, "iss").as_deref(),
        Some(realm.issuer.as_str())
    );
    client
        .assert_reuse_revokes(client.redeem(&landed).await)
        .await;

    // The client is notified before the administrator gets the response.
    visitor.open(&client.authorization(&PKCE)).await;
    assert_eq!(realm.sessions("zhangsan").await, 1);
    let before = app.requests();
    realm.end_sessions("zhangsan").await;
    assert_eq!(app.requests(), before + 1);
    assert_eq!(realm.sessions("zhangsan").await, 0);
}
