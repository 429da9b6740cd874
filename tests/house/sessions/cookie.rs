//! The session cookie as a browser gets it: flags, size, and how it is taken back.

use crate::asking::Ask;
use crate::browser::{Browser, navigation};
use crate::house::{House, Plan};
use crate::wecom::AGENT_ID;

/// A whole login at `home`; the `Set-Cookie` lines of the answer that ends it.
async fn login(house: &House, browser: &mut Browser, home: &str) -> Vec<String> {
    let source = browser.to_source(&format!("{home}/echo")).await;
    let back = browser.choose(&source, "zhangsan").await;
    let answer = browser.visit(&back).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    let _ = house;
    answer.all("set-cookie").map(str::to_owned).collect()
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
fn https(session: &str) -> Plan {
    let routes = "[[route]]\nname = 'app'\nhost = 'sso.corp.test'\nupstream = ['{app}']\n";
    Plan::default()
        .external_url("https://sso.corp.test")
        .server(TRUSTING)
        .session(session)
        .routes(routes)
}

#[tokio::test]
async fn its_flags_are_the_strictest_the_site_allows() {
    let rows = [
        (
            Plan::default(),
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
    for (plan, home, name, flags) in rows {
        let house = plan.start().await;
        let mut browser = Browser::new(&house);
        if home.starts_with("https") {
            browser = browser.over_https();
        }
        let set = login(&house, &mut browser, home).await;
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
        let again = Ask::get("/echo")
            .host(home.split_once("://").unwrap().1)
            .header("X-Forwarded-Proto", "https")
            .header("Cookie", &format!("{name}={value}"));
        let replayed = match home.starts_with("https") {
            true => again.of(&house).await,
            false => Ask::get("/echo").session(&value).of(&house).await,
        };
        assert_eq!(replayed.status, 401, "{name} was replayed");
    }
}

#[tokio::test]
async fn it_is_written_at_a_login_and_not_again() {
    let house = House::new().await;
    let cookie = crate::asking::signed_in(&house, "zhangsan").await;
    for ask in [
        Ask::get("/echo").session(&cookie),
        Ask::get("/echo").session(&cookie).headers(&navigation()),
        Ask::get("/.menshen/userinfo").session(&cookie),
    ] {
        let answer = ask.of(&house).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.all("set-cookie").count(), 0);
    }
}

#[tokio::test]
async fn a_cookie_of_one_prefix_is_nothing_under_another() {
    let house = https("").start().await;
    house.source.domains_of_agent(AGENT_ID, &["sso.corp.test"]);
    let mut browser = Browser::new(&house).over_https();
    login(&house, &mut browser, "https://sso.corp.test").await;
    let value = browser.cookie("__Host-menshen").unwrap().value.clone();
    for (name, expected) in [
        ("__Host-menshen", 200),
        ("__Secure-menshen", 401),
        ("menshen", 401),
        ("__host-menshen", 401),
    ] {
        let ask = Ask::get("/echo").host("sso.corp.test");
        let ask = ask.header("Cookie", &format!("{name}={value}"));
        assert_eq!(ask.of(&house).await.status, expected, "{name}");
    }
}
