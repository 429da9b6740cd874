//! How a login begins: which login page opens, which logins begin automatically, and the cookies of
//! pending logins.

use std::collections::HashSet;
use std::time::Duration;

use menshen::face::page::Cause;
use url::Url;

use crate::browser::{Browser, href};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};

/// The `User-Agent` of the WeCom app on a phone.
pub(crate) const WECOM_PHONE_APP: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) \
    AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 wxwork/4.1.30 MicroMessenger/7.0.1 \
    Language/zh";
const DESKTOP_BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0";
const WECHAT_APP: &str = "Mozilla/5.0 (iPhone) Mobile/15E148 MicroMessenger/8.0.50 Language/zh_CN";

/// The URL above menshen's own pages on the login host.
pub(crate) const OWN_PAGES: &str = "http://sso.test/.menshen";

const WEB_LOGIN_PAGE: &str = "/wwlogin/sso/login";
const IN_APP_LOGIN_PAGE: &str = "/connect/oauth2/authorize";

/// The names of the cookies of pending logins.
fn flow_cookies(browser: &Browser) -> Vec<String> {
    let names = browser.cookies().iter().map(|cookie| cookie.name.clone());
    names.filter(|name| name.contains("-flow-")).collect()
}

pub(crate) fn query_parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let mut pairs = url.query_pairs();
    pairs
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn the_user_agent_selects_the_login_page_unless_the_request_or_the_configuration_does() {
    for (setting, agent, parameter, login_page) in [
        ("", DESKTOP_BROWSER, "", WEB_LOGIN_PAGE),
        ("", WECHAT_APP, "", WEB_LOGIN_PAGE),
        ("", WECOM_PHONE_APP, "", IN_APP_LOGIN_PAGE),
        ("", DESKTOP_BROWSER, "&mode=in-app", IN_APP_LOGIN_PAGE),
        ("", WECOM_PHONE_APP, "&mode=web", WEB_LOGIN_PAGE),
        ("", DESKTOP_BROWSER, "&mode=whatever", WEB_LOGIN_PAGE),
        ("mode = 'web'", WECOM_PHONE_APP, "", WEB_LOGIN_PAGE),
        (
            "mode = 'web'",
            WECOM_PHONE_APP,
            "&mode=in-app",
            WEB_LOGIN_PAGE,
        ),
        (
            "mode = 'in-app'",
            DESKTOP_BROWSER,
            "&mode=web",
            IN_APP_LOGIN_PAGE,
        ),
    ] {
        let menshen = Setup::default().wecom(setting).start().await;
        let mut browser = Browser::new(&menshen).with_user_agent(agent);
        let answer = browser
            .visit(&format!(
                "{OWN_PAGES}/start?connector=corp&rd=/x{parameter}"
            ))
            .await;
        let to = answer.header("location").unwrap_or_default();
        assert_eq!(answer.status, 302, "{setting} {agent} {parameter}");
        assert!(
            to.starts_with(&format!("{}{login_page}?", menshen.wecom.base_url())),
            "{setting} {agent} {parameter}: {to}"
        );
    }
}

#[tokio::test]
async fn the_wecom_app_signs_in_without_a_click() {
    let menshen = Menshen::new().await;
    menshen.wecom.set_phone_owner("lisi");
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    let page = phone.follow(&format!("{SSO_URL}/echo?a=1")).await;
    assert_eq!(
        (page.answer.status, page.url),
        (200, format!("{SSO_URL}/echo?a=1"))
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    let authorize = phone
        .visited
        .iter()
        .find(|url| url.contains(IN_APP_LOGIN_PAGE));
    let authorize = authorize.unwrap();
    assert!(authorize.ends_with("#wechat_redirect"), "{authorize}");
    assert_eq!(
        query_parameter(authorize, "scope").as_deref(),
        Some("snsapi_base")
    );
}

#[tokio::test]
async fn a_login_begins_automatically_only_where_the_configuration_says_so() {
    for (setting, agent, path, automatic) in [
        ("never", DESKTOP_BROWSER, "/x", false),
        ("never", WECOM_PHONE_APP, "/x", false),
        ("in-app", DESKTOP_BROWSER, "/x", false),
        ("in-app", WECHAT_APP, "/x", false),
        ("in-app", WECOM_PHONE_APP, "/x", true),
        ("in-app", WECOM_PHONE_APP, "/.menshen/sign_in", false),
        ("always", DESKTOP_BROWSER, "/x", true),
        ("always", WECOM_PHONE_APP, "/x", true),
        ("always", DESKTOP_BROWSER, "/.menshen/sign_in", true),
    ] {
        let setup = Setup::default().connector(&format!("auto_login = '{setting}'"));
        let menshen = setup.start().await;
        let mut browser = Browser::new(&menshen).with_user_agent(agent);
        let source = menshen.wecom.base_url();
        let page = browser
            .follow_until(&format!("{SSO_URL}{path}"), |next| {
                next.starts_with(&source)
            })
            .await;
        let answer = page.answer;
        let what = format!("{setting} {agent} {path}: {}", answer.status);
        if automatic {
            let to = answer.header("location").unwrap_or_default();
            assert!(to.starts_with(&source), "{what} {to}");
            assert_eq!(flow_cookies(&browser).len(), 1, "{what}");
        } else {
            assert_eq!(answer.status, 200, "{what}");
            assert!(page.url.contains("/.menshen/sign_in"), "{what}");
            assert!(
                href(&answer.text(), "/start?connector=corp").is_some(),
                "{what}"
            );
            assert_eq!(flow_cookies(&browser).len(), 0, "{what}");
        }
    }
}

#[tokio::test]
async fn with_two_connectors_the_person_chooses_unless_one_begins_automatically() {
    for (setting, automatic) in [("in-app", false), ("always", true)] {
        let setup = Setup::default().connector(&format!("auto_login = '{setting}'"));
        let menshen = setup.tables(SECOND_CONNECTOR).start().await;
        let mut browser = Browser::new(&menshen);
        let answer = browser.visit(&format!("{SSO_URL}/x")).await;
        let to = answer.header("location").unwrap_or_default();
        let source = to.starts_with(&menshen.wecom.base_url());
        assert_eq!(source, automatic, "{setting}");
        assert_eq!(browser.cookies().len(), usize::from(automatic));
        let answer = Browser::new(&menshen)
            .visit(&format!("{OWN_PAGES}/sign_in"))
            .await;
        assert_eq!(
            answer.status, 200,
            "with several connectors none begins automatically on the sign-in page"
        );
        for name in ["corp", "other"] {
            let link = format!("/start?connector={name}");
            assert!(href(&answer.text(), &link).is_some(), "{name}");
        }
        let nowhere = format!("{OWN_PAGES}/start?connector=nobody&rd=/x");
        assert_eq!(browser.visit(&nowhere).await.status, 404);
    }
}

#[tokio::test]
async fn every_state_has_32_characters_and_is_different() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let mut states = HashSet::new();
    for _ in 0..50 {
        let mut browser = Browser::new(&menshen);
        let page = browser.open_login_page(&format!("{SSO_URL}/x")).await;
        let state = query_parameter(&page, "state").unwrap();
        assert_eq!(state.len(), 32);
        assert!(state.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(flow_cookies(&browser), [format!("menshen-flow-{state}")]);
        let callback_url = query_parameter(&page, "redirect_uri");
        assert_eq!(
            callback_url.as_deref(),
            Some("http://sso.test/.menshen/callback/corp")
        );
        assert!(states.insert(state));
    }
}

#[tokio::test]
async fn the_cookie_of_a_pending_login_is_small_and_bound_to_its_host() {
    let query = "x".repeat(600);
    for (scheme, name, flags) in [
        (
            "http",
            "menshen-flow-",
            "HttpOnly; SameSite=Lax; Path=/; Max-Age=600",
        ),
        (
            "https",
            "__Host-menshen-flow-",
            "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600",
        ),
    ] {
        let setup = Setup::default()
            .external_url(&format!("{scheme}://sso.test"))
            .server("trusted_proxies = ['127.0.0.1']");
        let menshen = setup.start().await;
        let mut browser = Browser::new(&menshen);
        if scheme == "https" {
            browser = browser.over_https();
        }
        for rd in ["/", &format!("/a?{query}")] {
            let start = format!("{scheme}://sso.test/.menshen/start?connector=corp&rd={rd}");
            let answer = browser.visit(&start).await;
            let lines: Vec<_> = answer.header_values("set-cookie").collect();
            let [line] = lines.as_slice() else {
                panic!("{lines:?}");
            };
            let (pair, rest) = line.split_once("; ").unwrap();
            let (key, value) = pair.split_once('=').unwrap();
            assert!(key.starts_with(name), "{key}");
            // Browsers drop cookies above 4 KiB.
            assert!(value.len() <= 4000, "{} bytes", value.len());
            assert_eq!(rest, flags);
        }
    }
}

#[tokio::test]
async fn a_browser_keeps_five_pending_logins_and_the_oldest_is_evicted() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let mut pages = Vec::new();
    for at in 0..7 {
        pages.push(
            browser
                .open_login_page(&format!("{SSO_URL}/echo?{at}"))
                .await,
        );
        assert_eq!(flow_cookies(&browser).len(), (at + 1).min(5));
        menshen.advance(Duration::from_secs(1));
    }
    for (at, page) in pages.iter().enumerate() {
        let mut tab = browser.clone();
        let callback_url = tab.choose_person(page, "zhangsan").await;
        let page = tab.follow(&callback_url).await;
        if at < 2 {
            assert_eq!(page.cause(), Some(Cause::FlowCookieMissing), "login {at}");
        } else {
            assert_eq!(page.url, format!("{SSO_URL}/echo?{at}"));
        }
    }
}

#[tokio::test]
async fn planted_cookies_do_not_prevent_a_login_and_cost_little() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser
        .open_login_page(&format!("{SSO_URL}/echo?first"))
        .await;
    let name = flow_cookies(&browser).remove(0);
    let prefix = &name[..name.find("-flow-").unwrap() + "-flow-".len()];
    let plant_cookies = |browser: &mut Browser| {
        for at in 0..400 {
            browser.set_cookie("sso.test", &format!("{prefix}{at}"), "x");
        }
    };
    // In one browser they are stored before the cookie of the login, in the other after another one.
    let mut fresh = Browser::new(&menshen);
    for order in ["before", "after"] {
        let tab = match order {
            "before" => &mut fresh,
            _ => &mut browser,
        };
        plant_cookies(tab);
        let page = tab
            .open_login_page(&format!("{SSO_URL}/echo?{order}"))
            .await;
        let callback_url = tab.choose_person(&page, "zhangsan").await;
        let page = tab.follow(&callback_url).await;
        assert_eq!(page.url, format!("{SSO_URL}/echo?{order}"), "{order}");
    }
    // A response deletes only some of them.
    let mut again = Browser::new(&menshen);
    plant_cookies(&mut again);
    let answer = again
        .visit(&format!("{OWN_PAGES}/start?connector=corp&rd=/x"))
        .await;
    let set = answer.header_values("set-cookie").count();
    assert!((2..=40).contains(&set), "{set} cookies in one response");
}

#[tokio::test]
async fn a_return_address_that_is_too_long_is_cut_to_its_path() {
    let menshen = Menshen::new().await;
    for (parameter, reached) in [
        (format!("/echo?{}", "x".repeat(4000)), "/echo"),
        (format!("/{}", "y".repeat(4000)), "/"),
        ("/echo?short".to_owned(), "/echo?short"),
    ] {
        let mut browser = Browser::new(&menshen);
        let page = browser
            .sign_in(&format!("{SSO_URL}{parameter}"), "lisi")
            .await;
        assert_eq!(
            (page.answer.status, page.url),
            (200, format!("{SSO_URL}{reached}"))
        );
    }
}

#[tokio::test]
async fn parallel_tabs_finish_in_any_order() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let mut pages = Vec::new();
    for at in 0..3 {
        pages.push(
            browser
                .open_login_page(&format!("{SSO_URL}/echo?tab={at}"))
                .await,
        );
    }
    for at in [2, 0, 1] {
        let callback_url = browser.choose_person(&pages[at], "zhangsan").await;
        let page = browser.follow(&callback_url).await;
        assert_eq!(
            (page.answer.status, page.url),
            (200, format!("{SSO_URL}/echo?tab={at}"))
        );
    }
    assert!(flow_cookies(&browser).is_empty());
}

#[tokio::test]
async fn a_login_preserves_the_query_byte_for_byte() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for query in [
        "?q=%e5%BC%a0&r=a+b%20c",
        "?&&x=%2F%2f;%25%32%35&e=&u",
        "?next=https://elsewhere.example/%3Fa%3Db&b=[1]{2}|()*!~",
        "?gbk=%B2%C6%CE%F1",
        "?a=1?b=2?",
        "?",
        "",
    ] {
        let target = format!("/echo{query}");
        let mut browser = Browser::new(&menshen);
        let page = browser
            .sign_in(&format!("{SSO_URL}{target}"), "zhangsan")
            .await;
        assert_eq!(page.answer.status, 200, "{target}");
        assert_eq!(page.answer.json()["target"], target.as_str());
    }
}

#[tokio::test]
async fn a_login_preserves_the_fragment_where_the_route_keeps_it() {
    let routes = "[[route]]\nname = 'app'\nkeep_fragment = true\nupstream = ['{app}']";
    let menshen = Setup::default().routes(routes).start().await;
    let mut browser = Browser::new(&menshen);
    let fragment_page = browser.visit(&format!("{SSO_URL}/echo?a=1")).await;
    assert_eq!(fragment_page.status, 200);
    let policy = fragment_page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'"), "{policy}");
    let html = fragment_page.text();
    assert!(!html.contains("onload") && html.matches("<script").count() == 1);
    let script = href(&html, "/.menshen/fragment.js").unwrap();
    let script = browser.visit(&format!("{SSO_URL}{script}")).await;
    let kind = script.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/javascript"), "{kind}");
    assert!(script.text().contains("encodeURIComponent(fragment)"));
    // The script appends the fragment to the return address.
    let start = href(&html, "/start?rd=").unwrap();
    let page = browser
        .sign_in(&format!("{start}%23%2Fdeep%2Flink%3Fx%3D1"), "lisi")
        .await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?a=1#/deep/link?x=1"));
    assert_eq!(page.answer.json()["target"], "/echo?a=1");
}
