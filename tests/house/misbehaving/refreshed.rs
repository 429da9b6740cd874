//! A provider that misbehaves when a session is refreshed.

use std::time::Duration;

use serde_json::json;

use crate::browser::Browser;
use crate::provider::{EndpointFault, Key, Misbehavior, Provider};
use crate::setup::{Menshen, SSO_URL};

/// The lifetime of an access token, after which a request waits for a refresh.
const LIFETIME: Duration = Duration::from_secs(300);

const ROUTES: &str = r#"
[[route]]
name = "finance"
host = "sso.test"
upstream = ["{app}"]
allow = "'财务部' in user.groups"
"#;

/// The expected state of the session after the refresh.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// It has ended, and the log says why.
    Over(&'static str),
    /// It continues unchanged.
    Stays,
    /// It continues, but the route denies access.
    Loses,
}

async fn signed_in(provider: &Provider) -> (Menshen, Browser) {
    let menshen = provider.setup("").routes(ROUTES).start().await;
    let mut browser = Browser::new(&menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    (menshen, browser)
}

async fn check(menshen: &Menshen, browser: &mut Browser) -> Then {
    let answer = browser.visit(&format!("{SSO_URL}/echo")).await;
    match answer.status {
        200 => Then::Stays,
        403 => Then::Loses,
        302 | 303 => {
            let audit = menshen.audit();
            let gone = audit.iter().rfind(|line| line["event"] == "refresh-gone");
            let gone = gone.unwrap_or_else(|| panic!("no word of it: {audit:?}"));
            let error = gone["error"].as_str().unwrap_or_default().to_owned();
            Then::Over(Box::leak(error.into_boxed_str()))
        }
        other => panic!("{other}: {}", answer.text()),
    }
}

async fn refreshed(what: &str, misbehave: impl FnOnce(&Provider), then: Then) {
    let provider = Provider::new().await;
    let (menshen, mut browser) = signed_in(&provider).await;
    // The same refresh succeeds when the provider behaves.
    menshen.advance(LIFETIME);
    assert_eq!(
        check(&menshen, &mut browser).await,
        Then::Stays,
        "{what}: unbent"
    );
    assert_eq!(provider.refresh_grants(), 1, "{what}");
    misbehave(&provider);
    menshen.advance(LIFETIME);
    match (check(&menshen, &mut browser).await, then) {
        (Then::Over(error), Then::Over(says)) => assert!(error.contains(says), "{what}: {error}"),
        (is, then) => assert_eq!(is, then, "{what}"),
    }
    if let Then::Over(_) = then {
        provider.behave();
        // It stays ended when the provider behaves again.
        let again = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_ne!(again.status, 200, "{what}");
    }
    let told = menshen.records.text();
    for secret in provider.secrets() {
        assert!(!told.contains(&secret), "{what}: a record tells {secret}");
    }
}

fn claims(name: &'static str, value: serde_json::Value) -> impl FnOnce(&Provider) {
    move |provider| {
        provider.misbehave(Misbehavior::claims(move |claims| {
            claims[name] = value.clone()
        }));
    }
}

#[tokio::test]
async fn a_refresh_for_another_person_ends_the_session() {
    let other = || json!("f5b7e6c0-lisi");
    refreshed(
        "another subject",
        claims("sub", other()),
        Then::Over("another person"),
    )
    .await;
    let userinfo = |provider: &Provider| {
        provider.misbehave(Misbehavior::json("userinfo", |said| {
            said["sub"] = json!("x")
        }));
    };
    refreshed(
        "another subject in userinfo",
        userinfo,
        Then::Over("another person than the ID token"),
    )
    .await;
}

#[tokio::test]
async fn a_refresh_with_an_invalid_id_token_ends_the_session() {
    refreshed(
        "another issuer",
        claims("iss", json!("https://evil.test")),
        Then::Over("issued by"),
    )
    .await;
    refreshed(
        "another audience",
        claims("aud", json!("wiki")),
        Then::Over("it is for wiki"),
    )
    .await;
    refreshed(
        "another party",
        claims("azp", json!("wiki")),
        Then::Over("another client"),
    )
    .await;
    refreshed(
        "another hash",
        claims("at_hash", json!("77QmUPtjPfzWtF2AnpK9RQ")),
        Then::Over("access token"),
    )
    .await;
    let stranger = Key::generate(jsonwebtoken::Algorithm::ES256);
    let signed = move |provider: &Provider| {
        provider.misbehave(Misbehavior::token(move |claims, key| {
            stranger.sign(claims, &json!({ "kid": key.kid }))
        }));
    };
    refreshed("another's signature", signed, Then::Over("signature")).await;
    let none = |provider: &Provider| {
        provider.misbehave(Misbehavior::token_header(|head| {
            head["alg"] = json!("none")
        }));
    };
    refreshed("alg none", none, Then::Over("algorithm none")).await;
}

#[tokio::test]
async fn a_refresh_that_is_refused_ends_the_session() {
    let revoke = |provider: &Provider| provider.revoke("zhangsan");
    refreshed("revoked", revoke, Then::Over("invalid_grant")).await;
    let disable = |provider: &Provider| {
        provider.person("zhangsan").disabled(true);
    };
    refreshed("shut out", disable, Then::Over("invalid_grant")).await;
}

#[tokio::test]
async fn a_refresh_without_the_group_denies_the_route_at_once() {
    let leaves = |provider: &Provider| {
        provider.person("zhangsan").groups(&["平台部"]);
    };
    refreshed("another group", leaves, Then::Loses).await;
    let none = |provider: &Provider| {
        provider.person("zhangsan").claim("groups", ().into());
    };
    refreshed("no groups at all", none, Then::Loses).await;
}

#[tokio::test]
async fn a_refresh_without_an_id_token_changes_nothing() {
    for odd in [
        EndpointFault::Html,
        EndpointFault::HtmlStatus(502),
        EndpointFault::Redirect(302),
        EndpointFault::Disconnect,
    ] {
        let at = |endpoint| {
            let odd = odd.clone();
            move |provider: &Provider| provider.misbehave(Misbehavior::Fault(endpoint, odd))
        };
        refreshed("token", at("token"), Then::Stays).await;
        refreshed("userinfo", at("userinfo"), Then::Stays).await;
    }
    let down = |provider: &Provider| provider.start_outage();
    refreshed("down", down, Then::Stays).await;
}
