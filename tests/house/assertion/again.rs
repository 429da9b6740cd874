//! What was signed is used again, for the same session and audience, and not for too long.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{Desk, LIFE_S, one, part, setup, verified};
use crate::browser::Browser;
use crate::setup::UNLIMITED;
use crate::test_request::{TestRequest, signed_in};

#[tokio::test]
async fn an_assertion_is_used_again_while_a_third_of_its_life_is_left() {
    let desk = Desk::open("").await;
    let cookie = signed_in(&desk.menshen, "zhangsan").await;
    let first = desk.asserted("/x", &cookie).await.unwrap();
    let from = desk.now_s();
    for (step, reused) in [(0, true), (120, true), (80, true), (1, false)] {
        desk.advance(step);
        let token = desk.asserted("/x", &cookie).await.unwrap();
        assert_eq!(token == first, reused, "after {} s", desk.now_s() - from);
        let times = part(&token, 1);
        let signed = if reused { from } else { desk.now_s() };
        assert_eq!(
            (&times["iat"], &times["exp"]),
            (&signed.into(), &(signed + LIFE_S).into())
        );
    }
}

#[tokio::test]
async fn no_assertion_outlives_its_session() {
    let desk = Desk::open("lifetime = '10m'\nidle_timeout = '10m'").await;
    let cookie = signed_in(&desk.menshen, "zhangsan").await;
    let end = desk.now_s() + 600;
    for (step, expected) in [
        (0, end - 300),
        (290, end - 10),
        (201, end),
        (72, end),
        (36, end),
    ] {
        desk.advance(step);
        let token = desk.asserted("/x", &cookie).await.unwrap();
        let times = part(&token, 1);
        assert_eq!(
            times["exp"],
            expected,
            "{} s before the end",
            end - desk.now_s()
        );
        assert!(times["iat"].as_i64().unwrap() <= desk.now_s());
        // Whoever gets it has a third of its life to look at it.
        let life = expected - times["iat"].as_i64().unwrap();
        assert!((expected - desk.now_s()) * 3 >= life, "{times}");
    }
    desk.advance(1);
    assert_eq!(
        TestRequest::get("/x")
            .session(&cookie)
            .send(&desk.menshen)
            .await
            .status,
        401
    );
    assert_eq!(desk.asserted("/public", &cookie).await, None);
}

#[tokio::test]
async fn nobody_gets_what_was_signed_for_another_person_session_or_audience() {
    let desk = Desk::open("").await;
    let people = ["zhangsan", "lisi", "zhangsan"];
    let mut cookies = Vec::new();
    for login in people {
        cookies.push(signed_in(&desk.menshen, login).await);
    }
    let keys = desk.keys().await;
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        for (login, cookie) in people.iter().zip(&cookies) {
            for (path, host, audience) in [
                ("/x", "sso.test", "sso.test"),
                ("/finance", "sso.test", "财务 finance"),
                ("/x", "a.test", "a.test"),
                ("/x", "b.test", "b.test"),
            ] {
                let ask = TestRequest::get(path).host(host).session(cookie);
                let token = one(&ask.send(&desk.menshen).await).unwrap();
                let claims = verified(&keys, &token, audience).unwrap();
                assert_eq!(claims["login"], *login, "{path} {host}");
                seen.insert(token);
            }
        }
    }
    assert_eq!(
        seen.len(),
        12,
        "one for each session and audience, used twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_once_is_signed_for_once() {
    let desk = Desk::open("").await;
    let cookie = signed_in(&desk.menshen, "zhangsan").await;
    let keys = desk.keys().await;
    for round in 0..3 {
        let tokens = join_all((0..100).map(|_| desk.asserted("/x", &cookie))).await;
        let tokens: BTreeSet<_> = tokens.into_iter().map(Option::unwrap).collect();
        assert_eq!(tokens.len(), 1, "round {round}");
        assert!(verified(&keys, tokens.first().unwrap(), "sso.test").is_ok());
        desk.advance(201);
    }
}

#[tokio::test]
async fn who_signs_in_again_is_named_as_they_are_called_now() {
    let mapping = "[connector.corp.mapping]\nlogin = 'profile.name'\n";
    let desk = Desk::open("").await;
    let named = setup(&desk.mirror, "").more(&format!("{mapping}{UNLIMITED}"));
    desk.menshen.reload(&named).await.unwrap();
    let mut browser = Browser::new(&desk.menshen);
    let mut last = None;
    for name in ["张三", "张三丰"] {
        desk.menshen
            .source
            .member("zhangsan", |one| one.name = name.to_owned());
        browser.forget("menshen");
        browser.sign_in("http://sso.test/x", "zhangsan").await;
        let cookie = browser.cookie("menshen").unwrap().value.clone();
        let token = desk.asserted("/x", &cookie).await.unwrap();
        let claims = part(&token, 1);
        assert_eq!(claims["login"], name);
        let sub = claims["sub"].clone();
        assert_eq!(
            last.get_or_insert_with(|| sub.clone()),
            &sub,
            "the account stays"
        );
    }
}
