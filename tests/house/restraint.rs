//! What a login does not do: go round, go on for ever, or start because a program looked.

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::{Browser, href, navigation};
use crate::house::{HOME, House, Plan};
use crate::logging_in::{OWN, parameter};

const REDEEM: &str = "/cgi-bin/auth/getuserinfo";

#[tokio::test]
async fn a_second_start_by_itself_within_a_minute_shows_the_chooser() {
    let house = Plan::default()
        .connector("auto_login = 'always'")
        .start()
        .await;
    let mut browser = Browser::new(&house);
    let place = format!("{HOME}/echo");
    assert_eq!(browser.visit(&place).await.status, 302);
    house.advance(Duration::from_secs(59));
    let stopped = browser.follow(&place).await.answer;
    assert_eq!(stopped.status, 200);
    assert!(href(&stopped.text(), "/start?connector=corp").is_some());
    let sign_in = format!("{OWN}/sign_in?rd=/echo");
    assert_eq!(browser.visit(&sign_in).await.status, 200);
    // Another place is no loop, and a minute later this one is none either.
    assert_eq!(browser.visit(&format!("{HOME}/other")).await.status, 302);
    house.advance(Duration::from_secs(2));
    assert_eq!(browser.visit(&place).await.status, 302);
    // A click is no loop, and neither is a start after a login that came to its end.
    let click = format!("{OWN}/start?connector=corp&rd=/echo");
    let page = browser.sign_in(&click, "lisi").await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn a_login_that_came_to_its_end_is_no_loop() {
    let house = Plan::default()
        .connector("auto_login = 'always'")
        .start()
        .await;
    let mut browser = Browser::new(&house);
    for _ in 0..2 {
        let page = browser.sign_in(&format!("{HOME}/echo"), "lisi").await;
        assert_eq!(page.answer.status, 200);
        browser.visit(&format!("{OWN}/sign_out")).await;
        assert_eq!(browser.cookies(), []);
    }
}

#[tokio::test]
async fn too_many_starts_are_told_to_wait() {
    let from = |house: &House, client: &str| {
        let mut browser = Browser::new(house);
        browser
            .extra
            .push(("X-Forwarded-For".to_owned(), client.to_owned()));
        browser
    };
    for (limit, others_may) in [
        ("begins_per_client_per_minute = 3", true),
        ("begins_per_minute = 3", false),
    ] {
        let plan = Plan::default().server("trusted_proxies = ['127.0.0.1']");
        let house = plan.more(&format!("[login]\n{limit}")).start().await;
        let start = format!("{OWN}/start?connector=corp&rd=/x");
        for _ in 0..3 {
            let answer = from(&house, "192.0.2.1").visit(&start).await;
            assert_eq!(answer.status, 302, "{limit}");
        }
        let mut late = from(&house, "192.0.2.1");
        let answer = late.visit(&start).await;
        assert_eq!(
            (answer.status, answer.cause()),
            (429, Some(Cause::TooManyLogins))
        );
        assert!(answer.header("retry-after").is_some());
        assert!(late.cookies().is_empty());
        let other = from(&house, "192.0.2.2").visit(&start).await;
        assert_eq!(other.status == 302, others_may, "{limit}");
    }
}

#[tokio::test]
async fn too_many_ends_are_told_to_wait_and_cost_the_source_nothing() {
    let limit = "[login]\nfinishes_per_client_per_minute = 1";
    let house = Plan::default().more(limit).start().await;
    let first = Browser::new(&house)
        .sign_in(&format!("{HOME}/echo"), "lisi")
        .await;
    assert_eq!(first.answer.status, 200);
    let second = Browser::new(&house)
        .sign_in(&format!("{HOME}/echo"), "lisi")
        .await;
    assert_eq!(
        (second.answer.status, second.cause()),
        (429, Some(Cause::TooManyLogins))
    );
    assert!(second.answer.header("retry-after").is_some());
    assert_eq!(house.source.calls("/cgi-bin/auth/getuserinfo"), 1);
}

#[tokio::test]
async fn head_starts_nothing_and_ends_nothing() {
    let house = Plan::default()
        .connector("auto_login = 'always'")
        .start()
        .await;
    let mut stranger = Browser::new(&house);
    for (path, status) in [
        ("/x", 302),
        ("/.menshen/sign_in", 200),
        ("/.menshen/start", 405),
        ("/.menshen/start?connector=corp", 405),
        ("/.menshen/ticket?t=x", 405),
        ("/.menshen/login-config/corp", 405),
    ] {
        let url = format!("{HOME}{path}");
        let answer = stranger.send("HEAD", &url, &navigation(), b"").await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
        assert!(stranger.cookies().is_empty(), "{path}");
        let to = answer.header("location").unwrap_or(HOME);
        assert!(to.starts_with(HOME), "{path}: {to}");
    }
    let mut browser = Browser::new(&house);
    browser.sign_in(&format!("{HOME}/echo"), "lisi").await;
    let sign_out = format!("{OWN}/sign_out");
    let answer = browser.send("HEAD", &sign_out, &navigation(), b"").await;
    assert_eq!(answer.status, 405);
    assert_eq!(browser.visit(&format!("{HOME}/echo")).await.status, 200);
}

#[tokio::test]
async fn wrong_codes_open_a_circuit_before_they_cost_the_sources_quota() {
    let limits = "[login]\nbad_codes_max = 3\nbad_codes_pause = '10s'";
    let house = Plan::default().more(limits).start().await;
    let wrong = async |house: &House| {
        let mut browser = Browser::new(house);
        let page = browser.to_source(&format!("{HOME}/echo")).await;
        let state = parameter(&page, "state").unwrap();
        let url = format!("{OWN}/callback/corp?code=wrong&state={state}");
        browser.visit(&url).await
    };
    for _ in 0..3 {
        assert_eq!(wrong(&house).await.status, 302);
    }
    let stopped = wrong(&house).await;
    assert_eq!(
        (stopped.status, stopped.cause()),
        (503, Some(Cause::SourceBusy))
    );
    assert!(stopped.header("retry-after").is_some());
    assert_eq!(house.source.calls(REDEEM), 3);
    // Somebody with a good code can reload the page later: it is still remembered.
    let mut browser = Browser::new(&house);
    let page = browser.to_source(&format!("{HOME}/echo")).await;
    let back = browser.choose(&page, "zhangsan").await;
    assert_eq!(browser.visit(&back).await.status, 503);
    house.advance(Duration::from_secs(11));
    assert_eq!(browser.follow(&back).await.answer.status, 200);
    assert_eq!(house.source.calls(REDEEM), 4);
}

#[tokio::test]
async fn a_site_behind_a_proxy_it_does_not_trust_says_so_instead_of_going_round() {
    let plan = Plan::default().external_url("https://sso.test");
    let house = plan.start().await;
    for page in ["start", "sign_in"] {
        let mut browser = Browser::new(&house).over_https();
        let stopped = browser
            .follow(&format!("{HOME}/.menshen/{page}?rd=/echo"))
            .await;
        assert_eq!(stopped.answer.status, 400, "{page}");
        assert_eq!(stopped.cause(), Some(Cause::NotHere), "{page}");
        assert!(browser.visited.len() <= 3, "{:?}", browser.visited);
    }
    // A proxy that is trusted ends that.
    let plan = Plan::default().external_url("https://sso.test");
    let house = plan.server("trusted_proxies = ['127.0.0.1']").start().await;
    let mut browser = Browser::new(&house).over_https();
    let page = browser.follow("https://sso.test/.menshen/sign_in").await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn a_browser_keeps_five_nonces_for_a_host_at_most() {
    let house = House::new().await;
    let mut browser = Browser::new(&house);
    for page in 0..8 {
        let answer = browser.visit(&format!("http://oa.test/{page}")).await;
        assert_eq!(answer.status, 302);
    }
    let nonces = browser.cookies().iter();
    let nonces = nonces.filter(|cookie| cookie.name.contains("nonce"));
    assert_eq!(nonces.count(), 5);
    // The latest still brings its session.
    let page = browser.sign_in("http://oa.test/echo", "lisi").await;
    assert_eq!(page.answer.status, 200);
}
