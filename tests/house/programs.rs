//! Programs authenticate with bearer tokens, only on routes that list the issuer.

mod caching;
mod check_online;
mod forged;
mod headers;
mod introspection;
mod introspection_issuer;
mod logging;
mod rate_limits;
mod tenants;

use std::time::Duration;

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::mirror::{self, Mirror};
use crate::provider::Provider;
use crate::setup::{Menshen, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

/// Routes with different issuers, and one without.
const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]

[[route]]
name = "api"
host = "sso.test"
path = "/api"
upstream = ["{mirror}"]
connectors = ["corp"]
issuers = ["ci"]

[[route]]
name = "deploy"
host = "sso.test"
path = "/deploy"
upstream = ["{mirror}"]
issuers = ["ci"]
scopes = ["deploy"]

[[route]]
name = "rule"
host = "sso.test"
path = "/rule"
upstream = ["{mirror}"]
access = "rule"
issuers = ["ci"]
allow = "claims == null ? request.method == 'OPTIONS' : 'runner' in claims.groups && user == null"

[[route]]
name = "partner"
host = "sso.test"
path = "/partner"
upstream = ["{mirror}"]
issuers = ["partner"]

[[route]]
name = "either"
host = "sso.test"
path = "/either"
upstream = ["{mirror}"]
issuers = ["ci", "partner"]

[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{mirror}"]
"#;

/// Two issuers, menshen, and a mirror as the application.
struct TwoIssuers {
    menshen: Menshen,
    ci: Provider,
    partner: Provider,
    mirror: Mirror,
}

impl TwoIssuers {
    async fn start() -> Self {
        Self::start_with_algorithm(Algorithm::ES256).await
    }

    async fn start_with_algorithm(algorithm: Algorithm) -> Self {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let ci = Provider::start(&clock, algorithm).await;
        let partner = Provider::start(&clock, algorithm).await;
        let mirror = Mirror::start().await;
        let setup = setup(&[("ci", &ci, ""), ("partner", &partner, "")], &mirror, "");
        let menshen = setup.clock(&clock).start().await;
        Self {
            menshen,
            ci,
            partner,
            mirror,
        }
    }

    /// The claims of a token that is accepted on every route of the issuer `ci`.
    fn access_token_claims(&self) -> Value {
        with_claims(
            self.ci.access_token_claims("zhangsan", "menshen"),
            &json!({ "scope": "read deploy", "groups": ["runner"], "azp": "runner" }),
        )
    }

    fn token(&self) -> String {
        self.ci.sign(&self.access_token_claims(), &json!({}))
    }

    async fn send_bearer(&self, path: &str, token: &str) -> Answer {
        bearer_request(path, token).send(&self.menshen).await
    }

    fn advance(&self, seconds: u64) {
        self.menshen.advance(Duration::from_secs(seconds));
    }
}

/// A setup with these issuers, each with additional lines of its table, and additional routes.
fn setup(issuers: &[(&str, &Provider, &str)], mirror: &Mirror, routes: &str) -> Setup {
    let tables = issuers.iter().map(|(id, provider, lines)| {
        let url = provider.issuer();
        let audiences = if lines.contains("audiences") {
            ""
        } else {
            "audiences = [\"menshen\"]\n"
        };
        format!("[issuer.{id}]\nurl = \"{url}\"\n{audiences}{lines}\n")
    });
    let routes = format!("{ROUTES}{routes}").replace("{mirror}", &mirror.base_url());
    Setup::default()
        .tables(&tables.collect::<String>())
        .routes(&routes)
}

fn bearer_request(path: &str, token: &str) -> TestRequest {
    TestRequest::get(path).header("Authorization", &format!("Bearer {token}"))
}

/// Sets claims; null removes one.
fn with_claims(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn was_forwarded(answer: &Answer) -> bool {
    mirror::received_bytes(answer).is_some()
}

/// Whether the response is an error of RFC 6750, without a redirect.
fn is_refused(answer: &Answer, status: u16, error: &str) -> bool {
    let challenge = format!("Bearer realm=\"sso.test\", error=\"{error}\"");
    let challenges: Vec<_> = answer.header_values("www-authenticate").collect();
    answer.status == status
        && matches!(challenges[..], [one] if one.starts_with(&challenge))
        && answer.header("location").is_none()
        && answer.header("set-cookie").is_none()
        && answer.header("content-type") == Some("application/problem+json")
        && !was_forwarded(answer)
}

#[track_caller]
fn assert_invalid_token(answer: &Answer, what: &str) {
    assert!(
        is_refused(answer, 401, "invalid_token"),
        "{what}: {} {:?} {}",
        answer.status,
        answer.headers,
        answer.text()
    );
}

#[tokio::test]
async fn a_program_is_accepted_only_on_routes_that_name_its_issuer() {
    for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] {
        let env = TwoIssuers::start_with_algorithm(algorithm).await;
        let token = env.token();
        for path in ["/api", "/deploy", "/rule", "/either"] {
            let answer = env.send_bearer(path, &token).await;
            assert!(
                was_forwarded(&answer),
                "{algorithm:?} {path}: {}",
                answer.text()
            );
        }
        assert_invalid_token(
            &env.send_bearer("/partner", &token).await,
            "a route of another issuer",
        );
        // The token is ignored there, so the request is anonymous.
        assert_eq!(env.send_bearer("/x", &token).await.status, 401);
        let partner_claims = env.partner.access_token_claims("zhangsan", "menshen");
        let partner_token = env.partner.sign(&partner_claims, &json!({}));
        assert!(was_forwarded(
            &env.send_bearer("/partner", &partner_token).await
        ));
        assert!(was_forwarded(
            &env.send_bearer("/either", &partner_token).await
        ));
        assert_invalid_token(
            &env.send_bearer("/api", &partner_token).await,
            "a token of the partner on a route of ci",
        );
    }
}

#[tokio::test]
async fn the_bearer_scheme_is_case_insensitive() {
    let env = TwoIssuers::start().await;
    let token = env.token();
    for scheme in ["bearer", "BEARER", "Bearer "] {
        let request =
            TestRequest::get("/api").header("Authorization", &format!("{scheme} {token}"));
        assert!(was_forwarded(&request.send(&env.menshen).await), "{scheme}");
    }
}

#[tokio::test]
async fn a_route_accepts_a_session_or_a_token_but_not_both() {
    let env = TwoIssuers::start().await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let person = TestRequest::get("/api")
        .session(&cookie)
        .send(&env.menshen)
        .await;
    assert_eq!(
        mirror::received_values(&person, "x-forwarded-user"),
        ["zhangsan"]
    );
    // An invalid token is refused, whatever other credentials there are.
    let invalid = bearer_request("/api", "a.b.c").session(&cookie);
    assert_invalid_token(
        &invalid.send(&env.menshen).await,
        "an invalid token with a session",
    );
    assert_invalid_token(
        &invalid.navigating().send(&env.menshen).await,
        "an invalid token in a navigation",
    );
    // Two valid callers in one request are refused.
    let both = bearer_request("/api", &env.token()).session(&cookie);
    for request in [both.clone(), both.navigating()] {
        let answer = request.send(&env.menshen).await;
        assert!(is_refused(&answer, 400, "invalid_request"), "{answer:?}");
    }
    // An invalid session is not a second caller.
    let stale = bearer_request("/api", &env.token()).session("stale");
    assert!(was_forwarded(&stale.send(&env.menshen).await));
    // Basic credentials are for the application.
    let basic = TestRequest::get("/api").header("Authorization", "Basic YTpi");
    assert!(was_forwarded(
        &basic.clone().session(&cookie).send(&env.menshen).await
    ));
    assert_eq!(basic.send(&env.menshen).await.status, 401);
}

#[tokio::test]
async fn without_credentials_a_program_gets_challenges_and_a_browser_a_login() {
    let env = TwoIssuers::start().await;
    let answer = TestRequest::get("/api").send(&env.menshen).await;
    let challenges: Vec<_> = answer.header_values("www-authenticate").collect();
    assert_eq!(answer.status, 401);
    assert_eq!(challenges, ["menshen", "Bearer realm=\"sso.test\""]);
    assert!(answer.json()["login_url"].is_string());
    let person = TestRequest::get("/api")
        .navigating()
        .send(&env.menshen)
        .await;
    assert!(matches!(person.status, 200 | 302), "a login");
    // Without issuers there is no Bearer challenge.
    let answer = TestRequest::get("/x").send(&env.menshen).await;
    assert_eq!(
        answer.header_values("www-authenticate").collect::<Vec<_>>(),
        ["menshen"]
    );
}

#[tokio::test]
async fn scopes_are_checked_on_every_route_and_request() {
    let env = TwoIssuers::start().await;
    let cases = [
        (json!({ "scope": "read" }), false),
        (json!({ "scope": null }), false),
        (json!({ "scope": "deployment xdeploy" }), false),
        (json!({ "scope": null, "scp": ["read", "deploy"] }), true),
        (json!({ "scope": ["deploy"] }), true),
    ];
    for (changes, accepted) in cases {
        let token = env.ci.sign(
            &with_claims(env.access_token_claims(), &changes),
            &json!({}),
        );
        // Also in reverse order: a result cached for one route must not satisfy the next.
        let paths = ["/api", "/deploy", "/api", "/deploy"];
        for path in paths {
            let answer = env.send_bearer(path, &token).await;
            if accepted || path == "/api" {
                assert!(was_forwarded(&answer), "{changes} {path}");
            } else {
                assert!(is_refused(&answer, 403, "insufficient_scope"), "{changes}");
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.ends_with(", scope=\"deploy\""), "{challenge}");
            }
        }
    }
}

#[tokio::test]
async fn the_scopes_of_an_issuer_are_required_on_all_its_routes() {
    let env = TwoIssuers::start().await;
    let issuers = [
        ("ci", &env.ci, "scopes = [\"ops\"]"),
        ("partner", &env.partner, ""),
    ];
    let token = |scope: &str| {
        let claims = with_claims(env.access_token_claims(), &json!({ "scope": scope }));
        env.ci.sign(&claims, &json!({}))
    };
    assert!(was_forwarded(
        &env.send_bearer("/api", &token("deploy")).await
    ));
    let stricter = setup(&issuers, &env.mirror, "");
    env.menshen.reload(&stricter).await.unwrap();
    let answer = env.send_bearer("/api", &token("deploy")).await;
    assert!(is_refused(&answer, 403, "insufficient_scope"), "{answer:?}");
    assert!(was_forwarded(
        &env.send_bearer("/api", &token("deploy ops")).await
    ));
    let answer = env.send_bearer("/deploy", &token("ops")).await;
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.ends_with(", scope=\"ops deploy\""), "{challenge}");
}

#[tokio::test]
async fn a_rule_reads_the_claims_and_denies_with_403() {
    let env = TwoIssuers::start().await;
    assert!(was_forwarded(&env.send_bearer("/rule", &env.token()).await));
    for groups in [json!(["guest"]), json!(null), json!(7)] {
        let claims = with_claims(env.access_token_claims(), &json!({ "groups": groups }));
        let token = env.ci.sign(&claims, &json!({}));
        let request = bearer_request("/rule", &token);
        for request in [request.clone(), request.navigating()] {
            let answer = request.send(&env.menshen).await;
            assert_eq!(answer.status, 403, "{groups}");
            assert!(answer.header("location").is_none() && !was_forwarded(&answer));
        }
    }
}

#[tokio::test]
async fn acr_values_and_max_age_apply_to_tokens() {
    let env = TwoIssuers::start().await;
    let gold_route = "[[route]]\nname = \"gold\"\nhost = \"sso.test\"\npath = \"/gold\"\n\
                     upstream = [\"{mirror}\"]\nissuers = [\"ci\"]\nacr_values = [\"gold\"]\n\
                     max_age = \"10m\"\n";
    let issuers = [("ci", &env.ci, ""), ("partner", &env.partner, "")];
    let setup = setup(&issuers, &env.mirror, gold_route);
    env.menshen.reload(&setup).await.unwrap();
    let now = env.menshen.clock.now().unix_s();
    let cases = [
        (json!({ "acr": "gold", "auth_time": now }), true),
        (json!({ "acr": "silver", "auth_time": now }), false),
        (json!({ "acr": ["gold"], "auth_time": now }), false),
        (json!({ "acr": "gold" }), false),
        (json!({ "acr": "gold", "auth_time": now - 601 }), false),
        (json!({ "acr": "gold", "auth_time": now + 3600 }), false),
    ];
    for (changes, accepted) in cases {
        let token = env.ci.sign(
            &with_claims(env.access_token_claims(), &changes),
            &json!({}),
        );
        let answer = env.send_bearer("/gold", &token).await;
        assert_eq!(
            was_forwarded(&answer),
            accepted,
            "{changes}: {}",
            answer.text()
        );
        if !accepted {
            let challenge = answer.header("www-authenticate").unwrap();
            assert_eq!(answer.status, 401);
            assert!(
                challenge.contains("insufficient_user_authentication"),
                "{challenge}"
            );
        }
    }
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let env = TwoIssuers::start().await;
    let now = env.menshen.clock.now().unix_s();
    let claims = with_claims(env.access_token_claims(), &json!({ "exp": now + 30 }));
    let token = env.ci.sign(&claims, &json!({}));
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    // Clocks may differ by a minute.
    env.advance(89);
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    env.advance(1);
    assert_invalid_token(&env.send_bearer("/api", &token).await, "expired");
}
