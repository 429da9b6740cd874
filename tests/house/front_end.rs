//! Front ends and apps with their own login page: the login endpoints for scripts, and userinfo.

mod cross_origin;
mod documented;

use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::{Browser, navigation_headers};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::wecom::{AGENT_ID, CORP_ID, SECRET};
use crate::wire::Answer;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const REDEEM: &str = "/cgi-bin/auth/getuserinfo";
const MINI_PROGRAM: &str = "/cgi-bin/miniprogram/jscode2session";

/// The headers of a script of the same origin.
const SAME_ORIGIN: [(&str, &str); 3] = [
    ("Origin", SSO_URL),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
];

async fn get_login_config(browser: &mut Browser, headers: &[(&str, &str)]) -> Value {
    let url = format!("{OWN_PAGES}/login-config/corp?rd=/echo");
    let answer = browser.send("GET", &url, headers, b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn post_code(browser: &mut Browser, headers: &[(&str, &str)], body: &Value) -> Answer {
    let url = format!("{OWN_PAGES}/login/corp");
    browser
        .send("POST", &url, headers, body.to_string().as_bytes())
        .await
}

fn problem_type(answer: &Answer) -> String {
    let kind = answer.header("content-type").unwrap_or_default();
    assert_eq!(kind, "application/problem+json", "{}", answer.text());
    let problem = answer.json();
    let slug = problem["type"].as_str().unwrap();
    slug.rsplit([':', '/', '#']).next().unwrap().to_owned()
}

#[tokio::test]
async fn the_login_config_holds_what_a_front_end_needs_and_no_secret() {
    let menshen = Setup::default().wecom("schema = 'wwauth1'").start().await;
    let mut browser = Browser::new(&menshen);
    let answer = browser
        .send(
            "GET",
            &format!("{OWN_PAGES}/login-config/corp"),
            &SAME_ORIGIN,
            b"",
        )
        .await;
    let config = answer.json();
    for (name, value) in [
        ("connector", json!("corp")),
        ("kind", json!("wecom")),
        ("corp_id", json!(CORP_ID)),
        ("agent_id", json!(AGENT_ID.to_string())),
        ("schema", json!("wwauth1")),
        ("redirect_uri", json!(format!("{OWN_PAGES}/callback/corp"))),
        ("expires_in", json!(600)),
    ] {
        assert_eq!(config[name], value, "{name}: {config}");
    }
    let state = config["state"].as_str().unwrap();
    assert!(state.len() == 32 && state.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    for url in ["web_url", "in_app_url"] {
        let url = config[url].as_str().unwrap();
        assert!(url.contains(&format!("state={state}")), "{url}");
        assert!(url.starts_with(&menshen.wecom.base_url()), "{url}");
    }
    let cookie = browser.cookie(&format!("menshen-flow-{state}")).unwrap();
    assert_eq!(config["flow"], cookie.value.as_str());
    assert!(!answer.text().contains(SECRET));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_front_end_logs_in_with_the_flow_cookie() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let config = get_login_config(&mut browser, &SAME_ORIGIN).await;
    let code = menshen.wecom.issue_code("lisi", "sso.test");
    let headers = [SAME_ORIGIN[0], SAME_ORIGIN[1], SAME_ORIGIN[2], JSON];
    let body = json!({ "code": code, "state": config["state"] });
    let answer = post_code(&mut browser, &headers, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let login = answer.json();
    assert_eq!(
        (&login["expires_in"], &login["return_to"]),
        (&json!(43200), &json!("/echo"))
    );
    let user = &login["user"];
    assert_eq!(
        (&user["login"], &user["name"]),
        (&json!("lisi"), &json!("李四"))
    );
    assert_eq!(
        (&user["departments"], &user["position"]),
        (&json!(["财务部"]), &json!("财务部经理"))
    );
    assert_eq!(
        (&user["status"], &user["is_leader"]),
        (&json!(1), &json!([1]))
    );
    for name in ["mobile", "email", "avatar", "gender"] {
        assert!(
            user[name].is_null() && user.get(name).is_some(),
            "{name}: {user}"
        );
    }
    assert_eq!(browser.cookies().len(), 1, "the flow cookie is deleted");
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-user"), ["lisi"]);
}

#[tokio::test]
async fn an_app_logs_in_with_the_sealed_flow_that_it_stored() {
    let menshen = Menshen::new().await;
    let config = get_login_config(&mut Browser::new(&menshen), &[]).await;
    let code = menshen.wecom.issue_code("zhangsan", "sso.test");
    let body = json!({ "code": code, "state": config["state"], "flow": config["flow"] });
    let mut app = Browser::new(&menshen);
    let answer = post_code(&mut app, &[JSON], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(app.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    // A retry after a lost response redeems no second code.
    let again = post_code(&mut Browser::new(&menshen), &[JSON], &body).await;
    assert_eq!(again.status, 200);
    assert_eq!(menshen.wecom.calls(REDEEM), 1);
}

#[tokio::test]
async fn a_mini_program_code_is_redeemed_at_its_own_endpoint() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for (corp_id, is_member) in [(CORP_ID, true), ("ww00000000000000a1", false)] {
        let config = get_login_config(&mut Browser::new(&menshen), &[]).await;
        let login =
            json!({ "errcode": 0, "corpid": corp_id, "userid": "lisi", "session_key": "k3y" });
        menshen.wecom.answer(MINI_PROGRAM, login.to_string(), 1);
        let (state, flow) = (&config["state"], &config["flow"]);
        let body = json!({ "code": "c", "state": state, "flow": flow, "kind": "miniprogram" });
        let mut app = Browser::new(&menshen);
        let answer = post_code(&mut app, &[JSON], &body).await;
        assert_eq!(answer.status == 200, is_member, "{}", answer.text());
        assert!(!answer.text().contains("k3y"));
        if !is_member {
            assert_eq!(problem_type(&answer), "not-member");
        }
    }
    assert_eq!(
        (
            menshen.wecom.calls(MINI_PROGRAM),
            menshen.wecom.calls(REDEEM)
        ),
        (2, 0)
    );
}

/// Posts a body and asserts that it is refused for this reason and creates no session.
async fn assert_refused(
    browser: &mut Browser,
    headers: &[(&str, &str)],
    body: &str,
    (status, reason): (u16, &str),
) {
    let url = format!("{OWN_PAGES}/login/corp");
    let answer = browser.send("POST", &url, headers, body.as_bytes()).await;
    let start: String = body.chars().take(80).collect();
    let what = format!("{headers:?} {start}");
    assert_eq!(
        (answer.status, problem_type(&answer).as_str()),
        (status, reason),
        "{what}"
    );
    assert!(browser.cookie("menshen").is_none(), "{what}");
    assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
}

#[tokio::test]
async fn a_code_from_another_site_is_refused() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let config = get_login_config(&mut browser, &SAME_ORIGIN).await;
    let is_member = json!({ "code": "c", "state": config["state"] }).to_string();
    for header in [
        ("Origin", "http://evil.test"),
        ("Origin", "http://sso.test.evil.test"),
        ("Origin", "http://sso.test:81"),
        ("Origin", "https://sso.test"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let headers = [header, JSON];
        assert_refused(&mut browser, &headers, &is_member, (403, "foreign-origin")).await;
    }
    assert_eq!(
        menshen.wecom.calls(REDEEM),
        0,
        "no code was sent to the source"
    );
}

#[tokio::test]
async fn a_malformed_code_request_is_refused() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let config = get_login_config(&mut browser, &SAME_ORIGIN).await;
    let state = &config["state"];
    let is_member = json!({ "code": "c", "state": state }).to_string();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    for kind in [
        vec![],
        vec![form],
        vec![("Content-Type", "text/plain")],
        vec![JSON, JSON],
    ] {
        assert_refused(&mut browser, &kind, &is_member, (400, "bad-request")).await;
    }
    for body in [
        String::new(),
        is_member[..20].to_owned(),
        "[]".to_owned(),
        json!({ "state": state }).to_string(),
        json!({ "code": "c" }).to_string(),
        json!({ "code": ["c"], "state": state }).to_string(),
        json!({ "code": "c", "state": "short" }).to_string(),
        json!({ "code": "c", "state": state, "rd": "/x" }).to_string(),
        json!({ "code": "c", "state": state, "kind": "x" }).to_string(),
        json!({ "code": "c".repeat(20_000), "state": state }).to_string(),
        is_member.replace("\"code\"", "\"code\":\"d\",\"code\""),
    ] {
        assert_refused(&mut browser, &[JSON], &body, (400, "bad-request")).await;
    }
    for (method, status) in [("GET", 405), ("PUT", 405), ("HEAD", 405)] {
        let answer = browser
            .send(method, &format!("{OWN_PAGES}/login/corp"), &[JSON], b"")
            .await;
        assert_eq!(answer.status, status, "{method}");
    }
    assert_eq!(
        menshen.wecom.calls(REDEEM),
        0,
        "no code was sent to the source"
    );
}

#[tokio::test]
async fn a_code_without_a_login_begun_by_the_client_is_refused() {
    let more = format!("{SECOND_CONNECTOR}{NO_LOGIN_LIMITS}");
    let menshen = Setup::default().tables(&more).start().await;
    let mut browser = Browser::new(&menshen);
    let own_config = get_login_config(&mut browser, &SAME_ORIGIN).await;
    let other_config = get_login_config(&mut Browser::new(&menshen), &[]).await;
    let code = menshen.wecom.issue_code("lisi", "sso.test");
    let (own_state, other_state) = (&own_config["state"], &other_config["state"]);
    for (body, reason) in [
        (
            json!({ "code": code, "state": other_state }),
            "login-missing",
        ),
        (
            json!({ "code": code, "state": other_state, "flow": own_config["flow"] }),
            "login-forged",
        ),
        (
            json!({ "code": code, "state": own_state, "flow": other_config["flow"] }),
            "login-forged",
        ),
        (
            json!({ "code": code, "state": own_state, "flow": "" }),
            "login-forged",
        ),
    ] {
        assert_refused(&mut browser, &[JSON], &body.to_string(), (400, reason)).await;
    }
    let is_member = json!({ "code": code, "state": own_state });
    for connector in ["other", "nobody"] {
        let url = format!("{OWN_PAGES}/login/{connector}");
        let answer = browser
            .send("POST", &url, &[JSON], is_member.to_string().as_bytes())
            .await;
        assert_eq!(
            (answer.status, problem_type(&answer).as_str()),
            (400, "login-forged")
        );
    }
    assert_eq!(
        menshen.wecom.calls(REDEEM),
        0,
        "no code was sent to the source"
    );
    // A login that is too late has its own reason.
    menshen.advance(Duration::from_secs(601));
    assert_refused(
        &mut browser,
        &[JSON],
        &is_member.to_string(),
        (400, "login-late"),
    )
    .await;
}

#[tokio::test]
async fn errors_of_the_source_are_returned_as_json() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for (errcode, status, reason) in [
        (40029, 400, "stale-twice"),
        (60111, 403, "out-of-range"),
        (60020, 502, "source-misconfigured"),
        (-1, 503, "source-busy"),
    ] {
        let mut browser = Browser::new(&menshen);
        let config = get_login_config(&mut browser, &SAME_ORIGIN).await;
        menshen.wecom.fail(REDEEM, errcode, 1);
        let body = json!({ "code": "c", "state": config["state"] });
        let answer = post_code(&mut browser, &[JSON], &body).await;
        assert_eq!(
            (answer.status, problem_type(&answer).as_str()),
            (status, reason)
        );
        assert!(
            !answer.text().contains(&errcode.to_string()),
            "{}",
            answer.text()
        );
        assert!(browser.cookie("menshen").is_none());
    }
}

#[tokio::test]
async fn only_configured_origins_may_call_cross_origin() {
    let more = "[login]\norigins = ['https://portal.test']";
    let menshen = Setup::default().tables(more).start().await;
    for (origin, allowed) in [
        ("https://portal.test", true),
        ("http://portal.test", false),
        ("https://portal.test:8443", false),
        ("https://portal.test.evil.test", false),
        ("https://evil.test", false),
        ("null", false),
    ] {
        let mut browser = Browser::new(&menshen);
        let headers = [("Origin", origin), ("Sec-Fetch-Site", "cross-site"), JSON];
        for (method, page) in [
            ("OPTIONS", "login/corp"),
            ("OPTIONS", "login-config/corp"),
            ("GET", "login-config/corp"),
        ] {
            let answer = browser
                .send(method, &format!("{OWN_PAGES}/{page}"), &headers, b"")
                .await;
            let what = format!("{origin} {method} {page}");
            assert_eq!(answer.status < 300, allowed, "{what}");
            let granted = answer.header("access-control-allow-origin");
            assert_eq!(granted, allowed.then_some(origin), "{what}");
            let cookies = answer.header("access-control-allow-credentials");
            assert_eq!(cookies, allowed.then_some("true"), "{what}");
            if allowed {
                assert!(
                    answer
                        .header_values("vary")
                        .any(|vary| vary.contains("origin")),
                    "{what}"
                );
            }
        }
        // The origin can read the refusal, but nothing else.
        let answer = post_code(&mut browser, &headers, &json!({})).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            allowed.then_some(origin)
        );
        let info = browser
            .send("GET", &format!("{OWN_PAGES}/userinfo"), &headers, b"")
            .await;
        assert_eq!(info.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn userinfo_needs_a_session() {
    let menshen = Menshen::new().await;
    let url = format!("{OWN_PAGES}/userinfo");
    let mut browser = Browser::new(&menshen);
    for headers in [
        vec![],
        navigation_headers().to_vec(),
        vec![("Accept", "text/html")],
    ] {
        let answer = browser.send("GET", &url, &headers, b"").await;
        assert_eq!(
            (answer.status, problem_type(&answer).as_str()),
            (401, "login-needed")
        );
        assert!(answer.header("www-authenticate").is_some());
        assert_eq!(answer.header("location"), None);
        let login = answer.json()["login_url"].as_str().unwrap().to_owned();
        assert!(
            login.starts_with(&format!("{OWN_PAGES}/sign_in?rd=")),
            "{login}"
        );
    }
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    menshen.advance(Duration::from_secs(60));
    let answer = browser.visit(&url).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let info = answer.json();
    for (name, value) in [
        ("user", json!("lisi")),
        ("login", json!("lisi")),
        ("preferredUsername", json!("lisi")),
        ("name", json!("李四")),
        ("email", Value::Null),
        ("groups", json!([])),
        ("departments", json!(["财务部"])),
        ("connector", json!("corp")),
        ("expires_in", json!(43140)),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
    let head = browser.send("HEAD", &url, &navigation_headers(), b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        browser.send("POST", &url, &SAME_ORIGIN, b"").await.status,
        405
    );
}

#[tokio::test]
async fn a_front_end_login_works_only_on_the_login_host() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let config = get_login_config(&mut browser, &[]).await;
    let elsewhere = "http://oa.test/.menshen";
    let config_response = browser
        .send("GET", &format!("{elsewhere}/login-config/corp"), &[], b"")
        .await;
    assert_eq!(
        (config_response.status, problem_type(&config_response)),
        (400, "not-here".to_owned())
    );
    let code = menshen.wecom.issue_code("lisi", "sso.test");
    let body = json!({ "code": code, "state": config["state"], "flow": config["flow"] });
    let url = format!("{elsewhere}/login/corp");
    let body = body.to_string();
    let on_other_host = browser.send("POST", &url, &[JSON], body.as_bytes()).await;
    assert_eq!(
        (on_other_host.status, problem_type(&on_other_host)),
        (400, "not-here".to_owned())
    );
    assert!(on_other_host.header("set-cookie").is_none());
    let on_login_host = browser
        .send(
            "POST",
            &format!("{OWN_PAGES}/login/corp"),
            &[JSON],
            body.as_bytes(),
        )
        .await;
    assert_eq!(
        on_login_host.status,
        200,
        "the code was not redeemed before: {}",
        on_login_host.text()
    );
}
