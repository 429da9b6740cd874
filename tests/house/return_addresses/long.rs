//! Long return addresses: saved searches of Kibana and Grafana, and authentication requests of
//! identity providers behind menshen.

use menshen::face::page::Cause;

use super::percent_encoded;
use crate::browser::{Browser, Page, href};
use crate::logging_in::OWN_PAGES;
use crate::provider::Provider;
use crate::records::Records;
use crate::setup::{NO_LOGIN_LIMITS, SSO_URL, Setup};

/// The longest return address that is kept, in bytes.
const RETURN_ADDRESS_BYTES_MAX: usize = 4_000;

/// The usual limit of proxies for one header line, in bytes.
const HEADER_LINE_BYTES_MAX: usize = 8 * 1024;

/// A URL of this length, as such applications create it.
fn long_target(path: &str, bytes: usize) -> String {
    let piece =
        "_a=(filters:!(),query:(language:kuery,query:*x%3D1*))&time=now-15m,now&q=%E5%BC%A0&";
    let mut text = format!("{path}?");
    while text.len() < bytes {
        text.push_str(piece);
    }
    text.truncate(bytes);
    // Removes a truncated percent-escape.
    let cut = text.len()
        - text
            .bytes()
            .rev()
            .take(2)
            .position(|byte| byte == b'%')
            .map_or(0, |at| at + 1);
    text.truncate(cut);
    while text.len() < bytes {
        text.push('x');
    }
    text
}

fn flow_cookies(browser: &Browser) -> Vec<(String, String)> {
    let flows = browser
        .cookies()
        .iter()
        .filter(|cookie| cookie.name.contains("flow"));
    flows
        .map(|cookie| (cookie.name.clone(), cookie.value.clone()))
        .collect()
}

/// The total length of the flow cookies in the `Cookie` header, in bytes.
fn cookie_bytes(flows: &[(String, String)]) -> usize {
    flows
        .iter()
        .map(|(name, value)| name.len() + value.len() + 3)
        .sum()
}

/// Asserts that the browser keeps the cookies and a proxy accepts them.
#[track_caller]
fn assert_cookies_fit(browser: &Browser) {
    let flows = flow_cookies(browser);
    for (name, value) in &flows {
        assert!(name.len() + value.len() <= 4096, "a browser drops {name}");
    }
    assert!(
        cookie_bytes(&flows) <= 6 * 1024,
        "{} bytes",
        cookie_bytes(&flows)
    );
    assert!(cookie_bytes(&flows) + 1024 < HEADER_LINE_BYTES_MAX);
}

async fn sign_in_at(browser: &mut Browser, url: &str) -> Page {
    let login_page = browser.open_login_page(url).await;
    assert_cookies_fit(browser);
    let back = browser.choose_person(&login_page, "lisi").await;
    let page = browser.follow(&back).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert!(
        flow_cookies(browser).is_empty(),
        "the flow cookies are deleted"
    );
    let app = page.answer.text();
    assert!(!app.contains("menshen-flow"), "{app}");
    page
}

#[tokio::test]
async fn a_long_return_address_survives_every_kind_of_login() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for bytes in [500, 600, 900, 1_500, 2_900, 3_999, RETURN_ADDRESS_BYTES_MAX] {
        let path = long_target("/echo", bytes);
        let other_host_url = format!("http://oa.test{}", long_target("/echo", bytes - 14));
        assert_eq!((path.len(), other_host_url.len()), (bytes, bytes));
        // On the login host, on another host by ticket, by connector, and by the sign-in page.
        for (url, expected_url) in [
            (format!("{SSO_URL}{path}"), format!("{SSO_URL}{path}")),
            (other_host_url.clone(), other_host_url.clone()),
            (
                format!("{OWN_PAGES}/start?rd={}", percent_encoded(&path)),
                format!("{SSO_URL}{path}"),
            ),
            (
                format!("{OWN_PAGES}/start?rd={}", percent_encoded(&other_host_url)),
                other_host_url.clone(),
            ),
            (
                format!("{OWN_PAGES}/sign_in?rd={}", percent_encoded(&path)),
                format!("{SSO_URL}{path}"),
            ),
            (
                format!(
                    "http://oa.test/.menshen/sign_in?rd={}",
                    percent_encoded(&path)
                ),
                format!("http://oa.test{path}"),
            ),
        ] {
            if expected_url.starts_with("http://oa.test")
                && expected_url.len() > RETURN_ADDRESS_BYTES_MAX
            {
                // The name of another host is part of the URL, too.
                continue;
            }
            let mut browser = Browser::new(&menshen);
            let page = sign_in_at(&mut browser, &url).await;
            assert_eq!(page.url, expected_url, "{bytes} bytes from {}", &url[..40]);
        }
    }
}

#[tokio::test]
async fn a_longer_return_address_is_cut_to_its_path_and_logged() {
    let log = Records::process_log();
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for bytes in [RETURN_ADDRESS_BYTES_MAX + 1, 9_000, 30_000] {
        for host in [SSO_URL, "http://oa.test"] {
            let url = format!("{host}{}", long_target("/echo", bytes));
            let mut browser = Browser::new(&menshen);
            let page = sign_in_at(&mut browser, &url).await;
            assert_eq!(page.url, format!("{host}/echo"), "{bytes}");
        }
    }
    let log_text = log.text();
    let mut lines = log_text
        .lines()
        .filter(|line| line.contains("it is shortened"));
    assert!(lines.any(|line| line.contains("WARN") && line.contains("4000")));
    // A longer path is replaced by the root of its host.
    let url = format!("http://oa.test/{}", "p".repeat(5_000));
    let page = sign_in_at(&mut Browser::new(&menshen), &url).await;
    assert_eq!(page.url, "http://oa.test/");
}

#[tokio::test]
async fn the_cookies_of_all_tabs_stay_small_and_the_oldest_login_is_evicted() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let mut browser = Browser::new(&menshen);
    let mut tabs = Vec::new();
    for bytes in [1_500, 1_501, 1_502, RETURN_ADDRESS_BYTES_MAX] {
        let path = long_target("/echo", bytes);
        let login_page = browser
            .open_login_page(&format!(
                "{OWN_PAGES}/start?connector=corp&rd={}",
                percent_encoded(&path)
            ))
            .await;
        assert_cookies_fit(&browser);
        tabs.push((login_page, path));
        menshen.advance(std::time::Duration::from_secs(1));
    }
    // The longest login evicted all others.
    assert_eq!(flow_cookies(&browser).len(), 2);
    let (login_page, path) = tabs.pop().unwrap();
    let back = browser.choose_person(&login_page, "lisi").await;
    let page = browser.follow(&back).await;
    assert_eq!(page.url, format!("{SSO_URL}{path}"));
    // Five short logins fit.
    let mut browser = Browser::new(&menshen);
    let mut tabs = Vec::new();
    for nth in 0..6 {
        let rd = percent_encoded(&format!("/echo?n={nth}"));
        tabs.push(
            browser
                .open_login_page(&format!("{OWN_PAGES}/start?connector=corp&rd={rd}"))
                .await,
        );
        menshen.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(flow_cookies(&browser).len(), 5);
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
    let path = long_target("/echo", RETURN_ADDRESS_BYTES_MAX);
    let start = format!(
        "{OWN_PAGES}/start?connector=corp&rd={}",
        percent_encoded(&path)
    );
    let mut other = Browser::new(&menshen);
    other.open_login_page(&start).await;
    let second_part_of_other = flow_cookies(&other)
        .into_iter()
        .find(|(name, _)| name.ends_with(".2"))
        .unwrap()
        .1;
    for replacement in [None, Some(second_part_of_other)] {
        let mut browser = Browser::new(&menshen);
        let login_page = browser.open_login_page(&start).await;
        let back = browser.choose_person(&login_page, "lisi").await;
        let (name, _) = flow_cookies(&browser)
            .into_iter()
            .find(|(name, _)| name.ends_with(".2"))
            .unwrap();
        browser.delete_cookies(".2");
        if let Some(value) = replacement {
            browser.set_cookie("sso.test", &name, &value);
        }
        let page = browser.follow(&back).await;
        assert_eq!(page.cause(), Some(Cause::FlowCookieForged));
        assert!(browser.cookie("menshen").is_none());
        assert!(
            flow_cookies(&browser).is_empty(),
            "both cookies are deleted"
        );
    }
}

#[tokio::test]
async fn a_custom_front_end_keeps_a_long_return_address() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let path = long_target("/echo", RETURN_ADDRESS_BYTES_MAX);
    for by_cookie in [true, false] {
        let mut browser = Browser::new(&menshen);
        let url = format!(
            "{OWN_PAGES}/login-config/corp?rd={}",
            percent_encoded(&path)
        );
        let config = browser
            .send("GET", &url, &[("Accept", "application/json")], b"")
            .await
            .json();
        assert_cookies_fit(&browser);
        let web_url = config["web_url"].as_str().unwrap().to_owned();
        let back = url::Url::parse(&browser.choose_person(&web_url, "lisi").await).unwrap();
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
        let answer = browser
            .send("POST", &url, &headers, body.to_string().as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["return_to"], path);
        assert!(flow_cookies(&browser).is_empty());
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
    let path = long_target("/echo", RETURN_ADDRESS_BYTES_MAX);
    let start = format!(
        "{https}/.menshen/start?connector=keycloak&rd={}",
        percent_encoded(&path)
    );
    let page = browser.follow(&start).await;
    assert_cookies_fit(&browser);
    assert_eq!(flow_cookies(&browser).len(), 2);
    let page = browser.submit(&page).await;
    assert_eq!(page.url, format!("{https}{path}"));
    assert!(flow_cookies(&browser).is_empty());
}

#[tokio::test]
async fn every_connector_of_the_sign_in_page_keeps_a_long_return_address() {
    let tables = format!("{}{NO_LOGIN_LIMITS}", crate::setup::SECOND_CONNECTOR);
    let menshen = Setup::default().tables(&tables).start().await;
    let path = long_target("/echo", RETURN_ADDRESS_BYTES_MAX);
    // One login belongs to one connector.
    for (id, userid) in [("corp", "lisi"), ("other", "zhangsan")] {
        let mut browser = Browser::new(&menshen);
        let page = browser.follow(&format!("{SSO_URL}{path}")).await;
        let start = href(&page.answer.text(), &format!("/start?connector={id}")).unwrap();
        let login_page = browser.open_login_page(&format!("{SSO_URL}{start}")).await;
        let back = browser.choose_person(&login_page, userid).await;
        assert_eq!(
            browser.follow(&back).await.url,
            format!("{SSO_URL}{path}"),
            "{id}"
        );
    }
}
