//! The simulated OpenID provider follows the standards, except where a test makes it misbehave.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::provider::{
    CLIENT_ID, CLIENT_SECRET, ClientProof, EndpointFault, Key, Misbehavior, OldKey, Provider,
    start_url,
};
use crate::wire::{self, Answer};

const BACK: &str = "http://sso.test/.menshen/callback/keycloak";
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
            ("redirect_uri", BACK),
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
        one(&self.authorize(more).await, "code").expect("a code")
    }

    async fn token(&self, pairs: &[(&str, &str)]) -> Answer {
        let mut own = vec![("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
        own.extend_from_slice(pairs);
        self.send("POST", "/token", "", &own).await
    }

    async fn redeem(&self, code: &str) -> Answer {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
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

fn one(pairs: &[(String, String)], name: &str) -> Option<String> {
    let found = pairs.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.clone())
}

/// The claims of a token, unverified.
fn claims(token: &Value) -> Value {
    use base64::Engine as _;
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

#[tokio::test]
async fn a_code_buys_tokens_once_and_for_its_verifier_only() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let code = client.code(&[]).await;
    let bought = client.redeem(&code).await;
    assert_eq!(bought.status, 200, "{}", bought.text());
    let id = claims(&bought.json()["id_token"]);
    assert_eq!((&id["name"], &id["nonce"]), (&json!("张三"), &json!("n")));
    assert_eq!(id["groups"], json!(["财务部", "平台部"]));
    assert_eq!(client.redeem(&code).await.status, 400);
    let refresh = bought.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(client.refresh(&refresh).await.status, 400, "taken back");
    let code = client.code(&[]).await;
    let other = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", BACK),
        ("code_verifier", "another"),
    ];
    assert_eq!(client.token(&other).await.status, 400);
    provider.clock().advance(Duration::from_secs(60));
    assert_eq!(client.redeem(&code).await.status, 400, "late");
    assert_eq!((provider.calls("token"), provider.code_grants()), (5, 4));
    assert_eq!(provider.refresh_grants(), 1);
}

#[tokio::test]
async fn an_old_refresh_token_ends_its_family() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let first = client.log_in(&[]).await["refresh_token"].clone();
    let second = client.refresh(first.as_str().unwrap()).await.json();
    assert_eq!(claims(&second["id_token"])["sub"], provider.sub("zhangsan"));
    let second = second["refresh_token"].clone();
    assert_eq!(client.refresh(first.as_str().unwrap()).await.status, 400);
    assert_eq!(client.refresh(second.as_str().unwrap()).await.status, 400);
    // Removal from a group and disabling take effect at the next refresh.
    let token = client.log_in(&[]).await["refresh_token"].clone();
    provider.person("zhangsan").groups(&["平台部"]);
    let next = client.refresh(token.as_str().unwrap()).await.json();
    assert_eq!(claims(&next["id_token"])["groups"], json!(["平台部"]));
    provider.person("zhangsan").disabled(true);
    let token = next["refresh_token"].as_str().unwrap();
    assert_eq!(client.refresh(token).await.status, 400);
}

#[tokio::test]
async fn the_parameters_of_an_authorization_request_are_honoured() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let back = client.authorize(&[("prompt", "none")]).await;
    assert_eq!(one(&back, "error").as_deref(), Some("login_required"));
    assert_eq!(one(&back, "iss").as_deref(), Some(provider.issuer()));
    assert_eq!(one(&back, "state").as_deref(), Some("s"));
    let hinted = client.log_in(&[("login_hint", "lisi")]).await;
    let id = claims(&hinted["id_token"]);
    assert_eq!((&id["name"], &id["acr"]), (&json!("李四"), &json!("pwd")));
    assert!(id.get("email").is_none());
    let silent = client.log_in(&[("prompt", "none")]).await;
    let again = claims(&silent["id_token"]);
    assert_eq!(
        (&again["sid"], &again["auth_time"]),
        (&id["sid"], &id["auth_time"])
    );
    provider.clock().advance(Duration::from_secs(100));
    let fresh = client
        .log_in(&[("max_age", "60"), ("acr_values", "gold mfa")])
        .await;
    let fresh = claims(&fresh["id_token"]);
    assert_eq!(fresh["acr"], "mfa");
    assert_eq!(fresh["sub"], id["sub"]);
    assert_eq!(
        fresh["auth_time"].as_i64(),
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
    let own = [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("token", token),
    ];
    let said = client.send("GET", "/userinfo", &head, &[]).await;
    assert_eq!(said.json()["name"], "张三");
    let active = client.send("POST", "/introspect", "", &own).await.json();
    assert_eq!(
        (&active["active"], &active["username"]),
        (&json!(true), &json!("zhangsan"))
    );
    assert_eq!(
        client
            .send("POST", "/introspect", "", &own[2..])
            .await
            .status,
        401
    );
    provider.clock().advance(Duration::from_secs(300));
    assert_eq!(
        client.send("GET", "/userinfo", &head, &[]).await.status,
        401
    );
    let active = client.send("POST", "/introspect", "", &own).await.json();
    assert_eq!(active, json!({ "active": false }));
}

#[tokio::test]
async fn a_client_authenticates_only_by_the_configured_method() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    for (proof, good) in [
        (ClientProof::Secret, true),
        (ClientProof::Post, true),
        (ClientProof::Basic, false),
        (ClientProof::Public, false),
    ] {
        provider.set(|settings| settings.client = proof.clone());
        let code = client.code(&[]).await;
        let status = if good { 200 } else { 401 };
        assert_eq!(client.redeem(&code).await.status, status, "{proof:?}");
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
        let mut rules = jsonwebtoken::Validation::new(algorithm);
        rules.set_audience(&["api"]);
        rules.validate_exp = false;
        let read = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap();
        assert_eq!(read.claims["sub"], provider.sub("zhangsan"));
        let other = Key::generate(algorithm).sign(&read.claims, &json!({}));
        assert!(jsonwebtoken::decode::<Value>(&other, &key, &rules).is_err());
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
async fn it_misbehaves_until_the_test_stops_it() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    provider.misbehave(Misbehavior::claims(|claims| {
        claims["iss"] = json!("https://evil.test")
    }));
    provider.misbehave(Misbehavior::json("userinfo", |said| {
        said["sub"] = json!("other")
    }));
    provider.misbehave(Misbehavior::Fault("keys", EndpointFault::Redirect(302)));
    let bought = client.log_in(&[]).await;
    assert_eq!(claims(&bought["id_token"])["iss"], "https://evil.test");
    assert_eq!(client.get("/keys", &[]).await.status, 302);
    provider.behave();
    let bought = client.log_in(&[]).await;
    assert_eq!(claims(&bought["id_token"])["iss"], provider.issuer());
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
async fn choosing_a_person_signs_them_in_at_the_provider() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    let who = async |browser: &mut Browser| {
        let page = provider.follow_login(browser, &start_url("keycloak")).await;
        page.answer.echoed("x-forwarded-user").concat()
    };
    assert_eq!(who(&mut browser).await, "zhangsan");
    provider.set_default_user("lisi");
    assert_eq!(who(&mut browser).await, "zhangsan");
    provider.end_session_silently(&mut browser);
    assert_eq!(who(&mut browser).await, "lisi");
    provider.start_session(&mut browser, "wangfang");
    assert_eq!(who(&mut browser).await, "wangfang");
}

#[tokio::test]
async fn a_revoked_token_cannot_be_refreshed() {
    let provider = Provider::new().await;
    let mut client = Client::new(&provider);
    let bought = client.log_in(&[]).await;
    provider.revoke("lisi");
    let bought = client
        .refresh(bought["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(bought.status, 200);
    provider.revoke("zhangsan");
    let bought = bought.json();
    let refused = client
        .refresh(bought["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (400, &json!("invalid_grant"))
    );
}
