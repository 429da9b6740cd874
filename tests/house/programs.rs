//! Programs authenticate with bearer tokens, on routes that name their issuer only.

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

/// Two issuers, a mirror as application, and the server between them.
struct TwoIssuers {
    menshen: Menshen,
    ci: Provider,
    partner: Provider,
    mirror: Mirror,
}

impl TwoIssuers {
    async fn open() -> Self {
        Self::signing(Algorithm::ES256).await
    }

    async fn signing(algorithm: Algorithm) -> Self {
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
        with(
            self.ci.access_token_claims("zhangsan", "menshen"),
            &json!({ "scope": "read deploy", "groups": ["runner"], "azp": "runner" }),
        )
    }

    fn token(&self) -> String {
        self.ci.sign(&self.access_token_claims(), &json!({}))
    }

    async fn ask(&self, path: &str, token: &str) -> Answer {
        bearer(path, token).send(&self.menshen).await
    }

    fn advance(&self, s: u64) {
        self.menshen.advance(Duration::from_secs(s));
    }
}

/// A setup with these issuers, each with further lines of its table, and further routes.
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

fn bearer(path: &str, token: &str) -> TestRequest {
    TestRequest::get(path).header("Authorization", &format!("Bearer {token}"))
}

/// Claims with others added, or removed by null.
fn with(mut claims: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
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

fn passed(answer: &Answer) -> bool {
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
        && !passed(answer)
}

#[track_caller]
fn refused(answer: &Answer, what: &str) {
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
        let env = TwoIssuers::signing(algorithm).await;
        let token = env.token();
        for path in ["/api", "/deploy", "/rule", "/either"] {
            let answer = env.ask(path, &token).await;
            assert!(passed(&answer), "{algorithm:?} {path}: {}", answer.text());
        }
        refused(&env.ask("/partner", &token).await, "another's route");
        // The token is ignored there, so the request is anonymous.
        assert_eq!(env.ask("/x", &token).await.status, 401);
        let partners = env.partner.access_token_claims("zhangsan", "menshen");
        let partners = env.partner.sign(&partners, &json!({}));
        assert!(passed(&env.ask("/partner", &partners).await));
        assert!(passed(&env.ask("/either", &partners).await));
        refused(&env.ask("/api", &partners).await, "the partner at ci's");
    }
}

#[tokio::test]
async fn the_bearer_scheme_is_case_insensitive() {
    let env = TwoIssuers::open().await;
    let token = env.token();
    for scheme in ["bearer", "BEARER", "Bearer "] {
        let ask = TestRequest::get("/api").header("Authorization", &format!("{scheme} {token}"));
        assert!(passed(&ask.send(&env.menshen).await), "{scheme}");
    }
}

#[tokio::test]
async fn a_route_accepts_a_session_or_a_token_but_not_both() {
    let env = TwoIssuers::open().await;
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
    let bad = bearer("/api", "a.b.c").session(&cookie);
    refused(
        &bad.send(&env.menshen).await,
        "a bad token beside a session",
    );
    refused(&bad.navigating().send(&env.menshen).await, "in a browser");
    // Two valid callers in one request are refused.
    let both = bearer("/api", &env.token()).session(&cookie);
    for ask in [both.clone(), both.navigating()] {
        let answer = ask.send(&env.menshen).await;
        assert!(is_refused(&answer, 400, "invalid_request"), "{answer:?}");
    }
    // An invalid session is not a second caller.
    let stale = bearer("/api", &env.token()).session("stale");
    assert!(passed(&stale.send(&env.menshen).await));
    // Basic credentials are for the application.
    let basic = TestRequest::get("/api").header("Authorization", "Basic YTpi");
    assert!(passed(
        &basic.clone().session(&cookie).send(&env.menshen).await
    ));
    assert_eq!(basic.send(&env.menshen).await.status, 401);
}

#[tokio::test]
async fn without_credentials_a_program_gets_challenges_and_a_browser_a_login() {
    let env = TwoIssuers::open().await;
    let answer = TestRequest::get("/api").send(&env.menshen).await;
    let challenges: Vec<_> = answer.header_values("www-authenticate").collect();
    assert_eq!(answer.status, 401);
    assert_eq!(challenges, ["menshen", "Bearer realm=\"sso.test\""]);
    assert!(answer.json()["login_url"].is_string());
    let person = TestRequest::get("/api")
        .navigating()
        .send(&env.menshen)
        .await;
    assert!(matches!(person.status, 200 | 302), "to the login");
    // Without issuers there is no Bearer challenge.
    let answer = TestRequest::get("/x").send(&env.menshen).await;
    assert_eq!(
        answer.header_values("www-authenticate").collect::<Vec<_>>(),
        ["menshen"]
    );
}

#[tokio::test]
async fn scopes_are_checked_on_every_route_and_request() {
    let env = TwoIssuers::open().await;
    let cases = [
        (json!({ "scope": "read" }), false),
        (json!({ "scope": null }), false),
        (json!({ "scope": "deployment xdeploy" }), false),
        (json!({ "scope": null, "scp": ["read", "deploy"] }), true),
        (json!({ "scope": ["deploy"] }), true),
    ];
    for (more, good) in cases {
        let token = env
            .ci
            .sign(&with(env.access_token_claims(), &more), &json!({}));
        // Also in reverse order: a result cached for one route must not satisfy the next.
        let paths = ["/api", "/deploy", "/api", "/deploy"];
        for path in paths {
            let answer = env.ask(path, &token).await;
            if good || path == "/api" {
                assert!(passed(&answer), "{more} {path}");
            } else {
                assert!(is_refused(&answer, 403, "insufficient_scope"), "{more}");
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.ends_with(", scope=\"deploy\""), "{challenge}");
            }
        }
    }
}

#[tokio::test]
async fn the_scopes_of_an_issuer_are_required_on_all_its_routes() {
    let env = TwoIssuers::open().await;
    let issuers = [
        ("ci", &env.ci, "scopes = [\"ops\"]"),
        ("partner", &env.partner, ""),
    ];
    let token = |scope: &str| {
        let claims = with(env.access_token_claims(), &json!({ "scope": scope }));
        env.ci.sign(&claims, &json!({}))
    };
    assert!(passed(&env.ask("/api", &token("deploy")).await));
    let stricter = setup(&issuers, &env.mirror, "");
    env.menshen.reload(&stricter).await.unwrap();
    let answer = env.ask("/api", &token("deploy")).await;
    assert!(is_refused(&answer, 403, "insufficient_scope"), "{answer:?}");
    assert!(passed(&env.ask("/api", &token("deploy ops")).await));
    let answer = env.ask("/deploy", &token("ops")).await;
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.ends_with(", scope=\"ops deploy\""), "{challenge}");
}

#[tokio::test]
async fn a_rule_reads_the_claims_and_denies_with_403() {
    let env = TwoIssuers::open().await;
    assert!(passed(&env.ask("/rule", &env.token()).await));
    for groups in [json!(["guest"]), json!(null), json!(7)] {
        let claims = with(env.access_token_claims(), &json!({ "groups": groups }));
        let token = env.ci.sign(&claims, &json!({}));
        let ask = bearer("/rule", &token);
        for ask in [ask.clone(), ask.navigating()] {
            let answer = ask.send(&env.menshen).await;
            assert_eq!(answer.status, 403, "{groups}");
            assert!(answer.header("location").is_none() && !passed(&answer));
        }
    }
}

#[tokio::test]
async fn acr_values_and_max_age_apply_to_tokens() {
    let env = TwoIssuers::open().await;
    let demanding = "[[route]]\nname = \"gold\"\nhost = \"sso.test\"\npath = \"/gold\"\n\
                     upstream = [\"{mirror}\"]\nissuers = [\"ci\"]\nacr_values = [\"gold\"]\n\
                     max_age = \"10m\"\n";
    let issuers = [("ci", &env.ci, ""), ("partner", &env.partner, "")];
    let setup = setup(&issuers, &env.mirror, demanding);
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
    for (more, good) in cases {
        let token = env
            .ci
            .sign(&with(env.access_token_claims(), &more), &json!({}));
        let answer = env.ask("/gold", &token).await;
        assert_eq!(passed(&answer), good, "{more}: {}", answer.text());
        if !good {
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
    let env = TwoIssuers::open().await;
    let now = env.menshen.clock.now().unix_s();
    let claims = with(env.access_token_claims(), &json!({ "exp": now + 30 }));
    let token = env.ci.sign(&claims, &json!({}));
    assert!(passed(&env.ask("/api", &token).await));
    // Clocks may differ by a minute.
    env.advance(89);
    assert!(passed(&env.ask("/api", &token).await));
    env.advance(1);
    refused(&env.ask("/api", &token).await, "expired");
}
