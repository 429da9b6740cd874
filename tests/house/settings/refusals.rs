//! Bad settings: the answer names the field, and nothing changes.

use super::*;

/// A change of good settings that makes them bad, and the field that the answer names.
const BAD: &[(&str, Option<&str>, &str)] = &[
    ("/wecom/agent_id", Some("\"x\""), "wecom.agent_id"),
    ("/wecom/agent_id", None, "wecom.agent_id"),
    ("/wecom/no_such_key", Some("1"), "wecom.no_such_key"),
    ("/no_such_key", Some("1"), "no_such_key"),
    (
        "/wecom/secret",
        Some("{\"file\": \"/etc/passwd\"}"),
        "wecom.secret",
    ),
    ("/wecom/secret", Some("{\"env\": \"HOME\"}"), "wecom.secret"),
    ("/wecom/api_base", Some("\"mailto:a\""), "wecom.api_base"),
    ("/wecom/api_base", Some("\"not a URL\""), "wecom.api_base"),
    ("/ca", Some("\"/etc/passwd\""), "ca"),
    ("/ca_pem", Some("\"test\""), "ca_pem"),
    (
        "/mapping",
        Some("{\"login\": \"profile.\"}"),
        "mapping.login",
    ),
    (
        "/home",
        Some("{\"desktop\": \"https://evil.example/\"}"),
        "home.desktop",
    ),
    ("/callback", Some("\"https://evil.example/x\""), "callback"),
    ("/auto_login", Some("\"sometimes\""), "auto_login"),
    (
        "/cas",
        Some("{\"url\": \"https://cas.corp.example\"}"),
        "cas",
    ),
    ("/sealed", Some("\"x\""), "sealed"),
    ("/display_name", Some("\"a\\u0000b\""), "display_name"),
];

#[tokio::test]
async fn bad_settings_are_refused_with_their_field_and_change_nothing() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let before = site.state_of("corp").await;
    let shown = site.api("GET", "/api/connectors/corp", &Value::Null).await;
    for (pointer, value, field) in BAD {
        let mut table = site.wecom_table();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = table.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => parent.insert(key.to_owned(), serde_json::from_str(value).unwrap()),
            None => parent.remove(key),
        };
        for id in ["corp", "another"] {
            let path = format!("/api/connectors/{id}");
            let answer = site.api("PUT", &path, &table).await;
            assert_eq!(answer.status, 400, "{pointer} {value:?}: {}", answer.text());
            let fields = answer.json()["fields"].as_array().unwrap().clone();
            assert!(
                fields.iter().any(|problem| problem["field"] == *field),
                "{pointer} {value:?}: {fields:?}"
            );
            assert!(!answer.text().contains(SECRET));
        }
    }
    assert_eq!(site.state_of("corp").await, before);
    let after = site.api("GET", "/api/connectors/corp", &Value::Null).await;
    assert_eq!(after.json(), shown.json());
    assert_eq!(site.connectors().await.len(), 1);
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn a_body_that_is_not_one_json_object_is_refused() {
    let site = ManagedSite::start().await;
    for (body, headers, status) in [
        ("", "", 400),
        ("{", "", 400),
        ("[]", "", 400),
        ("{} {}", "", 400),
        ("\"text\"", "", 400),
        ("{}", "Content-Type: text/plain\r\n", 415),
        ("{}", "Content-Type: application/json\r\n", 400),
    ] {
        let body = Value::String(body.to_owned());
        let answer = site
            .api_with(headers, "PUT", "/api/connectors/corp", &body)
            .await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    let long = format!("{{\"display_name\": \"{}\"}}", "x".repeat(2 << 20));
    let answer = site
        .api("PUT", "/api/connectors/corp", &Value::String(long))
        .await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    for id in ["UPPER", "no%20id", "a_b", &"x".repeat(33)] {
        let path = format!("/api/connectors/{id}");
        let answer = site.api("PUT", &path, &site.wecom_table()).await;
        assert_eq!(answer.status, 400, "{id}: {}", answer.text());
    }
    assert_eq!(site.running.live().settings().version(), 0);
}

#[tokio::test]
async fn two_connectors_that_would_start_every_login_cannot_be_built_together() {
    let site = ManagedSite::start().await;
    let mut table = json!({
        "auto_login": "always",
        "oidc": { "issuer": "https://id.corp.example", "client_id": "a", "client_secret": "s" },
    });
    site.put("first", &table).await;
    let before = site.state_of("first").await;
    let answer = site.api("PUT", "/api/connectors/second", &table).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    let problem = &answer.json()["fields"][0];
    assert_eq!(problem["connector"], "second");
    assert_eq!(problem["field"], "auto_login");
    assert_eq!(site.state_of("first").await, before);
    table["auto_login"] = json!("never");
    site.put("second", &table).await;
}

#[tokio::test]
async fn settings_that_cannot_be_built_are_refused_whole() {
    let site = ManagedSite::start().await;
    let jwt = |key: &str| json!({ "jwt": { "algorithm": "RS256", "key": key } });
    let answer = site
        .api("PUT", "/api/connectors/portal", &jwt("no key at all"))
        .await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(answer.json()["fields"][0]["connector"], "portal");
    assert_eq!(site.running.live().settings().version(), 0);
    assert_eq!(site.connectors().await, Vec::<Value>::new());
    // A public key is read from no file and no variable either.
    for key in [json!({ "file": "/etc/passwd" }), json!({ "env": "HOME" })] {
        let table = json!({ "jwt": { "algorithm": "RS256", "key": key } });
        let answer = site.api("PUT", "/api/connectors/portal", &table).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.json()["fields"][0]["field"], "jwt.key");
    }
}

#[tokio::test]
async fn all_settings_together_have_a_limit_and_can_be_made_smaller() {
    let site = ManagedSite::start().await;
    let text = format!("'{}'", "x".repeat(4_000));
    let mapping: serde_json::Map<_, _> = (0..240)
        .map(|number| (format!("field{number}"), json!(text)))
        .collect();
    let large = json!({
        "oidc": { "issuer": "https://id.corp.example", "client_id": "a" }, "mapping": mapping,
    });
    let mut accepted = 0;
    let refused = loop {
        let path = format!("/api/connectors/c{accepted}");
        let answer = site.api("PUT", &path, &large).await;
        if answer.status != 201 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 20, "there is no limit");
    };
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("8 MiB"), "{}", refused.text());
    assert_eq!(site.connectors().await.len(), accepted);
    let removed = site.api("DELETE", "/api/connectors/c0", &Value::Null).await;
    assert_eq!(removed.status, 200, "{}", removed.text());
}
