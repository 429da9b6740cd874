//! `reload_user`: when a page is loaded, the provider confirms the signed-in person. If another person is
//! signed in there, the session is replaced; if nobody is, it ends; if the provider is unavailable, it
//! stays.

mod by_connector;
mod provider;
mod slow;

use std::time::Duration;

use menshen::face::page::Cause;
use url::Url;

use crate::browser::{Browser, Page};
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::test_request::TestRequest;
use crate::troubles::REDEEM;
use crate::wire::Answer;

pub(crate) const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]

[[route]]
name = "portal"
host = "sso.test"
path = "/portal"
strip_path = true
upstream = ["{app}"]
reload_user = "always"

[[route]]
name = "oa"
host = "oa.test"
upstream = ["{app}"]
reload_user = "always"
reload_after = "1m"
"#;

const AUTHORIZE_PATH: &str = "/connect/oauth2/authorize";

/// Without automatic login: a login starts only by a click or for a confirmation.
async fn start_menshen() -> Menshen {
    let setup = Setup::default().routes(ROUTES).tables(NO_LOGIN_LIMITS);
    let menshen = setup.connector("auto_login = 'never'").start().await;
    menshen.wecom.set_phone_owner("zhangsan");
    menshen
}

/// A browser inside the WeCom app that has just signed in.
async fn signed_in_on_phone(menshen: &Menshen) -> Browser {
    let mut phone = Browser::new(menshen).with_user_agent(WECOM_PHONE_APP);
    let page = phone
        .follow(&format!("{OWN_PAGES}/start?connector=corp&rd=/portal/echo"))
        .await;
    assert_eq!(page.answer.status, 200, "{}", page.url);
    phone.visited.clear();
    phone
}

fn session_cookie(browser: &Browser) -> String {
    let cookie = browser
        .cookie("menshen")
        .expect("the browser has a session");
    cookie.value.clone()
}

/// Asserts that a session no longer passes.
async fn assert_ended(menshen: &Menshen, session: &str) {
    let request = TestRequest::get("/echo").session(session);
    let answer = request.send(menshen).await;
    assert_eq!(answer.status, 401, "the old session has ended");
}

/// How often a browser visited the authorization page of WeCom.
fn authorize_visits(browser: &Browser) -> usize {
    let visited = browser.visited.iter();
    visited.filter(|url| url.contains(AUTHORIZE_PATH)).count()
}

async fn load_page(browser: &mut Browser) -> Page {
    browser.follow(&format!("{SSO_URL}/portal/echo?a=1")).await
}

fn assert_page_of(page: &Page, login: &str) {
    assert_eq!(
        (page.answer.status, &page.url),
        (200, &format!("{SSO_URL}/portal/echo?a=1"))
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), [login]);
}

#[tokio::test]
async fn a_page_load_reconfirms_the_person_and_renews_the_session() {
    let menshen = start_menshen().await;
    let mut phone = signed_in_on_phone(&menshen).await;
    let old = session_cookie(&phone);
    menshen.advance(Duration::from_secs(29));
    assert_page_of(&load_page(&mut phone).await, "zhangsan");
    assert_eq!(
        (authorize_visits(&phone), session_cookie(&phone)),
        (0, old.clone()),
        "no confirmation is due yet"
    );
    menshen.advance(Duration::from_secs(1));
    // Only top-level page loads of this route are redirected: no images, scripts, form posts or
    // other routes.
    for (method, path, headers) in [
        (
            "GET",
            "/portal/echo",
            &[("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")][..],
        ),
        (
            "GET",
            "/portal/echo",
            &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
        ),
        ("GET", "/portal/echo", &[("Accept", "application/json")]),
        (
            "POST",
            "/portal/echo",
            &[
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
            ],
        ),
        (
            "GET",
            "/echo",
            &[
                ("Sec-Fetch-Mode", "navigate"),
                ("Sec-Fetch-Dest", "document"),
            ],
        ),
    ] {
        let answer = phone
            .send(method, &format!("{SSO_URL}{path}"), headers, b"")
            .await;
        assert_eq!(answer.status, 200, "{method} {path} {headers:?}");
    }
    assert_page_of(&load_page(&mut phone).await, "zhangsan");
    assert_eq!(authorize_visits(&phone), 1);
    assert_ne!(session_cookie(&phone), old);
    assert_ended(&menshen, &old).await;
    assert_page_of(&load_page(&mut phone).await, "zhangsan");
    assert_eq!(authorize_visits(&phone), 1, "the confirmation is recent");
}

#[tokio::test]
async fn a_different_person_at_the_provider_replaces_the_session() {
    let menshen = start_menshen().await;
    let mut phone = signed_in_on_phone(&menshen).await;
    let old = session_cookie(&phone);
    menshen.wecom.set_phone_owner("lisi");
    menshen.advance(Duration::from_secs(30));
    assert_page_of(&load_page(&mut phone).await, "lisi");
    assert_ended(&menshen, &old).await;
    let audit = menshen.audit();
    let events: Vec<_> = audit
        .iter()
        .map(|line| (&line["event"], &line["login"]))
        .collect();
    let expected_events = [("login", "lisi"), ("sign-out", "zhangsan")];
    assert_eq!(events.len(), 3, "{events:?}");
    for ((event, login), (expected_event, expected_login)) in
        events[1..].iter().zip(expected_events)
    {
        assert_eq!(
            (event.as_str(), login.as_str()),
            (Some(expected_event), Some(expected_login))
        );
    }
}

#[tokio::test]
async fn on_another_host_the_result_arrives_by_ticket() {
    let menshen = start_menshen().await;
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    let page_url = "http://oa.test/echo?b";
    let page = phone
        .follow(&format!("{OWN_PAGES}/start?connector=corp&rd={page_url}"))
        .await;
    // Without a nonce cookie no ticket is issued, so the host requests one.
    assert_eq!((page.answer.status, page.url.as_str()), (200, page_url));
    phone.visited.clear();
    menshen.wecom.set_phone_owner("lisi");
    assert_eq!(
        phone
            .follow(page_url)
            .await
            .answer
            .echoed("x-forwarded-user"),
        ["zhangsan"]
    );
    menshen.advance(Duration::from_secs(60));
    let page = phone.follow(page_url).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, page_url));
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_eq!(authorize_visits(&phone), 1);
    assert_eq!(phone.follow(page_url).await.answer.status, 200);
    assert_eq!(authorize_visits(&phone), 1);
}

#[tokio::test]
async fn a_ticket_does_not_renew_the_confirmation() {
    let other_route = "[[route]]\nname = 'free'\nhost = 'oa.test'\npath = '/free'\n\
                upstream = ['{app}']\n";
    let setup = Setup::default().routes(&format!("{ROUTES}{other_route}"));
    let setup = setup
        .tables(NO_LOGIN_LIMITS)
        .connector("auto_login = 'never'");
    let menshen = setup.start().await;
    menshen.wecom.set_phone_owner("zhangsan");
    let mut phone = signed_in_on_phone(&menshen).await;
    menshen.advance(Duration::from_secs(60));
    // Gets a cookie for the other host on a route without `reload_user`.
    let page = phone.follow("http://oa.test/free").await;
    assert!(page.url.starts_with("http://oa.test/free"), "{}", page.url);
    assert_eq!(authorize_visits(&phone), 0);
    menshen.wecom.set_phone_owner("lisi");
    let page = phone.follow("http://oa.test/echo").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_eq!(authorize_visits(&phone), 1);
}

#[tokio::test]
async fn a_person_whom_the_provider_does_not_confirm_loses_the_session() {
    for (what, cause) in [
        ("nobody", None),
        ("left", Some(Cause::InactiveMember)),
        ("outsider", Some(Cause::NotMember)),
    ] {
        let menshen = start_menshen().await;
        let mut phone = signed_in_on_phone(&menshen).await;
        let old = session_cookie(&phone);
        menshen.advance(Duration::from_secs(30));
        let page = match what {
            "nobody" => {
                // WeCom redirects back without a code: nobody is signed in there.
                let at_wecom = |url: &str| url.contains(AUTHORIZE_PATH);
                let page = phone
                    .follow_until(&format!("{SSO_URL}/portal/echo?a=1"), at_wecom)
                    .await;
                let state = crate::logging_in::query_parameter(&page.url, "state").unwrap();
                phone
                    .follow(&format!("{OWN_PAGES}/callback/corp?state={state}"))
                    .await
            }
            "left" => {
                menshen.wecom.set_status("zhangsan", 2);
                load_page(&mut phone).await
            }
            _ => {
                menshen.wecom.set_non_member_next();
                load_page(&mut phone).await
            }
        };
        assert_eq!(page.cause(), cause, "{what}: {}", page.url);
        if cause.is_none() {
            assert!(page.url.contains("/sign_in?why=gone&rd="), "{}", page.url);
            assert!(
                page.answer.text().contains("您已在登录服务中退出"),
                "{}",
                page.answer.text()
            );
        }
        assert!(phone.cookie("menshen").is_none(), "{what}");
        assert_eq!(
            TestRequest::get("/echo")
                .session(&old)
                .send(&menshen)
                .await
                .status,
            401,
            "{what}"
        );
    }
}

#[tokio::test]
async fn an_unavailable_provider_keeps_the_session_and_is_tried_again_later() {
    let menshen = start_menshen().await;
    let mut phone = signed_in_on_phone(&menshen).await;
    menshen.advance(Duration::from_secs(3600));
    menshen
        .wecom
        .answer_with(REDEEM, 503, "unavailable", usize::MAX);
    let old = session_cookie(&phone);
    for round in 1..4 {
        assert_page_of(&load_page(&mut phone).await, "zhangsan");
        assert_eq!(authorize_visits(&phone), round);
        // The failure counts as a confirmation for a while.
        assert_page_of(&load_page(&mut phone).await, "zhangsan");
        assert_eq!(authorize_visits(&phone), round);
        menshen.advance(Duration::from_secs(30));
    }
    // The new cookie does not extend the session, and the old cookie names the same session.
    let expires_in = async |cookie: &str| {
        let request = TestRequest::get("/.menshen/userinfo").session(cookie);
        request.send(&menshen).await.json()["expires_in"].clone()
    };
    assert_eq!(
        expires_in(&old).await,
        expires_in(&session_cookie(&phone)).await
    );
    menshen.wecom.clear_faults(REDEEM);
    menshen.wecom.set_phone_owner("lisi");
    assert_page_of(&load_page(&mut phone).await, "lisi");
    assert_eq!(authorize_visits(&phone), 4);
}

#[tokio::test]
async fn a_browser_that_does_not_return_from_the_provider_keeps_the_session_for_a_limited_time() {
    let menshen = start_menshen().await;
    let mut phone = signed_in_on_phone(&menshen).await;
    let at_wecom = |url: &str| url.contains(AUTHORIZE_PATH);
    let page_url = format!("{SSO_URL}/portal/echo?a=1");
    menshen.advance(Duration::from_secs(30));
    // The browser does not reach WeCom; the person navigates back.
    let page = phone.follow_until(&page_url, at_wecom).await;
    assert!(at_wecom(&page.url));
    assert_page_of(&load_page(&mut phone).await, "zhangsan");
    assert_eq!(authorize_visits(&phone), 0);
    menshen.advance(Duration::from_secs(61));
    assert!(
        at_wecom(&phone.follow_until(&page_url, at_wecom).await.url),
        "the confirmation starts again"
    );
    // Ten minutes after the last confirmation, an attempt without a result no longer counts.
    menshen.advance(Duration::from_secs(600));
    assert!(at_wecom(&phone.follow_until(&page_url, at_wecom).await.url));
    assert!(at_wecom(&phone.follow_until(&page_url, at_wecom).await.url));
    assert_page_of(&load_page(&mut phone).await, "zhangsan");
    assert_eq!(
        authorize_visits(&phone),
        1,
        "the browser returns from WeCom and keeps the session"
    );
}

#[tokio::test]
async fn the_login_limit_does_not_bypass_the_confirmation() {
    let login_limits = NO_LOGIN_LIMITS.replace(
        "begins_per_client_per_minute = 1000000",
        "begins_per_client_per_minute = 3",
    );
    let setup = Setup::default().routes(ROUTES).tables(&login_limits);
    let menshen = setup.connector("auto_login = 'never'").start().await;
    menshen.wecom.set_phone_owner("zhangsan");
    let mut phone = signed_in_on_phone(&menshen).await;
    menshen.advance(Duration::from_secs(601));
    for _ in 0..8 {
        phone
            .visit(&format!("{OWN_PAGES}/start?connector=corp&rd=/x"))
            .await;
    }
    let page = load_page(&mut phone).await;
    assert_eq!(page.cause(), Some(Cause::TooManyLogins), "{}", page.url);
}

#[tokio::test]
async fn a_provider_without_silent_login_is_skipped() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/portal/echo?a=1"), "zhangsan")
        .await;
    menshen.advance(Duration::from_secs(3600));
    let answer = browser.visit(&format!("{SSO_URL}/portal/echo?a=1")).await;
    assert_eq!(answer.status, 200);
    let page = browser.follow("http://oa.test/echo").await;
    assert_eq!(page.answer.status, 200);
    menshen.advance(Duration::from_secs(3600));
    assert_eq!(browser.visit("http://oa.test/echo").await.status, 200);
    // In the WeCom app this login needs a click: a QR page or a consent page.
    let setup = Setup::default()
        .routes(ROUTES)
        .wecom("scope = 'snsapi_privateinfo'");
    let menshen = setup
        .tables(&format!("{SECOND_CONNECTOR}{NO_LOGIN_LIMITS}"))
        .start()
        .await;
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    phone
        .sign_in(
            &format!("{OWN_PAGES}/start?connector=corp&mode=web&rd=/portal/echo"),
            "zhangsan",
        )
        .await;
    menshen.advance(Duration::from_secs(3600));
    let answer = phone.visit(&format!("{SSO_URL}/portal/echo")).await;
    assert_eq!(answer.status, 200, "a consent page needs a click");
}

/// A browser that shows the application in a frame of another site.
struct FramedBrowser(Browser);

impl FramedBrowser {
    async fn load_page(&mut self, url: &str) -> Answer {
        let frame = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "iframe"),
            ("Sec-Fetch-Site", "cross-site"),
        ];
        self.0.send("GET", url, &frame, b"").await
    }

    async fn follow(&mut self, url: &str) -> (String, Answer, Vec<String>) {
        let (mut url, mut set_cookies) = (url.to_owned(), Vec::new());
        for _ in 0..12 {
            let answer = self.load_page(&url).await;
            set_cookies.extend(answer.header_values("set-cookie").map(str::to_owned));
            match answer.header("location") {
                Some(to) => {
                    let next = Url::parse(&url).unwrap().join(to).unwrap().to_string();
                    url = next.trim_end_matches('#').to_owned();
                }
                None => return (url, answer, set_cookies),
            }
        }
        panic!("redirect loop: {:?}", self.0.visited);
    }
}

#[tokio::test]
async fn a_framed_page_reconfirms_only_with_embedded_and_third_party_cookies() {
    let routes = ROUTES
        .replace("\"always\"\n\n", "\"embedded\"\n\n")
        .replace("oa.test", "sso.test:7");
    let routes = routes.replace("reload_user = \"always\"\nreload_after", "reload_after");
    let setup = Setup::default()
        .external_url("https://sso.test")
        .server("trusted_proxies = ['127.0.0.1']")
        .session("cookie_same_site = 'none'");
    let setup = setup.routes(&routes).connector("auto_login = 'never'");
    let menshen = setup.tables(NO_LOGIN_LIMITS).start().await;
    menshen.wecom.set_phone_owner("zhangsan");
    let mut phone = Browser::new(&menshen)
        .with_user_agent(WECOM_PHONE_APP)
        .over_https();
    let start = "https://sso.test/.menshen/start?connector=corp&rd=/portal/echo";
    assert_eq!(phone.follow(start).await.answer.status, 200);
    menshen.advance(Duration::from_secs(30));
    phone.visited.clear();
    menshen.wecom.set_phone_owner("lisi");
    let page_url = "https://sso.test/portal/echo?a=1";
    let page = phone.follow(page_url).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(
        authorize_visits(&phone),
        0,
        "top-level pages are not redirected"
    );
    let mut frame = FramedBrowser(phone);
    let (url, answer, set_cookies) = frame.follow(page_url).await;
    assert_eq!((answer.status, url.as_str()), (200, page_url));
    assert_eq!(answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_eq!(authorize_visits(&frame.0), 1);
    // Every cookie is usable in a third-party frame, and partitioned.
    assert_eq!(set_cookies.len(), 3, "{set_cookies:?}");
    for cookie in &set_cookies {
        assert!(cookie.contains("SameSite=None"), "{cookie}");
        assert!(
            cookie.contains("Secure") && cookie.contains("Partitioned"),
            "{cookie}"
        );
    }
    // Nobody is signed in at WeCom: the frame shows a page with a link and starts no login.
    menshen.advance(Duration::from_secs(30));
    let answer = frame.load_page(page_url).await;
    let to = answer.header("location").unwrap().to_owned();
    let state = crate::logging_in::query_parameter(&to, "state").unwrap();
    let back = format!("https://sso.test/.menshen/callback/corp?state={state}");
    let (url, answer, _) = frame.follow(&back).await;
    assert_eq!((answer.status, url.as_str()), (401, page_url));
    assert_eq!(answer.cause(), Some(Cause::FrameNeedsLogin));
    assert!(frame.0.cookie("__Host-menshen").is_none());
}
