//! Access tokens: a person makes one on a page, and a program that can neither sign in nor hold a cookie
//! sends it.

mod dodges;
mod ended;
mod faces;
mod guessing;
mod page;
mod secrecy;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::ext_authz::GRPC_ON_MAIN;
use crate::logging_in::OWN_PAGES;
use crate::mirror::{Mirror, received_headers, received_values};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{mirror}"]
[[route]]
name = "git"
host = "sso.test"
path = "/git"
upstream = ["{mirror}"]
access_tokens = true
assertion = true
[[route]]
name = "packages"
host = "sso.test"
path = "/packages"
upstream = ["{mirror}"]
access_tokens = true
[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{mirror}"]
access_tokens = true
allow = "'财务部' in user.departments"
[[route]]
name = "recent"
host = "sso.test"
path = "/recent"
upstream = ["{mirror}"]
access_tokens = true
max_age = "10m"
[[route]]
name = "strong"
host = "sso.test"
path = "/strong"
upstream = ["{mirror}"]
access_tokens = true
access = "rule"
acr_values = ["gold"]
allow = "true"
[[route]]
name = "others"
host = "sso.test"
path = "/others"
upstream = ["{mirror}"]
access_tokens = true
connectors = ["other"]
[[route]]
name = "public"
host = "sso.test"
path = "/public"
access = "public"
upstream = ["{mirror}"]
"#;

/// Menshen with [`ROUTES`], every check face, and two connectors.
async fn start() -> (Menshen, Mirror) {
    start_with(Setup::default()).await
}

async fn start_with(setup: Setup) -> (Menshen, Mirror) {
    let mirror = Mirror::start().await;
    let menshen = setup_with(setup, &mirror).start().await;
    (menshen, mirror)
}

fn setup_with(setup: Setup, mirror: &Mirror) -> Setup {
    setup
        .server(TRUST_LOOPBACK)
        .tables(&format!(
            "{SECOND_CONNECTOR}{NO_LOGIN_LIMITS}{GRPC_ON_MAIN}"
        ))
        .routes(&ROUTES.replace("{mirror}", &mirror.base_url()))
}

/// A browser in which a person is signed in.
async fn signed_in(menshen: &Menshen, userid: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    browser.sign_in(&format!("{SSO_URL}/app"), userid).await;
    browser
}

fn tokens_page() -> String {
    format!("{OWN_PAGES}/tokens")
}

/// The headers with which a browser sends a form of the page.
fn form_headers() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Accept", "text/html"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
    ]
}

/// Sends a form with these fields, and with the account that the page names.
async fn send_form(browser: &mut Browser, fields: &[(&str, &str)]) -> Answer {
    let page = browser.visit(&tokens_page()).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let html = page.text();
    let account = html.split("name=\"account\" value=\"").nth(1);
    let account = account.and_then(|rest| rest.split('"').next());
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.append_pair("account", account.unwrap_or_default());
    body.extend_pairs(fields);
    let body = body.finish();
    browser
        .send("POST", &tokens_page(), &form_headers(), body.as_bytes())
        .await
}

/// Makes a token for these routes, or for all, that lasts 30 days.
pub(crate) async fn make_token(browser: &mut Browser, name: &str, routes: &[&str]) -> String {
    let scope = if routes.is_empty() { "all" } else { "some" };
    let mut fields = vec![
        ("action", "make"),
        ("name", name),
        ("lasts", "2592000"),
        ("scope", scope),
    ];
    fields.extend(routes.iter().map(|route| ("route", *route)));
    let page = send_form(browser, &fields).await;
    token_in(&page).unwrap_or_else(|| panic!("{}", page.text()))
}

/// The token that a page shows.
fn token_in(page: &Answer) -> Option<String> {
    let html = page.text();
    let start = html.find("<code>mst_")? + "<code>".len();
    html[start..].split('<').next().map(str::to_owned)
}

pub(crate) fn basic(user_name: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user_name}:{password}"));
    format!("Basic {pair}")
}

/// A request as git or curl sends it.
fn program(path: &str, authorization: &str) -> TestRequest {
    TestRequest::get(path)
        .header("User-Agent", "git/2.47.0")
        .header("Accept", "*/*")
        .header("Authorization", authorization)
}

pub(crate) async fn send(menshen: &Menshen, path: &str, authorization: &str) -> Answer {
    program(path, authorization).send(menshen).await
}

#[tokio::test]
async fn a_program_with_a_token_is_its_person() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "笔记本", &[]).await;
    let by_cookie = browser.visit(&format!("{SSO_URL}/git/x")).await;
    let identity = |answer: &Answer| {
        let mut headers = received_headers(answer);
        headers.retain(|(name, _)| name.starts_with("x-forwarded-") || name == "x-remote-user");
        headers.sort();
        headers
    };
    for authorization in [
        basic("lisi", &token),
        basic("LiSi", &token),
        basic("__token__", &token),
        basic("", &token),
        format!("Bearer {token}"),
        format!("bearer {token}"),
    ] {
        let answer = send(&menshen, "/git/x", &authorization).await;
        assert_eq!(answer.status, 200, "{authorization}: {}", answer.text());
        assert_eq!(identity(&answer), identity(&by_cookie));
        assert!(received_values(&answer, "authorization").is_empty());
        assert_eq!(received_values(&answer, "x-menshen-assertion").len(), 1);
        assert!(answer.header("set-cookie").is_none());
    }
    // Its rules and its departments are those of the person.
    assert_eq!(
        send(&menshen, "/finance/x", &basic("", &token))
            .await
            .status,
        200
    );
    let mut other = signed_in(&menshen, "zhangsan").await;
    let other_token = make_token(&mut other, "ci", &[]).await;
    let refused = send(&menshen, "/finance/x", &basic("", &other_token)).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn whatever_is_not_a_valid_token_of_the_person_gets_401_and_a_challenge() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let unknown = format!("mst_{}", "A".repeat(43));
    for authorization in [
        basic("zhangsan", &token),
        basic("lisi2", &token),
        basic("lisi", &unknown),
        format!("Bearer {unknown}"),
        format!("Bearer {token}x"),
        basic("lisi", &format!("{token}\n")),
        basic(&token, ""),
        basic(&token, "x-oauth-basic"),
        format!("Token {token}"),
        token.clone(),
    ] {
        let answer = send(&menshen, "/git/x", &authorization).await;
        assert_eq!(answer.status, 401, "{authorization}: {}", answer.text());
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Basic realm=\"sso.test\", charset=\"UTF-8\"")
        );
        assert!(!answer.text().contains("mst_"));
    }
    let twice = program("/git/x", &basic("lisi", &token)).header("Authorization", "Bearer x");
    assert_eq!(twice.send(&menshen).await.status, 401);
}

#[tokio::test]
async fn a_program_is_asked_for_a_token_and_a_browser_is_led_to_the_login() {
    let (menshen, _mirror) = start().await;
    let basic_challenge = |answer: &Answer| {
        let challenges: Vec<_> = answer.header_values("www-authenticate").collect();
        challenges
            .iter()
            .any(|challenge| challenge.starts_with("Basic"))
    };
    let firefox = (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
    );
    let git = ("User-Agent", "git/2.47.0");
    for (path, method, headers, is_asked) in [
        ("/git/x", "GET", vec![git, ("Accept", "*/*")], true),
        ("/git/x", "GET", vec![], true),
        ("/git/x", "POST", vec![("User-Agent", "npm/10")], true),
        (
            "/git/x",
            "PROPFIND",
            vec![("User-Agent", "Mozilla/5.0 Thunderbird/140.0")],
            true,
        ),
        // A route without access tokens asks for none.
        ("/app", "GET", vec![git, ("Accept", "*/*")], false),
        // Scripts of a page: a browser would show a password dialog.
        ("/git/x", "GET", vec![firefox, ("Accept", "*/*")], false),
        (
            "/git/x",
            "GET",
            vec![("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
            false,
        ),
        (
            "/git/x",
            "GET",
            vec![("X-Requested-With", "XMLHttpRequest")],
            false,
        ),
    ] {
        let request = TestRequest::get(path).method(method).headers(&headers);
        let answer = request.send(&menshen).await;
        assert_eq!(answer.status, 401, "{path} {headers:?}");
        assert_eq!(
            basic_challenge(&answer),
            is_asked,
            "{method} {path} {headers:?}"
        );
    }
    let page_load = TestRequest::get("/git/x").navigating().send(&menshen).await;
    assert!(
        [302, 303].contains(&page_load.status),
        "{}",
        page_load.status
    );
    assert!(!basic_challenge(&page_load));
    let old_browser = TestRequest::get("/git/x").headers(&[firefox, ("Accept", "text/html")]);
    assert_ne!(old_browser.send(&menshen).await.status, 401);
}

#[tokio::test]
async fn a_token_opens_its_routes_and_no_route_without_access_tokens() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let all = make_token(&mut browser, "all", &[]).await;
    let git = make_token(&mut browser, "git only", &["git"]).await;
    for (token, path, status) in [
        (&all, "/git/x", 200),
        (&all, "/packages/x", 200),
        (&all, "/finance/x", 200),
        (&git, "/git/x", 200),
        (&git, "/packages/x", 403),
        (&git, "/finance/x", 403),
        // The route does not accept tokens: the request is anonymous.
        (&all, "/app", 401),
        // The route accepts another connector only.
        (&all, "/others/x", 403),
        // The route demands a login that a token does not prove, not even a new one.
        (&all, "/recent/x", 403),
        (&all, "/strong/x", 403),
    ] {
        for authorization in [basic("lisi", token), format!("Bearer {token}")] {
            let answer = send(&menshen, path, &authorization).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            let is_asked_again = answer.header("www-authenticate").is_some();
            assert_eq!(is_asked_again, status == 401, "{path}");
        }
    }
}

#[tokio::test]
async fn no_application_receives_a_token_and_each_keeps_its_own_credentials() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let cookie = session_cookie_of_page(&browser);
    // On routes that accept no token, the person has a cookie, or needs none.
    for path in ["/app", "/public/x", "/git/x", "/strong/x"] {
        for authorization in [
            basic("lisi", &token),
            format!("Bearer {token}"),
            basic(&token, ""),
            format!("Token {token}"),
            format!("Bearer {token}x"),
            basic("lisi", &format!("{token}\n")),
        ] {
            let request = program(path, &authorization).session(&cookie);
            let answer = request.send(&menshen).await;
            assert!(!answer.text().contains(&token), "{path} {authorization}");
            if answer.status == 200 {
                let received = received_values(&answer, "authorization");
                assert!(received.is_empty(), "{path} {authorization}");
            }
        }
    }
    for path in ["/app", "/public/x", "/git/x"] {
        for authorization in [
            basic("lisi", "secret of the application"),
            basic("lisi", "mst_short"),
            "Bearer other".to_owned(),
            "Digest x".to_owned(),
        ] {
            let request = program(path, &authorization).session(&cookie);
            let answer = request.send(&menshen).await;
            assert_eq!(answer.status, 200, "{path} {authorization}");
            assert_eq!(received_values(&answer, "authorization"), [authorization]);
        }
    }
}

fn session_cookie_of_page(browser: &Browser) -> String {
    browser.cookie("menshen").unwrap().value.clone()
}

#[tokio::test]
async fn a_token_and_a_session_of_two_people_are_refused() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let own = session_cookie_of_page(&browser);
    let other = session_cookie_of(&menshen, "zhangsan").await;
    let with = async |cookie: &str| {
        let request = program("/git/x", &basic("", &token)).session(cookie);
        request.send(&menshen).await
    };
    assert_eq!(with(&own).await.status, 200);
    assert_eq!(with(&other).await.status, 400);
    assert_eq!(with("forged").await.status, 200);
    // An invalid token is refused beside a valid session, too.
    let unknown = format!("mst_{}", "A".repeat(43));
    let request = program("/git/x", &basic("", &unknown)).session(&own);
    assert_eq!(request.send(&menshen).await.status, 401);
}

#[tokio::test]
async fn the_logs_say_which_token_was_used() {
    let (menshen, _mirror) = start_with(Setup::default().access_log()).await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "build \"7\"", &[]).await;
    assert_eq!(
        send(&menshen, "/git/x", &basic("", &token)).await.status,
        200
    );
    let made = menshen.audit();
    let made = made.iter().find(|it| it["event"] == "token-made").unwrap();
    assert_eq!(made["login"], "lisi");
    assert_eq!(made["access_token_name"], "build \"7\"");
    let text = menshen.records.text();
    let used = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line["target"] == "menshen::access" && line["path"] == "/git/x")
        .unwrap();
    assert_eq!(used["access_token"], made["access_token"]);
    assert_eq!(used["access_token_name"], "build \"7\"");
    assert_eq!(used["login"], "lisi");
    assert_eq!(used.get("session"), None);
    assert_ne!(used["access_token"], json!(null));
    let _refused = send(&menshen, "/git/x", &basic("zhangsan", &token)).await;
    let refused = menshen.audit();
    let refused = refused.iter().find(|it| it["event"] == "refused").unwrap();
    assert!(
        refused["reason"]
            .as_str()
            .unwrap()
            .contains("another person")
    );
}
