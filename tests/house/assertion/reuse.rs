//! An assertion is cached per session and audience, for a limited time.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{
    AssertionEnv, LIFETIME_S, decode_part, setup, single_assertion, verify_as_application,
};
use crate::browser::Browser;
use crate::setup::NO_LOGIN_LIMITS;
use crate::test_request::{TestRequest, session_cookie_of};

#[tokio::test]
async fn an_assertion_is_reused_while_a_third_of_its_lifetime_remains() {
    let env = AssertionEnv::start("").await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let first = env.assertion_at("/x", &cookie).await.unwrap();
    let first_at = env.now_s();
    for (step, reused) in [(0, true), (120, true), (80, true), (1, false)] {
        env.advance(step);
        let token = env.assertion_at("/x", &cookie).await.unwrap();
        assert_eq!(token == first, reused, "after {} s", env.now_s() - first_at);
        let times = decode_part(&token, 1);
        let signed = if reused { first_at } else { env.now_s() };
        assert_eq!(
            (&times["iat"], &times["exp"]),
            (&signed.into(), &(signed + LIFETIME_S).into())
        );
    }
}

#[tokio::test]
async fn no_assertion_outlives_its_session() {
    let env = AssertionEnv::start("lifetime = '10m'\nidle_timeout = '10m'").await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let end = env.now_s() + 600;
    for (step, expected) in [
        (0, end - 300),
        (290, end - 10),
        (201, end),
        (72, end),
        (36, end),
    ] {
        env.advance(step);
        let token = env.assertion_at("/x", &cookie).await.unwrap();
        let times = decode_part(&token, 1);
        assert_eq!(
            times["exp"],
            expected,
            "{} s before the end",
            end - env.now_s()
        );
        assert!(times["iat"].as_i64().unwrap() <= env.now_s());
        // At least a third of its lifetime remains for verification.
        let life = expected - times["iat"].as_i64().unwrap();
        assert!((expected - env.now_s()) * 3 >= life, "{times}");
    }
    env.advance(1);
    assert_eq!(
        TestRequest::get("/x")
            .session(&cookie)
            .send(&env.menshen)
            .await
            .status,
        401
    );
    assert_eq!(env.assertion_at("/public", &cookie).await, None);
}

#[tokio::test]
async fn an_assertion_is_never_reused_for_another_person_session_or_audience() {
    let env = AssertionEnv::start("").await;
    let people = ["zhangsan", "lisi", "zhangsan"];
    let mut cookies = Vec::new();
    for login in people {
        cookies.push(session_cookie_of(&env.menshen, login).await);
    }
    let keys = env.keys().await;
    let mut tokens = BTreeSet::new();
    for _ in 0..2 {
        for (login, cookie) in people.iter().zip(&cookies) {
            for (path, host, audience) in [
                ("/x", "sso.test", "sso.test"),
                ("/finance", "sso.test", "财务 finance"),
                ("/x", "a.test", "a.test"),
                ("/x", "b.test", "b.test"),
            ] {
                let request = TestRequest::get(path).host(host).session(cookie);
                let token = single_assertion(&request.send(&env.menshen).await).unwrap();
                let claims = verify_as_application(&keys, &token, audience).unwrap();
                assert_eq!(claims["login"], *login, "{path} {host}");
                tokens.insert(token);
            }
        }
    }
    assert_eq!(
        tokens.len(),
        12,
        "one for each session and audience, used twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_share_one_signature() {
    let env = AssertionEnv::start("").await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let keys = env.keys().await;
    for round in 0..3 {
        let tokens = join_all((0..100).map(|_| env.assertion_at("/x", &cookie))).await;
        let tokens: BTreeSet<_> = tokens.into_iter().map(Option::unwrap).collect();
        assert_eq!(tokens.len(), 1, "round {round}");
        assert!(verify_as_application(&keys, tokens.first().unwrap(), "sso.test").is_ok());
        env.advance(201);
    }
}

#[tokio::test]
async fn a_new_login_is_asserted_with_the_current_name() {
    let mapping = "[connector.corp.mapping]\nlogin = 'profile.name'\n";
    let env = AssertionEnv::start("").await;
    let named = setup(&env.mirror, "").tables(&format!("{mapping}{NO_LOGIN_LIMITS}"));
    env.menshen.reload(&named).await.unwrap();
    let mut browser = Browser::new(&env.menshen);
    let mut last = None;
    for name in ["张三", "张三丰"] {
        env.menshen
            .wecom
            .member("zhangsan", |one| one.name = name.to_owned());
        browser.delete_cookies("menshen");
        browser.sign_in("http://sso.test/x", "zhangsan").await;
        let cookie = browser.cookie("menshen").unwrap().value.clone();
        let token = env.assertion_at("/x", &cookie).await.unwrap();
        let claims = decode_part(&token, 1);
        assert_eq!(claims["login"], name);
        let sub = claims["sub"].clone();
        assert_eq!(
            last.get_or_insert_with(|| sub.clone()),
            &sub,
            "the account stays"
        );
    }
}
