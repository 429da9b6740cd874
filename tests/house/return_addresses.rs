//! A login redirects only to the hosts of the configuration, whatever the return address is.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::browser::{Browser, navigation_headers};
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::wire::Answer;

mod hostile;
mod long;
mod own_pages;

use hostile::HOSTILE;

/// The URLs that a response leads to: `Location`, links, forms, refreshes.
fn link_targets(answer: &Answer) -> Vec<String> {
    let mut targets: Vec<_> = answer
        .header_values("location")
        .map(str::to_owned)
        .collect();
    targets.extend(answer.header_values("refresh").map(str::to_owned));
    let content_type = answer.header("content-type").unwrap_or_default();
    if content_type.starts_with("text/html") {
        let html = answer.text();
        assert!(!html.contains("http-equiv"), "no page refreshes itself");
        for name in [
            "href=\"",
            "action=\"",
            "src=\"",
            "data-start=\"",
            "formaction=\"",
        ] {
            let values = html.split(name).skip(1);
            let values = values.map(|rest| rest.split('"').next().unwrap_or_default());
            targets.extend(values.map(unescaped));
        }
    }
    targets
}

fn unescaped(text: &str) -> String {
    let pairs = [
        ("&#38;", "&"),
        ("&amp;", "&"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Asserts that every URL leads to the site or the provider, for a strict and for a lax URL parser.
fn assert_leads_to_site_or_provider(menshen: &Menshen, at: &str, answer: &Answer, what: &str) {
    let base = Url::parse(at).unwrap();
    let wecom = Url::parse(&menshen.wecom.base_url()).unwrap();
    for target in link_targets(answer) {
        if target.starts_with("data:image/svg+xml") {
            continue;
        }
        let to = base
            .join(&target)
            .unwrap_or_else(|_| panic!("{what}: {target}"));
        let hosts = ["sso.test", "oa.test", "hr.test"];
        let is_on_site = to.scheme() == "http"
            && to.port().is_none()
            && to.host_str().is_some_and(|host| hosts.contains(&host));
        assert!(
            is_on_site || to.origin() == wecom.origin(),
            "{what}: {target}"
        );
        // Parsers that decode, resolve and drop more than a browser does.
        let path: String = target
            .chars()
            .filter(|c| !c.is_whitespace() && !c.is_control())
            .collect();
        let local = path.starts_with('/') && !path[1..].starts_with(['/', '\\']);
        assert!(local || path.starts_with("http://"), "{what}: {target}");
        assert!(!to.path().starts_with("//"), "{what}: {target}");
    }
    for (name, value) in &answer.headers {
        let cookie = name.eq_ignore_ascii_case("set-cookie");
        assert!(!cookie || value.starts_with("menshen"), "{what}: {value}");
    }
}

fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A return address as query parameter: encoded once, encoded twice, and unencoded if that is valid in a
/// request target.
fn spellings(rd: &str) -> Vec<String> {
    let mut spellings = vec![percent_encoded(rd), percent_encoded(&percent_encoded(rd))];
    if rd.bytes().all(|byte| byte.is_ascii_graphic()) && !rd.contains(['#', '&']) {
        spellings.push(rd.to_owned());
    }
    spellings
}

#[tokio::test]
async fn no_return_address_leads_off_the_site() {
    assert!(HOSTILE.len() >= 120);
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let mut signed_in = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    signed_in.follow(&format!("{SSO_URL}/x")).await;
    for rd in HOSTILE {
        for spelling in spellings(rd) {
            for page in ["start", "sign_in", "start?connector=corp&", "sign_in?x=1&"] {
                let joint = if page.contains('?') { "" } else { "?" };
                let url = format!("{OWN_PAGES}/{page}{joint}rd={spelling}");
                for browser in [Browser::new(&menshen), signed_in.clone()] {
                    let answer = browser.clone().visit(&url).await;
                    assert_leads_to_site_or_provider(&menshen, &url, &answer, rd);
                }
            }
            let url = format!("{OWN_PAGES}/sign_out?rd={spelling}");
            let answer = Browser::new(&menshen).visit(&url).await;
            assert_leads_to_site_or_provider(&menshen, &url, &answer, rd);
            let origin = [("Origin", SSO_URL), ("Accept", "text/html")];
            let answer = Browser::new(&menshen)
                .send("POST", &url, &origin, b"")
                .await;
            assert_leads_to_site_or_provider(&menshen, &url, &answer, rd);
        }
    }
}

#[tokio::test]
async fn no_login_leads_off_the_site() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for rd in HOSTILE {
        for spelling in spellings(rd) {
            let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
            let mut url = format!("{OWN_PAGES}/start?rd={spelling}");
            let mut status = None;
            for _ in 0..8 {
                let answer = phone.visit(&url).await;
                status = status.or(Some(answer.status));
                assert_menshen_leads_to_site_or_provider(&menshen, &url, &answer, rd);
                let Some(to) = answer.header("location") else {
                    break;
                };
                url = Url::parse(&url).unwrap().join(to).unwrap().to_string();
            }
            // A URL that no browser can send is refused before it is parsed.
            let is_parsed = status != Some(400);
            let what = format!("{rd}: {:?}", phone.visited);
            assert_eq!(phone.cookie("menshen").is_some(), is_parsed, "{what}");
            assert!(
                is_parsed || spelling.contains(['<', '"', '\\', '^', '`']),
                "{what}"
            );
        }
    }
}

/// Like [`assert_leads_to_site_or_provider`], for answers of menshen; pages of the provider may lead
/// anywhere.
fn assert_menshen_leads_to_site_or_provider(
    menshen: &Menshen,
    url: &str,
    answer: &Answer,
    what: &str,
) {
    if !url.starts_with(&menshen.wecom.base_url()) && answer.header("server").is_none() {
        let from_menshen = answer.header("location").is_some() || url.contains("/.menshen/");
        if from_menshen {
            assert_leads_to_site_or_provider(menshen, url, answer, what);
        }
    }
}

#[tokio::test]
async fn a_return_address_on_this_site_is_reached() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for (rd, reached) in [
        ("/", "http://sso.test/"),
        (
            "/echo?a=%2F%2fb&c=d+e",
            "http://sso.test/echo?a=%2F%2fb&c=d+e",
        ),
        (
            "/echo?next=//evil.test/",
            "http://sso.test/echo?next=//evil.test/",
        ),
        ("/a//b", "http://sso.test/a//b"),
        ("/echo#/deep", "http://sso.test/echo#/deep"),
        ("/.menshenx", "http://sso.test/.menshenx"),
        ("http://sso.test/echo?1", "http://sso.test/echo?1"),
        ("http://sso.test", "http://sso.test/"),
        ("HTTP://SSO.test:80/echo", "http://sso.test/echo"),
        ("http://oa.test/echo?x=y", "http://oa.test/echo?x=y"),
        ("http://hr.test", "http://hr.test/"),
    ] {
        let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
        let page = phone
            .follow(&format!("{OWN_PAGES}/start?rd={}", percent_encoded(rd)))
            .await;
        assert_eq!(
            (page.answer.status, page.url.as_str()),
            (200, reached),
            "{rd}"
        );
    }
}

#[tokio::test]
async fn a_return_address_that_is_a_login_page_or_repeated_is_ignored() {
    let menshen = Menshen::new().await;
    for rd in [
        "/.menshen/sign_out",
        "/.menshen",
        "/.menshen?x",
        "http://sso.test/.menshen/start",
        "http://oa.test/.menshen/sign_out",
    ] {
        let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
        let page = phone
            .follow(&format!("{OWN_PAGES}/start?rd={}", percent_encoded(rd)))
            .await;
        assert_eq!(page.url, format!("{SSO_URL}/"), "{rd}");
    }
    // The parameter is repeated.
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    let page = phone
        .follow(&format!("{OWN_PAGES}/start?rd=/a&rd=/b"))
        .await;
    assert_eq!(page.url, format!("{SSO_URL}/"));
}

#[tokio::test]
async fn a_host_that_is_not_configured_is_no_return_address() {
    let menshen = Menshen::new().await;
    for host in ["evil.test", "sso.test.evil.test", "127.0.0.1"] {
        let head = format!(
            "GET /x HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nX-Forwarded-Host: {host}\r\n\
             Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n"
        );
        let answer = crate::wire::send(menshen.address(), head.as_bytes()).await;
        assert_eq!(answer.status, 404, "{host}");
        assert_eq!(answer.header("location"), None, "{host}");
    }
    let mut browser = Browser::new(&menshen);
    let mut headers = navigation_headers().to_vec();
    headers.push(("X-Forwarded-Host", "evil.test"));
    headers.push(("X-Auth-Request-Redirect", "http://evil.test/"));
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/x");
    let answer = browser.send("GET", &start, &headers, b"").await;
    assert!(!answer.header("location").unwrap().contains("evil"));
}
