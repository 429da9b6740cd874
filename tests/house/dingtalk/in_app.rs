//! The page inside the DingTalk client: it runs one library of DingTalk, and brings the code of the client.

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::{DINGTALK_PHONE, ID, IN_APP, setup, sign_in, start, start_url};
use crate::browser::{Browser, href};
use crate::dingtalk_source::{APP_KEY, CORP_ID, CodeKind, DingTalk, EXTERNAL, STRANGER};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL};
use crate::upstream::TempFolder;
use crate::wire::Answer;

/// The headers of the page's script.
const SCRIPT_HEADERS: [(&str, &str); 5] = [
    ("Accept", "application/json"),
    ("Content-Type", "application/json"),
    ("Origin", SSO_URL),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
];

/// An attribute of a page.
fn attribute(html: &str, name: &str) -> String {
    let rest = html.split_once(&format!("{name}=\""));
    let rest = rest.unwrap_or_else(|| panic!("no {name}: {html}")).1;
    let value = rest.split('"').next().unwrap();
    value.replace("&#38;", "&").replace("&amp;", "&")
}

fn phone(menshen: &Menshen) -> Browser {
    Browser::new(menshen).with_user_agent(DINGTALK_PHONE)
}

/// Opens the page in the client.
async fn open_page(browser: &mut Browser, url: &str) -> String {
    let page = browser.follow(url).await;
    let html = page.answer.text();
    assert_eq!(page.answer.status, 200, "{html}");
    assert!(html.contains("id=\"app-login\""), "{html}");
    html
}

/// Brings a code as the script of the page does.
async fn bring(browser: &mut Browser, html: &str, code: &str) -> Answer {
    let state = attribute(html, "data-state");
    let body = json!({ "code": code, "state": state, "kind": "in-app" });
    let url = format!("{SSO_URL}{}", attribute(html, "data-login"));
    let body = body.to_string();
    browser
        .send("POST", &url, &SCRIPT_HEADERS, body.as_bytes())
        .await
}

fn problem(answer: &Answer) -> String {
    let kind = answer.json()["type"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    kind.rsplit([':', '/', '#']).next().unwrap().to_owned()
}

#[tokio::test]
async fn the_client_signs_a_person_in_without_a_click() {
    let (menshen, dingtalk) = start("").await;
    let mut browser = phone(&menshen);
    // Inside the client the login begins by itself.
    let html = open_page(&mut browser, &format!("{SSO_URL}/echo?a=b#c")).await;
    assert_eq!(attribute(&html, "data-corp-id"), CORP_ID);
    assert_eq!(attribute(&html, "data-client-id"), APP_KEY);
    let code = dingtalk.issue_code(CodeKind::InApp, "zhangsan");
    let answer = bring(&mut browser, &html, &code).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["return_to"], "/echo?a=b");
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-user"), ["zhangsan"]);
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["subject"], format!("{CORP_ID}:zhangsan"));
    // The account is that of the login with a browser.
    let id = |info: Value| info["id"].clone();
    let in_app = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    let (mut other, _) = sign_in(&menshen, "zhangsan").await;
    let web = other.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(id(in_app), id(web));
}

#[tokio::test]
async fn the_page_runs_exactly_one_foreign_script_and_sends_requests_only_here() {
    let (menshen, dingtalk) = start("").await;
    for language in ["zh-CN", "en"] {
        let mut browser = phone(&menshen);
        let language = ("Accept-Language".to_owned(), language.to_owned());
        browser.extra_headers.push(language);
        let page = browser.follow(&start_url()).await;
        let policy = page.answer.header("content-security-policy").unwrap();
        let style = policy.split('\'').find(|part| part.starts_with("sha256-"));
        let expected = format!(
            "default-src 'none'; style-src '{}'; script-src 'self' {}; connect-src 'self'; \
             img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            style.unwrap(),
            dingtalk.jsapi_url()
        );
        assert_eq!(policy, expected);
        assert_eq!(page.answer.header("cache-control"), Some("no-store"));
        assert_eq!(page.answer.header("x-frame-options"), Some("DENY"));
        let html = page.answer.text();
        let scripts: Vec<_> = html.split("<script").skip(1).collect();
        assert_eq!(scripts.len(), 2, "{html}");
        assert!(scripts[0].starts_with(&format!(" src=\"{}\"></script>", dingtalk.jsapi_url())));
        assert!(scripts[1].starts_with(" src=\"/.menshen/app_script/ding\"></script>"));
        // Without scripts a button leads to the login page for browsers.
        let link = href(&html, "/oauth2/auth?").unwrap();
        let state = attribute(&html, "data-state");
        assert!(link.contains(&format!("state={state}")), "{link}");
    }
}

#[tokio::test]
async fn the_button_signs_a_person_in_who_has_no_scripts() {
    let (menshen, _dingtalk) = start("mode = \"in-app\"").await;
    let mut browser = Browser::new(&menshen);
    let html = open_page(&mut browser, &start_url()).await;
    let link = href(&html, "/oauth2/auth?").unwrap();
    let back = super::redirected_from(&mut browser, &DingTalk::choose(&link, "lisi")).await;
    let page = browser.follow(&back).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}

#[tokio::test]
async fn the_mode_decides_over_the_client() {
    let (menshen, _dingtalk) = start("mode = \"web\"").await;
    let mut browser = phone(&menshen);
    let is_login_page = |next: &str| next.contains("/oauth2/auth");
    let page = browser.follow_until(&start_url(), is_login_page).await;
    assert!(is_login_page(&page.url), "{}", page.answer.text());
    let (menshen, _dingtalk) = start("").await;
    for user_agent in [
        "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 dingtalk-win/1.0.0 nw(0.14.7)",
        "Mozilla/5.0 (Linux; Android 15) Mobile Safari/537.36 AliApp(DingTalk/7.0.0.11) \
         com.alibaba.android.rimet/27811579",
    ] {
        let mut browser = Browser::new(&menshen).with_user_agent(user_agent);
        open_page(&mut browser, &format!("{SSO_URL}/echo")).await;
    }
}

#[tokio::test]
async fn menshen_serves_its_script_and_a_copy_of_the_library() {
    let folder = TempFolder::new();
    let path = folder.write("dingtalk.open.js", "window.dd = 'a copy';\n");
    let dingtalk = DingTalk::start().await.unwrap();
    let jsapi = format!("jsapi_url = \"{}\"\n", dingtalk.jsapi_url());
    let file = format!("jsapi_url = {{ file = \"{}\" }}\n", path.display());
    let whole = setup(&dingtalk, "");
    let text = format!(
        "[connector.{ID}.dingtalk]\n{}",
        dingtalk.settings().replace(&jsapi, &file)
    );
    let menshen = whole.tables(&text).start().await;
    let mut browser = phone(&menshen);
    let page = browser.follow(&start_url()).await;
    let policy = page.answer.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self'; connect-src"),
        "{policy}"
    );
    let html = page.answer.text();
    assert!(
        html.contains("<script src=\"/.menshen/app_library/ding\">"),
        "{html}"
    );
    for (name, words) in [("app_library", "a copy"), ("app_script", "requestAuthCode")] {
        let answer = browser.visit(&format!("{OWN_PAGES}/{name}/{ID}")).await;
        assert_eq!(answer.status, 200);
        let content_type = answer.header("content-type").unwrap();
        assert_eq!(content_type, "text/javascript; charset=utf-8");
        assert!(answer.text().contains(words), "{}", answer.text());
        let other = browser.visit(&format!("{OWN_PAGES}/{name}/corp")).await;
        assert_eq!(other.status, 404, "{name}");
    }
    let (menshen, _dingtalk) = start("").await;
    let library = format!("{OWN_PAGES}/app_library/{ID}");
    assert_eq!(phone(&menshen).visit(&library).await.status, 404);
}

#[tokio::test]
async fn a_code_counts_once_for_this_browser_and_this_login() {
    let (menshen, dingtalk) = start("").await;
    let mut browser = phone(&menshen);
    let html = open_page(&mut browser, &start_url()).await;
    let issue = || dingtalk.issue_code(CodeKind::InApp, "lisi");
    // Another browser has no cookie of this login.
    let answer = bring(&mut phone(&menshen), &html, &issue()).await;
    assert_eq!(problem(&answer), Cause::FlowCookieMissing.slug());
    // Another login's state.
    let state = attribute(&html, "data-state");
    let forged = html.replace(&state, &"a".repeat(state.len()));
    let answer = bring(&mut browser, &forged, &issue()).await;
    assert_eq!(problem(&answer), Cause::FlowCookieMissing.slug());
    assert_eq!(dingtalk.calls(IN_APP), 0);
    let code = issue();
    assert_eq!(bring(&mut browser, &html, &code).await.status, 200);
    let mut again = phone(&menshen);
    let html = open_page(&mut again, &start_url()).await;
    let answer = bring(&mut again, &html, &code).await;
    assert_eq!(problem(&answer), Cause::CodeRejectedTwice.slug());
    assert!(again.cookie("menshen").is_none());
    // A code of the login page for browsers is none of the client.
    let code = dingtalk.issue_code(CodeKind::Web(None), "lisi");
    let answer = bring(&mut again, &html, &code).await;
    assert_eq!(problem(&answer), Cause::CodeRejectedTwice.slug());
}

#[tokio::test]
async fn people_who_may_not_sign_in_are_told_so_in_the_page() {
    let (menshen, dingtalk) = start("").await;
    for (userid, cause) in [
        (STRANGER, Cause::NotMember),
        (EXTERNAL, Cause::NotMember),
        ("zhaomin", Cause::InactiveMember),
        ("chengong", Cause::NotVisibleToApp),
    ] {
        let mut browser = phone(&menshen);
        let html = open_page(&mut browser, &start_url()).await;
        let code = dingtalk.issue_code(CodeKind::InApp, userid);
        let answer = bring(&mut browser, &html, &code).await;
        assert_eq!(problem(&answer), cause.slug(), "{userid}");
        assert!(!answer.json()["detail"].as_str().unwrap().is_empty());
        assert!(browser.cookie("menshen").is_none(), "{userid}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_cannot_bring_a_code() {
    let (menshen, dingtalk) = start("").await;
    let mut browser = phone(&menshen);
    let html = open_page(&mut browser, &start_url()).await;
    let body = json!({
        "code": dingtalk.issue_code(CodeKind::InApp, "lisi"),
        "state": attribute(&html, "data-state"),
        "kind": "in-app",
    });
    let body = body.to_string();
    let url = format!("{OWN_PAGES}/login/{ID}");
    for headers in [
        [
            ("Origin", "https://evil.test"),
            ("Sec-Fetch-Site", "cross-site"),
            ("Content-Type", "application/json"),
        ],
        [
            ("Origin", SSO_URL),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "text/plain"),
        ],
    ] {
        let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
        assert!((400..404).contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(dingtalk.calls(IN_APP), 0);
}

#[tokio::test]
async fn the_session_reaches_the_host_where_the_person_began() {
    let (menshen, dingtalk) = start("").await;
    let mut browser = phone(&menshen);
    let html = open_page(&mut browser, "http://oa.test/echo?x=1").await;
    let code = dingtalk.issue_code(CodeKind::InApp, "lisi");
    let answer = bring(&mut browser, &html, &code).await.json();
    let to = answer["return_to"].as_str().unwrap();
    assert!(to.starts_with("http://oa.test/.menshen/ticket?t="), "{to}");
    let page = browser.follow(to).await;
    assert_eq!(page.url, "http://oa.test/echo?x=1");
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}

#[tokio::test]
async fn an_identity_is_added_with_the_login_page_for_browsers() {
    let dingtalk = DingTalk::start().await.unwrap();
    let whole = setup(&dingtalk, "");
    let text = format!(
        "[connector.{ID}]\nlink_on_request = true\n[connector.{ID}.dingtalk]\n{}",
        dingtalk.settings()
    );
    let menshen = whole.tables(&text).start().await;
    let mut browser = phone(&menshen);
    let html = open_page(&mut browser, &start_url()).await;
    let code = dingtalk.issue_code(CodeKind::InApp, "lisi");
    assert_eq!(bring(&mut browser, &html, &code).await.status, 200);
    let link = format!("{OWN_PAGES}/start?connector={ID}&link=1");
    let is_login_page = |next: &str| next.contains("/oauth2/auth");
    let page = browser.follow_until(&link, is_login_page).await;
    assert!(is_login_page(&page.url), "{}", page.answer.text());
}
