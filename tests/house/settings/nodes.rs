//! Two nodes with one store.

use super::*;
use crate::chinese::assert_chinese;
use crate::sessions::eventually;

async fn is_degraded(node: &Running) -> bool {
    let answer = call(node, "", "GET", "/readyz", &Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let degraded = answer.json()["degraded"].to_string();
    degraded.contains("managed settings") || degraded.contains("managed connector")
}

#[tokio::test]
async fn a_change_of_one_node_holds_on_the_other_with_the_sessions_it_ends() {
    let site = ManagedSite::start().await;
    let other = site.node("").await.unwrap();
    let there = other.addresses()[0];
    site.put("corp", &site.wecom_table()).await;
    let version = async |number| other.live().settings().version() == number;
    eventually("followed", async || version(1).await).await;
    assert!(signs_in(Browser::at(there)).await);
    let browser = signed_in(&site).await;
    assert_eq!(status_with_session(&browser, there).await, 200);
    let disable = "/api/connectors/corp/disable";
    assert_eq!(site.api("POST", disable, &Value::Null).await.status, 200);
    eventually("ended there", async || {
        status_with_session(&browser, there).await == 401
    })
    .await;
    eventually("disabled there", async || version(2).await).await;
    let start = format!("{SSO_URL}/.menshen/start?connector=corp");
    assert_eq!(Browser::at(there).visit(&start).await.status, 404);
    // The other way round.
    let enable = "/api/connectors/corp/enable";
    assert_eq!(
        call(&other, "", "POST", enable, &Value::Null).await.status,
        200
    );
    eventually("followed here", async || {
        site.running.live().settings().version() == 3
    })
    .await;
    site.advance();
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn a_change_of_a_node_that_lags_begins_from_the_newest_version() {
    let site = ManagedSite::start().await;
    let other = site.node("").await.unwrap();
    for number in 0..5 {
        let id = format!("cas-{number}");
        let cas = json!({ "cas": { "url": "https://cas.corp.example/cas" } });
        let node = if number % 2 == 0 {
            &site.running
        } else {
            &other
        };
        let path = format!("/api/connectors/{id}");
        assert_eq!(call(node, "", "PUT", &path, &cas).await.status, 201);
    }
    eventually("everything everywhere", async || {
        let nodes = [&site.running, &other];
        nodes
            .iter()
            .all(|node| node.live().settings().connectors().len() == 5)
    })
    .await;
}

#[tokio::test]
async fn a_node_that_cannot_build_a_version_serves_the_last_one_and_says_so() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    // The file of the other node has a connector that starts every login.
    let toml = "[connector.first]\nauto_login = \"always\"\n[connector.first.oidc]\n\
                issuer = \"https://id.corp.example\"\nclient_id = \"a\"\n";
    let other = site.node(toml).await.unwrap();
    assert!(!is_degraded(&other).await);
    let mut always = site.wecom_table();
    always["auto_login"] = json!("always");
    site.put("corp", &always).await;
    eventually("degraded", async || is_degraded(&other).await).await;
    assert_eq!(other.live().settings().version(), 1);
    // Both nodes know of it.
    for node in [&site.running, &other] {
        eventually("the reason of the other node", async || {
            let nodes = node.live().nodes().await;
            let versions: Vec<_> = nodes
                .iter()
                .map(|node| node.record.settings_version)
                .collect();
            let problems = nodes.iter().filter(|node| node.record.problem.is_some());
            versions.len() == 2 && versions.contains(&2) && problems.count() == 1
        })
        .await;
    }
    // In both languages.
    let nodes = site.running.live().nodes().await;
    let mut problems = nodes.into_iter().filter_map(|node| node.record.problem);
    let problem = problems.next().unwrap();
    let (english, chinese) = problem.split_once('\n').unwrap();
    assert!(english.contains("connector"), "{problem}");
    assert_chinese(chinese);
    assert!(!is_degraded(&site.running).await);
    let start = format!("{SSO_URL}/.menshen/start?connector=corp");
    assert_ne!(
        Browser::at(other.addresses()[0]).visit(&start).await.status,
        404
    );
    let body = json!({ "version": 1 });
    assert_eq!(
        site.api("POST", "/api/config/rollback", &body).await.status,
        200
    );
    eventually("well again", async || !is_degraded(&other).await).await;
    assert_eq!(other.live().settings().version(), 3);
}

#[tokio::test]
async fn a_restart_with_a_file_that_contradicts_a_managed_connector_leaves_only_that_one_out() {
    let site = ManagedSite::start().await;
    let mut always = site.wecom_table();
    always["auto_login"] = json!("always");
    site.put("corp", &always).await;
    let cas = json!({ "cas": { "url": "https://cas.corp.example/cas" } });
    site.put("cas", &cas).await;
    let toml = "[connector.first]\nauto_login = \"always\"\n[connector.first.oidc]\n\
                issuer = \"https://id.corp.example\"\nclient_id = \"a\"\n";
    let other = site
        .node(toml)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(is_degraded(&other).await);
    let infos = other.live().settings().connectors();
    let broken: Vec<_> = infos
        .iter()
        .filter(|info| info.broken.is_some())
        .map(|info| info.id.as_str().to_owned())
        .collect();
    assert_eq!(broken, ["corp"]);
}

#[tokio::test]
async fn a_node_that_stops_is_on_the_list_no_longer() {
    let site = ManagedSite::start().await;
    let other = site.node("").await.unwrap();
    let count = async || site.running.live().nodes().await.len();
    eventually("both", async || count().await == 2).await;
    other.stop().await;
    assert_eq!(count().await, 1);
    assert!(site.running.live().nodes().await[0].is_this);
}
