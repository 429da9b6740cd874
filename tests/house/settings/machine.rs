//! What is of the machine stays out of reach of managed settings: its files, its environment, and what its cloud
//! gives to it.

use super::*;
use crate::upstream::TempFolder;

#[tokio::test]
async fn a_managed_connector_contacts_no_metadata_service() {
    let oidc = |issuer: &str| json!({ "oidc": { "issuer": issuer, "client_id": "a" }, "auto_login": "never" });
    let ldap = |url: &str| json!({ "ldap": { "url": url, "start_tls": false, "base": "dc=corp" } });
    let site = ManagedSite::start().await;
    for (what, table) in [
        ("link-local", oidc("http://169.254.169.254/realm")),
        ("another spelling", oidc("http://2852039166/realm")),
        (
            "in an IPv6 address",
            oidc("http://[::ffff:169.254.169.254]/realm"),
        ),
        ("Alibaba Cloud", oidc("https://100.100.100.200/realm")),
        ("ldap", ldap("ldap://169.254.169.254")),
    ] {
        let answer = site.api("POST", "/api/connectors/a/test", &table).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let text = answer.text();
        assert!(text.contains("allow_metadata_addresses"), "{what}: {text}");
    }
    // Loopback is where sources run beside menshen.
    site.put("corp", &site.wecom_table()).await;
    let answer = site
        .api("POST", "/api/connectors/corp/test", &Value::Null)
        .await;
    assert!(
        !answer.text().contains("allow_metadata_addresses"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn the_author_of_the_file_chooses_every_address() {
    let table = "[connector.mine]\nauto_login = \"never\"\n[connector.mine.oidc]\n\
                 issuer = \"http://[fe80::1]/realm\"\nclient_id = \"a\"\n";
    let site = ManagedSite::start_with(table).await;
    let path = "/api/connectors/mine/test";
    let saved = site.api("POST", path, &Value::Null).await;
    assert_eq!(saved.status, 200, "{}", saved.text());
    assert!(
        !saved.text().contains("allow_metadata_addresses"),
        "{}",
        saved.text()
    );
    // The same settings from a request are not those of the file.
    let unsaved = json!({ "oidc": { "issuer": "http://[fe80::1]/realm", "client_id": "a" } });
    let unsaved = site.api("POST", path, &unsaved).await;
    assert!(
        unsaved.text().contains("allow_metadata_addresses"),
        "{}",
        unsaved.text()
    );

    let open = ManagedSite::start_with("[managed]\nallow_metadata_addresses = true\n").await;
    let table = json!({ "oidc": { "issuer": "http://[fe80::1]/realm", "client_id": "a" } });
    let answer = open.api("POST", "/api/connectors/a/test", &table).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        !answer.text().contains("allow_metadata_addresses"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn no_request_makes_the_server_read_a_file_or_a_variable() {
    let site = ManagedSite::start().await;
    let folder = TempFolder::new();
    let file = folder.write("file-of-the-machine", "content-of-the-machine");
    let file = file.display().to_string();
    let wecom = |key: &str, value: Value| {
        let mut table = site.wecom_table();
        table["wecom"][key] = value;
        table
    };
    let with = |key: &str, value: Value| {
        let mut table = site.wecom_table();
        table[key] = value;
        table
    };
    for table in [
        wecom("secret", json!({ "file": file })),
        wecom("secret", json!({ "env": "PATH" })),
        with("display_name", json!({ "file": file })),
        with("display_name", json!({ "env": "PATH" })),
        with("ca", json!(file)),
        with("login_prefix", json!({ "file": file })),
        with("mapping", json!({ "badge": { "file": file } })),
        json!({ "jwt": { "algorithm": "RS256", "key": { "file": file } } }),
        json!({ "jwt": { "algorithm": "RS256", "key": [{ "env": "PATH" }] } }),
        json!({ "local": { "people": file } }),
        json!({ "saml": { "metadata": { "file": file } } }),
        json!({ "saml": { "metadata": format!("file://{file}") } }),
    ] {
        let import = json!({ "connector": { "a": table } });
        let preview = json!({ "connector": "a", "draft": table, "profile": { "userid": "x" } });
        for (method, path, body) in [
            ("PUT", "/api/connectors/a", &table),
            ("POST", "/api/connectors/a/test", &table),
            ("POST", "/api/mapping/preview", &preview),
            ("POST", "/api/config/import", &import),
            ("POST", "/api/config/import?dry_run=true", &import),
        ] {
            let answer = site.api(method, path, body).await;
            let text = answer.text();
            assert_eq!(answer.status, 400, "{path} {table}: {text}");
            assert!(!text.contains("content-of-the-machine"), "{text}");
            assert!(!text.contains(&std::env::var("PATH").unwrap()), "{text}");
        }
    }
    assert_eq!(site.running.live().settings().version(), 0);
}

#[tokio::test]
async fn a_managed_connector_connects_to_no_socket_unless_the_file_allows_it() {
    let socket = json!("ldapi://%2Frun%2Fslapd%2Fldapi");
    let ldap = |url: &Value| json!({ "ldap": { "url": url, "base": "dc=corp", "member_of_base": "dc=corp" } });
    let site = ManagedSite::start().await;
    for url in [socket.clone(), json!(["ldaps://a.example", socket])] {
        let table = ldap(&url);
        let import = json!({ "connector": { "a": table } });
        for (method, path, body) in [
            ("PUT", "/api/connectors/a", &table),
            ("POST", "/api/connectors/a/test", &table),
            ("POST", "/api/config/import", &import),
        ] {
            let answer = site.api(method, path, body).await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
            let text = answer.text();
            assert!(text.contains("ldap.url"), "{path}: {text}");
            assert!(text.contains("allow_local_sockets"), "{path}: {text}");
        }
    }
    let open = ManagedSite::start_with("[managed]\nallow_local_sockets = true\n").await;
    open.put("a", &ldap(&socket)).await;
    // The author of the file chooses.
    let mine = "[connector.mine.ldap]\nurl = 'ldapi://%2Frun%2Fldapi'\nbase = 'dc=corp'\n";
    ManagedSite::start_with(mine).await;
}
