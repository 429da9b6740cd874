//! Limits of logins: redirect loops, rates, wrong codes, and requests that begin no login.

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::{Browser, href, navigation_headers};
use crate::checking::TRUST_LOOPBACK;
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::wire::Answer;

const REDEEM: &str = "/cgi-bin/auth/getuserinfo";

/// A browser whose address a trusted proxy reports.
fn browser_at(menshen: &Menshen, client: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    let header = ("X-Forwarded-For".to_owned(), client.to_owned());
    browser.extra_headers.push(header);
    browser
}

/// Begins a login and opens its callback URL with a code that WeCom does not know.
async fn send_wrong_code(mut browser: Browser) -> Answer {
    let page = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
    let state = query_parameter(&page, "state").unwrap();
    let url = format!("{OWN_PAGES}/callback/corp?code=wrong&state={state}");
    browser.visit(&url).await
}

#[tokio::test]
async fn a_second_automatic_start_within_a_minute_shows_the_sign_in_page() {
    let menshen = Setup::default()
        .connector("auto_login = 'always'")
        .start()
        .await;
    let mut browser = Browser::new(&menshen);
    let url = format!("{SSO_URL}/echo");
    assert_eq!(browser.visit(&url).await.status, 302);
    menshen.advance(Duration::from_secs(59));
    let stopped = browser.follow(&url).await.answer;
    assert_eq!(stopped.status, 200);
    assert!(href(&stopped.text(), "/start?connector=corp").is_some());
    let sign_in = format!("{OWN_PAGES}/sign_in?rd=/echo");
    assert_eq!(browser.visit(&sign_in).await.status, 200);
    // Another return address is no loop, and after a minute the same one is none.
    assert_eq!(browser.visit(&format!("{SSO_URL}/other")).await.status, 302);
    menshen.advance(Duration::from_secs(2));
    assert_eq!(browser.visit(&url).await.status, 302);
    // A start by a click is no loop.
    let click = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
    let page = browser.sign_in(&click, "lisi").await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn an_automatic_start_after_a_finished_login_is_no_loop() {
    let menshen = Setup::default()
        .connector("auto_login = 'always'")
        .start()
        .await;
    let mut browser = Browser::new(&menshen);
    for _ in 0..2 {
        let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
        assert_eq!(page.answer.status, 200);
        browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
        assert_eq!(browser.cookies(), []);
    }
}

#[tokio::test]
async fn too_many_starts_get_429_and_retry_after() {
    for (limit, others_may) in [
        ("begins_per_client_per_minute = 3", true),
        ("begins_per_minute = 3", false),
    ] {
        let setup = Setup::default().server(TRUST_LOOPBACK);
        let menshen = setup.tables(&format!("[login]\n{limit}")).start().await;
        let start = format!("{OWN_PAGES}/start?connector=corp&rd=/x");
        for _ in 0..3 {
            let answer = browser_at(&menshen, "192.0.2.1").visit(&start).await;
            assert_eq!(answer.status, 302, "{limit}");
        }
        let mut refused_browser = browser_at(&menshen, "192.0.2.1");
        let answer = refused_browser.visit(&start).await;
        assert_eq!(
            (answer.status, answer.cause()),
            (429, Some(Cause::TooManyLogins))
        );
        assert!(answer.header("retry-after").is_some());
        assert!(refused_browser.cookies().is_empty());
        let other = browser_at(&menshen, "192.0.2.2").visit(&start).await;
        assert_eq!(other.status == 302, others_may, "{limit}");
    }
}

#[tokio::test]
async fn too_many_finished_logins_get_429_without_a_call_to_the_source() {
    let limit = "[login]\nfinishes_per_client_per_minute = 1";
    let menshen = Setup::default().tables(limit).start().await;
    let first = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "lisi")
        .await;
    assert_eq!(first.answer.status, 200);
    let second = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "lisi")
        .await;
    assert_eq!(
        (second.answer.status, second.cause()),
        (429, Some(Cause::TooManyLogins))
    );
    assert!(second.answer.header("retry-after").is_some());
    assert_eq!(menshen.wecom.calls("/cgi-bin/auth/getuserinfo"), 1);
}

#[tokio::test]
async fn head_requests_start_no_login_and_end_no_session() {
    let menshen = Setup::default()
        .connector("auto_login = 'always'")
        .start()
        .await;
    let mut anonymous = Browser::new(&menshen);
    for (path, status) in [
        ("/x", 302),
        ("/.menshen/sign_in", 200),
        ("/.menshen/start", 405),
        ("/.menshen/start?connector=corp", 405),
        ("/.menshen/ticket?t=x", 405),
        ("/.menshen/login-config/corp", 405),
    ] {
        let url = format!("{SSO_URL}{path}");
        let answer = anonymous
            .send("HEAD", &url, &navigation_headers(), b"")
            .await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
        assert!(anonymous.cookies().is_empty(), "{path}");
        let to = answer.header("location").unwrap_or(SSO_URL);
        assert!(to.starts_with(SSO_URL), "{path}: {to}");
    }
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let sign_out = format!("{OWN_PAGES}/sign_out");
    let answer = browser
        .send("HEAD", &sign_out, &navigation_headers(), b"")
        .await;
    assert_eq!(answer.status, 405);
    assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
}

#[tokio::test]
async fn wrong_codes_open_the_circuit_breaker_to_protect_the_quota_of_the_source() {
    let limits = "[login]\nbad_codes_max = 3\nbad_codes_pause = '10s'";
    let menshen = Setup::default().tables(limits).start().await;
    for _ in 0..3 {
        assert_eq!(send_wrong_code(Browser::new(&menshen)).await.status, 302);
    }
    let stopped = send_wrong_code(Browser::new(&menshen)).await;
    assert_eq!(
        (stopped.status, stopped.cause()),
        (503, Some(Cause::ProviderBusy))
    );
    assert!(stopped.header("retry-after").is_some());
    assert_eq!(menshen.wecom.calls(REDEEM), 3);
    // A right code is not redeemed now, but its login stays pending and succeeds when the page is reloaded.
    let mut browser = Browser::new(&menshen);
    let page = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
    let callback_url = browser.choose_person(&page, "zhangsan").await;
    assert_eq!(browser.visit(&callback_url).await.status, 503);
    menshen.advance(Duration::from_secs(11));
    assert_eq!(browser.follow(&callback_url).await.answer.status, 200);
    assert_eq!(menshen.wecom.calls(REDEEM), 4);
}

#[tokio::test]
async fn one_ipv6_48_cannot_use_up_the_logins_of_other_clients() {
    let limit = "[login]\nbegins_per_client_per_minute = 2";
    let setup = Setup::default().server(TRUST_LOOPBACK).tables(limit);
    let menshen = setup.start().await;
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/x");
    let mut started = 0;
    for subnet in (0..10).flat_map(|subnet| [subnet; 2]) {
        let mut browser = browser_at(&menshen, &format!("2001:db8:1:{subnet}::1"));
        started += usize::from(browser.visit(&start).await.status == 302);
    }
    // A /48 has three times the limit of one client; the limit refills every ten seconds.
    assert!((6..12).contains(&started), "{started}");
    for other in ["2001:db8:2::1", "192.0.2.1", "::ffff:192.0.2.2"] {
        let answer = browser_at(&menshen, other).visit(&start).await;
        assert_eq!(answer.status, 302, "{other}");
    }
}

#[tokio::test]
async fn requests_without_a_client_address_are_not_limited_as_one_client() {
    let limits = "[login]\nbegins_per_client_per_minute = 1\nfinishes_per_client_per_minute = 1\n\
                  bad_codes_max = 20";
    let setup = Setup::default().server(TRUST_LOOPBACK).tables(limits);
    let menshen = setup.start().await;
    for round in 0..3 {
        let mut browser = Browser::new(&menshen);
        let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
        assert_eq!(page.answer.status, 200, "{round}");
        // On another host a ticket is redeemed.
        let page = browser.follow("http://oa.test/echo").await;
        assert_eq!(page.answer.status, 200, "{round}");
    }
    // A client with an address has its own limit.
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/x");
    let start_status = async || browser_at(&menshen, "192.0.2.1").visit(&start).await.status;
    assert_eq!((start_status().await, start_status().await), (302, 429));
}

#[tokio::test]
async fn wrong_codes_of_one_ipv6_48_do_not_lock_out_other_clients() {
    let limits = "[login]\nbad_codes_max = 8\nbad_codes_pause = '1h'";
    let setup = Setup::default().server(TRUST_LOOPBACK).tables(limits);
    let menshen = setup.start().await;
    let log_in_status = async |client: &str| {
        let mut browser = browser_at(&menshen, client);
        let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
        page.answer.status
    };
    for subnet in (1..=3).flat_map(|subnet| [subnet; 5]) {
        let attacker = format!("2001:db8:9:{subnet}::1");
        let answer = send_wrong_code(browser_at(&menshen, &attacker)).await;
        assert_eq!(answer.status, 302, "{attacker}");
    }
    assert_eq!(log_in_status("192.0.2.1").await, 200);
}

#[tokio::test]
async fn an_open_circuit_breaker_refuses_only_clients_that_sent_wrong_codes() {
    let limits = "[login]\nbad_codes_max = 8\nbad_codes_pause = '1h'";
    let setup = Setup::default().server(TRUST_LOOPBACK).tables(limits);
    let menshen = setup.start().await;
    let (one, two) = ("2001:db8:9:1::1", "203.0.113.9");
    for attacker in [[one; 4], [two; 4]].concat() {
        let answer = send_wrong_code(browser_at(&menshen, attacker)).await;
        assert_eq!(answer.status, 302, "{attacker}");
    }
    for attacker in [one, two, "2001:db8:9:1:2::2", "::ffff:203.0.113.9"] {
        let answer = send_wrong_code(browser_at(&menshen, attacker)).await;
        let stopped = (answer.status, answer.cause());
        assert_eq!(stopped, (503, Some(Cause::ProviderBusy)), "{attacker}");
    }
    assert_eq!(menshen.wecom.calls(REDEEM), 8);
    // While the breaker is open, the first wrong code of another client is sent to WeCom, and the second is
    // refused.
    let third = "198.51.100.1";
    assert_eq!(
        send_wrong_code(browser_at(&menshen, third)).await.status,
        302
    );
    assert_eq!(
        send_wrong_code(browser_at(&menshen, third)).await.status,
        503
    );
    assert_eq!(menshen.wecom.calls(REDEEM), 9);
    for client in ["192.0.2.1", "2001:db8:1::1"] {
        let mut browser = browser_at(&menshen, client);
        let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
        assert_eq!(page.answer.status, 200, "{client}");
    }
}

#[tokio::test]
async fn a_site_behind_an_untrusted_proxy_shows_an_error_instead_of_a_redirect_loop() {
    let setup = Setup::default().external_url("https://sso.test");
    let menshen = setup.start().await;
    for page in ["start", "sign_in"] {
        let mut browser = Browser::new(&menshen).over_https();
        let stopped = browser
            .follow(&format!("{SSO_URL}/.menshen/{page}?rd=/echo"))
            .await;
        assert_eq!(stopped.answer.status, 400, "{page}");
        assert_eq!(stopped.cause(), Some(Cause::NotOnLoginHost), "{page}");
        assert!(browser.visited.len() <= 3, "{:?}", browser.visited);
    }
    // With a trusted proxy the sign-in page appears.
    let setup = Setup::default().external_url("https://sso.test");
    let menshen = setup
        .server("trusted_proxies = ['127.0.0.1']")
        .start()
        .await;
    let mut browser = Browser::new(&menshen).over_https();
    let page = browser.follow("https://sso.test/.menshen/sign_in").await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn a_browser_keeps_at_most_five_nonces_for_a_host() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    for page in 0..8 {
        let answer = browser.visit(&format!("http://oa.test/{page}")).await;
        assert_eq!(answer.status, 302);
    }
    let nonces = browser.cookies().iter();
    let nonces = nonces.filter(|cookie| cookie.name.contains("nonce"));
    assert_eq!(nonces.count(), 5);
    // The latest nonce still works.
    let page = browser.sign_in("http://oa.test/echo", "lisi").await;
    assert_eq!(page.answer.status, 200);
}
