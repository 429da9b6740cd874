//! Fields that are wrong: each is named, and nothing changes.

use serde_json::{Value, json};

use super::{Call, problem_fields, put, refused, setup, wecom_fields, with};
use crate::setup::Menshen;

fn wecom() -> Value {
    json!({ "key": "ww1", "agentId": "7", "secret": "hunter2" })
}

fn ldap() -> Value {
    json!({ "protocol": "ldaps", "url": "ldap.corp.example", "searchBase": "dc=corp" })
}

fn oauth2() -> Value {
    json!({
        "key": "k", "secret": "hunter2",
        "authorizationBaseUrl": "https://id.corp.example/authorize",
        "accessTokenEndpoint": "https://id.corp.example/token",
        "profileUrl": "https://id.corp.example/me",
    })
}

pub(super) fn jwt() -> Value {
    json!({ "checkSignAlgorithm": "HS256", "checkSignKey": "k".repeat(32) })
}

fn dingtalk() -> Value {
    json!({ "appKey": "k", "appSecret": "hunter2", "corpId": "c" })
}

pub(super) fn saml() -> Value {
    json!({ "idpMetadataUrl": "https://idp.corp.example/metadata" })
}

/// Asserts that members are refused, and that each named field is among the problems.
pub(super) async fn assert_refused(
    menshen: &Menshen,
    kind: &str,
    fields: &Value,
    members: Value,
    named: &[&str],
) {
    let call = Call::put(kind, &with(fields, &members)).header("Accept-Language: en");
    let envelope = refused(menshen, &call, 40001).await;
    let mut found = problem_fields(&envelope);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, named, "{kind} {members}: {envelope}");
    assert!(!envelope.to_string().contains("hunter2"), "{envelope}");
}

#[tokio::test]
async fn wrong_types_and_missing_fields_are_all_named_at_once() {
    let menshen = setup().start().await;
    for (members, named) in [
        (
            json!({ "key": null, "agentId": null, "secret": null }),
            &["agentId", "key", "secret"][..],
        ),
        (
            json!({ "key": 7, "agentId": "ww", "secret": ["hunter2"] }),
            &["agentId", "key", "secret"],
        ),
        (json!({ "key": "" }), &["key"]),
        (json!({ "agentId": -1 }), &["agentId"]),
        (json!({ "agentId": 1.5 }), &["agentId"]),
        (
            json!({ "agentId": "99999999999999999999999" }),
            &["agentId"],
        ),
        (json!({ "agentId": "test-agent-id" }), &["agentId"]),
        (json!({ "secret": "" }), &["secret"]),
        (json!({ "secret": "******" }), &["secret"]),
        (json!({ "secret": "••••••" }), &["secret"]),
        (json!({ "wcwLoginType": "qr" }), &["wcwLoginType"]),
        (json!({ "reloadUser": "true" }), &["reloadUser"]),
        (json!({ "enableSyncUserAttr": 1 }), &["enableSyncUserAttr"]),
        (json!({ "emailMapping": {} }), &["emailMapping"]),
        (json!({ "emailMapping": "a\u{0}b" }), &["emailMapping"]),
        (
            json!({ "emailMapping": "x".repeat(8193) }),
            &["emailMapping"],
        ),
        (json!({ "key": "w w" }), &["key"]),
        (json!({ "menshen": [] }), &["menshen"]),
        (
            json!({ "menshen": { "wecom": { "corp_id": "x" } } }),
            &["menshen.wecom.corp_id"],
        ),
        (
            json!({ "menshen": { "wecom": { "scpe": "x" } } }),
            &["menshen.wecom.scpe"],
        ),
        (
            json!({ "menshen": { "wecom": { "scope": "x" } } }),
            &["menshen.wecom.scope"],
        ),
        (
            json!({ "menshen": { "mapping": { "email": "profile.(" } } }),
            &["menshen.mapping.email"],
        ),
        (
            json!({ "emailMapping": "m", "menshen": { "mapping": { "email": "profile.mail" } } }),
            &["menshen.mapping.email"],
        ),
        (
            json!({ "menshen": { "wecom": { "contact_secret": { "file": "/etc/passwd" } } } }),
            &["menshen.wecom.contact_secret"],
        ),
        (
            json!({ "menshen": { "ca": "/etc/passwd" } }),
            &["menshen.ca"],
        ),
    ] {
        assert_refused(&menshen, "wechat-work", &wecom(), members, named).await;
    }
}

#[tokio::test]
async fn an_unknown_field_is_refused_with_the_nearest_known_one() {
    let menshen = setup().start().await;
    for (name, near) in [
        ("agentid", Some("agentId")),
        ("secrets", Some("secret")),
        ("emailmapping", Some("emailMapping")),
        ("corpId", None),
        ("x", None),
    ] {
        for value in [
            json!("x"),
            json!(true),
            json!(1),
            json!([1]),
            json!({ "a": 1 }),
        ] {
            let fields = with(&wecom(), &json!({ name: value }));
            let call = Call::put("wechat-work", &fields).header("Accept-Language: en");
            let envelope = refused(&menshen, &call, 40001).await;
            assert_eq!(problem_fields(&envelope), [name]);
            let message = envelope["data"]["problems"][0]["message"].as_str().unwrap();
            match near {
                Some(near) => assert!(message.ends_with(&format!("{near}?")), "{message}"),
                None => assert!(!message.contains('?'), "{message}"),
            }
        }
        for nothing in [
            json!(""),
            json!(null),
            json!(false),
            json!(0),
            json!([]),
            json!({}),
        ] {
            put(
                &menshen,
                "lark",
                &json!({ "appId": "cli_1", "appSecret": "s", name: nothing }),
            )
            .await;
        }
    }
}

#[tokio::test]
async fn addresses_of_sources_are_urls_and_those_of_directories_are_hosts() {
    let menshen = setup().start().await;
    for url in [
        "id.corp.example/token",
        "ftp://id.corp.example/token",
        "https://me:hunter2@id.corp.example/token",
        "https://id.corp.example/token#x",
        "https://",
        " https://id.corp.example",
        "file:///etc/passwd",
    ] {
        for field in [
            "authorizationBaseUrl",
            "accessTokenEndpoint",
            "profileUrl",
            "logoutUrl",
        ] {
            assert_refused(
                &menshen,
                "oauth2",
                &oauth2(),
                json!({ field: url }),
                &[field],
            )
            .await;
        }
        assert_refused(
            &menshen,
            "cas",
            &json!({}),
            json!({ "casServer": url }),
            &["casServer"],
        )
        .await;
        let members = json!({ "idpMetadataUrl": url });
        assert_refused(&menshen, "saml2", &saml(), members, &["idpMetadataUrl"]).await;
    }
    for (members, named) in [
        (json!({ "url": "ldap://ldap.corp.example" }), &["url"][..]),
        (json!({ "url": "ldap.corp.example:636" }), &["url"]),
        (json!({ "url": "ldap.corp.example/dc=corp" }), &["url"]),
        (json!({ "url": "a b" }), &["url"]),
        (json!({ "protocol": "LDAP" }), &["protocol"]),
        (json!({ "port": 65536 }), &["port"]),
        (json!({ "port": "x" }), &["port"]),
        (json!({ "query": "objectClass=person" }), &["query"]),
        (json!({ "searchBase": "people" }), &["searchBase"]),
        (json!({ "searchBase": null }), &["searchBase"]),
        (json!({ "bindUser": "cn=gate" }), &["bindUser"]),
        (json!({ "bindPassword": "hunter2" }), &["bindPassword"]),
        (json!({ "loginNameMapping": "企业" }), &["loginNameMapping"]),
    ] {
        assert_refused(&menshen, "ldap", &ldap(), members, named).await;
    }
}

#[tokio::test]
async fn choices_and_what_a_protocol_lacks_are_refused() {
    let menshen = setup().start().await;
    let cas = json!({ "casServer": "https://cas.corp.example" });
    for (kind, fields, members, named) in [
        (
            "cas",
            &cas,
            json!({ "protocol": "SAML" }),
            &["protocol"][..],
        ),
        (
            "cas",
            &cas,
            json!({ "loginNameMapping": "uid" }),
            &["loginNameMapping"],
        ),
        (
            "oauth2",
            &oauth2(),
            json!({ "originUrlDeliveryMethod": "header" }),
            &["originUrlDeliveryMethod"],
        ),
        (
            "dingtalk",
            &dingtalk(),
            json!({ "dtLoginType": "sms" }),
            &["dtLoginType"],
        ),
        (
            "dingtalk",
            &dingtalk(),
            json!({ "schedulerPeriod": 525_601 }),
            &["schedulerPeriod"],
        ),
        (
            "dingtalk",
            &dingtalk(),
            json!({ "CorpId": "other" }),
            &["CorpId"],
        ),
        (
            "hengshi",
            &json!({}),
            json!({ "people": "/etc/passwd" }),
            &["people"],
        ),
    ] {
        assert_refused(&menshen, kind, fields, members, named).await;
    }
}

#[tokio::test]
async fn scripts_and_tokens_that_nothing_verifies_are_refused() {
    let menshen = setup().start().await;
    for (members, named) in [
        (
            json!({ "checkSignAlgorithm": "none" }),
            &["checkSignAlgorithm"][..],
        ),
        (json!({ "groovyScript": "return 1" }), &["groovyScript"]),
        (json!({ "groovy script": "return 1" }), &["groovy script"]),
        (json!({ "script": "return 1" }), &["script"]),
        (json!({ "tokenName": "rd" }), &["tokenName"]),
        (
            json!({ "decryptMethod": "A256GCM" }),
            &["decryptAlgorithm", "decryptKey"],
        ),
    ] {
        assert_refused(&menshen, "jwt-param", &jwt(), members, named).await;
    }
}

#[tokio::test]
async fn a_portal_needs_its_steps() {
    let menshen = setup().start().await;
    for kind in ["ctr", "qince"] {
        let named = [
            "menshen.custom",
            "menshen.custom.authorize_url",
            "menshen.custom.profile",
            "menshen.custom.step",
            "menshen.custom.subject",
        ];
        assert_refused(&menshen, kind, &json!({}), json!({}), &named).await;
    }
}

#[tokio::test]
async fn a_refused_change_keeps_what_there_is() {
    let menshen = setup().start().await;
    let fields = wecom_fields(&menshen);
    let before = put(&menshen, "wechat-work", &fields).await;
    let bad = with(&fields, &json!({ "agentId": "x" }));
    refused(&menshen, &Call::put("wechat-work", &bad), 40001).await;
    assert_eq!(super::get(&menshen, "wechat-work").await, before);
    let answer = Call::get("wechat-work").send(&menshen).await;
    assert_eq!(answer.header("etag"), Some("\"1\""));
}
