//! What a redirect of menshen proves is counted as a redirect loop; a URL that a stranger writes is not.

use std::time::Duration;

use crate::admin::send_request;
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};

const ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

const ROUTES: &str = r#"
[[route]]
name = "login"
host = "sso.test"
upstream = ["{app}"]
[[route]]
name = "oa"
host = "oa.test"
upstream = ["{app}"]
[[route]]
name = "hr"
host = "hr.test"
upstream = ["{app}"]
"#;

async fn start() -> Menshen {
    let tables = format!("{ADMIN}{NO_LOGIN_LIMITS}");
    let setup = Setup::default().tables(&tables).routes(ROUTES);
    setup.start().await
}

/// The counted redirect loops.
async fn loops(menshen: &Menshen) -> String {
    let page = send_request(menshen, "GET", "/metrics", "", "")
        .await
        .text();
    let line = page
        .lines()
        .find(|line| line.starts_with("menshen_login_loops_total"));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

/// Where the login host sends a signed-in person who wants to go to the other host.
async fn sent_there(browser: &mut Browser) -> String {
    let url = format!("{OWN_PAGES}/start?rd=http://oa.test/page");
    let there = browser.visit(&url).await;
    let there = there.header("location").unwrap().to_owned();
    assert!(
        there.starts_with("http://oa.test/.menshen/start?rd="),
        "{there}"
    );
    there
}

#[tokio::test]
async fn a_url_of_a_stranger_counts_as_no_redirect_loop() {
    let menshen = start().await;
    for mark in ["1", "", ".", "1.", "9999999999.AAAAAAAAAAAAAAAAAAAAAA"] {
        for host in ["sso.test", "hr.test"] {
            let url = format!("http://{host}/.menshen/start?rd=http://oa.test/page&o={mark}");
            Browser::new(&menshen).visit(&url).await;
        }
    }
    assert_eq!(loops(&menshen).await, "0");
}

#[tokio::test]
async fn the_mark_of_a_redirect_holds_for_its_return_address_and_for_minutes() {
    let menshen = start().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let there = sent_there(&mut browser).await;
    let here = there.replace("http://oa.test/.menshen", OWN_PAGES);
    let mut stranger = Browser::new(&menshen);
    for other in [
        here.replace("page", "other"),
        here.replace("oa.test", "hr.test"),
    ] {
        assert_ne!(other, here);
        stranger.visit(&other).await;
    }
    menshen.advance(Duration::from_secs(301));
    stranger.visit(&here).await;
    assert_eq!(loops(&menshen).await, "0");

    let there = sent_there(&mut browser).await;
    for (host, count) in [("sso.test", "1"), ("hr.test", "2")] {
        browser
            .visit(&there.replace(
                "http://oa.test/.menshen",
                &format!("http://{host}/.menshen"),
            ))
            .await;
        assert_eq!(loops(&menshen).await, count, "{host}");
    }
}
