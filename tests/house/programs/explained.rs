//! Opaque tokens count as their issuer explains them (RFC 7662), and it is asked with care.

use std::time::Duration;

use futures_util::future::{join_all, select_all};
use serde_json::{Value, json};

use super::explainer::{Explainer, says};
use super::{Desk, bearer, is_refused, passed, refused, setup, with};
use crate::checking::TRUSTED;
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

/// An instance of menshen whose issuer `opaque` explains its tokens.
struct Counter {
    menshen: Menshen,
    explainer: Explainer,
    _mirror: Mirror,
}

impl Counter {
    async fn open(lines: &str) -> Self {
        Self::at("/basic", lines).await
    }

    async fn at(path: &str, lines: &str) -> Self {
        let (explainer, mirror) = (Explainer::start().await, Mirror::start().await);
        let menshen = before(&mirror, &explainer.toml("opaque", path, lines))
            .start()
            .await;
        Self {
            menshen,
            explainer,
            _mirror: mirror,
        }
    }

    async fn ask(&self, token: &str) -> Answer {
        bearer("/opaque", token).send(&self.menshen).await
    }

    fn asked(&self) -> usize {
        self.explainer.asked().len()
    }
}

fn before(mirror: &Mirror, issuer: &str) -> Setup {
    let routes = ROUTES.replace("{mirror}", &mirror.base_url());
    Setup::default().more(issuer).routes(&routes)
}

#[track_caller]
fn unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some() && !passed(answer));
}

#[tokio::test]
async fn a_token_counts_that_its_issuer_calls_active() {
    for (path, lines) in [("/basic", ""), ("/post", "client_auth = \"post\"")] {
        let counter = Counter::at(path, lines).await;
        counter
            .explainer
            .says("good", counter.explainer.active("runner"));
        let answer = counter.ask("good").await;
        assert!(passed(&answer), "{path}: {}", answer.text());
        assert_eq!(mirror::values(&answer, "x-client"), ["runner"]);
        refused(&counter.ask("other").await, "nobody knows it");
        assert_eq!(counter.explainer.asked(), ["good", "other"]);
    }
}

#[tokio::test]
async fn an_issuer_is_asked_where_its_metadata_says() {
    let desk = Desk::open().await;
    let secret = Value::from(crate::provider::CLIENT_SECRET);
    let lines =
        format!("[issuer.ci.introspection]\nclient_id = \"menshen\"\nclient_secret = {secret}");
    let issuers = [
        ("ci", &desk.ci, lines.as_str()),
        ("partner", &desk.partner, ""),
    ];
    desk.menshen
        .reload(&setup(&issuers, &desk.mirror, ""))
        .await
        .unwrap();
    // A signed token is not believed, but asked about: it may be withdrawn.
    refused(&desk.ask("/api", &desk.token()).await, "withdrawn");
    assert_eq!(desk.ci.calls("introspect"), 1);
    refused(&desk.ask("/api", "opaque").await, "unknown");
    assert_eq!(desk.ci.calls("introspect"), 2);
    // A token of somebody else is shown to nobody.
    let strangers = desk
        .partner
        .sign(&desk.partner.claims("zhangsan", "menshen"), &json!({}));
    refused(&desk.ask("/api", &strangers).await, "a stranger's");
    assert_eq!(desk.ci.calls("introspect"), 2);
}

#[tokio::test]
async fn what_an_issuer_says_is_judged_like_a_signed_token() {
    let counter = Counter::open("").await;
    let now = counter.menshen.clock.now().unix_s();
    let good = counter.explainer.active("runner");
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
        counter.explainer.says(&token, with(good.clone(), more));
        refused(&counter.ask(&token).await, &more.to_string());
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
        counter.explainer.says(&token, with(good.clone(), more));
        assert!(passed(&counter.ask(&token).await), "{more}");
    }
    // Empty is not there.
    let mut nulls = good;
    nulls["exp"] = Value::Null;
    nulls["nbf"] = Value::Null;
    counter.explainer.says("nulls", nulls.clone());
    assert!(passed(&counter.ask("nulls").await));
    nulls["aud"] = Value::Null;
    counter.explainer.says("nobody's", nulls);
    refused(&counter.ask("nobody's").await, "for nobody");
}

#[tokio::test]
async fn an_audience_may_be_missing_only_where_the_configuration_says_so() {
    let counter = Counter::open("audience_optional = true").await;
    let good = counter.explainer.active("runner");
    counter
        .explainer
        .says("none", with(good.clone(), &json!({ "aud": null })));
    counter
        .explainer
        .says("other", with(good, &json!({ "aud": "other" })));
    assert!(passed(&counter.ask("none").await));
    refused(&counter.ask("other").await, "for another");
}

#[tokio::test]
async fn a_stricter_route_is_not_opened_by_a_memory() {
    let counter = Counter::open("").await;
    counter
        .explainer
        .says("good", counter.explainer.active("runner"));
    for _ in 0..3 {
        assert!(passed(&counter.ask("good").await));
        let answer = bearer("/strict", "good").send(&counter.menshen).await;
        assert!(is_refused(&answer, 403, "insufficient_scope"), "{answer:?}");
    }
    assert_eq!(counter.asked(), 1);
}

#[tokio::test]
async fn an_answer_is_remembered_for_a_while_and_never_past_the_token() {
    let counter = Counter::open("").await;
    let now = counter.menshen.clock.now().unix_s();
    let good = counter.explainer.active("runner");
    counter.explainer.says("long", good.clone());
    counter
        .explainer
        .says("short", with(good, &json!({ "exp": now + 10 })));
    for _ in 0..3 {
        assert!(passed(&counter.ask("long").await) && passed(&counter.ask("short").await));
    }
    assert_eq!(counter.asked(), 2);
    // Both are withdrawn.
    counter.explainer.says("long", json!({ "active": false }));
    counter.explainer.says("short", json!({ "active": false }));
    counter.menshen.advance(Duration::from_secs(9));
    assert!(passed(&counter.ask("short").await));
    counter.menshen.advance(Duration::from_secs(1));
    refused(&counter.ask("short").await, "it may have ended");
    counter.menshen.advance(Duration::from_secs(49));
    assert!(passed(&counter.ask("long").await));
    counter.menshen.advance(Duration::from_secs(1));
    refused(&counter.ask("long").await, "withdrawn a minute ago");
}

#[tokio::test]
async fn a_no_is_remembered_for_a_moment() {
    let counter = Counter::open("").await;
    for _ in 0..3 {
        refused(&counter.ask("new").await, "not active yet");
    }
    assert_eq!(counter.asked(), 1);
    counter
        .explainer
        .says("new", counter.explainer.active("runner"));
    counter.menshen.advance(Duration::from_secs(2));
    assert!(passed(&counter.ask("new").await));
}

#[tokio::test]
async fn an_issuer_in_trouble_says_neither_yes_nor_no() {
    let counter = Counter::open("").await;
    counter
        .explainer
        .says("good", counter.explainer.active("runner"));
    counter
        .explainer
        .says("known", counter.explainer.active("runner"));
    assert!(passed(&counter.ask("known").await));
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
        counter.explainer.instead(Some(reply));
        unavailable(&counter.ask("good").await);
        // What was found out before goes on.
        assert!(passed(&counter.ask("known").await));
    }
    // Nothing of it was remembered.
    counter.explainer.instead(None);
    assert!(passed(&counter.ask("good").await));
}

#[tokio::test]
async fn an_issuer_that_is_away_or_slow_is_left_alone_for_a_moment() {
    let counter = Counter::open("").await;
    counter
        .explainer
        .says("good", counter.explainer.active("runner"));
    counter
        .explainer
        .says("known", counter.explainer.active("runner"));
    assert!(passed(&counter.ask("known").await));
    counter.explainer.instead(Some(Reply::Hang(Vec::new())));
    unavailable(&counter.ask("good").await);
    let asked = counter.asked();
    counter.explainer.instead(None);
    // It was slow just now: nobody waits for it again.
    unavailable(&counter.ask("good").await);
    assert_eq!(counter.asked(), asked);
    assert!(passed(&counter.ask("known").await));
    counter.menshen.advance(Duration::from_secs(2));
    assert!(passed(&counter.ask("good").await));
    // Gone.
    let Counter {
        menshen,
        explainer,
        _mirror,
    } = counter;
    drop(explainer);
    unavailable(&bearer("/opaque", "another").send(&menshen).await);
    assert!(passed(&bearer("/opaque", "known").send(&menshen).await));
    menshen.advance(Duration::from_secs(60));
    unavailable(&bearer("/opaque", "known").send(&menshen).await);
}

#[tokio::test]
async fn a_hundred_who_bring_one_new_token_are_one_question() {
    let (listener, mirror) = (listener().await, Mirror::start().await);
    let url = format!("http://{}", listener.local_addr().unwrap());
    let issuer = format!(
        "[issuer.opaque]\nurl = \"{url}\"\naudiences = [\"menshen\"]\n\
         [issuer.opaque.introspection]\nurl = \"{url}/\"\nclient_id = \"a\"\nclient_secret = \"b\"\n"
    );
    let menshen = before(&mirror, &issuer).start().await;
    let ask = bearer("/opaque", "new").on_the_wire();
    let mut lines = Vec::new();
    for _ in 0..100 {
        let mut connection = RawConnection::open(menshen.address()).await;
        connection.send(&ask).await;
        lines.push(connection);
    }
    // Whoever asked first goes away: the others do not wait in vain.
    let first = lines.remove(0);
    let mut question = accept(&listener).await;
    let asked = question.request().await.unwrap();
    assert!(String::from_utf8_lossy(&asked.body).contains("token=new"));
    drop(first);
    // Nobody answers a second one.
    drop(listener);
    let said = json!({ "active": true, "sub": "runner", "aud": "menshen" }).to_string();
    let Reply::Keep(answer) = says(200, "application/json", &said) else {
        panic!("it keeps")
    };
    question.send(answer).await;
    for answer in join_all(lines.iter_mut().map(RawConnection::answer)).await {
        assert!(passed(&answer), "{}", answer.text());
    }
}

#[tokio::test]
async fn tokens_that_are_nearly_equal_never_share_an_answer() {
    let counter = Counter::open("").await;
    let stem = "x".repeat(500);
    let tokens: Vec<_> = (0..40)
        .map(|at| match at % 2 {
            0 => format!("{stem}{at}"),
            _ => format!("{at}{stem}"),
        })
        .collect();
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| at % 5 != 0) {
        counter
            .explainer
            .says(token, counter.explainer.active(&format!("p{at}")));
    }
    for _ in 0..2 {
        let answers = join_all(tokens.iter().map(|token| counter.ask(token))).await;
        for (at, answer) in answers.iter().enumerate() {
            if at % 5 == 0 {
                refused(answer, "nobody's");
            } else {
                assert_eq!(mirror::values(answer, "x-client"), [format!("p{at}")]);
            }
        }
    }
}

#[tokio::test]
async fn what_one_issuer_said_is_nothing_to_another() {
    let (one, two) = (Explainer::start().await, Explainer::start().await);
    let mirror = Mirror::start().await;
    let issuers = format!(
        "{}{}",
        one.toml("opaque", "/basic", ""),
        two.toml("two", "/basic", "")
    );
    let other = "[[route]]\nname = \"two\"\nhost = \"sso.test\"\npath = \"/two\"\n\
                 upstream = [\"{mirror}\"]\nissuers = [\"two\"]\n";
    let routes = format!("{ROUTES}{other}").replace("{mirror}", &mirror.base_url());
    let menshen = before(&mirror, &issuers).routes(&routes).start().await;
    one.says("t", one.active("runner"));
    for _ in 0..2 {
        assert!(passed(&bearer("/opaque", "t").send(&menshen).await));
        refused(
            &bearer("/two", "t").send(&menshen).await,
            "two does not know it",
        );
    }
}

/// What is changed in a configuration.
type Edit<'a> = &'a dyn Fn(String) -> String;

#[tokio::test]
async fn other_settings_remember_nothing_of_what_was_before() {
    let counter = Counter::open("").await;
    counter
        .explainer
        .says("t", counter.explainer.active("runner"));
    let issuer = |path: &str, edit: &dyn Fn(String) -> String| {
        edit(counter.explainer.toml("opaque", path, ""))
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
        assert!(passed(&counter.ask("t").await));
        let setup = before(&counter._mirror, &issuer(path, edit));
        counter.menshen.reload(&setup).await.unwrap();
        assert_eq!(passed(&counter.ask("t").await), good, "{path}");
        let back = before(&counter._mirror, &issuer("/basic", &same));
        counter.menshen.reload(&back).await.unwrap();
    }
    // The same once more is still known.
    let asked = counter.asked();
    assert!(passed(&counter.ask("t").await));
    let again = before(&counter._mirror, &issuer("/basic", &same)).server("# the same");
    counter.menshen.reload(&again).await.unwrap();
    assert!(passed(&counter.ask("t").await));
    assert!(counter.asked() <= asked + 1);
}

#[tokio::test]
async fn an_issuer_is_asked_about_so_many_tokens_at_once_and_the_others_are_not_let_in() {
    let counter = Counter::open("").await;
    let issuer = counter.explainer.toml("opaque", "/basic", "");
    let trusting = before(&counter._mirror, &issuer).server(TRUSTED);
    counter.menshen.reload(&trusting).await.unwrap();
    counter.explainer.instead(Some(Reply::Hang(Vec::new())));
    // From twenty clients: no single one has as many questions under way.
    let asks = (0..40).map(|at| {
        let ask = bearer("/opaque", &format!("t{at}"));
        let ask = ask.header("X-Forwarded-For", &format!("192.0.2.{}", at % 20));
        let address = counter.menshen.address();
        Box::pin(async move { ask.at(address).await })
    });
    // Whoever waits for a turn in vain is told so first.
    let (answer, _, waiting) = select_all(asks).await;
    unavailable(&answer);
    // A quarter of 32 questions is kept for tokens that counted before.
    assert_eq!((counter.asked(), waiting.len()), (24, 39));
}
