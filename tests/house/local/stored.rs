//! People whom the store keeps: who signs in, and what ends when they are changed or removed.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::*;
use crate::access_tokens;
use crate::admin::send_request;
use crate::records::Records;
use crate::setup::run;
use crate::stores::TempDir;
use crate::test_request::{TestRequest, repeat_until};

mod adversary;
mod api;
mod change;
mod command;
mod import;
mod nodes;

pub(super) const TOKEN: &str = "correct-horse-battery-staple";

const OLD: &str = "the first password";
const NEW: &str = "第二个 密码 更长";

/// A setup whose connector `house` keeps its people in the store; `more` is added to its settings.
fn stored_setup(more: &str) -> Setup {
    let folder = PeopleFolder::new("");
    let setup = folder.setup("");
    setup.tables(&format!(
        "{NO_LOGIN_LIMITS}[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         [connector.house]\ndisplay_name = \"本地账号\"\n{more}\n[connector.house.local]\n"
    ))
}

async fn start() -> Menshen {
    stored_setup("").start().await
}

/// Sends a request to the admin API, and returns the status and the body.
async fn call(menshen: &Menshen, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = match body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = send_request(menshen, method, path, &headers, &body).await;
    (answer.status, answer.json())
}

const PEOPLE: &str = "/api/connectors/house/people";

async fn must(menshen: &Menshen, method: &str, rest: &str, body: Value) -> Value {
    let (status, answer) = call(menshen, method, &format!("{PEOPLE}{rest}"), &body).await;
    assert_eq!(status, 200, "{method} {rest}: {answer}");
    answer
}

async fn add(menshen: &Menshen, login: &str, mut body: Value) {
    body["password"] = json!(OLD);
    must(menshen, "POST", &format!("/{login}"), body).await;
}

/// Whether the browser is signed in at an address.
async fn is_signed_in_at(browser: &Browser, address: std::net::SocketAddr) -> bool {
    let cookie = &browser.cookie("menshen").unwrap().value;
    let request = TestRequest::get("/echo").session(cookie);
    request.send_to(address).await.status == 200
}

#[tokio::test]
async fn a_person_of_the_store_signs_in_with_their_fields() {
    let menshen = start().await;
    let fields = json!({
        "name": "张三", "email": "zhangsan@corp.example", "groups": ["it", "ops", "it", " "],
        "departments": ["财务部"], "attributes": { "badge": 7 },
    });
    add(&menshen, "ZhangSan", fields).await;
    for typed in ["ZhangSan", " zhangsan ", "ZHANGSAN"] {
        let mut browser = signed_in(Browser::new(&menshen), typed, OLD).await;
        let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(echo.echoed("x-forwarded-user"), ["ZhangSan"], "{typed}");
        assert_eq!(echo.echoed("x-forwarded-groups"), ["it,ops"]);
        for path in ["/finance/echo", "/badge/echo", "/fresh/echo"] {
            assert_eq!(status_at(&mut browser, path).await, 200, "{path}");
        }
    }
    // Others have their own fields, and what only looks like the login is another one.
    add(&menshen, "lisi", json!({})).await;
    let mut lisi = signed_in(Browser::new(&menshen), "lisi", OLD).await;
    assert_eq!(status_at(&mut lisi, "/finance/echo").await, 403);
    for (login, password) in [
        ("zhangsan", NEW),
        ("zhangsan", ""),
        ("zhangsan ", "the first password "),
        ("zhang", OLD),
        ("zhangsаn", OLD),
        ("nobody", OLD),
    ] {
        let answer = sign_in(&mut Browser::new(&menshen), login, password).await;
        assert_eq!(answer.status, 401, "{login}");
    }
}

#[tokio::test]
async fn changed_fields_take_effect_while_the_person_is_signed_in() {
    let menshen = start().await;
    add(&menshen, "zhangsan", json!({ "departments": ["财务部"] })).await;
    let mut browser = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
    assert_eq!(status_at(&mut browser, "/finance/echo").await, 200);
    let change = json!({ "departments": [], "groups": ["left"], "attributes": { "badge": 7 } });
    must(&menshen, "PATCH", "/ZhangSan", change).await;
    assert_eq!(status_at(&mut browser, "/finance/echo").await, 403);
    assert_eq!(status_at(&mut browser, "/badge/echo").await, 200);
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-groups"), ["left"]);
}

#[tokio::test]
async fn removing_disabling_and_another_password_end_sessions_and_tokens_on_every_node() {
    let dir = TempDir::new();
    let menshen = stored_setup("").store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let second = run(&text, &menshen.clock).await;
    let there = second.addresses()[0];
    let requests = [
        ("DELETE", "", Value::Null),
        ("PATCH", "", json!({ "disabled": true })),
        ("POST", "/password", json!({ "password": NEW })),
    ];
    for (method, rest, body) in requests {
        add(&menshen, "zhangsan", json!({})).await;
        add(&menshen, "lisi", json!({})).await;
        let mut here = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
        let elsewhere = signed_in(Browser::at(there), "zhangsan", OLD).await;
        let lisi = signed_in(Browser::at(there), "lisi", OLD).await;
        let token = access_tokens::make_token(&mut here, "laptop", &[]).await;
        let authorization = access_tokens::basic("zhangsan", &token);
        let with_token = TestRequest::get("/git/x").header("Authorization", &authorization);
        assert_eq!(with_token.send_to(there).await.status, 200);
        let answer = must(&menshen, method, &format!("/zhangsan{rest}"), body).await;
        assert_eq!(
            answer["ended"],
            json!({ "sessions": 2, "access_tokens": 1 })
        );
        // On this node at once, on the other one as soon as it has read the log.
        assert_ne!(status_at(&mut here, "/echo").await, 200, "{method}");
        assert_ne!(with_token.send(&menshen).await.status, 200, "{method}");
        let cookie = &elsewhere.cookie("menshen").unwrap().value;
        let request = TestRequest::get("/echo").session(cookie);
        repeat_until(&request, there, |answer| answer.status != 200).await;
        repeat_until(&with_token, there, |answer| answer.status != 200).await;
        assert!(is_signed_in_at(&lisi, there).await, "{method}");
        let old = sign_in(&mut Browser::at(there), "zhangsan", OLD).await;
        let expected = if method == "PATCH" { 403 } else { 401 };
        assert_eq!(old.status, expected, "{method}");
        if method == "POST" {
            signed_in(Browser::at(there), "zhangsan", NEW).await;
        }
        for login in ["zhangsan", "lisi"] {
            let path = format!("{PEOPLE}/{login}");
            call(&menshen, "DELETE", &path, &Value::Null).await;
        }
    }
}

#[tokio::test]
async fn a_login_that_is_verified_while_the_person_is_changed_leads_to_no_session() {
    let menshen = start().await;
    for (method, rest, body) in [
        ("DELETE", "", Value::Null),
        ("PATCH", "", json!({ "disabled": true })),
        ("PATCH", "", json!({ "must_change": true })),
        ("POST", "/password", json!({ "password": NEW })),
    ] {
        let body_of_slow = json!({ "password_hash": SLOW.0 });
        must(&menshen, "POST", "/slow", body_of_slow).await;
        let mut browser = Browser::new(&menshen);
        let change = async {
            // The hash takes longer than this, also on a fast machine.
            tokio::time::sleep(Duration::from_millis(100)).await;
            must(&menshen, method, &format!("/slow{rest}"), body).await;
        };
        let (answer, ()) = tokio::join!(sign_in(&mut browser, "slow", SLOW.1), change);
        if answer.status == 303 {
            // To the page for a new password.
            let to = answer.header("location").unwrap_or_default();
            assert!(to.contains("/password/house/change"), "{method}: {to}");
        }
        assert!(browser.cookie("menshen").is_none(), "{method}");
        let path = format!("{PEOPLE}/slow");
        call(&menshen, "DELETE", &path, &Value::Null).await;
    }
}

#[tokio::test]
async fn a_login_that_is_verified_while_fields_change_brings_no_older_ones() {
    let menshen = start().await;
    let slow = json!({ "password_hash": SLOW.0, "groups": ["admins"] });
    must(&menshen, "POST", "/slow", slow).await;
    let mut before = signed_in(Browser::new(&menshen), "slow", SLOW.1).await;
    let mut browser = Browser::new(&menshen);
    let change = async {
        // The hash takes longer than this, also on a fast machine.
        tokio::time::sleep(Duration::from_millis(100)).await;
        must(&menshen, "PATCH", "/slow", json!({ "groups": ["staff"] })).await;
    };
    let (answer, ()) = tokio::join!(sign_in(&mut browser, "slow", SLOW.1), change);
    assert_eq!(answer.status, 303, "{}", answer.text());
    for browser in [&mut browser, &mut before] {
        let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(echo.echoed("x-forwarded-groups"), ["staff"]);
    }
}

#[tokio::test]
async fn unknown_and_disabled_people_and_wrong_passwords_cost_the_same_and_read_the_same() {
    let log = Records::process_log();
    let menshen = start().await;
    // Two people with hashes of different costs: no other test has these.
    let cheap = "$argon2id$v=19$m=48,t=3,p=1$c2FsdHNhbHRzYWx0MDAwMQ$\
                 SIvjSCzzIqRmWInu9Drbbw";
    let costs = ["argon2id with m=48,t=3,p=1", "bcrypt with cost 6"];
    let bcrypt = WANGWU.0.replace("$2y$05$", "$2y$06$");
    for (login, hash) in [("cheap", cheap), ("dear", &bcrypt)] {
        must(
            &menshen,
            "POST",
            &format!("/{login}"),
            json!({ "password_hash": hash }),
        )
        .await;
    }
    must(&menshen, "PATCH", "/dear", json!({ "disabled": true })).await;
    let computed = || costs.map(|cost| log.text().matches(cost).count());
    let mut pages = Vec::new();
    let mut chosen = std::collections::BTreeMap::new();
    for _ in 0..2 {
        for login in [
            "cheap",
            "dear",
            "nobody1",
            "nobody2",
            "nobody3",
            "nobody4",
            "nobody5",
            "nobody6",
            "无名氏",
        ] {
            let before = computed();
            let answer = sign_in(&mut Browser::new(&menshen), login, "wrong password").await;
            assert_eq!(answer.status, 401, "{login}");
            let after = computed();
            let counts = [after[0] - before[0], after[1] - before[1]];
            assert_eq!(counts[0] + counts[1], 1, "{login}: one hash");
            // The same login costs the same every time.
            let cost = *chosen.entry(login).or_insert(counts);
            assert_eq!(cost, counts, "{login}");
            let html = answer
                .text()
                .replace(login, "")
                .replace(&flow_id_in(&answer.text()), "");
            pages.push(html.split("<footer").next().unwrap().to_owned());
        }
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
    assert_eq!((chosen["cheap"], chosen["dear"]), ([1, 0], [0, 1]));
}

#[tokio::test]
async fn only_who_knows_the_password_reads_that_the_person_is_disabled() {
    let menshen = start().await;
    add(&menshen, "zhangsan", json!({ "disabled": true })).await;
    let mut browser = Browser::new(&menshen);
    let answer = sign_in(&mut browser, "zhangsan", OLD).await;
    assert_eq!(answer.cause(), Some(Cause::InactiveMember));
    assert!(browser.cookie("menshen").is_none());
    assert_eq!(sign_in(&mut browser, "zhangsan", NEW).await.status, 401);
}

#[tokio::test]
async fn a_person_of_the_store_signs_in_while_every_source_is_down() {
    let dir = TempDir::new();
    let menshen = stored_setup("").store(&dir.url()).start().await;
    add(&menshen, "boss", json!({})).await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    // Nothing listens where the source was.
    let away = text.replace(&menshen.wecom.base_url(), "http://127.0.0.1:9");
    let running = run(&away, &menshen.clock).await;
    signed_in(Browser::at(running.addresses()[0]), "boss", OLD).await;
}
