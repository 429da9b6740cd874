//! The attributes, the size and the deletion of the session cookie.

use crate::browser::{Browser, navigation_headers};
use crate::setup::{Menshen, Setup};
use crate::test_request::TestRequest;

/// Logs in at `origin`; returns the `Set-Cookie` values of the answer that completes the login.
async fn log_in(browser: &mut Browser, origin: &str) -> Vec<String> {
    let login_page = browser.open_login_page(&format!("{origin}/echo")).await;
    let back = browser.choose_person(&login_page, "zhangsan").await;
    let answer = browser.visit(&back).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    answer
        .header_values("set-cookie")
        .map(str::to_owned)
        .collect()
}

/// Whether a `Set-Cookie` value has this name and these attributes.
fn is_cookie(line: &str, name: &str, attributes: &str) -> bool {
    let rest = line
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('='));
    rest.and_then(|rest| rest.split_once("; "))
        .is_some_and(|(_, found)| found == attributes)
}

const TRUSTED_PROXY: &str = "trusted_proxies = [\"127.0.0.1\"]";

/// A setup behind a proxy that terminates TLS.
fn https_setup(session: &str) -> Setup {
    let routes = "[[route]]\nname = 'app'\nhost = 'sso.corp.test'\nupstream = ['{app}']\n";
    Setup::default()
        .external_url("https://sso.corp.test")
        .server(TRUSTED_PROXY)
        .session(session)
        .routes(routes)
}

#[tokio::test]
async fn a_browser_that_misreads_same_site_none_gets_no_same_site() {
    let menshen = https_setup("cookie_same_site = \"none\"").start().await;
    for (user_agent, supports_none) in [
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
        let mut browser = Browser::new(&menshen)
            .with_user_agent(user_agent)
            .over_https();
        let first_answer = browser.visit("https://sso.corp.test/echo").await;
        let flow_lines: Vec<_> = first_answer
            .header_values("set-cookie")
            .map(str::to_owned)
            .collect();
        browser.delete_cookies("flow");
        let set_cookies = log_in(&mut browser, "https://sso.corp.test").await;
        let is_not_deletion = |line: &&String| !line.contains("Max-Age=0");
        let lines: Vec<_> = flow_lines
            .iter()
            .chain(set_cookies.iter().filter(is_not_deletion))
            .collect();
        assert!(
            lines.iter().any(|line| line.starts_with("__Host-menshen=")),
            "{lines:?}"
        );
        for line in lines {
            assert_eq!(
                line.contains("SameSite=None"),
                supports_none,
                "{user_agent}: {line}"
            );
            assert!(!line.contains("SameSite=Lax"), "{user_agent}: {line}");
            assert!(
                line.contains("Secure") && line.contains("HttpOnly"),
                "{line}"
            );
        }
    }
}

#[tokio::test]
async fn its_attributes_are_the_strictest_that_the_configuration_allows() {
    let rows = [
        (
            Setup::default(),
            "http://sso.test",
            "menshen",
            "HttpOnly; SameSite=Lax; Path=/; Max-Age=43200",
        ),
        (
            https_setup(""),
            "https://sso.corp.test",
            "__Host-menshen",
            "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=43200",
        ),
        (
            https_setup("cookie_domain = \"corp.test\"\nlifetime = \"1h\"\nidle_timeout = \"30m\""),
            "https://sso.corp.test",
            "__Secure-menshen",
            "HttpOnly; SameSite=Lax; Secure; Path=/; Domain=corp.test; Max-Age=3600",
        ),
        (
            https_setup("cookie_same_site = \"none\""),
            "https://sso.corp.test",
            "__Host-menshen",
            "HttpOnly; SameSite=None; Partitioned; Secure; Path=/; Max-Age=43200",
        ),
    ];
    for (setup, origin, name, attributes) in rows {
        let menshen = setup.start().await;
        let mut browser = Browser::new(&menshen);
        if origin.starts_with("https") {
            browser = browser.over_https();
        }
        let set_cookies = log_in(&mut browser, origin).await;
        let session: Vec<_> = set_cookies
            .iter()
            .filter(|line| line.starts_with(name) && !line.contains("-flow-"))
            .collect();
        assert_eq!(session.len(), 1, "{set_cookies:?}");
        assert!(is_cookie(session[0], name, attributes), "{}", session[0]);
        // The flow cookie is deleted with the attributes that its prefix requires.
        let flow: Vec<_> = set_cookies
            .iter()
            .filter(|line| line.contains("-flow-"))
            .collect();
        assert_eq!(flow.len(), 1, "{set_cookies:?}");
        assert!(flow[0].contains("Max-Age=0"), "{}", flow[0]);
        let mut cookies = browser.cookies().iter();
        assert!(cookies.all(|cookie| !cookie.name.contains("flow")));
        let value = browser.cookie(name).unwrap().value.clone();
        assert!(value.len() <= 300, "{} bytes", value.len());
        // Signing out deletes the cookie.
        let answer = browser.visit(&format!("{origin}/.menshen/sign_out")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(browser.cookie(name), None);
        let request = TestRequest::get("/echo")
            .host(origin.split_once("://").unwrap().1)
            .header("X-Forwarded-Proto", "https")
            .header("Cookie", &format!("{name}={value}"));
        let replayed = match origin.starts_with("https") {
            true => request.send(&menshen).await,
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
async fn the_cookie_is_set_at_a_login_and_not_again() {
    let menshen = Menshen::new().await;
    let cookie = crate::test_request::session_cookie_of(&menshen, "zhangsan").await;
    for request in [
        TestRequest::get("/echo").session(&cookie),
        TestRequest::get("/echo")
            .session(&cookie)
            .headers(&navigation_headers()),
        TestRequest::get("/.menshen/userinfo").session(&cookie),
    ] {
        let answer = request.send(&menshen).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header_values("set-cookie").count(), 0);
    }
}

#[tokio::test]
async fn a_session_cookie_is_refused_under_a_name_with_another_prefix() {
    let menshen = https_setup("").start().await;
    let mut browser = Browser::new(&menshen).over_https();
    log_in(&mut browser, "https://sso.corp.test").await;
    let value = browser.cookie("__Host-menshen").unwrap().value.clone();
    for (name, expected) in [
        ("__Host-menshen", 200),
        ("__Secure-menshen", 401),
        ("menshen", 401),
        ("__host-menshen", 401),
    ] {
        let request = TestRequest::get("/echo").host("sso.corp.test");
        let request = request.header("Cookie", &format!("{name}={value}"));
        assert_eq!(request.send(&menshen).await.status, expected, "{name}");
    }
}
