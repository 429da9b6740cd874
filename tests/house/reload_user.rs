//! A source is asked again who sits there when a page is loaded: another person is switched to,
//! nobody ends the session, and a source that is away changes nothing.

mod provider;
mod slow;

use std::time::Duration;

use menshen::face::page::Cause;
use url::Url;

use crate::browser::{Browser, Page};
use crate::logging_in::{OWN, PHONE};
use crate::setup::{HOME, Menshen, OTHER_CONNECTOR, Setup, UNLIMITED};
use crate::test_request::TestRequest;
use crate::troubles::REDEEM;
use crate::wire::Answer;

const ROUTES: &str = r#"
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

const DOOR: &str = "/connect/oauth2/authorize";

/// Logins begin by a click or by asking again, and by nothing else.
async fn start_menshen() -> Menshen {
    let setup = Setup::default().routes(ROUTES).more(UNLIMITED);
    let menshen = setup.connector("auto_login = 'never'").start().await;
    menshen.source.set_phone_owner("zhangsan");
    menshen
}

/// Somebody inside the client, who came in a moment ago.
async fn inside(menshen: &Menshen) -> Browser {
    let mut phone = Browser::new(menshen).with_agent(PHONE);
    let page = phone
        .follow(&format!("{OWN}/start?connector=corp&rd=/portal/echo"))
        .await;
    assert_eq!(page.answer.status, 200, "{}", page.url);
    phone.visited.clear();
    phone
}

fn session(browser: &Browser) -> String {
    let cookie = browser.cookie("menshen").expect("somebody is here");
    cookie.value.clone()
}

/// How often a browser went to the source.
fn asked(browser: &Browser) -> usize {
    let visited = browser.visited.iter();
    visited.filter(|url| url.contains(DOOR)).count()
}

async fn load(browser: &mut Browser) -> Page {
    browser.follow(&format!("{HOME}/portal/echo?a=1")).await
}

fn is_here(page: &Page, login: &str) {
    assert_eq!(
        (page.answer.status, &page.url),
        (200, &format!("{HOME}/portal/echo?a=1"))
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), [login]);
}

#[tokio::test]
async fn a_load_asks_the_source_and_the_same_person_goes_on_with_a_new_session() {
    let menshen = start_menshen().await;
    let mut phone = inside(&menshen).await;
    let old = session(&phone);
    menshen.advance(Duration::from_secs(29));
    is_here(&load(&mut phone).await, "zhangsan");
    assert_eq!(
        (asked(&phone), session(&phone)),
        (0, old.clone()),
        "not yet"
    );
    menshen.advance(Duration::from_secs(1));
    // Only a page that is loaded asks: not its pictures, not its calls, not what it posts, and not
    // other places.
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
            .send(method, &format!("{HOME}{path}"), headers, b"")
            .await;
        assert_eq!(answer.status, 200, "{method} {path} {headers:?}");
    }
    is_here(&load(&mut phone).await, "zhangsan");
    assert_eq!(asked(&phone), 1);
    assert_ne!(session(&phone), old);
    let answer = TestRequest::get("/echo").session(&old).send(&menshen).await;
    assert_eq!(answer.status, 401, "the old session is over");
    is_here(&load(&mut phone).await, "zhangsan");
    assert_eq!(asked(&phone), 1, "and now the source's word is fresh");
}

#[tokio::test]
async fn another_person_is_switched_to_and_the_first_is_gone() {
    let menshen = start_menshen().await;
    let mut phone = inside(&menshen).await;
    let old = session(&phone);
    menshen.source.set_phone_owner("lisi");
    menshen.advance(Duration::from_secs(30));
    is_here(&load(&mut phone).await, "lisi");
    assert_eq!(
        TestRequest::get("/echo")
            .session(&old)
            .send(&menshen)
            .await
            .status,
        401
    );
    let audit = menshen.audit();
    let told: Vec<_> = audit
        .iter()
        .map(|line| (&line["event"], &line["login"]))
        .collect();
    let last = [("login", "lisi"), ("sign-out", "zhangsan")];
    assert_eq!(told.len(), 3, "{told:?}");
    for ((event, login), (expected, whose)) in told[1..].iter().zip(last) {
        assert_eq!(
            (event.as_str(), login.as_str()),
            (Some(expected), Some(whose))
        );
    }
}

#[tokio::test]
async fn on_another_host_the_answer_comes_by_a_ticket() {
    let menshen = start_menshen().await;
    let mut phone = Browser::new(&menshen).with_agent(PHONE);
    let place = "http://oa.test/echo?b";
    let page = phone
        .follow(&format!("{OWN}/start?connector=corp&rd={place}"))
        .await;
    // Without a nonce there is no ticket: the host asks for one.
    assert_eq!((page.answer.status, page.url.as_str()), (200, place));
    phone.visited.clear();
    menshen.source.set_phone_owner("lisi");
    assert_eq!(
        phone.follow(place).await.answer.echoed("x-forwarded-user"),
        ["zhangsan"]
    );
    menshen.advance(Duration::from_secs(60));
    let page = phone.follow(place).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, place));
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_eq!(asked(&phone), 1);
    assert_eq!(phone.follow(place).await.answer.status, 200);
    assert_eq!(asked(&phone), 1);
}

#[tokio::test]
async fn a_ticket_makes_no_word_of_the_source_fresher() {
    let free = "[[route]]\nname = 'free'\nhost = 'oa.test'\npath = '/free'\n\
                upstream = ['{app}']\n";
    let setup = Setup::default().routes(&format!("{ROUTES}{free}"));
    let setup = setup.more(UNLIMITED).connector("auto_login = 'never'");
    let menshen = setup.start().await;
    menshen.source.set_phone_owner("zhangsan");
    let mut phone = inside(&menshen).await;
    menshen.advance(Duration::from_secs(60));
    // A cookie for the other host, by way of a place that asks nothing.
    let free = phone.follow("http://oa.test/free").await;
    assert!(free.url.starts_with("http://oa.test/free"), "{}", free.url);
    assert_eq!(asked(&phone), 0);
    menshen.source.set_phone_owner("lisi");
    let page = phone.follow("http://oa.test/echo").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_eq!(asked(&phone), 1);
}

#[tokio::test]
async fn whoever_the_source_does_not_vouch_for_is_gone() {
    for (what, cause) in [
        ("nobody", None),
        ("left", Some(Cause::Inactive)),
        ("outsider", Some(Cause::NotMember)),
    ] {
        let menshen = start_menshen().await;
        let mut phone = inside(&menshen).await;
        let old = session(&phone);
        menshen.advance(Duration::from_secs(30));
        let page = match what {
            "nobody" => {
                // The source comes back without a code: it shows nothing and says nobody.
                let at = |url: &str| url.contains(DOOR);
                let page = phone
                    .follow_until(&format!("{HOME}/portal/echo?a=1"), at)
                    .await;
                let state = crate::logging_in::parameter(&page.url, "state").unwrap();
                phone
                    .follow(&format!("{OWN}/callback/corp?state={state}"))
                    .await
            }
            "left" => {
                menshen.source.set_status("zhangsan", 2);
                load(&mut phone).await
            }
            _ => {
                menshen.source.set_non_member_next();
                load(&mut phone).await
            }
        };
        assert_eq!(page.cause(), cause, "{what}: {}", page.url);
        if cause.is_none() {
            assert!(page.url.contains("/sign_in?why=gone&rd="), "{}", page.url);
            assert!(
                page.answer.text().contains("在那边已经退出"),
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
async fn a_source_that_is_away_locks_nobody_out_and_is_asked_again_later() {
    let menshen = start_menshen().await;
    let mut phone = inside(&menshen).await;
    menshen.advance(Duration::from_secs(3600));
    menshen.source.answer_with(REDEEM, 503, "away", usize::MAX);
    let old = session(&phone);
    for round in 1..4 {
        is_here(&load(&mut phone).await, "zhangsan");
        assert_eq!(asked(&phone), round);
        // For a while that counts as an answer.
        is_here(&load(&mut phone).await, "zhangsan");
        assert_eq!(asked(&phone), round);
        menshen.advance(Duration::from_secs(30));
    }
    // The date of a cookie gives nobody a longer life, and the first one is still the same session.
    let info = async |cookie: &str| {
        let ask = TestRequest::get("/.menshen/userinfo").session(cookie);
        ask.send(&menshen).await.json()["expires_in"].clone()
    };
    assert_eq!(info(&old).await, info(&session(&phone)).await);
    menshen.source.clear_faults(REDEEM);
    menshen.source.set_phone_owner("lisi");
    is_here(&load(&mut phone).await, "lisi");
    assert_eq!(asked(&phone), 4);
}

#[tokio::test]
async fn who_never_comes_back_from_the_source_goes_on_for_a_while_and_not_for_ever() {
    let menshen = start_menshen().await;
    let mut phone = inside(&menshen).await;
    let at = |url: &str| url.contains(DOOR);
    let place = format!("{HOME}/portal/echo?a=1");
    menshen.advance(Duration::from_secs(30));
    // The browser cannot reach the source: the person comes back by hand.
    let stopped = phone.follow_until(&place, at).await;
    assert!(at(&stopped.url));
    is_here(&load(&mut phone).await, "zhangsan");
    assert_eq!(asked(&phone), 0);
    menshen.advance(Duration::from_secs(61));
    assert!(
        at(&phone.follow_until(&place, at).await.url),
        "it is asked again"
    );
    // Ten minutes after the login the word of the browser counts no more.
    menshen.advance(Duration::from_secs(600));
    assert!(at(&phone.follow_until(&place, at).await.url));
    assert!(at(&phone.follow_until(&place, at).await.url));
    is_here(&load(&mut phone).await, "zhangsan");
    assert_eq!(asked(&phone), 1, "and who does come back goes on");
}

#[tokio::test]
async fn too_many_begins_are_no_way_around_the_question() {
    let limited = UNLIMITED.replace(
        "begins_per_client_per_minute = 1000000",
        "begins_per_client_per_minute = 3",
    );
    let setup = Setup::default().routes(ROUTES).more(&limited);
    let menshen = setup.connector("auto_login = 'never'").start().await;
    menshen.source.set_phone_owner("zhangsan");
    let mut phone = inside(&menshen).await;
    menshen.advance(Duration::from_secs(601));
    for _ in 0..8 {
        phone
            .visit(&format!("{OWN}/start?connector=corp&rd=/x"))
            .await;
    }
    let page = load(&mut phone).await;
    assert_eq!(page.cause(), Some(Cause::TooManyLogins), "{}", page.url);
}

#[tokio::test]
async fn a_source_that_cannot_be_asked_without_a_click_is_not_asked() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{HOME}/portal/echo?a=1"), "zhangsan")
        .await;
    menshen.advance(Duration::from_secs(3600));
    let answer = browser.visit(&format!("{HOME}/portal/echo?a=1")).await;
    assert_eq!(answer.status, 200);
    let far = browser.follow("http://oa.test/echo").await;
    assert_eq!(far.answer.status, 200);
    menshen.advance(Duration::from_secs(3600));
    assert_eq!(browser.visit("http://oa.test/echo").await.status, 200);
    // Its old client is no other: the person asked for the QR page there, or is made to.
    let setup = Setup::default()
        .routes(ROUTES)
        .wecom("scope = 'snsapi_privateinfo'");
    let menshen = setup.more(&format!("{}{UNLIMITED}", other())).start().await;
    let mut phone = Browser::new(&menshen).with_agent(PHONE);
    phone
        .sign_in(
            &format!("{OWN}/start?connector=corp&mode=web&rd=/portal/echo"),
            "zhangsan",
        )
        .await;
    menshen.advance(Duration::from_secs(3600));
    let answer = phone.visit(&format!("{HOME}/portal/echo")).await;
    assert_eq!(answer.status, 200, "a page of consent is a click");
}

/// A second connector, which can be asked: a route needs one.
fn other() -> String {
    OTHER_CONNECTOR.to_owned()
}

/// A browser in the client, with the application in another site's frame.
struct Frame(Browser);

impl Frame {
    async fn load(&mut self, url: &str) -> Answer {
        let frame = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "iframe"),
            ("Sec-Fetch-Site", "cross-site"),
        ];
        self.0.send("GET", url, &frame, b"").await
    }

    async fn follow(&mut self, url: &str) -> (String, Answer, Vec<String>) {
        let (mut url, mut set) = (url.to_owned(), Vec::new());
        for _ in 0..12 {
            let answer = self.load(&url).await;
            set.extend(answer.all("set-cookie").map(str::to_owned));
            match answer.header("location") {
                Some(to) => {
                    let next = Url::parse(&url).unwrap().join(to).unwrap().to_string();
                    url = next.trim_end_matches('#').to_owned();
                }
                None => return (url, answer, set),
            }
        }
        panic!("it goes round: {:?}", self.0.visited);
    }
}

#[tokio::test]
async fn in_a_frame_a_page_asks_only_where_the_route_and_the_cookies_are_made_for_it() {
    let routes = ROUTES
        .replace("\"always\"\n\n", "\"embedded\"\n\n")
        .replace("oa.test", "sso.test:7");
    let routes = routes.replace("reload_user = \"always\"\nreload_after", "reload_after");
    let setup = Setup::default()
        .external_url("https://sso.test")
        .server("trusted_proxies = ['127.0.0.1']")
        .session("cookie_same_site = 'none'");
    let setup = setup.routes(&routes).connector("auto_login = 'never'");
    let menshen = setup.more(UNLIMITED).start().await;
    menshen.source.set_phone_owner("zhangsan");
    let mut phone = Browser::new(&menshen).with_agent(PHONE).over_https();
    let start = "https://sso.test/.menshen/start?connector=corp&rd=/portal/echo";
    assert_eq!(phone.follow(start).await.answer.status, 200);
    menshen.advance(Duration::from_secs(30));
    phone.visited.clear();
    menshen.source.set_phone_owner("lisi");
    let place = "https://sso.test/portal/echo?a=1";
    let window = phone.follow(place).await;
    assert_eq!(window.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(asked(&phone), 0, "a window is not meant");
    let mut frame = Frame(phone);
    let (url, answer, set) = frame.follow(place).await;
    assert_eq!((answer.status, url.as_str()), (200, place));
    assert_eq!(answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_eq!(asked(&frame.0), 1);
    // Every cookie of it can be kept by a frame: another site's, and in its own jar.
    assert_eq!(set.len(), 3, "{set:?}");
    for cookie in &set {
        assert!(cookie.contains("SameSite=None"), "{cookie}");
        assert!(
            cookie.contains("Secure") && cookie.contains("Partitioned"),
            "{cookie}"
        );
    }
    // Nobody at the source: the frame says so and offers a window, and starts nothing.
    menshen.advance(Duration::from_secs(30));
    let answer = frame.load(place).await;
    let to = answer.header("location").unwrap().to_owned();
    let state = crate::logging_in::parameter(&to, "state").unwrap();
    let back = format!("https://sso.test/.menshen/callback/corp?state={state}");
    let (url, answer, _) = frame.follow(&back).await;
    assert_eq!((answer.status, url.as_str()), (401, place));
    assert_eq!(answer.cause(), Some(Cause::FrameLogin));
    assert!(frame.0.cookie("__Host-menshen").is_none());
}
