//! Opaque tokens are verified by introspection (RFC 7662), with caching and limits.

use std::time::Duration;

use futures_util::future::{join_all, select_all};
use serde_json::{Value, json};

use super::introspection_issuer::{IntrospectionIssuer, reply};
use super::{
    TwoIssuers, assert_invalid_token, bearer_request, is_refused, setup, was_forwarded, with_claims,
};
use crate::checking::TRUST_LOOPBACK;
use crate::mirror::{self, Mirror};
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, Setup};
use crate::upstream::{Reply, accept, bind_listener};
use crate::wire::Answer;

const ROUTES: &str = r#"
[[route]]
name = "opaque"
host = "sso.test"
path = "/opaque"
upstream = ["{mirror}"]
issuers = ["opaque"]
[route.headers]
X-Client = "claims.sub"

[[route]]
name = "strict"
host = "sso.test"
path = "/strict"
upstream = ["{mirror}"]
issuers = ["opaque"]
scopes = ["write"]
"#;

/// An instance of menshen with an introspection issuer.
struct IntrospectionEnv {
    menshen: Menshen,
    introspection_issuer: IntrospectionIssuer,
    _mirror: Mirror,
}

impl IntrospectionEnv {
    async fn start(lines: &str) -> Self {
        Self::start_with_endpoint("/basic", lines).await
    }

    async fn start_with_endpoint(path: &str, lines: &str) -> Self {
        let (introspection_issuer, mirror) =
            (IntrospectionIssuer::start().await, Mirror::start().await);
        let menshen = setup_with_issuer(&mirror, &introspection_issuer.toml("opaque", path, lines))
            .start()
            .await;
        Self {
            menshen,
            introspection_issuer,
            _mirror: mirror,
        }
    }

    async fn send_bearer(&self, token: &str) -> Answer {
        bearer_request("/opaque", token).send(&self.menshen).await
    }

    fn introspections(&self) -> usize {
        self.introspection_issuer.introspected_tokens().len()
    }
}

fn setup_with_issuer(mirror: &Mirror, issuer: &str) -> Setup {
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    Setup::default().tables(issuer).routes(&routes)
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some() && !was_forwarded(answer));
}

#[tokio::test]
async fn an_active_token_is_accepted() {
    for (path, lines) in [("/basic", ""), ("/post", "client_auth = \"post\"")] {
        let env = IntrospectionEnv::start_with_endpoint(path, lines).await;
        env.introspection_issuer
            .set_response("active", env.introspection_issuer.active_claims("runner"));
        let answer = env.send_bearer("active").await;
        assert!(was_forwarded(&answer), "{path}: {}", answer.text());
        assert_eq!(mirror::received_values(&answer, "x-client"), ["runner"]);
        assert_invalid_token(&env.send_bearer("other").await, "an unknown token");
        assert_eq!(
            env.introspection_issuer.introspected_tokens(),
            ["active", "other"]
        );
    }
}

#[tokio::test]
async fn the_introspection_endpoint_comes_from_the_metadata() {
    let env = TwoIssuers::start().await;
    let secret = Value::from(crate::provider::CLIENT_SECRET);
    let lines =
        format!("[issuer.ci.introspection]\nclient_id = \"menshen\"\nclient_secret = {secret}");
    let issuers = [
        ("ci", &env.ci, lines.as_str()),
        ("partner", &env.partner, ""),
    ];
    env.menshen
        .reload(&setup(&issuers, &env.mirror, ""))
        .await
        .unwrap();
    // A JWT is introspected too: it may have been revoked.
    assert_invalid_token(
        &env.send_bearer("/api", &env.token()).await,
        "a JWT that is not active",
    );
    assert_eq!(env.ci.calls("introspect"), 1);
    assert_invalid_token(&env.send_bearer("/api", "opaque").await, "unknown");
    assert_eq!(env.ci.calls("introspect"), 2);
    // A token of another issuer is not disclosed.
    let partner_token = env.partner.sign(
        &env.partner.access_token_claims("zhangsan", "menshen"),
        &json!({}),
    );
    assert_invalid_token(
        &env.send_bearer("/api", &partner_token).await,
        "a token of another issuer",
    );
    assert_eq!(env.ci.calls("introspect"), 2);
}

#[tokio::test]
async fn an_introspection_response_is_checked_like_the_claims_of_a_jwt() {
    let env = IntrospectionEnv::start("").await;
    let now = env.menshen.clock.now().unix_s();
    let active = env.introspection_issuer.active_claims("runner");
    let wrong = [
        json!({ "active": false }),
        json!({ "iss": "https://other.example" }),
        json!({ "aud": "other" }),
        json!({ "aud": null }),
        json!({ "aud": [] }),
        json!({ "aud": 7 }),
        json!({ "exp": now - 60 }),
        json!({ "exp": "soon" }),
        json!({ "nbf": now + 61 }),
        json!({ "iat": now + 61 }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "scope": 7 }),
        json!({ "token_type": "DPoP" }),
        json!({ "token_use": "refresh_token" }),
        json!({ "typ": "Refresh" }),
        json!({ "cnf": { "jkt": "x" } }),
    ];
    for (nth, changes) in wrong.iter().enumerate() {
        let token = format!("wrong-{nth}");
        env.introspection_issuer
            .set_response(&token, with_claims(active.clone(), changes));
        assert_invalid_token(&env.send_bearer(&token).await, &changes.to_string());
    }
    let right = [
        json!({ "iss": null }),
        json!({ "aud": ["other", "menshen"] }),
        json!({ "exp": now + 1, "iat": now, "nbf": now }),
        json!({ "sub": null, "client_id": "runner" }),
        json!({ "token_type": "bearer", "typ": "Bearer" }),
    ];
    for (nth, changes) in right.iter().enumerate() {
        let token = format!("right-{nth}");
        env.introspection_issuer
            .set_response(&token, with_claims(active.clone(), changes));
        assert!(was_forwarded(&env.send_bearer(&token).await), "{changes}");
    }
    // Null members are ignored.
    let mut nulls = active;
    nulls["exp"] = Value::Null;
    nulls["nbf"] = Value::Null;
    env.introspection_issuer
        .set_response("nulls", nulls.clone());
    assert!(was_forwarded(&env.send_bearer("nulls").await));
    nulls["aud"] = Value::Null;
    env.introspection_issuer
        .set_response("without-audience", nulls);
    assert_invalid_token(&env.send_bearer("without-audience").await, "no audience");
}

#[tokio::test]
async fn a_missing_audience_is_accepted_only_with_audience_optional() {
    let env = IntrospectionEnv::start("audience_optional = true").await;
    let active = env.introspection_issuer.active_claims("runner");
    env.introspection_issuer
        .set_response("none", with_claims(active.clone(), &json!({ "aud": null })));
    env.introspection_issuer
        .set_response("other", with_claims(active, &json!({ "aud": "other" })));
    assert!(was_forwarded(&env.send_bearer("none").await));
    assert_invalid_token(&env.send_bearer("other").await, "another audience");
}

#[tokio::test]
async fn a_cached_token_is_still_checked_for_the_scopes_of_the_route() {
    let env = IntrospectionEnv::start("").await;
    env.introspection_issuer
        .set_response("active", env.introspection_issuer.active_claims("runner"));
    for _ in 0..3 {
        assert!(was_forwarded(&env.send_bearer("active").await));
        let answer = bearer_request("/strict", "active").send(&env.menshen).await;
        assert!(is_refused(&answer, 403, "insufficient_scope"), "{answer:?}");
    }
    assert_eq!(env.introspections(), 1);
}

#[tokio::test]
async fn an_introspection_response_is_cached_no_longer_than_the_token_is_valid() {
    let env = IntrospectionEnv::start("").await;
    let now = env.menshen.clock.now().unix_s();
    let active = env.introspection_issuer.active_claims("runner");
    env.introspection_issuer
        .set_response("long", active.clone());
    env.introspection_issuer
        .set_response("short", with_claims(active, &json!({ "exp": now + 10 })));
    for _ in 0..3 {
        assert!(
            was_forwarded(&env.send_bearer("long").await)
                && was_forwarded(&env.send_bearer("short").await)
        );
    }
    assert_eq!(env.introspections(), 2);
    // Both are revoked.
    env.introspection_issuer
        .set_response("long", json!({ "active": false }));
    env.introspection_issuer
        .set_response("short", json!({ "active": false }));
    env.menshen.advance(Duration::from_secs(9));
    assert!(was_forwarded(&env.send_bearer("short").await));
    env.menshen.advance(Duration::from_secs(1));
    assert_invalid_token(
        &env.send_bearer("short").await,
        "the cached result has expired",
    );
    env.menshen.advance(Duration::from_secs(49));
    assert!(was_forwarded(&env.send_bearer("long").await));
    env.menshen.advance(Duration::from_secs(1));
    assert_invalid_token(&env.send_bearer("long").await, "revoked");
}

#[tokio::test]
async fn a_refusal_is_cached_briefly() {
    let env = IntrospectionEnv::start("").await;
    for _ in 0..3 {
        assert_invalid_token(&env.send_bearer("new").await, "not active yet");
    }
    assert_eq!(env.introspections(), 1);
    env.introspection_issuer
        .set_response("new", env.introspection_issuer.active_claims("runner"));
    env.menshen.advance(Duration::from_secs(2));
    assert!(was_forwarded(&env.send_bearer("new").await));
}

#[tokio::test]
async fn a_failing_introspection_endpoint_neither_accepts_nor_refuses_a_token() {
    let env = IntrospectionEnv::start("").await;
    env.introspection_issuer
        .set_response("active", env.introspection_issuer.active_claims("runner"));
    env.introspection_issuer
        .set_response("known", env.introspection_issuer.active_claims("runner"));
    assert!(was_forwarded(&env.send_bearer("known").await));
    let json = "application/json";
    let huge = format!(
        "{{\"active\":true,\"aud\":\"menshen\",\"x\":\"{}\"}}",
        "x".repeat(70_000)
    );
    let replies = [
        reply(200, "text/html", "<h1>Sign in to the network</h1>"),
        reply(200, json, "<h1>not JSON</h1>"),
        reply(200, json, "true"),
        reply(200, json, "[]"),
        reply(200, json, "{}"),
        reply(
            200,
            json,
            "{\"active\":\"true\",\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        reply(
            200,
            json,
            "{\"active\":1,\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        reply(200, json, &huge),
        reply(
            201,
            json,
            "{\"active\":true,\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        reply(302, json, "{\"active\":true}"),
        reply(
            400,
            json,
            "{\"active\":true,\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        reply(401, json, "{\"error\":\"invalid_client\"}"),
        reply(
            500,
            json,
            "{\"active\":true,\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        Reply::Close(Vec::new()),
        Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec()),
    ];
    for response in replies {
        env.introspection_issuer.answer_all_with(Some(response));
        assert_unavailable(&env.send_bearer("active").await);
        // A cached token is still accepted.
        assert!(was_forwarded(&env.send_bearer("known").await));
    }
    // The failures were not cached.
    env.introspection_issuer.answer_all_with(None);
    assert!(was_forwarded(&env.send_bearer("active").await));
}

#[tokio::test]
async fn an_unreachable_issuer_gets_no_request_for_a_while() {
    let env = IntrospectionEnv::start("").await;
    env.introspection_issuer
        .set_response("active", env.introspection_issuer.active_claims("runner"));
    env.introspection_issuer
        .set_response("known", env.introspection_issuer.active_claims("runner"));
    assert!(was_forwarded(&env.send_bearer("known").await));
    env.introspection_issuer
        .answer_all_with(Some(Reply::HoldOpen(Vec::new())));
    assert_unavailable(&env.send_bearer("active").await);
    let introspections_before = env.introspections();
    env.introspection_issuer.answer_all_with(None);
    // After a time-out the issuer gets no request for a while.
    assert_unavailable(&env.send_bearer("active").await);
    assert_eq!(env.introspections(), introspections_before);
    assert!(was_forwarded(&env.send_bearer("known").await));
    env.menshen.advance(Duration::from_secs(2));
    assert!(was_forwarded(&env.send_bearer("active").await));
    // The issuer is unreachable.
    let IntrospectionEnv {
        menshen,
        introspection_issuer,
        _mirror,
    } = env;
    drop(introspection_issuer);
    assert_unavailable(&bearer_request("/opaque", "another").send(&menshen).await);
    assert!(was_forwarded(
        &bearer_request("/opaque", "known").send(&menshen).await
    ));
    menshen.advance(Duration::from_secs(60));
    assert_unavailable(&bearer_request("/opaque", "known").send(&menshen).await);
}

#[tokio::test]
async fn a_hundred_requests_with_one_new_token_cause_one_introspection() {
    let (listener, mirror) = (bind_listener().await, Mirror::start().await);
    let url = format!("http://{}", listener.local_addr().unwrap());
    let issuer = format!(
        "[issuer.opaque]\nurl = \"{url}\"\naudiences = [\"menshen\"]\n\
         [issuer.opaque.introspection]\nurl = \"{url}/\"\nclient_id = \"a\"\nclient_secret = \"b\"\n"
    );
    let menshen = setup_with_issuer(&mirror, &issuer).start().await;
    let request = bearer_request("/opaque", "new").to_bytes();
    let mut connections = Vec::new();
    for _ in 0..100 {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(&request).await;
        connections.push(connection);
    }
    // The first client disconnects; the others still get their response.
    let first = connections.remove(0);
    let mut introspection = accept(&listener).await;
    let request = introspection.read_request().await.unwrap();
    assert!(String::from_utf8_lossy(&request.body).contains("token=new"));
    drop(first);
    // A second introspection would fail.
    drop(listener);
    let response = json!({ "active": true, "sub": "runner", "aud": "menshen" }).to_string();
    let Reply::KeepAlive(answer) = reply(200, "application/json", &response) else {
        panic!("`reply` keeps the connection open")
    };
    introspection.send(answer).await;
    for answer in join_all(connections.iter_mut().map(RawConnection::read_answer)).await {
        assert!(was_forwarded(&answer), "{}", answer.text());
    }
}

#[tokio::test]
async fn similar_tokens_never_share_a_cached_result() {
    let env = IntrospectionEnv::start("").await;
    let common = "x".repeat(500);
    let tokens: Vec<_> = (0..40)
        .map(|nth| match nth % 2 {
            0 => format!("{common}{nth}"),
            _ => format!("{nth}{common}"),
        })
        .collect();
    for (nth, token) in tokens.iter().enumerate().filter(|(nth, _)| nth % 5 != 0) {
        env.introspection_issuer.set_response(
            token,
            env.introspection_issuer.active_claims(&format!("p{nth}")),
        );
    }
    for _ in 0..2 {
        let answers = join_all(tokens.iter().map(|token| env.send_bearer(token))).await;
        for (nth, answer) in answers.iter().enumerate() {
            if nth % 5 == 0 {
                assert_invalid_token(answer, "without-audience");
            } else {
                assert_eq!(
                    mirror::received_values(answer, "x-client"),
                    [format!("p{nth}")]
                );
            }
        }
    }
}

#[tokio::test]
async fn a_result_of_one_issuer_is_not_used_for_another() {
    let (one, two) = (
        IntrospectionIssuer::start().await,
        IntrospectionIssuer::start().await,
    );
    let mirror = Mirror::start().await;
    let issuers = format!(
        "{}{}",
        one.toml("opaque", "/basic", ""),
        two.toml("two", "/basic", "")
    );
    let second_route = "[[route]]\nname = \"two\"\nhost = \"sso.test\"\npath = \"/two\"\n\
                 upstream = [\"{mirror}\"]\nissuers = [\"two\"]\n";
    let routes = format!("{ROUTES}{second_route}").replace("{mirror}", &mirror.base_url());
    let menshen = setup_with_issuer(&mirror, &issuers)
        .routes(&routes)
        .start()
        .await;
    one.set_response("t", one.active_claims("runner"));
    for _ in 0..2 {
        assert!(was_forwarded(
            &bearer_request("/opaque", "t").send(&menshen).await
        ));
        assert_invalid_token(
            &bearer_request("/two", "t").send(&menshen).await,
            "unknown to the issuer `two`",
        );
    }
}

/// A change of the configuration text.
type ConfigEdit<'a> = &'a dyn Fn(String) -> String;

#[tokio::test]
async fn changed_settings_start_with_an_empty_cache() {
    let env = IntrospectionEnv::start("").await;
    env.introspection_issuer
        .set_response("t", env.introspection_issuer.active_claims("runner"));
    let issuer = |path: &str, edit: &dyn Fn(String) -> String| {
        edit(env.introspection_issuer.toml("opaque", path, ""))
    };
    let same = |text: String| text;
    let edits: [(&str, ConfigEdit<'_>, bool); 5] = [
        (
            "/basic",
            &|text| text.replace("[\"menshen\"]", "[\"other\"]"),
            false,
        ),
        ("/basic", &same, true),
        ("/post", &same, false),
        (
            "/basic",
            &|text| text.replace("client of menshen", "another client"),
            false,
        ),
        (
            "/basic",
            &|text| text.replace("[issuer.opaque.", "cache = \"5s\"\n[issuer.opaque."),
            true,
        ),
    ];
    for (path, edit, still_active) in edits {
        assert!(was_forwarded(&env.send_bearer("t").await));
        let setup = setup_with_issuer(&env._mirror, &issuer(path, edit));
        env.menshen.reload(&setup).await.unwrap();
        assert_eq!(
            was_forwarded(&env.send_bearer("t").await),
            still_active,
            "{path}"
        );
        let original = setup_with_issuer(&env._mirror, &issuer("/basic", &same));
        env.menshen.reload(&original).await.unwrap();
    }
    // A reload with equal settings keeps the cache.
    let introspections_before = env.introspections();
    assert!(was_forwarded(&env.send_bearer("t").await));
    let unchanged = setup_with_issuer(&env._mirror, &issuer("/basic", &same)).server("# the same");
    env.menshen.reload(&unchanged).await.unwrap();
    assert!(was_forwarded(&env.send_bearer("t").await));
    assert!(env.introspections() <= introspections_before + 1);
}

#[tokio::test]
async fn concurrent_introspections_are_limited_and_the_rest_is_not_accepted() {
    let env = IntrospectionEnv::start("").await;
    let issuer = env.introspection_issuer.toml("opaque", "/basic", "");
    let with_trusted_proxy = setup_with_issuer(&env._mirror, &issuer).server(TRUST_LOOPBACK);
    env.menshen.reload(&with_trusted_proxy).await.unwrap();
    env.introspection_issuer
        .answer_all_with(Some(Reply::HoldOpen(Vec::new())));
    // From twenty clients, so that the limit per client does not apply.
    let requests = (0..40).map(|nth| {
        let request = bearer_request("/opaque", &format!("t{nth}"));
        let request = request.header("X-Forwarded-For", &format!("192.0.2.{}", nth % 20));
        let address = env.menshen.address();
        Box::pin(async move { request.send_to(address).await })
    });
    // The requests over the limit are answered first.
    let (answer, _, waiting) = select_all(requests).await;
    assert_unavailable(&answer);
    // A quarter of the 32 introspections is reserved for tokens that were valid before.
    assert_eq!((env.introspections(), waiting.len()), (24, 39));
}

#[tokio::test]
async fn no_issuer_is_asked_about_an_access_token_of_a_person() {
    let env = IntrospectionEnv::start("").await;
    let issuer = &env.introspection_issuer;
    let whole = format!("mst_{}", "A".repeat(43));
    for token in [
        &whole,
        "mst_short",
        &format!("x{whole}"),
        &format!("{whole}~"),
    ] {
        issuer.set_response(token, issuer.active_claims("ci"));
        let answer = bearer_request("/opaque", token).send(&env.menshen).await;
        assert_invalid_token(&answer, token);
    }
    assert_eq!(issuer.introspected_tokens(), Vec::<String>::new());
    issuer.set_response("most_other", issuer.active_claims("ci"));
    let answer = bearer_request("/opaque", "most_other")
        .send(&env.menshen)
        .await;
    assert!(was_forwarded(&answer), "{}", answer.text());
}
