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
enum AfterRefresh {
    /// The session has ended, and the log says why.
    Ended(&'static str),
    /// It continues unchanged.
    Unchanged,
    /// It continues, but the route denies access.
    Denied,
}

async fn sign_in(provider: &Provider) -> (Menshen, Browser) {
    let menshen = provider.setup("").routes(ROUTES).start().await;
    let mut browser = Browser::new(&menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    (menshen, browser)
}

async fn visit_after_refresh(menshen: &Menshen, browser: &mut Browser) -> AfterRefresh {
    let answer = browser.visit(&format!("{SSO_URL}/echo")).await;
    match answer.status {
        200 => AfterRefresh::Unchanged,
        403 => AfterRefresh::Denied,
        302 | 303 => {
            let audit = menshen.audit();
            let record = audit.iter().rfind(|line| line["event"] == "refresh-gone");
            let record = record.unwrap_or_else(|| panic!("no refresh-gone record: {audit:?}"));
            let error = record["error"].as_str().unwrap_or_default().to_owned();
            AfterRefresh::Ended(Box::leak(error.into_boxed_str()))
        }
        other => panic!("{other}: {}", answer.text()),
    }
}

async fn assert_after_refresh(
    what: &str,
    misbehave: impl FnOnce(&Provider),
    expected: AfterRefresh,
) {
    let provider = Provider::new().await;
    let (menshen, mut browser) = sign_in(&provider).await;
    // The same refresh succeeds when the provider behaves.
    menshen.advance(LIFETIME);
    assert_eq!(
        visit_after_refresh(&menshen, &mut browser).await,
        AfterRefresh::Unchanged,
        "{what}: before the misbehavior"
    );
    assert_eq!(provider.refresh_grants(), 1, "{what}");
    misbehave(&provider);
    menshen.advance(LIFETIME);
    match (visit_after_refresh(&menshen, &mut browser).await, expected) {
        (AfterRefresh::Ended(error), AfterRefresh::Ended(logged_error)) => {
            assert!(error.contains(logged_error), "{what}: {error}")
        }
        (actual, expected) => assert_eq!(actual, expected, "{what}"),
    }
    if let AfterRefresh::Ended(_) = expected {
        provider.behave();
        // It stays ended when the provider behaves again.
        let again = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_ne!(again.status, 200, "{what}");
    }
    let records = menshen.records.text();
    for secret in provider.secrets() {
        assert!(
            !records.contains(&secret),
            "{what}: a record contains {secret}"
        );
    }
}

fn change_claim(name: &'static str, value: serde_json::Value) -> impl FnOnce(&Provider) {
    move |provider| {
        provider.misbehave(Misbehavior::claims(move |claims| {
            claims[name] = value.clone()
        }));
    }
}

#[tokio::test]
async fn a_refresh_for_another_person_ends_the_session() {
    let lisi = || json!("f5b7e6c0-lisi");
    assert_after_refresh(
        "another subject",
        change_claim("sub", lisi()),
        AfterRefresh::Ended("another person"),
    )
    .await;
    let userinfo = |provider: &Provider| {
        provider.misbehave(Misbehavior::json("userinfo", |claims| {
            claims["sub"] = json!("x")
        }));
    };
    assert_after_refresh(
        "another subject in userinfo",
        userinfo,
        AfterRefresh::Ended("another person than the ID token"),
    )
    .await;
}

#[tokio::test]
async fn a_refresh_with_an_invalid_id_token_ends_the_session() {
    assert_after_refresh(
        "another issuer",
        change_claim("iss", json!("https://evil.test")),
        AfterRefresh::Ended("issued by"),
    )
    .await;
    assert_after_refresh(
        "another audience",
        change_claim("aud", json!("wiki")),
        AfterRefresh::Ended("it is for wiki"),
    )
    .await;
    assert_after_refresh(
        "another authorized party",
        change_claim("azp", json!("wiki")),
        AfterRefresh::Ended("another client"),
    )
    .await;
    assert_after_refresh(
        "another hash",
        change_claim("at_hash", json!("77QmUPtjPfzWtF2AnpK9RQ")),
        AfterRefresh::Ended("access token"),
    )
    .await;
    let stranger = Key::generate(jsonwebtoken::Algorithm::ES256);
    let signed = move |provider: &Provider| {
        provider.misbehave(Misbehavior::token(move |claims, key| {
            stranger.sign(claims, &json!({ "kid": key.kid }))
        }));
    };
    assert_after_refresh(
        "another's signature",
        signed,
        AfterRefresh::Ended("signature"),
    )
    .await;
    let none = |provider: &Provider| {
        provider.misbehave(Misbehavior::token_header(|head| {
            head["alg"] = json!("none")
        }));
    };
    assert_after_refresh("alg none", none, AfterRefresh::Ended("algorithm none")).await;
}

#[tokio::test]
async fn a_refresh_that_is_refused_ends_the_session() {
    let revoke = |provider: &Provider| provider.revoke("zhangsan");
    assert_after_refresh("revoked", revoke, AfterRefresh::Ended("invalid_grant")).await;
    let disable = |provider: &Provider| {
        provider.person("zhangsan").disabled(true);
    };
    assert_after_refresh("disabled", disable, AfterRefresh::Ended("invalid_grant")).await;
}

#[tokio::test]
async fn a_refresh_without_the_group_denies_the_route_at_once() {
    let leave_group = |provider: &Provider| {
        provider.person("zhangsan").groups(&["平台部"]);
    };
    assert_after_refresh("another group", leave_group, AfterRefresh::Denied).await;
    let remove_groups = |provider: &Provider| {
        provider.person("zhangsan").claim("groups", ().into());
    };
    assert_after_refresh("no groups at all", remove_groups, AfterRefresh::Denied).await;
}

#[tokio::test]
async fn a_refresh_without_an_id_token_changes_nothing() {
    for fault in [
        EndpointFault::Html,
        EndpointFault::HtmlStatus(502),
        EndpointFault::Redirect(302),
        EndpointFault::Disconnect,
    ] {
        let at = |endpoint| {
            let fault = fault.clone();
            move |provider: &Provider| provider.misbehave(Misbehavior::Fault(endpoint, fault))
        };
        assert_after_refresh("token", at("token"), AfterRefresh::Unchanged).await;
        assert_after_refresh("userinfo", at("userinfo"), AfterRefresh::Unchanged).await;
    }
    let down = |provider: &Provider| provider.start_outage();
    assert_after_refresh("down", down, AfterRefresh::Unchanged).await;
}
