//! Keys come and go, issuers are away, configurations change: what was verified counts as long as it
//! should, and no longer.

use std::time::Duration;

use futures_util::future::join_all;
use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use serde_json::json;

use super::{Desk, bearer, passed, refused, setup, with};
use crate::mirror::{self, Mirror};
use crate::provider::{EndpointFault, Misbehavior, Provider};
use crate::raw_connection::{PATIENCE, RawConnection};
use crate::setup::Setup;
use crate::upstream::{Reply, UP, Upstream};

/// A counter of bearer tokens.
fn counted(desk: &Desk, outcome: &str) -> u64 {
    let page = desk.menshen.running.live().services().telemetry.render();
    let name = format!("menshen_bearers_total{{issuer=\"ci\",outcome=\"{outcome}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("{name} in {page}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_signature_is_verified_once() {
    let desk = Desk::open().await;
    let token = desk.token();
    for _ in 0..10 {
        assert!(passed(&desk.ask("/api", &token).await));
    }
    let counts = ["verified", "cached", "refused", "away"].map(|it| counted(&desk, it));
    assert_eq!(counts, [1, 9, 0, 0]);
    assert_eq!((desk.ci.calls("discovery"), desk.ci.calls("keys")), (1, 1));
    desk.advance(60);
    assert!(passed(&desk.ask("/api", &token).await));
    assert_eq!(counted(&desk, "verified"), 2);
}

#[tokio::test]
async fn nobody_is_asked_before_a_token_comes_or_where_none_counts() {
    let desk = Desk::open().await;
    assert_eq!(desk.ask("/x", &desk.token()).await.status, 401);
    assert!(passed(&desk.ask("/public", &desk.token()).await));
    assert_eq!(
        bearer("/api", "opaque").send(&desk.menshen).await.status,
        401
    );
    assert_eq!((desk.ci.calls("discovery"), desk.ci.calls("keys")), (0, 0));
}

#[tokio::test]
async fn a_new_key_counts_at_once_and_a_withdrawn_one_soon_no_more() {
    for soft in [true, false] {
        let desk = Desk::open().await;
        let old = desk.token();
        assert!(passed(&desk.ask("/api", &old).await));
        desk.ci.rotate(soft);
        let new = desk.token();
        assert!(passed(&desk.ask("/api", &new).await), "soft: {soft}");
        assert_eq!(desk.ci.calls("keys"), 2);
        // What was verified before goes on for a minute.
        assert!(passed(&desk.ask("/api", &old).await));
        desk.advance(60);
        let answer = desk.ask("/api", &old).await;
        if soft {
            assert!(passed(&answer));
        } else {
            refused(&answer, "its key is gone");
        }
    }
}

#[tokio::test]
async fn a_token_is_not_held_against_its_program_because_it_came_before_its_key() {
    let desk = Desk::open().await;
    assert!(passed(&desk.ask("/api", &desk.token()).await));
    desk.ci.rotate(true);
    desk.ci.misbehave(Misbehavior::answer("keys", |said| {
        said["keys"].as_array_mut().unwrap().remove(0);
    }));
    let token = desk.token();
    refused(&desk.ask("/api", &token).await, "its key is not published");
    desk.ci.behave();
    assert!(passed(&desk.ask("/api", &token).await));
}

#[tokio::test]
async fn names_of_keys_that_nobody_has_do_not_wear_the_issuer_out() {
    let desk = Desk::open().await;
    for at in 0..30 {
        let head = json!({ "kid": format!("made-up-{at}") });
        refused(
            &desk.ask("/api", &desk.ci.sign(&desk.claims(), &head)).await,
            "no such key",
        );
    }
    assert!(desk.ci.calls("keys") <= 5, "{}", desk.ci.calls("keys"));
    assert!(passed(&desk.ask("/api", &desk.token()).await));
}

#[tokio::test]
async fn an_issuer_that_is_away_takes_nothing_back_and_lets_nobody_in() {
    let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
    let ci = Provider::start(&clock, Algorithm::ES256).await;
    let partner = Provider::start(&clock, Algorithm::ES256).await;
    let mirror = Mirror::start().await;
    ci.down();
    // menshen starts without it, and serves whoever does not need it.
    let setup = setup(&[("ci", &ci, ""), ("partner", &partner, "")], &mirror, "");
    let menshen = setup.clock(&clock).start().await;
    let desk = Desk {
        menshen,
        ci,
        partner,
        mirror,
    };
    let token = desk.token();
    for ask in [bearer("/api", &token), bearer("/api", &token).navigating()] {
        let answer = ask.send(&desk.menshen).await;
        assert_eq!(
            (answer.status, passed(&answer)),
            (503, false),
            "{}",
            answer.text()
        );
        assert!(answer.header("retry-after").is_some());
        assert!(answer.header("location").is_none());
    }
    refused(&desk.ask("/api", "garbage").await, "that needs nobody");
    let partners = desk
        .partner
        .sign(&desk.partner.claims("a", "menshen"), &json!({}));
    assert!(passed(&desk.ask("/either", &partners).await));
    desk.ci.up();
    desk.advance(2);
    assert!(passed(&desk.ask("/api", &token).await));
    // Its keys are known: it is not needed to verify another token.
    desk.ci.down();
    assert!(passed(&desk.ask("/api", &token).await));
    let another = desk.token();
    assert!(passed(&desk.ask("/api", &another).await));
    // Whether it has a key of that name only it can say.
    let unknown = desk.ci.sign(&desk.claims(), &json!({ "kid": "new" }));
    assert_eq!(desk.ask("/api", &unknown).await.status, 503);
    assert!(counted(&desk, "away") >= 2);
}

#[tokio::test]
async fn metadata_and_keys_that_are_none_are_no_keys() {
    let odd = [
        Misbehavior::At("discovery", EndpointFault::Html),
        Misbehavior::At("discovery", EndpointFault::Redirect(302)),
        Misbehavior::At("keys", EndpointFault::HtmlStatus(502)),
        Misbehavior::At("keys", EndpointFault::Endless),
        Misbehavior::At("keys", EndpointFault::Cut),
        Misbehavior::At("keys", EndpointFault::Json(200, "{\"keys\":{}}".to_owned())),
        Misbehavior::answer("discovery", |said| {
            said["issuer"] = json!("https://other.example")
        }),
    ];
    for how in odd {
        let desk = Desk::open().await;
        desk.ci.misbehave(how);
        let token = desk.token();
        let answer = desk.ask("/api", &token).await;
        assert_eq!((answer.status, passed(&answer)), (503, false));
        desk.ci.behave();
        desk.advance(2);
        assert!(passed(&desk.ask("/api", &token).await));
    }
}

#[tokio::test]
async fn other_audiences_count_from_the_next_request_on() {
    let desk = Desk::open().await;
    let token = desk.token();
    assert!(passed(&desk.ask("/api", &token).await));
    let audiences = |lines: &'static str| {
        setup(
            &[("ci", &desk.ci, lines), ("partner", &desk.partner, "")],
            &desk.mirror,
            "",
        )
    };
    desk.menshen
        .reload(&audiences("audiences = [\"other\"]"))
        .await
        .unwrap();
    refused(&desk.ask("/api", &token).await, "for another");
    desk.menshen
        .reload(&audiences("audiences = [\"other\", \"menshen\"]"))
        .await
        .unwrap();
    assert!(passed(&desk.ask("/api", &token).await));
    // A route that names it no more, or an issuer that is gone.
    let ask = bearer("/partner", &token);
    refused(&ask.send(&desk.menshen).await, "another's");
    let swapped = setup(
        &[("ci", &desk.partner, ""), ("partner", &desk.ci, "")],
        &desk.mirror,
        "",
    );
    desk.menshen.reload(&swapped).await.unwrap();
    refused(&desk.ask("/api", &token).await, "the names were swapped");
    assert!(passed(&desk.ask("/partner", &token).await));
}

#[tokio::test]
async fn an_issuer_that_did_not_change_keeps_what_it_knows_over_a_reload() {
    let desk = Desk::open().await;
    let token = desk.token();
    assert!(passed(&desk.ask("/api", &token).await));
    let issuers = [
        ("ci", &desk.ci, ""),
        ("partner", &desk.partner, "scopes = [\"x\"]"),
    ];
    desk.menshen
        .reload(&setup(&issuers, &desk.mirror, ""))
        .await
        .unwrap();
    desk.ci.down();
    assert!(passed(&desk.ask("/api", &token).await));
    assert_eq!((desk.ci.calls("discovery"), desk.ci.calls("keys")), (1, 1));
}

#[tokio::test]
async fn many_programs_at_once_are_never_taken_for_each_other() {
    let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
    let ci = Provider::start(&clock, Algorithm::ES256).await;
    let mirror = Mirror::start().await;
    let route = "[[route]]\nname = \"who\"\nhost = \"sso.test\"\npath = \"/who\"\n\
                 upstream = [\"{mirror}\"]\nissuers = [\"ci\"]\n[route.headers]\nX-Client = \"claims.sub\"\n";
    let partner = Provider::start(&clock, Algorithm::ES256).await;
    let issuers = [("ci", &ci, ""), ("partner", &partner, "")];
    let menshen = setup(&issuers, &mirror, route).clock(&clock).start().await;
    let claims = ci.claims("zhangsan", "menshen");
    let tokens: Vec<_> = (0..60)
        .map(|at| {
            ci.sign(
                &with(claims.clone(), &json!({ "sub": format!("p{at}") })),
                &json!({}),
            )
        })
        .collect();
    let menshen = &menshen;
    for _ in 0..2 {
        let asks = tokens.iter().map(|token| {
            let ask = bearer("/who", token);
            async move { ask.send(menshen).await }
        });
        for (at, answer) in join_all(asks).await.iter().enumerate() {
            assert_eq!(mirror::values(answer, "x-client"), [format!("p{at}")]);
        }
    }
    assert_eq!(ci.calls("keys"), 1, "one asked for all");
}

/// An instance of menshen before an application that changes protocols, for programs of one issuer.
async fn before_a_tunnel() -> (Provider, Upstream, impl Fn(&str) -> Setup + use<>) {
    let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
    let ci = Provider::start(&clock, Algorithm::ES256).await;
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                  Upgrade: websocket\r\n\r\n";
    let upstream = Upstream::start(move |_| Reply::Hang(switch.into())).await;
    let issuer = format!(
        "[issuer.ci]\nurl = \"{}\"\naudiences = [\"menshen\"]\n",
        ci.issuer()
    );
    let setup = Setup::default().clock(&clock).more(&issuer);
    let route = format!(
        "[[route]]\nname = \"up\"\nhost = \"{UP}\"\nupstream = [\"{}\"]\n",
        upstream.url()
    );
    (ci, upstream, move |lines: &str| {
        setup.clone().routes(&format!("{route}{lines}\n"))
    })
}

#[tokio::test]
async fn a_tunnel_of_a_program_ends_when_its_token_counts_no_more() {
    // It expired; or the route lets everybody pass, while the upstream takes them for the program.
    for (passes_s, lines) in [(3_660, "issuers = [\"ci\"]"), (0, "access = \"public\"")] {
        let (ci, _upstream, setup) = before_a_tunnel().await;
        let menshen = setup("issuers = [\"ci\"]").start().await;
        let token = ci.sign(&ci.claims("zhangsan", "menshen"), &json!({}));
        let ask = format!(
            "GET / HTTP/1.1\r\nHost: {UP}\r\nAuthorization: Bearer {token}\r\n\
             Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        let mut line = RawConnection::open(menshen.address()).await;
        line.send(&ask).await;
        assert_eq!(line.answer_head().await.status, 101);
        menshen.advance(Duration::from_secs(passes_s));
        menshen.reload(&setup(lines)).await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, line.rest()).await;
        // A WebSocket is told that it may not go on (1008).
        assert_eq!(ended.expect("it ends"), [0x88, 2, 3, 240], "{lines}");
    }
}

#[tokio::test]
async fn a_tunnel_of_a_program_goes_on_while_its_issuer_is_away_for_a_moment() {
    for comes_back in [true, false] {
        let (ci, _upstream, setup) = before_a_tunnel().await;
        let menshen = setup("issuers = [\"ci\"]").start().await;
        let token = ci.sign(&ci.claims("zhangsan", "menshen"), &json!({}));
        let ask = format!(
            "GET / HTTP/1.1\r\nHost: {UP}\r\nAuthorization: Bearer {token}\r\n\
             Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        );
        let mut line = RawConnection::open(menshen.address()).await;
        line.send(&ask).await;
        assert_eq!(line.answer_head().await.status, 101);
        ci.down();
        // It has other settings, so it must be asked for its keys.
        let other = format!(
            "[issuer.ci]\nurl = \"{}\"\naudiences = [\"menshen\"]\ncached_max = 7\n",
            ci.issuer()
        );
        let setup = setup("issuers = [\"ci\"]").more(&other);
        menshen.reload(&setup).await.unwrap();
        let once = Duration::from_millis(300);
        let ended = tokio::time::timeout(once, line.rest()).await;
        assert!(ended.is_err(), "it ended at once: {ended:?}");
        if comes_back {
            ci.up();
        }
        menshen.advance(Duration::from_secs(31));
        let longer = if comes_back { once * 10 } else { PATIENCE };
        let ended = tokio::time::timeout(longer, line.rest()).await;
        assert_eq!(ended.is_err(), comes_back, "{ended:?}");
    }
}
