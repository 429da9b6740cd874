//! Mix-up attacks: authorization responses at the wrong callback, from the wrong browser, or repeated.

use menshen::face::page::Cause;

use crate::browser::Browser;
use crate::provider::{Misbehavior, Provider};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};

/// Two providers with one clock, and an instance of menshen with both.
async fn two_providers() -> (Provider, Provider, Menshen) {
    let a = Provider::new().await;
    let b = Provider::start(a.clock(), jsonwebtoken::Algorithm::ES256).await;
    let tables = format!("{}{}{NO_LOGIN_LIMITS}", a.toml("a"), b.toml("b"));
    let menshen = Setup::default()
        .clock(a.clock())
        .tables(&tables)
        .start()
        .await;
    (a, b, menshen)
}

fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let mut pairs = url.query_pairs();
    let pair = pairs.find(|(key, _)| key == name);
    pair.expect("the URL has the parameter").1.into_owned()
}

/// The URL with these values of its parameters.
fn with_parameters(url: &str, values: &[(&str, &str)]) -> String {
    let mut url = url::Url::parse(url).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let mut query = url.query_pairs_mut();
    query.clear();
    for (name, value) in &pairs {
        let other = values.iter().find(|(key, _)| key == name);
        query.append_pair(name, other.map_or(value, |(_, other)| other));
    }
    drop(query);
    url.into()
}

fn assert_no_session(browser: &Browser) {
    assert!(
        browser.cookie("menshen").is_none(),
        "{:?}",
        browser.cookies()
    );
}

#[tokio::test]
async fn a_response_of_one_provider_is_refused_at_the_callback_of_another() {
    let (a, b, menshen) = two_providers().await;
    let mut browser = Browser::new(&menshen);
    let back = a.callback_url(&mut browser, "a", "zhangsan").await;
    let wrong_callback = back.replace("/callback/a", "/callback/b");
    let page = browser.follow(&wrong_callback).await;
    assert_eq!(page.answer.status, 400);
    let allowed = [
        Some(Cause::FlowCookieForged),
        Some(Cause::FlowCookieMissing),
    ];
    assert!(allowed.contains(&page.cause()), "{:?}", page.cause());
    assert_no_session(&browser);
    assert_eq!((a.calls("token"), b.calls("token")), (0, 0));
    // Its own callback accepts it.
    let mut browser = Browser::new(&menshen);
    let back = a.callback_url(&mut browser, "a", "zhangsan").await;
    assert_eq!(browser.follow(&back).await.answer.status, 200);
}

#[tokio::test]
async fn a_code_of_one_provider_is_never_sent_to_another() {
    for (from, to) in [("a", "b"), ("b", "a")] {
        let (a, b, menshen) = two_providers().await;
        let provider = |id| if id == "a" { &a } else { &b };
        let mut browser = Browser::new(&menshen);
        let code = provider(from)
            .callback_url(&mut browser, from, "zhangsan")
            .await;
        let state = provider(to)
            .callback_url(&mut browser, to, "zhangsan")
            .await;
        // The state of one login, the code and the issuer of the other.
        let mixed_up = with_parameters(
            &state,
            &[
                ("code", &parameter(&code, "code")),
                ("iss", &parameter(&code, "iss")),
            ],
        );
        let answer = browser.visit(&mixed_up).await;
        assert_eq!(
            (answer.status, answer.cause()),
            (400, Some(Cause::InvalidProviderResponse))
        );
        assert_no_session(&browser);
        assert_eq!((a.calls("token"), b.calls("token")), (0, 0));
        let error = menshen.audit().last().unwrap()["error"].to_string();
        assert!(error.contains("another issuer"), "{error}");
        // The other login still works.
        assert_eq!(browser.follow(&code).await.answer.status, 200);
        assert_eq!(provider(from).calls("token"), 1);
    }
}

#[tokio::test]
async fn a_provider_without_iss_gets_no_session_from_the_code_of_another() {
    let (a, b, menshen) = two_providers().await;
    for provider in [&a, &b] {
        provider.set(|settings| settings.sends_iss = false);
    }
    let mut browser = Browser::new(&menshen);
    let code = a.callback_url(&mut browser, "a", "zhangsan").await;
    let state = b.callback_url(&mut browser, "b", "zhangsan").await;
    let mixed_up = with_parameters(&state, &[("code", &parameter(&code, "code"))]);
    let answer = browser.visit(&mixed_up).await;
    // B refuses the code, and the login through B starts again.
    let to = answer
        .header("location")
        .unwrap_or_else(|| panic!("{}", answer.text()));
    assert!(to.starts_with(&b.url("/authorize")), "{to}");
    assert_no_session(&browser);
    assert_eq!((a.calls("token"), b.code_grants()), (0, 1));
}

#[tokio::test]
async fn a_repeated_response_is_redeemed_once() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    let back = provider
        .callback_url(&mut browser, "keycloak", "zhangsan")
        .await;
    let mut tabs: Vec<_> = (0..8).map(|_| browser.clone()).collect();
    let visits = tabs.iter_mut().map(|tab| tab.visit(&back));
    for answer in futures_util::future::join_all(visits).await {
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some("/echo"))
        );
    }
    let session = |tab: &Browser| tab.cookie("menshen").map(|one| one.value.clone());
    assert!(session(&tabs[0]).is_some());
    assert!(tabs.iter().all(|tab| session(tab) == session(&tabs[0])));
    assert_eq!(provider.code_grants(), 1);
    // After the login has expired, the response is ignored, because the session exists.
    menshen.advance(std::time::Duration::from_secs(300));
    let page = tabs[0].follow(&back).await;
    assert_eq!(page.answer.status, 200);
    assert_eq!(provider.code_grants(), 1);
}

#[tokio::test]
async fn a_signed_in_person_with_an_expired_login_reaches_the_page_it_led_to() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    let late = provider
        .callback_url(&mut browser, "keycloak", "zhangsan")
        .await;
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    menshen.advance(std::time::Duration::from_secs(601));
    let grants = provider.code_grants();
    let answer = browser.visit(&late).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, Some("/echo"))
    );
    assert_eq!(provider.code_grants(), grants);
    // Nobody is signed in: the page offers another login.
    let mut browser = Browser::new(&menshen);
    let late = provider
        .callback_url(&mut browser, "keycloak", "zhangsan")
        .await;
    menshen.advance(std::time::Duration::from_secs(601));
    let page = browser.follow(&late).await;
    assert_eq!(page.cause(), Some(Cause::LoginExpired));
}

#[tokio::test]
async fn a_code_of_another_browser_is_refused() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut attacker = Browser::new(&menshen);
    let attacker_callback = provider
        .callback_url(&mut attacker, "keycloak", "lisi")
        .await;
    // A browser without a pending login.
    let mut victim = Browser::new(&menshen);
    let page = victim.follow(&attacker_callback).await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (400, Some(Cause::FlowCookieMissing))
    );
    assert_eq!(victim.cookies(), []);
    assert_eq!(provider.calls("token"), 0);
    // A browser with a pending login of its own, and the code of the other.
    let victim_callback = provider
        .callback_url(&mut victim, "keycloak", "zhangsan")
        .await;
    let mixed_up = with_parameters(
        &victim_callback,
        &[("code", &parameter(&attacker_callback, "code"))],
    );
    let answer = victim.visit(&mixed_up).await;
    assert_no_session(&victim);
    let to = answer
        .header("location")
        .unwrap_or_else(|| panic!("{}", answer.text()));
    assert!(to.starts_with(&provider.url("/authorize")), "{to}");
    assert_eq!(provider.code_grants(), 1);
    // It never gets the session of the other.
    let page = victim.follow(to).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
}

#[tokio::test]
async fn without_pkce_the_nonce_still_binds_the_code_to_its_login() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut attacker = Browser::new(&menshen);
    let attacker_callback = provider
        .callback_url(&mut attacker, "keycloak", "lisi")
        .await;
    let mut victim = Browser::new(&menshen);
    let victim_callback = provider
        .callback_url(&mut victim, "keycloak", "zhangsan")
        .await;
    provider.forget_challenges();
    let mixed_up = with_parameters(
        &victim_callback,
        &[("code", &parameter(&attacker_callback, "code"))],
    );
    let answer = victim.visit(&mixed_up).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (400, Some(Cause::InvalidProviderResponse))
    );
    assert_no_session(&victim);
    let error = menshen.audit().last().unwrap()["error"].to_string();
    assert!(error.contains("nonce"), "{error}");
}

#[tokio::test]
async fn providers_share_no_people_and_accept_no_tokens_of_each_other() {
    let (a, b, menshen) = two_providers().await;
    let mut browser = Browser::new(&menshen);
    assert_eq!(
        a.sign_in(&mut browser, "a", "zhangsan").await.answer.status,
        200
    );
    // The same login name at another source is another person.
    let mut other = Browser::new(&menshen);
    let page = b.sign_in(&mut other, "b", "zhangsan").await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginTaken))
    );
    assert_no_session(&other);
    // B sends an ID token that A signed for the same client ID.
    let claims = a.access_token_claims("lisi", crate::provider::CLIENT_ID);
    let key = a.signing_key();
    b.misbehave(Misbehavior::token(move |expected, _| {
        let mut claims = claims.clone();
        claims["nonce"] = expected["nonce"].clone();
        key.sign(&claims, &serde_json::json!({}))
    }));
    let mut other = Browser::new(&menshen);
    let page = b.sign_in(&mut other, "b", "lisi").await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    assert_no_session(&other);
    b.behave();
    let page = b.sign_in(&mut other, "b", "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}
