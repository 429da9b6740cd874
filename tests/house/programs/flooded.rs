//! One client makes up tokens without end. Everybody else's tokens are verified as before, and the
//! tokens that are known go on, also for that client.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::task::JoinSet;

use super::explainer::Explainer;
use super::{Desk, bearer, passed, refused, setup};
use crate::checking::TRUSTED;
use crate::checking::faces::{Face, FaceResponse, OriginalRequest, Verdict};
use crate::ext_authz::ON_MAIN;
use crate::mirror::Mirror;
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

/// An instance of menshen whose issuer explains its tokens, and which every face may ask for every client.
struct Counter {
    menshen: Menshen,
    explainer: Explainer,
    _mirror: Mirror,
}

impl Counter {
    /// With these lines of `[issuer.opaque]`.
    async fn open(lines: &str) -> Self {
        let (explainer, mirror) = (Explainer::start().await, Mirror::start().await);
        let issuer = explainer.toml("opaque", "/basic", "");
        let head = "[issuer.opaque]\n";
        let issuer = issuer.replace(head, &format!("{head}{lines}\n"));
        let menshen = Setup::default()
            .server(TRUSTED)
            .more(&format!("{ON_MAIN}{issuer}"))
            .routes(&ROUTE.replace("{mirror}", &mirror.base_url()))
            .start()
            .await;
        Self {
            menshen,
            explainer,
            _mirror: mirror,
        }
    }

    /// A token that counts.
    fn good(&self, token: &str) -> String {
        let said = self.explainer.active("runner");
        self.explainer.says(token, said);
        token.to_owned()
    }

    async fn hears(&self, face: Face, client: &'static str, token: &str) -> FaceResponse {
        let bearer = format!("Bearer {token}");
        let mut original = OriginalRequest::get("/opaque").header("Authorization", &bearer);
        original.client = client;
        original.send_to(face, self.menshen.address()).await
    }

    /// Brings a token through every face at once.
    async fn all_hear(&self, what: &str, client: &'static str, token: &str, verdict: Verdict) {
        let asks = Face::ALL.map(|face| async move {
            let heard = self.hears(face, client, token).await;
            assert_eq!(
                heard.verdict, verdict,
                "{what}: {face:?} {:?}",
                heard.answer
            );
        });
        join_all(asks).await;
    }

    /// The same with a new good token for each.
    async fn all_let_in(&self, what: &str, client: &'static str) {
        let asks = Face::ALL.map(|face| async move {
            let token = self.good(&format!("{what}-{face:?}"));
            let heard = self.hears(face, client, &token).await;
            assert_eq!(
                heard.verdict,
                Verdict::Allow,
                "{what}: {face:?} {:?}",
                heard.answer
            );
        });
        join_all(asks).await;
    }

    /// Brings a token that nobody knows for each of these clients.
    fn flood(&self, clients: impl Iterator<Item = String>) -> JoinSet<Answer> {
        let address = self.menshen.address();
        let asks = clients.enumerate().map(|(at, client)| {
            let ask = TestRequest::get("/opaque")
                .header("Authorization", &format!("Bearer made-up-{at}"))
                .header("X-Forwarded-For", &client);
            async move { ask.at(address).await }
        });
        asks.collect()
    }

    fn asked_about(&self, part: &str) -> usize {
        let asked = self.explainer.asked();
        asked.iter().filter(|token| token.contains(part)).count()
    }

    fn limited(&self) -> u64 {
        let page = self.menshen.running.live().services().telemetry.render();
        let name = "menshen_bearers_total{issuer=\"opaque\",outcome=\"limited\"} ";
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn a_client_that_makes_up_tokens_at_once_keeps_nobody_else_waiting() {
    let counter = Counter::open("").await;
    let known = counter.good("known");
    counter
        .all_hear("before", ATTACKER, &known, Verdict::Allow)
        .await;
    // The issuer never comes to an end with those it does not know.
    counter.explainer.ponders(true);
    let mut flood: FuturesUnordered<_> = (0..300)
        .map(|at| {
            let ask = TestRequest::get("/opaque")
                .header("Authorization", &format!("Bearer made-up-{at}"))
                .header("X-Forwarded-For", ATTACKER);
            let address = counter.menshen.address();
            async move { ask.at(address).await }
        })
        .collect();
    // What is beyond its share is answered at once; the rest is under way from now on.
    for _ in 0..200 {
        let answer = flood.next().await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.header("retry-after").is_some());
        assert!(
            answer.text().contains("too-many-tokens"),
            "{}",
            answer.text()
        );
    }
    counter.all_let_in("new", OTHER).await;
    counter
        .all_hear("known", ATTACKER, &known, Verdict::Allow)
        .await;
    assert!(counter.asked_about("made-up") <= 8);
    assert_eq!(counter.limited(), 200);
}

#[tokio::test]
async fn a_client_that_makes_up_tokens_all_the_time_is_told_to_come_back_later() {
    let counter = Counter::open("new_tokens_per_client_per_minute = 20").await;
    let known = counter.good("known");
    counter
        .all_hear("before", ATTACKER, &known, Verdict::Allow)
        .await;
    let mut said = [0, 0];
    for at in 0..120 {
        let face = Face::ALL[at % Face::ALL.len()];
        let heard = counter
            .hears(face, ATTACKER, &format!("made-up-{at}"))
            .await;
        match heard.verdict {
            Verdict::Unauthorized => said[0] += 1,
            Verdict::Unavailable => said[1] += 1,
            other => panic!("{face:?} {other:?} {:?}", heard.answer),
        }
    }
    // One was used up before, and some grow again while the test runs.
    assert!(said[0] >= 19 && said[1] > 20, "{said:?}");
    assert_eq!(counter.asked_about("made-up"), said[0]);
    assert_eq!(counter.limited(), said[1] as u64);
    counter.all_let_in("new", OTHER).await;
    // What counted before is verified anew in time.
    for _ in 0..3 {
        counter.menshen.advance(Duration::from_secs(61));
        counter
            .all_hear("known", ATTACKER, &known, Verdict::Allow)
            .await;
    }
    assert_eq!(counter.asked_about("known"), 4);
    // Its word counts no longer than its issuer says.
    counter.explainer.says("known", json!({ "active": false }));
    counter.menshen.advance(Duration::from_secs(61));
    let heard = counter.hears(Face::Proxy, ATTACKER, &known).await;
    assert_eq!(heard.verdict, Verdict::Unauthorized);
}

#[tokio::test]
async fn a_48_of_ipv6_that_makes_up_tokens_keeps_nobody_else_waiting() {
    let counter = Counter::open("new_tokens_per_client_at_once = 10").await;
    counter.explainer.ponders(true);
    let mut flood = counter.flood((0..100).map(|at| format!("2001:db8:9:{:x}::1", at / 5)));
    // Three clients have 30 under way; what is beyond that is answered at once.
    for _ in 0..70 {
        let answer = flood.join_next().await.unwrap().unwrap();
        let text = answer.text();
        assert_eq!(answer.status, 503, "{text}");
        assert!(text.contains("too-many-tokens"), "{text}");
    }
    counter.all_let_in("new", OTHER).await;
    counter.all_let_in("newer", "2001:db8:8::1").await;
}

#[tokio::test]
async fn a_crowd_that_makes_up_tokens_leaves_questions_to_tokens_that_counted() {
    let counter = Counter::open("").await;
    let known = counter.good("known");
    counter
        .all_hear("before", OTHER, &known, Verdict::Allow)
        .await;
    counter.explainer.ponders(true);
    let _flood = counter.flood((0..160).map(|at| format!("203.0.113.{}", at / 4)));
    until("the issuer is asked about many", || {
        counter.asked_about("made-up") >= 24
    })
    .await;
    for _ in 0..2 {
        counter.menshen.advance(Duration::from_secs(61));
        counter
            .all_hear("known", OTHER, &known, Verdict::Allow)
            .await;
    }
}

#[tokio::test]
async fn a_proxy_that_names_nobody_is_not_one_client() {
    let lines = "new_tokens_per_client_at_once = 1\nnew_tokens_per_client_per_minute = 1";
    let counter = Counter::open(lines).await;
    let asks = (0..20).map(|at| {
        let token = counter.good(&format!("of-many-{at}"));
        let ask = bearer("/opaque", &token);
        let menshen = &counter.menshen;
        async move { passed(&ask.send(menshen).await) }
    });
    assert!(join_all(asks).await.into_iter().all(|passed| passed));
    assert_eq!(counter.limited(), 0);
}

#[tokio::test]
async fn what_is_no_token_takes_nothing_from_a_client() {
    let counter = Counter::open("new_tokens_per_client_per_minute = 10").await;
    let long = "x".repeat(33_000);
    for at in 0..40 {
        let face = Face::ALL[at % Face::ALL.len()];
        for bad in ["a b", "a,b", "====", "\u{e5}", &long] {
            // What is too long for a face is refused before that, too.
            if bad.len() > 1000 && face != Face::Proxy {
                continue;
            }
            let token = format!("{bad}{}", if bad == "====" { "" } else { "=" });
            let ask = bearer("/opaque", &token).header("X-Forwarded-For", ATTACKER);
            if face == Face::Proxy {
                let answer = ask.send(&counter.menshen).await;
                assert!(
                    [400, 401, 431].contains(&answer.status),
                    "{}",
                    answer.status
                );
                continue;
            }
            let heard = counter.hears(face, ATTACKER, &token).await;
            assert_ne!(heard.verdict, Verdict::Allow, "{face:?}");
            assert_ne!(heard.verdict, Verdict::Unavailable, "{face:?}");
        }
    }
    assert_eq!(counter.explainer.asked(), [""; 0]);
    assert_eq!(counter.limited(), 0);
    counter.all_let_in("new", ATTACKER).await;
}

#[tokio::test]
async fn made_up_tokens_push_no_good_one_out_of_memory() {
    let counter = Counter::open("cached_max = 20").await;
    let known = counter.good("known");
    let ask = async |client: String, token: String| {
        let ask = bearer("/opaque", &token).header("X-Forwarded-For", &client);
        ask.send(&counter.menshen).await
    };
    assert!(passed(&ask(OTHER.to_owned(), known.clone()).await));
    // More than are remembered of those that were refused, from all over the world.
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
    assert_eq!(counter.asked_about("known"), 1);
}

#[tokio::test]
async fn made_up_names_of_keys_keep_no_new_key_from_counting() {
    let desk = Desk::open().await;
    let issuers = [("ci", &desk.ci, ""), ("partner", &desk.partner, "")];
    let trusting = setup(&issuers, &desk.mirror, "").server(TRUSTED);
    desk.menshen.reload(&trusting).await.unwrap();
    assert!(passed(&desk.ask("/api", &desk.token()).await));
    for at in 0..30 {
        let head = json!({ "kid": format!("made-up-{at}") });
        let token = desk.ci.sign(&desk.claims(), &head);
        let ask = bearer("/api", &token).header("X-Forwarded-For", ATTACKER);
        refused(&ask.send(&desk.menshen).await, "no such key");
    }
    desk.ci.rotate(false);
    let ask = bearer("/api", &desk.token()).header("X-Forwarded-For", OTHER);
    assert!(passed(&ask.send(&desk.menshen).await));
    assert!(desk.ci.calls("keys") <= 5, "{}", desk.ci.calls("keys"));
}
