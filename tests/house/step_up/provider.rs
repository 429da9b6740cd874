//! Step-up at a provider that sends `acr` and `auth_time`.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::json;

use crate::browser::{Browser, href};
use crate::logging_in::OWN_PAGES;
use crate::provider::{Misbehavior, Provider};
use crate::setup::{Menshen, SSO_URL};

/// A route without demands, one that demands a recent second factor, and one whose logins always
/// show the provider's page.
const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]

[[route]]
name = "strong"
host = "sso.test"
path = "/strong"
strip_path = true
upstream = ["{app}"]
connectors = ["keycloak"]
acr_values = ["gold", "mfa"]
max_age = "10m"

[[route]]
name = "fresh"
host = "sso.test"
path = "/fresh"
strip_path = true
upstream = ["{app}"]
max_age = "10m"

[[route]]
name = "shown"
host = "sso.test"
path = "/shown"
strip_path = true
upstream = ["{app}"]
connectors = ["keycloak"]
prompt = "select_account"
"#;

const STRONG: &str = "http://sso.test/strong/echo?a=1";

async fn start_menshen(provider: &Provider, always: bool) -> Menshen {
    let setup = provider.setup("").routes(ROUTES);
    let setup = setup.connector("auto_login = 'never'");
    if always {
        let more = provider.toml("keycloak").replace("\"never\"", "\"always\"");
        return setup
            .tables(&format!("{more}{}", crate::setup::NO_LOGIN_LIMITS))
            .start()
            .await;
    }
    setup.start().await
}

/// Follows redirects to the provider, or presses the single button of the sign-in page.
async fn follow_or_press_button(
    provider: &Provider,
    browser: &mut Browser,
    place: &str,
) -> crate::browser::Page {
    let page = browser.follow(place).await;
    match href(&page.answer.text(), "/start?connector=keycloak") {
        Some(start) if page.url.contains("/.menshen/") => {
            provider
                .follow_login(browser, &format!("{SSO_URL}{start}"))
                .await
        }
        _ => page,
    }
}

#[tokio::test]
async fn a_second_factor_is_requested_only_for_routes_that_demand_it() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider, false).await;
    let mut browser = Browser::new(&menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200);
    let asked = provider.last_request("authorize");
    assert_eq!(
        (
            asked.parameter("acr_values"),
            asked.parameter("max_age"),
            asked.parameter("prompt")
        ),
        (None, None, None)
    );
    let page = follow_or_press_button(&provider, &mut browser, STRONG).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, STRONG));
    let asked = provider.last_request("authorize");
    assert_eq!(asked.parameter("acr_values"), Some("gold mfa"));
    assert_eq!(asked.parameter("max_age"), Some("600"));
    // The stronger proof is valid on other routes, and ages only where `max_age` is set.
    let before = provider.calls("authorize");
    assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    menshen.advance(Duration::from_secs(601));
    assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
    assert_eq!(browser.visit(STRONG).await.status, 302);
    assert_eq!(provider.calls("authorize"), before);
    let page = follow_or_press_button(&provider, &mut browser, STRONG).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, STRONG));
}

#[tokio::test]
async fn an_unconfirmed_second_factor_ends_on_a_page() {
    for always in [false, true] {
        let provider = Provider::new().await;
        let menshen = start_menshen(&provider, always).await;
        let mut browser = Browser::new(&menshen);
        provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        // The provider has no second factor, and its `acr` says so.
        provider.set(|settings| settings.acrs = vec!["pwd".to_owned()]);
        let page = follow_or_press_button(&provider, &mut browser, STRONG).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (403, Some(Cause::AuthTooWeak)),
            "{always}"
        );
        assert_eq!(browser.visit(&format!("{SSO_URL}/echo")).await.status, 200);
        // The provider reports an old `auth_time`, whatever was asked.
        provider.set(|settings| settings.acrs = vec!["mfa".to_owned()]);
        let long_ago = menshen.clock.now().unix_s() - 7200;
        provider.misbehave(Misbehavior::claims(move |claims| {
            claims["auth_time"] = json!(long_ago)
        }));
        let page = follow_or_press_button(&provider, &mut browser, STRONG).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (403, Some(Cause::AuthTooWeak)),
            "{always}"
        );
        let told = menshen.audit().pop().unwrap().to_string();
        assert!(told.contains("longer ago than the login allows"), "{told}");
        // Then the provider behaves, and the person retries.
        provider.behave();
        let page = follow_or_press_button(&provider, &mut browser, STRONG).await;
        assert_eq!(
            (page.answer.status, page.url.as_str()),
            (200, STRONG),
            "{always}"
        );
    }
}

#[tokio::test]
async fn a_proof_that_becomes_too_old_during_the_redirect_is_requested_once_more() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider, false).await;
    let mut browser = Browser::new(&menshen);
    provider.start_session(&mut browser, "zhangsan");
    menshen.advance(Duration::from_secs(599));
    let start = format!("{OWN_PAGES}/start?connector=keycloak&rd=/fresh/echo");
    let callback = |url: &str| url.contains("/callback/");
    let back = browser.follow_until(&start, callback).await;
    menshen.advance(Duration::from_secs(5));
    let page = browser.follow(&back.url).await;
    let place = format!("{SSO_URL}/fresh/echo");
    assert_eq!((page.answer.status, page.url), (200, place));
    assert_eq!(provider.calls("authorize"), 2);
}

#[tokio::test]
async fn prompt_is_sent_with_every_login_for_the_route() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider, false).await;
    let mut browser = Browser::new(&menshen);
    provider.set_default_user("zhangsan");
    let place = format!("{SSO_URL}/shown/echo");
    let page = follow_or_press_button(&provider, &mut browser, &place).await;
    assert_eq!((page.answer.status, page.url), (200, place));
    assert_eq!(
        provider.last_request("authorize").parameter("prompt"),
        Some("select_account")
    );
    // A session of a login for another route is accepted: `prompt` makes no session insufficient.
    let mut other = Browser::new(&menshen);
    provider.sign_in(&mut other, "keycloak", "lisi").await;
    assert_eq!(
        other.visit(&format!("{SSO_URL}/shown/echo")).await.status,
        200
    );
}

#[tokio::test]
async fn only_hints_of_own_urls_reach_the_provider() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider, false).await;
    for (address, login, domain) in [
        (
            "start?connector=keycloak&rd=/x&login_hint=lisi&domain_hint=corp.example",
            Some("lisi"),
            Some("corp.example"),
        ),
        (
            "start?connector=keycloak&rd=/x%3Flogin_hint%3Dlisi",
            None,
            None,
        ),
        (
            "start?connector=keycloak&login_hint=lisi&login_hint=zhangsan",
            None,
            None,
        ),
        (
            "start?connector=keycloak&login_hint=a%0Ab&domain_hint=%00",
            None,
            None,
        ),
    ] {
        Browser::new(&menshen)
            .follow(&format!("{OWN_PAGES}/{address}"))
            .await;
        let asked = provider.last_request("authorize");
        assert_eq!(
            (
                asked.parameter("login_hint"),
                asked.parameter("domain_hint")
            ),
            (login, domain),
            "{address}"
        );
    }
    // By the sign-in page, after a click of another person.
    let mut browser = Browser::new(&menshen);
    let page = browser
        .visit(&format!("{OWN_PAGES}/sign_in?rd=/echo&login_hint=lisi"))
        .await;
    let start = href(&page.text(), "/start?connector=keycloak").unwrap();
    let page = provider
        .follow_login(&mut browser, &format!("{SSO_URL}{start}"))
        .await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}
