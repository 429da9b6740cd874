//! Refresh of a session: changes at the provider take effect on the next request.

use std::time::Duration;

use serde_json::json;

use crate::browser::Browser;
use crate::provider::{EndpointFault, Misbehavior, Provider};
use crate::setup::{Menshen, SSO_URL};

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
pass_access_token = true

[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{app}"]
allow = "'财务部' in user.groups"
pass_access_token = true
"#;

/// A signed-in browser whose access token has just expired.
async fn sign_in_and_expire_token(provider: &Provider) -> (Menshen, Browser) {
    let menshen = provider.setup("").routes(ROUTES).start().await;
    let mut browser = Browser::new(&menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    menshen.advance(Duration::from_secs(301));
    (menshen, browser)
}

async fn status(browser: &mut Browser, path: &str) -> u16 {
    let headers = [("Accept", "application/json")];
    let url = format!("{SSO_URL}{path}");
    browser.send("GET", &url, &headers, b"").await.status
}

#[tokio::test]
async fn a_group_removed_at_the_provider_is_gone_on_the_next_request() {
    for id_tokens in [true, false] {
        let provider = Provider::new().await;
        provider.set(|settings| settings.refresh_gives_id_token = id_tokens);
        let (_menshen, mut browser) = sign_in_and_expire_token(&provider).await;
        provider.person("zhangsan").groups(&["平台部"]);
        assert_eq!(status(&mut browser, "/finance/echo").await, 403);
        assert_eq!(status(&mut browser, "/echo").await, 200);
        assert_eq!(provider.refresh_grants(), 1);
    }
}

#[tokio::test]
async fn a_refresh_with_an_invalid_or_foreign_identity_ends_the_session() {
    for misbehavior in [
        Misbehavior::claims(|claims| claims["sub"] = json!("f5b7e6c0-lisi")),
        Misbehavior::claims(|claims| claims["aud"] = json!("other")),
        Misbehavior::claims(|claims| claims["iss"] = json!("https://evil.example")),
        Misbehavior::claims(|claims| claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA")),
        Misbehavior::json("userinfo", |claims| claims["sub"] = json!("f5b7e6c0-lisi")),
        Misbehavior::Fault("userinfo", EndpointFault::Json(401, "{}".to_owned())),
        Misbehavior::Fault(
            "token",
            EndpointFault::Json(400, r#"{"error":"invalid_grant"}"#.to_owned()),
        ),
    ] {
        let provider = Provider::new().await;
        let (menshen, mut browser) = sign_in_and_expire_token(&provider).await;
        provider.misbehave(misbehavior);
        assert_eq!(status(&mut browser, "/echo").await, 401);
        let audit = menshen.audit();
        assert!(
            audit.iter().any(|line| line["event"] == "refresh-gone"),
            "{audit:?}"
        );
        provider.behave();
        assert_eq!(status(&mut browser, "/echo").await, 401);
    }
}

const MAPPING: &str = "[connector.keycloak.mapping]\nlogin = \"profile.preferred_username\"\n\
                       groups = \"profile.groups.map(group, group + '')\"\n";

#[tokio::test]
async fn groups_do_not_survive_a_profile_that_cannot_be_mapped() {
    let provider = Provider::new().await;
    let menshen = provider.setup(MAPPING).routes(ROUTES).start().await;
    let mut browsers = [Browser::new(&menshen), Browser::new(&menshen)];
    for browser in &mut browsers {
        let page = provider.sign_in(browser, "keycloak", "zhangsan").await;
        assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    }
    menshen.advance(Duration::from_secs(301));
    provider.misbehave(Misbehavior::json("userinfo", |claims| {
        claims["groups"] = json!([7]);
    }));
    // The other session has the same groups.
    for browser in &mut browsers {
        assert_eq!(status(browser, "/finance/echo").await, 401);
    }
    let audit = menshen.audit();
    let ended = audit.iter().find(|line| line["event"] == "refresh-gone");
    let ended = ended.unwrap_or_else(|| panic!("{audit:?}"));
    assert!(
        ended["error"].as_str().unwrap().contains("`groups`"),
        "{ended}"
    );
}

#[tokio::test]
async fn a_refreshed_profile_needs_no_login_name() {
    let provider = Provider::new().await;
    provider.set(|settings| settings.refresh_gives_id_token = false);
    let menshen = provider.setup(MAPPING).routes(ROUTES).start().await;
    let mut browser = Browser::new(&menshen);
    provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(status(&mut browser, "/finance/echo").await, 200);
    menshen.advance(Duration::from_secs(301));
    provider.misbehave(Misbehavior::json("userinfo", |claims| {
        claims["preferred_username"] = json!(null);
        claims["groups"] = json!(["平台部"]);
    }));
    assert_eq!(status(&mut browser, "/finance/echo").await, 403);
    assert_eq!(status(&mut browser, "/echo").await, 200);
}

#[tokio::test]
async fn new_tokens_are_kept_if_the_profile_cannot_be_fetched() {
    for misbehavior in [
        Misbehavior::Fault("userinfo", EndpointFault::Json(503, "{}".to_owned())),
        Misbehavior::Fault("userinfo", EndpointFault::Html),
        Misbehavior::token_header(|head| head["kid"] = json!("unknown-key")),
        Misbehavior::claims(|claims| claims["iat"] = json!(1_900_000_000)),
    ] {
        let provider = Provider::new().await;
        let (menshen, mut browser) = sign_in_and_expire_token(&provider).await;
        provider.misbehave(misbehavior);
        assert_eq!(status(&mut browser, "/finance/echo").await, 200);
        provider.behave();
        provider.person("zhangsan").groups(&[]);
        menshen.advance(Duration::from_secs(301));
        // The second refresh uses the refresh token of the first one.
        assert_eq!(status(&mut browser, "/finance/echo").await, 403);
        assert_eq!(status(&mut browser, "/echo").await, 200);
        assert_eq!(provider.refresh_grants(), 2);
    }
}
