//! The same at a provider that names contexts and says when its people proved themselves.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::json;

use crate::browser::{Browser, href};
use crate::logging_in::OWN;
use crate::provider::{Misbehavior, Provider};
use crate::setup::{HOME, Menshen};

/// Everybody's application, one that wants a second factor just now, and one whose logins always
/// show the source's page.
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
            .more(&format!("{more}{}", crate::setup::UNLIMITED))
            .start()
            .await;
    }
    setup.start().await
}

/// The way to the provider from a place: by itself, or by the one button of the page.
async fn walk(provider: &Provider, browser: &mut Browser, place: &str) -> crate::browser::Page {
    let page = browser.follow(place).await;
    match href(&page.answer.text(), "/start?connector=keycloak") {
        Some(start) if page.url.contains("/.menshen/") => {
            provider
                .follow_login(browser, &format!("{HOME}{start}"))
                .await
        }
        _ => page,
    }
}

#[tokio::test]
async fn a_second_factor_is_asked_for_where_a_route_wants_it_and_nowhere_else() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider, false).await;
    let mut browser = Browser::new(&menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200);
    let asked = provider.last("authorize");
    assert_eq!(
        (
            asked.one("acr_values"),
            asked.one("max_age"),
            asked.one("prompt")
        ),
        (None, None, None)
    );
    let page = walk(&provider, &mut browser, STRONG).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, STRONG));
    let asked = provider.last("authorize");
    assert_eq!(asked.one("acr_values"), Some("gold mfa"));
    assert_eq!(asked.one("max_age"), Some("600"));
    // The stronger proof is as good elsewhere, and grows old only where that counts.
    let before = provider.calls("authorize");
    assert_eq!(browser.visit(&format!("{HOME}/echo")).await.status, 200);
    menshen.advance(Duration::from_secs(601));
    assert_eq!(browser.visit(&format!("{HOME}/echo")).await.status, 200);
    assert_eq!(browser.visit(STRONG).await.status, 302);
    assert_eq!(provider.calls("authorize"), before);
    let page = walk(&provider, &mut browser, STRONG).await;
    assert_eq!((page.answer.status, page.url.as_str()), (200, STRONG));
}

#[tokio::test]
async fn a_provider_that_does_not_confirm_it_ends_on_a_page() {
    for always in [false, true] {
        let provider = Provider::new().await;
        let menshen = start_menshen(&provider, always).await;
        let mut browser = Browser::new(&menshen);
        provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        // It has no second factor, and says so by what it answers.
        provider.set(|settings| settings.acrs = vec!["pwd".to_owned()]);
        let page = walk(&provider, &mut browser, STRONG).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (403, Some(Cause::ProofTooWeak)),
            "{always}"
        );
        assert_eq!(browser.visit(&format!("{HOME}/echo")).await.status, 200);
        // It says that they proved themselves long ago, whatever was asked.
        provider.set(|settings| settings.acrs = vec!["mfa".to_owned()]);
        let long_ago = menshen.clock.now().unix_s() - 7200;
        provider.misbehave(Misbehavior::claims(move |claims| {
            claims["auth_time"] = json!(long_ago)
        }));
        let page = walk(&provider, &mut browser, STRONG).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (403, Some(Cause::ProofTooWeak)),
            "{always}"
        );
        let told = menshen.audit().pop().unwrap().to_string();
        assert!(told.contains("longer ago than was asked for"), "{told}");
        // Then it behaves, and the person tries again.
        provider.behave();
        let page = walk(&provider, &mut browser, STRONG).await;
        assert_eq!(
            (page.answer.status, page.url.as_str()),
            (200, STRONG),
            "{always}"
        );
    }
}

#[tokio::test]
async fn a_proof_that_grows_too_old_on_the_way_back_is_asked_for_once_more() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider, false).await;
    let mut browser = Browser::new(&menshen);
    provider.start_session(&mut browser, "zhangsan");
    menshen.advance(Duration::from_secs(599));
    let start = format!("{OWN}/start?connector=keycloak&rd=/fresh/echo");
    let callback = |url: &str| url.contains("/callback/");
    let back = browser.follow_until(&start, callback).await;
    menshen.advance(Duration::from_secs(5));
    let page = browser.follow(&back.url).await;
    let place = format!("{HOME}/fresh/echo");
    assert_eq!((page.answer.status, page.url), (200, place));
    assert_eq!(provider.calls("authorize"), 2);
}

#[tokio::test]
async fn what_the_source_must_show_is_said_at_every_login_for_the_route() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider, false).await;
    let mut browser = Browser::new(&menshen);
    provider.set_default_user("zhangsan");
    let place = format!("{HOME}/shown/echo");
    let page = walk(&provider, &mut browser, &place).await;
    assert_eq!((page.answer.status, page.url), (200, place));
    assert_eq!(
        provider.last("authorize").one("prompt"),
        Some("select_account")
    );
    // Whoever came in elsewhere passes: it makes no session insufficient.
    let mut other = Browser::new(&menshen);
    provider.sign_in(&mut other, "keycloak", "lisi").await;
    assert_eq!(other.visit(&format!("{HOME}/shown/echo")).await.status, 200);
}

#[tokio::test]
async fn hints_reach_the_provider_and_only_ours_do() {
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
            .follow(&format!("{OWN}/{address}"))
            .await;
        let asked = provider.last("authorize");
        assert_eq!(
            (asked.one("login_hint"), asked.one("domain_hint")),
            (login, domain),
            "{address}"
        );
    }
    // Through the page with the choice, on another person's click.
    let mut browser = Browser::new(&menshen);
    let page = browser
        .visit(&format!("{OWN}/sign_in?rd=/echo&login_hint=lisi"))
        .await;
    let start = href(&page.text(), "/start?connector=keycloak").unwrap();
    let page = provider
        .follow_login(&mut browser, &format!("{HOME}{start}"))
        .await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}
