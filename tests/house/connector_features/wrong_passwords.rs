//! Limits of wrong passwords, for each user name and for each client.

use std::time::Duration;

use menshen::face::page::{Cause, Lang};
use serde_json::json;

use super::password::{OWN_PAGE, filled_form, is_signed_in, open_form, submit};
use super::test_source::{PASSWORD, TestSource};
use super::{ID, flow_id_in};
use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::wire::Answer;

/// The table `[login]` with low limits of wrong passwords, and no other ones.
fn limits(per_login: u32, per_client: u32) -> String {
    format!(
        "{}wrong_passwords_per_login = {per_login}\nwrong_passwords_per_client = {per_client}\n\
         wrong_passwords_pause = '2m'\n",
        crate::setup::NO_LOGIN_LIMITS
    )
}

fn setup(login_table: &str, source: &TestSource) -> Setup {
    let setup = Setup::default().server(TRUST_LOOPBACK).tables(login_table);
    setup.connector_of_kind(ID, "", source.kind())
}

/// Opens the form in a new browser at this address and submits it.
async fn sign_in_from(menshen: &Menshen, client: &str, login: &str, password: &str) -> Answer {
    let mut browser = Browser::new(menshen);
    let header = ("X-Forwarded-For".to_owned(), client.to_owned());
    browser.extra_headers.push(header);
    let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
    let form = filled_form(&flow, login, password);
    let answer = submit(&mut browser, &OWN_PAGE, &form).await;
    assert_eq!(answer.status == 303, is_signed_in(&browser));
    answer
}

fn assert_refused(answer: &Answer, retry_after_s: &str) {
    let cause = Some(Cause::TooManyWrongPasswords);
    assert_eq!((answer.status, answer.cause()), (429, cause));
    assert_eq!(answer.header("retry-after"), Some(retry_after_s));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn after_ten_wrong_passwords_for_a_user_name_no_password_is_verified_for_five_minutes() {
    let source = TestSource::with_passwords();
    let menshen = setup(crate::setup::NO_LOGIN_LIMITS, &source).start().await;
    for attempt in 0..10 {
        let client = format!("192.0.2.{attempt}");
        // The case of the name, blanks around it and a success in between make no difference.
        let login = [" lisi", "LISI", "Lisi "][attempt % 3];
        let wrong = sign_in_from(&menshen, &client, login, "wrong").await;
        assert_eq!(wrong.status, 401, "{attempt}");
        if attempt < 9 {
            let right = sign_in_from(&menshen, &client, "lisi", PASSWORD).await;
            assert_eq!(right.status, 303, "{attempt}");
        }
    }
    let asked = source.received().len();
    menshen.advance(Duration::from_secs(30));
    for password in ["wrong", PASSWORD] {
        let refused = sign_in_from(&menshen, "192.0.2.77", "lisi", password).await;
        assert_refused(&refused, "270");
        let html = refused.text();
        assert!(!html.contains(password), "{html}");
    }
    assert_eq!(source.received().len(), asked, "the source is not asked");
    let other = sign_in_from(&menshen, "192.0.2.77", "wangwu", PASSWORD).await;
    assert_eq!(other.status, 303);
    menshen.advance(Duration::from_secs(269));
    let refused = sign_in_from(&menshen, "192.0.2.77", "lisi", PASSWORD).await;
    assert_refused(&refused, "1");
    menshen.advance(Duration::from_secs(1));
    let right = sign_in_from(&menshen, "192.0.2.77", "lisi", PASSWORD).await;
    assert_eq!(right.status, 303);
    let audit = menshen.audit();
    let too_many = audit.iter().filter(|line| {
        let error = line["error"].as_str().unwrap_or_default();
        line["event"] == "refused" && error.contains("too many wrong passwords for this user name")
    });
    assert!(too_many.count() >= 1, "{audit:?}");
    assert!(!menshen.records.text().contains(PASSWORD));
}

#[tokio::test]
async fn a_client_with_too_many_wrong_passwords_is_refused_for_all_user_names() {
    let source = TestSource::with_passwords();
    let menshen = setup(&limits(10, 3), &source).start().await;
    for login in ["a", "b", "c"] {
        let wrong = sign_in_from(&menshen, "192.0.2.1", login, "wrong").await;
        assert_eq!(wrong.status, 401, "{login}");
    }
    let refused = sign_in_from(&menshen, "192.0.2.1", "lisi", PASSWORD).await;
    assert_refused(&refused, "120");
    assert_eq!(source.received(), ["a", "b", "c"]);
    // Another client is not affected, nor are the user names.
    for login in ["a", "lisi"] {
        let right = sign_in_from(&menshen, "192.0.2.2", login, PASSWORD).await;
        assert_eq!(right.status, 303, "{login}");
    }
    menshen.advance(Duration::from_secs(120));
    let right = sign_in_from(&menshen, "192.0.2.1", "lisi", PASSWORD).await;
    assert_eq!(right.status, 303);
}

#[tokio::test]
async fn the_page_is_the_same_for_known_and_unknown_user_names_in_both_languages() {
    let source = TestSource::with_passwords();
    let menshen = setup(&limits(1, 1_000), &source).start().await;
    for (language, lang) in [("zh-CN", Lang::Zh), ("en", Lang::En)] {
        let mut pages = Vec::new();
        for login in ["lisi", "nobody"] {
            let mut browser = Browser::new(&menshen);
            let language = ("Accept-Language".to_owned(), language.to_owned());
            browser.extra_headers.push(language);
            let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
            submit(&mut browser, &OWN_PAGE, &filled_form(&flow, login, "wrong")).await;
            let form = filled_form(&flow, login, PASSWORD);
            let refused = submit(&mut browser, &OWN_PAGE, &form).await;
            assert_refused(&refused, "120");
            let html = refused.text();
            assert!(
                html.contains(Cause::TooManyWrongPasswords.title(lang)),
                "{html}"
            );
            let request_id = html.split("<code>").nth(1).unwrap();
            let request_id = request_id.split('<').next().unwrap();
            pages.push(html.replace(request_id, ""));
        }
        assert_eq!(pages[0], pages[1]);
    }
}

#[tokio::test]
async fn a_front_end_reads_that_there_were_too_many_wrong_passwords() {
    let source = TestSource::with_passwords();
    let menshen = setup(&limits(2, 1_000), &source).start().await;
    let mut browser = Browser::new(&menshen);
    let headers = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Site", "same-origin"),
        ("Content-Type", "application/json"),
    ];
    let url = format!("{OWN_PAGES}/login-config/{ID}");
    let config = browser.send("GET", &url, &headers[..2], b"").await.json();
    let url = format!("{OWN_PAGES}/login/{ID}");
    for (password, status) in [("x", 401), ("y", 401), (PASSWORD, 429)] {
        let body = json!({ "login": "lisi", "password": password, "state": config["state"] });
        let body = body.to_string();
        let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 429 {
            let problem = answer.json();
            let kind = problem["type"].as_str().unwrap_or_default();
            assert!(kind.contains("too-many-wrong-passwords"), "{problem}");
            assert_eq!(answer.header("retry-after"), Some("120"));
        }
    }
    // The form has the same count.
    let refused = sign_in_from(&menshen, "192.0.2.1", "lisi", PASSWORD).await;
    assert_refused(&refused, "120");
    assert_eq!(source.received(), ["lisi", "lisi"]);
}

#[tokio::test]
async fn only_wrong_passwords_count_and_a_reload_keeps_their_number() {
    let source = TestSource::with_passwords();
    let login_table = limits(2, 1_000);
    let menshen = setup(&login_table, &source).start().await;
    let client = "192.0.2.1";
    for (login, password, status) in [
        ("away", "wrong", 503),
        ("away", "wrong", 503),
        ("away", "wrong", 503),
        ("lisi", "", 401),
        ("lisi", "x\0", 401),
        ("lisi", &"p".repeat(1025), 401),
        ("lisi", PASSWORD, 303),
        ("lisi", "wrong", 401),
    ] {
        let answer = sign_in_from(&menshen, client, login, password).await;
        assert_eq!(answer.status, status, "{login} {password}");
    }
    let more = format!(
        "{login_table}[connector.{ID}2.oidc]\nissuer = 'https://b.test'\nclient_id = 'b'\n"
    );
    menshen.reload(&setup(&more, &source)).await.unwrap();
    let wrong = sign_in_from(&menshen, client, "lisi", "wrong").await;
    assert_eq!(wrong.status, 401);
    let refused = sign_in_from(&menshen, client, "lisi", PASSWORD).await;
    assert_refused(&refused, "120");
}

#[tokio::test]
async fn passwords_that_are_sent_at_once_are_not_verified_beyond_the_limit() {
    let source = TestSource::with_passwords();
    let menshen = setup(&limits(5, 1_000), &source).start().await;
    let guesses = (0..40).map(|guess| {
        let menshen = &menshen;
        async move {
            let client = format!("192.0.2.{guess}");
            let password = format!("guess{guess}");
            let answer = sign_in_from(menshen, &client, "lisi", &password).await;
            answer.status
        }
    });
    let statuses = futures_util::future::join_all(guesses).await;
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    assert_eq!((count(401), count(429)), (5, 35), "{statuses:?}");
    assert_eq!(source.received().len(), 5);
}
