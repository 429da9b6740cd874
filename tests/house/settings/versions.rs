//! Versions: listed, compared, rolled back, exported, imported.

use super::*;

async fn versions(site: &ManagedSite) -> Vec<Value> {
    let answer = site.api("GET", "/api/config/versions", &Value::Null).await;
    answer.json()["versions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_change_is_a_version_that_says_who_made_it_and_what_changed() {
    let site = ManagedSite::start().await;
    assert_eq!(versions(&site).await, Vec::<Value>::new());
    site.put("corp", &site.wecom_table()).await;
    site.api("PUT", "/api/login", &json!({ "default": "corp" }))
        .await;
    let listed = versions(&site).await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["version"], 2);
    assert_eq!(listed[0]["fields"], json!(["login.default"]));
    assert_eq!(
        (&listed[0]["by"], &listed[0]["means"]),
        (&json!("token:admin"), &json!("api"))
    );
    assert_eq!(listed[0]["made_at"], 1_800_000_000);
    let fields = listed[1]["fields"].as_array().unwrap();
    assert!(
        fields.contains(&json!("connector.corp.wecom.secret")),
        "{fields:?}"
    );
    let second = site
        .api("GET", "/api/config/versions/2", &Value::Null)
        .await;
    assert_eq!(second.json()["default"], "corp");
    assert_eq!(
        second.json()["connectors"]["corp"]["wecom"]["secret"],
        "********"
    );
    for unknown in ["3", "0"] {
        let path = format!("/api/config/versions/{unknown}");
        assert_eq!(site.api("GET", &path, &Value::Null).await.status, 404);
    }
    let page = site
        .api("GET", "/api/config/versions?before=2&max=5", &Value::Null)
        .await;
    assert_eq!(page.json()["versions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_rollback_brings_back_settings_secrets_and_choices_in_a_new_version() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let mut broken = site.wecom_table();
    broken["wecom"]["secret"] = json!("a-secret-that-wecom-refuses");
    site.put("corp", &broken).await;
    let mut browser = site.browser();
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_ne!(page.answer.status, 200, "the second secret counts");
    let cas = json!({ "cas": { "url": "https://cas.corp.example/cas" } });
    site.put("cas", &cas).await;

    let body = json!({ "version": 1 });
    let answer = site.api("POST", "/api/config/rollback", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["version"], 4);
    assert!(signs_in(site.browser()).await);
    let ids: Vec<_> = site
        .connectors()
        .await
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(ids, ["corp"]);
    // The older versions are as they were, and the way back is open.
    assert_eq!(versions(&site).await.len(), 4);
    let body = json!({ "version": 3 });
    assert_eq!(
        site.api("POST", "/api/config/rollback", &body).await.status,
        200
    );
    assert_eq!(site.connectors().await.len(), 2);

    let unknown = json!({ "version": 77 });
    let answer = site.api("POST", "/api/config/rollback", &unknown).await;
    assert_eq!(answer.status, 404);
    let stale = site
        .api_with("If-Match: \"1\"\r\n", "POST", "/api/config/rollback", &body)
        .await;
    assert_eq!(stale.status, 412);
    assert_eq!(site.running.live().settings().version(), 5);
}

#[tokio::test]
async fn a_rollback_is_checked_as_every_change_is() {
    let site = ManagedSite::start().await;
    let always = json!({
        "auto_login": "always",
        "oidc": { "issuer": "https://id.corp.example", "client_id": "a" },
    });
    site.put("sso", &always).await;
    site.api("DELETE", "/api/connectors/sso", &Value::Null)
        .await;
    let file = site.wecom_toml("corp", "auto_login = \"always\"");
    site.reload(&file).await.unwrap();
    let body = json!({ "version": 1 });
    let answer = site.api("POST", "/api/config/rollback", &body).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(site.running.live().settings().version(), 2);
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn an_export_is_a_file_that_menshen_takes_and_another_site_imports() {
    let site = ManagedSite::start().await;
    let mut table = site.wecom_table();
    table["mapping"] = json!({ "工号": "profile.userid" });
    table["mapping"] = json!({ "badge": "profile.userid" });
    site.put("corp", &table).await;
    site.api("PUT", "/api/login", &json!({ "default": "corp" }))
        .await;
    let export = site.api("GET", "/api/config/export", &Value::Null).await;
    let toml = export.text();
    assert!(!toml.contains(SECRET), "{toml}");
    assert!(toml.contains("MENSHEN_CORP_WECOM_SECRET"), "{toml}");
    assert!(
        toml.lines()
            .any(|line| line.starts_with("# MENSHEN_CORP_WECOM_SECRET"))
    );
    let file = site.text(&toml);
    let config = Config::parse(&file, "menshen.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.connector.len(), 1);
    assert_eq!(config.login.default.as_ref().unwrap().as_str(), "corp");

    let other = ManagedSite::start().await;
    let import = json!({ "connector": { "corp": table }, "login": { "default": "corp" } });
    let answer = other.api("POST", "/api/config/import", &import).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["version"], 1);
    let shown = other.api("GET", "/api/connectors/corp", &Value::Null).await;
    assert_eq!(shown.json()["mapping"], table["mapping"]);
    // A bad connector keeps the good ones out, too.
    let import = json!({ "connector": {
        "good": { "cas": { "url": "https://cas.corp.example/cas" } },
        "bad": { "cas": { "url": 7 } },
    }});
    let answer = other.api("POST", "/api/config/import", &import).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["fields"][0]["connector"], "bad");
    assert_eq!(other.connectors().await.len(), 1);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_leaves_an_audit_line() {
    let site = ManagedSite::start().await;
    let path = "/api/config/import?dry_run=true";
    let good = json!({ "connector": { "corp": site.wecom_table() } });
    let answer = site.api("POST", path, &good).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["version"], 1);
    let bad = json!({ "connector": { "corp": { "cas": { "url": 7 } } } });
    assert_eq!(site.api("POST", path, &bad).await.status, 400);
    assert_eq!(site.running.live().settings().version(), 0);
    let lines = site.changes();
    let [planned, refused] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(planned["reason"], "dry run: import corp through the api");
    assert_eq!(planned["by"], "token:admin");
    assert_eq!(planned["client"], "127.0.0.1");
    assert!(planned["changed"].is_null(), "{planned}");
    let reason = refused["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("dry run: refused: import corp through the api: "),
        "{reason}"
    );
    assert!(!format!("{lines:?}").contains(SECRET));
    // A body that is too long for an import is too long for its dry run.
    let long = json!({ "connector": { "corp": { "x": "a".repeat(1 << 20) } } });
    for path in ["/api/config/import", path] {
        assert_eq!(site.api("POST", path, &long).await.status, 413, "{path}");
    }
}

#[tokio::test]
async fn two_secrets_of_an_export_never_have_one_name() {
    let site = ManagedSite::start().await;
    let portal = json!({ "custom": {
        "entry": "ticket",
        "secrets": { "key": "one", "Key": "two" },
        "subject": "steps.ask.id",
        "profile": "steps.ask",
        "step": [{
            "name": "ask",
            "method": "POST",
            "url": "https://portal.corp.example/ask",
            "form": { "ticket": "code", "a": "secrets.key", "b": "secrets.Key" },
            "success": "answer.code == 0",
        }],
    }});
    site.put("portal", &portal).await;
    let export = site.api("GET", "/api/config/export", &Value::Null).await;
    let toml = export.text();
    let names: Vec<_> = toml
        .lines()
        .filter_map(|line| line.strip_prefix("# MENSHEN_PORTAL_CUSTOM_SECRETS_KEY"))
        .map(|rest| rest.split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 2, "{toml}");
    assert_ne!(names[0], names[1]);
    assert!(names.contains(&String::new()), "{names:?}");
    // The name stays when the other secret is gone.
    let mut one = portal.clone();
    one["custom"]["secrets"] = json!({ "Key": "two" });
    one["custom"]["step"][0]["form"] = json!({ "ticket": "code", "b": "secrets.Key" });
    let answer = site
        .api("DELETE", "/api/connectors/portal", &Value::Null)
        .await;
    assert_eq!(answer.status, 200);
    site.put("portal", &one).await;
    let toml = site
        .api("GET", "/api/config/export", &Value::Null)
        .await
        .text();
    let suffix = names.iter().find(|name| !name.is_empty()).unwrap();
    let name = format!("\"MENSHEN_PORTAL_CUSTOM_SECRETS_KEY{suffix}\"");
    assert!(toml.contains(&name), "{name}: {toml}");
}
