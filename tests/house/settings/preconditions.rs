//! `If-Match` and `If-None-Match`, and changes at the same time.

use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn a_change_is_refused_if_the_connector_was_changed_meanwhile() {
    let site = ManagedSite::start().await;
    let (path, table) = ("/api/connectors/corp", site.wecom_table());
    for (headers, status) in [
        ("If-Match: \"0\"\r\n", 412),
        ("If-Match: *\r\n", 412),
        ("If-None-Match: *\r\n", 201),
        ("If-None-Match: *\r\n", 412),
        ("If-Match: \"7\"\r\n", 412),
        ("If-Match: anything\r\n", 412),
        ("If-Match: \"1\"\r\n", 200),
        ("If-Match: \"1\"\r\n", 412),
        ("If-Match: *\r\n", 200),
        ("If-None-Match: \"3\"\r\n", 400),
        ("If-Match: *\r\nIf-None-Match: *\r\n", 400),
    ] {
        let before = site.state_of("corp").await;
        let answer = site.api_with(headers, "PUT", path, &table).await;
        assert_eq!(answer.status, status, "{headers}: {}", answer.text());
        if status >= 400 {
            assert_eq!(site.state_of("corp").await, before, "{headers}");
        }
        if status == 412 && before.1.is_some() {
            assert_eq!(answer.header("etag"), before.1.as_deref(), "{headers}");
        }
    }
    let (_, etag) = site.state_of("corp").await;
    assert_eq!(etag.as_deref(), Some("\"3\""));
    for method in ["DELETE"] {
        let stale = site
            .api_with("If-Match: \"1\"\r\n", method, path, &Value::Null)
            .await;
        assert_eq!(stale.status, 412);
    }
    let disable = "/api/connectors/corp/disable";
    let stale = site
        .api_with("If-Match: \"1\"\r\n", "POST", disable, &Value::Null)
        .await;
    assert_eq!(stale.status, 412);
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn a_change_of_another_connector_keeps_the_tag() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let cas = json!({ "cas": { "url": "https://cas.corp.example/cas" } });
    site.put("cas", &cas).await;
    let (version, etag) = site.state_of("corp").await;
    assert_eq!((version, etag.as_deref()), (2, Some("\"1\"")));
}

#[tokio::test]
async fn fifty_changes_at_once_are_fifty_whole_versions() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let other = site.node("").await.unwrap();
    let mut changes = JoinSet::new();
    for number in 0..50 {
        let mut table = site.wecom_table();
        // Both fields have the same number: a mixture of two changes would have two.
        table["display_name"] = json!(format!("name {number}"));
        table["login_prefix"] = json!(format!("{number}-"));
        let node = match number % 2 {
            0 => site.running.admin_address(),
            _ => other.admin_address(),
        };
        let body = table.to_string();
        let request = format!(
            "PUT /api/connectors/corp HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Authorization: Bearer {TOKEN}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        changes.spawn(async move { wire::send(node.unwrap(), request.as_bytes()).await });
    }
    let answers = changes.join_all().await;
    let mut tags: Vec<u64> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{}", answer.text());
            let tag = answer.header("etag").unwrap();
            tag.trim_matches('"').parse().unwrap()
        })
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, (2..=51).collect::<Vec<_>>());
    for number in 2..=51 {
        let path = format!("/api/config/versions/{number}");
        let version = site.api("GET", &path, &Value::Null).await.json();
        let corp = &version["connectors"]["corp"];
        let name = corp["display_name"].as_str().unwrap();
        let prefix = corp["login_prefix"].as_str().unwrap();
        assert_eq!(
            name.strip_prefix("name "),
            prefix.strip_suffix('-'),
            "{corp}"
        );
    }
    let newest = async |node: &Running| node.live().settings().version() == 51;
    crate::sessions::eventually("the newest", async || {
        newest(&site.running).await && newest(&other).await
    })
    .await;
}
