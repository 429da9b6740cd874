//! Two sites whose cookies reach each other: under one domain, or at two ports of one host.

use crate::asking::{Ask, signed_in};
use crate::browser::Browser;
use crate::checking::TRUSTED;
use crate::house::{HOME, House, Plan};
use crate::records::Records;

fn both(first: &str, second: &str) -> String {
    format!("menshen={first}; other=1; menshen={second}")
}

#[tokio::test]
async fn the_cookie_of_another_site_hides_no_session() {
    let (house, other) = (
        Plan::default().server(TRUSTED).start().await,
        House::new().await,
    );
    let ours = signed_in(&house, "zhangsan").await;
    let theirs = signed_in(&other, "lisi").await;
    let mut junk = "menshen=junk; ".repeat(5);
    junk.push_str(&both(&theirs, &ours));
    for line in [
        both(&ours, &theirs),
        both(&theirs, &ours),
        both(&ours, &ours),
        junk,
    ] {
        let proxy = Ask::get("/echo").header("Cookie", &line).of(&house).await;
        assert_eq!(proxy.status, 200, "{line}");
        assert_eq!(proxy.echoed("x-forwarded-user"), ["zhangsan"]);
        let auth = Ask::get("/.menshen/auth").header("X-Forwarded-Uri", "/echo");
        let auth = auth
            .header("X-Forwarded-Proto", "http")
            .header("Cookie", &line);
        let answer = auth.of(&house).await;
        assert_eq!(answer.header("x-auth-request-user"), Some("zhangsan"));
        let envoy = Ask::get("/.menshen/ext_authz/echo").header("Cookie", &line);
        assert_eq!(envoy.of(&house).await.status, 200, "{line}");
    }
    for line in [both(&theirs, "junk"), both(&theirs, &theirs)] {
        let stranger = Ask::get("/echo").header("Cookie", &line).of(&house).await;
        assert_eq!(stranger.status, 401, "{line}");
    }
}

#[tokio::test]
async fn two_sessions_at_once_are_nobody_and_the_log_says_so() {
    let log = Records::of_the_log();
    let house = House::new().await;
    let zhang = signed_in(&house, "zhangsan").await;
    let li = signed_in(&house, "lisi").await;
    for line in [both(&zhang, &li), both(&li, &zhang)] {
        let answer = Ask::get("/echo").header("Cookie", &line).of(&house).await;
        assert_eq!(answer.status, 401, "{line}");
    }
    assert!(
        log.text()
            .contains("two session cookies that name different sessions")
    );
}

#[tokio::test]
async fn a_browser_that_keeps_the_cookie_of_a_wider_domain_signs_in() {
    let (house, other) = (House::new().await, House::new().await);
    let theirs = signed_in(&other, "lisi").await;
    let mut browser = Browser::new(&house);
    // As the site above has set it for everything below.
    browser.set("test", "menshen", &theirs);
    browser.widen("menshen");
    let page = browser.sign_in(&format!("{HOME}/echo"), "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{}", page.url);
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    // Whoever signs out is signed out.
    browser.visit(&format!("{HOME}/.menshen/sign_out")).await;
    assert_eq!(
        browser
            .visit(&format!("{HOME}/.menshen/userinfo"))
            .await
            .status,
        401
    );
}
