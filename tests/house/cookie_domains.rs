//! The session cookie with `cookie_domain`, and over https.

use crate::browser::Browser;
use crate::setup::Setup;

const WILDCARD_ROUTES: &str = r#"
[[route]]
name = "any"
host = "*.corp.test"
upstream = ["{app}"]
[[route]]
name = "foreign"
host = "oa.test"
upstream = ["{app}"]
"#;

/// A host that a route names, and that so receives sessions without a confirmation.
const NAMED_ROUTE: &str = r#"
[[route]]
name = "oa"
host = "oa.corp.test"
upstream = ["{app}"]
"#;

#[tokio::test]
async fn one_cookie_covers_every_host_below_its_domain() {
    let setup = Setup::default()
        .external_url("http://sso.corp.test")
        .session("cookie_domain = 'corp.test'")
        .routes(WILDCARD_ROUTES);
    let menshen = setup.start().await;
    let mut browser = Browser::new(&menshen);
    let page = browser.sign_in("http://oa.corp.test/echo", "lisi").await;
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "http://oa.corp.test/echo")
    );
    assert!(!browser.visited.iter().any(|url| url.contains("/ticket")));
    let visited = browser.visited.len();
    assert_eq!(
        browser
            .follow("http://hr.corp.test/echo")
            .await
            .answer
            .status,
        200
    );
    assert_eq!(browser.visited.len(), visited + 1);
    let cookie = browser.cookie("menshen").unwrap();
    assert!(cookie.for_subdomains && cookie.host == "corp.test");
    assert!(browser.cookies().len() == 1, "{:?}", browser.cookies());
    // A host outside the domain gets its own cookie by a ticket.
    let page = browser.follow("http://oa.test/echo").await;
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "http://oa.test/echo")
    );
    assert!(
        browser
            .visited
            .iter()
            .any(|url| url.contains("oa.test/.menshen/ticket"))
    );
    // A sign-out on one host deletes the cookie of the domain.
    browser.visit("http://hr.corp.test/.menshen/sign_out").await;
    assert!(
        browser
            .cookies()
            .iter()
            .all(|cookie| cookie.host == "oa.test")
    );
    assert_eq!(
        browser
            .visit("http://oa.test/.menshen/userinfo")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn over_https_every_cookie_is_secure_and_bound_to_its_host() {
    for (session, name, wide) in [
        ("", "__Host-menshen", false),
        ("cookie_domain = 'corp.test'", "__Secure-menshen", true),
    ] {
        let setup = Setup::default()
            .external_url("https://sso.corp.test")
            .server("trusted_proxies = ['127.0.0.1']")
            .session(session)
            .routes(&format!("{WILDCARD_ROUTES}{NAMED_ROUTE}"));
        let menshen = setup.start().await;
        let mut browser = Browser::new(&menshen).over_https();
        let page = browser.sign_in("https://oa.corp.test/echo", "lisi").await;
        assert_eq!(
            (page.answer.status, page.url.as_str()),
            (200, "https://oa.corp.test/echo")
        );
        assert!(browser.cookies().iter().all(|cookie| cookie.secure));
        let cookie = browser.cookie(name).unwrap();
        assert_eq!(cookie.for_subdomains, wide);
        let https = |url: &&String| url.contains("corp.test") && !url.contains("127.0.0.1");
        assert!(
            browser
                .visited
                .iter()
                .filter(https)
                .all(|url| url.starts_with("https://"))
        );
        // After a sign-out the browser has no cookie: the one that deletes it has the attributes that its
        // prefix requires.
        let page = browser
            .visit("https://oa.corp.test/.menshen/sign_out")
            .await;
        assert_eq!(page.status, 200);
        let remaining = browser
            .cookies()
            .iter()
            .filter(|cookie| cookie.host != "sso.corp.test");
        assert_eq!(remaining.count(), 0, "{:?}", browser.cookies());
    }
}
