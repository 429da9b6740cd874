//! Opaque tokens are verified by introspection (RFC 7662), with caching and limits.

use std::time::Duration;

use futures_util::future::{join_all, select_all};
use serde_json::{Value, json};

use super::introspection_issuer::{IntrospectionIssuer, says};
use super::{TwoIssuers, bearer, is_refused, passed, refused, setup, with};
use crate::checking::TRUST_LOOPBACK;
use crate::mirror::{self, Mirror};
use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, Setup};
use crate::upstream::{Reply, accept, listener};
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

/// A server with an introspection issuer.
struct IntrospectionEnv {
    menshen: Menshen,
    introspection_issuer: IntrospectionIssuer,
    _mirror: Mirror,
}

impl IntrospectionEnv {
    async fn open(lines: &str) -> Self {
        Self::at("/basic", lines).await
    }

    async fn at(path: &str, lines: &str) -> Self {
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

    async fn ask(&self, token: &str) -> Answer {
        bearer("/opaque", token).send(&self.menshen).await
    }

    fn asked(&self) -> usize {
        self.introspection_issuer.asked().len()
    }
}

fn setup_with_issuer(mirror: &Mirror, issuer: &str) -> Setup {
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    Setup::default().tables(issuer).routes(&routes)
}

#[track_caller]
fn unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some() && !passed(answer));
}

#[tokio::test]
async fn an_active_token_is_accepted() {
    for (path, lines) in [("/basic", ""), ("/post", "client_auth = \"post\"")] {
        let env = IntrospectionEnv::at(path, lines).await;
        env.introspection_issuer
            .says("good", env.introspection_issuer.active("runner"));
        let answer = env.ask("good").await;
        assert!(passed(&answer), "{path}: {}", answer.text());
        assert_eq!(mirror::received_values(&answer, "x-client"), ["runner"]);
        refused(&env.ask("other").await, "nobody knows it");
        assert_eq!(env.introspection_issuer.asked(), ["good", "other"]);
    }
}

#[tokio::test]
async fn the_introspection_endpoint_comes_from_the_metadata() {
    let env = TwoIssuers::open().await;
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
    refused(&env.ask("/api", &env.token()).await, "withdrawn");
    assert_eq!(env.ci.calls("introspect"), 1);
    refused(&env.ask("/api", "opaque").await, "unknown");
    assert_eq!(env.ci.calls("introspect"), 2);
    // A token of another issuer is not disclosed.
    let strangers = env.partner.sign(
        &env.partner.access_token_claims("zhangsan", "menshen"),
        &json!({}),
    );
    refused(&env.ask("/api", &strangers).await, "a stranger's");
    assert_eq!(env.ci.calls("introspect"), 2);
}

#[tokio::test]
async fn an_introspection_response_is_checked_like_the_claims_of_a_jwt() {
    let env = IntrospectionEnv::open("").await;
    let now = env.menshen.clock.now().unix_s();
    let good = env.introspection_issuer.active("runner");
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
    for (at, more) in wrong.iter().enumerate() {
        let token = format!("wrong-{at}");
        env.introspection_issuer
            .says(&token, with(good.clone(), more));
        refused(&env.ask(&token).await, &more.to_string());
    }
    let right = [
        json!({ "iss": null }),
        json!({ "aud": ["other", "menshen"] }),
        json!({ "exp": now + 1, "iat": now, "nbf": now }),
        json!({ "sub": null, "client_id": "runner" }),
        json!({ "token_type": "bearer", "typ": "Bearer" }),
    ];
    for (at, more) in right.iter().enumerate() {
        let token = format!("right-{at}");
        env.introspection_issuer
            .says(&token, with(good.clone(), more));
        assert!(passed(&env.ask(&token).await), "{more}");
    }
    // Null members are ignored.
    let mut nulls = good;
    nulls["exp"] = Value::Null;
    nulls["nbf"] = Value::Null;
    env.introspection_issuer.says("nulls", nulls.clone());
    assert!(passed(&env.ask("nulls").await));
    nulls["aud"] = Value::Null;
    env.introspection_issuer.says("nobody's", nulls);
    refused(&env.ask("nobody's").await, "for nobody");
}

#[tokio::test]
async fn a_missing_audience_is_accepted_only_with_audience_optional() {
    let env = IntrospectionEnv::open("audience_optional = true").await;
    let good = env.introspection_issuer.active("runner");
    env.introspection_issuer
        .says("none", with(good.clone(), &json!({ "aud": null })));
    env.introspection_issuer
        .says("other", with(good, &json!({ "aud": "other" })));
    assert!(passed(&env.ask("none").await));
    refused(&env.ask("other").await, "for another");
}

#[tokio::test]
async fn a_cached_token_is_still_checked_for_the_scopes_of_the_route() {
    let env = IntrospectionEnv::open("").await;
    env.introspection_issuer
        .says("good", env.introspection_issuer.active("runner"));
    for _ in 0..3 {
        assert!(passed(&env.ask("good").await));
        let answer = bearer("/strict", "good").send(&env.menshen).await;
        assert!(is_refused(&answer, 403, "insufficient_scope"), "{answer:?}");
    }
    assert_eq!(env.asked(), 1);
}

#[tokio::test]
async fn an_introspection_response_is_cached_no_longer_than_the_token_is_valid() {
    let env = IntrospectionEnv::open("").await;
    let now = env.menshen.clock.now().unix_s();
    let good = env.introspection_issuer.active("runner");
    env.introspection_issuer.says("long", good.clone());
    env.introspection_issuer
        .says("short", with(good, &json!({ "exp": now + 10 })));
    for _ in 0..3 {
        assert!(passed(&env.ask("long").await) && passed(&env.ask("short").await));
    }
    assert_eq!(env.asked(), 2);
    // Both are revoked.
    env.introspection_issuer
        .says("long", json!({ "active": false }));
    env.introspection_issuer
        .says("short", json!({ "active": false }));
    env.menshen.advance(Duration::from_secs(9));
    assert!(passed(&env.ask("short").await));
    env.menshen.advance(Duration::from_secs(1));
    refused(&env.ask("short").await, "it may have ended");
    env.menshen.advance(Duration::from_secs(49));
    assert!(passed(&env.ask("long").await));
    env.menshen.advance(Duration::from_secs(1));
    refused(&env.ask("long").await, "withdrawn a minute ago");
}

#[tokio::test]
async fn a_refusal_is_cached_briefly() {
    let env = IntrospectionEnv::open("").await;
    for _ in 0..3 {
        refused(&env.ask("new").await, "not active yet");
    }
    assert_eq!(env.asked(), 1);
    env.introspection_issuer
        .says("new", env.introspection_issuer.active("runner"));
    env.menshen.advance(Duration::from_secs(2));
    assert!(passed(&env.ask("new").await));
}

#[tokio::test]
async fn a_failing_introspection_endpoint_neither_accepts_nor_refuses_a_token() {
    let env = IntrospectionEnv::open("").await;
    env.introspection_issuer
        .says("good", env.introspection_issuer.active("runner"));
    env.introspection_issuer
        .says("known", env.introspection_issuer.active("runner"));
    assert!(passed(&env.ask("known").await));
    let json = "application/json";
    let huge = format!(
        "{{\"active\":true,\"aud\":\"menshen\",\"x\":\"{}\"}}",
        "x".repeat(70_000)
    );
    let odd = [
        says(200, "text/html", "<h1>Sign in to the network</h1>"),
        says(200, json, "<h1>no JSON</h1>"),
        says(200, json, "true"),
        says(200, json, "[]"),
        says(200, json, "{}"),
        says(
            200,
            json,
            "{\"active\":\"true\",\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        says(
            200,
            json,
            "{\"active\":1,\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        says(200, json, &huge),
        says(
            201,
            json,
            "{\"active\":true,\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        says(302, json, "{\"active\":true}"),
        says(
            400,
            json,
            "{\"active\":true,\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        says(401, json, "{\"error\":\"invalid_client\"}"),
        says(
            500,
            json,
            "{\"active\":true,\"sub\":\"a\",\"aud\":\"menshen\"}",
        ),
        Reply::Close(Vec::new()),
        Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec()),
    ];
    for reply in odd {
        env.introspection_issuer.answer_all_with(Some(reply));
        unavailable(&env.ask("good").await);
        // A cached token is still accepted.
        assert!(passed(&env.ask("known").await));
    }
    // The failures were not cached.
    env.introspection_issuer.answer_all_with(None);
    assert!(passed(&env.ask("good").await));
}

#[tokio::test]
async fn an_unreachable_issuer_is_not_asked_again_at_once() {
    let env = IntrospectionEnv::open("").await;
    env.introspection_issuer
        .says("good", env.introspection_issuer.active("runner"));
    env.introspection_issuer
        .says("known", env.introspection_issuer.active("runner"));
    assert!(passed(&env.ask("known").await));
    env.introspection_issuer
        .answer_all_with(Some(Reply::HoldOpen(Vec::new())));
    unavailable(&env.ask("good").await);
    let asked = env.asked();
    env.introspection_issuer.answer_all_with(None);
    // After a time-out it is not asked again at once.
    unavailable(&env.ask("good").await);
    assert_eq!(env.asked(), asked);
    assert!(passed(&env.ask("known").await));
    env.menshen.advance(Duration::from_secs(2));
    assert!(passed(&env.ask("good").await));
    // The issuer is unreachable.
    let IntrospectionEnv {
        menshen,
        introspection_issuer,
        _mirror,
    } = env;
    drop(introspection_issuer);
    unavailable(&bearer("/opaque", "another").send(&menshen).await);
    assert!(passed(&bearer("/opaque", "known").send(&menshen).await));
    menshen.advance(Duration::from_secs(60));
    unavailable(&bearer("/opaque", "known").send(&menshen).await);
}

#[tokio::test]
async fn a_hundred_requests_with_one_new_token_cause_one_introspection() {
    let (listener, mirror) = (listener().await, Mirror::start().await);
    let url = format!("http://{}", listener.local_addr().unwrap());
    let issuer = format!(
        "[issuer.opaque]\nurl = \"{url}\"\naudiences = [\"menshen\"]\n\
         [issuer.opaque.introspection]\nurl = \"{url}/\"\nclient_id = \"a\"\nclient_secret = \"b\"\n"
    );
    let menshen = setup_with_issuer(&mirror, &issuer).start().await;
    let ask = bearer("/opaque", "new").to_bytes();
    let mut lines = Vec::new();
    for _ in 0..100 {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(&ask).await;
        lines.push(connection);
    }
    // The first client disconnects; the others still get their response.
    let first = lines.remove(0);
    let mut question = accept(&listener).await;
    let asked = question.read_request().await.unwrap();
    assert!(String::from_utf8_lossy(&asked.body).contains("token=new"));
    drop(first);
    // A second introspection would fail.
    drop(listener);
    let said = json!({ "active": true, "sub": "runner", "aud": "menshen" }).to_string();
    let Reply::KeepAlive(answer) = says(200, "application/json", &said) else {
        panic!("it keeps")
    };
    question.send(answer).await;
    for answer in join_all(lines.iter_mut().map(RawConnection::read_answer)).await {
        assert!(passed(&answer), "{}", answer.text());
    }
}

#[tokio::test]
async fn similar_tokens_never_share_a_cached_result() {
    let env = IntrospectionEnv::open("").await;
    let stem = "x".repeat(500);
    let tokens: Vec<_> = (0..40)
        .map(|at| match at % 2 {
            0 => format!("{stem}{at}"),
            _ => format!("{at}{stem}"),
        })
        .collect();
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| at % 5 != 0) {
        env.introspection_issuer
            .says(token, env.introspection_issuer.active(&format!("p{at}")));
    }
    for _ in 0..2 {
        let answers = join_all(tokens.iter().map(|token| env.ask(token))).await;
        for (at, answer) in answers.iter().enumerate() {
            if at % 5 == 0 {
                refused(answer, "nobody's");
            } else {
                assert_eq!(
                    mirror::received_values(answer, "x-client"),
                    [format!("p{at}")]
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
    let other = "[[route]]\nname = \"two\"\nhost = \"sso.test\"\npath = \"/two\"\n\
                 upstream = [\"{mirror}\"]\nissuers = [\"two\"]\n";
    let routes = format!("{ROUTES}{other}").replace("{mirror}", &mirror.base_url());
    let menshen = setup_with_issuer(&mirror, &issuers)
        .routes(&routes)
        .start()
        .await;
    one.says("t", one.active("runner"));
    for _ in 0..2 {
        assert!(passed(&bearer("/opaque", "t").send(&menshen).await));
        refused(
            &bearer("/two", "t").send(&menshen).await,
            "unknown to the issuer `two`",
        );
    }
}

/// A change to the configuration.
type Edit<'a> = &'a dyn Fn(String) -> String;

#[tokio::test]
async fn changed_settings_start_with_an_empty_cache() {
    let env = IntrospectionEnv::open("").await;
    env.introspection_issuer
        .says("t", env.introspection_issuer.active("runner"));
    let issuer = |path: &str, edit: &dyn Fn(String) -> String| {
        edit(env.introspection_issuer.toml("opaque", path, ""))
    };
    let same = |text: String| text;
    let edits: [(&str, Edit<'_>, bool); 5] = [
        (
            "/basic",
            &|text| text.replace("[\"menshen\"]", "[\"other\"]"),
            false,
        ),
        ("/basic", &same, true),
        ("/post", &same, false),
        (
            "/basic",
            &|text| text.replace("menshen of corp", "somebody"),
            false,
        ),
        (
            "/basic",
            &|text| text.replace("[issuer.opaque.", "cache = \"5s\"\n[issuer.opaque."),
            true,
        ),
    ];
    for (path, edit, good) in edits {
        assert!(passed(&env.ask("t").await));
        let setup = setup_with_issuer(&env._mirror, &issuer(path, edit));
        env.menshen.reload(&setup).await.unwrap();
        assert_eq!(passed(&env.ask("t").await), good, "{path}");
        let back = setup_with_issuer(&env._mirror, &issuer("/basic", &same));
        env.menshen.reload(&back).await.unwrap();
    }
    // A reload with equal settings keeps the cache.
    let asked = env.asked();
    assert!(passed(&env.ask("t").await));
    let again = setup_with_issuer(&env._mirror, &issuer("/basic", &same)).server("# the same");
    env.menshen.reload(&again).await.unwrap();
    assert!(passed(&env.ask("t").await));
    assert!(env.asked() <= asked + 1);
}

#[tokio::test]
async fn concurrent_introspections_are_limited_and_the_rest_is_not_accepted() {
    let env = IntrospectionEnv::open("").await;
    let issuer = env.introspection_issuer.toml("opaque", "/basic", "");
    let trusting = setup_with_issuer(&env._mirror, &issuer).server(TRUST_LOOPBACK);
    env.menshen.reload(&trusting).await.unwrap();
    env.introspection_issuer
        .answer_all_with(Some(Reply::HoldOpen(Vec::new())));
    // From twenty clients, so that the limit per client does not apply.
    let asks = (0..40).map(|at| {
        let ask = bearer("/opaque", &format!("t{at}"));
        let ask = ask.header("X-Forwarded-For", &format!("192.0.2.{}", at % 20));
        let address = env.menshen.address();
        Box::pin(async move { ask.at(address).await })
    });
    // The requests without a permit are answered first.
    let (answer, _, waiting) = select_all(asks).await;
    unavailable(&answer);
    // A quarter of the 32 introspections is reserved for tokens that were valid before.
    assert_eq!((env.asked(), waiting.len()), (24, 39));
}
