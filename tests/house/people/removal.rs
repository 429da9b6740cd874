//! An administrator takes an identity off an account.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use menshen::face::page::Cause;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::linking::{self, browser_that_added, user_of};
use super::{account_id, log_in_with};
use crate::access_tokens::{basic, make_token};
use crate::admin::send_request;
use crate::setup::{Menshen, SSO_URL, Setup, run};
use crate::stores::TempDir;
use crate::test_request::{TestRequest, repeat_until};
use crate::wire::Answer;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const CORP: &str = "ww6d656e7368656e01";

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
access_tokens = true
"#;

fn setup() -> Setup {
    let linking = linking::tables();
    Setup::default().routes(ROUTES).tables(&format!(
        "{linking}\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n"
    ))
}

async fn call(menshen: &Menshen, method: &str, path: &str, body: &str) -> Answer {
    let headers = format!("Authorization: Bearer {TOKEN}\r\n");
    send_request(menshen, method, path, &headers, body).await
}

async fn remove(menshen: &Menshen, login: &str, connector: &str, subject: &str) -> Answer {
    let subject = utf8_percent_encode(subject, NON_ALPHANUMERIC);
    let path = format!("/api/people/{login}/identities/{connector}/{subject}");
    call(menshen, "DELETE", &path, "").await
}

async fn import(menshen: &Menshen, people: &Value) {
    let answer = call(menshen, "POST", "/api/people", &people.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The identities that the admin API shows, as connector and subject.
async fn identities(menshen: &Menshen, login: &str) -> BTreeSet<(String, String)> {
    let path = format!("/api/people/{login}");
    let shown = call(menshen, "GET", &path, "").await.json();
    let identities = shown["identities"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pair = |one: &Value| (text(&one["connector"]), text(&one["subject"]));
    identities.iter().map(pair).collect()
}

fn removals(menshen: &Menshen) -> Vec<Value> {
    let mut audit = menshen.audit();
    audit.retain(|record| record["event"] == "unlinked");
    audit
}

#[tokio::test]
async fn what_came_through_an_identity_that_is_taken_off_ends_on_every_node() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let other = run(
        &menshen.setup.text(&menshen.wecom, &menshen.app),
        &menshen.clock,
    )
    .await;
    let (here, there): (SocketAddr, SocketAddr) = (menshen.address(), other.addresses()[0]);
    let mut own = browser_that_added(&menshen, "lisi").await;
    let (mut added, page) = log_in_with(&menshen, "other", "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let [own_token, added_token] = [
        make_token(&mut own, "own", &[]).await,
        make_token(&mut added, "added", &[]).await,
    ];
    let by_cookie = |browser: &crate::browser::Browser| {
        TestRequest::get("/echo").session(&browser.cookie("menshen").unwrap().value)
    };
    let by_token =
        |token: &str| TestRequest::get("/echo").header("Authorization", &basic("zhangsan", token));
    let stay = [by_cookie(&own), by_token(&own_token)];
    let end = [by_cookie(&added), by_token(&added_token)];
    // Both nodes cache them.
    for request in stay.iter().chain(&end) {
        assert_eq!(request.send_to(here).await.status, 200, "{request:?}");
        repeat_until(request, there, |answer| answer.status == 200).await;
    }

    let answer = remove(&menshen, "zhangsan", "other", &format!("{CORP}:lisi")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for request in &end {
        assert_eq!(request.send_to(here).await.status, 401, "{request:?}");
        repeat_until(request, there, |answer| answer.status == 401).await;
    }
    for request in &stay {
        for node in [here, there] {
            assert_eq!(request.send_to(node).await.status, 200, "{request:?}");
        }
    }
    // The identity is that of an unknown person again.
    assert_eq!(user_of(&menshen, "other", "lisi").await, ["o-lisi"]);
    assert_eq!(user_of(&menshen, "corp", "zhangsan").await, ["zhangsan"]);
}

#[tokio::test]
async fn the_removal_is_in_the_audit_log_and_in_the_history() {
    let menshen = setup().start().await;
    let mut own = browser_that_added(&menshen, "lisi").await;
    let subject = format!("{CORP}:lisi");
    remove(&menshen, "ZhangSan", "other", &subject).await;
    let record = removals(&menshen).pop().unwrap();
    for (field, expected) in [
        ("by", "token:admin"),
        ("login", "zhangsan"),
        ("account", &account_id(&mut own).await),
        ("connector", "other"),
        ("subject", &subject),
    ] {
        assert_eq!(record[field], expected, "{record}");
    }
    let shown = call(&menshen, "GET", "/api/people/zhangsan", "")
        .await
        .json();
    let last = &shown["history"][0];
    assert_eq!(last["what"], "identity-removed", "{shown}");
    assert_eq!(last["by"], "token:admin", "{shown}");
    assert_eq!(last["detail"], format!("other: {subject}"), "{shown}");
}

#[tokio::test]
async fn an_identity_is_taken_off_only_the_account_that_has_it() {
    let menshen = setup().start().await;
    let mut own = browser_that_added(&menshen, "lisi").await;
    let (mut lisi, _) = log_in_with(&menshen, "corp", "lisi").await;
    let of_lisi = format!("{CORP}:lisi");
    for (login, connector, subject, named) in [
        ("nobody", "corp", &*of_lisi, "nobody has the login nobody"),
        ("zhangsan", "corp", &of_lisi, "zhangsan has no identity"),
        ("lisi", "other", &of_lisi, "lisi has no identity"),
        ("zhangsan", "none", &of_lisi, "of none"),
        ("zhangsan", "Corp%20%2F", &of_lisi, "of Corp /"),
        ("zhangsan", "other", "", ""),
        ("zhangsan", "other", "somebody", "no identity somebody"),
        ("zhangsan", "other", "lisi", "no identity lisi"),
        ("zhangsan", "other", "a\nb", "no identity"),
        ("zhangsan", "other", &"x".repeat(513), "no identity"),
    ] {
        let answer = remove(&menshen, login, connector, subject).await;
        assert_eq!(answer.status, 404, "{login} {connector} {subject:?}");
        assert!(answer.text().contains(named), "{}", answer.text());
    }
    assert_eq!(removals(&menshen), Vec::<Value>::new());
    for browser in [&mut own, &mut lisi] {
        let answer = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(identities(&menshen, "zhangsan").await.len(), 2);
    // The second removal finds nothing.
    let removed = remove(&menshen, "zhangsan", "other", &of_lisi).await;
    assert_eq!(removed.status, 200, "{}", removed.text());
    let again = remove(&menshen, "zhangsan", "other", &of_lisi).await;
    assert_eq!(again.status, 404);
    assert_eq!(removals(&menshen).len(), 1);
}

#[tokio::test]
async fn an_account_without_its_last_identity_is_signed_in_to_only_after_an_import() {
    let menshen = setup().start().await;
    let (mut browser, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    let account = account_id(&mut browser).await;
    let subject = format!("{CORP}:zhangsan");
    let answer = remove(&menshen, "zhangsan", "corp", &subject).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_ne!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    assert_eq!(identities(&menshen, "zhangsan").await, BTreeSet::new());
    for _ in 0..2 {
        let (refused, page) = log_in_with(&menshen, "corp", "zhangsan").await;
        assert_eq!(page.answer.status, 403, "{}", page.answer.text());
        assert_eq!(page.cause(), Some(Cause::LoginTaken));
        assert!(refused.cookie("menshen").is_none());
    }
    let expected = json!([{"login": "zhangsan", "connector": "corp", "subject": subject}]);
    import(&menshen, &expected).await;
    let (mut browser, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    assert_eq!(account_id(&mut browser).await, account);
}

#[tokio::test]
async fn an_identity_that_a_closed_account_had_does_not_come_back_with_it() {
    let menshen = setup().start().await;
    browser_that_added(&menshen, "lisi").await;
    log_in_with(&menshen, "other", "lisi").await;
    let close = "/api/people/zhangsan/close";
    assert_eq!(call(&menshen, "POST", close, "").await.status, 200);
    let subject = format!("{CORP}:lisi");
    let removed = remove(&menshen, "zhangsan", "other", &subject).await;
    assert_eq!(removed.status, 200, "{}", removed.text());
    let open = "/api/people/zhangsan/open";
    assert_eq!(call(&menshen, "POST", open, "").await.status, 200);
    assert_eq!(user_of(&menshen, "other", "lisi").await, ["o-lisi"]);
    // A login that begins at the time of the closing is refused, so the clock advances.
    menshen.advance(std::time::Duration::from_secs(1));
    assert_eq!(user_of(&menshen, "corp", "zhangsan").await, ["zhangsan"]);
}

#[tokio::test]
async fn a_subject_of_any_characters_is_taken_off() {
    const SUBJECTS: [&str; 12] = [
        "a/b",
        "/",
        "//a/../b/",
        "..",
        "100%",
        "%2F",
        "a%00b",
        "张三/研发",
        "a b",
        "a+b?c=d#e",
        "https://idp.test/张三?x=%25",
        "\"<'`\\{subject}",
    ];
    let menshen = setup().start().await;
    let all: Vec<_> = (0..)
        .zip(SUBJECTS)
        .map(|(at, subject)| json!({"login": format!("p{at}"), "connector": "corp", "subject": subject}))
        .collect();
    import(&menshen, &json!(all)).await;
    for (at, subject) in SUBJECTS.into_iter().enumerate() {
        let login = format!("p{at}");
        let expected = BTreeSet::from([("corp".to_owned(), subject.to_owned())]);
        assert_eq!(identities(&menshen, &login).await, expected);
        // Another spelling is another subject.
        let longer = remove(&menshen, &login, "corp", &format!("{subject}/")).await;
        assert_eq!(longer.status, 404, "{subject}");
        let answer = remove(&menshen, &login, "corp", subject).await;
        assert_eq!(answer.status, 200, "{subject}: {}", answer.text());
        assert_eq!(identities(&menshen, &login).await, BTreeSet::new());
        assert_eq!(removals(&menshen).pop().unwrap()["subject"], subject);
    }
}
