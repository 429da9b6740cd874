//! An ID comes again only as the same kind, wherever it comes from: accounts hang on it.

use menshen::store::NewManagedVersion;

use super::*;
use crate::sessions::eventually;

fn oidc() -> Value {
    json!({ "oidc": { "issuer": "https://id.corp.example", "client_id": "a" } })
}

/// A site whose connector `corp` was one of OIDC, and is deleted.
async fn site_without_corp() -> ManagedSite {
    let site = ManagedSite::start().await;
    site.put("corp", &oidc()).await;
    let deleted = site
        .api("DELETE", "/api/connectors/corp", &Value::Null)
        .await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    site
}

#[tokio::test]
async fn the_file_does_not_take_an_id_that_belonged_to_another_kind() {
    let site = site_without_corp().await;
    let toml = site.wecom_toml("corp", "");
    let text = site.text(&toml);
    let line = text.lines().position(|line| line == "[connector.corp]");
    let at = format!("menshen.toml:{}", line.unwrap() + 1);
    let reloaded = site.reload(&toml).await.unwrap_err();
    let started = site.node(&toml).await.unwrap_err();
    let config = Config::parse(&text, "menshen.toml").unwrap();
    let checked = menshen::run::dry_run(&config).await.map(drop).unwrap_err();
    let checked = menshen::telemetry::error_chain(&checked).to_string();
    for error in [reloaded, started, checked] {
        for part in [&*at, "corp", "wecom", "oidc", "another ID"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    // The site goes on as it was, and another ID, or the same kind, is fine.
    assert_eq!(site.connectors().await.len(), 0);
    site.reload(&site.wecom_toml("corp-wecom", ""))
        .await
        .unwrap();
    assert!(signs_in(site.browser()).await);
    let same_kind =
        "[connector.corp.oidc]\nissuer = \"https://id.corp.example\"\nclient_id = \"a\"\n";
    site.reload(same_kind).await.unwrap();
    assert_eq!(site.connectors().await.len(), 1);
}

#[tokio::test]
async fn a_managed_connector_is_not_shadowed_by_one_of_another_kind() {
    let site = ManagedSite::start().await;
    site.put("corp", &oidc()).await;
    let toml = site.wecom_toml("corp", "");
    assert!(site.reload(&toml).await.is_err());
    assert!(site.node(&toml).await.is_err());
    assert_eq!(site.connectors().await[0]["kind"], "oidc");
}

#[tokio::test]
async fn the_kind_of_a_connector_of_the_file_is_remembered_when_it_is_gone() {
    let site = ManagedSite::start().await;
    site.reload(&site.wecom_toml("corp", "")).await.unwrap();
    site.reload("").await.unwrap();
    let refused = site.api("PUT", "/api/connectors/corp", &oidc()).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let import = json!({ "connector": { "corp": oidc() } });
    let refused = site.api("POST", "/api/config/import", &import).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert_eq!(site.running.live().settings().version(), 0);
    site.put("corp", &site.wecom_table()).await;
}

#[tokio::test]
async fn a_node_knows_the_kinds_that_files_had_before_it_started_and_on_other_nodes() {
    let site = ManagedSite::start().await;
    let toml = site.wecom_toml("corp", "");
    drop(site.node(&toml).await.unwrap());
    let later = site.node("").await.unwrap();
    let refused = call(&later, "", "PUT", "/api/connectors/corp", &oidc()).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    // A node that has known nothing of it learns it with the next version of another one.
    let other = json!({ "cas": { "url": "https://cas.corp.example/cas" } });
    let made = call(&later, "", "PUT", "/api/connectors/other", &other).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let refused = site.api("PUT", "/api/connectors/corp", &oidc()).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
}

#[tokio::test]
async fn whoever_writes_the_file_may_give_an_id_of_it_another_kind() {
    let site = ManagedSite::start().await;
    site.reload(&site.wecom_toml("corp", "")).await.unwrap();
    let toml = "[connector.corp.oidc]\nissuer = \"https://id.corp.example\"\nclient_id = \"a\"\n";
    site.reload(toml).await.unwrap();
    assert_eq!(site.connectors().await[0]["kind"], "oidc");
}

/// Adds a version that says that `corp` is of the kind WeCom, as an older menshen did after its file had such
/// a connector.
async fn overwrite_kind(site: &ManagedSite) {
    let store = &site.running.live().services().store;
    let newest = store.managed_version(None).await.unwrap().unwrap();
    let mut document: Value = serde_json::from_str(&newest.document).unwrap();
    document["kinds"]["corp"] = json!("wecom");
    let document = document.to_string();
    let new = NewManagedVersion {
        after: newest.record.number,
        made_at: site.clock.now(),
        author: "token:admin",
        means: "api",
        fields: &[],
        document: &document,
        ended: &[],
        versions_kept: 200,
        audit: None,
    };
    let added = store.add_managed_version(&new).await;
    assert!(added.unwrap().is_some());
}

#[tokio::test]
async fn a_rollback_brings_back_no_connector_whose_id_belongs_to_another_kind() {
    let site = site_without_corp().await;
    overwrite_kind(&site).await;
    let settings = || site.running.live().settings();
    eventually("followed", async || settings().version() == 3).await;
    let body = json!({ "version": 1 });
    let refused = site.api("POST", "/api/config/rollback", &body).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("wecom"), "{}", refused.text());
    assert_eq!(settings().version(), 3);
    assert_eq!(site.connectors().await.len(), 0);
}

#[tokio::test]
async fn a_stored_connector_of_another_kind_than_its_id_is_out_of_force() {
    let site = ManagedSite::start().await;
    site.put("corp", &oidc()).await;
    overwrite_kind(&site).await;
    let node = site.node("").await.unwrap();
    let settings = node.live().settings();
    let info = settings.connector(&"corp".parse().unwrap()).unwrap();
    assert!(!info.enabled, "{info:?}");
    assert!(info.broken.unwrap().to_string().contains("wecom"));
}
