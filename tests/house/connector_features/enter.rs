//! Unsolicited logins at `/enter`: which requests are accepted, and how often.

mod confirmation;

use menshen::face::page::Cause;

use super::test_source::TestSource;
use super::{ID, flow_id_in, has_pending_login};
use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, ROUTES, SSO_URL, Setup};
use crate::stores::TempDir;
use crate::wire::Answer;

/// The headers of a link on a portal.
const LINK_HEADERS: [(&str, &str); 4] = [
    ("Accept", "text/html"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "cross-site"),
];

/// The headers of a form post of menshen's own page.
pub(super) const OWN_FORM: [(&str, &str); 6] = [
    ("Accept", "text/html"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Origin", SSO_URL),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
];

pub(super) fn setup(source: &TestSource) -> Setup {
    let setup = Setup::default().tables(NO_LOGIN_LIMITS).access_log();
    setup.connector_of_kind(ID, "", source.kind())
}

pub(super) async fn start_menshen() -> (Menshen, TestSource) {
    let source = TestSource::with_tickets(&[]);
    (setup(&source).start().await, source)
}

/// Follows a link of a portal to `/enter`.
pub(super) async fn follow_portal_link(browser: &mut Browser, query: &str) -> Answer {
    let url = format!("{OWN_PAGES}/enter/{ID}?{query}");
    browser.send("GET", &url, &LINK_HEADERS, b"").await
}

/// Submits a ticket with a form of a portal page, which is cross-site and so without menshen's cookies.
pub(super) async fn post_ticket(browser: &mut Browser, ticket: &str) -> Page {
    let html = format!(
        "<form method=\"post\" action=\"{OWN_PAGES}/enter/{ID}\">\
         <input name=\"ticket\" value=\"{ticket}\"><input name=\"rd\" value=\"/echo\"></form>"
    );
    let portal = Page {
        url: "http://portal.test/home".to_owned(),
        answer: Answer {
            status: 200,
            headers: Vec::new(),
            body: html.into_bytes(),
        },
    };
    browser.submit(&portal).await
}

/// Whether a response sets a session cookie.
pub(super) fn sets_session(answer: &Answer) -> bool {
    let mut cookies = answer.header_values("set-cookie");
    cookies.any(|cookie| cookie.starts_with("menshen=") && !cookie.starts_with("menshen=;"))
}

/// The login name of the person who is signed in, by userinfo.
pub(super) async fn signed_in_user(browser: &Browser) -> Option<String> {
    let url = format!("{OWN_PAGES}/userinfo");
    let answer = browser.clone().send("GET", &url, &[], b"").await;
    let is_somebody = answer.status == 200;
    is_somebody.then(|| answer.json()["login"].as_str().unwrap().to_owned())
}

fn assert_refused(answer: &Answer, what: &str) {
    assert_eq!(
        (answer.status, answer.cause()),
        (403, Some(Cause::EntryTokenRefused)),
        "{what}: {}",
        answer.text()
    );
    assert!(!sets_session(answer), "{what}");
    assert_eq!(
        answer.header("referrer-policy"),
        Some("no-referrer"),
        "{what}"
    );
}

#[tokio::test]
async fn a_ticket_signs_its_person_in_and_is_never_disclosed() {
    let (menshen, source) = start_menshen().await;
    for (at, (rd, to)) in [
        ("rd=%2Fecho%3Fa%3Db", "/echo?a=b"),
        // The other host requests the ticket for the session.
        (
            "rd=http://oa.test/echo",
            "http://oa.test/.menshen/start?rd=http%3A//oa.test/echo&o=",
        ),
        ("rd=http://evil.test/", "/"),
        ("rd=//evil.test/", "/"),
        ("", "/"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut browser = Browser::new(&menshen);
        let ticket = format!("lisi.hunter{at}");
        let answer = follow_portal_link(&mut browser, &format!("ticket={ticket}&{rd}")).await;
        // What follows `o=` proves who sent the person there.
        let shown = answer.header("location").unwrap();
        let shown = shown.find("&o=").map_or(shown, |at| &shown[..at + 3]);
        assert_eq!((answer.status, shown), (303, to), "{rd}");
        assert!(sets_session(&answer), "{rd}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(!answer.text().contains("hunter"), "{}", answer.text());
        assert!(!has_pending_login(&browser), "{:?}", browser.cookies());
        assert_eq!(signed_in_user(&browser).await.as_deref(), Some("lisi"));
    }
    // A form post keeps the ticket out of URLs.
    let mut browser = Browser::new(&menshen);
    let page = post_ticket(&mut browser, "wangwu.hunter9").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo"));
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["wangwu"]);
    assert!(browser.visited.iter().all(|url| !url.contains("hunter9")));
    assert_eq!(source.received().len(), 6);
    let audit = menshen.audit();
    let logins = audit.iter().filter(|line| line["event"] == "login").count();
    assert_eq!(logins, 6, "{audit:?}");
    assert!(!menshen.records.text().contains("hunter"));
}

#[tokio::test]
async fn a_ticket_is_accepted_once_across_nodes_even_concurrently() {
    let dir = TempDir::new();
    let source = TestSource::with_tickets(&[]);
    let one = setup(&source).store(&dir.url()).start().await;
    let other = setup(&source)
        .store(&dir.url())
        .clock(&one.clock)
        .start()
        .await;
    let mut first = Browser::new(&one);
    assert!(sets_session(
        &follow_portal_link(&mut first, "ticket=lisi.1").await
    ));
    assert_refused(
        &follow_portal_link(&mut Browser::new(&one), "ticket=lisi.1").await,
        "the same node",
    );
    assert_eq!(
        source.received(),
        ["lisi.1"],
        "the ticket was sent to the source once"
    );
    assert_refused(
        &follow_portal_link(&mut Browser::new(&other), "ticket=lisi.1").await,
        "another node",
    );
    // A ticket is recognized by its ID, if it has one.
    assert!(sets_session(
        &follow_portal_link(&mut Browser::new(&one), "ticket=lisi.id-7").await
    ));
    assert_refused(
        &follow_portal_link(&mut Browser::new(&one), "ticket=lisi.id-7x").await,
        "same ID",
    );
    for ticket in ["lisi.2", "lisi.3", "lisi.4"] {
        let query = format!("ticket={ticket}");
        let (mut a, mut b) = (Browser::new(&one), Browser::new(&one));
        let (mut c, mut d) = (Browser::new(&other), Browser::new(&other));
        let answers = tokio::join!(
            follow_portal_link(&mut a, &query),
            follow_portal_link(&mut b, &query),
            follow_portal_link(&mut c, &query),
            follow_portal_link(&mut d, &query)
        );
        let answers = [answers.0, answers.1, answers.2, answers.3];
        let (accepted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|it| sets_session(it));
        assert_eq!(accepted.len(), 1, "{answers:?}");
        refused
            .iter()
            .for_each(|answer| assert_refused(answer, ticket));
    }
    // The browser that signed in may repeat the request.
    let again = follow_portal_link(&mut first, "ticket=lisi.1&rd=/echo").await;
    assert_eq!((again.status, again.header("location")), (303, Some("/")));
    assert!(!sets_session(&again));
}

#[tokio::test]
async fn only_a_top_level_navigation_is_accepted() {
    let (menshen, source) = start_menshen().await;
    let url = format!("{OWN_PAGES}/enter/{ID}?ticket=lisi.1");
    let fetch = |mode, dest| {
        vec![
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", "cross-site"),
        ]
    };
    let mut prefetch = LINK_HEADERS.to_vec();
    prefetch.push(("Sec-Purpose", "prefetch"));
    for (headers, status) in [
        (fetch("cors", "empty"), 401),
        (fetch("no-cors", "image"), 401),
        (fetch("no-cors", "script"), 401),
        (fetch("navigate", "iframe"), 401),
        (prefetch, 401),
        (vec![("Accept", "*/*")], 401),
    ] {
        for method in ["GET", "POST"] {
            let mut browser = Browser::new(&menshen);
            let answer = browser.send(method, &url, &headers, b"").await;
            assert_eq!(answer.status, status, "{method} {headers:?}");
            assert!(
                answer.header("set-cookie").is_none(),
                "{method} {headers:?}"
            );
        }
    }
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        let answer = Browser::new(&menshen)
            .send(method, &url, &LINK_HEADERS, b"")
            .await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, POST"), "{method}");
    }
    for (path, status) in [("corp", 404), ("nobody", 404), ("Idp", 404)] {
        let url = format!("{OWN_PAGES}/enter/{path}?ticket=lisi.1");
        let answer = Browser::new(&menshen)
            .send("GET", &url, &LINK_HEADERS, b"")
            .await;
        assert_eq!(answer.status, status, "{path}");
    }
    let elsewhere = format!("http://oa.test/.menshen/enter/{ID}?ticket=lisi.1");
    let answer = Browser::new(&menshen)
        .send("GET", &elsewhere, &LINK_HEADERS, b"")
        .await;
    assert_eq!(answer.cause(), Some(Cause::NotOnLoginHost));
    assert_eq!(source.received(), [""; 0], "nothing was redeemed");
    assert!(sets_session(
        &follow_portal_link(&mut Browser::new(&menshen), "ticket=lisi.1").await
    ));
}

#[tokio::test]
async fn a_repeated_or_oversized_ticket_is_refused() {
    let (menshen, source) = start_menshen().await;
    let long = "l".repeat(8 * 1024 - 2);
    let oversized = format!("ticket={long}.12");
    for query in [
        "",
        "ticket=",
        "ticket=lisi.1&ticket=lisi.1",
        "Ticket=lisi.1",
        &oversized,
    ] {
        let answer = follow_portal_link(&mut Browser::new(&menshen), query).await;
        let start: String = query.chars().take(30).collect();
        assert_eq!(
            (answer.status, answer.cause()),
            (400, Some(Cause::BadRequest)),
            "{start}"
        );
    }
    let url = format!("{OWN_PAGES}/enter/{ID}?ticket=lisi.1");
    let with = |kind: &'static str| {
        let rest = OWN_FORM
            .into_iter()
            .filter(|(name, _)| *name != "Content-Type");
        rest.chain([("Content-Type", kind)]).collect::<Vec<_>>()
    };
    let form = "application/x-www-form-urlencoded";
    for (kind, body) in [
        (form, "ticket=lisi.1"),
        (form, "ticket=lisi.2"),
        ("application/json", ""),
        ("text/plain", ""),
    ] {
        let (mut browser, headers) = (Browser::new(&menshen), with(kind));
        let answer = browser.send("POST", &url, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 400, "{kind} {body}");
    }
    assert_eq!(source.received(), [""; 0]);
}

#[tokio::test]
async fn an_invalid_ticket_is_refused_and_one_that_was_not_redeemed_may_be_retried() {
    let (menshen, source) = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    assert_refused(
        &follow_portal_link(&mut browser, "ticket=wrong.1").await,
        "wrong",
    );
    for _ in 0..2 {
        let answer = follow_portal_link(&mut browser, "ticket=away.1").await;
        assert_eq!(
            (answer.status, answer.cause()),
            (503, Some(Cause::ProviderBusy))
        );
    }
    assert_eq!(source.received(), ["wrong.1", "away.1", "away.1"]);
    let audit = menshen.audit();
    let refused = audit
        .iter()
        .filter(|line| line["event"] == "refused")
        .count();
    assert_eq!(refused, 3, "{audit:?}");
}

#[tokio::test]
async fn only_allowed_origins_are_accepted() {
    let source = TestSource::with_tickets(&["https://portal.test", "http://hr.corp.test:8080"]);
    let menshen = setup(&source).start().await;
    let portal = "https://portal.test";
    for (at, (headers, is_accepted)) in [
        (vec![("Referer", "https://portal.test/a?b")], true),
        (vec![("Referer", "http://hr.corp.test:8080/")], true),
        (vec![("Origin", portal)], true),
        (
            vec![("Origin", portal), ("Referer", "http://evil.test/")],
            true,
        ),
        (
            vec![
                ("Origin", "http://evil.test"),
                ("Referer", "https://portal.test/"),
            ],
            false,
        ),
        (
            vec![("Origin", "null"), ("Referer", "https://portal.test/")],
            false,
        ),
        (vec![("Referer", "http://portal.test/")], false),
        (vec![("Referer", "https://portal.test.evil.test/")], false),
        (vec![("Referer", "https://portal.test:8443/")], false),
        (vec![("Referer", "http://hr.corp.test/")], false),
        (vec![("Referer", "portal.test")], false),
        (vec![], false),
    ]
    .into_iter()
    .enumerate()
    {
        let what = format!("{headers:?}");
        let headers: Vec<_> = LINK_HEADERS.into_iter().chain(headers).collect();
        let url = format!("{OWN_PAGES}/enter/{ID}?ticket=lisi.{at}");
        let answer = Browser::new(&menshen)
            .send("GET", &url, &headers, b"")
            .await;
        assert_eq!(sets_session(&answer), is_accepted, "{what}");
        if !is_accepted {
            assert_refused(&answer, &what);
        }
    }
    assert_eq!(source.received().len(), 4, "{:?}", source.received());
}

#[tokio::test]
async fn no_login_begins_at_a_connector_with_unsolicited_logins_only() {
    let source = TestSource::with_tickets(&[]);
    let by_portal = ROUTES.replace(
        "host = \"oa.test\"",
        "host = \"oa.test\"\nconnectors = [\"idp\"]",
    );
    let setup = Setup::default().tables(NO_LOGIN_LIMITS).routes(&by_portal);
    let setup = setup.connector_of_kind(
        ID,
        "auto_login = \"always\"\ndisplay_name = \"Portal One\"",
        source.kind(),
    );
    let menshen = setup.start().await;
    let mut browser = Browser::new(&menshen);
    for path in [
        format!("/start?connector={ID}"),
        format!("/login-config/{ID}"),
        format!("/callback/{ID}?state=x"),
    ] {
        let answer = browser.visit(&format!("{OWN_PAGES}{path}")).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    // The sign-in page lists only the other connectors.
    let page = browser.follow(&format!("{SSO_URL}/echo")).await;
    let html = page.answer.text();
    assert!(
        page.url.contains("/sign_in") && html.contains("/start?connector=corp"),
        "{html}"
    );
    assert!(!html.contains("Portal One"), "{html}");
    // Without another connector, the page refers to the portal.
    browser
        .extra_headers
        .push(("Accept-Language".to_owned(), "en".to_owned()));
    let page = browser.follow("http://oa.test/echo").await;
    let html = page.answer.text();
    assert!(
        html.contains("from your portal") || html.contains("go back to your portal"),
        "{html}"
    );
    assert!(!html.contains("/start?connector="), "{html}");
    // A ticket of the portal signs the person in on that host.
    let answer = follow_portal_link(&mut browser, "ticket=lisi.1&rd=http://oa.test/echo").await;
    let to = answer.header("location").unwrap().to_owned();
    let page = browser.follow(&to).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}
