//! Which connector a kind is, and what the file and a lock forbid.

use serde_json::json;

use super::{Call, admin_tables, get, put, refused, setup, wecom_fields};
use crate::setup::{SECOND_CONNECTOR, Setup};

/// `corp` of WeCom stands in the file.
fn with_file() -> Setup {
    Setup::default().tables(&admin_tables())
}

#[tokio::test]
async fn the_only_one_of_the_kind_is_shown_and_the_file_names_its_line() {
    let menshen = with_file().start().await;
    let shown = get(&menshen, "wechat-work").await;
    assert_eq!(shown["key"], crate::wecom::CORP_ID);
    assert_eq!(shown["secret"], "********");
    assert_eq!(shown["menshen"]["display_name"], "企业微信");
    assert!(
        Call::get("wechat-work")
            .send(&menshen)
            .await
            .header("etag")
            .is_none()
    );
    for call in [
        Call::put("wechat-work", &wecom_fields(&menshen)),
        Call::put("wechat-work?connector=corp", &wecom_fields(&menshen)),
    ] {
        let envelope = refused(&menshen, &call, 40900).await;
        let problem = &envelope["data"]["problems"][0];
        assert_eq!(problem["file"], "test.toml");
        let text = menshen.setup.text(&menshen.wecom, &menshen.app);
        let line = text.lines().position(|line| line == "[connector.corp]");
        assert_eq!(problem["line"], line.unwrap() + 1);
        let message = envelope["msg"].as_str().unwrap();
        assert!(message.contains("test.toml:"), "{message}");
    }
}

#[tokio::test]
async fn several_of_a_kind_must_be_told_apart() {
    let tables = format!("{}{SECOND_CONNECTOR}", admin_tables());
    let menshen = Setup::default().tables(&tables).start().await;
    refused(&menshen, &Call::get("wechat-work"), 40901).await;
    refused(
        &menshen,
        &Call::put("wechat-work", &wecom_fields(&menshen)),
        40901,
    )
    .await;
    let choice = Call::put("active-auth", &json!({ "authType": "wechat-work" }));
    refused(&menshen, &choice, 40901).await;
    let shown = get(&menshen, "wechat-work?connector=other").await;
    assert_eq!(shown["menshen"]["auto_login"], "never");
    // The one whose ID is the name of the kind comes first.
    let fields = wecom_fields(&menshen);
    let fields = super::with(&fields, &json!({ "menshen": { "auto_login": "never" } }));
    put(&menshen, "wechat-work?connector=wechat-work", &fields).await;
    assert_eq!(get(&menshen, "wechat-work").await["key"], fields["key"]);
    put(
        &menshen,
        "active-auth",
        &json!({ "authType": "wechat-work" }),
    )
    .await;
    // Others are known by their own names.
    let other = json!({ "authType": "other" });
    assert_eq!(put(&menshen, "active-auth", &other).await, other);
    assert_eq!(get(&menshen, "active-auth").await, other);
}

#[tokio::test]
async fn a_named_connector_must_be_of_the_kind() {
    let menshen = with_file().start().await;
    for query in [
        "connector=corp",
        "connector=a%00b",
        "connector=",
        "connector=a&connector=b",
    ] {
        let envelope = refused(&menshen, &Call::get(&format!("ldap?{query}")), 40001).await;
        assert_eq!(super::problem_fields(&envelope), ["connector"], "{query}");
    }
    assert_eq!(get(&menshen, "ldap?connector=staff").await, json!({}));
    let fields =
        json!({ "protocol": "ldaps", "url": "ldap.corp.example", "searchBase": "dc=corp" });
    put(&menshen, "ldap?connector=staff", &fields).await;
    // It is the only one of its kind.
    assert_eq!(get(&menshen, "ldap").await["url"], "ldap.corp.example");
    put(&menshen, "ldap", &fields).await;
    let settings = menshen.running.live().settings();
    assert!(settings.connector(&"ldap".parse().unwrap()).is_none());
}

#[tokio::test]
async fn the_two_portals_are_different_connectors() {
    let menshen = setup().start().await;
    let recipe = |host: &str| {
        json!({ "menshen": { "custom": {
            "entry": "ticket", "subject": "steps.verify.id", "profile": "steps.verify",
            "step": [{ "name": "verify", "url": format!("https://{host}/v"), "query": { "t": "code" } }],
        } } })
    };
    put(&menshen, "ctr", &recipe("ctr.example")).await;
    assert_eq!(get(&menshen, "qince").await, json!({}));
    put(&menshen, "qince", &recipe("qince.example")).await;
    assert_eq!(get(&menshen, "ctr").await, recipe("ctr.example"));
    assert_eq!(get(&menshen, "qince").await, recipe("qince.example"));
}

#[tokio::test]
async fn a_lock_and_a_default_in_the_file_are_named() {
    let tables = format!("{}[managed]\nwrite = false\n", admin_tables());
    let menshen = setup().tables(&tables).start().await;
    let fields = json!({ "appId": "cli_1", "appSecret": "s" });
    for call in [
        Call::put("lark", &fields),
        Call::put("active-auth", &json!({ "authType": "hengshi" })),
    ] {
        let envelope = refused(&menshen, &call, 40900).await;
        assert_eq!(
            envelope["data"]["problems"][0]["file"], "test.toml",
            "{envelope}"
        );
    }
    let tables = admin_tables().replace("[login]\n", "[login]\ndefault = 'corp'\n");
    let menshen = Setup::default().tables(&tables).start().await;
    assert_eq!(
        get(&menshen, "active-auth").await,
        json!({ "authType": "wechat-work" })
    );
    let call = Call::put("active-auth", &json!({ "authType": "hengshi" }));
    refused(&menshen, &call, 40900).await;
}
