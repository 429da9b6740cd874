//! The metrics of what the settings no longer name are removed, so that changes do not leave more and more of them.

use super::*;

/// The lines of the metrics with this label.
async fn series(site: &ManagedSite, label: &str) -> Vec<String> {
    let page = site.api("GET", "/metrics", &Value::Null).await.text();
    let lines = page.lines().filter(|line| line.contains(label));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_metrics_of_a_connector_end_with_it() {
    let site = ManagedSite::start().await;
    let (corp, other) = ("connector=\"corp\"", "connector=\"other\"");
    site.put("corp", &site.wecom_table()).await;
    assert!(signs_in(site.browser()).await);
    let mut by_hand = site.wecom_table();
    by_hand["auto_login"] = json!("never");
    site.put("other", &by_hand).await;
    assert_eq!(series(&site, other).await.len(), 3);
    // What was only tried leaves nothing.
    let tried = json!({ "connector": { "tried": by_hand } });
    let path = "/api/config/import?dry_run=true";
    assert_eq!(site.api("POST", path, &tried).await.status, 200);
    assert_eq!(series(&site, "connector=\"tried\"").await, [""; 0]);
    let deleted = site.api("DELETE", "/api/connectors/other", &Value::Null);
    assert_eq!(deleted.await.status, 200);
    assert_eq!(series(&site, other).await, [""; 0]);
    let done = "menshen_logins_total{connector=\"corp\",outcome=\"done\"} 1";
    assert!(series(&site, corp).await.contains(&done.to_owned()));
}

#[tokio::test]
async fn the_metrics_of_routes_upstreams_and_issuers_end_with_a_reload() {
    let more = "[[route]]\nname = \"gone\"\nhost = \"gone.test\"\naccess = \"public\"\n\
                upstream = [\"http://127.0.0.1:9\"]\n\
                [issuer.left]\nurl = \"https://id.corp.example\"\naudiences = [\"menshen\"]\n";
    let site = ManagedSite::start_with(more).await;
    let request = "GET / HTTP/1.1\r\nHost: gone.test\r\n\r\n";
    let answer = wire::send(site.address(), request.as_bytes()).await;
    assert_eq!(answer.status, 502);
    let labels = [
        "route=\"gone\"",
        "upstream=\"127.0.0.1:9\"",
        "issuer=\"left\"",
    ];
    for label in labels {
        assert_ne!(series(&site, label).await, [""; 0], "{label}");
    }
    site.reload("").await.unwrap();
    for label in labels {
        assert_eq!(series(&site, label).await, [""; 0], "{label}");
    }
    for label in ["route=\"app\"", "issuer=\"\""] {
        assert_ne!(series(&site, label).await, [""; 0], "{label}");
    }
}
