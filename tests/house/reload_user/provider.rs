//! The same at an OpenID provider, which is asked by `prompt=none` in an ordinary browser.

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::Browser;
use crate::logging_in::{OWN, parameter};
use crate::provider::Provider;
use crate::setup::{Menshen, Setup, UNLIMITED};
use crate::test_request::TestRequest;

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
reload_user = "always"
"#;

const PLACE: &str = "http://sso.test/echo?a=1";

/// Somebody who came in, and their browser, half a minute later.
async fn later(provider: &Provider) -> (Menshen, Browser) {
    let setup = provider
        .setup("")
        .routes(ROUTES)
        .connector("auto_login = 'never'");
    let menshen = setup.start().await;
    let mut browser = Browser::new(&menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200);
    menshen.advance(Duration::from_secs(30));
    (menshen, browser)
}

fn session(browser: &Browser) -> String {
    browser
        .cookie("menshen")
        .expect("somebody is here")
        .value
        .clone()
}

#[tokio::test]
async fn the_provider_is_asked_without_a_page_and_its_word_counts() {
    let provider = Provider::new().await;
    let (menshen, mut browser) = later(&provider).await;
    let old = session(&browser);
    let page = provider.follow_login(&mut browser, PLACE).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, PLACE));
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(provider.last("authorize").one("prompt"), Some("none"));
    assert_eq!(
        TestRequest::get("/echo")
            .session(&old)
            .send(&menshen)
            .await
            .status,
        401
    );
    // Somebody else sat down there.
    provider.start_session(&mut browser, "lisi");
    menshen.advance(Duration::from_secs(30));
    let page = provider.follow_login(&mut browser, PLACE).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    // And left.
    let old = session(&browser);
    provider.end_session_silently(&mut browser);
    menshen.advance(Duration::from_secs(30));
    let page = browser.follow(PLACE).await;
    assert!(
        page.url.contains("/sign_in?why=gone&rd=/echo"),
        "{}",
        page.url
    );
    assert!(browser.cookie("menshen").is_none());
    assert_eq!(
        TestRequest::get("/echo")
            .session(&old)
            .send(&menshen)
            .await
            .status,
        401
    );
    let told = menshen.audit();
    let gone = told.last().unwrap();
    assert_eq!(
        (&gone["event"], &gone["login"]),
        (&"sign-out".into(), &"lisi".into()),
        "{gone}"
    );
}

#[tokio::test]
async fn somebody_who_may_not_come_in_takes_nobodys_place() {
    let provider = Provider::new().await;
    let (menshen, mut browser) = later(&provider).await;
    let old = session(&browser);
    provider.person("lisi").disabled(true);
    provider.start_session(&mut browser, "lisi");
    browser.follow(PLACE).await;
    assert!(browser.cookie("menshen").is_none());
    assert_eq!(
        TestRequest::get("/echo")
            .session(&old)
            .send(&menshen)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_provider_that_is_down_at_any_step_locks_nobody_out() {
    // The browser does not reach it: the person comes back by hand.
    let provider = Provider::new().await;
    let (menshen, mut browser) = later(&provider).await;
    let there = |url: &str| url.starts_with(provider.issuer());
    let stopped = browser.follow_until(PLACE, there).await;
    assert!(there(&stopped.url));
    assert_eq!(browser.follow_until(PLACE, there).await.url, PLACE);
    // We do not reach it either: nobody is led there.
    menshen.advance(Duration::from_secs(3600));
    provider.down();
    let page = browser.follow_until(PLACE, there).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, PLACE));
    provider.up();
    // After the browser came back: for us it is gone.
    menshen.advance(Duration::from_secs(3600));
    provider.start_session(&mut browser, "zhangsan");
    let back = browser
        .follow_until(PLACE, |url| url.contains("/callback/"))
        .await;
    provider.down();
    let page = browser.follow(&back.url).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, PLACE));
    let calls = provider.calls("authorize");
    assert_eq!(browser.visit(PLACE).await.status, 200);
    assert_eq!(
        provider.calls("authorize"),
        calls,
        "that counts for a while"
    );
}

#[tokio::test]
async fn what_the_browser_says_of_a_provider_counts_for_ten_minutes_only() {
    let provider = Provider::new().await;
    let (menshen, mut browser) = later(&provider).await;
    let there = |url: &str| url.starts_with(provider.issuer());
    let claim = async |browser: &mut Browser| {
        browser.forget("-flow-");
        let asked = browser.follow_until(PLACE, there).await;
        let state = parameter(&asked.url, "state").expect("it is asked");
        let issuer = provider.issuer();
        let said = format!("error=server_error&state={state}&iss={issuer}");
        let back = format!("{OWN}/callback/keycloak?{said}");
        browser.follow_until(&back, there).await
    };
    let first = session(&browser);
    let page = claim(&mut browser).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, PLACE));
    assert_ne!(session(&browser), first, "the date of the cookie");
    menshen.advance(Duration::from_secs(600));
    let page = claim(&mut browser).await;
    assert_ne!(page.url, PLACE);
    assert!(browser.cookie("menshen").is_none(), "{}", page.url);
    assert_eq!(page.cause(), Some(Cause::SourceBusy));
}

#[tokio::test]
async fn an_answer_by_post_ends_the_session_it_replaces_and_nobody_is_asked_so() {
    let provider = Provider::new().await;
    let more = format!(
        "{}response_mode = 'form_post'\n{UNLIMITED}",
        provider.toml("keycloak")
    );
    let setup = Setup::default()
        .clock(provider.clock())
        .more(&more)
        .routes(ROUTES);
    let setup = setup
        .external_url("https://sso.test")
        .server("trusted_proxies = ['127.0.0.1']");
    let menshen = setup.connector("auto_login = 'never'").start().await;
    let mut browser = Browser::new(&menshen).over_https();
    let start = "https://sso.test/.menshen/start?connector=keycloak&rd=/echo";
    provider.start_session(&mut browser, "zhangsan");
    assert_eq!(
        provider
            .follow_login(&mut browser, start)
            .await
            .answer
            .status,
        200
    );
    let old = browser.cookie("__Host-menshen").unwrap().value.clone();
    // The cookie of the session does not come along with the answer, and yet it is known.
    provider.start_session(&mut browser, "lisi");
    let page = provider.follow_login(&mut browser, start).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    let ask = TestRequest::get("/echo").header("Cookie", &format!("__Host-menshen={old}"));
    assert_eq!(ask.send(&menshen).await.status, 401);
    menshen.advance(Duration::from_secs(3600));
    let calls = provider.calls("authorize");
    assert_eq!(browser.visit("https://sso.test/echo").await.status, 200);
    assert_eq!(provider.calls("authorize"), calls);
}
