//! Logins of own front ends and apps: `GET /login-config/staff` and `POST /login/staff`.

use serde_json::{Value, json};

use super::{LINES, PASSWORD, assert_last_reason, has_session, setup, start, tables};
use crate::browser::Browser;
use crate::ldap_directory::{
    Fault, LdapServer, On, Person, Received, SERVICE_DN, SERVICE_PASSWORD, encoding,
};
use crate::logging_in::OWN_PAGES;
use crate::setup::SSO_URL;
use crate::wire::Answer;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// The headers of a script of the same origin.
const SAME_ORIGIN: [(&str, &str); 3] = [
    ("Origin", SSO_URL),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
];

async fn login_config(browser: &mut Browser) -> Answer {
    let url = format!("{OWN_PAGES}/login-config/staff?rd=/echo");
    let answer = browser.send("GET", &url, &SAME_ORIGIN, b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

async fn post(browser: &mut Browser, body: &Value) -> Answer {
    let url = format!("{OWN_PAGES}/login/staff");
    let headers = [&SAME_ORIGIN[..], &[JSON]].concat();
    let body = body.to_string();
    browser.send("POST", &url, &headers, body.as_bytes()).await
}

/// Begins a login and sends a name and a password.
async fn sign_in(browser: &mut Browser, login: &str, password: &str) -> Answer {
    let state = login_config(browser).await.json()["state"].clone();
    let body = json!({ "login": login, "password": password, "state": state });
    post(browser, &body).await
}

/// Asserts which problem a script is told, without a session.
fn assert_problem(answer: &Answer, browser: &Browser, status: u16, slug: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{slug}: {text}");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/problem+json"), "{text}");
    let problem = answer.json()["type"].as_str().unwrap().to_owned();
    assert!(problem.ends_with(slug), "{slug}: {text}");
    assert!(!has_session(browser), "{slug}");
    assert!(!text.contains(PASSWORD), "{text}");
}

#[tokio::test]
async fn the_login_config_tells_a_front_end_what_it_needs_and_nothing_about_the_directory() {
    let (menshen, server) = start().await;
    let mut browser = Browser::new(&menshen);
    let answer = login_config(&mut browser).await;
    let config = answer.json();
    for (name, value) in [
        ("connector", json!("staff")),
        ("kind", json!("ldap")),
        ("expires_in", json!(600)),
    ] {
        assert_eq!(config[name], value, "{name}: {config}");
    }
    let state = config["state"].as_str().unwrap();
    let cookie = browser.cookie(&format!("menshen-flow-{state}")).unwrap();
    assert_eq!(config["flow"], cookie.value.as_str());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let text = answer.text();
    let address = server.address.to_string();
    for hidden in [SERVICE_DN, SERVICE_PASSWORD, "dc=corp", &address] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    assert_eq!(server.connections(), 0, "the directory is not asked yet");
}

#[tokio::test]
async fn a_front_end_signs_in_after_a_wrong_password_with_the_same_state() {
    let (menshen, _server) = start().await;
    let mut browser = Browser::new(&menshen);
    let state = login_config(&mut browser).await.json()["state"].clone();
    let body = |login: &str, password: &str| json!({ "login": login, "password": password, "state": state });
    for (login, password, reason) in [
        ("zhangsan", "wrong", "the password is wrong"),
        ("nobody", PASSWORD, "nobody who may sign in"),
        ("zhangsan", "", "the user name or the password is empty"),
    ] {
        let answer = post(&mut browser, &body(login, password)).await;
        assert_problem(&answer, &browser, 401, "wrong-password");
        assert_last_reason(&menshen, reason);
    }
    let answer = post(&mut browser, &body("zhangsan", PASSWORD)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let login = answer.json();
    assert_eq!(login["return_to"], json!("/echo"), "{login}");
    assert_eq!(login["user"]["login"], json!("zhangsan"), "{login}");
    assert_eq!(login["user"]["email"], json!("zhangsan@corp.example"));
    let mut cookies = browser.cookies().iter();
    assert!(
        cookies.all(|cookie| !cookie.name.contains("flow")),
        "the flow cookie is deleted"
    );
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-user"), ["zhangsan"]);
}

#[tokio::test]
async fn an_app_without_cookies_signs_in_with_the_flow_that_it_kept() {
    let (menshen, server) = start().await;
    let config = login_config(&mut Browser::new(&menshen)).await.json();
    let mut body = json!({
        "login": "zhangsan", "password": PASSWORD,
        "state": config["state"], "flow": config["flow"],
    });
    let mut app = Browser::new(&menshen);
    let answer = post(&mut app, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(has_session(&app));
    // The flow of one login does not fit the state of another.
    server.clear();
    let other = login_config(&mut Browser::new(&menshen)).await.json();
    body["flow"] = other["flow"].clone();
    let mut app = Browser::new(&menshen);
    let answer = post(&mut app, &body).await;
    assert_problem(&answer, &app, 400, "login-forged");
    body.as_object_mut().unwrap().remove("flow");
    let answer = post(&mut app, &body).await;
    assert_problem(&answer, &app, 400, "login-missing");
    // The connection of the first login may end only now.
    let asks = |request: &Received| *request != Received::Unbind;
    let is_asked = server.received().iter().any(asks);
    assert!(!is_asked, "the directory is not asked");
}

#[tokio::test]
async fn a_request_that_is_no_login_of_this_kind_never_reaches_the_directory() {
    let (menshen, server) = start().await;
    let mut browser = Browser::new(&menshen);
    let state = login_config(&mut browser).await.json()["state"].clone();
    for body in [
        json!({ "login": "zhangsan", "password": PASSWORD }),
        json!({ "login": "zhangsan", "state": state }),
        json!({ "password": PASSWORD, "state": state }),
        json!({ "code": PASSWORD, "state": state }),
        json!({ "code": "c", "login": "zhangsan", "password": PASSWORD, "state": state }),
        json!({ "login": "zhangsan", "password": [PASSWORD], "state": state }),
        json!({ "login": "zhangsan", "password": PASSWORD, "state": state, "kind": "in-app" }),
        json!({ "login": "zhangsan", "password": PASSWORD, "state": state, "more": 1 }),
        json!({ "login": "zhangsan", "password": PASSWORD, "state": "x" }),
        json!([state, "zhangsan", PASSWORD]),
    ] {
        let answer = post(&mut browser, &body).await;
        assert_problem(&answer, &browser, 400, "bad-request");
    }
    let body = json!({ "login": "zhangsan", "password": PASSWORD, "state": state }).to_string();
    let url = format!("{OWN_PAGES}/login/staff");
    for content_type in ["application/x-www-form-urlencoded", "text/plain"] {
        let headers = [&SAME_ORIGIN[..], &[("Content-Type", content_type)]].concat();
        let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
        assert_problem(&answer, &browser, 400, "bad-request");
    }
    for origin in ["https://evil.test", "null"] {
        let headers = [("Origin", origin), ("Sec-Fetch-Site", "cross-site"), JSON];
        let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 403, "{origin}: {}", answer.text());
        assert!(!has_session(&browser));
    }
    for method in ["GET", "PUT", "DELETE"] {
        let answer = browser.send(method, &url, &SAME_ORIGIN, b"").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
    }
    assert_eq!(server.connections(), 0, "the directory is not asked");
    let answer = sign_in(&mut browser, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn what_the_directory_says_about_an_account_is_told_only_with_the_password() {
    let (menshen, server) = start().await;
    let expired = encoding::password_policy(0);
    server.add(Person::new("lisi", PASSWORD).bind_answer(49, "", expired));
    let locked = encoding::password_policy(1);
    server.add(Person::new("wangwu", PASSWORD).bind_answer(49, "", locked));
    for (login, password, status, slug) in [
        ("lisi", PASSWORD, 403, "password-expired"),
        ("lisi", "wrong", 401, "wrong-password"),
        ("wangwu", PASSWORD, 401, "wrong-password"),
    ] {
        let mut browser = Browser::new(&menshen);
        let answer = sign_in(&mut browser, login, password).await;
        assert_problem(&answer, &browser, status, slug);
    }
    server.fault(On::Search, Fault::Drop);
    let mut browser = Browser::new(&menshen);
    let answer = sign_in(&mut browser, "zhangsan", PASSWORD).await;
    assert_problem(&answer, &browser, 503, "password-unchecked");
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn too_many_wrong_passwords_end_the_logins_of_front_ends_and_of_the_form_together() {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    server.add(Person::new("lisi", PASSWORD));
    let ldap = format!("url = '{}'\nstart_tls = false\n{LINES}", server.url());
    let tables = tables("", &ldap).replace("per_login = 1000", "per_login = 2");
    let menshen = setup(&tables).start().await;
    let mut browser = Browser::new(&menshen);
    let answer = sign_in(&mut browser, "zhangsan", "wrong").await;
    assert_problem(&answer, &browser, 401, "wrong-password");
    let (answer, _) = super::attempt(&menshen, "ZhangSan", "wrong").await;
    assert_eq!(answer.status, 401);
    server.clear();
    let answer = sign_in(&mut browser, "zhangsan", PASSWORD).await;
    assert_problem(&answer, &browser, 429, "too-many-wrong-passwords");
    // A wrong password takes up to a second, and the pause begins with the first one.
    let pause: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((298..=300).contains(&pause), "{pause}");
    let (answer, _) = super::attempt(&menshen, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 429);
    assert_eq!(server.received(), [], "the directory is not asked");
    let answer = sign_in(&mut browser, "lisi", PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    menshen.advance(std::time::Duration::from_secs(300));
    let mut browser = Browser::new(&menshen);
    let answer = sign_in(&mut browser, "zhangsan", PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
