//! An application can verify a person's identity with a signed assertion and the published keys.

mod keys;
mod reuse;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use menshen::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::mirror::{self, Mirror};
use crate::provider::{Provider, compact};
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

/// A route for each combination of access, assertion and audience.
const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]
assertion = true
check_headers = "all"
[route.headers]
X-Account = "user == null ? 'nobody' : user.id"

[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{mirror}"]
assertion = true
check_headers = "all"
audience = "财务 finance"

[[route]]
name = "silent"
host = "sso.test"
path = "/silent"
upstream = ["{mirror}"]

[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{mirror}"]
assertion = true
check_headers = "all"

[[route]]
name = "rule"
host = "sso.test"
path = "/rule"
access = "rule"
allow = "true"
preflight = "pass"
upstream = ["{mirror}"]
assertion = true
check_headers = "all"

[[route]]
name = "everywhere"
access = "public"
upstream = ["{mirror}"]
assertion = true
check_headers = "all"
"#;

/// The lifetime of an assertion, in seconds.
const LIFETIME_S: i64 = 300;

/// An instance of menshen in front of a mirror.
struct AssertionEnv {
    menshen: Menshen,
    mirror: Mirror,
}

impl AssertionEnv {
    async fn start(session: &str) -> Self {
        Self::start_at(now_s(), session).await
    }

    /// Starts menshen with the clock set to this Unix time.
    async fn start_at(now_s: i64, session: &str) -> Self {
        let mirror = Mirror::start().await;
        let clock = Clock::manual(Timestamp::from_unix_s(now_s));
        let menshen = setup(&mirror, session).clock(&clock).start().await;
        Self { menshen, mirror }
    }

    /// The assertion that the upstream receives for this path.
    async fn assertion_at(&self, path: &str, cookie: &str) -> Option<String> {
        single_assertion(
            &TestRequest::get(path)
                .session(cookie)
                .send(&self.menshen)
                .await,
        )
    }

    async fn keys(&self) -> JwkSet {
        let answer = TestRequest::get("/.menshen/jwks.json")
            .send(&self.menshen)
            .await;
        serde_json::from_value(answer.json()).unwrap()
    }

    fn now_s(&self) -> i64 {
        self.menshen.clock.now().unix_s()
    }

    fn advance(&self, by_s: u64) {
        self.menshen.advance(Duration::from_secs(by_s));
    }
}

/// The system time, with which the application verifies.
fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn setup(mirror: &Mirror, session: &str) -> Setup {
    Setup::default()
        .session(session)
        .routes(&ROUTES.replace("{mirror}", &mirror.base_url()))
}

/// The line `keys` of `[session]`; the first key signs.
fn keys_setting(keys: &[&menshen::secret::Secret<String>]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.expose().as_str()).collect();
    format!("keys = {keys:?}")
}

/// The assertion that the upstream received, if any.
fn single_assertion(answer: &Answer) -> Option<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut all = mirror::received_values(answer, "x-menshen-assertion");
    assert!(all.len() <= 1, "{all:?}");
    all.pop()
}

/// Verifies a token as an application does that knows its audience and the published keys.
fn verify_as_application(keys: &JwkSet, token: &str, audience: &str) -> Result<Value, ErrorKind> {
    let head = jsonwebtoken::decode_header(token).map_err(|error| error.kind().clone())?;
    let key = head.kid.as_deref().and_then(|kid| keys.find(kid));
    let key = key.ok_or(ErrorKind::InvalidKeyFormat)?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.leeway = 0;
    validation.set_audience(&[audience]);
    validation.set_issuer(&[SSO_URL]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(key).unwrap();
    let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation);
    decoded
        .map(|decoded| decoded.claims)
        .map_err(|error| error.kind().clone())
}

/// A part of a token, without verification: 0 is the header, 1 the claims.
fn decode_part(token: &str, at: usize) -> Value {
    let bytes = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(bytes).unwrap()).unwrap()
}

#[tokio::test]
async fn an_application_verifies_an_assertion_with_the_published_keys() {
    let env = AssertionEnv::start("").await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let keys = env.keys().await;
    let answer = TestRequest::get("/x")
        .session(&cookie)
        .send(&env.menshen)
        .await;
    let token = single_assertion(&answer).unwrap();
    let account = mirror::received_values(&answer, "x-account");
    let expected = json!({
        "iss": SSO_URL,
        "sub": account[0],
        "login": "zhangsan",
        "aud": "sso.test",
        "iat": env.now_s(),
        "exp": env.now_s() + LIFETIME_S,
    });
    assert_eq!(
        verify_as_application(&keys, &token, "sso.test"),
        Ok(expected)
    );
    let kid = keys.keys[0].thumbprint(ThumbprintHash::SHA256).unwrap();
    let head = json!({ "alg": "ES256", "typ": "JWT", "kid": kid });
    assert_eq!(decode_part(&token, 0), head);
}

#[tokio::test]
async fn the_audience_is_that_of_the_route_or_the_host_without_its_port() {
    let env = AssertionEnv::start("").await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let keys = env.keys().await;
    for (path, host, audience) in [
        ("/finance", "sso.test", "财务 finance"),
        ("/finance/x", "sso.test:8080", "财务 finance"),
        ("/x", "sso.test:8080", "sso.test"),
        ("/x", "SSO.Test.", "sso.test"),
        ("/x", "[2001:db8::1]:80", "[2001:db8::1]"),
        ("/x", "other.test", "other.test"),
    ] {
        let request = TestRequest::get(path).host(host).session(&cookie);
        let token = single_assertion(&request.send(&env.menshen).await).unwrap();
        assert!(
            verify_as_application(&keys, &token, audience).is_ok(),
            "{path} {host}"
        );
        assert_eq!(decode_part(&token, 1)["aud"], audience, "{path} {host}");
    }
}

#[tokio::test]
async fn an_assertion_is_sent_only_for_persons_and_only_on_configured_routes() {
    let clock = Clock::manual(Timestamp::from_unix_s(now_s()));
    let (ci, mirror) = (
        Provider::start(&clock, Algorithm::ES256).await,
        Mirror::start().await,
    );
    let issuer = format!(
        "[issuer.ci]\nurl = \"{}\"\naudiences = [\"menshen\"]\n",
        ci.issuer()
    );
    let api = "[[route]]\nname = \"api\"\nhost = \"sso.test\"\npath = \"/api\"\nissuers = [\"ci\"]\n\
               upstream = [\"{mirror}\"]\nassertion = true\n";
    let routes = format!("{ROUTES}{api}").replace("{mirror}", &mirror.base_url());
    let menshen = Setup::default()
        .tables(&issuer)
        .routes(&routes)
        .clock(&clock)
        .start()
        .await;
    let env = AssertionEnv { menshen, mirror };
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    for (path, expected) in [
        ("/x", true),
        ("/api", true),
        ("/public", true),
        ("/rule", true),
        ("/silent", false),
    ] {
        let assertion_at = env.assertion_at(path, &cookie).await;
        assert_eq!(assertion_at.is_some(), expected, "{path}");
    }
    // Anonymous requests, also with an invalid cookie.
    for path in ["/public", "/rule"] {
        assert_eq!(
            single_assertion(&TestRequest::get(path).send(&env.menshen).await),
            None,
            "{path}"
        );
        assert_eq!(env.assertion_at(path, "forged").await, None, "{path}");
    }
    let preflight = TestRequest::get("/rule")
        .method("OPTIONS")
        .header("Origin", "http://app.test");
    let preflight = preflight
        .header("Access-Control-Request-Method", "PUT")
        .session(&cookie);
    assert_eq!(single_assertion(&preflight.send(&env.menshen).await), None);
    // A program has no assertion.
    let token = ci.sign(&ci.access_token_claims("zhangsan", "menshen"), &json!({}));
    let program = TestRequest::get("/api").header("Authorization", &format!("Bearer {token}"));
    assert_eq!(single_assertion(&program.send(&env.menshen).await), None);
    // After a sign-out the request is anonymous, although the cached assertion is still valid.
    let leaving = TestRequest::get("/.menshen/sign_out")
        .session(&cookie)
        .navigating();
    assert!(leaving.send(&env.menshen).await.status < 400);
    assert_eq!(env.assertion_at("/public", &cookie).await, None);
    assert_eq!(
        TestRequest::get("/x")
            .session(&cookie)
            .send(&env.menshen)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn an_assertion_header_from_the_client_is_removed() {
    let env = AssertionEnv::start("").await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let assertion = env.assertion_at("/x", &cookie).await.unwrap();
    for name in [
        "X-Menshen-Assertion",
        "x-menshen-assertion",
        "x_menshen_assertion",
        "X-Menshen_Assertion",
        "x.menshen.assertion",
    ] {
        for (path, cookie, expected) in [
            ("/x", cookie.as_str(), Some(&assertion)),
            ("/silent", cookie.as_str(), None),
            ("/public", "", None),
            ("/rule", "", None),
        ] {
            let forged = TestRequest::get(path).session(cookie);
            let forged = forged.header(name, "lie").header(name, "lie");
            for request in [forged.clone(), forged.header("Connection", name)] {
                let answer = request.send(&env.menshen).await;
                assert_eq!(
                    single_assertion(&answer).as_ref(),
                    expected,
                    "{name} {path}"
                );
                assert!(!answer.text().contains("lie"), "{name} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_modified_assertion_fails_verification() {
    let env = AssertionEnv::start("").await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let (keys, token) = (
        env.keys().await,
        env.assertion_at("/x", &cookie).await.unwrap(),
    );
    let error_of = |token: &str| verify_as_application(&keys, token, "sso.test").unwrap_err();
    assert!(verify_as_application(&keys, &token, "sso.test").is_ok());
    assert_eq!(
        verify_as_application(&keys, &token, "oa.test"),
        Err(ErrorKind::InvalidAudience)
    );
    let parts: Vec<_> = token.split('.').collect();
    let mut boss = decode_part(&token, 1);
    boss["login"] = json!("boss");
    let forged = |head: &Value| compact(head, &boss, |_| parts[2].to_owned());
    assert_eq!(
        error_of(&forged(&decode_part(&token, 0))),
        ErrorKind::InvalidSignature
    );
    for at in (0..parts[2].len()).step_by(7) {
        let mut signature = parts[2].as_bytes().to_vec();
        signature[at] = if signature[at] == b'A' { b'B' } else { b'A' };
        let signature = String::from_utf8(signature).unwrap();
        let forged = format!("{}.{}.{signature}", parts[0], parts[1]);
        assert_eq!(error_of(&forged), ErrorKind::InvalidSignature, "at {at}");
    }
    let kid = decode_part(&token, 0)["kid"].clone();
    let other = AssertionEnv::start("").await;
    let foreign_token = session_cookie_of(&other.menshen, "zhangsan").await;
    let foreign_token = other.assertion_at("/x", &foreign_token).await.unwrap();
    // A key of another server, under its own key ID and under this server's.
    assert_eq!(error_of(&foreign_token), ErrorKind::InvalidKeyFormat);
    let foreign_parts: Vec<_> = foreign_token.split('.').collect();
    let with_our_key_id = format!("{}.{}.{}", parts[0], foreign_parts[1], foreign_parts[2]);
    assert_eq!(error_of(&with_our_key_id), ErrorKind::InvalidSignature);
    let none = compact(&json!({ "alg": "none", "kid": kid }), &boss, |_| {
        String::new()
    });
    assert!(verify_as_application(&keys, &none, "sso.test").is_err());
    let hs256 = forged(&json!({ "alg": "HS256", "kid": kid }));
    assert_eq!(error_of(&hs256), ErrorKind::InvalidAlgorithm);
}

#[tokio::test]
async fn an_assertion_expires_at_its_exp() {
    let env = AssertionEnv::start_at(now_s() - LIFETIME_S - 10, "").await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let (keys, token) = (
        env.keys().await,
        env.assertion_at("/x", &cookie).await.unwrap(),
    );
    assert_eq!(
        verify_as_application(&keys, &token, "sso.test"),
        Err(ErrorKind::ExpiredSignature)
    );
    env.advance(250);
    let token = env.assertion_at("/x", &cookie).await.unwrap();
    assert!(verify_as_application(&keys, &token, "sso.test").is_ok());
}

#[tokio::test]
async fn a_checking_proxy_gets_the_assertion_for_the_requested_host() {
    let mirror = Mirror::start().await;
    let setup = setup(&mirror, "").server("trusted_proxies = ['127.0.0.1']");
    let menshen = setup.start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let assertion = single_assertion(&TestRequest::get("/x").session(&cookie).send(&menshen).await);
    let auth = |uri: &str| {
        TestRequest::get("/.menshen/auth")
            .header("X-Forwarded-Uri", uri)
            .header("X-Original-Method", "GET")
            .header("X-Forwarded-Proto", "http")
    };
    let forward_auth = |uri: &str| {
        TestRequest::get("/.menshen/forward-auth")
            .host("menshen.internal")
            .header("X-Forwarded-Host", "sso.test:8080")
            .header("X-Forwarded-Method", "GET")
            .header("X-Forwarded-Proto", "http")
            .header("X-Forwarded-Uri", uri)
    };
    let envoy = |uri: &str| TestRequest::get(&format!("/.menshen/ext_authz{uri}"));
    for (request, status, expected) in [
        (auth("/x"), 202, &assertion),
        (forward_auth("/x"), 200, &assertion),
        (envoy("/x"), 200, &assertion),
        (auth("/silent"), 202, &None),
        (forward_auth("/silent"), 200, &None),
        (envoy("/silent"), 200, &None),
    ] {
        let request = request
            .session(&cookie)
            .header("X-Forwarded-For", "192.0.2.7");
        let request = request.header("X-Menshen-Assertion", "lie");
        let answer = request.send(&menshen).await;
        assert_eq!(answer.status, status, "{request:?}");
        let assertions: Vec<_> = answer.header_values("x-menshen-assertion").collect();
        assert_eq!(
            assertions,
            Vec::from_iter(expected.as_deref()),
            "{request:?}"
        );
    }
}
