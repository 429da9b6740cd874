//! `reload_user` at an OpenID provider, with `prompt=none` in an ordinary browser.

use std::time::Duration;

use menshen::face::page::Cause;

use super::assert_ended;
use crate::browser::Browser;
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::provider::Provider;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::test_request::TestRequest;

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
reload_user = "always"
"#;

const PAGE_URL: &str = "http://sso.test/echo?a=1";

async fn sign_in_and_wait_until_due(provider: &Provider) -> (Menshen, Browser) {
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

fn session_cookie(browser: &Browser) -> String {
    browser
        .cookie("menshen")
        .expect("the browser has a session")
        .value
        .clone()
}

#[tokio::test]
async fn the_provider_confirms_silently_and_its_response_takes_effect() {
    let provider = Provider::new().await;
    let (menshen, mut browser) = sign_in_and_wait_until_due(&provider).await;
    let old = session_cookie(&browser);
    let page = provider.follow_login(&mut browser, PAGE_URL).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, PAGE_URL));
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(
        provider.last_request("authorize").parameter("prompt"),
        Some("none")
    );
    assert_ended(&menshen, &old).await;
    // A different person is signed in at the provider.
    provider.start_session(&mut browser, "lisi");
    menshen.advance(Duration::from_secs(30));
    let page = provider.follow_login(&mut browser, PAGE_URL).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    // Nobody is signed in at the provider.
    let old = session_cookie(&browser);
    provider.end_session_silently(&mut browser);
    menshen.advance(Duration::from_secs(30));
    let page = browser.follow(PAGE_URL).await;
    assert!(
        page.url.contains("/sign_in?why=gone&rd=/echo"),
        "{}",
        page.url
    );
    assert!(browser.cookie("menshen").is_none());
    assert_ended(&menshen, &old).await;
    let audit = menshen.audit();
    let record = audit.last().unwrap();
    assert_eq!(
        (&record["event"], &record["login"]),
        (&"sign-out".into(), &"lisi".into()),
        "{record}"
    );
}

#[tokio::test]
async fn a_person_who_is_not_admitted_ends_the_session() {
    let provider = Provider::new().await;
    let (menshen, mut browser) = sign_in_and_wait_until_due(&provider).await;
    let old = session_cookie(&browser);
    provider.person("lisi").disabled(true);
    provider.start_session(&mut browser, "lisi");
    browser.follow(PAGE_URL).await;
    assert!(browser.cookie("menshen").is_none());
    assert_ended(&menshen, &old).await;
}

#[tokio::test]
async fn a_provider_outage_at_any_step_keeps_the_session() {
    // The browser does not reach the provider; the person navigates back.
    let provider = Provider::new().await;
    let (menshen, mut browser) = sign_in_and_wait_until_due(&provider).await;
    let at_provider = |url: &str| url.starts_with(provider.issuer());
    let page = browser.follow_until(PAGE_URL, at_provider).await;
    assert!(at_provider(&page.url));
    assert_eq!(
        browser.follow_until(PAGE_URL, at_provider).await.url,
        PAGE_URL
    );
    // menshen does not reach the provider and does not redirect to it.
    menshen.advance(Duration::from_secs(3600));
    provider.start_outage();
    let page = browser.follow_until(PAGE_URL, at_provider).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, PAGE_URL));
    provider.end_outage();
    // The browser returns from the provider, which menshen no longer reaches.
    menshen.advance(Duration::from_secs(3600));
    provider.start_session(&mut browser, "zhangsan");
    let back = browser
        .follow_until(PAGE_URL, |url| url.contains("/callback/"))
        .await;
    provider.start_outage();
    let page = browser.follow(&back.url).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, PAGE_URL));
    let calls = provider.calls("authorize");
    assert_eq!(browser.visit(PAGE_URL).await.status, 200);
    assert_eq!(
        provider.calls("authorize"),
        calls,
        "the failure counts as a confirmation"
    );
}

#[tokio::test]
async fn an_error_in_the_callback_keeps_the_session_for_ten_minutes_only() {
    let provider = Provider::new().await;
    let (menshen, mut browser) = sign_in_and_wait_until_due(&provider).await;
    let at_provider = |url: &str| url.starts_with(provider.issuer());
    let send_error_callback = async |browser: &mut Browser| {
        browser.delete_cookies("-flow-");
        let page = browser.follow_until(PAGE_URL, at_provider).await;
        let state = query_parameter(&page.url, "state").expect("the browser is at the provider");
        let issuer = provider.issuer();
        let query = format!("error=server_error&state={state}&iss={issuer}");
        let back = format!("{OWN_PAGES}/callback/keycloak?{query}");
        browser.follow_until(&back, at_provider).await
    };
    let first = session_cookie(&browser);
    let page = send_error_callback(&mut browser).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, PAGE_URL));
    assert_ne!(
        session_cookie(&browser),
        first,
        "the cookie has a new time of confirmation"
    );
    menshen.advance(Duration::from_secs(600));
    let page = send_error_callback(&mut browser).await;
    assert_ne!(page.url, PAGE_URL);
    assert!(browser.cookie("menshen").is_none(), "{}", page.url);
    assert_eq!(page.cause(), Some(Cause::ProviderBusy));
}

#[tokio::test]
async fn a_form_post_response_replaces_the_session_and_is_never_used_silently() {
    let provider = Provider::new().await;
    let tables = format!(
        "{}response_mode = 'form_post'\n{NO_LOGIN_LIMITS}",
        provider.toml("keycloak")
    );
    let setup = Setup::default()
        .clock(provider.clock())
        .tables(&tables)
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
    // The form post carries no session cookie; the flow names the session.
    provider.start_session(&mut browser, "lisi");
    let page = provider.follow_login(&mut browser, start).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    let request = TestRequest::get("/echo").header("Cookie", &format!("__Host-menshen={old}"));
    assert_eq!(request.send(&menshen).await.status, 401);
    menshen.advance(Duration::from_secs(3600));
    let calls = provider.calls("authorize");
    assert_eq!(browser.visit("https://sso.test/echo").await.status, 200);
    assert_eq!(provider.calls("authorize"), calls);
}
