//! The session cookie as a browser gets it: flags, size, and how it is taken back.

use crate::browser::{Browser, navigation_headers};
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;

/// A whole login at `home`; the `Set-Cookie` lines of the answer that ends it.
async fn login(browser: &mut Browser, home: &str) -> Vec<String> {
    let source = browser.open_login_page(&format!("{home}/echo")).await;
    let back = browser.choose_person(&source, "zhangsan").await;
    let answer = browser.visit(&back).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    answer
        .header_values("set-cookie")
        .map(str::to_owned)
        .collect()
}

/// Whether a line is `NAME=value; FLAGS`; the value is anything.
fn is(line: &str, name: &str, flags: &str) -> bool {
    let rest = line
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('='));
    rest.and_then(|rest| rest.split_once("; "))
        .is_some_and(|(_, found)| found == flags)
}

const TRUSTING: &str = "trusted_proxies = [\"127.0.0.1\"]";

/// A site behind a proxy that ends TLS.
fn https(session: &str) -> Setup {
    let routes = "[[route]]\nname = 'app'\nhost = 'sso.corp.test'\nupstream = ['{app}']\n";
    Setup::default()
        .external_url("https://sso.corp.test")
        .server(TRUSTING)
        .session(session)
        .routes(routes)
}

#[tokio::test]
async fn a_browser_that_takes_none_for_strict_is_not_told_it() {
    let menshen = https("cookie_same_site = \"none\"").start().await;
    for (agent, understands) in [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 12_5 like Mac OS X) Version/12.1 Safari/604.1",
            false,
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) Version/12.1 Safari/605.1.15",
            false,
        ),
        (
            "Mozilla/5.0 (Windows NT 6.1) Chrome/55.0.2883.87 Safari/537.36",
            false,
        ),
        (
            "Mozilla/5.0 (Linux; U; Android 9) Chrome/57.0.2987.108 UCBrowser/12.12.8 Mobile",
            false,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1",
            true,
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) Chrome/118.0.0.0 Safari/537.36",
            true,
        ),
        (
            "Mozilla/5.0 (Linux; U; Android 9) Chrome/57.0.2987.108 UCBrowser/12.13.2 Mobile",
            true,
        ),
    ] {
        let mut browser = Browser::new(&menshen).with_user_agent(agent).over_https();
        let began = browser.visit("https://sso.corp.test/echo").await;
        let began: Vec<_> = began
            .header_values("set-cookie")
            .map(str::to_owned)
            .collect();
        browser.delete_cookies("flow");
        let set = login(&mut browser, "https://sso.corp.test").await;
        let lives = |line: &&String| !line.contains("Max-Age=0");
        let lines: Vec<_> = began.iter().chain(set.iter().filter(lives)).collect();
        assert!(
            lines.iter().any(|line| line.starts_with("__Host-menshen=")),
            "{lines:?}"
        );
        for line in lines {
            assert_eq!(
                line.contains("SameSite=None"),
                understands,
                "{agent}: {line}"
            );
            assert!(!line.contains("SameSite=Lax"), "{agent}: {line}");
            assert!(
                line.contains("Secure") && line.contains("HttpOnly"),
                "{line}"
            );
        }
    }
}

#[tokio::test]
async fn its_flags_are_the_strictest_the_site_allows() {
    let rows = [
        (
            Setup::default(),
            "http://sso.test",
            "menshen",
            "HttpOnly; SameSite=Lax; Path=/; Max-Age=43200",
        ),
        (
            https(""),
            "https://sso.corp.test",
            "__Host-menshen",
            "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=43200",
        ),
        (
            https("cookie_domain = \"corp.test\"\nlifetime = \"1h\"\nidle_timeout = \"30m\""),
            "https://sso.corp.test",
            "__Secure-menshen",
            "HttpOnly; SameSite=Lax; Secure; Path=/; Domain=corp.test; Max-Age=3600",
        ),
        (
            https("cookie_same_site = \"none\""),
            "https://sso.corp.test",
            "__Host-menshen",
            "HttpOnly; SameSite=None; Partitioned; Secure; Path=/; Max-Age=43200",
        ),
    ];
    for (setup, home, name, flags) in rows {
        let menshen = setup.start().await;
        let mut browser = Browser::new(&menshen);
        if home.starts_with("https") {
            browser = browser.over_https();
        }
        let set = login(&mut browser, home).await;
        let session: Vec<_> = set.iter().filter(|line| line.starts_with(name)).collect();
        let own: Vec<_> = session
            .iter()
            .filter(|line| !line.contains("-flow-"))
            .collect();
        assert_eq!(own.len(), 1, "{set:?}");
        assert!(is(own[0], name, flags), "{}", own[0]);
        // The flow that ended is forgotten with the flags its prefix demands.
        let flow: Vec<_> = set.iter().filter(|line| line.contains("-flow-")).collect();
        assert_eq!(flow.len(), 1, "{set:?}");
        assert!(flow[0].contains("Max-Age=0"), "{}", flow[0]);
        assert!(
            browser
                .cookies()
                .iter()
                .all(|cookie| !cookie.name.contains("flow"))
        );
        let value = browser.cookie(name).unwrap().value.clone();
        assert!(value.len() <= 300, "{} bytes", value.len());
        // Signing out takes it back, for a browser that goes by the book.
        let answer = browser.visit(&format!("{home}/.menshen/sign_out")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(browser.cookie(name), None);
        let again = TestRequest::get("/echo")
            .host(home.split_once("://").unwrap().1)
            .header("X-Forwarded-Proto", "https")
            .header("Cookie", &format!("{name}={value}"));
        let replayed = match home.starts_with("https") {
            true => again.send(&menshen).await,
            false => {
                TestRequest::get("/echo")
                    .session(&value)
                    .send(&menshen)
                    .await
            }
        };
        assert_eq!(replayed.status, 401, "{name} was replayed");
    }
}

#[tokio::test]
async fn it_is_written_at_a_login_and_not_again() {
    let menshen = Menshen::new().await;
    let cookie = crate::test_request::session_cookie_of(&menshen, "zhangsan").await;
    for ask in [
        TestRequest::get("/echo").session(&cookie),
        TestRequest::get("/echo")
            .session(&cookie)
            .headers(&navigation_headers()),
        TestRequest::get("/.menshen/userinfo").session(&cookie),
    ] {
        let answer = ask.send(&menshen).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header_values("set-cookie").count(), 0);
    }
}

#[tokio::test]
async fn a_cookie_of_one_prefix_is_nothing_under_another() {
    let menshen = https("").start().await;
    let mut browser = Browser::new(&menshen).over_https();
    login(&mut browser, "https://sso.corp.test").await;
    let value = browser.cookie("__Host-menshen").unwrap().value.clone();
    for (name, expected) in [
        ("__Host-menshen", 200),
        ("__Secure-menshen", 401),
        ("menshen", 401),
        ("__host-menshen", 401),
    ] {
        let ask = TestRequest::get("/echo").host("sso.corp.test");
        let ask = ask.header("Cookie", &format!("{name}={value}"));
        assert_eq!(ask.send(&menshen).await.status, expected, "{name}");
    }
}
