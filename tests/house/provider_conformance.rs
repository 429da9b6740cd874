//! The simulated OpenID provider follows the standards, except where a test makes it misbehave.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::provider::{
    CLIENT_ID, CLIENT_SECRET, ClientAuth, EndpointFault, Key, Misbehavior, OldKey, Provider,
    start_url,
};
use crate::wire::{self, Answer};

const REDIRECT_URI: &str = "http://sso.test/.menshen/callback/keycloak";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A client that follows the standards.
struct Client<'a> {
    provider: &'a Provider,
    cookie: String,
}

impl<'a> Client<'a> {
    fn new(provider: &'a Provider) -> Self {
        let cookie = String::new();
        Self { provider, cookie }
    }

    async fn send(&self, method: &str, path: &str, head: &str, pairs: &[(&str, &str)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let form = form.extend_pairs(pairs).finish();
        let issuer = url::Url::parse(self.provider.issuer()).unwrap();
        let target = format!("{}{path}", issuer.path());
        let (target, body) = match method {
            "GET" => (format!("{target}?{form}"), String::new()),
            _ => (target, form),
        };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: op\r\nContent-Length: {}\r\n\
             Cookie: {}\r\n{head}Connection: close\r\n\r\n{body}",
            body.len(),
            self.cookie
        );
        wire::send(self.provider.address(), request.as_bytes()).await
    }

    async fn get(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        self.send("GET", path, "", pairs).await
    }

    /// Requests the authorization endpoint and returns the parameters of the redirect.
    async fn authorize(&mut self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut pairs = vec![
            ("client_id", CLIENT_ID),
            ("redirect_uri", REDIRECT_URI),
            ("response_type", "code"),
            ("scope", "openid profile"),
            ("state", "s"),
            ("nonce", "n"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        pairs.extend_from_slice(more);
        let answer = self.get("/authorize", &pairs).await;
        if let Some(line) = answer.header("set-cookie") {
            self.cookie = line.split(';').next().unwrap().to_owned();
        }
        let to = answer
            .header("location")
            .unwrap_or_else(|| panic!("{}", answer.text()));
        let to = url::Url::parse(to).unwrap();
        to.query_pairs().into_owned().collect()
    }

    async fn code(&mut self, more: &[(&str, &str)]) -> String {
        parameter(&self.authorize(more).await, "code").expect("a code")
    }

    async fn token(&self, pairs: &[(&str, &str)]) -> Answer {
        let mut all = vec![("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        all.extend_from_slice(pairs);
        self.send("POST", "/token", "", &all).await
    }

    async fn redeem(&self, code: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    async fn log_in(&mut self, more: &[(&str, &str)]) -> Value {
        let code = self.code(more).await;
        self.redeem(&code).await.json()
    }
}

fn parameter(pairs: &[(String, String)], name: &str) -> Option<String> {
    let pair = pairs.iter().find(|(key, _)| key == name);
    pair.map(|(_, value)| value.clone())
}

/// The claims of a token, without verifying it.
fn unverified_claims(token: &Value) -> Value {
    use base64::Engine as _;
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

#[tokio::test]
async fn a_code_is_redeemed_once_and_only_with_its_verifier() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let code = client.code(&[]).await;
    let redeemed = client.redeem(&code).await;
    assert_eq!(redeemed.status, 200, "{}", redeemed.text());
    let id = unverified_claims(&redeemed.json()["id_token"]);
    assert_eq!((&id["name"], &id["nonce"]), (&json!("张三"), &json!("n")));
    assert_eq!(id["groups"], json!(["财务部", "平台部"]));
    assert_eq!(client.redeem(&code).await.status, 400);
    let refresh = redeemed.json()["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        client.refresh(&refresh).await.status,
        400,
        "the reuse of the code revoked it"
    );
    let code = client.code(&[]).await;
    let other = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", "another"),
    ];
    assert_eq!(client.token(&other).await.status, 400);
    provider.clock().advance(Duration::from_secs(60));
    assert_eq!(
        client.redeem(&code).await.status,
        400,
        "the code has expired"
    );
    assert_eq!((provider.calls("token"), provider.code_grants()), (5, 4));
    assert_eq!(provider.refresh_grants(), 1);
}

#[tokio::test]
async fn the_reuse_of_a_refresh_token_revokes_its_grant() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let first = client.log_in(&[]).await["refresh_token"].clone();
    let second = client.refresh(first.as_str().unwrap()).await.json();
    assert_eq!(
        unverified_claims(&second["id_token"])["sub"],
        provider.sub("zhangsan")
    );
    let second = second["refresh_token"].clone();
    assert_eq!(client.refresh(first.as_str().unwrap()).await.status, 400);
    assert_eq!(client.refresh(second.as_str().unwrap()).await.status, 400);
    // Removal from a group and disabling take effect at the next refresh.
    let token = client.log_in(&[]).await["refresh_token"].clone();
    provider.person("zhangsan").groups(&["平台部"]);
    let next = client.refresh(token.as_str().unwrap()).await.json();
    assert_eq!(
        unverified_claims(&next["id_token"])["groups"],
        json!(["平台部"])
    );
    provider.person("zhangsan").disabled(true);
    let token = next["refresh_token"].as_str().unwrap();
    assert_eq!(client.refresh(token).await.status, 400);
}

#[tokio::test]
async fn the_parameters_of_an_authorization_request_take_effect() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let response = client.authorize(&[("prompt", "none")]).await;
    assert_eq!(
        parameter(&response, "error").as_deref(),
        Some("login_required")
    );
    assert_eq!(
        parameter(&response, "iss").as_deref(),
        Some(provider.issuer())
    );
    assert_eq!(parameter(&response, "state").as_deref(), Some("s"));
    let hinted_login = client.log_in(&[("login_hint", "lisi")]).await;
    let id = unverified_claims(&hinted_login["id_token"]);
    assert_eq!((&id["name"], &id["acr"]), (&json!("李四"), &json!("pwd")));
    assert!(id.get("email").is_none());
    let silent_login = client.log_in(&[("prompt", "none")]).await;
    let silent_claims = unverified_claims(&silent_login["id_token"]);
    assert_eq!(
        (&silent_claims["sid"], &silent_claims["auth_time"]),
        (&id["sid"], &id["auth_time"])
    );
    provider.clock().advance(Duration::from_secs(100));
    let stronger_login = client
        .log_in(&[("max_age", "60"), ("acr_values", "gold mfa")])
        .await;
    let stronger_claims = unverified_claims(&stronger_login["id_token"]);
    assert_eq!(stronger_claims["acr"], "mfa");
    assert_eq!(stronger_claims["sub"], id["sub"]);
    assert_eq!(
        stronger_claims["auth_time"].as_i64(),
        Some(provider.clock().now().unix_s())
    );
}

#[tokio::test]
async fn userinfo_and_introspection_accept_valid_tokens_only() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let token = client.log_in(&[]).await["access_token"].clone();
    let token = token.as_str().unwrap();
    let head = format!("Authorization: Bearer {token}\r\n");
    let form = [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("token", token),
    ];
    let userinfo = client.send("GET", "/userinfo", &head, &[]).await;
    assert_eq!(userinfo.json()["name"], "张三");
    let active = client.send("POST", "/introspect", "", &form).await.json();
    assert_eq!(
        (&active["active"], &active["username"]),
        (&json!(true), &json!("zhangsan"))
    );
    assert_eq!(
        client
            .send("POST", "/introspect", "", &form[2..])
            .await
            .status,
        401
    );
    provider.clock().advance(Duration::from_secs(300));
    assert_eq!(
        client.send("GET", "/userinfo", &head, &[]).await.status,
        401
    );
    let active = client.send("POST", "/introspect", "", &form).await.json();
    assert_eq!(active, json!({ "active": false }));
}

#[tokio::test]
async fn a_client_authenticates_only_by_the_configured_method() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    for (client_auth, is_accepted) in [
        (ClientAuth::SecretInHeaderOrForm, true),
        (ClientAuth::SecretInForm, true),
        (ClientAuth::SecretInHeader, false),
        (ClientAuth::Public, false),
    ] {
        provider.set(|settings| settings.client_auth = client_auth.clone());
        let code = client.code(&[]).await;
        let status = if is_accepted { 200 } else { 401 };
        assert_eq!(client.redeem(&code).await.status, status, "{client_auth:?}");
    }
}

#[tokio::test]
async fn every_signature_verifies_with_the_published_key() {
    let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
    let provider = Provider::start(&clock, Algorithm::ES256).await;
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        provider.rotate_to(OldKey::Published, Some(algorithm));
        let token = provider.sign(
            &provider.access_token_claims("zhangsan", "api"),
            &json!({ "typ": "at+jwt" }),
        );
        let published = Client::new(&provider).get("/keys", &[]).await.json();
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        let key = published["keys"]
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["kid"] == kid);
        let key = serde_json::from_value(key.unwrap().clone()).unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(&key).unwrap();
        let mut validation = jsonwebtoken::Validation::new(algorithm);
        validation.set_audience(&["api"]);
        validation.validate_exp = false;
        let verified = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
        assert_eq!(verified.claims["sub"], provider.sub("zhangsan"));
        let other = Key::generate(algorithm).sign(&verified.claims, &json!({}));
        assert!(jsonwebtoken::decode::<Value>(&other, &key, &validation).is_err());
    }
    assert_eq!(
        Client::new(&provider).get("/keys", &[]).await.json()["keys"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    provider.rotate(OldKey::Removed);
    assert_eq!(
        Client::new(&provider).get("/keys", &[]).await.json()["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_misbehavior_lasts_until_the_test_ends_it() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    provider.misbehave(Misbehavior::claims(|claims| {
        claims["iss"] = json!("https://evil.test")
    }));
    provider.misbehave(Misbehavior::json("userinfo", |claims| {
        claims["sub"] = json!("other")
    }));
    provider.misbehave(Misbehavior::Fault("keys", EndpointFault::Redirect(302)));
    let redeemed = client.log_in(&[]).await;
    assert_eq!(
        unverified_claims(&redeemed["id_token"])["iss"],
        "https://evil.test"
    );
    assert_eq!(client.get("/keys", &[]).await.status, 302);
    provider.behave();
    let redeemed = client.log_in(&[]).await;
    assert_eq!(
        unverified_claims(&redeemed["id_token"])["iss"],
        provider.issuer()
    );
    provider.start_outage();
    let address = provider.address();
    assert!(
        wire::try_send(address, b"GET / HTTP/1.1\r\nHost: op\r\n\r\n")
            .await
            .is_none()
    );
    provider.end_outage();
    assert_eq!(client.get("/keys", &[]).await.status, 200);
}

#[tokio::test]
async fn a_browser_without_a_provider_session_gets_the_default_user() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    let signed_in_user = async |browser: &mut Browser| {
        let page = provider.follow_login(browser, &start_url("keycloak")).await;
        page.answer.echoed("x-forwarded-user").concat()
    };
    assert_eq!(signed_in_user(&mut browser).await, "zhangsan");
    provider.set_default_user("lisi");
    assert_eq!(signed_in_user(&mut browser).await, "zhangsan");
    provider.end_session_silently(&mut browser);
    assert_eq!(signed_in_user(&mut browser).await, "lisi");
    provider.start_session(&mut browser, "wangfang");
    assert_eq!(signed_in_user(&mut browser).await, "wangfang");
}

#[tokio::test]
async fn a_revoked_token_cannot_be_refreshed() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let redeemed = client.log_in(&[]).await;
    provider.revoke("lisi");
    let redeemed = client
        .refresh(redeemed["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(redeemed.status, 200);
    provider.revoke("zhangsan");
    let redeemed = redeemed.json();
    let refusal = client
        .refresh(redeemed["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(
        (refusal.status, &refusal.json()["error"]),
        (400, &json!("invalid_grant"))
    );
}
