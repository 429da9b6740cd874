//! What the file says counts, and the answer says where.

use super::*;

/// The line of the file that begins with a text, as an answer names it.
fn line(text: &str, start: &str) -> String {
    let position = text.lines().position(|line| line.starts_with(start));
    format!("menshen.toml:{}", position.unwrap() + 1)
}

#[tokio::test]
async fn a_connector_of_the_file_is_shown_and_not_changed() {
    let site = ManagedSite::start().await;
    let toml = site.wecom_toml("corp", "display_name = \"总部\"");
    site.reload(&toml).await.unwrap();
    let at = line(&site.text(&toml), "[connector.corp]");
    for (method, body) in [("PUT", site.wecom_table()), ("DELETE", Value::Null)] {
        let answer = site.api(method, "/api/connectors/corp", &body).await;
        assert_eq!(answer.status, 409, "{method}: {}", answer.text());
        assert!(answer.text().contains(&at), "{at}: {}", answer.text());
        assert_eq!(answer.json()["file"], "menshen.toml");
    }
    let shown = site.api("GET", "/api/connectors/corp", &Value::Null).await;
    assert_eq!(shown.json()["display_name"], "总部");
    assert_eq!(shown.json()["wecom"]["secret"], "********");
    assert!(!shown.text().contains(SECRET));
    let info = &site.connectors().await[0];
    assert_eq!(info["file"], "menshen.toml");
    let number = at.rsplit(':').next().unwrap();
    assert_eq!(info["origin"], format!("file:{number}"));
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn a_managed_connector_that_the_file_names_too_is_shadowed_and_accounts_stay() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let browser = signed_in(&site).await;
    let toml = site.wecom_toml("corp", "display_name = \"从文件\"");
    site.reload(&toml).await.unwrap();
    // Moving a connector into the file leaves no gap.
    assert_eq!(status_with_session(&browser, site.address()).await, 200);
    let shown = site.connectors().await;
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(
        (&shown[0]["shadowed"], &shown[1]["shadowed"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&shown[0]["enabled"], &shown[1]["enabled"]),
        (&json!(true), &json!(false))
    );
    let page = site.browser().follow(&format!("{SSO_URL}/echo")).await;
    assert!(page.answer.text().contains("从文件"));

    let put = site
        .api("PUT", "/api/connectors/corp", &site.wecom_table())
        .await;
    assert_eq!(put.status, 409);
    let removed = site
        .api("DELETE", "/api/connectors/corp", &Value::Null)
        .await;
    assert_eq!(removed.status, 200, "{}", removed.text());
    assert_eq!(site.connectors().await.len(), 1);
    assert_eq!(status_with_session(&browser, site.address()).await, 200);
    let people = site.api("GET", "/api/people", &Value::Null).await;
    assert_eq!(people.json()["people"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_managed_one_is_back_when_the_file_names_it_no_more() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    site.reload(&site.wecom_toml("corp", "")).await.unwrap();
    site.reload("").await.unwrap();
    let shown = site.connectors().await;
    assert_eq!((shown.len(), &shown[0]["origin"]), (1, &json!("managed")));
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn without_write_nothing_is_changed_and_everything_is_shown() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let toml = "[managed]\nwrite = false\n";
    site.reload(toml).await.unwrap();
    let at = line(&site.text(toml), "write = false");
    for (method, path, body) in [
        ("PUT", "/api/connectors/corp", site.wecom_table()),
        ("PUT", "/api/connectors/new", site.wecom_table()),
        ("DELETE", "/api/connectors/corp", Value::Null),
        ("POST", "/api/connectors/corp/disable", Value::Null),
        ("PUT", "/api/login", json!({ "default": "corp" })),
        ("POST", "/api/config/rollback", json!({ "version": 1 })),
        ("POST", "/api/config/import", json!({})),
    ] {
        let answer = site.api(method, path, &body).await;
        assert_eq!(answer.status, 409, "{method} {path}: {}", answer.text());
        assert!(answer.text().contains(&at), "{}", answer.text());
    }
    for path in [
        "/api/connectors",
        "/api/connectors/corp",
        "/api/login",
        "/api/config/export",
    ] {
        assert_eq!(site.api("GET", path, &Value::Null).await.status, 200);
    }
    assert_eq!(site.running.live().settings().version(), 1);
    assert!(signs_in(site.browser()).await);
}

#[test]
fn too_few_versions_are_refused() {
    for (kept, is_accepted) in [(0, false), (9, false), (10, true), (200, true)] {
        let text = format!(
            "[server]\nexternal_url = 'https://sso.corp.example'\n[managed]\nversions_kept = {kept}\n"
        );
        let parsed = Config::parse(&text, "menshen.toml");
        assert_eq!(parsed.is_ok(), is_accepted, "{kept}: {parsed:?}");
    }
}
