//! Answers that are brought to the wrong place, by the wrong browser, or more than once.

use menshen::face::page::Cause;

use crate::browser::Browser;
use crate::provider::{Misbehavior, Provider};
use crate::setup::{Menshen, Setup, UNLIMITED};

/// Two providers on one clock, and an instance of menshen that has both.
async fn two() -> (Provider, Provider, Menshen) {
    let a = Provider::new().await;
    let b = Provider::start(a.clock(), jsonwebtoken::Algorithm::ES256).await;
    let more = format!("{}{}{UNLIMITED}", a.toml("a"), b.toml("b"));
    let menshen = Setup::default().clock(a.clock()).more(&more).start().await;
    (a, b, menshen)
}

fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let mut pairs = url.query_pairs();
    let found = pairs.find(|(key, _)| key == name);
    found.expect("the parameter is there").1.into_owned()
}

/// The same address with other values.
fn with(url: &str, values: &[(&str, &str)]) -> String {
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

fn nobody_came_in(browser: &Browser) {
    assert!(
        browser.cookie("menshen").is_none(),
        "{:?}",
        browser.cookies()
    );
}

#[tokio::test]
async fn an_answer_of_one_provider_means_nothing_at_the_callback_of_another() {
    let (a, b, menshen) = two().await;
    let mut browser = Browser::new(&menshen);
    let back = a.callback_url(&mut browser, "a", "zhangsan").await;
    let there = back.replace("/callback/a", "/callback/b");
    let page = browser.follow(&there).await;
    assert_eq!(page.answer.status, 400);
    let forged = [Some(Cause::LoginForged), Some(Cause::LoginMissing)];
    assert!(forged.contains(&page.cause()), "{:?}", page.cause());
    nobody_came_in(&browser);
    assert_eq!((a.calls("token"), b.calls("token")), (0, 0));
    // Its own place takes it, if the browser still remembers.
    let mut browser = Browser::new(&menshen);
    let back = a.callback_url(&mut browser, "a", "zhangsan").await;
    assert_eq!(browser.follow(&back).await.answer.status, 200);
}

#[tokio::test]
async fn a_code_of_one_provider_is_never_shown_to_another() {
    for (from, to) in [("a", "b"), ("b", "a")] {
        let (a, b, menshen) = two().await;
        let provider = |id| if id == "a" { &a } else { &b };
        let mut browser = Browser::new(&menshen);
        let code = provider(from)
            .callback_url(&mut browser, from, "zhangsan")
            .await;
        let state = provider(to)
            .callback_url(&mut browser, to, "zhangsan")
            .await;
        // The state of one login with everything else of the other.
        let mixed = with(
            &state,
            &[
                ("code", &parameter(&code, "code")),
                ("iss", &parameter(&code, "iss")),
            ],
        );
        let answer = browser.visit(&mixed).await;
        assert_eq!(
            (answer.status, answer.cause()),
            (400, Some(Cause::BadAnswer))
        );
        nobody_came_in(&browser);
        assert_eq!((a.calls("token"), b.calls("token")), (0, 0));
        let error = menshen.audit().last().unwrap()["error"].to_string();
        assert!(error.contains("another issuer"), "{error}");
        // The other login is untouched.
        assert_eq!(browser.follow(&code).await.answer.status, 200);
        assert_eq!(provider(from).calls("token"), 1);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_name_itself_gets_no_session_out_of_anothers_code() {
    let (a, b, menshen) = two().await;
    for provider in [&a, &b] {
        provider.set(|settings| settings.names_itself = false);
    }
    let mut browser = Browser::new(&menshen);
    let code = a.callback_url(&mut browser, "a", "zhangsan").await;
    let state = b.callback_url(&mut browser, "b", "zhangsan").await;
    let mixed = with(&state, &[("code", &parameter(&code, "code"))]);
    let answer = browser.visit(&mixed).await;
    // B does not know the code; the login through B begins once more.
    let to = answer
        .header("location")
        .unwrap_or_else(|| panic!("{}", answer.text()));
    assert!(to.starts_with(&b.url("/authorize")), "{to}");
    nobody_came_in(&browser);
    assert_eq!((a.calls("token"), b.calls("code")), (0, 1));
}

#[tokio::test]
async fn an_answer_that_comes_twice_is_redeemed_once() {
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
    assert_eq!(provider.calls("code"), 1);
    // Once more, later, with the memory of this login gone: they are here, and nothing happens.
    menshen.advance(std::time::Duration::from_secs(300));
    let page = tabs[0].follow(&back).await;
    assert_eq!(page.answer.status, 200);
    assert_eq!(provider.calls("code"), 1);
}

#[tokio::test]
async fn a_code_that_another_browser_got_lets_nobody_in() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut attacker = Browser::new(&menshen);
    let bait = provider
        .callback_url(&mut attacker, "keycloak", "lisi")
        .await;
    // A browser that began nothing.
    let mut victim = Browser::new(&menshen);
    let page = victim.follow(&bait).await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (400, Some(Cause::LoginMissing))
    );
    assert_eq!(victim.cookies(), []);
    assert_eq!(provider.calls("token"), 0);
    // A browser that began a login of its own, and is given the other one's code.
    let own = provider
        .callback_url(&mut victim, "keycloak", "zhangsan")
        .await;
    let injected = with(&own, &[("code", &parameter(&bait, "code"))]);
    let answer = victim.visit(&injected).await;
    nobody_came_in(&victim);
    let to = answer
        .header("location")
        .unwrap_or_else(|| panic!("{}", answer.text()));
    assert!(to.starts_with(&provider.url("/authorize")), "{to}");
    assert_eq!(provider.calls("code"), 1);
    // What it ends at is never the other one's session.
    let page = victim.follow(to).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
}

#[tokio::test]
async fn without_pkce_at_the_provider_the_nonce_still_tells_logins_apart() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut attacker = Browser::new(&menshen);
    let bait = provider
        .callback_url(&mut attacker, "keycloak", "lisi")
        .await;
    let mut victim = Browser::new(&menshen);
    let own = provider
        .callback_url(&mut victim, "keycloak", "zhangsan")
        .await;
    provider.forget_challenges();
    let injected = with(&own, &[("code", &parameter(&bait, "code"))]);
    let answer = victim.visit(&injected).await;
    assert_eq!(
        (answer.status, answer.cause()),
        (400, Some(Cause::BadAnswer))
    );
    nobody_came_in(&victim);
    let error = menshen.audit().last().unwrap()["error"].to_string();
    assert!(error.contains("nonce"), "{error}");
}

#[tokio::test]
async fn two_providers_never_share_a_person_and_a_token_of_one_means_nothing_at_the_other() {
    let (a, b, menshen) = two().await;
    let mut browser = Browser::new(&menshen);
    assert_eq!(
        a.sign_in(&mut browser, "a", "zhangsan").await.answer.status,
        200
    );
    // The same login from another source is somebody else.
    let mut other = Browser::new(&menshen);
    let page = b.sign_in(&mut other, "b", "zhangsan").await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginTaken))
    );
    nobody_came_in(&other);
    // B answers with an ID token that A signed for the same client.
    let claims = a.claims("lisi", crate::provider::CLIENT_ID);
    let key = a.key();
    b.misbehave(Misbehavior::sign(move |own, _| {
        let mut claims = claims.clone();
        claims["nonce"] = own["nonce"].clone();
        key.sign(&claims, &serde_json::json!({}))
    }));
    let mut other = Browser::new(&menshen);
    let page = b.sign_in(&mut other, "b", "lisi").await;
    assert_eq!(page.cause(), Some(Cause::BadAnswer));
    nobody_came_in(&other);
    b.behave();
    let page = b.sign_in(&mut other, "b", "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}
