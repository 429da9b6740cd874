//! Sessions end with their connector, and none is valid again when it comes back.

use super::*;
use crate::sessions::eventually;

/// Another node, whose file has `corp` and enables it whatever the managed settings say.
async fn node_with_corp(site: &ManagedSite) -> Running {
    let node = site.node(&site.wecom_toml("corp", "enabled = true")).await;
    node.unwrap_or_else(|error| panic!("{error}"))
}

/// A browser with a session of `corp` that began when this site had disabled it: another node did not know yet.
async fn signed_in_late(site: &ManagedSite, late: &Running) -> Browser {
    site.put("corp", &site.wecom_table()).await;
    switch(site, "disable").await;
    site.advance();
    let there = late.addresses()[0];
    // A login that begins before the node has read of the end is refused.
    let signs_in_there = async || signs_in(Browser::at(there)).await;
    eventually("the node has read of the end", signs_in_there).await;
    let mut browser = Browser::at(there);
    let url = format!("{SSO_URL}/echo");
    let page = browser.sign_in(&url, "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert_eq!(status_with_session(&browser, there).await, 200);
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    browser
}

async fn switch(site: &ManagedSite, how: &str) {
    let path = format!("/api/connectors/corp/{how}");
    let answer = site.api("POST", &path, &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_session_that_a_node_began_too_late_is_not_valid_when_the_connector_comes_back() {
    let site = ManagedSite::start().await;
    let late = node_with_corp(&site).await;
    let browser = signed_in_late(&site, &late).await;
    site.advance();
    switch(&site, "enable").await;
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    site.advance();
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn the_same_holds_for_a_connector_that_is_made_again_or_rolled_back() {
    for is_rollback in [false, true] {
        let site = ManagedSite::start().await;
        let late = node_with_corp(&site).await;
        let browser = signed_in_late(&site, &late).await;
        site.api("DELETE", "/api/connectors/corp", &Value::Null)
            .await;
        site.advance();
        if is_rollback {
            let body = json!({ "version": 1 });
            let answer = site.api("POST", "/api/config/rollback", &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        } else {
            site.put("corp", &site.wecom_table()).await;
        }
        assert_eq!(status_with_session(&browser, site.address()).await, 401);
        site.advance();
        assert!(signs_in(site.browser()).await);
    }
}

#[tokio::test]
async fn a_node_that_starts_ends_what_is_left_of_a_connector_that_is_not_in_force() {
    let site = ManagedSite::start().await;
    let late = node_with_corp(&site).await;
    let browser = signed_in_late(&site, &late).await;
    site.advance();
    let started = site.node("").await.unwrap();
    assert_eq!(
        status_with_session(&browser, started.addresses()[0]).await,
        401
    );
    let there = late.addresses()[0];
    eventually("ended", async || {
        status_with_session(&browser, there).await == 401
    })
    .await;
}

#[tokio::test]
async fn a_connector_that_the_file_removes_is_out_of_force_until_the_file_has_it_again() {
    let site = ManagedSite::start().await;
    let toml = site.wecom_toml("corp", "");
    site.reload(&toml).await.unwrap();
    let browser = signed_in(&site).await;
    site.advance();
    site.reload("").await.unwrap();
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    // Another node may serve the file that has it; sessions of a disabled one would be gone.
    site.reload(&toml).await.unwrap();
    assert_eq!(status_with_session(&browser, site.address()).await, 200);
    let disabled = site.wecom_toml("corp", "enabled = false");
    site.reload(&disabled).await.unwrap();
    site.reload(&toml).await.unwrap();
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    site.advance();
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn a_managed_connector_that_the_file_shadows_and_disables_ends_with_its_sessions() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let browser = signed_in(&site).await;
    site.advance();
    let disabled = site.wecom_toml("corp", "enabled = false");
    site.reload(&disabled).await.unwrap();
    site.reload("").await.unwrap();
    assert_eq!(site.connectors().await[0]["enabled"], true);
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
}

#[tokio::test]
async fn a_node_that_cannot_build_a_version_disables_what_it_disables() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    // The file of the other node has a connector that starts every login.
    let toml = "[connector.first]\nauto_login = \"always\"\n[connector.first.oidc]\n\
                issuer = \"https://id.corp.example\"\nclient_id = \"a\"\n";
    let other = site.node(toml).await.unwrap();
    let there = other.addresses()[0];
    let browser = signed_in(&site).await;
    assert_eq!(status_with_session(&browser, there).await, 200);
    let always = json!({
        "auto_login": "always",
        "oidc": { "issuer": "https://other.corp.example", "client_id": "a" },
    });
    site.put("always", &always).await;
    switch(&site, "disable").await;
    let start = format!("{SSO_URL}/.menshen/start?connector=corp");
    eventually("disabled there", async || {
        Browser::at(there).visit(&start).await.status == 404
    })
    .await;
    assert_eq!(status_with_session(&browser, there).await, 401);
    assert_eq!(other.live().settings().version(), 1);
    // What the version disables is disabled before the problem is reported.
    eventually("reported as degraded", async || {
        let ready = call(&other, "", "GET", "/readyz", &Value::Null).await;
        ready.json()["degraded"].to_string().contains("version 3")
    })
    .await;
}
