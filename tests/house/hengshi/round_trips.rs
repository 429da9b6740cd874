//! What is put comes back, with its values and types, and putting it again changes nothing.

use serde_json::{Value, json};

use super::{Call, data_of, get, put, setup, with};
use crate::saml::keys::own;
use crate::setup::Menshen;

/// The common fields, all of them.
fn common() -> Value {
    json!({
        "reloadUser": true,
        "enableSyncUserAttr": false,
        "loginNameMapping": "loginName",
        "userNameMapping": "企业名称",
        "emailMapping": "data.user.email",
        "mobileMapping": "extattr.attrs[2].value",
        "rolesMapping": "https://corp/claims/roles",
        "groupsMapping": "groups",
        "orgsMapping": "orgs",
        "tenantCodeMapping": "tenant.code",
        "tenantNameMapping": "it's",
        "platformSourceId": "HS'1",
        "enableSessionExpSync": true,
        "sessionExpSyncMapping": "expires",
    })
}

/// Every kind with all its fields; `?connector=` is the kind's own.
fn kinds() -> Vec<(&'static str, Value)> {
    let ldap = json!({
        "protocol": "ldaps", "url": "ldap.corp.example", "port": "636",
        "bindUser": "cn=gate,dc=corp", "bindPassword": "hunter2-of-ldap",
        "searchBase": "ou=people,dc=corp", "query": "(objectClass=person)",
    });
    let cas =
        json!({ "protocol": "CAS30_PROXY", "casServer": "https://cas.corp.example/cas/login" });
    let oauth2 = json!({
        "key": "menshen", "secret": "hunter2-of-oauth2", "scope": "read, mail",
        "authorizationBaseUrl": "https://id.corp.example/authorize",
        "accessTokenEndpoint": "https://id.corp.example/token",
        "profileUrl": "http://id.corp.example/me",
        "logoutUrl": "https://id.corp.example/logout",
        "afterLogoutUriParamName": "returnTo",
        "originUrlDeliveryMethod": "state", "appendRedirectUri": false,
    });
    let dingtalk = json!({
        "appKey": "dingkey", "appSecret": "hunter2-of-dingtalk", "CorpId": "dingcorp",
        "ssoSecret": "hunter2-of-sso", "dtLoginType": "authCode", "schedulerPeriod": "30",
    });
    let wecom = json!({
        "key": "ww1", "agentId": "1000002", "secret": "hunter2-of-wecom",
        "wcwLoginType": "qrConnect",
    });
    let yunzhijia = json!({ "appId": "500", "appSecret": "hunter2-of-yzj", "eid": "17951708" });
    let jwt = json!({
        "tokenName": "jwtParam", "checkSignAlgorithm": "HS256",
        "checkSignKey": "hunter2 hunter2 hunter2 hunter2!", "checkSignKeyBase64Encoded": false,
        "decryptAlgorithm": "A256KW", "decryptMethod": "A256GCM",
        "decryptKey": "hunter2 hunter2 hunter2 hunter2?",
    });
    let lark = json!({ "appId": "cli_1", "appSecret": "hunter2-of-lark" });
    let recipe = json!({ "menshen": { "custom": {
        "entry": "ticket", "origins": ["https://portal.corp.example/"],
        "subject": "steps.verify.id", "profile": "steps.verify",
        "secrets": { "key": "hunter2-of-custom" },
        "step": [{
            "name": "verify", "url": "https://portal.corp.example/verify",
            "query": { "ticket": "code", "key": "secrets.key" },
        }],
    } } });
    let all = |fields: &Value| with(fields, &common());
    vec![
        ("ldap", all(&ldap)),
        (
            "cas",
            with(&all(&cas), &json!({ "loginNameMapping": null })),
        ),
        ("oauth2", all(&oauth2)),
        ("dingtalk", all(&dingtalk)),
        ("wechat-work", all(&wecom)),
        ("yunzhijia", all(&yunzhijia)),
        ("jwt-param", all(&jwt)),
        ("lark", all(&lark)),
        ("ctr", all(&recipe)),
        ("qince", all(&recipe)),
    ]
}

const SECRETS: [&str; 8] = [
    "bindPassword",
    "secret",
    "appSecret",
    "ssoSecret",
    "privateKey",
    "decryptKey",
    "checkSignKey",
    "key",
];

/// What GET shows of what was put.
fn masked(fields: &Value) -> Value {
    let mut fields = fields.clone();
    for name in SECRETS {
        let value = &mut fields[name];
        if value.as_str().is_some_and(|text| text.contains("hunter2")) {
            *value = json!("********");
        }
    }
    fields
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    if let Some(secrets) = fields.pointer_mut("/menshen/custom/secrets/key") {
        *secrets = json!("********");
    }
    fields
}

fn table(menshen: &Menshen, id: &str) -> Value {
    let settings = menshen.running.live().settings();
    let table = settings.table(&id.parse().unwrap()).expect("it exists");
    Value::Object(table.expose().clone())
}

/// Puts fields, and asserts that they come back and that putting them again changes nothing.
async fn assert_round_trip(menshen: &Menshen, kind: &str, fields: &Value) {
    let answered = put(menshen, kind, fields).await;
    let expected = masked(fields);
    assert_eq!(answered, expected, "{kind}");
    let shown = get(menshen, kind).await;
    assert_eq!(shown, expected, "{kind}");
    let before = table(menshen, kind);
    assert_eq!(put(menshen, kind, &shown).await, expected, "{kind}");
    assert_eq!(table(menshen, kind), before, "{kind}");
}

#[tokio::test]
async fn all_fields_of_every_kind_come_back() {
    for (kind, fields) in kinds() {
        let menshen = setup().start().await;
        assert_round_trip(&menshen, kind, &fields).await;
    }
}

#[tokio::test]
async fn all_fields_of_saml_come_back() {
    let menshen = setup().external_url("https://sso.test").start().await;
    let fields = json!({
        "idpMetadataUrl": "http://idp.corp.example/metadata",
        "privateKey": own().private_pem, "certificate": own().certificate_pem,
        "entityID": "https://sso.test/saml",
    });
    let fields = with(&fields, &common());
    let expected = with(&fields, &json!({ "privateKey": "********" }));
    assert_eq!(put(&menshen, "saml2", &fields).await, expected);
    assert_eq!(get(&menshen, "saml2").await, expected);
    let before = table(&menshen, "saml2");
    assert_eq!(put(&menshen, "saml2", &expected).await, expected);
    assert_eq!(table(&menshen, "saml2"), before);
    // Plain http is accepted, with a warning.
    assert_eq!(before["saml"]["allow_http"], true);
}

#[tokio::test]
async fn a_minimum_of_fields_comes_back_as_it_was() {
    for (kind, fields, removed) in [
        (
            "wechat-work",
            json!({ "key": "ww1", "agentId": 7, "secret": "hunter2" }),
            "",
        ),
        (
            "ldap",
            json!({ "url": "10.0.0.1", "searchBase": "dc=corp" }),
            "bindPassword",
        ),
        (
            "dingtalk",
            json!({ "appKey": "k", "appSecret": "hunter2", "corpId": "c", "schedulerPeriod": 0 }),
            "ssoSecret",
        ),
        ("cas", json!({ "casServer": "http://cas.corp.example" }), ""),
    ] {
        let menshen = setup().start().await;
        let mut expected = masked(&fields);
        if !removed.is_empty() {
            expected[removed] = json!("");
        }
        assert_eq!(put(&menshen, kind, &fields).await, expected, "{kind}");
        assert_eq!(put(&menshen, kind, &expected).await, expected, "{kind}");
    }
}

#[tokio::test]
async fn fields_that_ask_for_nothing_come_back_too() {
    let menshen = setup().start().await;
    let fields = json!({
        "key": "ww1", "agentId": "7", "secret": "hunter2", "emailMapping": "",
        "wcwLoginType": "", "reloadUser": false, "unknownText": "", "unknownList": [],
        "enableSessionExpSync": false, "sessionExpSyncMapping": "exp2",
    });
    assert_round_trip(&menshen, "wechat-work", &fields).await;
    let mapping = &table(&menshen, "wechat-work")["mapping"];
    assert_eq!(
        mapping,
        &Value::Null,
        "the end of the session is out of force"
    );
}

#[tokio::test]
async fn a_put_replaces_the_settings_whole() {
    let menshen = setup().start().await;
    let fields = json!({
        "key": "ww1", "agentId": 7, "secret": "hunter2", "emailMapping": "mail",
        "menshen": { "display_name": "总部", "wecom": { "revalidate": "5m" } },
    });
    assert_round_trip(&menshen, "wechat-work", &fields).await;
    let fewer = json!({ "key": "ww2", "agentId": 8 });
    let expected = json!({ "key": "ww2", "agentId": 8, "secret": "********" });
    assert_eq!(put(&menshen, "wechat-work", &fewer).await, expected);
    assert_eq!(
        table(&menshen, "wechat-work"),
        json!({ "wecom": { "corp_id": "ww2", "agent_id": 8, "secret": "********" } })
    );
}

#[tokio::test]
async fn what_the_other_api_changes_is_shown_and_the_rest_stays_as_it_was_sent() {
    let menshen = setup().start().await;
    let fields = json!({
        "key": "ww1", "agentId": "7", "secret": "hunter2", "wcwLoginType": "oauth2",
        "emailMapping": "mail",
    });
    put(&menshen, "wechat-work", &fields).await;
    let mut changed = table(&menshen, "wechat-work");
    changed["wecom"]["agent_id"] = json!(8);
    changed["display_name"] = json!("总部");
    let call = Call::put("/api/connectors/wechat-work", &changed);
    assert_eq!(call.send(&menshen).await.status, 200);
    let expected = json!({
        "key": "ww1", "agentId": 8, "secret": "********", "wcwLoginType": "oauth2",
        "emailMapping": "mail", "menshen": { "display_name": "总部" },
    });
    assert_eq!(get(&menshen, "wechat-work").await, expected);
    let before = table(&menshen, "wechat-work");
    assert_eq!(put(&menshen, "wechat-work", &expected).await, expected);
    assert_eq!(table(&menshen, "wechat-work"), before);
}

#[tokio::test]
async fn a_rollback_brings_the_fields_back() {
    let menshen = setup().start().await;
    let first = json!({ "key": "ww1", "agentId": "7", "secret": "hunter2" });
    put(&menshen, "wechat-work", &first).await;
    let second = json!({ "key": "ww2", "agentId": 8, "secret": "hunter3" });
    put(&menshen, "wechat-work", &second).await;
    let call = Call::new("POST", "/api/config/rollback")
        .header("Content-Type: application/json")
        .text("{\"version\": 1}");
    let answer = call.send(&menshen).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(get(&menshen, "wechat-work").await, masked(&first));
    data_of(&menshen, &Call::get("active-auth")).await;
}
