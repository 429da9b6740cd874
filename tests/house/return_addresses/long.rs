//! Long return addresses: saved searches of Kibana and Grafana, and authentication requests of
//! identity providers behind menshen.

use menshen::face::page::Cause;

use super::encoded;
use crate::browser::{Browser, Page, href};
use crate::logging_in::OWN_PAGES;
use crate::provider::Provider;
use crate::records::Records;
use crate::setup::{NO_LOGIN_LIMITS, SSO_URL, Setup};

/// The longest return address that is kept, in bytes.
const KEPT: usize = 4_000;

/// The header limit of a proxy in front, and the rest of it for the cookies of applications.
const LINE: usize = 8 * 1024;

/// A URL of this length, as such applications create it.
fn long(path: &str, bytes: usize) -> String {
    let piece =
        "_a=(filters:!(),query:(language:kuery,query:*x%3D1*))&time=now-15m,now&q=%E5%BC%A0&";
    let mut text = format!("{path}?");
    while text.len() < bytes {
        text.push_str(piece);
    }
    text.truncate(bytes);
    // A truncated percent-escape is not one.
    let cut = text.len()
        - text
            .bytes()
            .rev()
            .take(2)
            .position(|it| it == b'%')
            .map_or(0, |at| at + 1);
    text.truncate(cut);
    while text.len() < bytes {
        text.push('x');
    }
    text
}

fn flows(browser: &Browser) -> Vec<(String, String)> {
    let flows = browser
        .cookies()
        .iter()
        .filter(|one| one.name.contains("flow"));
    flows
        .map(|one| (one.name.clone(), one.value.clone()))
        .collect()
}

/// The total length of the login cookies in the `Cookie` header.
fn bytes_of(flows: &[(String, String)]) -> usize {
    flows
        .iter()
        .map(|(name, value)| name.len() + value.len() + 3)
        .sum()
}

/// Asserts that the browser keeps the cookies and a proxy accepts them.
#[track_caller]
fn fits(browser: &Browser) {
    let flows = flows(browser);
    for (name, value) in &flows {
        assert!(name.len() + value.len() <= 4096, "a browser drops {name}");
    }
    assert!(bytes_of(&flows) <= 6 * 1024, "{} bytes", bytes_of(&flows));
    assert!(bytes_of(&flows) + 1024 < LINE);
}

async fn arrive(browser: &mut Browser, url: &str) -> Page {
    let source = browser.open_login_page(url).await;
    fits(browser);
    let back = browser.choose_person(&source, "lisi").await;
    let page = browser.follow(&back).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert!(flows(browser).is_empty(), "nothing of it is left");
    let app = page.answer.text();
    assert!(!app.contains("menshen-flow"), "{app}");
    page
}

#[tokio::test]
async fn a_long_return_address_survives_every_kind_of_login() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for bytes in [500, 600, 900, 1_500, 2_900, 3_999, KEPT] {
        let here = long("/echo", bytes);
        let there = format!("http://oa.test{}", long("/echo", bytes - 14));
        assert_eq!((here.len(), there.len()), (bytes, bytes));
        // On the login host, on another host by ticket, by connector, and by the sign-in page.
        for (url, lands) in [
            (format!("{SSO_URL}{here}"), format!("{SSO_URL}{here}")),
            (there.clone(), there.clone()),
            (
                format!("{OWN_PAGES}/start?rd={}", encoded(&here)),
                format!("{SSO_URL}{here}"),
            ),
            (
                format!("{OWN_PAGES}/start?rd={}", encoded(&there)),
                there.clone(),
            ),
            (
                format!("{OWN_PAGES}/sign_in?rd={}", encoded(&here)),
                format!("{SSO_URL}{here}"),
            ),
            (
                format!("http://oa.test/.menshen/sign_in?rd={}", encoded(&here)),
                format!("http://oa.test{here}"),
            ),
        ] {
            if lands.starts_with("http://oa.test") && lands.len() > KEPT {
                // The name of another host is part of the URL, too.
                continue;
            }
            let mut browser = Browser::new(&menshen);
            let page = arrive(&mut browser, &url).await;
            assert_eq!(page.url, lands, "{bytes} bytes from {}", &url[..40]);
        }
    }
}

#[tokio::test]
async fn a_longer_one_is_cut_to_its_path_and_logged() {
    let log = Records::process_log();
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for bytes in [KEPT + 1, 9_000, 30_000] {
        for host in [SSO_URL, "http://oa.test"] {
            let url = format!("{host}{}", long("/echo", bytes));
            let mut browser = Browser::new(&menshen);
            let page = arrive(&mut browser, &url).await;
            assert_eq!(page.url, format!("{host}/echo"), "{bytes}");
        }
    }
    let said = log.text();
    let mut lines = said
        .lines()
        .filter(|line| line.contains("only its path is kept"));
    assert!(lines.any(|line| line.contains("WARN") && line.contains("4000")));
    // A longer path is replaced by the root of its host.
    let url = format!("http://oa.test/{}", "p".repeat(5_000));
    let page = arrive(&mut Browser::new(&menshen), &url).await;
    assert_eq!(page.url, "http://oa.test/");
}

#[tokio::test]
async fn the_cookies_of_all_tabs_stay_small_and_the_oldest_login_is_evicted() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let mut browser = Browser::new(&menshen);
    let mut tabs = Vec::new();
    for bytes in [1_500, 1_501, 1_502, KEPT] {
        let place = long("/echo", bytes);
        let source = browser
            .open_login_page(&format!(
                "{OWN_PAGES}/start?connector=corp&rd={}",
                encoded(&place)
            ))
            .await;
        fits(&browser);
        tabs.push((source, place));
        menshen.advance(std::time::Duration::from_secs(1));
    }
    // The longest one took the room of all others.
    assert_eq!(flows(&browser).len(), 2);
    let (source, place) = tabs.pop().unwrap();
    let back = browser.choose_person(&source, "lisi").await;
    let page = browser.follow(&back).await;
    assert_eq!(page.url, format!("{SSO_URL}{place}"));
    // Five short ones fit.
    let mut browser = Browser::new(&menshen);
    let mut tabs = Vec::new();
    for at in 0..6 {
        let rd = encoded(&format!("/echo?n={at}"));
        tabs.push(
            browser
                .open_login_page(&format!("{OWN_PAGES}/start?connector=corp&rd={rd}"))
                .await,
        );
        menshen.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(flows(&browser).len(), 5);
    let back = browser.choose_person(&tabs[0], "lisi").await;
    assert_eq!(
        browser.follow(&back).await.cause(),
        Some(Cause::FlowCookieMissing)
    );
    let back = browser.choose_person(&tabs[1], "lisi").await;
    assert_eq!(
        browser.follow(&back).await.url,
        format!("{SSO_URL}/echo?n=1")
    );
}

#[tokio::test]
async fn the_cookie_parts_of_two_logins_do_not_combine() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let place = long("/echo", KEPT);
    let start = format!("{OWN_PAGES}/start?connector=corp&rd={}", encoded(&place));
    let mut other = Browser::new(&menshen);
    other.open_login_page(&start).await;
    let second_of_other = flows(&other)
        .into_iter()
        .find(|(name, _)| name.ends_with(".2"))
        .unwrap()
        .1;
    for swap in [None, Some(second_of_other)] {
        let mut browser = Browser::new(&menshen);
        let source = browser.open_login_page(&start).await;
        let back = browser.choose_person(&source, "lisi").await;
        let (name, _) = flows(&browser)
            .into_iter()
            .find(|(name, _)| name.ends_with(".2"))
            .unwrap();
        browser.delete_cookies(".2");
        if let Some(value) = swap {
            browser.set_cookie("sso.test", &name, &value);
        }
        let page = browser.follow(&back).await;
        assert_eq!(page.cause(), Some(Cause::FlowCookieForged));
        assert!(browser.cookie("menshen").is_none());
        assert!(flows(&browser).is_empty(), "both halves are taken back");
    }
}

#[tokio::test]
async fn a_custom_front_end_and_an_app_keep_it_too() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let place = long("/echo", KEPT);
    for by_cookie in [true, false] {
        let mut browser = Browser::new(&menshen);
        let url = format!("{OWN_PAGES}/login-config/corp?rd={}", encoded(&place));
        let config = browser
            .send("GET", &url, &[("Accept", "application/json")], b"")
            .await
            .json();
        fits(&browser);
        let web = config["web_url"].as_str().unwrap().to_owned();
        let back = url::Url::parse(&browser.choose_person(&web, "lisi").await).unwrap();
        let code = back
            .query_pairs()
            .find(|(name, _)| name == "code")
            .unwrap()
            .1
            .into_owned();
        let mut body = serde_json::json!({ "code": code, "state": config["state"] });
        if !by_cookie {
            body["flow"] = config["flow"].clone();
            browser.delete_cookies("flow");
        }
        let headers = [("Content-Type", "application/json"), ("Origin", SSO_URL)];
        let url = format!("{OWN_PAGES}/login/corp");
        let said = browser
            .send("POST", &url, &headers, body.to_string().as_bytes())
            .await;
        assert_eq!(said.status, 200, "{}", said.text());
        assert_eq!(said.json()["return_to"], place);
        assert!(flows(&browser).is_empty());
    }
}

#[tokio::test]
async fn a_form_post_response_finds_both_cookie_parts() {
    let https = "https://sso.test";
    let provider = Provider::new().await;
    let setup = provider
        .setup("response_mode = 'form_post'")
        .external_url(https);
    let menshen = setup
        .server("trusted_proxies = ['127.0.0.1']")
        .start()
        .await;
    let mut browser = Browser::new(&menshen).over_https();
    provider.start_session(&mut browser, "zhangsan");
    let place = long("/echo", KEPT);
    let start = format!(
        "{https}/.menshen/start?connector=keycloak&rd={}",
        encoded(&place)
    );
    let page = browser.follow(&start).await;
    fits(&browser);
    assert_eq!(flows(&browser).len(), 2);
    let page = browser.submit(&page).await;
    assert_eq!(page.url, format!("{https}{place}"));
    assert!(flows(&browser).is_empty());
}

#[tokio::test]
async fn every_connector_of_the_sign_in_page_keeps_it_whole() {
    let more = format!("{}{NO_LOGIN_LIMITS}", crate::setup::SECOND_CONNECTOR);
    let menshen = Setup::default().tables(&more).start().await;
    let place = long("/echo", KEPT);
    // One login belongs to one connector.
    for (id, userid) in [("corp", "lisi"), ("other", "zhangsan")] {
        let mut browser = Browser::new(&menshen);
        let page = browser.follow(&format!("{SSO_URL}{place}")).await;
        let start = href(&page.answer.text(), &format!("/start?connector={id}")).unwrap();
        let source = browser.open_login_page(&format!("{SSO_URL}{start}")).await;
        let back = browser.choose_person(&source, userid).await;
        assert_eq!(
            browser.follow(&back).await.url,
            format!("{SSO_URL}{place}"),
            "{id}"
        );
    }
}
