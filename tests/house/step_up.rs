//! Routes that demand a stronger or fresher proof: a person with a weaker one is redirected to the
//! provider, comes back to the route, and never loops.

mod provider;

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::{Browser, href};
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};

/// A route without demands, one that demands a recent login, one that demands an `acr` value which
/// WeCom never sends, and one of that kind on another host.
const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]

[[route]]
name = "fresh"
host = "sso.test"
path = "/fresh"
strip_path = true
upstream = ["{app}"]
max_age = "10m"

[[route]]
name = "strong"
host = "sso.test"
path = "/strong"
strip_path = true
upstream = ["{app}"]
acr_values = ["gold", "silver"]
max_age = "1h"

[[route]]
name = "ruled"
host = "sso.test"
path = "/ruled"
strip_path = true
upstream = ["{app}"]
access = "rule"
allow = "user != null && user.login == 'zhangsan'"
max_age = "10m"

[[route]]
name = "public"
host = "sso.test"
path = "/public"
strip_path = true
upstream = ["{app}"]
access = "public"

[[route]]
name = "oa"
host = "oa.test"
upstream = ["{app}"]
acr_values = ["gold"]

[[route]]
name = "hr"
host = "hr.test"
upstream = ["{app}"]
max_age = "10m"
"#;

fn setup() -> Setup {
    Setup::default().routes(ROUTES).tables(NO_LOGIN_LIMITS)
}

async fn start_menshen() -> Menshen {
    setup().start().await
}

#[tokio::test]
async fn an_old_login_is_repeated_and_returns_to_the_route() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let page = browser
        .sign_in(&format!("{SSO_URL}/fresh/echo?a=1"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 200);
    menshen.advance(Duration::from_secs(600));
    assert_eq!(browser.visit(&page.url).await.status, 200);
    menshen.advance(Duration::from_secs(1));
    // The session stays valid on other routes.
    assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    let asked = browser.follow(&page.url).await;
    assert!(
        asked.url.contains("/sign_in?why=step-up&rd="),
        "{}",
        asked.url
    );
    let html = asked.answer.text();
    assert!(html.contains("需要再次验证身份"), "{html}");
    assert!(
        html.contains("张三"),
        "the page names the signed-in person: {html}"
    );
    assert!(
        href(&html, "/start?rd=").is_none(),
        "no link without a login: {html}"
    );
    let before = browser.cookie("menshen").unwrap().value.clone();
    let back = browser.sign_in(&page.url, "zhangsan").await;
    assert_eq!((back.answer.status, &back.url), (200, &page.url));
    assert_ne!(browser.cookie("menshen").unwrap().value, before);
}

#[tokio::test]
async fn the_page_says_why_in_english_too() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    menshen.advance(Duration::from_secs(601));
    browser
        .extra_headers
        .push(("Accept-Language".to_owned(), "en".to_owned()));
    let page = browser.follow(&format!("{SSO_URL}/fresh/echo")).await;
    let words = "requires you to confirm your identity again";
    assert!(page.answer.text().contains(words), "{}", page.answer.text());
}

#[tokio::test]
async fn a_program_gets_the_missing_proof_and_no_redirect() {
    let menshen = start_menshen().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let get = |path: &str| TestRequest::get(path).session(&cookie);
    assert_eq!(get("/fresh/echo").send(&menshen).await.status, 200);
    menshen.advance(Duration::from_secs(601));
    let answer = get("/fresh/echo").send(&menshen).await;
    assert_eq!((answer.status, answer.header("location")), (401, None));
    let said = answer.json();
    assert_eq!(said["detail"], "step up", "{said}");
    assert_eq!(said["max_age"], 600, "{said}");
    assert_eq!(said.get("acr_values"), None, "{said}");
    assert!(
        said["login_url"].as_str().unwrap().contains("/sign_in"),
        "{said}"
    );
    assert_eq!(answer.header_values("set-cookie").count(), 0);
    let strong = get("/strong/echo").send(&menshen).await.json();
    assert_eq!(strong["acr_values"], serde_json::json!(["gold", "silver"]));
    assert_eq!(strong["max_age"], 3600);
    // The response to an unauthenticated request does not mention step-up.
    let nobody = TestRequest::get("/strong/echo").send(&menshen).await.json();
    assert_eq!(
        (&nobody["detail"], nobody.get("acr_values")),
        (&"nobody".into(), None)
    );
    let socket = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    assert_eq!(
        get("/fresh/ws")
            .headers(&socket)
            .send(&menshen)
            .await
            .status,
        401
    );
    let framed = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")];
    let frame = get("/fresh/echo").headers(&framed).send(&menshen).await;
    assert_eq!(
        (frame.status, frame.cause()),
        (401, Some(Cause::FrameNeedsLogin))
    );
    assert_eq!(get("/.menshen/userinfo").send(&menshen).await.status, 200);
}

#[tokio::test]
async fn rules_apply_after_the_proof_and_a_public_route_demands_none() {
    let menshen = start_menshen().await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    let li = session_cookie_of(&menshen, "lisi").await;
    let status = async |path: &str, cookie: &str| {
        let answer = TestRequest::get(path).session(cookie).send(&menshen).await;
        let said = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
        (answer.status, said["detail"].clone())
    };
    assert_eq!(status("/ruled/echo", &zhang).await.0, 200);
    assert_eq!(status("/ruled/echo", &li).await.0, 403);
    menshen.advance(Duration::from_secs(601));
    for cookie in [&zhang, &li] {
        assert_eq!(status("/ruled/echo", cookie).await, (401, "step up".into()));
        let public = TestRequest::get("/public/echo")
            .session(cookie)
            .send(&menshen)
            .await;
        assert_eq!(public.status, 200);
        assert_eq!(
            public.echoed("x-forwarded-user").len(),
            1,
            "the session is still valid"
        );
    }
}

#[tokio::test]
async fn an_unconfirmed_proof_ends_on_a_page_and_never_in_a_loop() {
    for (settings, agent) in [
        ("", "Firefox/140.0"),
        ("auto_login = 'always'", "Firefox/140.0"),
        ("", WECOM_PHONE_APP),
    ] {
        let menshen = setup().connector(settings).start().await;
        menshen.wecom.set_phone_owner("zhangsan");
        for place in [
            format!("{SSO_URL}/strong/echo?a"),
            "http://oa.test/echo?a".to_owned(),
        ] {
            let mut browser = Browser::new(&menshen).with_user_agent(agent);
            let page = if agent == WECOM_PHONE_APP {
                browser.follow(&place).await
            } else {
                browser.sign_in(&place, "zhangsan").await
            };
            let what = format!("{settings} {agent} {place}: {}", page.url);
            assert_eq!(page.answer.status, 403, "{what}");
            assert_eq!(page.cause(), Some(Cause::AuthTooWeak), "{what}");
            assert!(page.url.contains("/callback/corp"), "{what}");
            let again = href(&page.answer.text(), "/sign_in?rd=").expect("a link to try again");
            // The session starts all the same, and the login cookie is cleared.
            let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await;
            assert_eq!(info.json()["login"], "zhangsan", "{what}");
            assert_eq!(
                browser
                    .cookies()
                    .iter()
                    .filter(|one| one.name.contains("-flow-"))
                    .count(),
                0
            );
            // A retry shows the reason and the connectors, and does not bypass the demand.
            let chooser = browser.visit(&format!("{SSO_URL}{again}")).await;
            assert_eq!(chooser.status, 200, "{what}");
            let html = chooser.text();
            assert!(html.contains("需要再次验证身份"), "{what} {html}");
            assert!(
                href(&html, "/start?connector=corp").is_some(),
                "{what} {html}"
            );
            assert!(href(&html, "/start?rd=").is_none(), "{what} {html}");
            // Requesting the URLs by hand leads at most to another login.
            let start = again.replace("/sign_in?", "/start?");
            let started = browser.visit(&format!("{SSO_URL}{start}")).await;
            let to = started.header("location").unwrap_or_default();
            assert!(
                to.is_empty() || to.starts_with(&menshen.wecom.base_url()),
                "{what} {to}"
            );
        }
    }
}

#[tokio::test]
async fn another_host_gets_the_new_session_and_not_the_old_one() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let place = "http://hr.test/echo?a";
    assert_eq!(browser.sign_in(place, "zhangsan").await.answer.status, 200);
    menshen.advance(Duration::from_secs(601));
    let page = browser.follow(place).await;
    assert!(
        page.url.starts_with(&format!("{OWN_PAGES}/start")),
        "{}",
        page.url
    );
    assert!(page.answer.text().contains("需要再次验证身份"));
    let back = browser.sign_in(place, "zhangsan").await;
    assert_eq!((back.answer.status, back.url.as_str()), (200, place));
}

#[tokio::test]
async fn the_login_url_cannot_weaken_the_demand_of_a_route() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    for extra in [
        "max_age=999999",
        "acr_values=",
        "why=expired",
        "prompt=none",
        "acr=gold",
    ] {
        let start = format!("{OWN_PAGES}/start?connector=corp&rd=/strong/echo&{extra}");
        let page = browser.sign_in(&start, "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::AuthTooWeak), "{extra}");
        assert_eq!(
            browser
                .visit(&format!("{SSO_URL}/strong/echo"))
                .await
                .status,
            302,
            "{extra}"
        );
    }
    // A path that only looks like another route is matched as the route it is.
    for place in [
        "/%73trong/echo",
        "/strong;x/echo",
        "//strong/echo",
        "/./strong/echo",
    ] {
        let answer = browser.visit(&format!("{SSO_URL}{place}")).await;
        assert!(
            matches!(answer.status, 302 | 400),
            "{place} {}",
            answer.status
        );
    }
}
