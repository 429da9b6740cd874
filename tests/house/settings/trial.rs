//! Settings that are tried before they are saved: what the source says, and what the mapping makes.

use super::*;

#[tokio::test]
async fn saved_and_unsaved_settings_are_tested_at_the_source_and_change_nothing() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let before = site.state_of("corp").await;
    let path = "/api/connectors/corp/test";
    let is_good = |answer: &Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let results = answer.json().as_array().unwrap().clone();
        assert!(!results.is_empty());
        results.iter().all(|result| result["good"] == true)
    };
    let saved = site.api("POST", path, &Value::Null).await;
    let mut draft = site.wecom_table();
    draft["wecom"]["secret"] = json!("********");
    let kept = site.api("POST", path, &draft).await;
    assert_eq!(
        is_good(&saved),
        is_good(&kept),
        "{} {}",
        saved.text(),
        kept.text()
    );
    draft["wecom"]["secret"] = json!("a-secret-that-wecom-refuses");
    let wrong = site.api("POST", path, &draft).await;
    assert!(!is_good(&wrong), "{}", wrong.text());
    assert!(!wrong.text().contains("a-secret-that-wecom-refuses"));
    assert_eq!(site.state_of("corp").await, before);
    // Of a connector that does not exist yet, too.
    let new = site
        .api("POST", "/api/connectors/new/test", &site.wecom_table())
        .await;
    assert_eq!(is_good(&new), is_good(&saved));
    let unknown = site
        .api("POST", "/api/connectors/new/test", &Value::Null)
        .await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_mapping_is_previewed_field_by_field() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let mut draft = site.wecom_table();
    draft["mapping"] = json!({ "badge": "profile.userid + '!'", "email": "profile.userid + 1" });
    let request = json!({
        "connector": "corp", "draft": draft, "profile": { "userid": "zhangsan" },
    });
    let answer = site.api("POST", "/api/mapping/preview", &request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let fields = answer.json()["fields"].as_array().unwrap().clone();
    let field = |name: &str| fields.iter().find(|field| field["field"] == name).unwrap();
    assert_eq!(field("badge")["value"], "zhangsan!");
    assert_eq!(field("badge")["error"], Value::Null);
    assert!(field("email")["error"].is_string(), "{fields:?}");
    let saved = json!({ "connector": "corp", "profile": { "userid": "zhangsan" } });
    let answer = site.api("POST", "/api/mapping/preview", &saved).await;
    assert!(!answer.text().contains("badge"), "{}", answer.text());
    let unknown = json!({ "connector": "none", "profile": {} });
    let answer = site.api("POST", "/api/mapping/preview", &unknown).await;
    assert_eq!(answer.status, 404);
}

/// The reasons in the audit trail that begin with these words.
fn reasons(site: &ManagedSite, start: &str) -> Vec<String> {
    let lines = site.changes().into_iter();
    let reasons = lines.map(|line| line["reason"].as_str().unwrap().to_owned());
    reasons.filter(|reason| reason.starts_with(start)).collect()
}

#[tokio::test]
async fn a_test_leaves_an_audit_line_with_who_what_where_and_the_result() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let path = "/api/connectors/corp/test";
    site.api("POST", path, &Value::Null).await;
    let wecom = url::Url::parse(&site.wecom.base_url()).unwrap();
    let host = format!("127.0.0.1:{}", wecom.port().unwrap());
    let saved = reasons(&site, "test connector corp through the api: at ");
    assert!(
        saved[0].contains(&host) && saved[0].contains(" good, "),
        "{saved:?}"
    );

    // Whoever chooses the host of a draft is seen, and so is a test that could not begin.
    let mut draft = site.wecom_table();
    draft["wecom"]["secret"] = json!("a-secret-that-wecom-refuses");
    draft["wecom"]["api_base"] = json!("http://u-1:127.0.0.1@127.0.0.1:9/");
    site.api("POST", path, &draft).await;
    draft["wecom"]["api_base"] = json!("http://127.0.0.1:9");
    draft["wecom"]["secret"] = json!("a-secret-that-wecom-refuses");
    assert_eq!(site.api("POST", path, &draft).await.status, 200);
    let unsaved = reasons(
        &site,
        "test unsaved settings of connector corp through the api: ",
    );
    let last = unsaved.last().unwrap();
    let names_host = ["127.0.0.1:9:", "127.0.0.1:9,"]
        .iter()
        .any(|host| last.contains(host));
    assert!(names_host, "{last}");
    assert!(last.contains(" bad"), "{last}");
    site.api("POST", "/api/connectors/new/test", &Value::Null)
        .await;
    let refused = reasons(&site, "test connector new through the api: refused: ");
    assert_eq!(refused.len(), 1, "{refused:?}");
    let lines = site.changes();
    let tests = lines
        .iter()
        .filter(|line| line["reason"].as_str().unwrap().starts_with("test"));
    for line in tests {
        assert_eq!(
            (&line["client"], &line["by"]),
            (&json!("127.0.0.1"), &json!("token:admin"))
        );
        assert!(!line.to_string().contains("a-secret-that"), "{line}");
    }
}
