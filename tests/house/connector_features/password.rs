//! Logins with user name and password: the form, who may submit it, and its messages.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::json;

use super::test_source::{PASSWORD, TestSource};
use super::{ID, flow_id_in, has_pending_login};
use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::wire::Answer;

const FORM_TYPE: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The headers of a form post from menshen's own page.
pub(super) const OWN_PAGE: [(&str, &str); 5] = [
    ("Accept", "text/html"),
    ("Origin", SSO_URL),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
];

async fn start_menshen(lines: &str) -> (Menshen, TestSource) {
    let source = TestSource::with_passwords();
    let setup = Setup::default().tables(NO_LOGIN_LIMITS);
    let setup = setup.connector_of_kind(ID, lines, source.kind());
    (setup.start().await, source)
}

/// Opens the form with the return address `/echo`.
pub(super) async fn open_form(browser: &mut Browser) -> Page {
    let start = format!("{OWN_PAGES}/start?connector={ID}&rd=%2Fecho");
    let page = browser.follow(&start).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    page
}

/// Encodes the fields of a form.
fn form(fields: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

pub(super) fn filled_form(flow: &str, login: &str, password: &str) -> String {
    form(&[
        ("flow", flow),
        ("rd", "/echo"),
        ("login", login),
        ("password", password),
    ])
}

pub(super) async fn submit(browser: &mut Browser, headers: &[(&str, &str)], form: &str) -> Answer {
    let url = format!("{OWN_PAGES}/password/{ID}");
    let headers: Vec<_> = headers.iter().copied().chain([FORM_TYPE]).collect();
    browser.send("POST", &url, &headers, form.as_bytes()).await
}

pub(super) fn is_signed_in(browser: &Browser) -> bool {
    browser.cookie("menshen").is_some()
}

#[tokio::test]
async fn the_form_needs_neither_scripts_nor_files_of_other_sites() {
    let (menshen, _) = start_menshen("display_name = \"账号 <b>\"").await;
    for (language, word) in [("zh-CN", "用户名"), ("en", "User name")] {
        let mut browser = Browser::new(&menshen);
        let language = ("Accept-Language".to_owned(), language.to_owned());
        browser.extra_headers.push(language);
        let page = open_form(&mut browser).await;
        assert_eq!(
            page.url,
            format!("{OWN_PAGES}/sign_in?connector={ID}&rd=/echo")
        );
        let html = page.answer.text();
        for part in [
            word,
            "autocomplete=\"username\"",
            "autocomplete=\"current-password\"",
            "type=\"password\"",
            "name=\"viewport\"",
            "method=\"post\" action=\"/.menshen/password/idp\"",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        let header = |name| page.answer.header(name).unwrap_or_default().to_owned();
        let policy = header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(
            !policy.contains("script-src") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "same-origin");
    }
    let mut browser = Browser::new(&menshen);
    let start = format!("{OWN_PAGES}/start?connector={ID}&rd=%2Fecho");
    assert_eq!(browser.visit(&start).await.status, 303);
    assert!(browser.cookies().is_empty(), "no login is pending");
}

#[tokio::test]
async fn a_right_password_signs_in_and_a_wrong_one_is_reported() {
    let (menshen, source) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let page = open_form(&mut browser).await;
    let flow = flow_id_in(&page.answer.text());
    for wrong in [
        "x",
        "right 密码 <horse",
        &PASSWORD.to_uppercase(),
        "hunter2 ",
    ] {
        let answer = submit(
            &mut browser,
            &OWN_PAGE,
            &filled_form(&flow, "li\"si", wrong),
        )
        .await;
        let html = answer.text();
        assert_eq!(answer.status, 401, "{wrong}: {html}");
        assert!(
            html.contains("li&#34;si") || html.contains("li&quot;si"),
            "{html}"
        );
        assert!(!html.contains(wrong) || wrong == "x", "{wrong}: {html}");
        assert!(!is_signed_in(&browser), "{wrong}");
        assert_eq!(flow_id_in(&html), flow, "the login continues");
    }
    // The right password is accepted in the same login.
    let answer = submit(
        &mut browser,
        &OWN_PAGE,
        &filled_form(&flow, "lisi", PASSWORD),
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    assert!(is_signed_in(&browser));
    assert!(!has_pending_login(&browser), "{:?}", browser.cookies());
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-user"), ["lisi"]);
    // A second submission by the same browser does no harm.
    let again = submit(
        &mut browser,
        &OWN_PAGE,
        &filled_form(&flow, "lisi", PASSWORD),
    )
    .await;
    assert_eq!(
        (again.status, again.header("location")),
        (303, Some("/echo"))
    );
    assert_eq!(source.received().len(), 5);
    // The flow works in no other browser.
    let mut other = Browser::new(&menshen);
    let answer = submit(&mut other, &OWN_PAGE, &filled_form(&flow, "lisi", PASSWORD)).await;
    assert_eq!(answer.status, 400);
    assert!(!is_signed_in(&other));
}

#[tokio::test]
async fn a_password_from_a_form_of_another_site_is_never_sent_to_the_source() {
    let (menshen, source) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
    let good = filled_form(&flow, "lisi", PASSWORD);
    let navigates = [
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    for from in [
        vec![
            ("Origin", "http://evil.test"),
            ("Sec-Fetch-Site", "cross-site"),
        ],
        vec![
            ("Origin", "http://evil.test"),
            ("Sec-Fetch-Site", "same-origin"),
        ],
        vec![("Origin", "http://sso.test.evil.test")],
        vec![("Origin", "https://sso.test")],
        vec![("Origin", "null")],
        vec![("Sec-Fetch-Site", "cross-site")],
        vec![("Sec-Fetch-Site", "same-site")],
        vec![("Referer", "http://evil.test/")],
        vec![],
    ] {
        let headers: Vec<_> = navigates.iter().copied().chain(from.clone()).collect();
        let answer = submit(&mut browser.clone(), &headers, &good).await;
        assert_eq!(answer.status, 403, "{from:?}: {}", answer.text());
        assert!(answer.header("set-cookie").is_none(), "{from:?}");
    }
    let by_script = [
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let answer = submit(&mut browser.clone(), &by_script, &good).await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (403, &json!(403))
    );
    assert_eq!(answer.json()["type"], "urn:menshen:problem:foreign-origin");
    let page = [("Accept", "text/html"), ("Origin", "http://evil.test")];
    let answer = submit(&mut browser.clone(), &page, &good).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (403, Some(Cause::FlowCookieForged))
    );
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(source.received(), [""; 0]);
    // The same form from menshen's own page is accepted.
    let answer = submit(&mut browser, &OWN_PAGE, &good).await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn a_form_is_accepted_only_complete_and_in_the_browser_that_got_it() {
    let (menshen, source) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
    let mut other = Browser::new(&menshen);
    let flow_of_other = flow_id_in(&open_form(&mut other).await.answer.text());
    let good = filled_form(&flow, "lisi", PASSWORD);
    let twice = ["flow=x", "login=lisi", "password=x", "rd=/"];
    let mut bad: Vec<String> = twice.iter().map(|more| format!("{good}&{more}")).collect();
    bad.extend([
        String::new(),
        filled_form(&flow_of_other, "lisi", PASSWORD),
        filled_form("", "lisi", PASSWORD),
        filled_form(&"a".repeat(32), "lisi", PASSWORD),
        form(&[("rd", "/echo"), ("login", "lisi"), ("password", PASSWORD)]),
        form(&[("flow", &flow), ("rd", "/echo"), ("password", PASSWORD)]),
        form(&[("flow", &flow), ("rd", "/echo"), ("login", "lisi")]),
        format!("{good}&more={}", "x".repeat(16 * 1024)),
        format!("{good}{}", "&a=1".repeat(64)),
    ]);
    for body in bad {
        let mut tab = browser.clone();
        let answer = submit(&mut tab, &OWN_PAGE, &body).await;
        let start: String = body.chars().take(60).collect();
        assert_eq!(answer.status, 400, "{start}: {}", answer.text());
        assert!(!is_signed_in(&tab), "{start}");
        // The page has a form with a new flow and its cookie.
        let new_flow = flow_id_in(&answer.text());
        assert_ne!(new_flow, flow, "{start}");
        assert!(
            tab.cookie(&format!("menshen-flow-{new_flow}")).is_some(),
            "{start}"
        );
    }
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
    ] {
        let url = format!("{OWN_PAGES}/password/{ID}");
        let headers: Vec<_> = OWN_PAGE
            .into_iter()
            .chain([("Content-Type", kind)])
            .collect();
        let mut tab = browser.clone();
        let answer = tab.send("POST", &url, &headers, good.as_bytes()).await;
        assert_eq!(answer.status, 400, "{kind}");
    }
    assert_eq!(source.received(), [""; 0]);
    assert_eq!(submit(&mut browser, &OWN_PAGE, &good).await.status, 303);
}

#[tokio::test]
async fn an_expired_form_is_shown_again_and_keeps_its_return_address() {
    let (menshen, source) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
    menshen.advance(Duration::from_secs(601));
    let answer = submit(
        &mut browser,
        &OWN_PAGE,
        &filled_form(&flow, "lisi", PASSWORD),
    )
    .await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("value=\"lisi\"") && !answer.text().contains("horse"));
    assert_eq!(source.received(), [""; 0]);
    let new_flow = flow_id_in(&answer.text());
    let answer = submit(
        &mut browser,
        &OWN_PAGE,
        &filled_form(&new_flow, "lisi", PASSWORD),
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    // A return address on another site is ignored.
    let mut browser = Browser::new(&menshen);
    let with_foreign_return_address = form(&[
        ("flow", "x"),
        ("rd", "http://evil.test/"),
        ("login", "lisi"),
        ("password", PASSWORD),
    ]);
    let answer = submit(&mut browser, &OWN_PAGE, &with_foreign_return_address).await;
    let new_flow = flow_id_in(&answer.text());
    let answer = submit(
        &mut browser,
        &OWN_PAGE,
        &filled_form(&new_flow, "lisi", PASSWORD),
    )
    .await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
}

#[tokio::test]
async fn empty_or_oversized_credentials_are_refused_without_a_call_to_the_source() {
    let (menshen, source) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
    for (login, password) in [
        ("", PASSWORD),
        ("  ", PASSWORD),
        ("lisi", ""),
        ("li\0si", PASSWORD),
        ("lisi", "x\0"),
        (&*"l".repeat(257), PASSWORD),
        ("lisi", &*"p".repeat(1025)),
    ] {
        let answer = submit(
            &mut browser,
            &OWN_PAGE,
            &filled_form(&flow, login, password),
        )
        .await;
        assert_eq!(answer.status, 401, "{login} {password}");
        assert!(!is_signed_in(&browser), "{login} {password}");
    }
    assert_eq!(source.received(), [""; 0]);
}

#[tokio::test]
async fn an_unavailable_source_is_not_reported_as_a_wrong_password_and_no_password_is_logged() {
    let (menshen, _) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
    let answer = submit(
        &mut browser,
        &OWN_PAGE,
        &filled_form(&flow, "away", "hunter2"),
    )
    .await;
    assert_eq!(
        (answer.status, answer.cause()),
        (503, Some(Cause::ProviderBusy))
    );
    assert!(answer.header("retry-after").is_some());
    let wrong = submit(
        &mut browser,
        &OWN_PAGE,
        &filled_form(&flow, "lisi", "hunter2"),
    )
    .await;
    assert_eq!(wrong.status, 401);
    let audit = menshen.audit();
    let refused = audit
        .iter()
        .filter(|line| line["event"] == "refused")
        .count();
    assert_eq!(refused, 2, "{audit:?}");
    assert!(!menshen.records.text().contains("hunter2"));
}

#[tokio::test]
async fn the_password_path_exists_only_for_connectors_with_a_form() {
    let (menshen, source) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
    for (method, path, status) in [
        ("GET", format!("/password/{ID}"), 405),
        ("HEAD", format!("/password/{ID}"), 405),
        ("POST", "/password/corp".to_owned(), 404),
        ("POST", "/password/nobody".to_owned(), 404),
        ("POST", "/password".to_owned(), 404),
        (
            "GET",
            format!("/callback/{ID}?state={flow}&login=lisi&password=x"),
            404,
        ),
        ("POST", format!("/callback/{ID}?state={flow}"), 404),
    ] {
        let url = format!("{OWN_PAGES}{path}");
        let headers: Vec<_> = OWN_PAGE.into_iter().chain([FORM_TYPE]).collect();
        let answer = browser.send(method, &url, &headers, b"").await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    // Only a navigation begins a login.
    for headers in [
        vec![("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
        vec![("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
        vec![("Accept", "*/*")],
    ] {
        let url = format!("{OWN_PAGES}/sign_in?connector={ID}&rd=/echo");
        let mut program = Browser::new(&menshen);
        let answer = program.send("GET", &url, &headers, b"").await;
        assert!(answer.header("set-cookie").is_none(), "{headers:?}");
    }
    assert_eq!(source.received(), [""; 0]);
}

#[tokio::test]
async fn an_unauthenticated_navigation_is_redirected_to_the_form_where_configured() {
    let (menshen, _) = start_menshen("auto_login = \"always\"").await;
    let mut browser = Browser::new(&menshen);
    let page = browser.follow(&format!("{SSO_URL}/echo")).await;
    assert!(page.url.contains("/sign_in?connector=idp"), "{}", page.url);
    let flow = flow_id_in(&page.answer.text());
    let answer = submit(
        &mut browser,
        &OWN_PAGE,
        &filled_form(&flow, "lisi", PASSWORD),
    )
    .await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
}

#[tokio::test]
async fn a_front_end_posts_a_password_as_json() {
    let (menshen, source) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let from = [("Origin", SSO_URL), ("Sec-Fetch-Site", "same-origin")];
    let url = format!("{OWN_PAGES}/login-config/{ID}?rd=/echo");
    let config = browser.send("GET", &url, &from, b"").await.json();
    assert_eq!(config["kind"], json!("test"), "{config}");
    let (state, url) = (&config["state"], format!("{OWN_PAGES}/login/{ID}"));
    let headers = [from[0], from[1], ("Content-Type", "application/json")];
    for (body, status) in [
        (json!({ "code": PASSWORD, "state": state }), 400),
        (json!({ "login": "lisi", "state": state }), 400),
        (
            json!({ "login": "lisi", "password": "x", "code": "y", "state": state }),
            400,
        ),
        (
            json!({ "login": "lisi", "password": "x", "state": state, "kind": "code" }),
            400,
        ),
        (
            json!({ "login": "lisi", "password": "x", "state": state }),
            401,
        ),
        (
            json!({ "login": "lisi", "password": PASSWORD, "state": state }),
            200,
        ),
    ] {
        let answer = browser
            .send("POST", &url, &headers, body.to_string().as_bytes())
            .await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    assert_eq!(source.received(), ["lisi", "lisi"]);
    // A connector that redeems codes accepts no password.
    let url = format!("{OWN_PAGES}/login/corp");
    let body = json!({ "login": "lisi", "password": "x", "state": state }).to_string();
    let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_password_that_becomes_right_at_the_source_is_accepted_in_the_same_form() {
    let (menshen, source) = start_menshen("").await;
    let mut browser = Browser::new(&menshen);
    let flow = flow_id_in(&open_form(&mut browser).await.answer.text());
    let form = filled_form(&flow, "lisi", "corrected");
    for _ in 0..2 {
        let answer = submit(&mut browser, &OWN_PAGE, &form).await;
        assert_eq!(answer.status, 401);
        assert!(!is_signed_in(&browser));
    }
    assert_eq!(source.received(), ["lisi", "lisi"]);
    source.change_password("corrected");
    let answer = submit(&mut browser, &OWN_PAGE, &form).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
    assert!(is_signed_in(&browser));
}
