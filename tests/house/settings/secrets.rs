//! Secrets of managed connectors: kept, sealed, sent nowhere else, shown nowhere.

use super::*;

#[tokio::test]
async fn no_answer_no_log_and_no_store_shows_a_secret() {
    let log = Records::process_log();
    let site = ManagedSite::start().await;
    let mut table = site.wecom_table();
    table["wecom"]["contact_secret"] = json!("secret-of-the-contacts");
    table["proxy"] = json!("http://user:secret-of-the-proxy@127.0.0.1:9");
    site.put("corp", &table).await;
    let portal = json!({
        "jwt": { "algorithm": "HS256", "key": ["first-key-of-the-portal-32-bytes-long",
                                               "second-key-of-the-portal-32-bytes-lo"] },
    });
    site.put("portal", &portal).await;
    let secrets = [
        SECRET,
        "secret-of-the-contacts",
        "secret-of-the-proxy",
        "first-key-of-the-portal-32-bytes-long",
        "second-key-of-the-portal-32-bytes-lo",
    ];
    let mut shown = Vec::new();
    for path in [
        "/api/connectors",
        "/api/connectors/corp",
        "/api/connectors/portal",
        "/api/config/versions",
        "/api/config/versions/1",
        "/api/config/versions/2",
        "/api/config/export",
        "/metrics",
        "/readyz",
    ] {
        let answer = site.api("GET", path, &Value::Null).await;
        assert_eq!(answer.status, 200, "{path}");
        shown.push((path, answer.text()));
    }
    // What is refused shows it as little.
    table["wecom"]["agent_id"] = json!(SECRET);
    let refused = site.api("PUT", "/api/connectors/corp", &table).await;
    assert_eq!(refused.status, 400);
    shown.push(("a refusal", refused.text()));
    let live = site.running.live();
    shown.push(("Debug", format!("{live:?} {:?}", live.settings())));
    live.services().telemetry.flush();
    shown.push(("the records", site.records.text()));
    shown.push(("the log", log.text()));
    let stored = String::from_utf8_lossy(&site.store.bytes()).into_owned();
    assert!(stored.contains("企业微信"), "the settings are in the store");
    shown.push(("the store", stored));
    for (place, text) in &shown {
        for secret in secrets {
            assert!(!text.contains(secret), "{place} shows {secret}");
        }
    }
}

#[tokio::test]
async fn a_marker_or_absence_keeps_a_secret_and_an_empty_text_removes_it() {
    let site = ManagedSite::start().await;
    let mut table = site.wecom_table();
    table["wecom"]["contact_secret"] = json!("secret-of-the-contacts");
    site.put("corp", &table).await;
    for marker in ["********", "*", "••••"] {
        let mut kept = site.wecom_table();
        kept["wecom"]["secret"] = json!(marker);
        kept["wecom"]["contact_secret"] = json!(marker);
        let answer = site.put("corp", &kept).await;
        assert_eq!(answer.json()["wecom"]["contact_secret"], "********");
        assert!(signs_in(site.browser()).await, "{marker}");
    }
    let mut absent = site.wecom_table();
    absent["wecom"].as_object_mut().unwrap().remove("secret");
    absent["wecom"]["contact_secret"] = Value::Null;
    let answer = site.put("corp", &absent).await;
    assert_eq!(answer.json()["wecom"]["secret"], "********");
    assert_eq!(answer.json()["wecom"]["contact_secret"], "********");
    assert!(signs_in(site.browser()).await);

    absent["wecom"]["contact_secret"] = json!("");
    let answer = site.put("corp", &absent).await;
    assert_eq!(answer.json()["wecom"]["contact_secret"], Value::Null);
    // A secret that is required cannot be removed.
    absent["wecom"]["secret"] = json!("");
    let answer = site.api("PUT", "/api/connectors/corp", &absent).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["fields"][0]["field"], "wecom.secret");
    // A marker is no secret where there is none to keep.
    let mut new = site.wecom_table();
    new["wecom"]["secret"] = json!("********");
    let answer = site.api("PUT", "/api/connectors/other", &new).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["fields"][0]["field"], "wecom.secret");
}

/// Settings with a secret, where it is, and the key and value of another place to which it would be sent.
type Moved = (Value, &'static str, &'static str, Value);

fn moved() -> Vec<Moved> {
    let evil = json!("https://evil.example");
    let ldap = json!({ "ldap": {
        "url": "ldaps://ldap.corp.example", "base": "dc=corp", "bind_dn": "cn=gate,dc=corp",
        "bind_password": "kept", "member_of_base": "dc=corp",
    }});
    let oauth2 = json!({
        "mapping": { "login": "profile.login" },
        "oauth2": {
            "client_id": "a", "client_secret": "kept", "subject": "profile.id",
            "authorize_url": "https://id.corp.example/authorize",
            "token_url": "https://id.corp.example/token",
            "profile_url": "https://id.corp.example/me",
        },
    });
    let password = "ldap/bind_password";
    let client_secret = "oauth2/client_secret";
    let mut moved: Vec<Moved> = Vec::new();
    for (key, place) in [
        ("ldap/url", json!("ldaps://evil.example")),
        ("ldap/url", json!("ldap://ldap.corp.example")),
        ("ldap/bind_dn", json!("cn=other,dc=corp")),
    ] {
        moved.push((ldap.clone(), password, key, place));
    }
    for (key, place) in [
        ("oauth2/token_url", evil.clone()),
        ("oauth2/profile_url", evil),
        ("proxy", json!("http://evil.example:3128")),
    ] {
        moved.push((oauth2.clone(), client_secret, key, place));
    }
    moved.extend(moved_apps());
    moved
}

fn moved_apps() -> Vec<Moved> {
    let evil = || json!("https://evil.example");
    let oidc = json!({ "oidc": {
        "issuer": "https://id.corp.example", "client_id": "a", "client_secret": "kept",
    }});
    let lark = json!({ "lark": { "app_id": "cli_1", "app_secret": "kept" } });
    let yunzhijia = json!({ "yunzhijia": {
        "app_id": "500000001", "eid": "17951708", "app_secret": "kept",
    }});
    let dingtalk = json!({ "auto_login": "never", "dingtalk": {
        "app_key": "dingkey1", "corp_id": "dingcorp1", "app_secret": "kept",
    }});
    // An expression of the same portal would show it to the browser, or make it the name of the person.
    let custom = json!({ "custom": {
        "entry": "ticket", "origins": ["https://portal.corp.example"],
        "subject": "steps.verify.id", "profile": "steps.verify", "secrets": { "key": "kept" },
        "step": [{
            "name": "verify", "url": "https://portal.corp.example/verify",
            "query": { "ticket": "code", "key": "secrets.key" },
        }],
    }});
    let shown = json!("{'id': steps.verify.id, 'name': secrets.key}");
    // Metadata below another path may name any token endpoint.
    let other_path = json!("https://id.corp.example/evil");
    let secret = "dingtalk/app_secret";
    vec![
        (custom, "custom/secrets/key", "custom/profile", shown),
        (
            oidc.clone(),
            "oidc/client_secret",
            "oidc/issuer",
            other_path,
        ),
        (oidc, "oidc/client_secret", "oidc/issuer", evil()),
        (lark, "lark/app_secret", "lark/api_base", evil()),
        (yunzhijia, "yunzhijia/app_secret", "yunzhijia/base", evil()),
        (dingtalk.clone(), secret, "dingtalk/api_base", evil()),
        (dingtalk, secret, "dingtalk/oapi_base", evil()),
    ]
}

#[tokio::test]
async fn a_kept_secret_is_sent_to_no_other_place_than_before() {
    let site = ManagedSite::start().await;
    for (number, (table, secret, moved, place)) in moved().into_iter().enumerate() {
        let id = format!("c{number}");
        let path = format!("/api/connectors/{id}");
        site.put(&id, &table).await;
        let before = site.state_of(&id).await;
        let mut changed = table.clone();
        let set = |table: &mut Value, pointer: &str, value: Value| {
            let (parent, key) = format!("/{pointer}")
                .rsplit_once('/')
                .map(|(parent, key)| (parent.to_owned(), key.to_owned()))
                .unwrap();
            let parent = table.pointer_mut(&parent).unwrap();
            parent.as_object_mut().unwrap().insert(key, value);
        };
        set(&mut changed, moved, place);
        for marker in [json!("********"), Value::Null] {
            set(&mut changed, secret, marker);
            for method_and_path in [("PUT", path.clone()), ("POST", format!("{path}/test"))] {
                let (method, path) = method_and_path;
                let answer = site.api(method, &path, &changed).await;
                assert_eq!(answer.status, 400, "{moved}: {}", answer.text());
                let field = answer.json()["fields"][0]["field"].clone();
                assert_eq!(field, secret.replace('/', "."), "{moved}");
            }
        }
        assert_eq!(site.state_of(&id).await, before);
        // Whoever knows the secret may send it anywhere.
        set(&mut changed, secret, json!("given again"));
        site.put(&id, &changed).await;
    }
}

#[tokio::test]
async fn the_password_of_a_proxy_is_kept_for_the_same_proxy_only() {
    let site = ManagedSite::start().await;
    let mut table = json!({ "oidc": { "issuer": "https://id.corp.example", "client_id": "a" } });
    table["proxy"] = json!("http://user:password@proxy.corp.example:3128");
    let answer = site.put("sso", &table).await;
    assert!(!answer.text().contains("password@"), "{}", answer.text());
    site.put("sso", &answer.json()).await;
    table["proxy"] = json!("http://user:********@proxy.corp.example:3128");
    site.put("sso", &table).await;
    table["proxy"] = json!("http://user:********@evil.example:3128");
    let answer = site.api("PUT", "/api/connectors/sso", &table).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["fields"][0]["field"], "proxy");
}

#[tokio::test]
async fn a_misspelt_secret_is_repeated_by_no_answer_and_no_line() {
    let log = Records::process_log();
    let site = ManagedSite::start().await;
    let mut wecom = site.wecom_table();
    wecom["wecom"]["secrt"] = json!("hunter2");
    let oidc = json!({ "oidc": { "issuer": 7, "client_id": "a", "client_secrt": "hunter2" } });
    let secret_as_choice = json!({ "auto_login": "hunter2", "oidc": "hunter2" });
    let mut shown = Vec::new();
    for table in [wecom, oidc, secret_as_choice] {
        let import = json!({ "connector": { "a": table }, "secrt": "hunter2" });
        let only = json!({ "connector": { "a": table } });
        let choices = json!({ "default": { "secrt": "hunter2" }, "order": ["hunter2 "] });
        for (method, path, body) in [
            ("PUT", "/api/connectors/a", &table),
            ("POST", "/api/connectors/a/test", &table),
            ("POST", "/api/config/import", &import),
            ("POST", "/api/config/import", &only),
            ("POST", "/api/config/import?dry_run=true", &only),
            ("PUT", "/api/login", &choices),
            ("PUT", "/api/authentication-configs/wechat-work", &table),
            ("PUT", "/api/authentication-configs/oauth2", &table),
        ] {
            let answer = site.api(method, path, body).await;
            assert!(
                (400..500).contains(&answer.status),
                "{path}: {}",
                answer.text()
            );
            shown.push((path, answer.text()));
        }
    }
    site.running.live().services().telemetry.flush();
    shown.push(("the records", site.records.text()));
    shown.push(("the log", log.text()));
    for (place, text) in shown {
        assert!(!text.contains("hunter2"), "{place}: {text}");
    }
}
