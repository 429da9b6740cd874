//! A person of an OIDC provider in the console: tokens are refreshed as for a request to an application.

use std::time::Duration;

use super::*;
use crate::provider::{EndpointFault, Misbehavior, Provider};
use crate::setup::SSO_URL;

/// A console for people of 财务部, whom an OIDC provider signs in.
const CONSOLE: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n[console]\n\
                       external_url = \"http://console.test\"\nallow = \"'财务部' in user.groups\"\n";

/// zhangsan in the console, whose access token has just expired.
async fn enter_and_expire_token(provider: &Provider) -> (Menshen, Visit) {
    let menshen = provider.setup(CONSOLE).start().await;
    let mut browser = Browser::new(&menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let mut browser = browser.moved_to(console_address(&menshen));
    let start = browser.visit(&format!("{CONSOLE_URL}/console/start")).await;
    let to_login_host = start.header("location").unwrap().to_owned();
    let mut browser = browser.moved_to(menshen.address());
    let returned = browser
        .follow_until(&to_login_host, |next| next.starts_with(CONSOLE_URL))
        .await;
    let mut visit = Visit::of(browser.moved_to(console_address(&menshen)));
    let path = returned.url.strip_prefix(CONSOLE_URL).unwrap();
    assert_eq!(visit.get(path).await.status, 303, "{}", returned.url);
    assert_eq!(visit.get("/console/").await.status, 200);
    menshen.advance(Duration::from_secs(301));
    (menshen, visit)
}

fn refused_refresh() -> Misbehavior {
    let answer = r#"{"error":"invalid_grant"}"#.to_owned();
    Misbehavior::Fault("token", EndpointFault::Json(400, answer))
}

#[tokio::test]
async fn a_person_whose_provider_refuses_the_refresh_is_out_of_the_console() {
    let provider = Provider::new().await;
    let (menshen, mut visit) = enter_and_expire_token(&provider).await;
    provider.misbehave(refused_refresh());
    assert_eq!(visit.get("/console/").await.status, 303);
    let end = [("action", "end-all"), ("everyone", "yes")];
    assert_eq!(visit.post("/console/sessions", &end).await.status, 403);
    let audit = menshen.audit();
    assert!(
        audit.iter().any(|line| line["event"] == "refresh-gone"),
        "{audit:?}"
    );
    provider.behave();
    assert_eq!(visit.get("/console/").await.status, 303);
    // The applications know, too.
    let mut browser = visit.browser.moved_to(menshen.address());
    let programs = [("Accept", "application/json")];
    let url = format!("{SSO_URL}/echo");
    assert_eq!(browser.send("GET", &url, &programs, b"").await.status, 401);
}

#[tokio::test]
async fn a_change_is_not_made_for_a_person_whose_provider_refuses_the_refresh() {
    let provider = Provider::new().await;
    let (menshen, mut visit) = enter_and_expire_token(&provider).await;
    provider.misbehave(refused_refresh());
    let end = [("action", "end-all"), ("login", "zhangsan")];
    assert_eq!(visit.post("/console/sessions", &end).await.status, 403);
    let audit = menshen.audit();
    assert!(!audit.iter().any(|line| line["event"] == "revoked"));
}

#[tokio::test]
async fn a_group_removed_at_the_provider_is_gone_on_the_next_request_to_the_console() {
    let provider = Provider::new().await;
    let (_menshen, mut visit) = enter_and_expire_token(&provider).await;
    provider.person("zhangsan").groups(&["平台部"]);
    assert_eq!(visit.get("/console/").await.status, 403);
    assert_eq!(provider.refresh_grants(), 1);
    provider.person("zhangsan").groups(&["财务部"]);
    assert_eq!(
        visit.get("/console/").await.status,
        403,
        "until the next refresh"
    );
}

#[tokio::test]
async fn a_provider_that_is_down_keeps_nobody_out_and_is_not_asked_again_at_once() {
    let provider = Provider::new().await;
    let (menshen, mut visit) = enter_and_expire_token(&provider).await;
    let answer = "{}".to_owned();
    provider.misbehave(Misbehavior::Fault(
        "token",
        EndpointFault::Json(503, answer),
    ));
    assert_eq!(visit.get("/console/").await.status, 200);
    let asked = provider.refresh_grants();
    // The pause after a failure holds although no application holds this session in memory.
    provider.behave();
    assert_eq!(visit.get("/console/").await.status, 200);
    assert_eq!(provider.refresh_grants(), asked);
    menshen.advance(Duration::from_secs(6));
    assert_eq!(visit.get("/console/").await.status, 200);
    assert_eq!(provider.refresh_grants(), asked + 1);
}
