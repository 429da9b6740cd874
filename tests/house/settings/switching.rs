//! Connectors that are disabled and enabled, managed ones and those of the file.

use super::*;

async fn switch(site: &ManagedSite, id: &str, how: &str) -> Answer {
    let path = format!("/api/connectors/{id}/{how}");
    site.api("POST", &path, &Value::Null).await
}

/// What holds of any connector with the ID `corp`.
async fn assert_can_be_switched(site: &ManagedSite) {
    let browser = signed_in(site).await;
    // This login is under way when the connector is disabled: its page says so.
    let mut late = site.browser();
    let login_page = late.open_login_page(&format!("{SSO_URL}/echo")).await;
    let callback = late.choose_person(&login_page, "lisi").await;

    let disabled = switch(site, "corp", "disable").await;
    assert_eq!(disabled.status, 200, "{}", disabled.text());
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    let start = format!("{SSO_URL}/.menshen/start?connector=corp");
    assert_eq!(site.browser().visit(&start).await.status, 404);
    assert_eq!(late.visit(&callback).await.status, 404);
    assert!(late.cookie("menshen").is_none());
    let shown = &site.connectors().await[0];
    assert_eq!(
        (&shown["id"], &shown["enabled"]),
        (&json!("corp"), &json!(false))
    );
    let page = site.browser().follow(&format!("{SSO_URL}/echo")).await;
    assert!(!page.answer.text().contains("connector=corp"));

    // Disabling twice makes no version.
    let version = site.running.live().settings().version();
    switch(site, "corp", "disable").await;
    assert_eq!(site.running.live().settings().version(), version);

    let enabled = switch(site, "corp", "enable").await;
    assert_eq!(enabled.status, 200, "{}", enabled.text());
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    site.advance();
    assert!(signs_in(site.browser()).await);
    let people = site.api("GET", "/api/people", &Value::Null).await;
    let people = people.json()["people"].as_array().unwrap().clone();
    assert_eq!(people.len(), 1, "{people:?}");
}

#[tokio::test]
async fn a_managed_connector_is_disabled_with_its_sessions_and_keeps_settings_and_accounts() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    assert_can_be_switched(&site).await;
}

#[tokio::test]
async fn a_connector_of_the_file_is_switched_if_the_file_does_not_say_it() {
    let site = ManagedSite::start().await;
    let toml = site.wecom_toml("corp", "");
    site.reload(&toml).await.unwrap();
    assert_can_be_switched(&site).await;
    // A reload keeps the choice of the administrator.
    switch(&site, "corp", "disable").await;
    site.reload(&toml).await.unwrap();
    assert_eq!(site.connectors().await[0]["enabled"], false);

    let toml = site.wecom_toml("corp", "enabled = true");
    site.reload(&toml).await.unwrap();
    assert_eq!(site.connectors().await[0]["enabled"], true);
    let refused = switch(&site, "corp", "disable").await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let line = 1 + site
        .text(&toml)
        .lines()
        .position(|line| line.starts_with("enabled"))
        .unwrap();
    assert!(
        refused.text().contains(&format!("menshen.toml:{line}")),
        "{}",
        refused.text()
    );
    assert_eq!(refused.json()["line"], line);
}

#[tokio::test]
async fn the_file_disables_a_connector_and_ends_its_sessions() {
    let site = ManagedSite::start().await;
    site.reload(&site.wecom_toml("corp", "")).await.unwrap();
    let browser = signed_in(&site).await;
    let disabled = site.wecom_toml("corp", "enabled = false");
    site.reload(&disabled).await.unwrap();
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    let start = format!("{SSO_URL}/.menshen/start?connector=corp");
    assert_eq!(site.browser().visit(&start).await.status, 404);
    // The sessions stay ended.
    site.reload(&site.wecom_toml("corp", "")).await.unwrap();
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    site.advance();
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn an_unknown_connector_is_not_switched() {
    let site = ManagedSite::start().await;
    for how in ["enable", "disable"] {
        assert_eq!(switch(&site, "corp", how).await.status, 404);
        assert_eq!(switch(&site, "no%20id", how).await.status, 404);
    }
    assert_eq!(site.running.live().settings().version(), 0);
}
