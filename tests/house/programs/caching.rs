//! Caching of verified tokens, when keys change, issuers fail or the configuration is reloaded.

use std::time::Duration;

use futures_util::future::join_all;
use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use serde_json::json;

use super::{TwoIssuers, assert_invalid_token, bearer_request, setup, was_forwarded, with_claims};
use crate::mirror::{self, Mirror};
use crate::provider::{EndpointFault, Misbehavior, OldKey, Provider};
use crate::raw_connection::{RawConnection, TEST_TIMEOUT};
use crate::setup::Setup;
use crate::upstream::{Reply, UPSTREAM_HOST, Upstream};

/// The value of a metric for bearer tokens.
fn counter_value(env: &TwoIssuers, outcome: &str) -> u64 {
    let page = env.menshen.running.live().services().telemetry.render();
    let name = format!("menshen_bearers_total{{issuer=\"ci\",outcome=\"{outcome}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("{name} in {page}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_signature_is_verified_once_while_it_is_cached() {
    let env = TwoIssuers::start().await;
    let token = env.token();
    for _ in 0..10 {
        assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    }
    let counts =
        ["verified", "cached", "refused", "away"].map(|outcome| counter_value(&env, outcome));
    assert_eq!(counts, [1, 9, 0, 0]);
    assert_eq!((env.ci.calls("discovery"), env.ci.calls("keys")), (1, 1));
    env.advance(60);
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    assert_eq!(counter_value(&env, "verified"), 2);
}

#[tokio::test]
async fn no_issuer_is_contacted_before_a_token_needs_it() {
    let env = TwoIssuers::start().await;
    assert_eq!(env.send_bearer("/x", &env.token()).await.status, 401);
    assert!(was_forwarded(
        &env.send_bearer("/public", &env.token()).await
    ));
    assert_eq!(
        bearer_request("/api", "opaque")
            .send(&env.menshen)
            .await
            .status,
        401
    );
    assert_eq!((env.ci.calls("discovery"), env.ci.calls("keys")), (0, 0));
}

#[tokio::test]
async fn a_new_key_is_accepted_at_once_and_a_withdrawn_one_expires_soon() {
    for old_key in [OldKey::Published, OldKey::Removed] {
        let env = TwoIssuers::start().await;
        let old = env.token();
        assert!(was_forwarded(&env.send_bearer("/api", &old).await));
        env.ci.rotate(old_key);
        let new = env.token();
        assert!(
            was_forwarded(&env.send_bearer("/api", &new).await),
            "{old_key:?}"
        );
        assert_eq!(env.ci.calls("keys"), 2);
        // A cached token is accepted for a minute.
        assert!(was_forwarded(&env.send_bearer("/api", &old).await));
        env.advance(60);
        let answer = env.send_bearer("/api", &old).await;
        if old_key == OldKey::Published {
            assert!(was_forwarded(&answer));
        } else {
            assert_invalid_token(&answer, "its key is removed");
        }
    }
}

#[tokio::test]
async fn a_token_is_accepted_as_soon_as_its_key_is_published() {
    let env = TwoIssuers::start().await;
    assert!(was_forwarded(&env.send_bearer("/api", &env.token()).await));
    env.ci.rotate(OldKey::Published);
    env.ci.misbehave(Misbehavior::json("keys", |keys| {
        keys["keys"].as_array_mut().unwrap().remove(0);
    }));
    let token = env.token();
    assert_invalid_token(
        &env.send_bearer("/api", &token).await,
        "its key is not published",
    );
    env.ci.behave();
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
}

#[tokio::test]
async fn unknown_key_ids_cause_few_requests_to_the_issuer() {
    let env = TwoIssuers::start().await;
    for nth in 0..30 {
        let head = json!({ "kid": format!("unknown-{nth}") });
        assert_invalid_token(
            &env.send_bearer("/api", &env.ci.sign(&env.access_token_claims(), &head))
                .await,
            "no such key",
        );
    }
    assert!(env.ci.calls("keys") <= 5, "{}", env.ci.calls("keys"));
    assert!(was_forwarded(&env.send_bearer("/api", &env.token()).await));
}

#[tokio::test]
async fn an_unavailable_issuer_keeps_cached_tokens_valid_and_admits_no_new_ones() {
    let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
    let ci = Provider::start(&clock, Algorithm::ES256).await;
    let partner = Provider::start(&clock, Algorithm::ES256).await;
    let mirror = Mirror::start().await;
    ci.start_outage();
    // menshen starts without this issuer and serves other requests.
    let setup = setup(&[("ci", &ci, ""), ("partner", &partner, "")], &mirror, "");
    let menshen = setup.clock(&clock).start().await;
    let env = TwoIssuers {
        menshen,
        ci,
        partner,
        mirror,
    };
    let token = env.token();
    for request in [
        bearer_request("/api", &token),
        bearer_request("/api", &token).navigating(),
    ] {
        let answer = request.send(&env.menshen).await;
        assert_eq!(
            (answer.status, was_forwarded(&answer)),
            (503, false),
            "{}",
            answer.text()
        );
        assert!(answer.header("retry-after").is_some());
        assert!(answer.header("location").is_none());
    }
    assert_invalid_token(
        &env.send_bearer("/api", "garbage").await,
        "an invalid token needs no issuer",
    );
    let partner_token = env
        .partner
        .sign(&env.partner.access_token_claims("a", "menshen"), &json!({}));
    assert!(was_forwarded(
        &env.send_bearer("/either", &partner_token).await
    ));
    env.ci.end_outage();
    env.advance(2);
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    // Its keys are cached, so another token can be verified.
    env.ci.start_outage();
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    let another = env.token();
    assert!(was_forwarded(&env.send_bearer("/api", &another).await));
    // An unknown key ID requires the issuer.
    let unknown = env
        .ci
        .sign(&env.access_token_claims(), &json!({ "kid": "new" }));
    assert_eq!(env.send_bearer("/api", &unknown).await.status, 503);
    assert!(counter_value(&env, "away") >= 2);
}

#[tokio::test]
async fn invalid_metadata_or_keys_make_tokens_unverifiable() {
    let misbehaviors = [
        Misbehavior::Fault("discovery", EndpointFault::Html),
        Misbehavior::Fault("discovery", EndpointFault::Redirect(302)),
        Misbehavior::Fault("keys", EndpointFault::HtmlStatus(502)),
        Misbehavior::Fault("keys", EndpointFault::Endless),
        Misbehavior::Fault("keys", EndpointFault::Disconnect),
        Misbehavior::Fault("keys", EndpointFault::Json(200, "{\"keys\":{}}".to_owned())),
        Misbehavior::json("discovery", |metadata| {
            metadata["issuer"] = json!("https://other.example")
        }),
    ];
    for misbehavior in misbehaviors {
        let env = TwoIssuers::start().await;
        env.ci.misbehave(misbehavior);
        let token = env.token();
        let answer = env.send_bearer("/api", &token).await;
        assert_eq!((answer.status, was_forwarded(&answer)), (503, false));
        env.ci.behave();
        env.advance(2);
        assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    }
}

#[tokio::test]
async fn changed_audiences_apply_from_the_next_request() {
    let env = TwoIssuers::start().await;
    let token = env.token();
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    let audiences = |lines: &'static str| {
        setup(
            &[("ci", &env.ci, lines), ("partner", &env.partner, "")],
            &env.mirror,
            "",
        )
    };
    env.menshen
        .reload(&audiences("audiences = [\"other\"]"))
        .await
        .unwrap();
    assert_invalid_token(&env.send_bearer("/api", &token).await, "another audience");
    env.menshen
        .reload(&audiences("audiences = [\"other\", \"menshen\"]"))
        .await
        .unwrap();
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    // The token is refused on a route without this issuer, and after the issuers are swapped.
    let request = bearer_request("/partner", &token);
    assert_invalid_token(
        &request.send(&env.menshen).await,
        "a route of another issuer",
    );
    let swapped = setup(
        &[("ci", &env.partner, ""), ("partner", &env.ci, "")],
        &env.mirror,
        "",
    );
    env.menshen.reload(&swapped).await.unwrap();
    assert_invalid_token(
        &env.send_bearer("/api", &token).await,
        "the issuers are swapped",
    );
    assert!(was_forwarded(&env.send_bearer("/partner", &token).await));
}

#[tokio::test]
async fn an_unchanged_issuer_keeps_its_cache_across_a_reload() {
    let env = TwoIssuers::start().await;
    let token = env.token();
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    let issuers = [
        ("ci", &env.ci, ""),
        ("partner", &env.partner, "scopes = [\"x\"]"),
    ];
    env.menshen
        .reload(&setup(&issuers, &env.mirror, ""))
        .await
        .unwrap();
    env.ci.start_outage();
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    assert_eq!((env.ci.calls("discovery"), env.ci.calls("keys")), (1, 1));
}

#[tokio::test]
async fn concurrent_programs_are_never_confused() {
    let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
    let ci = Provider::start(&clock, Algorithm::ES256).await;
    let mirror = Mirror::start().await;
    let route = "[[route]]\nname = \"subject\"\nhost = \"sso.test\"\npath = \"/subject\"\n\
                 upstream = [\"{mirror}\"]\nissuers = [\"ci\"]\n[route.headers]\nX-Client = \"claims.sub\"\n";
    let partner = Provider::start(&clock, Algorithm::ES256).await;
    let issuers = [("ci", &ci, ""), ("partner", &partner, "")];
    let menshen = setup(&issuers, &mirror, route).clock(&clock).start().await;
    let claims = ci.access_token_claims("zhangsan", "menshen");
    let tokens: Vec<_> = (0..60)
        .map(|nth| {
            ci.sign(
                &with_claims(claims.clone(), &json!({ "sub": format!("p{nth}") })),
                &json!({}),
            )
        })
        .collect();
    let menshen = &menshen;
    for _ in 0..2 {
        let requests = tokens.iter().map(|token| {
            let request = bearer_request("/subject", token);
            async move { request.send(menshen).await }
        });
        for (nth, answer) in join_all(requests).await.iter().enumerate() {
            assert_eq!(
                mirror::received_values(answer, "x-client"),
                [format!("p{nth}")]
            );
        }
    }
    assert_eq!(ci.calls("keys"), 1, "the keys are loaded once");
}

/// A setup with an upstream that switches protocols, for programs of one issuer.
async fn tunnel_setup() -> (Provider, Upstream, impl Fn(&str) -> Setup + use<>) {
    let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
    let ci = Provider::start(&clock, Algorithm::ES256).await;
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                  Upgrade: websocket\r\n\r\n";
    let upstream = Upstream::start(move |_| Reply::HoldOpen(switch.into())).await;
    let issuer = format!(
        "[issuer.ci]\nurl = \"{}\"\naudiences = [\"menshen\"]\n",
        ci.issuer()
    );
    let setup = Setup::default().clock(&clock).tables(&issuer);
    let route = format!(
        "[[route]]\nname = \"up\"\nhost = \"{UPSTREAM_HOST}\"\nupstream = [\"{}\"]\n",
        upstream.url()
    );
    (ci, upstream, move |lines: &str| {
        setup.clone().routes(&format!("{route}{lines}\n"))
    })
}

#[tokio::test]
async fn a_tunnel_ends_when_its_token_is_no_longer_accepted() {
    // The token expired; or the route became public, while the upstream still sees the program.
    for (wait_s, lines) in [(3_660, "issuers = [\"ci\"]"), (0, "access = \"public\"")] {
        let (ci, _upstream, setup) = tunnel_setup().await;
        let menshen = setup("issuers = [\"ci\"]").start().await;
        let token = ci.sign(&ci.access_token_claims("zhangsan", "menshen"), &json!({}));
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nAuthorization: Bearer {token}\r\n\
             Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        let mut tunnel = RawConnection::open(menshen.address()).await;
        tunnel.send(&request).await;
        assert_eq!(tunnel.read_answer_head().await.status, 101);
        menshen.advance(Duration::from_secs(wait_s));
        menshen.reload(&setup(lines)).await.unwrap();
        let ended = tokio::time::timeout(TEST_TIMEOUT, tunnel.read_to_end()).await;
        // The WebSocket close code 1008, policy violation.
        assert_eq!(
            ended.expect("the tunnel ends"),
            [0x88, 2, 3, 240],
            "{lines}"
        );
    }
}

#[tokio::test]
async fn a_tunnel_survives_a_short_outage_of_its_issuer() {
    for outage_ends in [true, false] {
        let (ci, _upstream, setup) = tunnel_setup().await;
        let menshen = setup("issuers = [\"ci\"]").start().await;
        let token = ci.sign(&ci.access_token_claims("zhangsan", "menshen"), &json!({}));
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\nAuthorization: Bearer {token}\r\n\
             Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        let mut tunnel = RawConnection::open(menshen.address()).await;
        tunnel.send(&request).await;
        assert_eq!(tunnel.read_answer_head().await.status, 101);
        ci.start_outage();
        // With changed settings its keys must be loaded again.
        let changed_issuer = format!(
            "[issuer.ci]\nurl = \"{}\"\naudiences = [\"menshen\"]\ncached_max = 7\n",
            ci.issuer()
        );
        let setup = setup("issuers = [\"ci\"]").tables(&changed_issuer);
        menshen.reload(&setup).await.unwrap();
        let short = Duration::from_millis(300);
        let ended = tokio::time::timeout(short, tunnel.read_to_end()).await;
        assert!(ended.is_err(), "the tunnel ended at once: {ended:?}");
        if outage_ends {
            ci.end_outage();
        }
        menshen.advance(Duration::from_secs(31));
        let limit = if outage_ends {
            short * 10
        } else {
            TEST_TIMEOUT
        };
        let ended = tokio::time::timeout(limit, tunnel.read_to_end()).await;
        assert_eq!(ended.is_err(), outage_ends, "{ended:?}");
    }
}
