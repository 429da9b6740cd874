//! A client that invents tokens does not affect others, and its own valid tokens stay usable.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::task::JoinSet;

use super::introspection_issuer::IntrospectionIssuer;
use super::{TwoIssuers, assert_invalid_token, bearer_request, setup, was_forwarded};
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, FaceResponse, OriginalRequest, Verdict};
use crate::ext_authz::GRPC_ON_MAIN;
use crate::mirror::Mirror;
use crate::provider::OldKey;
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;
use crate::upstream::wait_until;
use crate::wire::Answer;

const ATTACKER: &str = "203.0.113.9";
const OTHER: &str = "192.0.2.7";

const ROUTE: &str = r#"
[[route]]
name = "opaque"
host = "sso.test"
path = "/opaque"
upstream = ["{mirror}"]
issuers = ["opaque"]
"#;

/// An instance of menshen with an introspection issuer. It trusts the test as a proxy, so a request can
/// name any client.
struct IntrospectionEnv {
    menshen: Menshen,
    introspection_issuer: IntrospectionIssuer,
    _mirror: Mirror,
}

impl IntrospectionEnv {
    /// Starts menshen with these lines of `[issuer.opaque]`.
    async fn start(lines: &str) -> Self {
        let (introspection_issuer, mirror) =
            (IntrospectionIssuer::start().await, Mirror::start().await);
        let issuer = introspection_issuer.toml("opaque", "/basic", "");
        let head = "[issuer.opaque]\n";
        let issuer = issuer.replace(head, &format!("{head}{lines}\n"));
        let menshen = Setup::default()
            .server(TRUST_LOOPBACK)
            .tables(&format!("{GRPC_ON_MAIN}{issuer}"))
            .routes(&ROUTE.replace("{mirror}", &mirror.base_url()))
            .start()
            .await;
        Self {
            menshen,
            introspection_issuer,
            _mirror: mirror,
        }
    }

    /// Makes a token valid; returns the token.
    fn make_valid(&self, token: &str) -> String {
        let response = self.introspection_issuer.active_claims("runner");
        self.introspection_issuer.set_response(token, response);
        token.to_owned()
    }

    async fn decision_for(&self, face: Face, client: &'static str, token: &str) -> FaceResponse {
        let bearer = format!("Bearer {token}");
        let mut original = OriginalRequest::get("/opaque").header("Authorization", &bearer);
        original.client = client;
        original.send_to(face, self.menshen.address()).await
    }

    /// Sends a token to all faces concurrently.
    async fn assert_on_all_faces(
        &self,
        what: &str,
        client: &'static str,
        token: &str,
        verdict: Verdict,
    ) {
        let requests = Face::ALL.map(|face| async move {
            let response = self.decision_for(face, client, token).await;
            assert_eq!(
                response.verdict, verdict,
                "{what}: {face:?} {:?}",
                response.answer
            );
        });
        join_all(requests).await;
    }

    /// Sends a new valid token to each face.
    async fn assert_new_token_accepted_on_all_faces(&self, what: &str, client: &'static str) {
        let requests = Face::ALL.map(|face| async move {
            let token = self.make_valid(&format!("{what}-{face:?}"));
            let response = self.decision_for(face, client, &token).await;
            assert_eq!(
                response.verdict,
                Verdict::Allow,
                "{what}: {face:?} {:?}",
                response.answer
            );
        });
        join_all(requests).await;
    }

    /// Sends an unknown token for each of these clients.
    fn send_unknown_tokens(&self, clients: impl Iterator<Item = String>) -> JoinSet<Answer> {
        let address = self.menshen.address();
        let requests = clients.enumerate().map(|(nth, client)| {
            let request = TestRequest::get("/opaque")
                .header("Authorization", &format!("Bearer made-up-{nth}"))
                .header("X-Forwarded-For", &client);
            async move { request.send_to(address).await }
        });
        requests.collect()
    }

    fn introspections_of(&self, part: &str) -> usize {
        let tokens = self.introspection_issuer.introspected_tokens();
        tokens.iter().filter(|token| token.contains(part)).count()
    }

    fn limited_count(&self) -> u64 {
        let page = self.menshen.running.live().services().telemetry.render();
        let name = "menshen_bearers_total{issuer=\"opaque\",outcome=\"limited\"} ";
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn a_burst_of_invented_tokens_does_not_delay_other_clients() {
    let env = IntrospectionEnv::start("").await;
    let known = env.make_valid("known");
    env.assert_on_all_faces("before", ATTACKER, &known, Verdict::Allow)
        .await;
    // The issuer never answers about unknown tokens.
    env.introspection_issuer.hang_on_unknown_tokens(true);
    let mut pending: FuturesUnordered<_> = (0..300)
        .map(|nth| {
            let request = TestRequest::get("/opaque")
                .header("Authorization", &format!("Bearer made-up-{nth}"))
                .header("X-Forwarded-For", ATTACKER);
            let address = env.menshen.address();
            async move { request.send_to(address).await }
        })
        .collect();
    // Requests over the limit are answered at once; the others are pending.
    for _ in 0..200 {
        let answer = pending.next().await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
        assert!(
            answer.text().contains("too-many-tokens"),
            "{}",
            answer.text()
        );
    }
    env.assert_new_token_accepted_on_all_faces("new", OTHER)
        .await;
    env.assert_on_all_faces("known", ATTACKER, &known, Verdict::Allow)
        .await;
    assert!(env.introspections_of("made-up") <= 8);
    assert_eq!(env.limited_count(), 200);
}

#[tokio::test]
async fn a_client_that_keeps_inventing_tokens_gets_retry_after() {
    let env = IntrospectionEnv::start("new_tokens_per_client_per_minute = 20").await;
    let known = env.make_valid("known");
    env.assert_on_all_faces("before", ATTACKER, &known, Verdict::Allow)
        .await;
    let (mut refused, mut limited) = (0, 0);
    for nth in 0..120 {
        let face = Face::ALL[nth % Face::ALL.len()];
        let response = env
            .decision_for(face, ATTACKER, &format!("made-up-{nth}"))
            .await;
        match response.verdict {
            Verdict::Unauthorized => refused += 1,
            Verdict::Unavailable => limited += 1,
            other => panic!("{face:?} {other:?} {:?}", response.answer),
        }
    }
    // One token was used before, and the limit recovers while the test runs.
    assert!(refused >= 19 && limited > 20, "{refused} {limited}");
    assert_eq!(env.introspections_of("made-up"), refused);
    assert_eq!(env.limited_count(), limited);
    env.assert_new_token_accepted_on_all_faces("new", OTHER)
        .await;
    // A recently valid token is verified again regardless of the limit.
    for _ in 0..3 {
        env.menshen.advance(Duration::from_secs(61));
        env.assert_on_all_faces("known", ATTACKER, &known, Verdict::Allow)
            .await;
    }
    assert_eq!(env.introspections_of("known"), 4);
    // The token is refused when its issuer has revoked it.
    env.introspection_issuer
        .set_response("known", json!({ "active": false }));
    env.menshen.advance(Duration::from_secs(61));
    let response = env.decision_for(Face::Proxy, ATTACKER, &known).await;
    assert_eq!(response.verdict, Verdict::Unauthorized);
}

#[tokio::test]
async fn invented_tokens_from_one_ipv6_48_do_not_delay_other_clients() {
    let env = IntrospectionEnv::start("new_tokens_per_client_at_once = 10").await;
    env.introspection_issuer.hang_on_unknown_tokens(true);
    let mut pending =
        env.send_unknown_tokens((0..100).map(|nth| format!("2001:db8:9:{:x}::1", nth / 5)));
    // 30 requests of three clients are pending; those over the limit are answered at once.
    for _ in 0..70 {
        let answer = pending.join_next().await.unwrap().unwrap();
        let text = answer.text();
        assert_eq!(answer.status, 503, "{text}");
        assert!(text.contains("too-many-tokens"), "{text}");
    }
    env.assert_new_token_accepted_on_all_faces("new", OTHER)
        .await;
    env.assert_new_token_accepted_on_all_faces("new-ipv6", "2001:db8:8::1")
        .await;
}

#[tokio::test]
async fn invented_tokens_of_many_clients_leave_introspections_for_known_tokens() {
    let env = IntrospectionEnv::start("").await;
    let known = env.make_valid("known");
    env.assert_on_all_faces("before", OTHER, &known, Verdict::Allow)
        .await;
    env.introspection_issuer.hang_on_unknown_tokens(true);
    let _pending = env.send_unknown_tokens((0..160).map(|nth| format!("203.0.113.{}", nth / 4)));
    wait_until("24 introspections", || {
        env.introspections_of("made-up") >= 24
    })
    .await;
    for _ in 0..2 {
        env.menshen.advance(Duration::from_secs(61));
        env.assert_on_all_faces("known", OTHER, &known, Verdict::Allow)
            .await;
    }
}

#[tokio::test]
async fn a_proxy_that_names_no_client_is_not_limited_as_one_client() {
    let lines = "new_tokens_per_client_at_once = 1\nnew_tokens_per_client_per_minute = 1";
    let env = IntrospectionEnv::start(lines).await;
    let requests = (0..20).map(|nth| {
        let token = env.make_valid(&format!("token-{nth}"));
        let request = bearer_request("/opaque", &token);
        let menshen = &env.menshen;
        async move { was_forwarded(&request.send(menshen).await) }
    });
    assert!(
        join_all(requests)
            .await
            .into_iter()
            .all(|was_forwarded| was_forwarded)
    );
    assert_eq!(env.limited_count(), 0);
}

#[tokio::test]
async fn malformed_tokens_do_not_count_against_the_limits() {
    let env = IntrospectionEnv::start("new_tokens_per_client_per_minute = 10").await;
    let long = "x".repeat(33_000);
    for nth in 0..40 {
        let face = Face::ALL[nth % Face::ALL.len()];
        for malformed in ["a b", "a,b", "====", "\u{e5}", &long] {
            // Faces other than the proxy refuse a long header earlier.
            if malformed.len() > 1000 && face != Face::Proxy {
                continue;
            }
            let token = format!("{malformed}{}", if malformed == "====" { "" } else { "=" });
            let request = bearer_request("/opaque", &token).header("X-Forwarded-For", ATTACKER);
            if face == Face::Proxy {
                let answer = request.send(&env.menshen).await;
                assert!(
                    [400, 401, 431].contains(&answer.status),
                    "{}",
                    answer.status
                );
                continue;
            }
            let response = env.decision_for(face, ATTACKER, &token).await;
            assert_ne!(response.verdict, Verdict::Allow, "{face:?}");
            assert_ne!(response.verdict, Verdict::Unavailable, "{face:?}");
        }
    }
    assert_eq!(env.introspection_issuer.introspected_tokens(), [""; 0]);
    assert_eq!(env.limited_count(), 0);
    env.assert_new_token_accepted_on_all_faces("new", ATTACKER)
        .await;
}

#[tokio::test]
async fn invented_tokens_do_not_evict_valid_ones_from_the_cache() {
    let env = IntrospectionEnv::start("cached_max = 20").await;
    let known = env.make_valid("known");
    let send = async |client: String, token: String| {
        let request = bearer_request("/opaque", &token).header("X-Forwarded-For", &client);
        request.send(&env.menshen).await
    };
    assert!(was_forwarded(&send(OTHER.to_owned(), known.clone()).await));
    // More refused tokens, from many clients, than the cache holds.
    for round in 0..30 {
        let requests = (0..50).map(|nth| {
            let client = format!("198.51.{round}.{nth}");
            send(client, format!("made-up-{round}-{nth}"))
        });
        for answer in join_all(requests).await {
            assert_invalid_token(&answer, "an unknown token");
        }
    }
    assert!(was_forwarded(&send(OTHER.to_owned(), known).await));
    assert_eq!(env.introspections_of("known"), 1);
}

#[tokio::test]
async fn invented_key_ids_do_not_delay_a_new_key() {
    let env = TwoIssuers::start().await;
    let issuers = [("ci", &env.ci, ""), ("partner", &env.partner, "")];
    let with_trusted_proxy = setup(&issuers, &env.mirror, "").server(TRUST_LOOPBACK);
    env.menshen.reload(&with_trusted_proxy).await.unwrap();
    assert!(was_forwarded(&env.send_bearer("/api", &env.token()).await));
    for nth in 0..30 {
        let head = json!({ "kid": format!("made-up-{nth}") });
        let token = env.ci.sign(&env.access_token_claims(), &head);
        let request = bearer_request("/api", &token).header("X-Forwarded-For", ATTACKER);
        assert_invalid_token(&request.send(&env.menshen).await, "no such key");
    }
    env.ci.rotate(OldKey::Removed);
    let request = bearer_request("/api", &env.token()).header("X-Forwarded-For", OTHER);
    assert!(was_forwarded(&request.send(&env.menshen).await));
    assert!(env.ci.calls("keys") <= 5, "{}", env.ci.calls("keys"));
}
