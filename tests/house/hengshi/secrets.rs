//! Secrets: never shown, kept only while the place to which they are sent stays.

use serde_json::{Value, json};

use super::{Call, get, problem_fields, put, refused, setup, with};
use crate::setup::Menshen;

fn oauth2() -> Value {
    json!({
        "key": "k", "secret": "hunter2-secret",
        "authorizationBaseUrl": "https://id.corp.example/authorize",
        "accessTokenEndpoint": "https://id.corp.example/token",
        "profileUrl": "https://id.corp.example/me",
    })
}

fn ldap() -> Value {
    json!({
        "protocol": "ldaps", "url": "ldap.corp.example", "searchBase": "dc=corp",
        "bindUser": "cn=gate,dc=corp", "bindPassword": "hunter2-secret",
    })
}

/// A kind, its fields, the field with the secret, and members that move the place to which it is sent.
fn kinds() -> Vec<(&'static str, Value, &'static str, Value)> {
    vec![
        (
            "oauth2",
            oauth2(),
            "secret",
            json!({ "accessTokenEndpoint": "https://evil.example/token" }),
        ),
        (
            "oauth2",
            oauth2(),
            "secret",
            json!({ "accessTokenEndpoint": "http://id.corp.example/token" }),
        ),
        (
            "ldap",
            ldap(),
            "bindPassword",
            json!({ "url": "evil.example" }),
        ),
        ("ldap", ldap(), "bindPassword", json!({ "port": 1636 })),
        (
            "ldap",
            ldap(),
            "bindPassword",
            json!({ "protocol": "ldap" }),
        ),
        (
            "ldap",
            ldap(),
            "bindPassword",
            json!({ "bindUser": "cn=other,dc=corp" }),
        ),
        (
            "wechat-work",
            json!({ "key": "ww1", "agentId": 7, "secret": "hunter2-secret" }),
            "secret",
            json!({ "menshen": { "wecom": { "api_base": "https://evil.example" } } }),
        ),
        (
            "dingtalk",
            json!({ "appKey": "k", "appSecret": "hunter2-secret", "corpId": "c" }),
            "appSecret",
            json!({ "menshen": { "dingtalk": { "oapi_base": "https://evil.example" } } }),
        ),
        (
            "lark",
            json!({ "appId": "cli_1", "appSecret": "hunter2-secret" }),
            "appSecret",
            json!({ "menshen": { "lark": { "brand": "lark" } } }),
        ),
        (
            "yunzhijia",
            json!({ "appId": "5", "appSecret": "hunter2-secret", "eid": "7" }),
            "appSecret",
            json!({ "menshen": { "yunzhijia": { "base": "https://evil.example" } } }),
        ),
    ]
}

/// The secret in force, as nobody can read it from outside: by the settings of the running site.
fn in_force(menshen: &Menshen, id: &str) -> bool {
    let site = menshen.running.live().site();
    let entry = site.login.entry(&id.parse().unwrap()).unwrap();
    let kind = entry.config.kind().unwrap();
    kind.secrets().iter().any(|(_, source)| {
        let secret = source.read().unwrap();
        secret.expose() == "hunter2-secret"
    })
}

#[tokio::test]
async fn a_marker_or_absence_keeps_a_secret() {
    for (kind, fields, field, _) in kinds() {
        let menshen = setup().start().await;
        let shown = put(&menshen, kind, &fields).await;
        assert_eq!(shown[field], "********", "{kind}");
        for kept in [
            json!("********"),
            json!("*"),
            json!("••••"),
            json!("●●"),
            json!(null),
        ] {
            let same = with(&fields, &json!({ field: kept }));
            assert_eq!(
                put(&menshen, kind, &same).await[field],
                "********",
                "{kind}"
            );
            assert!(in_force(&menshen, kind), "{kind} {kept}");
        }
        let other = with(&fields, &json!({ field: "another" }));
        put(&menshen, kind, &other).await;
        assert!(!in_force(&menshen, kind), "{kind}");
    }
}

#[tokio::test]
async fn a_secret_is_not_sent_to_another_place_unless_it_is_given_again() {
    for (kind, fields, field, moved) in kinds() {
        let menshen = setup().start().await;
        put(&menshen, kind, &fields).await;
        for kept in [json!("********"), json!(null)] {
            let other = with(&with(&fields, &moved), &json!({ field: kept }));
            let call = Call::put(kind, &other);
            let envelope = refused(&menshen, &call, 40001).await;
            assert_eq!(problem_fields(&envelope), [field], "{kind} {moved}");
        }
        put(&menshen, kind, &with(&fields, &moved)).await;
    }
}

#[tokio::test]
async fn an_optional_secret_is_removed_by_an_empty_text() {
    let menshen = setup().start().await;
    let fields = json!({
        "appKey": "k", "appSecret": "hunter2-secret", "corpId": "c", "ssoSecret": "hunter2-sso",
    });
    assert_eq!(
        put(&menshen, "dingtalk", &fields).await["ssoSecret"],
        "********"
    );
    let without = with(&fields, &json!({ "ssoSecret": "" }));
    assert_eq!(put(&menshen, "dingtalk", &without).await["ssoSecret"], "");
    // A directory without a service account needs no password either.
    let ldap = json!({
        "protocol": "ldaps", "url": "ldap.corp.example", "searchBase": "dc=corp",
        "bindUser": "cn=gate,dc=corp", "bindPassword": "hunter2-secret",
    });
    put(&menshen, "ldap", &ldap).await;
    let anonymous = with(&ldap, &json!({ "bindUser": null, "bindPassword": null }));
    assert_eq!(put(&menshen, "ldap", &anonymous).await["bindPassword"], "");
}

#[tokio::test]
async fn no_answer_no_log_line_and_no_audit_record_shows_a_secret() {
    let menshen = setup().access_log().start().await;
    let mut seen = String::new();
    for (kind, fields, field, moved) in kinds() {
        for members in [
            json!({}),
            json!({ field: "********" }),
            moved.clone(),
            json!({ "unknown": "x" }),
            json!({ field: ["hunter2-secret"] }),
            json!({ field: { "file": "hunter2-secret" } }),
        ] {
            let call = Call::put(kind, &with(&fields, &members));
            seen.push_str(&call.send(&menshen).await.text());
        }
        seen.push_str(&Call::get(kind).send(&menshen).await.text());
    }
    let broken = Call::put("oauth2", &json!({})).text("{\"secret\": \"hunter2-secret\" hunter2");
    seen.push_str(&broken.send(&menshen).await.text());
    for line in menshen.audit() {
        seen.push_str(&line.to_string());
    }
    seen.push_str(&menshen.records.text());
    let settings = menshen.running.live().settings();
    seen.push_str(&format!("{settings:?} {:?}", settings.document()));
    let newest = &menshen.running.live().services().store;
    let stored = newest.managed_version(None).await.unwrap().unwrap();
    seen.push_str(&stored.document);
    assert!(!seen.contains("hunter2"), "{seen}");
    assert!(seen.contains("********"));
    assert!(get(&menshen, "oauth2").await["secret"] == "********");
}
