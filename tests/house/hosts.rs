//! Several hosts: one login is enough for all, and a ticket that passes the session on works once.

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::{Browser, href, navigation_headers};
use crate::checking::TRUST_LOOPBACK;
use crate::logging_in::OWN_PAGES;
use crate::records::Records;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::TestRequest;

const OTHER_HOSTS: [&str; 2] = ["http://oa.test", "http://hr.test"];

/// A browser that is signed in on the login host, and its ticket for oa.test.
async fn browser_with_ticket(menshen: &Menshen) -> (Browser, String) {
    let mut browser = Browser::new(menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let page = browser
        .follow_until("http://oa.test/echo?x=1", |next| next.contains("/ticket?"))
        .await;
    assert!(
        page.url.starts_with("http://oa.test/.menshen/ticket?t="),
        "{}",
        page.url
    );
    (browser, page.url)
}

fn sessions_on(browser: &Browser, host: &str) -> usize {
    let is_session = |cookie: &&crate::browser::Cookie| {
        cookie.host == host && ["menshen", "__Host-menshen"].contains(&cookie.name.as_str())
    };
    browser.cookies().iter().filter(is_session).count()
}

#[tokio::test]
async fn a_session_reaches_every_host_without_another_login() {
    let menshen = Menshen::new().await;
    for first in [SSO_URL, "http://oa.test"] {
        let mut browser = Browser::new(&menshen);
        let page = browser
            .sign_in(&format!("{first}/echo?a=%2f"), "lisi")
            .await;
        assert_eq!(
            (page.answer.status, page.url),
            (200, format!("{first}/echo?a=%2f"))
        );
        let calls_before = menshen.wecom.calls("/wwlogin/sso/login");
        for host in OTHER_HOSTS.iter().chain([&SSO_URL]) {
            let page = browser.follow(&format!("{host}/echo?b=%2F+")).await;
            assert_eq!(page.url, format!("{host}/echo?b=%2F+"));
            assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
        }
        assert_eq!(menshen.wecom.calls("/wwlogin/sso/login"), calls_before);
        // The only cookies that remain are a session on each host.
        assert_eq!(browser.cookies().len(), 3, "{:?}", browser.cookies());
    }
}

#[tokio::test]
async fn a_login_always_runs_on_the_login_host() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let redirect = browser.visit("http://hr.test/echo").await;
    let to = redirect.header("location").unwrap();
    assert!(
        to.starts_with(&format!("{OWN_PAGES}/start?rd=http%3A//hr.test/echo&k=")),
        "{to}"
    );
    for page in ["sign_in", "start"] {
        let url = format!("http://hr.test/.menshen/{page}?rd=/echo");
        let answer = browser.visit(&url).await;
        let to = answer.header("location").unwrap();
        assert!(
            to.starts_with(&format!("{OWN_PAGES}/{page}?rd=http%3A//hr.test/echo&k=")),
            "{to}"
        );
    }
    let page = browser.open_login_page("http://hr.test/echo").await;
    assert!(page.contains("redirect_uri=http%3A%2F%2Fsso.test%2F.menshen%2Fcallback%2Fcorp"));
    assert_eq!(sessions_on(&browser, "hr.test"), 0);
}

#[tokio::test]
async fn an_absolute_return_url_is_kept_on_every_host() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for (asked_at, rd, reached) in [
        (SSO_URL, "http://oa.test/echo", "http://oa.test/echo"),
        (
            "http://hr.test",
            "http://oa.test/echo",
            "http://oa.test/echo",
        ),
        (
            "http://hr.test",
            "http://sso.test/echo",
            "http://sso.test/echo",
        ),
        ("http://hr.test", "/echo", "http://hr.test/echo"),
        (
            "http://hr.test",
            "http://hr.test/echo",
            "http://hr.test/echo",
        ),
        ("http://hr.test", "http://evil.test/echo", "http://hr.test/"),
    ] {
        for page in ["start", "sign_in"] {
            let mut browser = Browser::new(&menshen);
            let url = format!("{asked_at}/.menshen/{page}?rd={rd}");
            let end = browser.sign_in(&url, "lisi").await;
            assert_eq!(
                (end.answer.status, end.url.as_str()),
                (200, reached),
                "{url}"
            );
        }
    }
}

/// The routes for a host that only checks know, one with a wildcard, and an exact one.
const CHECKED_ROUTES: &str = r#"
[[route]]
name = "home"
host = "sso.test"
upstream = ["{app}"]
[[route]]
name = "checked"
host = "oa.test"
[[route]]
name = "wild"
host = "*.lab.test"
upstream = ["{app}"]
"#;

/// The status of a check of nginx for a page of oa.test.
async fn check_oa(menshen: &Menshen, browser: &Browser) -> u16 {
    let cookies = browser.cookies().iter().filter(|one| one.host == "oa.test");
    let cookies: Vec<_> = cookies
        .map(|one| format!("{}={}", one.name, one.value))
        .collect();
    let check = TestRequest::get("/.menshen/auth")
        .host("oa.test")
        .header("X-Forwarded-Uri", "/page?x=1")
        .header("X-Forwarded-Proto", "http")
        .header("Cookie", &cookies.join("; "));
    check.send(menshen).await.status
}

#[tokio::test]
async fn a_login_that_a_proxy_starts_on_the_login_host_reaches_the_other_host() {
    let setup = Setup::default()
        .server(TRUST_LOOPBACK)
        .tables(NO_LOGIN_LIMITS);
    let menshen = setup.routes(CHECKED_ROUTES).start().await;
    let page = "http://oa.test/page?x=1";
    let rd = "http%3A//oa.test/page%3Fx%3D1";
    for own_page in ["start", "sign_in"] {
        // Somebody signs in; whoever is signed in already sees no source.
        for is_signed_in in [false, true] {
            let mut browser = Browser::new(&menshen);
            if is_signed_in {
                browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
            }
            assert_eq!(check_oa(&menshen, &browser).await, 401);
            let mut start = format!("{OWN_PAGES}/{own_page}?rd={rd}");
            if is_signed_in && own_page == "sign_in" {
                let html = browser.visit(&start).await.text();
                start = format!("{SSO_URL}{}", href(&html, "/start?").unwrap());
            } else if !is_signed_in {
                let login = browser.open_login_page(&start).await;
                start = browser.choose_person(&login, "lisi").await;
            }
            let end = browser.follow_until(&start, |next| next == page).await;
            let what = format!("{own_page}, signed in: {is_signed_in}");
            assert_eq!(end.url, page, "{what}");
            assert_eq!(check_oa(&menshen, &browser).await, 202, "{what}");
        }
    }
}

#[tokio::test]
async fn the_login_host_sends_people_on_to_hosts_of_the_site_only_and_once() {
    let log = Records::process_log();
    let setup = Setup::default()
        .server(TRUST_LOOPBACK)
        .tables(NO_LOGIN_LIMITS);
    let menshen = setup.routes(CHECKED_ROUTES).start().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    for rd in [
        "http://evil.test/",
        "https://oa.test/",
        "http://oa.test:81/",
        "//evil.test/",
    ] {
        let answer = browser.visit(&format!("{OWN_PAGES}/start?rd={rd}")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (200, None),
            "{rd}"
        );
    }
    // A host of a wildcard gets the session only if the person agrees.
    let page = browser
        .follow(&format!("{OWN_PAGES}/start?rd=http://a.lab.test/echo"))
        .await;
    assert_eq!(page.answer.status, 200);
    assert!(page.answer.text().contains("a.lab.test"), "{}", page.url);
    assert_eq!(sessions_on(&browser, "a.lab.test"), 0);
    // A proxy that forwards requests of the other host under the name of the login host.
    let there = browser
        .visit(&format!("{OWN_PAGES}/start?rd=http://oa.test/page"))
        .await;
    let there = there.header("location").unwrap().to_owned();
    assert!(
        there.starts_with("http://oa.test/.menshen/start?rd="),
        "{there}"
    );
    let here = there.replace("http://oa.test/.menshen", OWN_PAGES);
    let answer = browser.visit(&here).await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert!(log.text().contains("pass the requested host"));
    // A proxy that forwards them under a third name.
    let elsewhere = there.replace("http://oa.test/.menshen", "http://a.lab.test/.menshen");
    let answer = browser.visit(&elsewhere).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (400, Some(Cause::NotOnLoginHost))
    );
    let calls = menshen.wecom.calls("/wwlogin/sso/login");
    assert_eq!(calls, 1, "only the first login went to the source");
}

#[tokio::test]
async fn with_one_cookie_for_both_hosts_the_start_page_returns_at_once() {
    let menshen = Setup::default()
        .external_url("http://sso.corp.test")
        .session("cookie_domain = \"corp.test\"")
        .routes(&CHECKED_ROUTES.replace(".test", ".corp.test"))
        .start()
        .await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in("http://sso.corp.test/echo", "lisi").await;
    let url = "http://sso.corp.test/.menshen/start?rd=http://oa.corp.test/page";
    let answer = browser.visit(url).await;
    assert_eq!(answer.header("location"), Some("http://oa.corp.test/page"));
}

#[tokio::test]
async fn a_ticket_works_once() {
    let menshen = Menshen::new().await;
    let (mut browser, ticket) = browser_with_ticket(&menshen).await;
    let before = browser.clone();
    let page = browser.follow(&ticket).await;
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "http://oa.test/echo?x=1")
    );
    // A repeated ticket is harmless in its browser, and useless in another.
    let page = browser.follow(&ticket).await;
    assert_eq!(page.url, "http://oa.test/echo?x=1");
    let mut copy = before;
    let answer = copy.visit(&ticket).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (400, Some(Cause::InvalidTicket))
    );
    assert_eq!(sessions_on(&copy, "oa.test"), 0);
}

#[tokio::test]
async fn a_ticket_redeemed_twice_concurrently_works_once() {
    let menshen = Menshen::new().await;
    let (browser, ticket) = browser_with_ticket(&menshen).await;
    let mut tabs: Vec<_> = (0..8).map(|_| browser.clone()).collect();
    futures_util::future::join_all(tabs.iter_mut().map(|tab| tab.visit(&ticket))).await;
    let session_count: usize = tabs.iter().map(|tab| sessions_on(tab, "oa.test")).sum();
    assert_eq!(session_count, 1);
}

#[tokio::test]
async fn a_ticket_works_only_on_its_host_in_time_for_its_browser() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    type Change = fn(&Menshen, &mut Browser, String) -> String;
    let cases: [(&str, Change); 9] = [
        ("late", |menshen, _, ticket| {
            menshen.advance(Duration::from_secs(61));
            ticket
        }),
        ("on another host", |_, _, ticket| {
            ticket.replace("oa.test", "hr.test")
        }),
        ("on the login host", |_, _, ticket| {
            ticket.replace("oa.test", "sso.test")
        }),
        ("in a browser without the nonce", |_, browser, ticket| {
            browser.delete_cookies("nonce");
            ticket
        }),
        ("in another browser", |menshen, browser, ticket| {
            *browser = Browser::new(menshen);
            ticket
        }),
        ("with another nonce", |_, browser, ticket| {
            let nonce = browser
                .cookies()
                .iter()
                .find(|one| one.name.contains("nonce"));
            let name = nonce.unwrap().name.clone();
            browser.set_cookie("oa.test", &name, "AAAAAAAAAAAAAAAAAAAAAA");
            ticket
        }),
        ("damaged", |_, _, ticket| {
            let (start, end) = ticket.split_at(ticket.len() - 20);
            let other = if end.starts_with('A') { 'B' } else { 'A' };
            format!("{start}{other}{}", &end[1..])
        }),
        ("truncated", |_, _, ticket| {
            ticket[..ticket.len() - 8].to_owned()
        }),
        ("missing", |_, _, ticket| {
            ticket.split('?').next().unwrap().to_owned()
        }),
    ];
    for (what, change) in cases {
        let (mut browser, ticket) = browser_with_ticket(&menshen).await;
        let url = change(&menshen, &mut browser, ticket);
        let before = browser.cookies().to_vec();
        let page = browser.visit(&url).await;
        for host in ["oa.test", "hr.test"] {
            assert_eq!(sessions_on(&browser, host), 0, "{what} {host}");
        }
        if what == "on the login host" {
            assert_eq!(browser.cookies(), before, "{what}");
        }
        assert_eq!(
            (page.status, page.cause()),
            (400, Some(Cause::InvalidTicket)),
            "{what}"
        );
        assert!(href(&page.text(), "/").is_some(), "{what}");
    }
}

#[tokio::test]
async fn a_nonce_works_only_on_its_host() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    // The victim follows a link with the attacker's nonce to a host where the victim has none.
    let mut attacker = Browser::new(&menshen);
    let attackers_url = attacker.visit("http://oa.test/echo").await;
    let attackers_url = attackers_url.header("location").unwrap().to_owned();
    let page = browser.follow(&attackers_url).await;
    assert_eq!(page.cause(), Some(Cause::InvalidTicket));
    assert_eq!(sessions_on(&browser, "oa.test"), 0);
    // The attacker could redeem the ticket, which is bound to their nonce. It is only in the URL in the
    // victim's browser.
    assert!(page.url.contains("/ticket?t="));
}

#[tokio::test]
async fn a_session_cookie_works_only_on_its_host() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in("http://oa.test/echo", "lisi").await;
    let cookie_of_oa = browser.cookies().iter().find(|one| one.host == "oa.test");
    let value = cookie_of_oa.unwrap().value.clone();
    for (host, is_accepted) in [("oa.test", true), ("hr.test", false), ("sso.test", false)] {
        let mut other_browser = Browser::new(&menshen);
        other_browser.set_cookie(host, "menshen", &value);
        let answer = other_browser
            .visit(&format!("http://{host}/.menshen/userinfo"))
            .await;
        assert_eq!(answer.status == 200, is_accepted, "{host}");
        let answer = other_browser.visit(&format!("http://{host}/echo")).await;
        assert_eq!(
            answer.text().contains("x-forwarded-user"),
            is_accepted,
            "{host}"
        );
    }
}

#[tokio::test]
async fn sign_out_on_one_host_ends_the_session_on_all() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for signed_out_on in [SSO_URL, "http://oa.test", "http://hr.test"] {
        let mut browser = Browser::new(&menshen);
        browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
        for host in OTHER_HOSTS {
            browser.follow(&format!("{host}/echo")).await;
        }
        let copy_of_browser = browser.clone();
        let page = browser
            .visit(&format!("{signed_out_on}/.menshen/sign_out"))
            .await;
        assert_eq!(page.status, 200);
        for mut browser in [browser, copy_of_browser] {
            for host in OTHER_HOSTS.iter().chain([&SSO_URL]) {
                let info = format!("{host}/.menshen/userinfo");
                assert_eq!(
                    browser.visit(&info).await.status,
                    401,
                    "{signed_out_on} {host}"
                );
            }
        }
    }
}

#[tokio::test]
async fn switching_accounts_returns_to_the_host_that_refused() {
    let routes = r#"
        [[route]]
        name = "home"
        host = "sso.test"
        upstream = ["{app}"]
        [[route]]
        name = "oa"
        host = "oa.test"
        upstream = ["{app}"]
        allow = "user.login == 'lisi'"
    "#;
    let menshen = Setup::default().routes(routes).start().await;
    let mut browser = Browser::new(&menshen);
    let page = browser.sign_in("http://oa.test/echo?q=1", "zhangsan").await;
    assert_eq!(page.answer.status, 403);
    let switch = href(&page.answer.text(), "/sign_out?rd=").unwrap();
    let from = [("Origin", "http://oa.test"), ("Accept", "text/html")];
    let out = browser
        .send("POST", &format!("http://oa.test{switch}"), &from, b"")
        .await;
    assert_eq!(out.status, 303, "{}", out.text());
    let chooser = out.header("location").unwrap().to_owned();
    let page = browser.sign_in(&chooser, "lisi").await;
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "http://oa.test/echo?q=1")
    );
}

#[tokio::test]
async fn a_program_on_another_host_is_not_redirected() {
    let menshen = Menshen::new().await;
    let (mut browser, ticket) = browser_with_ticket(&menshen).await;
    let mut headers = navigation_headers();
    headers[1].1 = "cors";
    headers[2].1 = "empty";
    let answer = browser.send("GET", &ticket, &headers, b"").await;
    assert_eq!(answer.status, 403);
    assert_eq!(sessions_on(&browser, "oa.test"), 0);
    let answer = Browser::new(&menshen)
        .send("GET", "http://oa.test/echo", &headers, b"")
        .await;
    assert_eq!((answer.status, answer.header("set-cookie")), (401, None));
}
