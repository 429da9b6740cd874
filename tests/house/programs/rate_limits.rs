//! A client that invents tokens does not affect others, and its own valid tokens stay usable.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::task::JoinSet;

use super::introspection_issuer::IntrospectionIssuer;
use super::{TwoIssuers, bearer, passed, refused, setup};
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, FaceResponse, OriginalRequest, Verdict};
use crate::ext_authz::GRPC_ON_MAIN;
use crate::mirror::Mirror;
use crate::provider::OldKey;
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;
use crate::upstream::until;
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

/// A server with an introspection issuer, where every face accepts requests for any client.
struct IntrospectionEnv {
    menshen: Menshen,
    introspection_issuer: IntrospectionIssuer,
    _mirror: Mirror,
}

impl IntrospectionEnv {
    /// With these lines of `[issuer.opaque]`.
    async fn open(lines: &str) -> Self {
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

    /// Makes a token valid.
    fn good(&self, token: &str) -> String {
        let said = self.introspection_issuer.active("runner");
        self.introspection_issuer.says(token, said);
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
        let asks = Face::ALL.map(|face| async move {
            let heard = self.decision_for(face, client, token).await;
            assert_eq!(
                heard.verdict, verdict,
                "{what}: {face:?} {:?}",
                heard.answer
            );
        });
        join_all(asks).await;
    }

    /// Sends a new valid token to each face.
    async fn assert_new_token_accepted_on_all_faces(&self, what: &str, client: &'static str) {
        let asks = Face::ALL.map(|face| async move {
            let token = self.good(&format!("{what}-{face:?}"));
            let heard = self.decision_for(face, client, &token).await;
            assert_eq!(
                heard.verdict,
                Verdict::Allow,
                "{what}: {face:?} {:?}",
                heard.answer
            );
        });
        join_all(asks).await;
    }

    /// Sends an unknown token for each of these clients.
    fn send_unknown_tokens(&self, clients: impl Iterator<Item = String>) -> JoinSet<Answer> {
        let address = self.menshen.address();
        let asks = clients.enumerate().map(|(at, client)| {
            let ask = TestRequest::get("/opaque")
                .header("Authorization", &format!("Bearer made-up-{at}"))
                .header("X-Forwarded-For", &client);
            async move { ask.at(address).await }
        });
        asks.collect()
    }

    fn introspections_of(&self, part: &str) -> usize {
        let asked = self.introspection_issuer.asked();
        asked.iter().filter(|token| token.contains(part)).count()
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
    let env = IntrospectionEnv::open("").await;
    let known = env.good("known");
    env.assert_on_all_faces("before", ATTACKER, &known, Verdict::Allow)
        .await;
    // The issuer never answers about unknown tokens.
    env.introspection_issuer.hang_on_unknown_tokens(true);
    let mut send_unknown_tokens: FuturesUnordered<_> = (0..300)
        .map(|at| {
            let ask = TestRequest::get("/opaque")
                .header("Authorization", &format!("Bearer made-up-{at}"))
                .header("X-Forwarded-For", ATTACKER);
            let address = env.menshen.address();
            async move { ask.at(address).await }
        })
        .collect();
    // Requests over the limit are answered at once; the others are pending.
    for _ in 0..200 {
        let answer = send_unknown_tokens.next().await.unwrap();
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
    let env = IntrospectionEnv::open("new_tokens_per_client_per_minute = 20").await;
    let known = env.good("known");
    env.assert_on_all_faces("before", ATTACKER, &known, Verdict::Allow)
        .await;
    let mut said = [0, 0];
    for at in 0..120 {
        let face = Face::ALL[at % Face::ALL.len()];
        let heard = env
            .decision_for(face, ATTACKER, &format!("made-up-{at}"))
            .await;
        match heard.verdict {
            Verdict::Unauthorized => said[0] += 1,
            Verdict::Unavailable => said[1] += 1,
            other => panic!("{face:?} {other:?} {:?}", heard.answer),
        }
    }
    // One token was used before, and the limit recovers while the test runs.
    assert!(said[0] >= 19 && said[1] > 20, "{said:?}");
    assert_eq!(env.introspections_of("made-up"), said[0]);
    assert_eq!(env.limited_count(), said[1] as u64);
    env.assert_new_token_accepted_on_all_faces("new", OTHER)
        .await;
    // A recently valid token is verified again regardless of the limit.
    for _ in 0..3 {
        env.menshen.advance(Duration::from_secs(61));
        env.assert_on_all_faces("known", ATTACKER, &known, Verdict::Allow)
            .await;
    }
    assert_eq!(env.introspections_of("known"), 4);
    // It is refused once its issuer revokes it.
    env.introspection_issuer
        .says("known", json!({ "active": false }));
    env.menshen.advance(Duration::from_secs(61));
    let heard = env.decision_for(Face::Proxy, ATTACKER, &known).await;
    assert_eq!(heard.verdict, Verdict::Unauthorized);
}

#[tokio::test]
async fn invented_tokens_from_one_ipv6_48_do_not_delay_other_clients() {
    let env = IntrospectionEnv::open("new_tokens_per_client_at_once = 10").await;
    env.introspection_issuer.hang_on_unknown_tokens(true);
    let mut send_unknown_tokens =
        env.send_unknown_tokens((0..100).map(|at| format!("2001:db8:9:{:x}::1", at / 5)));
    // 30 requests of three clients are pending; those over the limit are answered at once.
    for _ in 0..70 {
        let answer = send_unknown_tokens.join_next().await.unwrap().unwrap();
        let text = answer.text();
        assert_eq!(answer.status, 503, "{text}");
        assert!(text.contains("too-many-tokens"), "{text}");
    }
    env.assert_new_token_accepted_on_all_faces("new", OTHER)
        .await;
    env.assert_new_token_accepted_on_all_faces("newer", "2001:db8:8::1")
        .await;
}

#[tokio::test]
async fn invented_tokens_of_many_clients_leave_introspections_for_known_tokens() {
    let env = IntrospectionEnv::open("").await;
    let known = env.good("known");
    env.assert_on_all_faces("before", OTHER, &known, Verdict::Allow)
        .await;
    env.introspection_issuer.hang_on_unknown_tokens(true);
    let _flood = env.send_unknown_tokens((0..160).map(|at| format!("203.0.113.{}", at / 4)));
    until("the issuer is asked about many", || {
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
    let env = IntrospectionEnv::open(lines).await;
    let asks = (0..20).map(|at| {
        let token = env.good(&format!("of-many-{at}"));
        let ask = bearer("/opaque", &token);
        let menshen = &env.menshen;
        async move { passed(&ask.send(menshen).await) }
    });
    assert!(join_all(asks).await.into_iter().all(|passed| passed));
    assert_eq!(env.limited_count(), 0);
}

#[tokio::test]
async fn malformed_tokens_do_not_count_against_the_limits() {
    let env = IntrospectionEnv::open("new_tokens_per_client_per_minute = 10").await;
    let long = "x".repeat(33_000);
    for at in 0..40 {
        let face = Face::ALL[at % Face::ALL.len()];
        for bad in ["a b", "a,b", "====", "\u{e5}", &long] {
            // Faces other than the proxy refuse a long header earlier.
            if bad.len() > 1000 && face != Face::Proxy {
                continue;
            }
            let token = format!("{bad}{}", if bad == "====" { "" } else { "=" });
            let ask = bearer("/opaque", &token).header("X-Forwarded-For", ATTACKER);
            if face == Face::Proxy {
                let answer = ask.send(&env.menshen).await;
                assert!(
                    [400, 401, 431].contains(&answer.status),
                    "{}",
                    answer.status
                );
                continue;
            }
            let heard = env.decision_for(face, ATTACKER, &token).await;
            assert_ne!(heard.verdict, Verdict::Allow, "{face:?}");
            assert_ne!(heard.verdict, Verdict::Unavailable, "{face:?}");
        }
    }
    assert_eq!(env.introspection_issuer.asked(), [""; 0]);
    assert_eq!(env.limited_count(), 0);
    env.assert_new_token_accepted_on_all_faces("new", ATTACKER)
        .await;
}

#[tokio::test]
async fn invented_tokens_do_not_evict_valid_ones_from_the_cache() {
    let env = IntrospectionEnv::open("cached_max = 20").await;
    let known = env.good("known");
    let ask = async |client: String, token: String| {
        let ask = bearer("/opaque", &token).header("X-Forwarded-For", &client);
        ask.send(&env.menshen).await
    };
    assert!(passed(&ask(OTHER.to_owned(), known.clone()).await));
    // More refused tokens, from many clients, than the cache holds.
    for round in 0..30 {
        let wave = (0..50).map(|at| {
            let client = format!("198.51.{round}.{at}");
            ask(client, format!("made-up-{round}-{at}"))
        });
        for answer in join_all(wave).await {
            refused(&answer, "made up");
        }
    }
    assert!(passed(&ask(OTHER.to_owned(), known).await));
    assert_eq!(env.introspections_of("known"), 1);
}

#[tokio::test]
async fn invented_key_ids_do_not_delay_a_new_key() {
    let env = TwoIssuers::open().await;
    let issuers = [("ci", &env.ci, ""), ("partner", &env.partner, "")];
    let trusting = setup(&issuers, &env.mirror, "").server(TRUST_LOOPBACK);
    env.menshen.reload(&trusting).await.unwrap();
    assert!(passed(&env.ask("/api", &env.token()).await));
    for at in 0..30 {
        let head = json!({ "kid": format!("made-up-{at}") });
        let token = env.ci.sign(&env.access_token_claims(), &head);
        let ask = bearer("/api", &token).header("X-Forwarded-For", ATTACKER);
        refused(&ask.send(&env.menshen).await, "no such key");
    }
    env.ci.rotate(OldKey::Removed);
    let ask = bearer("/api", &env.token()).header("X-Forwarded-For", OTHER);
    assert!(passed(&ask.send(&env.menshen).await));
    assert!(env.ci.calls("keys") <= 5, "{}", env.ci.calls("keys"));
}
